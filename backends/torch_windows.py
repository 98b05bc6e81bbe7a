"""Convolution and its kin in PyTorch, which puts channels before space: tensors are permuted views, not copies.

A channels-last tensor seen with its channels first is what torch calls the memory format channels_last, so its
convolutions run on it as it lies.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional, grad

from crossnn.adapter import Tensor
from crossnn.formula.shapes import Lengths, Shape, Window, window

_CONV: Mapping[int, Any] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_POOL: Mapping[int, Any] = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}
_TRANSPOSED: Mapping[int, Any] = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_KERNEL: Mapping[int, Any] = {1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}


def _padded(x: Tensor, w: Window, value: float = 0.0) -> Tensor:
    """The spatial axes with what they need before and after; torch counts axes from the last one."""
    if not any(w.after):
        return x
    pairs = zip(reversed(w.before), reversed(w.after), strict=True)
    return functional.pad(x, (0, 0, *itertools.chain(*pairs)), value=value)


def windows(
    x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid", fill: str = "zero"
) -> Tensor:
    """Axis by axis, the strided slices that begin at each place of the window, stacked before the channels."""
    w = window("windows", x.shape[1:-1], size, strides, dilation, padding)
    x = _padded(x, w, -torch.inf if fill == "lowest" else 0.0)
    for axis, (extent, stride, gap, steps) in enumerate(zip(w.size, w.strides, w.dilation, w.out, strict=True), 1):
        every, reach = (slice(None),) * axis, (steps - 1) * stride + 1
        parts = [x[(*every, slice(place * gap, place * gap + reach, stride))] for place in range(extent)]
        x = torch.stack(parts, -2)
    return x


def overlap_add(
    y: Tensor, shape: Shape, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid"
) -> Tensor:
    """The adjoint of `windows`, as torch differentiates it. Adding in place, one place of the window after the other,
    is as short, but takes torch.compile minutes."""
    _, pull = torch.func.vjp(lambda x: windows(x, size, strides, dilation, padding), y.new_zeros(shape))
    (found,) = pull(y)
    return found


def pool_by_slices(
    x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid"
) -> Tensor:
    """Axis by axis, the maximum of the strided slices that begin at each place of the window. torch.compile fuses them
    with what is around, and they add up the same gradient each time, which max_pool's on a GPU do not."""
    w = window("max_pool", x.shape[1:-1], size, strides, dilation, padding)
    x = _padded(x, w, -torch.inf)
    for axis, (extent, stride, gap, steps) in enumerate(zip(w.size, w.strides, w.dilation, w.out, strict=True), 1):
        every, reach = (slice(None),) * axis, (steps - 1) * stride + 1
        parts = [x[(*every, slice(place * gap, place * gap + reach, stride))] for place in range(extent)]
        x = functools.reduce(torch.maximum, parts)
    return x


def max_pool(x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid") -> Tensor:
    """torch's own kernel, twice as fast without a compiler. Of equal maxima it gives the gradient to the first; the
    formula shares it among them. It pads no more than half a window, both sides alike."""
    w = window("max_pool", x.shape[1:-1], size, strides, dilation, padding)
    if x.is_cuda:
        return pool_by_slices(x, size, strides, dilation, padding)
    half = all(2 * before <= extent for before, extent in zip(w.before, w.size, strict=True))
    x, sides = (x, w.before) if w.before == w.after and half else (_padded(x, w, -torch.inf), 0)
    return _POOL[len(w.size)](x.movedim(-1, 1), w.size, w.strides, sides, w.dilation).movedim(1, -1)


def _channels_first(x: Tensor, groups: int) -> Tensor:
    """A view. In float64, which oneDNN lacks, torch takes the groups of channels apart one by one: then a copy in
    which each lies together is three times as fast."""
    x = x.movedim(-1, 1)
    return x.contiguous() if groups > 1 and x.dtype == torch.float64 else x


def _filters_first(k: Tensor) -> Tensor:
    """(*size, C/groups, F) as (F, C/groups, *size)."""
    return k.movedim((-1, -2), (0, 1))


def conv(
    x: Tensor, k: Tensor, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1, padding: str = "valid",
    bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """torch pads both sides alike; where TensorFlow's rule wants one more zero at the end, the input is padded."""
    w = window("conv", x.shape[1:-1], k.shape[:-2], strides, dilation, padding)
    x, sides = (x, w.before) if w.before == w.after else (_padded(x, w), 0)
    function = _CONV[len(w.size)]
    y = function(_channels_first(x, groups), _filters_first(k), bias, w.strides, sides, w.dilation, groups)
    return y.movedim(1, -1)


def conv_transposed(
    y: Tensor, k: Tensor, shape: Shape, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1,
    padding: str = "valid",
) -> Tensor:  # fmt: skip
    """torch's transposed convolution takes off `padding` at both sides and appends `output_padding`, less than a
    stride; the one position too many that TensorFlow's rule can leave is cut off."""
    w = window("conv_transposed", shape[1:-1], k.shape[:-2], strides, dilation, padding)
    covered = [
        (out - 1) * stride + (extent - 1) * gap + 1 - 2 * before
        for out, stride, extent, gap, before in zip(w.out, w.strides, w.size, w.dilation, w.before, strict=True)
    ]
    missing = [max(length - have, 0) for length, have in zip(shape[1:-1], covered, strict=True)]
    function = _TRANSPOSED[len(w.size)]
    x = function(
        _channels_first(y, groups), _filters_first(k), None, w.strides, w.before, missing, groups, w.dilation
    ).movedim(1, -1)  # fmt: skip
    return x[(slice(None), *(slice(length) for length in shape[1:-1]))]


def conv_kernel(
    x: Tensor, y: Tensor, shape: Shape, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1,
    padding: str = "valid",
) -> Tensor:  # fmt: skip
    w = window("conv_kernel", x.shape[1:-1], shape[:-2], strides, dilation, padding)
    x, y = _channels_first(_padded(x, w), groups), _channels_first(y, groups)
    first = (shape[-1], shape[-2], *shape[:-2])
    return _KERNEL[len(w.size)](x, first, y, w.strides, 0, w.dilation, groups).movedim((0, 1), (-1, -2))


WINDOWS: Mapping[str, Any] = {
    "windows": windows,
    "overlap_add": overlap_add,
    "conv": conv,
    "conv_transposed": conv_transposed,
    "conv_kernel": conv_kernel,
}
