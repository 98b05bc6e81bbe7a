"""Primitives that move, count or pick elements, in NumPy; they serve the oracle's arrays of exact numbers too."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossnn.formula.shapes import Shape


def part(x: Any, axis: int, start: int, stop: int) -> Any:
    """x[start:stop] along one axis, a view."""
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, stop),)]


def pad(x: Any, axis: int, before: int, after: int) -> Any:
    """Zeros before and after along one axis."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return np.pad(x, widths)


def iota(x: Any, axis: int = -1, working: Any = np.float64) -> Any:
    """0, 1, 2 ... along an axis, in the shape of x and in its type, or in the working one where it holds indices."""
    count = np.arange(x.shape[axis]).astype(x.dtype if x.dtype.kind == "f" else working)
    shape = [1] * x.ndim
    shape[axis] = -1
    return np.broadcast_to(count.reshape(shape), x.shape)


def one_hot(i: Any, like: Any) -> Any:
    """1 where the last axis counts i, in the type of `like`."""
    return (whole(i)[..., None] == np.arange(like.shape[-1])).astype(like.dtype)


def take(x: Any, i: Any) -> Any:
    """The rows x[i]."""
    return x[whole(i)]


def put(y: Any, i: Any, shape: Shape) -> Any:
    """Zeros of this shape with y added at the rows i."""
    total = np.zeros(shape, y.dtype)
    np.add.at(total, whole(i), y)
    return total


def whole(i: Any) -> Any:
    """Indices, which interpreters that know only real numbers carry as such."""
    return np.asarray(i).astype(np.intp)


def orthonormal(x: Any) -> Any:
    """Q of the QR decomposition whose R has a positive diagonal."""
    q, r = np.linalg.qr(x)
    return q * np.where(np.diagonal(r) < 0, -1, 1).astype(x.dtype)
