"""Subjects of what changes a training from outside: learning-rate schedules and the clipping of gradients.

A schedule is judged at every joint: at its listed points, and before, at and after each count of steps that it is
given. Clipping is judged on the gradients of two parameters at once, small, large and zero, since by the norm of all
one changes the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.build import knob_choices, record_row, settings
from crossnn.catalogue.rows import Clipping, Schedule
from crossnn.catalogue.updates import clip_gradients
from crossnn.formula.graph import GRAPH, Graph
from crossnn.parity import inputs
from crossnn.parity.subject import Subject, shapes_of

SIZES = {"small": (-4.0, -2.0), "large": (-1.0, 2.0), "zero": (-400.0, -400.0)}
"""Decades between which the elements of a gradient lie."""


def outer_subjects(row: Schedule | Clipping, seed: int) -> list[Subject]:
    """One subject for each case of the row."""
    subject = _schedule if isinstance(row, Schedule) else _clipping
    return [subject(row, name, hyper, knobs, seed) for name, hyper, knobs in _cases(row)]  # type: ignore[arg-type]


def _cases(row: Schedule | Clipping) -> Iterator[tuple[str, dict[str, float], dict[str, Any]]]:
    """Every convention, at the defaults and with visible hyper-parameters; counts stay whole numbers."""
    hyper, _ = settings(row, {})
    moved = {
        name: float(round(value)) if _count(hyper[name]) else value for name, value in inputs.visible(hyper).items()
    }
    for values in (hyper, moved):
        for knobs in knob_choices(row):
            shown = {**knobs, **({} if values is hyper else values)}
            yield " ".join(f"{key}={value}" for key, value in shown.items()) or "default", values, knobs


def _count(value: float) -> bool:
    """Whether a hyper-parameter is a number of steps, or used like one."""
    return value >= 2 and float(value).is_integer()


def _schedule(row: Schedule, case: str, hyper: Mapping[str, float], knobs: Mapping[str, Any], seed: int) -> Subject:
    counts = [value for value in hyper.values() if _count(value) and value <= 1000]
    joints = [factor * value + step for value in counts for factor in (1, 2, 3) for step in (-1, 0, 1)]
    drawn = inputs.generator_for(row.name, seed).integers(0, 4 * int(max(counts, default=25)), 24)
    data = {"t": inputs.single(np.concatenate([row.points, joints, drawn]))}

    def forward(text: str) -> Graph:
        def function(params: Any, data: Any) -> Any:
            t = data["t"]
            rate = record_row(row, text, data, t.tape, hyper, knobs)
            return {"value": GRAPH["broadcast"](rate, shape=t.shape)}

        return Graph.trace(function, shapes_of({}, data))

    definition = forward(row.definition) if row.definition else None
    return Subject(case, {**hyper, **knobs}, forward(row.formula), {}, data, definition=definition, elementwise=True)


def _clipping(row: Clipping, case: str, hyper: Mapping[str, float], knobs: Mapping[str, Any], seed: int) -> Subject:
    generator = inputs.generator_for(row.name, seed)
    data = {
        f"{size} {name}": inputs.hostile(generator, shape, *decades)
        for size, decades in SIZES.items()
        for name, shape in (("matrix", (12, 6)), ("vector", (5,)))
    }
    data["large vector"] = inputs.single(np.concatenate([row.points, data["large vector"]]))

    def function(params: Any, data: Any) -> Any:
        found = {}
        for size in SIZES:
            own = {name: g for name, g in data.items() if name.startswith(size)}
            found.update(clip_gradients(row, own, hyper, knobs))
        return found

    alone = row.acts_on == "element"
    return Subject(
        case, {**hyper, **knobs}, Graph.trace(function, shapes_of({}, data)), {}, data, elementwise=alone
    )  # fmt: skip
