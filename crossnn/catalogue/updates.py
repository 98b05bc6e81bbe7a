"""From gradients to new parameters: what optimizers, clippings and schedules mean.

An optimizer of whole parameters sees a matrix: one axis makes a matrix of one row, and of several all but the last
are joined. State slots have the parameter's shape; those that the row calls `reduced` have one number for a line of the
matrix, or one for the whole parameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.build import Hyper, constants, record_row
from crossnn.catalogue.rows import VARIABLES, Clipping, Optimizer, Schedule
from crossnn.errors import SpecError, choices
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import Knobs
from crossnn.formula.graph import GRAPH, Graph, Node, constant, record
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.shapes import Shape

Arrays = dict[str, np.ndarray]


def as_matrix(shape: Shape) -> Shape:
    """The matrix that an optimizer of matrices makes of a parameter."""
    return shape if len(shape) == 2 else (math.prod(shape[:-1]), math.prod(shape[-1:]))


def slot_shape(row: Optimizer, slot: str, shape: Shape) -> Shape:
    """The shape of a state slot, for a parameter of this shape."""
    axis = row.reduced.get(slot)
    if axis is None:
        return shape
    if axis == "all":
        return ()
    return tuple(1 if place == axis % 2 else length for place, length in enumerate(as_matrix(shape)))


def record_update(
    row: Optimizer, names: Mapping[str, Node], tape: list[Node], hyper: Hyper, knobs: Knobs, prefix: str = ""
) -> tuple[Node, dict[str, Node]]:
    """One update of one parameter: the new w and the new state slots. Each line's result keeps its name, behind the
    parameter's where there are several."""
    scope = {**constants(tape, {k: v for k, v in hyper.items() if k != "lr"}), **names}
    shape = scope["w"].shape
    if row.acts_on == "matrix":
        rows, columns = as_matrix(shape)
        scope.update(rows=constant(tape, float(rows), str(rows)), columns=constant(tape, float(columns), str(columns)))
        whole = ["w", "g", *(slot for slot in row.state if slot not in row.reduced)]
        scope.update({name: _shaped(scope[name], (rows, columns)) for name in whole})
    for line in row.lines():
        assert line.target is not None
        scope[line.target] = value = record(line, scope, tape, knobs)
        if not value.name and value.operation not in ("constant", "input"):
            value.name = f"{prefix}.{line.target}" if prefix else line.target
    return _shaped(scope["w"], shape), {slot: _shaped(scope[slot], slot_shape(row, slot, shape)) for slot in row.state}


def _shaped(value: Node, shape: Shape) -> Node:
    """The same numbers in another shape; what has no other shape, or another number of them, stays as it is."""
    if value.shape == shape or math.prod(value.shape) != math.prod(shape):
        return value
    return GRAPH["reshape"](value, shape=shape)


def update_graph(row: Optimizer, shapes: Mapping[str, Shape], hyper: Hyper, knobs: Knobs) -> Graph:
    """update(params, gradients, state, lr, t) -> (params, state) for parameters of these shapes."""

    def update(params: Any, gradients: Any, state: Any, lr: Node, t: Node) -> Any:
        new_params: dict[str, Node] = {}
        new_state: dict[str, dict[str, Node]] = {slot: {} for slot in row.state}
        for name, w in params.items():
            slots = {slot: state[slot][name] for slot in row.state}
            scope = {"w": w, "g": gradients[name], "lr": lr, "t": t, **slots}
            new_params[name], changed = record_update(
                row, scope, w.tape, hyper, knobs, "" if len(params) == 1 else name
            )
            for slot, value in changed.items():
                new_state[slot][name] = value
        return new_params, new_state

    slots = {slot: {name: slot_shape(row, slot, shape) for name, shape in shapes.items()} for slot in row.state}
    arguments = {"params": dict(shapes), "gradients": dict(shapes), "state": slots, "lr": (), "t": ()}
    return Graph.trace(update, arguments)


def initial_state(row: Optimizer, hyper: Hyper, params: Mapping[str, np.ndarray]) -> dict[str, Arrays]:
    """The state before the first step: a number, a hyper-parameter, or a copy of the parameters."""
    state: dict[str, Arrays] = {}
    for slot, start in row.state.items():
        if isinstance(start, str) and start != "w" and start not in hyper:
            raise SpecError(f"{row.name}: state {slot} starts as {start!r}; known: w, {choices(hyper)}")
        state[slot] = {
            name: np.array(w, float)
            if start == "w"
            else np.full(slot_shape(row, slot, w.shape), hyper[start] if isinstance(start, str) else start)
            for name, w in params.items()
        }
    return state


def clip_gradients(row: Clipping, gradients: Mapping[str, Node], hyper: Hyper, knobs: Knobs) -> dict[str, Node]:
    """The gradients of all parameters, clipped: each by itself, or by `norm`, the norm of all together."""
    tape = next(iter(gradients.values())).tape
    squares = [GRAPH["sum"](g * g) for g in gradients.values()]
    norm = GRAPH["sqrt"](sum(squares[1:], squares[0]))
    return {
        name: record_row(row, row.formula, {"g": g, "norm": norm}, tape, hyper, knobs) for name, g in gradients.items()
    }


def learning_rates(row: Schedule, counts: np.ndarray, hyper: Hyper, knobs: Knobs) -> np.ndarray:
    """The learning rate at each of these counts of steps already taken."""
    (variable,) = VARIABLES["schedule"]

    def function(t: Node) -> Node:
        rate = record_row(row, row.formula, {variable: t}, t.tape, hyper, knobs)
        return GRAPH["broadcast"](rate, shape=t.shape)

    graph = Graph.trace(function, {"t": counts.shape})
    found: np.ndarray = evaluate(graph, NUMPY, {"t": np.asarray(counts, float)}, lambda node: node.options["value"])
    return np.array(found)
