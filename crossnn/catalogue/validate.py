"""What a schema cannot say about a row: numbers that make sense, names that do not collide, choices that can be tried.

Each check raises SpecError with the key, the value and what is allowed; the loader adds file and table. Whether the
formulas of a row fit together is found by recording them (`parity/buildable.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from crossnn.catalogue.reductions import CLASS_TARGETS, LABELS, REDUCTIONS
from crossnn.catalogue.rows import (
    VARIABLES,
    Experiment,
    Formulated,
    Layer,
    Loss,
    Network,
    Optimizer,
    Question,
    Row,
    Study,
)
from crossnn.catalogue.trained import check_experiment, check_study
from crossnn.errors import SpecError, choices
from crossnn.formula.grammar import parse
from crossnn.formula.limits import MAX_AXES, MAX_ELEMENTS, MAX_LENGTH
from crossnn.questions.protocols import check_question

UPDATE = ("w", "g", "lr", "t")
"""What the update lines of an optimizer are given by name."""

VECTOR_TARGETS = (*CLASS_TARGETS, "simplex")
"""Targets of vectors among which one is right."""

MAX_COMBINATIONS = 64
"""Every combination of knobs is checked, so they must stay few."""


def check_name(name: str) -> None:
    """Names become file names, function names and arguments of commands."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name):
        raise SpecError(f"the name {name[:80]!r} cannot be used: a letter, then at most 63 letters, digits, _ or -")


def check_values(row: Row) -> None:
    """Refuse what no computation could be done with."""
    knobs: Mapping[str, Any] = getattr(row, "knobs", {})
    _check_knobs(knobs)
    match row:
        case Formulated():
            _check_names("params", row.params, VARIABLES[row.kind], knobs)
            _check_finite("params", row.params.values())
            _check_finite("points", row.points)
            _check_kinks(row)
            if isinstance(row, Loss):
                _check_loss(row)
        case Optimizer():
            _check_optimizer(row)
        case Layer():
            _check_layer(row)
        case Network():
            _check_network(row)
        case Experiment():
            check_experiment(row)
        case Study():
            check_study(row)
        case Question():
            check_question(row)


def _check_kinks(row: Formulated) -> None:
    _check_finite("kinks", (kink for kink in row.kinks if not isinstance(kink, str)))
    for kink in row.kinks:
        known = row.params.keys() | row.knobs.keys()
        wrong = parse(kink).names - known if isinstance(kink, str) else ()
        if wrong:
            raise SpecError(f"kinks: {kink!r} names {choices(wrong)}; params and knobs: {choices(known) or 'none'}")


def _check_loss(row: Loss) -> None:
    """Inputs have names of their own; reductions exist, and have the weights that they divide by."""
    _check_names("inputs", row.inputs, ("y", "t"), row.params, row.knobs)
    _check_finite("ends", row.ends)
    fitting = VECTOR_TARGETS if row.acts_on == "vector" else tuple(LABELS)
    if row.ends and row.target not in fitting:
        raise SpecError(
            f"ends: each is judged with the right and the wrong label; target = {row.target!r} has none; allowed here: "
            f"{choices(fitting)}"
        )
    for one in row.reductions:
        if one.by not in REDUCTIONS:
            raise SpecError(f"reductions: by = {one.by!r}; allowed: {choices(REDUCTIONS)}")
        if one.by == "weighted_mean" and not one.weights:
            raise SpecError('reductions: a weighted_mean divides by weights; write weights = "sample" or "class"')
        if one.weights == "class" and row.target not in CLASS_TARGETS:
            raise SpecError(f"reductions: classes have weights where targets are {choices(CLASS_TARGETS)}")
        if one.samples not in (None, 0):
            raise SpecError(
                f"reductions: samples = {one.samples}; only the empty batch, samples = 0, is a case of its own"
            )


def _check_knobs(knobs: Mapping[str, Any]) -> None:
    for name, choice in knobs.items():
        if isinstance(choice, list) and (len(choice) < 2 or len(set(choice)) < len(choice)):
            raise SpecError(f"knobs.{name} = {choice!r}: a knob is true, false, or a list of two or more choices")
    combinations = math.prod(len(choice) if isinstance(choice, list) else 2 for choice in knobs.values())
    if combinations > MAX_COMBINATIONS:
        raise SpecError(f"knobs allow {combinations} combinations, and each is checked; at most {MAX_COMBINATIONS}")


def _check_names(key: str, names: Iterable[str], *taken: Iterable[str]) -> None:
    for name in names:
        if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
            raise SpecError(f"{key}: {name!r} is not a name that a formula can use: a letter, then letters, digits, _")
        others = [other for group in taken for other in group]
        if name in others:
            raise SpecError(f"{key}: the name {name!r} has a meaning here already; taken: {choices(others)}")


def _check_finite(key: str, values: Iterable[float]) -> None:
    for value in values:
        if not math.isfinite(value):
            raise SpecError(f"{key}: {value!r} is not a finite number")


