"""How parameters move: an optimizer with its schedule, clipping and constraints, as one update.

The update is one graph of parameters and gradients: gradients are clipped, the optimizer moves, constraints are made
to hold. The learning rate comes from outside, a number a step, which the core computes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Clipping, Constraint, Formulated, Optimizer, Row, Schedule, Trained
from crossnn.catalogue.updates import clip_gradients, initial_state, learning_rates, update_graph
from crossnn.errors import SpecError, unknown
from crossnn.formula.derive import gradients
from crossnn.formula.evaluate import replay
from crossnn.formula.graph import Graph, Node, map_tree
from crossnn.formula.shapes import Shape
from crossnn.formula.simplify import simplify

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Chosen:
    """A row with its hyper-parameters and knobs."""

    row: Any
    hyper: dict[str, float]
    knobs: dict[str, Any]

    def record(self, names: Mapping[str, Node]) -> Node:
        """Its formula of these variables."""
        row: Formulated = self.row
        return record_row(row, row.formula, names, next(iter(names.values())).tape, self.hyper, self.knobs)


@dataclass(frozen=True)
class Rule:
    """An optimizer, and what changes its learning rate, its gradients and its result."""

    optimizer: Chosen
    schedule: Chosen | None = None
    clip: Chosen | None = None
    constraints: tuple[tuple[Chosen, str], ...] = ()

    def rates(self, steps: int) -> np.ndarray:
        """The learning rate of each step."""
        if self.schedule is None:
            return np.full(steps, self.optimizer.hyper["lr"])
        found = learning_rates(self.schedule.row, np.arange(float(steps)), self.schedule.hyper, self.schedule.knobs)
        return np.asarray(found, np.float64)

    def start(self, params: Mapping[str, np.ndarray]) -> dict[str, Arrays]:
        """The optimizer's state before the first step."""
        return initial_state(self.optimizer.row, self.optimizer.hyper, params)

    def update(self, shapes: Mapping[str, Shape]) -> Graph:
        """(params, gradients, state, lr, t) -> (params, state) for parameters of these shapes."""
        plain = update_graph(self.optimizer.row, shapes, self.optimizer.hyper, self.optimizer.knobs)
        if self.clip is None and not self.constraints:
            return simplify(plain)

        def function(params: Any, gradients: Any, state: Any, lr: Node, t: Node) -> Any:
            if self.clip is not None:
                gradients = clip_gradients(self.clip.row, gradients, self.clip.hyper, self.clip.knobs)
            given = {"params": params, "gradients": gradients, "state": state, "lr": lr, "t": t}
            moved, state = replay(plain, given, lr.tape)
            return {path: self._obeying(path, w) for path, w in moved.items()}, state

        return simplify(Graph.trace(function, map_tree(lambda node: node.shape, dict(plain.arguments))))

    def _obeying(self, path: str, w: Node) -> Node:
        for constraint, slot in self.constraints:
            if path.rsplit(".", 1)[-1] == slot:
                w = constraint.record({"w": w})
        return w


def rule_of(row: Trained, catalogue: Catalogue) -> Rule:
    """The rule that an experiment or a study describes; SpecError with what there is for a name that is not."""
    optimizer = chosen(row, catalogue, Optimizer, row.optimizer)
    schedule = chosen(row, catalogue, Schedule, row.schedule) if row.schedule else None
    if schedule is not None and "lr" in schedule.hyper and "lr" not in row.schedule:
        schedule.hyper["lr"] = optimizer.hyper["lr"]
    return Rule(
        optimizer,
        schedule,
        chosen(row, catalogue, Clipping, row.clip) if row.clip else None,
        tuple((chosen(row, catalogue, Constraint, one), str(one.get("on", "w"))) for one in row.constraints),
    )


def chosen(row: Row, catalogue: Catalogue, wanted: type[Row], table: Mapping[str, Any]) -> Chosen:
    """The row that a table names by `use`, with the settings that it gives."""
    found = part(row, catalogue, wanted, str(table.get("use", "")))
    return Chosen(found, *settings(found, {key: value for key, value in table.items() if key not in ("use", "on")}))


def part(row: Row, catalogue: Catalogue, wanted: type[Row], name: str) -> Row:
    """The row of this kind and name; SpecError with the names that would do."""
    known = {one.name: one for one in catalogue.of_kind(wanted.kind)}
    if name not in known:
        raise SpecError(f"{row.file}: [{row.name}]: {unknown(wanted.kind, name, known)}")
    return known[name]


def record_step(
    update: Graph, objective: Node, params: Mapping[str, Node], state: Mapping[str, Any], lr: Node, t: Node
) -> tuple[dict[str, Node], dict[str, dict[str, Node]]]:
    """Record the gradients of an objective and the update that they make: the new parameters and state."""
    found = dict(zip(params, gradients(objective, list(params.values())), strict=True))
    arguments = {"params": params, "gradients": found, "state": state, "lr": lr, "t": t}
    new_params, new_state = replay(update, arguments, lr.tape)
    return new_params, new_state
