"""Convolution, windows and orthonormal columns on arrays of exact numbers, as their definitions say.

Written apart from numpy_windows.py on purpose: there, a convolution is one product with all patches; here it is the
sum over the places of the window of shifted inputs times one slice of the kernel. Two ways, one truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.formula import numpy_arrays as arrays
from crossnn.formula.shapes import Shape, Window, window

Meaning = Mapping[str, Callable[..., Any]]


def oracle_arrays(context: Any, matmul: Callable[[Any, Any], Any]) -> Meaning:
    """Primitive name -> function on object arrays of `context`'s numbers."""
    zero, one = context.zero, context.one

    def zeros(shape: Shape) -> Any:
        return np.full(shape, zero, dtype=object)

    def pad(x: Any, axis: int, before: int, after: int) -> Any:
        widths = [(0, 0)] * x.ndim
        widths[axis] = (before, after)
        return np.pad(x, widths, constant_values=zero)

    def iota(x: Any, axis: int = -1) -> Any:
        count = np.array([context.mpf(k) for k in range(x.shape[axis])], dtype=object)
        shape = [1] * x.ndim
        shape[axis] = -1
        return np.broadcast_to(count.reshape(shape), x.shape)

    def one_hot(i: Any, like: Any) -> Any:
        return np.where(arrays.whole(i)[..., None] == np.arange(like.shape[-1]), one, zero)

    def put(y: Any, i: Any, shape: Shape) -> Any:
        total = zeros(shape)
        for place in np.ndindex(np.shape(i)):
            row = int(i[place])
            total[row] = total[row] + y[place]
        return total

    def surrounded(x: Any, w: Window, value: Any) -> Any:
        widths = ((0, 0), *zip(w.before, w.after, strict=True), (0, 0))
        return np.pad(x, widths, constant_values=value)

    def inner(total: Any, w: Window, shape: Shape) -> Any:
        cut: Any = (slice(before, before + length) for before, length in zip(w.before, shape[1:-1], strict=True))
        return total[(slice(None), *cut)]

    def windows(x: Any, size: Any, fill: str = "zero", **options: Any) -> Any:
        w = window("windows", x.shape[1:-1], size, **options)
        x = surrounded(x, w, -context.inf if fill == "lowest" else zero)
        found = np.empty((x.shape[0], *w.out, *w.size, x.shape[-1]), dtype=object)
        every: tuple[Any, ...] = (slice(None),) * (len(w.out) + 1)
        for place, meeting in _meetings(w):
            found[(*every, *place)] = x[meeting]
        return found

    def overlap_add(y: Any, shape: Shape, size: Any, **options: Any) -> Any:
        w = window("overlap_add", shape[1:-1], size, **options)
        total = surrounded(zeros(shape), w, zero)
        every: tuple[Any, ...] = (slice(None),) * (len(w.out) + 1)
        for place, meeting in _meetings(w):
            total[meeting] = total[meeting] + y[(*every, *place)]
        return inner(total, w, shape)

    def conv(x: Any, k: Any, groups: int = 1, **options: Any) -> Any:
        w = window("conv", x.shape[1:-1], k.shape[:-2], **options)
        x = surrounded(x, w, zero)
        found = zeros((x.shape[0], *w.out, k.shape[-1]))
        for place, meeting in _meetings(w):
            for one_input, one_output in _groups(groups, x.shape[-1], k.shape[-1]):
                part = matmul(x[meeting][..., one_input], k[place][:, one_output])
                found[..., one_output] = found[..., one_output] + part
        return found

    def conv_transposed(y: Any, k: Any, shape: Shape, groups: int = 1, **options: Any) -> Any:
        w = window("conv_transposed", shape[1:-1], k.shape[:-2], **options)
        total = surrounded(zeros(shape), w, zero)
        for place, meeting in _meetings(w):
            for one_input, one_output in _groups(groups, shape[-1], k.shape[-1]):
                part = matmul(y[..., one_output], k[place][:, one_output].T)
                total[(*meeting, one_input)] = total[(*meeting, one_input)] + part
        return inner(total, w, shape)

    def conv_kernel(x: Any, y: Any, shape: Shape, groups: int = 1, **options: Any) -> Any:
        w = window("conv_kernel", x.shape[1:-1], shape[:-2], **options)
        x = surrounded(x, w, zero)
        found = zeros(shape)
        for place, meeting in _meetings(w):
            for one_input, one_output in _groups(groups, x.shape[-1], shape[-1]):
                rows = x[meeting][..., one_input].reshape(-1, shape[-2])
                found[(*place, slice(None), one_output)] = matmul(rows.T, y[..., one_output].reshape(len(rows), -1))
        return found

    def orthonormal(x: Any) -> Any:
        """Gram and Schmidt, column by column."""
        columns: list[Any] = []
        for column in x.T:
            for found in columns:
                column = column - found * np.sum(found * column)
            columns.append(column / context.sqrt(np.sum(column * column)))
        return np.stack(columns, axis=1)

    return {
        "slice": arrays.part,
        "pad": pad,
        "flip": lambda x, axis=0: np.flip(x, axis),
        "concatenate": lambda *inputs, axis=-1: np.concatenate(inputs, axis=axis),
        "iota": iota,
        "one_hot": one_hot,
        "take": arrays.take,
        "put": put,
        "windows": windows,
        "overlap_add": overlap_add,
        "conv": conv,
        "conv_transposed": conv_transposed,
        "conv_kernel": conv_kernel,
        "orthonormal": orthonormal,
    }


def _meetings(w: Window) -> Iterator[tuple[Shape, Any]]:
    """Each place of the window, and where it meets the padded input."""
    for place in np.ndindex(w.size):
        spatial = (
            slice(offset * gap, offset * gap + (steps - 1) * stride + 1, stride)
            for offset, gap, steps, stride in zip(place, w.dilation, w.out, w.strides, strict=True)
        )
        yield place, (slice(None), *spatial)


def _groups(groups: int, channels: int, filters: int) -> Iterator[tuple[slice, slice]]:
    """The channels and the filters of each group."""
    for group in range(groups):
        yield (
            slice(group * channels // groups, (group + 1) * channels // groups),
            slice(group * filters // groups, (group + 1) * filters // groups),
        )
