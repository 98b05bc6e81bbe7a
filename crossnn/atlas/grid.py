"""Dense grids of inputs: every magnitude of a dtype, extremes, the places where functions bend, ordinary numbers.

All points are numbers of the dtype, so that no error is one of the input. Their count depends on the dtype alone: a
framework that compiles for each shape compiles each primitive once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from crossnn.atlas.axis import POSITIVE, PROBABILITY, value
from crossnn.atlas.ulp import FORMATS, rounded, spacing

COUNTS: Mapping[str, int] = {"float64": 2048, "float32": 2048, "bfloat16": 1024}
"""Samples of a line, for all its targets together; powers of two, so that the mean of as many numbers is as exact as
their sum."""
GAP = (5e8, 1e15)
"""Left out: exp of such a number has an exponent with which one point takes the oracle as long as a thousand others.
What functions do there, they do at 1e8 and at 1e16."""
STEPS = (-16, -3, -2, -1, 0, 1, 2, 3, 16)
"""Points around a special one, in spacings."""
NEAR = (-1e-2, -1e-4, 1e-4, 1e-2)
"""And in parts of it."""


def grid(axis: str, dtype: str, special: Iterable[float] = (), parts: int = 1) -> np.ndarray:
    """The points in ascending order, -0.0 before 0.0; with several `parts`, so many times fewer."""
    count = COUNTS[dtype] // parts
    least = _valid(_special(axis, dtype, special), axis, dtype)
    more = [_by_order(axis, dtype, count // 4)]
    if axis != PROBABILITY:
        more.append(np.linspace(-30, 30, count // 8))
    points = _filled(least, _valid(np.concatenate(more), axis, dtype), count)
    for wanted in (count, 2 * count, 4 * count):  # in a short dtype many coincide
        even = _valid(value((np.arange(wanted) + 0.5) / wanted, axis, dtype), axis, dtype)
        if np.union1d(points, even).size >= count:
            break
    whole = _filled(points, even, count - (axis != PROBABILITY))
    if axis != PROBABILITY:
        whole = np.insert(whole, int(np.searchsorted(whole, 0.0)), -0.0)
    return np.concatenate([whole, np.full(count - whole.size, whole[-1])])


def _filled(points: np.ndarray, others: np.ndarray, count: int) -> np.ndarray:
    """So many at most: these points, and an even choice of the others for which there is room."""
    others = np.setdiff1d(others, points)
    if points.size + others.size > count:
        room = max(count - points.size, 0)
        others = others[np.unique(np.linspace(0, others.size - 1, room).astype(int))]
    whole = np.union1d(points, others)
    return np.asarray(whole[np.unique(np.linspace(0, whole.size - 1, min(count, whole.size)).astype(int))])


def _special(axis: str, dtype: str, special: Iterable[float]) -> np.ndarray:
    form = FORMATS[dtype]
    ends = [0.0, form.smallest, form.normal, form.largest]
    middle = rounded(np.array([*special, *([0.5, 1.0] if axis == PROBABILITY else [-1.0, 1.0])]), dtype)
    beside = [middle + step * spacing(middle, dtype) for step in STEPS]
    around = [middle * (1 + part) for part in NEAR]
    return np.concatenate([ends, [-end for end in ends], *beside, *around])


def _by_order(axis: str, dtype: str, count: int) -> np.ndarray:
    """Evenly spaced in the order of all floating-point numbers."""
    form = FORMATS[dtype]
    if axis == PROBABILITY:
        return 2.0 ** np.linspace(form.lowest - form.digits + 1, -1, count)
    sizes = np.minimum(
        2.0 ** np.linspace(form.lowest - form.digits + 1, form.highest + 0.999, count // 2), form.largest
    )
    return np.concatenate([-sizes, sizes])


def _valid(points: np.ndarray, axis: str, dtype: str) -> np.ndarray:
    """Rounded to the dtype, once each, within the domain."""
    points = np.unique(rounded(points, dtype)) + 0.0
    points = points[np.isfinite(points) & ~((np.abs(points) > GAP[0]) & (np.abs(points) < GAP[1]))]
    if axis == PROBABILITY:
        return points[(points > 0) & (points < 1)]
    return points[points >= 0] if axis == POSITIVE else points
