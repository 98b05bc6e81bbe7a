"""A specification against itself, in arbitrary precision: its formula against its definition, and the derivative that
it claims against the derived one. No backend takes part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.rows import Activation, Loss, Row
from crossnn.formula.graph import GRAPH, Graph, Node, constant
from crossnn.formula.oracle import AGREEMENT, Exact, exact
from crossnn.parity.judge import Judgement
from crossnn.parity.optimizers import Steps
from crossnn.parity.rule import ROUNDOFF
from crossnn.parity.subject import Subject
from crossnn.runs.cell import Verdict, Worst, finite


def proofs(row: Row, subjects: Sequence[Subject | Steps]) -> Iterator[tuple[str, str, Judgement]]:
    """(quantity, case, judgement) for everything that the row states twice; each is an agreement to 25 digits."""
    stated = False
    for subject in subjects:
        if not isinstance(subject, Subject):
            continue
        if subject.definition is not None:
            stated = True
            plain = replace(subject, definition=None, scalar_definition=None)
            for quantity in subject.quantities:
                found = _same(subject.truth[quantity], plain.truth[quantity], subject, quantity)
                yield f"formula = definition: {quantity}", subject.case, found
        if isinstance(row, Activation | Loss) and row.derivative:
            stated = True
            found = _same(subject.truth["gradient"], _claimed_gradient(row, subject), subject, "gradient")
            yield "claimed derivative", subject.case, found
    if not stated:
        yield "-", "", Judgement("NOT-RUN", message="states no definition and no derivative")


def _claimed_gradient(row: Activation | Loss, subject: Subject) -> Exact:
    """The claimed derivative, weighted as the subject's gradient is."""
    hyper, knobs = settings(row, {key: value for key, value in subject.settings.items() if key != "reduction"})
    (variable,) = subject.params
    shape = subject.params[variable].shape
    terms = float(np.prod(shape) if row.acts_on == "element" else shape[0])

    def claimed(params: Any, data: Any) -> Node:
        tape = params[variable].tape
        names = {variable: params[variable], **{key: node for key, node in data.items() if key != "weights"}}
        slope = GRAPH["broadcast"](record_row(row, row.derivative, names, tape, hyper, knobs), shape=shape)
        return slope * data["weights"] if "weights" in data else slope / constant(tape, terms)

    return exact(Graph.trace(claimed, subject.shapes), subject.arguments)[0]


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
