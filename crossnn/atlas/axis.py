"""The axis of inputs on which errors are shown: all magnitudes of a dtype, both signs, in one line.

What networks compute lies between 1e-4 and 1e3, most of it between 0.1 and 100, which gets the larger part of the line;
what lies beyond, most of the floating-point numbers, gets a sixth. An axis maps inputs to places from 0 to 1 by
straight lines between knots in the logarithm of the magnitude, or, for probabilities, in that of the distance from the
nearer end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from crossnn.atlas.ulp import FORMATS

MAGNITUDE, POSITIVE, PROBABILITY = "magnitude", "positive", "probability"
AXES = (MAGNITUDE, POSITIVE, PROBABILITY)
ZERO = 0.01
"""The share of half a line beside 0 that belongs to 0 alone."""


def _sizes(dtype: str) -> tuple[list[float], list[float]]:
    """Logarithms of magnitudes, and how far from 0 they lie on half a line."""
    form = FORMATS[dtype]
    sizes = [math.log10(form.smallest), -4.0, -1.0, 2.0, 3.0, math.log10(form.largest)]
    return sizes, [ZERO, 0.1, 0.26, 0.86, 0.92, 1.0]


def _ends(dtype: str) -> tuple[tuple[list[float], list[float]], tuple[list[float], list[float]]]:
    """The same for the distance from 0, and from 1, up to a half: next to 1 the numbers end earlier."""
    form = FORMATS[dtype]
    half, near = math.log10(0.5), math.log10(0.5) - form.digits * math.log10(2)
    low = [math.log10(form.smallest), max(-10.0, near), half], [0.0, 0.12, 0.5]
    return low, ([near, half], [0.0, 0.5])


def place(values: np.ndarray, axis: str, dtype: str) -> np.ndarray:
    """Where inputs lie, from 0 to 1."""
    values = np.asarray(values, np.float64)
    with np.errstate(divide="ignore"):
        if axis == PROBABILITY:
            low, high = _ends(dtype)
            first = np.interp(np.log10(np.abs(values)), *low)
            second = 1 - np.interp(np.log10(np.abs(1 - values)), *high)
            return np.asarray(np.where(values <= 0.5, first, second))
        far = np.where(values == 0, 0.0, np.interp(np.log10(np.abs(values)), *_sizes(dtype)))
    return np.asarray(far) if axis == POSITIVE else np.asarray((1 + np.sign(values) * far) / 2)


def value(places: np.ndarray | Sequence[float], axis: str, dtype: str) -> np.ndarray:
    """Which inputs lie at these places."""
    places = np.asarray(places, np.float64)
    if axis == PROBABILITY:
        (low, at), (high, behind) = _ends(dtype)
        below, above = 10 ** np.interp(places, at, low), 1 - 10 ** np.interp(1 - places, behind, high)
        return np.asarray(np.where(places <= 0.5, below, above))
    half = places if axis == POSITIVE else 2 * places - 1
    sizes, far = _sizes(dtype)
    with np.errstate(over="ignore"):
        size = np.minimum(10 ** np.interp(np.abs(half), far, sizes), FORMATS[dtype].largest)
    return np.asarray(np.where(np.abs(half) < ZERO / 2, 0.0, np.sign(half) * size))


ROOM = 0.06
TICKS: Mapping[str, Sequence[tuple[float, str]]] = {
    MAGNITUDE: (
        (-1e3, "-1000"),
        (-10, "-10"),
        (-1, "-1"),
        (-0.1, "-0.1"),
        (0, "0"),
        (0.1, "0.1"),
        (1, "1"),
        (10, "10"),
        (1e3, "1000"),
    ),
    POSITIVE: ((0, "0"), (1e-2, "0.01"), (0.1, "0.1"), (1, "1"), (10, "10"), (1e2, "100"), (1e3, "1000")),
    PROBABILITY: ((1e-10, "1e-10"), (1e-4, "0.0001"), (0.5, "0.5"), (1 - 1e-3, "0.999"), (1 - 1e-6, "1-1e-6")),
}
"""What is written beneath."""


def ticks(axis: str, dtype: str) -> list[tuple[float, str]]:
    """Places and what is written there, as far as there is room."""
    found: list[tuple[float, str]] = []
    for one, text in TICKS[axis]:
        at = float(place(np.array(one), axis, dtype))
        if at < 0.97 or axis != PROBABILITY:
            found += [(at, text)] if not found or at - found[-1][0] > ROOM else []
    return found
