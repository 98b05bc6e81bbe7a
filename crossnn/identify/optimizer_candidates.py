"""Candidates: every optimizer of the catalogue in every convention, with its hyper-parameters left open.

A candidate is compiled once, with hyper-parameters as arguments: for rows in which no element meets another, arrays of
them, so that hundreds of assignments cost hardly more than one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from crossnn.catalogue.build import default_knobs, knob_choices
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Optimizer
from crossnn.catalogue.updates import record_update, slot_shape
from crossnn.formula.graph import Graph, Node
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.shapes import Shape
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph

Values = Mapping[str, float]


@dataclass(frozen=True)
class Candidate:
    """One row in one convention. `needs` are the hyper-parameters that make a difference in it, without lr."""

    row: Optimizer
    knobs: Mapping[str, Any]
    needs: tuple[str, ...]
    size: int
    at_once: bool
    steps: dict[Shape, Callable[..., Any]]

    @property
    def simplicity(self) -> tuple[int, int, int, int]:
        """Smaller is simpler: hyper-parameters, state, operations, conventions other than the published ones."""
        usual = default_knobs(self.row)
        moved = sum(usual[name] != value for name, value in self.knobs.items())
        return len(self.needs), len(self.row.state), moved, self.size

    def run(
        self, w: np.ndarray, gradients: np.ndarray, rates: np.ndarray | None, assigned: Sequence[Values]
    ) -> dict[str, np.ndarray]:
        """Parameters and slots after each step, for each assignment: (steps, assignments, numbers). Without `rates`
        the learning rate is the assigned one in all steps."""
        with np.errstate(all="ignore"):
            if self.at_once:
                hyper = {name: np.array([[one[name]] for one in assigned]) for name in assigned[0]}
                return self._run(w, gradients, rates, hyper, (len(assigned), 1))
            each = [self._run(w, gradients, rates, dict(one), ()) for one in assigned]
        return {name: np.concatenate([one[name] for one in each], axis=1) for name in each[0]}

    def _run(
        self, w: np.ndarray, gradients: np.ndarray, rates: np.ndarray | None, hyper: Mapping[str, Any], wide: Shape
    ) -> dict[str, np.ndarray]:
        shape = w.shape
        if not self.at_once and shape not in self.steps:
            self.steps[shape] = compile_graph(_recorded(self.row, self.knobs, shape), self.row.name, NUMPY)
        step = self.steps[() if self.at_once else shape]
        state: dict[str, Any] = {}
        for slot, start in self.row.state.items():
            value = w if start == "w" else hyper[start] if isinstance(start, str) else start
            of_slot = slot_shape(self.row, slot, shape)
            state[slot] = np.array(np.broadcast_to(value, np.broadcast_shapes(np.shape(value), of_slot)))
        current: Any = w
        kept: dict[str, list[np.ndarray]] = {name: [] for name in ("w", *self.row.state)}
        for k, g in enumerate(gradients):
            lr = hyper["lr"] if rates is None else np.float64(rates[k])
            current, state = step(current, g, state, lr, np.float64(k + 1), hyper)
            for name, value in (("w", current), *state.items()):
                kept[name].append(_spread(np.asarray(value), wide, shape))
        return {name: np.stack(found) for name, found in kept.items()}


def _spread(value: np.ndarray, wide: Shape, shape: Shape) -> np.ndarray:
    """As (assignments, numbers); a slot of one number for a parameter stays one number."""
    if wide:
        number = value.shape[-1] if value.ndim and value.shape[-1] in (1, *shape[-1:]) else 1
        return np.array(np.broadcast_to(value, (wide[0], number)))
    return value.reshape(1, -1)


@cache
def candidates(files: tuple[str, ...] = ()) -> tuple[Candidate, ...]:
    """All of them, in the order of the catalogue."""
    rows = [row for row in load_catalogue(files).of_kind("optimizer") if isinstance(row, Optimizer)]
    return tuple(_candidate(row, knobs) for row in rows for knobs in knob_choices(row))


def _recorded(row: Optimizer, knobs: Mapping[str, Any], shape: Shape) -> Graph:
    """The update of one parameter with its hyper-parameters as arguments; `lr` among them is that of its making."""

    def update(w: Node, g: Node, state: Any, lr: Node, t: Node, hyper: Any) -> Any:
        return record_update(row, {**hyper, "w": w, "g": g, "lr": lr, "t": t, **state}, w.tape, {}, knobs)

    slots = {slot: slot_shape(row, slot, shape) for slot in row.state}
    hyper = dict.fromkeys(row.params, ())
    return simplify(Graph.trace(update, {"w": shape, "g": shape, "state": slots, "lr": (), "t": (), "hyper": hyper}))


def _candidate(row: Optimizer, knobs: Mapping[str, Any]) -> Candidate:
    graph = _recorded(row, knobs, (2, 3) if row.acts_on == "matrix" else (16,))
    live = graph.live()
    inputs = {id(node) for node in live}
    reached = [name for name, node in graph.arguments["hyper"].items() if id(node) in inputs]
    starts = [start for slot, start in row.state.items() if isinstance(start, str) and _matters(graph, slot, inputs)]
    needs = tuple(name for name in row.params if name != "lr" and name in {*reached, *starts})
    elementwise = all(not node.inputs or PRIMITIVES[node.operation].elementwise for node in live)
    steps: dict[Shape, Callable[..., Any]] = {(): compile_graph(graph, row.name, NUMPY)} if elementwise else {}
    operations = sum(bool(node.inputs) for node in live)
    return Candidate(row, knobs, needs, operations, elementwise, steps)


def _matters(graph: Graph, slot: str, inputs: set[int]) -> bool:
    return id(graph.arguments["state"][slot]) in inputs
