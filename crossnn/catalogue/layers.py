"""One layer, recorded: its settings become numbers, its shapes are inferred, its formula becomes nodes.

Layers with a `step` are unrolled over axis 1: what is carried from one step to the next starts as zeros, and
`sequence` is what the first carried value was after each step. Running statistics are inputs, and the `update` lines
say what they become; after training, `inference` replaces the formula where it is given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crossnn.catalogue.build import constant_value, constants
from crossnn.catalogue.rows import Draw, Layer, Parameter
from crossnn.errors import SpecError
from crossnn.formula.grammar import Formula, parse, parse_assignment
from crossnn.formula.graph import GRAPH, Node, constant, record
from crossnn.formula.limits import MAX_AXES, MAX_LENGTH, MAX_STEPS
from crossnn.formula.options import Statics, whole_numbers
from crossnn.formula.shapes import Shape

REST = "..."
"""In `input`: any number of dimensions."""


def statics_of(row: Layer, shapes: Mapping[str, Shape], options: Mapping[str, Any]) -> dict[str, Any]:
    """What names in options and shapes of this layer stand for, when its inputs have these shapes."""
    first = shapes[row.inputs[0]]
    found: dict[str, Any] = dict(options)
    found.update(shape=first, leading=tuple(range(len(first) - 1)), spatial=tuple(range(1, len(first) - 1)))
    patterns = row.input if isinstance(row.input, dict) else {name: row.input for name in row.inputs if row.input}
    for name, pattern in patterns.items():
        for dimension, length in _dimensions(name, shapes[name], pattern).items():
            if found.setdefault(dimension, length) != length:
                raise SpecError(f"{name} has shape {shapes[name]}: {dimension} is {found[dimension]} elsewhere")
    return found


def _dimensions(name: str, shape: Shape, pattern: Sequence[str]) -> dict[str, int]:
    """The lengths of the named dimensions."""
    before = list(pattern).index(REST) if REST in pattern else len(pattern)
    after = len(pattern) - before - 1 if REST in pattern else 0
    if len(shape) < before + after or (REST not in pattern and len(shape) != len(pattern)):
        raise SpecError(f"input {name} of shape {shape} does not fit {list(pattern)}: flatten it first?")
    named = dict(zip(pattern[:before], shape[:before], strict=True))
    named.update(zip(pattern[len(pattern) - after :], shape[len(shape) - after :], strict=True))
    return named


def lengths(shape: Sequence[str], statics: Statics) -> Shape:
    """The shape that texts such as `4*units` stand for; a name of several numbers gives all of them."""
    return tuple(number for text in shape for number in whole_numbers(text, statics))


@dataclass
class Slots:
    """The inputs of a layer besides those of its data, by name: what `record_formulas` needs from the outside. Each is
    called with (name, shape, how it starts) and gives a node, made where it does not exist yet.

    `inner` is what the layer computes on its way, in this order: `let.scores`, `step.0.c`; only filled where `watch` is
    set."""

    parameter: Any
    statistic: Any
    draw: Any
    watch: bool = False
    new_statistics: dict[str, Node] = field(default_factory=dict)
    inner: dict[str, Node] = field(default_factory=dict)


def record_formulas(
    row: Layer,
    inputs: Mapping[str, Node],
    options: Mapping[str, Any],
    knobs: Mapping[str, Any],
    slots: Slots,
    training: bool,
) -> Node:
    """Record the formulas of a layer on its inputs."""
    tape = next(iter(inputs.values())).tape
    statics = statics_of(row, {name: node.shape for name, node in inputs.items()}, {**options, **knobs})
    text = parse(row.formula if training or not row.inference else row.inference)
    scope: dict[str, Node] = {**constants(tape, _numbers(statics)), **inputs}
    for slot, parameter in present(row.params, knobs).items():
        scope[slot] = slots.parameter(slot, lengths(parameter.shape, statics), parameter)
    for slot, parameter in present(row.state, knobs).items():
        scope[slot] = slots.statistic(slot, lengths(parameter.shape, statics), parameter)
    update = [parse_assignment(line) for line in row.update] if training else []
    step = [parse_assignment(line) for line in row.step]
    wanted = set(text.names).union(*(line.names for line in (*update, *step)), {row.over} if step else ())
    lines = needed([parse_assignment(line) for line in row.let], wanted)
    used = wanted.union(*(line.names for line in lines))
    for name in row.draws:
        if name in used:
            law = row.law(name)
            shape = lengths(law.shape, statics) if law.shape else statics["shape"]
            scope[name] = slots.draw(name, shape, checked_law(law, _numbers(options)))
    for line in lines:
        scope[str(line.target)] = _line(line, scope, tape, knobs, statics)
        if slots.watch and scope[str(line.target)].dtype == "float":
            slots.inner[f"let.{line.target}"] = scope[str(line.target)]
    if step:
        every = _unroll(row, step, scope, tape, knobs, statics)
        if slots.watch:
            slots.inner.update(every)
    for line in update:
        slots.new_statistics[str(line.target)] = _line(line, scope, tape, knobs, statics)
    return record(text, scope, tape, knobs, statics)


def _line(line: Formula, scope: Mapping[str, Node], tape: list[Node], knobs: Any, statics: Statics) -> Node:
    value = record(line, scope, tape, knobs, statics)
    if not value.name and value.operation not in ("constant", "input"):
        value.name = str(line.target)
    return value


def needed(lines: Sequence[Formula], wanted: set[str]) -> list[Formula]:
    """The lines on which these names depend: dropout's mask is not drawn where nothing uses it."""
    wanted, kept = set(wanted), []
    for line in reversed(lines):
        if line.target in wanted:
            kept.append(line)
            wanted |= line.names
    return kept[::-1]


