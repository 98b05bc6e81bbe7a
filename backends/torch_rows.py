"""How torch's own implementations are bound to specifications: as rows, each for the settings that it implements."""

from __future__ import annotations

import contextlib
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Row, Rows, When, fits, keywords

F = "torch.nn.functional."


def plain(call: str, function: Callable[..., Any], when: When | None = None, modes: tuple[str, ...] = ()) -> Row:
    """One function, where the settings are those of `when`."""
    return lambda knobs: Native(call, function, modes) if fits(knobs, when or {}) else None


def functional_of(name: str, when: When | None = None, fixed: When | None = None, **options: str) -> Row:
    """torch.nn.functional's function of one tensor; `options` maps its keywords to our settings."""
    function = getattr(functional, name)

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when or {}):
            return None
        arguments = keywords(knobs, fixed, options)
        return Native(F + name, lambda x: function(x, **arguments))

    return bind


def module_of(name: str, when: When | None = None, fixed: When | None = None, **options: str) -> Row:
    """The class of torch.nn of one tensor."""

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when or {}):
            return None
        return Native(f"torch.nn.{name}", getattr(torch.nn, name)(**keywords(knobs, fixed, options)))

    return bind


def both(function: str, module: str, when: When | None = None, fixed: When | None = None, **options: str) -> Rows:
    """The function and the class, which have the same arguments."""
    return functional_of(function, when, fixed, **options), module_of(module, when, fixed, **options)


def channels_first(x: Tensor) -> Tensor:
    """torch has the channels before space."""
    return x.movedim(-1, 1)


def channels_last(x: Tensor) -> Tensor:
    """Back to where they are here."""
    return x.movedim(1, -1)


def filters_first(kernel: Tensor) -> Tensor:
    """torch has a filter's channels before its size."""
    return kernel.movedim((-1, -2), (0, 1))


def of_rank(x: Tensor, rank: int) -> Tensor:
    """Channels first, with so many axes of space: what is left over is joined, what lacks has a length of 1."""
    x = channels_first(x)
    space = x.shape[2:]
    if len(space) > rank:
        space = (*space[: rank - 1], math.prod(space[rank - 1 :]))
    return x.reshape(*x.shape[:2], *space, *[1] * (rank - len(space)))


def padded(
    x: Tensor, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int], value: float = 0.0
) -> Tensor:
    """Channels first, with what TensorFlow's `same` puts before and after space: half of it, the odd one after."""
    sides: list[int] = []
    for length, window, stride, apart in zip(x.shape[2:], size, strides, dilation, strict=True):
        whole = max((math.ceil(length / stride) - 1) * stride + (window - 1) * apart + 1 - length, 0)
        sides = [whole // 2, whole - whole // 2, *sides]  # torch names the last axis first
    return functional.pad(x, sides, value=value)


def without_advice() -> contextlib.AbstractContextManager[Any]:
    """torch advises against `same` where a kernel is even, since it copies the input; not while it compiles."""
    if torch.compiler.is_compiling():
        return contextlib.nullcontext()
    return warnings.catch_warnings(action="ignore", category=UserWarning)
