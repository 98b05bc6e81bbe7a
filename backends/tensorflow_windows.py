"""Convolution and its kin in TensorFlow, channels last as everything there, around the gaps of its CPU kernels.

In TensorFlow 2.21 these are missing on the CPU: gradients of grouped convolutions (in float64, and everywhere without
oneDNN: tensorflow#50397), grouped convolution in 3-D (tensorflow#29005), dilation together with strides (keras#23028),
dilation in a transposed convolution (tensorflow#28264), depthwise strides that differ (tensorflow#33005). XLA has them
all, but a function does not know how it will be compiled, so that every mode takes the same way.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from crossnn.adapter import Function, Tensor
from crossnn.formula.shapes import Lengths, Shape, Window, window

_FORMAT = {1: "NWC", 2: "NHWC", 3: "NDHWC"}  # without it tf.nn.convolution's eager gradient fails in 3-D


def windows(
    x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid", fill: str = "zero"
) -> Tensor:
    """Axis by axis, the strided slices that begin at each place of the window, stacked before the channels."""
    w = window("windows", x.shape[1:-1], size, strides, dilation, padding)
    x = _padded(x, w, float("-inf") if fill == "lowest" else 0.0)
    for axis, (extent, stride, gap, steps) in enumerate(zip(w.size, w.strides, w.dilation, w.out, strict=True), 1):
        every, reach = (slice(None),) * axis, (steps - 1) * stride + 1
        parts = [x[(*every, slice(place * gap, place * gap + reach, stride))] for place in range(extent)]
        x = tf.stack(parts, len(x.shape) - 1)
    return x


def max_pool(x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid") -> Tensor:
    """TensorFlow's own kernel, ten times as fast as windows that are written down. Of equal maxima it gives the
    gradient to the first; the formula shares it among them. Its 3-D kernel on the CPU is for float32 alone, and with
    dilation it moves space into the batch."""
    w = window("max_pool", x.shape[1:-1], size, strides, dilation, padding)
    if max(w.dilation) > 1 or (len(w.size) == 3 and x.dtype != tf.float32):
        return pool_by_slices(x, size, strides, dilation, padding)
    return tf.nn.max_pool(x, w.size, w.strides, padding.upper(), _FORMAT[len(w.size)])


def pool_by_slices(
    x: Tensor, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid"
) -> Tensor:
    """Axis by axis, the maximum of the strided slices that begin at each place of the window. XLA on the CPU takes
    twice as long for the gradient of tf.nn.max_pool, and has none where operations must be deterministic."""
    w = window("max_pool", x.shape[1:-1], size, strides, dilation, padding)
    x = _padded(x, w, float("-inf"))
    for axis, (extent, stride, gap, steps) in enumerate(zip(w.size, w.strides, w.dilation, w.out, strict=True), 1):
        every, reach = (slice(None),) * axis, (steps - 1) * stride + 1
        parts = [x[(*every, slice(place * gap, place * gap + reach, stride))] for place in range(extent)]
        x = functools.reduce(tf.maximum, parts)
    return x


def _padded(x: Tensor, w: Window, value: float) -> Tensor:
    if not any(w.after):
        return x
    sides = ((0, 0), *zip(w.before, w.after, strict=True), (0, 0))
    return tf.pad(x, sides, constant_values=tf.constant(value, x.dtype))


def conv(
    x: Tensor, k: Tensor, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1, padding: str = "valid"
) -> Tensor:
    w = window("conv", x.shape[1:-1], k.shape[:-2], strides, dilation, padding)
    gaps, rank, rule = w.dilation, len(w.size), padding.upper()
    if max(w.strides) > 1 and max(gaps) > 1:
        k, gaps = _dilated(k, gaps), (1,) * rank
    if groups == 1:
        return tf.nn.convolution(x, k, w.strides, rule, _FORMAT[rank], gaps)
    if k.shape[-2] == 1 and rank < 3 and len(set(w.strides)) == 1:
        return _depthwise(x, k, w.strides, gaps, rule)
    pairs = zip(tf.split(x, groups, -1), tf.split(k, groups, -1), strict=True)
    return tf.concat([tf.nn.convolution(x, k, w.strides, rule, _FORMAT[rank], gaps) for x, k in pairs], -1)


def _depthwise(x: Tensor, k: Tensor, strides: Shape, gaps: Shape, rule: str) -> Tensor:
    """Every channel is a group: TensorFlow has a kernel of its own for this, for images; a row is an image of one."""
    if len(gaps) == 1:
        return _depthwise(x[:, None], k[None], strides * 2, (1, *gaps), rule)[:, 0]
    kernel = tf.reshape(k, (*k.shape[:-2], x.shape[-1], -1))
    return tf.nn.depthwise_conv2d(x, kernel, (1, *strides, 1), rule, "NHWC", gaps)


def _dilated(k: Tensor, gaps: Shape) -> Tensor:
    """The kernel with the dilation written out as zeros."""
    for axis, gap in enumerate(gaps):
        shape, zeros = tuple(k.shape), [(0, 0)] * (len(k.shape) + 1)
        zeros[axis + 1] = (0, gap - 1)
        spaced = tf.reshape(tf.pad(tf.expand_dims(k, axis + 1), zeros), (*shape[:axis], -1, *shape[axis + 1 :]))
        k = spaced[(*(slice(None),) * axis, slice((shape[axis] - 1) * gap + 1))]
    return k


def _adjoint(function: Function, shape: Shape, y: Tensor) -> Tensor:
    """Of a linear function of a tensor of this shape, by TensorFlow's own gradient."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        x = tf.zeros(shape, y.dtype)
        tape.watch(x)
        value = function(x)
    return tape.gradient(value, x, output_gradients=y)


def overlap_add(
    y: Tensor, shape: Shape, size: Lengths, strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid"
) -> Tensor:
    return _adjoint(lambda x: windows(x, size, strides, dilation, padding), shape, y)


def conv_transposed(
    y: Tensor, k: Tensor, shape: Shape, strides: Lengths = 1, dilation: Lengths = 1, groups: int = 1,
    padding: str = "valid",
) -> Tensor:  # fmt: skip
    w = window("conv_transposed", shape[1:-1], k.shape[:-2], strides, dilation, padding)
    if groups == 1 and max(w.dilation) == 1:
        return tf.nn.conv_transpose(y, k, shape, w.strides, padding.upper(), _FORMAT[len(w.size)])
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
