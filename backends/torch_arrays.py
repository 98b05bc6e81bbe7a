"""Primitives that move, count or pick elements, in PyTorch. What adds, adds in a fixed order on any device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from crossnn.adapter import Tensor
from crossnn.formula.shapes import Shape


def part(x: Tensor, axis: int, start: int, stop: int) -> Tensor:
    return x.narrow(axis, start, stop - start)


def pad(x: Tensor, axis: int, before: int, after: int) -> Tensor:
    """torch counts the axes to pad from the last one."""
    return functional.pad(x, (0, 0) * (-1 - axis if axis < 0 else x.dim() - 1 - axis) + (before, after))


def one_hot(i: Any, like: Tensor) -> Tensor:
    count = torch.arange(like.shape[-1], device=like.device)
    return (torch.as_tensor(i, device=like.device).unsqueeze(-1) == count).to(like.dtype)


def take(x: Tensor, i: Any) -> Tensor:
    """The embedding of torch, whose gradient is made for many indices, on rows of one axis."""
    i = _whole(i, x)
    return functional.embedding(i, x.reshape(x.shape[0], -1)).reshape(*i.shape, *x.shape[1:])


def put(y: Tensor, i: Any, shape: Shape) -> Tensor:
    return y.new_zeros(shape).index_put((_whole(i, y),), y, accumulate=True)


def _whole(i: Any, like: Tensor) -> Tensor:
    """Indices; counted ones, as of `iota`, are floats."""
    return torch.as_tensor(i, device=like.device).long()


def orthonormal(x: Tensor) -> Tensor:
    """torch decomposes no bfloat16. Its compiler warns of itself where it meets `torch.diagonal`."""
    q, r = torch.linalg.qr(x.detach().to(torch.promote_types(x.dtype, torch.float32)))
    count = torch.arange(len(r), device=r.device)
    return torch.where(r[count, count] < 0, -q, q).to(x.dtype)


ARRAYS: Mapping[str, Any] = {
    "slice": part,
    "pad": pad,
    "flip": lambda x, axis=0: torch.flip(x, (axis,)),
    "concatenate": lambda *inputs, axis=-1: torch.cat(inputs, axis),
    "one_hot": one_hot,
    "take": take,
    "put": put,
    "orthonormal": orthonormal,
}
