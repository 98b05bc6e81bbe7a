"""One small graph of a specification, for showing it: what it computes, and its derivative by our own rules.

Shapes are only as large as they must be to make sense: three numbers, or two rows of three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.layers import Slots, example_shapes, present, record_formulas
from crossnn.catalogue.rows import VARIABLES, Activation, Formulated, Layer, Loss, Metric, Optimizer, Row
from crossnn.catalogue.updates import record_update, slot_shape
from crossnn.errors import SpecError, choices
from crossnn.formula.derive import gradients
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Graph, Indices, Node, constant
from crossnn.formula.shapes import Shape

BATCH, FEATURES = 2, 3
SHOWABLE = (*VARIABLES, "layer", "optimizer")
"""Kinds that are formulas themselves; networks and experiments are made of them."""


@dataclass(frozen=True)
class Example:
    """The recorded graph, the settings it was recorded with, and the arguments that a gradient is taken of."""

    row: Row
    graph: Graph
    hyper: Mapping[str, float]
    knobs: Mapping[str, bool | str]
    wrt: tuple[str, ...]

    def derivative(self) -> Graph | None:
        """The derivative of every result element, summed: the slope itself where the formula works element by
        element. For layers, which have several arguments, in the direction of a cotangent `g`."""
        if not self.wrt:
            return None
        value = self.graph.result
        targets = [self.graph.arguments[name] for name in self.wrt]
        if len(targets) == 1 and self.row.kind != "layer":
            seed = GRAPH["broadcast"](constant(value.tape, 1.0, "1"), shape=value.shape)
            (slope,) = gradients(value, targets, seed)
            return Graph(self.graph.arguments, slope, tuple(value.tape))
        g = Node(value.tape, "input", shape=value.shape, name="g")
        found = gradients(value, targets, g)
        return Graph({**self.graph.arguments, "g": g}, dict(zip(self.wrt, found, strict=True)), tuple(value.tape))


def example(row: Row, given: Mapping[str, Any] | None = None) -> Example:
    """The example of a row with the `given` hyper-parameters and knobs, the defaults for the others."""
    hyper, knobs = settings(row, given or {})
    match row:
        case Formulated():
            return _formulated(row, hyper, knobs)
        case Layer():
            return _layer(row, {**hyper, **({"units": FEATURES} if "units" in hyper else {})}, knobs)
        case Optimizer():
            return _optimizer(row, hyper, knobs)
    raise SpecError(f"{row.name} ({row.kind}) has no formula of its own to show; kinds that have: {choices(SHOWABLE)}")


def _formulated(row: Formulated, hyper: dict[str, float], knobs: dict[str, bool | str]) -> Example:
    names: tuple[str, ...] = VARIABLES[row.kind]
    if isinstance(row, Loss) and row.inputs:
        names = (names[0], *row.inputs)
    used = parse(row.formula).names.union(*(line.names for line in row.lets()))
    shapes = {name: _shape(row, name) for name in names if name in used or name == names[0]}

    def function(**scope: Node) -> Node:
        return record_row(row, row.formula, scope, scope[names[0]].tape, hyper, knobs)

    wrt = names[:1] if row.kind in ("activation", "loss", "regularizer") else ()
    return Example(row, Graph.trace(function, shapes), hyper, knobs, wrt)


def _shape(row: Formulated, name: str) -> Shape:
    """Three numbers, or two rows: of four numbers where an activation halves them, of labels where those are given."""
    if name.startswith("fan_"):
        return ()
    if isinstance(row, Activation) and row.acts_on == "vector":
        return (BATCH, FEATURES + 1)
    if isinstance(row, Loss | Metric) and row.target == "label" and name == "t":
        return Indices((BATCH,))
    if name == "m":
        return (FEATURES, BATCH)
    matrix = row.acts_on == "vector" or row.kind in ("initializer", "regularizer", "constraint", "metric")
    return (BATCH, FEATURES) if matrix else (FEATURES,)


def _layer(row: Layer, hyper: dict[str, float], knobs: dict[str, bool | str]) -> Example:
    options = {**hyper, **{name: value for name, value in row.sizes.items() if name in hyper}}
    if "units" in options:
        options["units"] = FEATURES
    shapes = example_shapes(row, options)
    tape: list[Node] = []
    inputs = {
        name: Node(tape, "input", shape=shape, dtype="index" if name in row.domains else "float", name=name)
        for name, shape in shapes.items()
    }
    arguments = dict(inputs)

    def slot(name: str, shape: Shape, _: object) -> Node:
        arguments[name] = Node(tape, "input", shape=shape, name=name)
        return arguments[name]

    value = record_formulas(row, inputs, options, knobs, Slots(slot, slot, slot), training=True)
    wrt = [name for name in row.inputs if name not in row.domains]
    wrt += [name for name in present(row.params, knobs) if name in arguments]
    return Example(row, Graph(arguments, value, tuple(tape)), hyper, knobs, tuple(wrt))


def _optimizer(row: Optimizer, hyper: dict[str, float], knobs: dict[str, bool | str]) -> Example:
    def function(w: Node, g: Node, lr: Node, t: Node, **slots: Node) -> dict[str, Node]:
        new, state = record_update(row, {"w": w, "g": g, "lr": lr, "t": t, **slots}, w.tape, hyper, knobs)
        return {"w": new, **state}

    shape: Shape = (BATCH, FEATURES) if row.acts_on == "matrix" else (FEATURES,)
    slots = {slot: slot_shape(row, slot, shape) for slot in row.state}
    shapes: dict[str, Shape] = {"w": shape, "g": shape, "lr": (), "t": (), **slots}
    return Example(row, Graph.trace(function, shapes), hyper, knobs, ())
