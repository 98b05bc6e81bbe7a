"""What the training loop is given: an objective, its parameters, the inputs of every step, and what is asked at the
end. An experiment (`task.py`) and a study (`study.py`) are two kinds of it; no backend is known here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Trained
from crossnn.experiment.rule import Arrays, Rule, record_step, rule_of
from crossnn.formula.graph import Graph, Node, map_tree, shape_of
from crossnn.formula.simplify import simplify


@dataclass(frozen=True)
class Ending:
    """What a training must arrive at: `truth`, up to rounding; without it, what NumPy's own training arrives at.

    `graph` computes it from (params, layers, data); without it, the path of the parameters is meant."""

    name: str
    truth: np.ndarray | None = None
    graph: Graph | None = None
    data: Mapping[str, np.ndarray] | None = None


class Problem(ABC):
    """Everything about a training that does not depend on a backend."""

    row: Trained
    catalogue: Catalogue
    seed: int

    @property
    @abstractmethod
    def params(self) -> Arrays:
        """Parameters before the first step."""

    @property
    def layers(self) -> Arrays:
        """Running statistics before the first step; empty where no layer has any."""
        return {}

    @property
    @abstractmethod
    def epochs(self) -> int:
        """How many points the curve has; after each, what is held out is evaluated."""

    @property
    @abstractmethod
    def batches(self) -> int:
        """Steps of an epoch."""

    def order(self, epoch: int) -> np.ndarray:
        """The samples in the order of this epoch."""
        return np.arange(0)

    @abstractmethod
    def batch(self, epoch: int, number: int, order: np.ndarray) -> Arrays:
        """The inputs of one step besides parameters and state."""

    @abstractmethod
    def record_objective(self, params: Any, layers: Any, data: Any) -> tuple[Node, dict[str, Node]]:
        """Record what is minimised, and the running statistics after the step."""

    @property
    def evaluation(self) -> Graph | None:
        """(params, layers, data) -> {"loss": ..., metric: ...} of what is held out."""
        return None

    @property
    def held_out(self) -> Arrays:
        """The data of the evaluation."""
        return {}

    @property
    def ending(self) -> Ending | None:
        """What the training must arrive at, where that is known or shown."""
        return None

    @cached_property
    def rule(self) -> Rule:
        return rule_of(self.row, self.catalogue)

    @property
    def state(self) -> dict[str, Arrays]:
        """The optimizer's state before the first step."""
        return self.rule.start(self.params)

    @cached_property
    def rates(self) -> np.ndarray:
        """The learning rate of each step."""
        return self.rule.rates(self.epochs * self.batches)

    @cached_property
    def shapes(self) -> dict[str, Any]:
        """The shapes with which a step is recorded."""
        arguments = {
            "params": self.params, "state": self.state, "layers": self.layers, "data": self.batch(0, 0, self.order(0)),
        }  # fmt: skip
        return {**map_tree(shape_of, arguments), "lr": (), "t": ()}

    @cached_property
    def objective(self) -> Graph:
        """(params, data) -> what is minimised; with running statistics, (params, layers, data) -> (that, new ones)."""

        def plain(params: Any, data: Any) -> Node:
            return self.record_objective(params, {}, data)[0]

        names = ("params", "layers", "data") if self.layers else ("params", "data")
        function = self.record_objective if self.layers else plain
        return simplify(Graph.trace(function, {name: self.shapes[name] for name in names}))

    @cached_property
    def update(self) -> Graph:
        """(params, gradients, state, lr, t) -> (params, state)."""
        return self.rule.update(self.shapes["params"])

    @cached_property
    def step(self) -> Graph:
        """One whole step, symbolically: (params, state, layers, data, lr, t) -> (loss, params, state, layers)."""

        def function(params: Any, state: Any, layers: Any, data: Any, lr: Node, t: Node) -> Any:
            loss, layers = self.record_objective(params, layers, data)
            return (loss, *record_step(self.update, loss, params, state, lr, t), layers)

        return simplify(Graph.trace(function, self.shapes))
