"""Convolution and its kin in JAX: `jax.lax.conv_general_dilated`, channels last, and what JAX transposes itself."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from crossnn.adapter import Function, Tensor
from crossnn.formula.shapes import Lengths, Shape, Window, window

_AXES: Mapping[int, tuple[str, str, str]] = {
    1: ("NWC", "WIO", "NWC"),
    2: ("NHWC", "HWIO", "NHWC"),
    3: ("NDHWC", "DHWIO", "NDHWC"),
}


def windows(
    x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid", fill: str = "zero"
) -> Tensor:
    """Axis by axis, the strided slices that begin at each place of the window, stacked before the channels."""
    w = window("windows", x.shape[1:-1], size, strides, dilation, padding)
    x = _padded(x, w, -jnp.inf if fill == "lowest" else 0)
    for axis, (extent, stride, gap, steps) in enumerate(zip(w.size, w.strides, w.dilation, w.out, strict=True), 1):
        starts, reach = range(0, extent * gap, gap), (steps - 1) * stride + 1
        parts = [jax.lax.slice_in_dim(x, start, start + reach, stride, axis) for start in starts]
        x = jnp.stack(parts, -2)
    return x


def max_pool(x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid") -> Tensor:
    """Axis by axis, the maximum of the strided slices that begin at each place of the window: XLA on a CPU takes three
    times as long for the gradient of jax.lax.reduce_window, and fuses these."""
    w = window("max_pool", x.shape[1:-1], size, strides, dilation, padding)
    x = _padded(x, w, -jnp.inf)
    for axis, (extent, stride, gap, steps) in enumerate(zip(w.size, w.strides, w.dilation, w.out, strict=True), 1):
        starts, reach = range(0, extent * gap, gap), (steps - 1) * stride + 1
        x = functools.reduce(
            jnp.maximum, (jax.lax.slice_in_dim(x, start, start + reach, stride, axis) for start in starts)
        )
    return x


def max_pool_eager(
    x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid"
) -> Tensor:
    """Operation by operation, windows that do not overlap are cheapest as axes of their own."""
    w = window("max_pool", x.shape[1:-1], size, strides, dilation, padding)
    if w.size != w.strides or max(w.dilation) > 1:
        return max_pool(x, size, strides, dilation, padding)
    x = _padded(x, w, -jnp.inf)
    x = x[(slice(None), *(slice(extent * steps) for extent, steps in zip(w.size, w.out, strict=True)))]
    pairs = itertools.chain(*zip(w.out, w.size, strict=True))
    return jnp.max(x.reshape(x.shape[0], *pairs, x.shape[-1]), axis=tuple(range(2, 2 * len(w.size) + 1, 2)))


def _padded(x: Tensor, w: Window, value: float) -> Tensor:
    if not any(w.after):
        return x
    return jnp.pad(x, ((0, 0), *zip(w.before, w.after, strict=True), (0, 0)), constant_values=value)


def conv(
    x: Tensor, k: Tensor, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1, padding: str = "valid"
) -> Tensor:
    w = window("conv", x.shape[1:-1], k.shape[:-2], strides, dilation, padding)
    return jax.lax.conv_general_dilated(
        x, k, w.strides, tuple(zip(w.before, w.after, strict=True)), rhs_dilation=w.dilation,
        dimension_numbers=_AXES[len(w.size)], feature_group_count=groups,
    )  # fmt: skip


def _adjoint(function: Function, shape: Shape, y: Tensor) -> Tensor:
    """Of a linear function of a tensor of this shape."""
    (found,) = jax.linear_transpose(function, jax.ShapeDtypeStruct(tuple(shape), y.dtype))(y)
    return found


def overlap_add(
    y: Tensor, shape: Shape, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid"
) -> Tensor:
    return _adjoint(lambda x: windows(x, size, strides, dilation, padding), shape, y)


def conv_transposed(
    y: Tensor, k: Tensor, shape: Shape, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1,
    padding: str = "valid",
) -> Tensor:  # fmt: skip
    """What JAX transposes a convolution into: one with a dilated input. jax.lax.conv_transpose has no groups."""
    return _adjoint(lambda x: conv(x, k, strides, dilation, groups, padding), shape, y)


def conv_kernel(
    x: Tensor, y: Tensor, shape: Shape, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1,
    padding: str = "valid",
) -> Tensor:  # fmt: skip
    return _adjoint(lambda k: conv(x, k, strides, dilation, groups, padding), shape, y)


WINDOWS: Mapping[str, Any] = {
    "windows": windows,
    "overlap_add": overlap_add,
    "conv": conv,
    "conv_transposed": conv_transposed,
    "conv_kernel": conv_kernel,
}
