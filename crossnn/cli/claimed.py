"""Whether the derivative that a row claims is the derived one: at a few points, to all digits that the oracle gives."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from crossnn.catalogue.build import formula_graph, kinks_of
from crossnn.catalogue.rows import Formulated, Loss
from crossnn.cli.numbers import Plain, default_numbers
from crossnn.formula.graph import Graph
from crossnn.formula.oracle import AGREEMENT, Exact, exact

_POINTS = (-3.1, -1.2, -0.4, 0.3, 0.9, 2.7)
_INSIDE = (0.1, 0.25, 0.4, 0.6, 0.85)
"""Predictions that are probabilities."""


def agreement(one: Plain, derived: Graph) -> str:
    """A sentence; nothing of slopes in a direction. What is claimed of a loss that is a mean leaves out the 1/n."""
    if not isinstance(one.row, Formulated) or one.arriving:
        return ""
    terms = _terms(one)
    first = one.wrt[0]
    shapes = {name: node.shape for name, node in one.graph.arguments.items()}
    claimed = formula_graph(one.row, shapes, one.hyper, one.knobs, one.claimed)
    given = default_numbers(one)
    each = _points(one, float(given.get("t", np.zeros(())))) if one.elementwise else [given[first]]
    equal = 0
    for point in each:
        numbers = {**given, first: np.asarray(point, dtype=float)}
        (found,) = exact(derived, {name: numbers[name] for name in derived.arguments})
        (stated,) = exact(claimed, {name: numbers[name] for name in claimed.arguments})
        for place in np.ndindex(found.hi.shape):
            wanted, said = _whole(found, place, found.hi.shape) * terms, _whole(stated, place, found.hi.shape)
            if abs(wanted - said) > abs(said) * Fraction(10) ** -AGREEMENT:
                at = float(numbers[first][place])
                return f"differs at {first} = {at:g}: derived {float(wanted):.16g}, claimed {float(said):.16g}"
            equal += 1
    times = f"{terms} times " if terms > 1 else ""
    return f"equal to {times}the derived one, to {AGREEMENT} digits, at {equal} points"


def _whole(value: Exact, place: tuple[int, ...], shape: tuple[int, ...]) -> Fraction:
    """Both parts together, without rounding."""
    return sum((Fraction(float(np.broadcast_to(part, shape)[place])) for part in (value.hi, value.lo)), Fraction())


def _terms(one: Plain) -> int:
    """How many numbers are averaged in a loss that is one number."""
    if one.elementwise or not isinstance(one.row, Loss) or one.graph.result.shape:
        return 1
    shape = one.graph.arguments[one.wrt[0]].shape
    return math.prod(shape) if one.row.acts_on == "element" else shape[0]


def _points(one: Plain, target: float) -> list[float]:
    """In the domain, away from kinks; the kinks of a loss are values of y - t."""
    row = one.row
    assert isinstance(row, Formulated)
    shift = target if isinstance(row, Loss) else 0.0
    kinks = kinks_of(row, one.hyper, one.knobs)
    domain = row.prediction if isinstance(row, Loss) else "real"
    points = list(_INSIDE if domain == "probability" else _POINTS)
    if domain == "nonnegative":
        points = [abs(point) for point in points]
    return [point for point in points if all(abs(point - shift - kink) > 1e-3 for kink in kinks)]
