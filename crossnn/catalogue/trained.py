"""What must hold for numbers, names and choices of an experiment or a study, beyond the types of their keys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from crossnn.catalogue.rows import Experiment, Study, Trained
from crossnn.errors import SpecError, choices

NAMES = ("w", "w0", "lr", "t")
"""What the formulas of a study are given by name."""

MOST_STEPS = 100_000


def check_experiment(row: Experiment) -> None:
    """Refuse what no training could be done with, and closed forms that the training would not reach."""
    if row.batch_size != "full" and row.batch_size < 1:
        raise SpecError(f'batch_size = {row.batch_size}; a whole number from 1, or "full"')
    for key in ("epochs", "samples", "seed"):
        if not 0 <= getattr(row, key) <= MOST_STEPS:
            raise SpecError(f"{key} = {getattr(row, key)}; a whole number from 0 to {MOST_STEPS:,}")
    if row.batch_size != "full" and row.batch_size > MOST_STEPS:
        raise SpecError(f'batch_size = {row.batch_size}; at most {MOST_STEPS:,}, or "full"')
    if not 0 < row.held_out < 1:
        raise SpecError(f"held_out = {row.held_out}; the share of samples kept apart, between 0 and 1, such as 0.2")
    if any(length < 1 for length in row.input):
        raise SpecError(f"input = {row.input}: the shape of one sample, whole numbers from 1, such as [64]")
    _check_uses(row, [("regularizers", one) for one in row.regularizers])
    for key, tables in (("regularizers", row.regularizers), ("constraints", row.constraints)):
        for table in tables:
            if not isinstance(table.get("on"), str):
                raise SpecError(f'{key}: on = "kernel" must say to which parameters it is applied')
    if row.closed_form in ("least_squares", "frequencies"):
        loss = "mse" if row.closed_form == "least_squares" else "binary_crossentropy_logits"
        if row.batch_size != "full" or row.loss != loss or row.regularizers or row.constraints or row.clip:
            raise SpecError(
                f'closed_form = "{row.closed_form}" is where descent on all samples ends; it wants '
                f'batch_size = "full", loss = "{loss}", and no regularizers, constraints or clip'
            )
    _check_finite("printed", row.printed.values())


def check_study(row: Study) -> None:
    """Refuse arrays that are none, names with two meanings, and a closed form under a learning rate that changes."""
    if not 1 <= row.steps <= MOST_STEPS:
        raise SpecError(f"steps = {row.steps}; a whole number from 1 to {MOST_STEPS:,}")
    start = _shape("start", row.start)
    if row.minimum and _shape("minimum", row.minimum) != start:
        raise SpecError(f"minimum has shape {_shape('minimum', row.minimum)}; start has {start}")
    for name, value in row.data.items():
        _shape(f"data.{name}", value)
    for key, names in (("data", row.data), ("params", row.params)):
        double = names.keys() & {*NAMES, *(row.data if key == "params" else ())}
        if double:
            raise SpecError(f"{key}: {choices(double)} has a meaning here already; taken: {choices(NAMES)}")
    _check_finite("params", row.params.values())
    _check_uses(row, [])
    if row.closed_form and (row.schedule or row.clip or row.constraints):
        raise SpecError("closed_form is for a learning rate that stays, without clip and constraints; leave those out")


def _shape(key: str, value: Any) -> tuple[int, ...]:
    """The shape of numbers in a list, or in nested lists of equal lengths. Without NumPy, which listing the catalogue
    must not import."""
    if not isinstance(value, list) or not value:
        raise SpecError(f"{key}: {_WANTED}")
    if not any(isinstance(one, list) for one in value):
        if not all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < _MOST for one in value):
            raise SpecError(f"{key}: {_WANTED}; all of them finite")
        return (len(value),)
    shapes = {_shape(key, one) for one in value}
    if len(shapes) > 1:
        raise SpecError(f"{key}: {_WANTED}")
    return (len(value), *shapes.pop())


_MOST = 1e300
_WANTED = "numbers in a list, or in nested lists of equal lengths, such as [[1.0], [2.0]]"


def _check_uses(row: Trained, more: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Every table that names another row names one, with finite settings."""
    given = [("optimizer", row.optimizer), *(("constraints", one) for one in row.constraints), *more]
    given += [(key, table) for key, table in (("schedule", row.schedule), ("clip", row.clip)) if table]
    for key, table in given:
        if not isinstance(table.get("use"), str):
            raise SpecError(f'{key}: which? write use = "NAME", with a name of the catalogue')
        _check_finite(key, (value for value in table.values() if isinstance(value, float)))


def _check_finite(key: str, values: Iterable[float]) -> None:
    for value in values:
        if not math.isfinite(value):
            raise SpecError(f"{key}: {value!r} is not a finite number")
