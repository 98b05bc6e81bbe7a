"""An experiment as graphs: the objective of a batch, its update, and the evaluation of held-out samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crossnn.catalogue.build import batch_loss, initial_state, record_row, settings, update_graph
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import Assembly, add_regularizers, assemble, draw_masks, initial_parameters
from crossnn.catalogue.rows import Experiment, Formulated, Loss, Metric, Network, Optimizer, Regularizer, Row
from crossnn.errors import SpecError, unknown
from crossnn.experiment.data import Data, load_data
from crossnn.formula.derive import gradients
from crossnn.formula.evaluate import replay
from crossnn.formula.graph import Graph, Node
from crossnn.formula.shapes import Shape
from crossnn.formula.simplify import simplify

Arrays = dict[str, np.ndarray]
Rule = tuple[Optimizer, dict[str, float], dict[str, Any]]
"""An optimizer with its hyper-parameters and knobs."""


@dataclass
class Task:
    """Everything about an experiment that does not depend on a backend."""

    row: Experiment
    catalogue: Catalogue
    seed: int

    @cached_property
    def data(self) -> Data:
        network, _ = parts(self.row, self.catalogue)
        return load_data(self.row.data, self.row.seed + self.seed, self.row.held_out, tuple(network.input))

    @cached_property
    def plan(self) -> Assembly:
        """The network recorded once at the batch size."""
        network, _ = parts(self.row, self.catalogue)
        return assemble(
            network, self.catalogue, Node([], "input", shape=(self.row.batch_size, *network.input), name="x")
        )

    @cached_property
    def params(self) -> Arrays:
        return initial_parameters(self.plan, self.row.seed + self.seed)

    @property
    def state(self) -> dict[str, Arrays]:
        return first_state(self.optimizer, self._shapes["params"])

    @property
    def optimizer(self) -> Rule:
        return optimizer_of(self.row, self.catalogue)

    @property
    def batches(self) -> int:
        """Steps in an epoch; what is left over is not used, so that every batch has one shape."""
        return len(self.data.x) // self.row.batch_size

    def order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.row.seed + self.seed, 2, epoch]).permutation(len(self.data.x))

    def batch(self, epoch: int, number: int, order: np.ndarray) -> Arrays:
        """The inputs of one step: samples, targets and dropout masks."""
        chosen = order[number * self.row.batch_size : (number + 1) * self.row.batch_size]
        masks = draw_masks(self.plan, self.row.seed + self.seed, epoch * self.batches + number)
        return {"x": self.data.x[chosen], "t": self.data.t[chosen], **masks}

    @cached_property
    def _shapes(self) -> dict[str, Any]:
        first = self.batch(0, 0, np.arange(len(self.data.x)))
        return {
            "params": {name: value.shape for name, value in self.params.items()},
            "data": {name: value.shape for name, value in first.items()},
        }

    def _objective(self, params: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
        network, _ = parts(self.row, self.catalogue)
        draws = {name: data[name] for name in self.plan.draws}
        assembly = assemble(network, self.catalogue, data["x"], params=params, draws=draws)
        return objective_of(self.row, self.catalogue, assembly, data["t"])

    @cached_property
    def objective(self) -> Graph:
        """(params, data) -> the loss that is minimised, regularizers included."""
        return simplify(Graph.trace(self._objective, self._shapes))

    @cached_property
    def update(self) -> Graph:
        """(params, gradients, state, lr, t) -> (params, state)."""
        return simplify(update_graph(self.optimizer[0], self._shapes["params"], *self.optimizer[1:]))

    @cached_property
    def evaluation(self) -> Graph:
        """(params, data) -> {"loss": ..., metric: ...} on all held-out samples, in inference."""
        network, loss = parts(self.row, self.catalogue)

        def function(params: Any, data: Any) -> dict[str, Node]:
            y = assemble(network, self.catalogue, data["x"], training=False, params=params).prediction
            found = {"loss": batch_loss(loss, y, data["t"], *settings(loss, {}))}
            for name in self.row.metrics:
                metric = self.catalogue.find(name)
                if not isinstance(metric, Metric):
                    raise SpecError(f"{self.row.file}: [{self.row.name}]: {name!r} is not a metric")
                found[name] = record_row(
                    metric, metric.formula, {"y": y, "t": data["t"]}, y.tape, *settings(metric, {})
                )
            return found

        data = {"x": self.data.held_out_x.shape, "t": self.data.held_out_t.shape}
        return simplify(Graph.trace(function, {"params": self._shapes["params"], "data": data}))

    @cached_property
    def step(self) -> Graph:
        """One whole training step, symbolically: (params, state, data, lr, t) -> (loss, params, state)."""

        def function(params: Any, state: Any, data: Any, lr: Node, t: Node) -> Any:
            loss = self._objective(params, data)
            return (loss, *record_step(self.update, loss, params, state, lr, t))

        slots = dict.fromkeys(self.state, self._shapes["params"])
        shapes = {**self._shapes, "state": slots, "lr": (), "t": ()}
        order = ("params", "state", "data", "lr", "t")
        return simplify(Graph.trace(function, {name: shapes[name] for name in order}))


def objective_of(row: Experiment, catalogue: Catalogue, assembly: Assembly, t: Node) -> Node:
    """What an experiment minimises: the loss of the network's prediction, and the regularizers."""
    _, loss = parts(row, catalogue)
    value = batch_loss(loss, assembly.prediction, t, *settings(loss, {}))
    return add_regularizers(value, regularizers(row, catalogue), assembly.params)


