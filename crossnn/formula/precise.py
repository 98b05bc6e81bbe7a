"""Numbers of any precision by MPFR (gmpy2), under the names that mpmath has for them.

MPFR rounds every operation correctly and is ten times as fast as mpmath, but its exponents end near 2**(10**9). A value
that leaves them is noticed (`ExponentError`), and the oracle turns to mpmath, whose exponents do not end.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import gmpy2
import numpy as np

_FACTORS = 16_411


class ExponentError(ArithmeticError):
    """A value was too large or too small for MPFR's exponents."""


class Precise:
    """A context in the manner of `mpmath.MPContext`. Inside `with`, operators round to its precision."""

    mpf = staticmethod(gmpy2.mpfr)
    exp, expm1, log, log1p, sqrt = gmpy2.exp, gmpy2.expm1, gmpy2.log, gmpy2.log1p, gmpy2.sqrt
    sin, cos, tan, atan = gmpy2.sin, gmpy2.cos, gmpy2.tan, gmpy2.atan
    sinh, cosh, tanh, erf, erfc = gmpy2.sinh, gmpy2.cosh, gmpy2.tanh, gmpy2.erf, gmpy2.erfc
    floor, isnan, isfinite = gmpy2.rint_floor, gmpy2.is_nan, gmpy2.is_finite
    zero, one, inf, nan = (gmpy2.mpfr(text) for text in ("0", "1", "inf", "nan"))

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self._context = gmpy2.context(precision=round((digits + 1) * math.log2(10)))

    def __enter__(self) -> Precise:
        self._context.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        inside = gmpy2.get_context()
        left = inside.overflow or inside.underflow
        self._context.__exit__(*error)
        if left and error[0] is None:
            raise ExponentError("a value left the range of MPFR's exponents")

    @property
    def pi(self) -> Any:
        return gmpy2.const_pi()

    @staticmethod
    def isint(x: Any) -> bool:
        return isinstance(x, int) or bool(gmpy2.is_integer(x))

    @staticmethod
    def sign(x: Any) -> Any:
        return x if gmpy2.is_nan(x) else gmpy2.mpfr(gmpy2.sign(x))

    @staticmethod
    def mag(x: Any) -> Any:
        """The exponent of a finite number other than zero: abs(x) < 2**mag(x)."""
        return gmpy2.get_exp(x)


@contextlib.contextmanager
def unbounded(digits: int) -> Iterator[Any]:
    """mpmath's numbers: slower, but no exponent is too large for them."""
    import mpmath

    context = mpmath.MPContext()
    context.dps = digits
    yield context


def last_digits(context: Any, digits: int) -> Callable[[tuple[int, ...]], Any]:
    """Hands out, shape after shape, factors that differ from 1 in the last digit; every step gets other ones."""
    factors = _factors(digits) if isinstance(context, Precise) else _drawn(context, digits)
    position = 0

    def following(shape: tuple[int, ...]) -> Any:
        nonlocal position
        count = math.prod(shape)
        found = np.take(factors, range(position, position + count), mode="wrap").reshape(shape)
        position += count
        return found

    return following


@lru_cache(maxsize=8)
def _factors(digits: int) -> Any:
    with Precise(digits) as context:
        return _drawn(context, digits)


def _drawn(context: Any, digits: int) -> Any:
    generator = np.random.default_rng(digits)
    sizes = generator.uniform(0.5, 1.0, _FACTORS) * generator.choice([-1, 1], _FACTORS)
    return 1 + (context.zero + sizes.astype(object)) * context.mpf(10) ** (2 - digits)
