"""A study as graphs: an objective of one parameter w, without data and without a network, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crossnn.catalogue.build import constants
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Study
from crossnn.errors import SpecError
from crossnn.experiment.problem import Ending, Problem
from crossnn.experiment.rule import Arrays
from crossnn.formula.grammar import parse, parse_assignment
from crossnn.formula.graph import Graph, Node, record
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.oracle import exact
from crossnn.formula.source import compile_graph

PARAM = "w"
MOST_SHOWN = 2000
"""The numbers of a path that is kept whole."""


@dataclass
class StudyTask(Problem):
    """A study; its curve has a point for every step."""

    row: Study
    catalogue: Catalogue
    seed: int

    @property
    def params(self) -> Arrays:
        return {PARAM: np.array(self.row.start, np.float64)}

    @property
    def epochs(self) -> int:
        return self.row.steps

    @property
    def batches(self) -> int:
        return 1

    def batch(self, epoch: int, number: int, order: np.ndarray) -> Arrays:
        return {name: np.array(value, np.float64) for name, value in self.row.data.items()}

    def record_objective(self, params: Any, layers: Any, data: Any) -> tuple[Node, dict[str, Node]]:
        value = self._record(self.row.objective, {PARAM: params[PARAM], **data})
        if value.shape:
            raise SpecError(f"objective: has shape {value.shape}; one number is wanted, such as a sum over all of w")
        return value, {}

    def _record(self, text: str, names: Mapping[str, Node]) -> Node:
        tape = next(iter(names.values())).tape
        scope = {**constants(tape, self.row.params), **names}
        formula = parse(text)
        lines = [parse_assignment(line) for line in self.row.let]
        for line in lines if formula.names & {line.target for line in lines} else []:
            scope[str(line.target)] = record(line, scope, tape)
        return record(formula, scope, tape)

    @property
    def whole_path(self) -> bool:
        """Whether the parameters after every step are kept, or those after the last alone."""
        return self.row.steps * self.params[PARAM].size <= MOST_SHOWN

    @cached_property
    def ending(self) -> Ending:
        """The path: as the closed form says, in arbitrary precision, or as NumPy takes it."""
        if not self.row.closed_form:
            return Ending("path")
        kept = range(1, self.row.steps + 1) if self.whole_path else [self.row.steps]
        start, arrays = self.params[PARAM], self.batch(0, 0, self.order(0))
        shapes = {"w0": start.shape, "lr": (), "t": (), **{name: array.shape for name, array in arrays.items()}}

        def function(**names: Node) -> Node:
            w = self._record(self.row.closed_form, names)
            if w.shape != start.shape:
                raise SpecError(f"closed_form: has shape {w.shape}; w has {start.shape}")
            return w

        graph = Graph.trace(function, shapes)
        given = {"w0": start, "lr": np.float64(self.rule.optimizer.hyper["lr"]), **arrays}
        points = [exact(graph, {**given, "t": np.float64(t)})[0].hi for t in kept]
        return Ending("closed form", np.stack(points))

    def measures(self, params: Mapping[str, np.ndarray]) -> dict[str, float]:
        """What is said of parameters: the objective there, and how far the minimum is where that is known."""
        w = np.asarray(params[PARAM], np.float64)
        with np.errstate(all="ignore"):
            value = compile_graph(self.objective, "objective", NUMPY)({PARAM: w}, self.batch(0, 0, self.order(0)))
            found = {"objective": float(value)}
            if self.row.minimum:
                found["distance"] = float(np.linalg.norm(w - np.array(self.row.minimum, np.float64)))
        return found