def record_step(
    update: Graph, loss: Node, params: Mapping[str, Node], state: Mapping[str, Any], lr: Node, t: Node
) -> tuple[dict[str, Node], dict[str, dict[str, Node]]]:
    """Record the gradients of a loss and the update that they make: the new parameters and state."""
    found = dict(zip(params, gradients(loss, list(params.values())), strict=True))
    arguments = {"params": params, "gradients": found, "state": state, "lr": lr, "t": t}
    new_params, new_state = replay(update, arguments, lr.tape)
    return new_params, new_state


def first_state(rule: Rule, shapes: Mapping[str, Shape]) -> dict[str, Arrays]:
    """An optimizer's state before its first step, for parameters of these shapes."""
    optimizer, hyper, _ = rule
    start = initial_state(optimizer, hyper)
    return {slot: {name: np.full(shape, value) for name, shape in shapes.items()} for slot, value in start.items()}


def parts(row: Experiment, catalogue: Catalogue) -> tuple[Network, Loss]:
    """The network and the loss that an experiment names."""
    network, loss = _part(row, catalogue, "network", row.network), _part(row, catalogue, "loss", row.loss)
    assert isinstance(network, Network)
    assert isinstance(loss, Loss)
    return network, loss


def _part(row: Experiment, catalogue: Catalogue, kind: str, name: str) -> Row:
    """The row of this kind and name; SpecError with the names that would do."""
    known = {one.name: one for one in catalogue.of_kind(kind)}
    if name not in known:
        raise SpecError(f"{row.file}: [{row.name}]: {unknown(kind, name, known)}")
    return known[name]


def optimizer_of(row: Experiment, catalogue: Catalogue) -> Rule:
    """The optimizer that an experiment names, with its hyper-parameters and knobs set."""
    optimizer = _part(row, catalogue, "optimizer", str(row.optimizer.get("use", "")))
    assert isinstance(optimizer, Optimizer)
    return optimizer, *settings(optimizer, {key: value for key, value in row.optimizer.items() if key != "use"})


def regularizers(row: Experiment, catalogue: Catalogue) -> list[tuple[Formulated, dict[str, Any], str]]:
    """(regularizer, settings, parameter slot) for each of an experiment's regularizers."""
    terms: list[tuple[Formulated, dict[str, Any], str]] = []
    for term in row.regularizers:
        found = _part(row, catalogue, "regularizer", str(term.get("use", "")))
        assert isinstance(found, Regularizer)
        given = {key: value for key, value in term.items() if key not in ("use", "on")}
        terms.append((found, given, str(term.get("on", "kernel"))))
    return terms
