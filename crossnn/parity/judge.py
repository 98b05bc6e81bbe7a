"""The verdict on one tensor: is the difference from the truth rounding, or something else?

The rule (README, 'How a verdict is reached'): with o the oracle's value, x the backend's, u the unit roundoff and s
the noise scale of this computation on these inputs, r = |x - o| / (u*s). EQUAL if r <= 64 for every element. Where s
is 0 the result must be o correctly rounded. 64 leaves a factor of 3.7 over the worst legitimate r ever measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crossnn.formula.oracle import Exact
from crossnn.parity.rule import FLOOR, LIMIT, ROUNDOFF, ill_conditioned
from crossnn.runs.cell import Verdict, Worst, finite

SHOWN = {"bfloat16": "float32", "tf32": "float32"}
"""As which dtype NumPy shows the numbers of another one."""


@dataclass(frozen=True)
class Reference:
    """The truth about one tensor and the noise that is legitimate in computing it.

    elementwise: elements never meet, so each is its own tensor and no floor is shared between them.
    unsafe: where the formula as written fails in this dtype in plain NumPy arithmetic too.
    """

    exact: Exact
    noise: np.ndarray
    elementwise: bool = False
    unsafe: np.ndarray | None = None
    more_noise: Callable[[], np.ndarray] | None = None

    def scale(self, noise: np.ndarray) -> np.ndarray:
        """Noise per element, floored at half the tensor's root mean square: a dozen runs can miss an element. Where
        elements never meet, the floor is half the element itself: at some points a formula is exact by accident
        (a slope of 1/2 at 0), and another way of computing it need not be. Without any noise nothing is floored."""
        if not noise.size or not np.any(noise > 0):
            return noise
        if self.elementwise:
            return np.asarray(np.maximum(noise, FLOOR * np.abs(self.exact.hi)))
        finite_noise = noise[np.isfinite(noise)]
        floor = FLOOR * math.sqrt(float(np.mean(np.square(finite_noise)))) if finite_noise.size else 0.0
        return np.asarray(np.maximum(noise, floor))


@dataclass(frozen=True)
class Judgement:
    """What `judge` found; the fields of a record that depend on numbers alone. `digits` is of the worst element,
    `typical_digits` the median of all that fail: the worst may be an underflow that hides what the others say."""

    verdict: Verdict
    r: float | None = None
    digits: float | None = None
    worst: Worst | None = None
    message: str = ""
    typical_digits: float | None = None


def errors(actual: np.ndarray, exact: Exact, dtype: str) -> np.ndarray:
    """|actual - truth| per element; 0 where both are the same infinity or NaN, inf where only one is."""
    hi, x = exact.hi, actual.astype(np.float64)
    with np.errstate(all="ignore"):
        limits = np.finfo(np.float64 if dtype == "float64" else np.float32)
        expected = np.where(np.abs(hi) > float(limits.max), np.copysign(np.inf, hi), hi)
        error = np.abs((x - hi) - exact.lo)
        error = np.where(np.isfinite(x) & np.isfinite(expected), error, np.inf)
        same = (x == expected) | (np.isnan(x) & np.isnan(expected))
        # Below the smallest normal number, flushing to zero is the hardware's choice.
        error = np.where(error <= float(limits.tiny), 0.0, error)
        return np.where(same & ~np.isfinite(expected), 0.0, error)


def ratios(actual: np.ndarray, reference: Reference, dtype: str, noise: np.ndarray) -> np.ndarray:
    """r per element."""
    error = errors(actual, reference.exact, dtype)
    scale = reference.scale(noise)
    with np.errstate(all="ignore"):
        rounded = reference.exact.hi.astype(actual.dtype).astype(np.float64)
        exact = np.where(actual.astype(np.float64) == rounded, 0.0, np.where(error == 0, 0.0, np.inf))
        r = np.where(scale > 0, error / (ROUNDOFF[dtype] * scale), exact)
    r = np.where(np.isnan(r), np.inf, r)
    return np.where(error == 0, 0.0, r)


def judge(actual: np.ndarray, reference: Reference, dtype: str) -> Judgement:
    """The verdict on one tensor of one backend."""
    hi = reference.exact.hi
    if actual.dtype.name != SHOWN.get(dtype, dtype):
        return Judgement("ERROR", message=f"computed in {actual.dtype.name} where {dtype} was asked for")
    if actual.shape != hi.shape:
        return Judgement("ERROR", message=f"shape {actual.shape} where {hi.shape} is right")
    if not hi.size:
        return Judgement("NOT-RUN", message="the tensor is empty: nothing was compared")
    r = ratios(actual, reference, dtype, reference.noise)
    verdict: Verdict = "EQUAL"
    message = ""
    ignored = _ignorable(reference, dtype, actual)
    if np.any((r > LIMIT) & ~ignored) and reference.more_noise is not None:
        again = ratios(actual, reference, dtype, reference.more_noise())
        if not np.any((again > LIMIT) & ~ignored):
            r, verdict = again, "ROUNDING"
            message = "explained by a second, longer measurement of the noise"
    judged = np.where(ignored, 0.0, r)
    if np.any(judged > LIMIT):
        verdict = "FORMULA" if dtype == "float64" else "ACCURACY"
    elif np.any((r > LIMIT) & ignored):
        verdict, judged = "ILL-CONDITIONED", r
        message = f"{int(np.sum((r > LIMIT) & ignored))} of {r.size} elements not judged: {_why(reference, r)}"
    index = np.unravel_index(int(np.argmax(judged)), r.shape)
    return Judgement(
        verdict,
        finite(float(judged[index])),
        _digits(actual, reference.exact, index),
        _worst(actual, hi, index),
        message,
        _typical_digits(actual, reference.exact, judged > LIMIT),
    )


def _typical_digits(actual: np.ndarray, exact: Exact, failing: np.ndarray) -> float | None:
    if not np.any(failing):
        return None
    with np.errstate(all="ignore"):
        relative = np.abs((actual.astype(np.float64) - exact.hi) - exact.lo)[failing] / np.abs(exact.hi[failing])
        digits = np.clip(-np.log10(relative), 0, 17)
    return float(np.median(np.where(np.isnan(digits), 0.0, digits)))


def _ignorable(reference: Reference, dtype: str, actual: np.ndarray) -> np.ndarray:
    """Elements that rounding alone makes meaningless, or where the formula itself leaves the dtype's range. No rounding
    makes NaN or infinity of a number."""
    hi, noise = reference.exact.hi, reference.scale(reference.noise)
    size = np.abs(hi)
    if not reference.elementwise and hi.size:
        finite_size = size[np.isfinite(size)]
        size = np.maximum(size, np.sqrt(np.mean(np.square(finite_size)))) if finite_size.size else size
    with np.errstate(all="ignore"):
        ill = (hi != 0) & (ROUNDOFF[dtype] * noise > ill_conditioned(dtype) * size)
    ill &= np.isfinite(actual) | ~np.isfinite(hi)
    return np.asarray(ill | (reference.unsafe if reference.unsafe is not None else False))


def _why(reference: Reference, r: np.ndarray) -> str:
    if reference.unsafe is not None and np.any(reference.unsafe & (r > LIMIT)):
        return "the formula as written overflows or cancels there in this dtype, in plain NumPy arithmetic too"
    return "rounding alone leaves fewer than three digits"


def _digits(actual: np.ndarray, exact: Exact, index: tuple[np.intp, ...]) -> float | None:
    """Decimal digits in which the worst element agrees; 17 where no difference can be expressed."""
    hi, x = float(exact.hi[index]), float(actual[index])
    if not (math.isfinite(hi) and math.isfinite(x)):
        return 17.0 if hi == x or (math.isnan(hi) and math.isnan(x)) else 0.0
    error = abs((x - hi) - float(exact.lo[index]))
    if error == 0 or hi == 0:
        return 17.0 if error == 0 else 0.0
    return round(min(17.0, max(0.0, -math.log10(error / abs(hi)))), 2)


def _worst(actual: np.ndarray, hi: np.ndarray, index: tuple[np.intp, ...]) -> Worst:
    place = tuple(int(one) for one in index)
    return Worst(place, repr(float(hi[index])), repr(float(actual[index])))
