"""Primitives that move, count or pick elements, in TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from crossnn.adapter import Function, Tensor
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


def loop(step: Function, carried: tuple[Tensor, ...], sequences: tuple[Tensor, ...]) -> Any:
    """tf.while_loop; XLA wants to know how often at most."""
    length = sequences[0].shape[1]
    parts = [_rows(tf.expand_dims(tf.transpose(x, (1, 0, *range(2, x.shape.rank))), 2)) for x in sequences]
    shapes = tf.nest.map_structure(lambda x: x.shape, step(carried, tuple(x[:, :1] for x in sequences)))[1]
    kept = tuple(tf.TensorArray(carried[0].dtype, length, element_shape=shape) for shape in shapes)

    def body(place: Tensor, carried: Any, kept: Any) -> Any:
        carried, collected = step(carried, tuple(rows.read(place) for rows in parts))
        return place + 1, carried, tuple(rows.write(place, one) for rows, one in zip(kept, collected, strict=True))

    _, carried, kept = tf.while_loop(
        lambda place, *_: place < length, body, (0, carried, kept), parallel_iterations=1, maximum_iterations=length
    )
    return carried, tuple(_joined(rows.stack()) for rows in kept)


def _rows(x: Tensor) -> tf.TensorArray:
    return tf.TensorArray(x.dtype, x.shape[0], element_shape=x.shape[1:]).unstack(x)


def _joined(x: Tensor) -> Tensor:
    """(steps, batch, 1, ...) -> (batch, steps, ...)."""
    return tf.reshape(tf.transpose(x, (1, 0, *range(2, x.shape.rank))), (x.shape[1], -1, *x.shape[3:]))


ARRAYS: Mapping[str, Any] = {
    "slice": part,
    "pad": pad,
    "flip": lambda x, axis=0: tf.reverse(x, (axis,)),
    "concatenate": lambda *inputs, axis=-1: tf.concat(inputs, axis),
    "one_hot": one_hot,
    "take": take,
    "put": put,
    "orthonormal": orthonormal,
    "loop": loop,
}
