"""Arrays that round badly on purpose: how much rounding is legitimate in somebody's NumPy function.

The same Monte-Carlo arithmetic as for formulas (crossnn/formula/noise.py), on code that nobody wrote for it: an array
that passes through `np` functions and operators disturbs every result by a relative 2**-24. Steps that no arithmetic
rounds (maximum, copies, products with powers of two) are not disturbed. With a generator that starts equal, the
disturbed function is a function like any other: its differences tell how much noise its derivative has.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from crossnn.formula.noise import EPSILON

EXACT = frozenset(
    "maximum minimum fmax fmin negative positive absolute fabs sign floor ceil trunc rint copysign heaviside conjugate "
    "less less_equal greater greater_equal equal not_equal logical_and logical_or logical_not logical_xor isnan isinf "
    "isfinite signbit bitwise_and bitwise_or invert spacing nextafter".split()
)
"""Functions whose result is one of their arguments, or no rounded number."""

BILINEAR = frozenset("dot einsum tensordot inner vdot outer convolve correlate kron".split())
"""Functions that sum products of their arguments: the squares of the products are their own on squares."""

_generator: list[np.random.Generator] = []


@contextlib.contextmanager
def shaking(seed: int) -> Iterator[Callable[[Any], Any]]:
    """Inside, `Noisy` arrays are disturbed, in the same way for the same seed. Gives what makes an array noisy."""
    _generator.append(np.random.default_rng(seed))
    try:
        yield lambda array: np.array(array).view(Noisy)
    finally:
        _generator.pop()


def _shake(value: Any) -> Any:
    return _generator[-1].uniform(-EPSILON, EPSILON, np.shape(value)) if _generator else 0.0


def _plain(value: Any) -> Any:
    if isinstance(value, Noisy):
        return value.view(np.ndarray)
    return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value


def _noisy(value: Any) -> Any:
    if type(value) in (tuple, list):
        return type(value)(map(_noisy, value))
    array = np.asarray(value)
    return array.view(Noisy) if array.dtype.kind in "fcO" else value


class Noisy(np.ndarray):
    """An array whose arithmetic is disturbed."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        plain = [_plain(one) for one in inputs]
        value = getattr(ufunc, method)(*plain, **options)
        if method == "at":
            return None
        if not isinstance(value, tuple):
            value = value + _disturbance(ufunc, method, plain, value, options)
        if out is not None:
            place = out[0] if isinstance(out, tuple) else out
            place.view(np.ndarray)[...] = value
            return place
        return _noisy(value)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        name, module = function.__name__, getattr(function, "__module__", "")
        if name in BILINEAR:
            plain = _plain(list(arguments))
            plain = [np.asarray(one) if isinstance(one, list) else one for one in plain]
            squares = [_squares(one) if isinstance(one, np.ndarray | float) else one for one in plain]
            value = function(*plain, **options)
            terms = function(*[np.ones_like(one) if isinstance(one, np.ndarray | float) else one for one in plain],
                             **options)  # fmt: skip
            return _noisy(value + _shake(value) * _of_sum(np.abs(function(*squares, **options)), value, terms))
        if module in ("numpy.linalg", "numpy.fft"):
            disturbed = [one * (1 + _shake(one)) if isinstance(one, np.ndarray) else one for one in _plain(arguments)]
            return _noisy(function(*disturbed, **options))
        return super().__array_function__(function, types, arguments, options)


def _disturbance(ufunc: np.ufunc, method: str, inputs: list[Any], value: Any, options: dict[str, Any]) -> Any:
    """What one step may add to its result."""
    if np.asarray(value).dtype.kind not in "fcO":
        return 0
    if ufunc.__name__ in EXACT and not (ufunc is np.absolute and np.asarray(inputs[0]).dtype.kind == "c"):
        return 0
    if method in ("reduce", "accumulate", "reduceat") and ufunc is np.add:
        terms = np.size(inputs[0]) / max(np.size(value), 1) if method == "reduce" else 1
        return _shake(value) * _of_sum(
            getattr(ufunc, method)(_squares(inputs[0]), *inputs[1:], **options), value, terms
        )
    if ufunc is np.matmul:
        terms = np.shape(inputs[0])[-1]
        return _shake(value) * _of_sum(np.matmul(*map(_squares, inputs), **options), value, terms)
    return value * _shake(value) * _rounds(ufunc, method, inputs, value)


def _of_sum(squares: Any, value: Any, terms: Any) -> Any:
    """The scale of the rounding of a sum: that of its terms, and that of the partial sums where one term is added after
    the other. These grow evenly to the value S, so the squares of all n of them add up to n S**2 / 3."""
    return np.sqrt(squares + np.square(np.abs(value)) * terms / 3)


def _squares(value: Any) -> Any:
    return np.square(np.abs(value) if np.iscomplexobj(value) else value)


def _rounds(ufunc: np.ufunc, method: str, inputs: list[Any], value: Any) -> Any:
    """Where this step rounds at all."""
    if method != "__call__" or len(inputs) != 2:
        return 1
    first, second = (np.asarray(one) for one in inputs)
    if first.dtype.kind not in "fiub" or second.dtype.kind not in "fiub":
        return 1
    if ufunc in (np.add, np.subtract):
        return ~((first == 0) | (second == 0) | (np.asarray(value) == 0))
    if ufunc is np.multiply:
        return ~(_scales(first) | _scales(second))
    return ~((first == 0) | _scales(second)) if ufunc is np.divide else 1


def _scales(factor: np.ndarray) -> Any:
    """Zero, or a power of two with either sign: multiplying by it is exact."""
    return (factor == 0) | (np.abs(np.frexp(factor.astype(np.float64))[0]) == 0.5)
