"""Convolution and its kin in NumPy, at the speed of the matrix product.

A convolution is one matrix product of all patches with the kernel; patches are a view of the input (a window that
slides over it), so that nothing loops over pixels or over the batch. Its two adjoints are the other two products of the
same three matrices. The oracle computes convolutions in another way (oracle_arrays.py): a mistake here would be seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from crossnn.formula.shapes import Lengths, Shape, Window, window

Padding = str


def windows(
    x: Any, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: Padding = "valid", fill: str = "zero"
) -> Any:
    """(N, *spatial, C) -> (N, *out, *size, C), a view where nothing is padded."""
    return _windows(x, window("windows", x.shape[1:-1], size, strides, dilation, padding), fill)


def _windows(x: Any, w: Window, fill: str = "zero") -> Any:
    rank = len(w.size)
    if any(w.before) or any(w.after):
        x = np.pad(
            x, ((0, 0), *zip(w.before, w.after, strict=True), (0, 0)),
            constant_values=-np.inf if fill == "lowest" else 0,
        )  # fmt: skip
    reach = tuple((size - 1) * gap + 1 for size, gap in zip(w.size, w.dilation, strict=True))
    view = sliding_window_view(x, reach, axis=tuple(range(1, rank + 1)))
    steps = (slice(None), *(slice(None, None, stride) for stride in w.strides), slice(None))
    gaps = tuple(slice(None, None, gap) for gap in w.dilation)
    return np.moveaxis(view[(*steps, *gaps)], rank + 1, -1)


def overlap_add(
    y: Any, shape: Shape, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: Padding = "valid"
) -> Any:
    """Every window added where it came from: the adjoint of `windows`. Loops over the places of the window only."""
    return _overlap_add(y, shape, window("overlap_add", shape[1:-1], size, strides, dilation, padding))


def _overlap_add(y: Any, shape: Shape, w: Window) -> Any:
    lengths = [before + length + after for before, length, after in zip(w.before, shape[1:-1], w.after, strict=True)]
    total = np.zeros((shape[0], *lengths, shape[-1]), y.dtype)
    every = (slice(None),) * (len(w.out) + 1)
    for place in np.ndindex(w.size):
        total[(slice(None), *places(place, w))] += y[(*every, *place)]
    inner = (slice(before, before + length) for before, length in zip(w.before, shape[1:-1], strict=True))
    return total[(slice(None), *inner)]


def places(place: Shape, w: Window) -> tuple[slice, ...]:
    """Where one element of the window meets the padded input, for all positions of the window."""
    return tuple(
        slice(offset * gap, offset * gap + (steps - 1) * stride + 1, stride)
        for offset, gap, steps, stride in zip(place, w.dilation, w.out, w.strides, strict=True)
    )


def conv(
    x: Any, k: Any, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1, padding: Padding = "valid"
) -> Any:
    """(N, *spatial, C) and a kernel (*size, C/groups, F) -> (N, *out, F)."""
    w = window("conv", x.shape[1:-1], k.shape[:-2], strides, dilation, padding)
    product = _patches(x, w, groups) @ _kernel(k, groups)
    return _joined(product, (x.shape[0], *w.out))


def conv_transposed(
    y: Any, k: Any, shape: Shape, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1,
    padding: Padding = "valid",
) -> Any:  # fmt: skip
    """The adjoint of `conv` in its input, which had this shape."""
    w = window("conv_transposed", shape[1:-1], k.shape[:-2], strides, dilation, padding)
    columns = _joined(_split(y, groups) @ _kernel(k, groups).swapaxes(-1, -2), (shape[0], *w.out))
    channels = shape[-1] // groups
    patches = columns.reshape(*columns.shape[:-1], groups, *w.size, channels)
    patches = np.moveaxis(patches, len(w.out) + 1, -2)
    return _overlap_add(patches.reshape(*patches.shape[:-2], shape[-1]), shape, w)


def conv_kernel(
    x: Any, y: Any, shape: Shape, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1,
    padding: Padding = "valid",
) -> Any:  # fmt: skip
    """The adjoint of `conv` in its kernel, which had this shape."""
    w = window("conv_kernel", x.shape[1:-1], shape[:-2], strides, dilation, padding)
    product = _patches(x, w, groups).swapaxes(-1, -2) @ _split(y, groups)
    return np.moveaxis(product, 0, 1).reshape(shape)


def _patches(x: Any, w: Window, groups: int) -> Any:
    """(groups, N * out, size * C/groups): one row a position of the window."""
    patches = _windows(x, w)
    rows = x.shape[0] * int(np.prod(w.out))
    if groups == 1:
        return patches.reshape(1, rows, -1)
    apart = patches.reshape(*patches.shape[:-1], groups, -1)
    return np.moveaxis(apart, -2, 0).reshape(groups, rows, -1)


def _kernel(k: Any, groups: int) -> Any:
    """(groups, size * C/groups, F/groups)."""
    return np.moveaxis(k.reshape(-1, groups, k.shape[-1] // groups), 1, 0)


def _split(y: Any, groups: int) -> Any:
    """(groups, N * out, F/groups)."""
    return np.moveaxis(y.reshape(-1, groups, y.shape[-1] // groups), 1, 0)


def _joined(product: Any, lead: Shape) -> Any:
    """(groups, N * out, F/groups) -> (N, *out, F)."""
    return np.moveaxis(product, 0, 1).reshape(*lead, -1)


WINDOWS: Mapping[str, Any] = {
    "windows": windows,
    "overlap_add": overlap_add,
    "conv": conv,
    "conv_transposed": conv_transposed,
    "conv_kernel": conv_kernel,
}
