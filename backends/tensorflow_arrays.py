"""Primitives that move, count or pick elements, in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from crossnn.adapter import Tensor
from crossnn.formula.shapes import Shape


def part(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return x[(*(slice(None),) * (axis % len(x.shape)), slice(start, stop))]


def pad(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    widths = [(0, 0)] * len(x.shape)
    widths[axis] = (before, after)
    return tf.pad(x, widths)


def one_hot(i: Any, like: Tensor) -> Tensor:
    """tf.one_hot takes no floats, and tf.equal no two types."""
    i = tf.expand_dims(tf.convert_to_tensor(i), -1)
    return tf.cast(tf.equal(i, tf.cast(tf.range(like.shape[-1]), i.dtype)), like.dtype)


def take(x: Tensor, i: Any) -> Tensor:
    return tf.gather(x, _whole(i))


def put(y: Tensor, i: Any, shape: Shape) -> Tensor:
    return tf.scatter_nd(tf.expand_dims(_whole(i), -1), y, shape)


def _whole(i: Any) -> Tensor:
    """Indices; counted ones, as of `iota`, are floats. Of one type, since tf.scatter_nd wants its own for the shape."""
    return tf.cast(i, tf.int32)


def orthonormal(x: Tensor) -> Tensor:
    """TensorFlow decomposes no bfloat16."""
    wide = tf.stop_gradient(tf.cast(x, tf.float32) if x.dtype == tf.bfloat16 else x)
    q, r = tf.linalg.qr(wide)
    return tf.cast(tf.where(tf.linalg.diag_part(r) < 0, -q, q), x.dtype)


ARRAYS: Mapping[str, Any] = {
    "slice": part,
    "pad": pad,
    "flip": lambda x, axis=0: tf.reverse(x, (axis,)),
    "concatenate": lambda *inputs, axis=-1: tf.concat(inputs, axis),
    "one_hot": one_hot,
    "take": take,
    "put": put,
    "orthonormal": orthonormal,
}
