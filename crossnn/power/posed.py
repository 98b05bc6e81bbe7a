"""A mutant in the place of its original: it is given the original's inputs, and is judged by the original's truth.

What `check` compares is a subject: graphs and inputs, which give truth and noise. Here the graphs are the mutant's, and
truth and noise stay those of the original, as if a backend computed something else than the specification says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Formulated, Layer, Network, Optimizer, Row
from crossnn.errors import CrossnnError
from crossnn.formula.fingerprint import fingerprint
from crossnn.formula.graph import Graph
from crossnn.formula.oracle import Exact
from crossnn.parity.functions import function_subjects
from crossnn.parity.judge import Reference
from crossnn.parity.layers import layer_subjects
from crossnn.parity.networks import network_subjects
from crossnn.parity.optimizers import Steps, optimizer_steps
from crossnn.parity.paths import Path
from crossnn.parity.subject import Subject


@dataclass
class PosedSubject(Subject):
    """The mutant's graphs with the inputs, truth and noise of `original`."""

    original: Subject | None = None

    @property
    def quantities(self) -> tuple[str, ...]:
        assert self.original is not None
        return self.original.quantities

    def references(self, dtype: str) -> dict[str, Reference]:
        assert self.original is not None
        return self.original.references(dtype)


@dataclass
class PosedSteps(Steps):
    """The mutant's update on the path of `original`."""

    original: Steps | None = None
    changed: Graph | None = None

    @property
    def graph(self) -> Graph:
        assert self.changed is not None
        return self.changed

    def before(self, k: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        assert self.original is not None
        return self.original.before(k)

    @property
    def trajectory(self) -> dict[str, Exact]:
        assert self.original is not None
        return self.original.trajectory

    def references(self, dtype: str) -> dict[str, Reference]:
        assert self.original is not None
        return self.original.references(dtype)


Judged = Subject | Steps


def subjects(row: Row, catalogue: Catalogue, seed: int, like: Row | None = None) -> Sequence[Judged]:
    """What is judged of a row, in the cases of the row `like`: those that a mutant does not know are cases all the
    same."""
    match row:
        case Formulated():
            return function_subjects(row, seed, like if isinstance(like, Formulated) else None)
        case Layer():
            return layer_subjects(row, seed)
        case Network():
            return network_subjects(row, catalogue, seed)
        case Optimizer():
            return optimizer_steps(row, seed)
    raise CrossnnError(f"{row.name} is of kind {row.kind!r}; formulas and networks have mutants, this has none")


def posed(original: Judged, mutant: Judged) -> Judged | None:
    """The mutant in the place of the original; None where both compute the same by the same graph."""
    if isinstance(original, Steps):
        assert isinstance(mutant, Steps)
        one = Path(mutant.row, original.hyper, original.knobs, original.shape).step
        if fingerprint(one) == fingerprint(original.graph):
            return None
        return PosedSteps(**_fields(original), original=original, changed=one)
    assert isinstance(mutant, Subject)
    forward = _only(mutant.forward, original.forward.result)
    same = fingerprint(forward) == fingerprint(original.forward)
    both = mutant.scalar is not None and original.scalar is not None
    if same and (not both or fingerprint(mutant.scalar) == fingerprint(original.scalar)):  # type: ignore[arg-type]
        return None
    return PosedSubject(
        **{**_fields(original), "forward": forward, "scalar": mutant.scalar, "definition": None,
           "scalar_definition": None, "data": {**mutant.data, **original.data}},
        original=original,
    )  # fmt: skip


def _fields(one: Judged) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}


def _only(graph: Graph, names: Mapping[str, Any]) -> Graph:
    """The graph with those results that the original has."""
    if graph.result.keys() == names.keys():
        return graph
    return replace(graph, result={name: node for name, node in graph.result.items() if name in names})
