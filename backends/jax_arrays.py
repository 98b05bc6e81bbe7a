"""Primitives that move, count or pick elements, in JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from crossnn.adapter import Function, Tensor
from crossnn.formula.shapes import Shape


def part(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return jax.lax.slice_in_dim(x, start, stop, axis=axis)


def pad(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths)


def one_hot(i: Any, like: Tensor) -> Tensor:
    return (jnp.asarray(i)[..., None] == jnp.arange(like.shape[-1])).astype(like.dtype)


def take(x: Tensor, i: Any) -> Tensor:
    return x[_whole(i)]


def put(y: Tensor, i: Any, shape: Shape) -> Tensor:
    return jnp.zeros(shape, y.dtype).at[_whole(i)].add(y)


def _whole(i: Any) -> Tensor:
    """Indices; counted ones, as of `iota`, are floats."""
    i = jnp.asarray(i)
    return i.astype(int) if jnp.issubdtype(i.dtype, jnp.floating) else i


def orthonormal(x: Tensor) -> Tensor:
    """XLA decomposes no bfloat16."""
    q, r = jnp.linalg.qr(jax.lax.stop_gradient(x).astype(jnp.promote_types(x.dtype, jnp.float32)))
    return jnp.where(jnp.diagonal(r) < 0, -q, q).astype(x.dtype)


def loop(step: Function, carried: tuple[Tensor, ...], sequences: tuple[Tensor, ...]) -> Any:
    """jax.lax.scan, which goes along the first axis and takes it away."""
    parts = tuple(jnp.expand_dims(jnp.swapaxes(one, 0, 1), 2) for one in sequences)
    carried, collected = jax.lax.scan(step, carried, parts)
    return carried, tuple(jnp.swapaxes(one, 0, 1).reshape(one.shape[1], -1, *one.shape[3:]) for one in collected)


ARRAYS: Mapping[str, Any] = {
    "slice": part,
    "pad": pad,
    "flip": lambda x, axis=0: jnp.flip(x, axis),
    "concatenate": lambda *inputs, axis=-1: jnp.concatenate(inputs, axis),
    "one_hot": one_hot,
    "take": take,
    "put": put,
    "orthonormal": orthonormal,
    "loop": loop,
}