def _unroll(
    row: Layer, step: Sequence[Formula], scope: dict[str, Node], tape: list[Node], knobs: Any, statics: Statics
) -> dict[str, Node]:
    """Record the step once for each place of axis 1, with that place of the sequence `over` under its own name; what
    each line gave at each step, as `step.0.z`."""
    whole = scope[row.over]
    if len(whole.shape) < 2:
        raise SpecError(f"the sequence {row.over} has shape {whole.shape}; (batch, length, ...) is wanted")
    if whole.shape[1] > MAX_STEPS:
        raise SpecError(
            f"the sequence {row.over} has {whole.shape[1]:,} steps, which are unrolled; at most {MAX_STEPS}"
        )
    carried = {name: lengths(shape, statics) for name, shape in row.carry.items()}
    inner = dict(scope)
    for name, shape in carried.items():
        inner[name] = GRAPH["broadcast"](constant(tape, 0.0, "0"), shape=shape)
    first = next(iter(carried))
    steps = []
    every: dict[str, Node] = {}
    loop = len(tape)
    for place in range(whole.shape[1]):
        begin = len(tape)
        part = GRAPH["slice"](whole, axis=1, start=place, stop=place + 1)
        inner[row.over] = GRAPH["reshape"](part, shape=(whole.shape[0], *whole.shape[2:]))
        for line in step:
            inner[str(line.target)] = _line(line, inner, tape, knobs, statics)
            every[f"step.{place}.{line.target}"] = inner[str(line.target)]
        steps.append(GRAPH["reshape"](inner[first], shape=(carried[first][0], 1, *carried[first][1:])))
        for node in tape[begin:]:
            node.step = (loop, place)
    scope.update({name: inner[name] for name in carried})
    scope["sequence"] = GRAPH["concatenate"](*steps, axis=1)
    return every


def present(slots: Mapping[str, Parameter], knobs: Mapping[str, Any]) -> dict[str, Parameter]:
    """The parameters that exist with these knobs."""
    return {name: slot for name, slot in slots.items() if not slot.when or knobs[slot.when]}


@dataclass(frozen=True)
class Law:
    """How a draw is drawn: 1 with probability `keep`, else 0; or, without that, uniform from `low` to `high`."""

    keep: float | None
    low: float = 0.0
    high: float = 1.0


def checked_law(draw: Draw, options: Mapping[str, float]) -> Law:
    """The law in numbers; SpecError where it is none."""
    shown = ", ".join(f"{key} = {value:g}" for key, value in options.items())
    if draw.keep:
        keep = constant_value(draw.keep, options)
        if not 0 < keep <= 1:
            raise SpecError(f"{shown}: keeps with probability {draw.keep} = {keep:g}, which is not in (0, 1]")
        return Law(keep)
    low, high = constant_value(draw.low or "0", options), constant_value(draw.high or "1", options)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SpecError(f"{shown}: draws from {low:g} to {high:g}; the first must be the smaller")
    return Law(None, low, high)


def _numbers(options: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: value for name, value in options.items() if isinstance(value, int | float) and not isinstance(value, bool)
    }


def example_shapes(
    row: Layer, options: Mapping[str, Any], given: Mapping[str, int | list[int]] | None = None
) -> dict[str, Shape]:
    """Shapes of the inputs with which a layer is checked and shown: small, and lengths differ; or with the lengths that
    are `given`. A dimension with a name of the author's own gets some length where `sizes` gives none."""
    patterns = row.input if isinstance(row.input, dict) else dict.fromkeys(row.inputs, row.input or ["batch", REST])
    sizes = {**_SIZES, **row.sizes, **(given or {})}

    def shape(pattern: Sequence[str]) -> Shape:
        found: list[int] = []
        for dimension in pattern:
            length = options.get(dimension, sizes.setdefault(dimension, 3 + len(sizes) % 5))
            if not isinstance(length, list) and not 1 <= length <= MAX_LENGTH:
                raise SpecError(f"{dimension} = {length:g} is no length; a length is a number from 1 to {MAX_LENGTH:,}")
            found += length if isinstance(length, list) else [int(length)]
        if len(found) > MAX_AXES:
            raise SpecError(f"{row.name}: an input of {len(found)} axes; at most {MAX_AXES}")
        return tuple(found)

    return {name: shape(patterns[name]) for name in row.inputs}


_SIZES: Mapping[str, int | list[int]] = {
    "batch": 2, "length": 4, "keys": 5, "depth": 4, "height": 6, "width": 5, "channels": 4, "features": 5, REST: [3, 2],
}  # fmt: skip
