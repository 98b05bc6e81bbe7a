"""Candidates: every formula of a kind of the catalogue, such as all activations, in every convention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from crossnn.catalogue.build import default_knobs, knob_choices, record_row, used_params
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import VARIABLES, Formulated, Loss, Metric
from crossnn.formula.graph import Graph, shape_of
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph

Arguments = tuple[np.ndarray, ...]
Settings = Mapping[str, float]
Domain = tuple[Any, ...]


@dataclass(frozen=True)
class Candidate:
    """One row in one convention."""

    row: Formulated
    knobs: Mapping[str, Any]
    needs: tuple[str, ...]
    compiled: dict[Any, Callable[..., Any]] = field(default_factory=dict)

    @property
    def simplicity(self) -> tuple[int, int, int]:
        usual = default_knobs(self.row)
        return len(self.needs), sum(usual[name] != one for name, one in self.knobs.items()), len(self.row.formula)

    def value(self, arguments: Arguments, hyper: Settings) -> np.ndarray:
        """The formula of these arguments."""
        shapes = tuple((shape_of(one), one.dtype.kind) for one in arguments)
        if shapes not in self.compiled:
            self.compiled[shapes] = self._compile(arguments)
        with np.errstate(all="ignore"):
            found = self.compiled[shapes](*arguments, {name: np.float64(hyper[name]) for name in self.row.params})
        return np.asarray(found)

    def _compile(self, arguments: Arguments) -> Callable[..., Any]:
        names = variables(self.row)
        given = dict(zip(names, map(shape_of, arguments), strict=True))

        def function(hyper: Any, **named: Any) -> Any:
            tape = named[names[0]].tape
            return record_row(self.row, self.row.formula, {**named, **hyper}, tape, {}, self.knobs)

        shapes: dict[str, Any] = {**given, "hyper": dict.fromkeys(self.row.params, ())}
        graph = Graph.trace(lambda **every: function(**every), shapes)
        return compile_graph(simplify(graph), self.row.name, NUMPY)


def variables(row: Formulated) -> tuple[str, ...]:
    """What it is a function of."""
    if isinstance(row, Loss) and row.inputs:
        return ("y", *row.inputs)
    return VARIABLES[row.kind]


@cache
def candidates(kind: str) -> tuple[Candidate, ...]:
    """All of a kind, in the order of the catalogue."""
    rows = [row for row in load_catalogue().of_kind(kind) if isinstance(row, Formulated)]
    return tuple(
        Candidate(row, knobs, tuple(name for name in row.params if name in used_params(row, knobs)))
        for row in rows for knobs in knob_choices(row)
    )  # fmt: skip


def domain_of(row: Formulated) -> Domain:
    """What its arguments are drawn from."""
    if isinstance(row, Loss):
        return (row.acts_on, row.prediction, row.target if not row.inputs else tuple(row.inputs))
    if isinstance(row, Metric):
        return (row.acts_on, row.prediction, row.target)
    return ()