def _check_optimizer(row: Optimizer) -> None:
    given = (*UPDATE, "rows", "columns") if row.acts_on == "matrix" else UPDATE
    _check_names("params", [name for name in row.params if name != "lr"], given, row.knobs, row.state)
    _check_names("state", row.state, given, row.knobs)
    _check_finite("params", row.params.values())
    _check_finite("state", (start for start in row.state.values() if not isinstance(start, str)))
    for slot, start in row.state.items():
        if isinstance(start, str) and start not in ("w", *row.params):
            raise SpecError(f"state.{slot} = {start!r}: a number, w, or one of {choices(row.params)}")
    for slot, axis in row.reduced.items():
        if slot not in row.state:
            raise SpecError(f"reduced.{slot}: no such state slot; slots: {choices(row.state) or 'none'}")
        if axis != "all" and row.acts_on != "matrix":
            raise SpecError(f'reduced.{slot} = {axis}: only a matrix has this axis; write acts_on = "matrix" or "all"')
    missing = row.state.keys() - _targets(row.update)
    if missing:
        raise SpecError(f"update: no line assigns the state {choices(missing)}")


def _targets(lines: Iterable[str]) -> set[str]:
    """The names that lines such as `v = rho*v + g` assign."""
    return {line.split("=")[0].strip() for line in lines}


def _check_layer(row: Layer) -> None:
    if not row.inputs:
        raise SpecError('inputs is empty; a layer has at least one, such as inputs = ["x"]')
    if isinstance(row.input, dict) and row.input.keys() != set(row.inputs):
        raise SpecError(f"input describes {choices(row.input)}; inputs are {choices(row.inputs)}")
    fixed = (row.inputs, row.options, row.knobs)
    _check_names("params", row.params, *fixed)
    _check_names("state", row.state, *fixed, row.params)
    _check_names("draws", row.draws, *fixed, row.params, row.state)
    _check_names("carry", row.carry, *fixed, row.params, row.state, row.draws)
    _check_finite("options", (value for value in row.options.values() if isinstance(value, float)))
    for name, several in row.options.items():
        if isinstance(several, list) and (not several or any(number < 1 for number in several)):
            raise SpecError(f"options.{name} = {several}: whole numbers from 1, such as [3, 3]")
    for key, slots in (("params", row.params), ("state", row.state)):
        for slot, parameter in slots.items():
            if parameter.when and parameter.when not in row.knobs:
                known = choices(row.knobs) or "none"
                raise SpecError(f"{key}.{slot}: when = {parameter.when!r} is not a knob; knobs: {known}")
    targets = _targets(row.update)
    if targets != set(row.state):
        raise SpecError(f"update assigns {choices(targets) or 'nothing'}; state has {choices(row.state) or 'none'}")
    if bool(row.step) != bool(row.carry):
        raise SpecError("step and carry belong together: what each step computes, and what it hands to the next")
    missing = row.carry.keys() - _targets(row.step)
    if missing:
        raise SpecError(f"step: no line assigns {choices(missing)}, which is carried to the next step")
    sources = {*row.inputs, *_targets(row.let)}
    if row.step and row.over not in sources:
        raise SpecError(f"over = {row.over!r}: the sequence that the steps go along is one of {choices(sources)}")
    for name, domain in row.domains.items():
        if name not in row.inputs:
            raise SpecError(f"domains.{name}: no such input; inputs: {choices(row.inputs)}")
        below = row.options.get(domain)
        if domain != "binary" and not (isinstance(below, int | float) and 1 <= below <= MAX_LENGTH):
            raise SpecError(
                f"domains.{name} = {domain!r}: binary, or an option that says below which number, from 1 to "
                f"{MAX_LENGTH:,}, its indices are"
            )
    patterns = [*row.input.values()] if isinstance(row.input, dict) else [row.input]
    if any(len(pattern) > MAX_AXES for pattern in patterns):
        raise SpecError(f"input has {max(map(len, patterns))} axes; at most {MAX_AXES}")


def _check_network(row: Network) -> None:
    if not row.input or any(length < 1 for length in row.input):
        raise SpecError(f"input = {row.input}: the shape of one sample, whole numbers from 1, such as [64]")
    if math.prod(row.input) > MAX_ELEMENTS:
        raise SpecError(f"input = {row.input}: {math.prod(row.input):,} numbers a sample; at most {MAX_ELEMENTS:,}")
    if row.tokens < 0:
        raise SpecError(f"tokens = {row.tokens}; how many different indices the input may hold, or 0 for real numbers")
    if not row.layers:
        raise SpecError('layers is empty; give at least one, such as { layer = "dense", units = 10 }')
    for number, layer in enumerate(row.layers, 1):
        for key, kind, example in (("name", str, '"hidden"'), ("inputs", list, '["input"]')):
            if key in layer and not isinstance(layer[key], kind):
                raise SpecError(f"layer {number}: {key} = {layer[key]!r}; write {key} = {example}")
        if "name" in layer:
            check_name(str(layer["name"]))
