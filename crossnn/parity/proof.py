"""A specification against itself, in arbitrary precision: its formula against its definition, and the derivative that
it claims against the derived one. No backend takes part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.rows import Activation, Loss, Regularizer, Row
from crossnn.formula.graph import GRAPH, Graph, Node, constant
from crossnn.formula.oracle import AGREEMENT, Exact, exact
from crossnn.formula.shapes import Shape
from crossnn.parity.judge import Judgement
from crossnn.parity.optimizers import Steps
from crossnn.parity.rule import ROUNDOFF
from crossnn.parity.subject import Subject
from crossnn.runs.cell import Verdict, Worst, finite


def proofs(row: Row, subjects: Sequence[Subject | Steps]) -> Iterator[tuple[str, str, Judgement]]:
    """(quantity, case, judgement) for everything that the row states twice; each is an agreement to 25 digits."""
    stated = False
    for subject in subjects:
        if not isinstance(subject, Subject) or not _states_anew(subject):
            continue
        if subject.definition is not None:
            stated = True
            plain = replace(subject, definition=None, scalar_definition=None)
            for quantity in subject.quantities:
                found = _same(subject.truth[quantity], plain.truth[quantity], subject, quantity)
                yield f"formula = definition: {quantity}", subject.case, found
        if isinstance(row, Activation | Loss | Regularizer) and row.derivative:
            stated = True
            claim = _claimed_gradients(row, subject)
            for quantity, claimed in claim.items():
                found = _same(subject.truth[quantity], claimed, subject, quantity)
                where = quantity.removeprefix("gradient").removeprefix("slope")
                yield f"claimed derivative{where}", subject.case, found
    if not stated:
        yield "-", "", Judgement("NOT-RUN", message="states no definition and no derivative")


def _states_anew(subject: Subject) -> bool:
    """Another reduction or other weights of a loss state nothing that its mean does not."""
    plain = subject.settings.get("reduction", "mean") == "mean" and not subject.settings.get("weights")
    return plain and not subject.tabulated


def _claimed_gradients(row: Activation | Loss | Regularizer, subject: Subject) -> dict[str, Exact]:
    """The claimed derivative, weighted as the subject's gradient is; of a loss also at each end of its domain."""
    given = {key: value for key, value in subject.settings.items() if key not in ("reduction", "weights")}
    hyper, knobs = settings(row, given)
    first = next(iter(subject.params))
    shape = subject.params[first].shape
    terms = float(np.prod(shape) if row.acts_on == "element" else shape[0]) if isinstance(row, Loss) else 1.0
    ends = {arguments[0]: arguments for quantity, arguments in subject.calls.items() if quantity.startswith("at ")}

    def slope(names: Mapping[str, Node], shape: Shape) -> Node:
        claimed = record_row(row, row.derivative, names, names[first].tape, hyper, knobs)
        return GRAPH["broadcast"](claimed, shape=shape)

    def claimed(params: Any, data: Any) -> Any:
        names = {key: node for key, node in {**params, **data}.items() if key in ("t", *subject.params)}
        inner = slope({key: node for key, node in names.items() if key not in ends}, shape)
        weighted = inner * data["weights"] if "weights" in data else inner / constant(inner.tape, terms)
        found = {subject.gradient_name(first): weighted}
        for y, t in ends.values():
            found[subject.gradient_name(y)] = slope({"y": params[y], "t": data[t]}, params[y].shape)
        return found

    graph = Graph.trace(claimed, subject.shapes)
    return dict(zip(graph.result, exact(graph, subject.arguments), strict=True))


def _same(truth: Exact, other: Exact, subject: Subject, quantity: str) -> Judgement:
    """Agreement of two values that are both exact, to 25 digits; kinks are left out."""
    with np.errstate(all="ignore"):
        error = np.abs((truth.hi - other.hi) + (truth.lo - other.lo))
        relative = np.where(error == 0, 0.0, error / np.abs(truth.hi))
    for kink in subject.kinks:
        if kink.quantity == quantity:
            relative[kink.index] = 0.0
    same = (truth.hi == other.hi) | (np.isnan(truth.hi) & np.isnan(other.hi))
    relative = np.where(same & ~np.isfinite(truth.hi), 0.0, np.where(np.isnan(relative), np.inf, relative))
    index = np.unravel_index(int(np.argmax(relative)), relative.shape)
    largest = float(relative[index])
    digits = 32.0 if largest == 0 else max(0.0, min(32.0, -math.log10(largest)))
    worst = Worst(tuple(map(int, index)), repr(float(truth.hi[index])), repr(float(other.hi[index])))
    verdict: Verdict = "EQUAL" if largest <= 10.0**-AGREEMENT else "FORMULA"
    return Judgement(verdict, finite(largest / ROUNDOFF["float64"]), round(digits, 2), worst)
