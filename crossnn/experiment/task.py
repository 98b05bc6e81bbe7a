"""An experiment as graphs: the objective of a batch, its update, and the evaluation of held-out samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.build import batch_loss, settings
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import (
    Assembly,
    add_regularizers,
    assemble,
    draw_masks,
    initial_layer_state,
    initial_parameters,
)
from crossnn.catalogue.rows import Experiment, Formulated, Loss, Metric, Network, Regularizer
from crossnn.errors import SpecError
from crossnn.experiment.closed_forms import frequencies, least_squares, unit_inputs
from crossnn.experiment.data import Data, load_data
from crossnn.experiment.problem import Ending, Problem
from crossnn.experiment.rule import Arrays, chosen, part
from crossnn.formula.graph import Graph, Node, map_tree, shape_of
from crossnn.formula.simplify import simplify


@dataclass
class Task(Problem):
    """An experiment, its data read and its network recorded when they are asked for."""

    row: Experiment
    catalogue: Catalogue
    seed: int

    @cached_property
    def network(self) -> Network:
        """The network, taking samples of the shape that the experiment says."""
        network, _ = parts(self.row, self.catalogue)
        return msgspec.structs.replace(network, input=self.row.input or network.input)

    @cached_property
    def loss(self) -> Loss:
        return parts(self.row, self.catalogue)[1]

    @cached_property
    def data(self) -> Data:
        return load_data(
            self.row.data, self.row.seed + self.seed, self.row.held_out, tuple(self.network.input),
            target=self.loss.target, tokens=self.network.tokens, normalise=self.row.normalise, samples=self.row.samples,
        )  # fmt: skip

    @property
    def batch_size(self) -> int:
        """The samples of a step."""
        return len(self.data.x) if self.row.batch_size == "full" else self.row.batch_size

    @cached_property
    def plan(self) -> Assembly:
        """The network recorded once at the batch size."""
        dtype = "index" if self.network.tokens else "float"
        x = Node([], "input", shape=(self.batch_size, *self.network.input), dtype=dtype, name="x")
        return assemble(self.network, self.catalogue, x)

    @cached_property
    def params(self) -> Arrays:
        return initial_parameters(self.plan, self.row.seed + self.seed)

    @cached_property
    def layers(self) -> Arrays:
        return initial_layer_state(self.plan, self.row.seed + self.seed)

    @property
    def epochs(self) -> int:
        return self.row.epochs

    @property
    def batches(self) -> int:
        """Steps in an epoch; what is left over is not used, so that every batch has one shape."""
        return len(self.data.x) // self.batch_size

    def order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.row.seed + self.seed, 2, epoch]).permutation(len(self.data.x))

    def batch(self, epoch: int, number: int, order: np.ndarray) -> Arrays:
        """The inputs of one step: samples, targets and random draws."""
        chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
        masks = draw_masks(self.plan, self.row.seed + self.seed, epoch * self.batches + number)
        return {"x": self.data.x[chosen], "t": self.data.t[chosen], **masks}

    def record_objective(self, params: Any, layers: Any, data: Any) -> tuple[Node, dict[str, Node]]:
        draws = {name: data[name] for name in self.plan.draws}
        assembly = assemble(self.network, self.catalogue, data["x"], params=params, state=layers, draws=draws)
        return objective_of(self.row, self.catalogue, assembly, data["t"]), dict(assembly.new_state)

    def record_inference(self, params: Any, layers: Any, x: Node) -> Node:
        """Record the prediction after training, which draws nothing and keeps the running statistics."""
        return assemble(self.network, self.catalogue, x, training=False, params=params, state=layers).prediction

    @cached_property
    def evaluation(self) -> Graph:
        """(params, layers, data) -> {"loss": ..., metric: ...} on all held-out samples, in inference."""

        def function(params: Any, layers: Any, data: Any) -> dict[str, Node]:
            y = self.record_inference(params, layers, data["x"])
            found = {"loss": batch_loss(self.loss, y, data["t"], *settings(self.loss, {}))}
            for name in self.row.metrics:
                metric = self.catalogue.find(name)
                if not isinstance(metric, Metric):
                    raise SpecError(f"{self.row.file}: [{self.row.name}]: {name!r} is not a metric")
                found[name] = chosen(self.row, self.catalogue, Metric, {"use": name}).record({"y": y, "t": data["t"]})
            return found

        return self._traced(function, self.held_out)

    @cached_property
    def prediction(self) -> Graph:
        """(params, layers, data) -> what the network says of a batch, in inference."""

        def function(params: Any, layers: Any, data: Any) -> Node:
            return self.record_inference(params, layers, data["x"])

        return self._traced(function, {"x": self.data.x[: self.batch_size]})

    def _traced(self, function: Any, data: Mapping[str, np.ndarray]) -> Graph:
        shapes = {**{name: self.shapes[name] for name in ("params", "layers")}, "data": map_tree(shape_of, dict(data))}
        return simplify(Graph.trace(function, shapes))

    @property
    def held_out(self) -> Arrays:
        return {"x": self.data.held_out_x, "t": self.data.held_out_t}

    @cached_property
    def ending(self) -> Ending | None:
        match self.row.closed_form:
            case "least_squares":
                found = Ending("least squares", least_squares(self.data.x, self.data.t))
                x = unit_inputs(self.data.x.shape[1:])
            case "frequencies":
                x, truth = frequencies(self.data.x, self.data.t)
                found = Ending("frequencies", truth)
            case "targets":
                x, found = self.data.held_out_x, Ending("targets", self.data.held_out_t)
            case _:
                return None

        def function(params: Any, layers: Any, data: Any) -> Node:
            return self.record_inference(params, layers, data["x"])

        return dataclasses.replace(found, graph=self._traced(function, {"x": x}), data={"x": x})


def objective_of(row: Experiment, catalogue: Catalogue, assembly: Assembly, t: Node) -> Node:
    """What an experiment minimises: the loss of the network's prediction, and the regularizers."""
    _, loss = parts(row, catalogue)
    value = batch_loss(loss, assembly.prediction, t, *settings(loss, {}))
    return add_regularizers(value, regularizers(row, catalogue), assembly.params)


def parts(row: Experiment, catalogue: Catalogue) -> tuple[Network, Loss]:
    """The network and the loss that an experiment names."""
    network, loss = part(row, catalogue, Network, row.network), part(row, catalogue, Loss, row.loss)
    assert isinstance(network, Network)
    assert isinstance(loss, Loss)
    return network, loss


def regularizers(row: Experiment, catalogue: Catalogue) -> list[tuple[Formulated, dict[str, Any], str]]:
    """(regularizer, settings, parameter slot) for each of an experiment's regularizers."""
    terms: list[tuple[Formulated, dict[str, Any], str]] = []
    for term in row.regularizers:
        found = part(row, catalogue, Regularizer, str(term.get("use", "")))
        assert isinstance(found, Regularizer)
        given = {key: value for key, value in term.items() if key not in ("use", "on")}
        terms.append((found, given, str(term.get("on", "kernel"))))
    return terms
