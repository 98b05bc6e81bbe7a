"""The arrays of compiled NumPy at run time: aligned buffers, pieces of blocks, and pools for what is handed out.

The caller may keep results, so each comes from a small pool, and is overwritten only when nobody else holds it or a
view of it. A loop `params, state, loss = step(params, state, batch)` then alternates between two sets of arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from crossnn.formula.shapes import Shape

PIECE = 32768
"""Elements that a block works on at a time: several float32 arrays of them fit a second-level cache."""

_KEPT = 4  # result arrays that a pool remembers; more than two are needed only while old results are kept


def _aligned(shape: Shape, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """An array that starts where vector instructions like it, and the memory that it and all its views hold on to."""
    size = prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory, memory[start : start + size].view(dtype).reshape(shape)


def buffer(shape: Shape, dtype: str) -> np.ndarray:
    """An array for values that stay inside; NumPy's own start anywhere, which costs a tenth of an Adam update."""
    return _aligned(shape, dtype)[1]


def number(value: float, dtype: str) -> np.ndarray:
    """A constant as NumPy's own kind of array."""
    return np.array(value, dtype)


def ones(count: int, dtype: str) -> np.ndarray:
    """As a row times a matrix: the sums of its columns."""
    made = buffer((count,), dtype)
    made.fill(1)
    return made


def quotient(x: float, y: float) -> float:
    """x/y, also of Python's numbers and by 0."""
    return x / y if y else float(np.divide(x, y))


def view(array: np.ndarray, shape: Shape, dtype: str) -> np.ndarray:
    """The beginning of an array's memory with another shape and type."""
    flat = array.reshape(-1).view(np.uint8)
    return flat[: prod(shape) * np.dtype(dtype).itemsize].view(dtype).reshape(shape)


def pieces(size: int, *buffers: np.ndarray) -> list[tuple[Any, ...]]:
    """What a block runs over: slices of at most PIECE elements, each with the scratch memory cut to its length."""
    cuts = [(start, min(start + PIECE, size)) for start in range(0, size, PIECE)]
    return [(slice(start, stop), *(one[: stop - start] for one in buffers)) for start, stop in cuts]


def results(shape: Shape, dtype: str) -> Callable[[], np.ndarray]:
    """A source of arrays for one result: it hands out an array again once nobody else holds it or a view of it."""
    pool: list[tuple[np.ndarray, np.ndarray]] = []

    def take() -> np.ndarray:
        for memory, array in pool:
            if sys.getrefcount(array) <= _IDLE_ARRAY and sys.getrefcount(memory) <= _IDLE_MEMORY:
                return array
        if len(pool) == _KEPT:
            pool.pop(0)  # it belongs to whoever holds it now
        pool.append(_aligned(shape, dtype))
        return pool[-1][1]

    return take


def _idle() -> tuple[int, int]:
    """The reference counts that `take` sees on what only its pool holds; they differ between Pythons."""
    counts = (0, 0)
    for memory, array in [_aligned((1,), "float64")]:
        counts = (sys.getrefcount(array), sys.getrefcount(memory))
    return counts


_IDLE_ARRAY, _IDLE_MEMORY = _idle()
