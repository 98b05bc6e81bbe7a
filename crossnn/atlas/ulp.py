"""Errors in units of float spacing, and what is no error but an accident: overflow, NaN, a lost sign.

The spacing at a true value v is the distance of the two numbers of the dtype around it: 2**(e - p + 1) for
2**e <= |v| < 2**(e + 1), and that of the subnormals below. A correctly rounded result errs by at most half of it. Where
the error is as large as 2**(p - 1) spacings no digit is right, and a number says less than a name does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossnn.formula.oracle import Exact


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: bits of the significand, exponents of the smallest and largest normal number."""

    digits: int
    lowest: int
    highest: int

    @property
    def smallest(self) -> float:
        """The smallest subnormal number."""
        return float(2.0 ** (self.lowest - self.digits + 1))

    @property
    def normal(self) -> float:
        """The smallest normal number."""
        return float(2.0**self.lowest)

    @property
    def largest(self) -> float:
        return float((2.0 - 2.0 ** (1 - self.digits)) * 2.0**self.highest)

    @property
    def lost(self) -> float:
        """So many spacings are as much as the value itself: no digit is right."""
        return float(2.0 ** (self.digits - 1))

    @property
    def half(self) -> float:
        """An error of so many spacings takes half of the digits."""
        return float(2.0 ** (self.digits / 2))


FORMATS: Mapping[str, Format] = {
    "float64": Format(53, -1022, 1023),
    "float32": Format(24, -126, 127),
    "bfloat16": Format(8, -126, 127),
}

FINE = ""
NEARLY = 16.0
"""Results so many times as large as the smallest normal number are made of subnormal ones."""
REGIONS: Mapping[str, str] = {
    "NaN": "not a number, where the truth is one",
    "overflow": "infinite, where the truth is not",
    "wrong sign": "of the other sign than the truth",
    "zero": "0, where the truth is not",
    "wrong": "no digit is right",
    "finite": "a finite number, where the truth is infinite or larger than the largest one",
    "flushed": "0, where the truth is a subnormal number or nearly so, or a subnormal input taken for 0",
}
"""Names of what may happen, the gravest first; numbers are no errors of so many spacings there."""
CODES = (FINE, *reversed([*REGIONS]))
"""Name -> place; the graver, the later."""


def spacing(values: np.ndarray, dtype: str) -> np.ndarray:
    """The distance of the numbers of a dtype around each value; beyond the largest, that at the largest."""
    form = FORMATS[dtype]
    sizes = np.minimum(np.abs(values), form.largest)
    exponents = np.frexp(sizes)[1] - 1  # of 0: -1, which is no exponent of 0
    exponents = np.where(sizes < form.normal, form.lowest, exponents)
    return np.asarray(np.ldexp(1.0, exponents - form.digits + 1))


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """The nearest numbers of a dtype, ties to even, as float64; too large ones are infinite."""
    form = FORMATS[dtype]
    values = np.asarray(values, np.float64)
    if dtype == "float64":
        return values
    with np.errstate(all="ignore"):
        unit = spacing(values, dtype)
        near = np.rint(values / unit) * unit
    return np.asarray(np.where(np.abs(near) > form.largest, np.copysign(np.inf, values), near))


def errors(found: np.ndarray, truth: Exact, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """(error in spacings, place in CODES) of every element. The error is NaN where something else happened, and where
    there is no truth; then nothing is wrong."""
    form = FORMATS[dtype]
    found = np.asarray(found, np.float64)
    hi, lo = truth.hi, truth.lo
    best, unit = rounded(hi, dtype), spacing(hi, dtype)
    with np.errstate(all="ignore"):
        # Divided before they are subtracted where the difference would overflow.
        error = np.abs((found / unit - hi / unit) - lo / unit)
        error = np.where(found == hi, np.abs(lo / unit), error)
    beyond = ~np.isfinite(best)
    error = np.where(beyond & (found == best), 0.0, error)
    lost = ~(error < form.lost)
    code = np.zeros(found.shape, dtype=np.int64)
    for name, where in (
        ("finite", lost & beyond & np.isfinite(found)),
        ("wrong", lost & ~beyond & np.isfinite(found)),
        ("zero", lost & (found == 0)),
        ("wrong sign", lost & (found * np.sign(hi) < 0)),
        ("overflow", np.isinf(found) & (found != best) & ~beyond),
        ("NaN", np.isnan(found)),
        ("flushed", (found == 0) & (best != 0) & (np.abs(hi) < NEARLY * form.normal)),
    ):
        code = np.where(where, CODES.index(name), code)
    code = np.where(np.isnan(hi), 0, code)
    return np.where((code > 0) | np.isnan(hi), np.nan, error), code
