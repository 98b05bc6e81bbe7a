"""What every primitive means in NumPy: plain functions on arrays, for the adapter, the tape and the noise.

Two promises that bare NumPy does not keep. The precision of the operands is the precision of the result: Python
numbers stay Python numbers (`np.sqrt(2.0)` would be a float64 that turns a float32 network into float64), and a choice
between two plain numbers, `where(c, 1, 0)`, or the mean of truth values takes the working precision. Choosing costs
the same for every mask: `np.where` branches, which on a mask without pattern is ten times slower than arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from crossnn.formula import numpy_arrays as arrays
from crossnn.formula.numpy_windows import WINDOWS
from crossnn.formula.source import OPERATORS

Meaning = Mapping[str, Callable[..., Any]]
Axis = int | tuple[int, ...] | None

UFUNCS: Mapping[str, np.ufunc] = {
    **{name: getattr(np, name) for name in OPERATORS},
    **{name: getattr(np, name) for name in "equal not_equal sign floor exp expm1 log log1p sqrt sin cos tan".split()},
    **{name: getattr(np, name) for name in "sinh cosh tanh arctan maximum minimum".split()},
    "abs": np.absolute,
}
"""The primitives that are one NumPy ufunc, and so can write into memory that is already there (`out=`)."""

REDUCTIONS: Mapping[str, np.ufunc] = {"sum": np.add, "mean": np.add, "max": np.maximum, "min": np.minimum}
"""The reductions, by the ufunc that they repeat; a mean is divided by the count afterwards, as `np.mean` does."""

BITS: Mapping[np.dtype[Any], np.dtype[Any]] = {np.dtype(f"f{size}"): np.dtype(f"i{size}") for size in (2, 4, 8)}
"""Floating-point types and the integers as wide: on the bits, choosing is multiplying by 0 or 1."""

# NumPy has no error function; the C library's is right to an ulp, one call per element.
_erf, _erfc = np.frompyfunc(math.erf, 1, 1), np.frompyfunc(math.erfc, 1, 1)


def is_number(value: Any) -> bool:
    """A number of Python's own, which takes the precision of whatever it meets."""
    return type(value) in (float, int, bool)


def is_zero(value: Any) -> bool:
    """The number 0, and not -0.0: all of its bits are 0."""
    return is_number(value) and value == 0 and math.copysign(1.0, value) > 0


def erf(x: Any) -> Any:
    """The error function, computed in float64 and rounded to the precision of `x`."""
    return math.erf(x) if is_number(x) else np.asarray(_erf(x), dtype=np.float64).astype(x.dtype)[()]


def erfc(x: Any) -> Any:
    """1 - erf(x) without cancellation, computed in float64 and rounded to the precision of `x`."""
    return math.erfc(x) if is_number(x) else np.asarray(_erfc(x), dtype=np.float64).astype(x.dtype)[()]


def sigmoid(x: Any) -> Any:
    """The logistic function; exp is only taken of negative numbers."""
    if is_number(x):
        return float(sigmoid(np.float64(x)))
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def _function(ufunc: np.ufunc) -> Callable[..., Any]:
    """The ufunc, except that Python numbers give a Python number."""

    def apply(*arguments: Any) -> Any:
        result = ufunc(*arguments)
        return result.item() if type(result) is not np.ndarray and all(map(is_number, arguments)) else result

    apply.__name__ = ufunc.__name__
    return apply


def _reduction(ufunc: np.ufunc, divide: bool, dtype: np.dtype[Any]) -> Callable[..., Any]:
    def reduce(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        if ufunc is np.add and x.dtype.kind != "f":
            x = x.astype(dtype)
        result = ufunc.reduce(x, axis=axis, keepdims=keepdims)
        return result / (x.size // max(result.size, 1)) if divide else result

    return reduce


def _where(dtype: np.dtype[Any]) -> Callable[[Any, Any, Any], Any]:
    def where(c: Any, x: Any, y: Any) -> Any:
        if is_number(x) and is_number(y):
            return (x if c else y) if is_number(c) else np.where(c, dtype.type(x), dtype.type(y))[()]
        if type(x) is np.ndarray and type(c) is np.ndarray and is_zero(y) and x.dtype in BITS:
            return (x.view(BITS[x.dtype]) * c).view(x.dtype)  # bit for bit what np.where gives, -0.0 and NaN included
        return np.where(c, x, y)[()]

    return where


def transpose(x: Any, axes: tuple[int, ...] | None = None) -> Any:
    """A view with the last two axes swapped, or all axes in the order of `axes`."""
    return x.swapaxes(-1, -2) if axes is None else x.transpose(axes)


@cache
def numpy_meaning(dtype: str) -> Meaning:
    """The table for one working precision, which decides only what no operand decides."""
    working = np.dtype(dtype)
    return {
        **{name: _function(ufunc) for name, ufunc in UFUNCS.items()},
        **OPERATORS,
        **{name: _reduction(ufunc, name == "mean", working) for name, ufunc in REDUCTIONS.items()},
        "erf": erf,
        "erfc": erfc,
        "sigmoid": sigmoid,
        "where": _where(working),
        "ones_like": lambda x: 1.0 if is_number(x) else np.ones(x.shape, x.dtype)[()],
        "stop_gradient": lambda x: x,
        "argmax": lambda x, axis=-1: x.argmax(axis=axis),
        "transpose": transpose,
        "reshape": lambda x, shape: x.reshape(shape),
        "flatten": lambda x: x.reshape(len(x), math.prod(x.shape[1:])),
        "broadcast": lambda x, shape: np.broadcast_to(np.asarray(x, working) if is_number(x) else x, shape),
        "slice": arrays.part,
        "pad": arrays.pad,
        "flip": lambda x, axis=0: np.flip(x, axis),
        "concatenate": lambda *inputs, axis=-1: np.concatenate(inputs, axis=axis),
        "iota": lambda x, axis=-1: arrays.iota(x, axis, working),
        "one_hot": arrays.one_hot,
        "take": arrays.take,
        "put": arrays.put,
        **WINDOWS,
        "orthonormal": arrays.orthonormal,
    }


NUMPY: Meaning = numpy_meaning("float64")
"""The table for double precision, for those who only ever feed arrays."""
