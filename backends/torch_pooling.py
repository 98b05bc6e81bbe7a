"""PyTorch's own pooling, as rows: functions, classes, and functions after padding, where `same` is no symmetric one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import Row, Table

from .torch_rows import F, channels_first, channels_last, of_rank, padded, plain

KINDS = {"max": "max", "average": "avg"}
"""Our word for what is taken of a window -> torch's."""


def _given(kind: str, rank: int, knobs: Knobs) -> dict[str, Any] | None:
    """The arguments of torch's pooling; None where it has no word for these settings: `same` is as many before as
    after, or, for windows of 2 that do not overlap, an incomplete last window."""
    size, strides = knobs["pool_size"], knobs["strides"]
    given: dict[str, Any] = {"kernel_size": size, "stride": strides}
    if kind == "avg":
        given["count_include_pad"] = knobs["count_padding"]
    if knobs["padding"] == "valid":
        return given
    if max(strides) == 1 and all(length % 2 for length in size):
        return {**given, "padding": [length // 2 for length in size]}
    if size != strides or max(size) > 2:
        return None
    if kind == "avg" and knobs["count_padding"]:  # what the last window lacks is no padding to torch
        return None if rank == 1 else {**given, "ceil_mode": True, "divisor_override": math.prod(size)}
    return {**given, "ceil_mode": True}


def _pool(kind: str, rank: int) -> Row:
    def bind(knobs: Knobs) -> Native | None:
        given = _given(kind, rank, knobs)
        if given is None:
            return None
        function = getattr(functional, f"{kind}_pool{rank}d")
        return Native(
            f"{F}{kind}_pool{rank}d{_shown(given)}",
            lambda p, x: channels_last(function(channels_first(x), **given)),
        )

    return bind


def _pool_after_pad(kind: str, rank: int) -> Row:
    """Any `same`, but for averages that do not count the padding."""

    def bind(knobs: Knobs) -> Native | None:
        size, strides = knobs["pool_size"], knobs["strides"]
        if knobs["padding"] != "same" or not knobs.get("count_padding", True):
            return None
        function, fill = getattr(functional, f"{kind}_pool{rank}d"), 0.0 if kind == "avg" else -math.inf

        def pool(p: Params, x: Tensor) -> Tensor:
            wide = padded(channels_first(x), size, strides, [1] * rank, fill)
            return channels_last(function(wide, size, strides))

        return Native(f"{F}{kind}_pool{rank}d({F}pad)", pool)

    return bind


def _global_pool(kind: str, rank: int) -> Row:
    function = getattr(functional, f"adaptive_{kind}_pool{rank}d")
    return plain(f"{F}adaptive_{kind}_pool{rank}d", lambda p, x: function(of_rank(x, rank), 1).flatten(1))


def _shown(given: Mapping[str, Any]) -> str:
    """Of the arguments of a pooling those that change what it is."""
    return "".join(f"({name}=)" for name in ("padding", "ceil_mode", "divisor_override") if name in given)


def _pool_class(kind: str, rank: int) -> Row:
    def bind(knobs: Knobs) -> Native | None:
        given = _given(kind, rank, knobs)
        if given is None:
            return None
        name = f"{kind.capitalize()}Pool{rank}d"
        module = getattr(torch.nn, name)(**given)
        return Native(f"torch.nn.{name}{_shown(given)}", lambda p, x: channels_last(module(channels_first(x))))

    return bind


def _global_class(kind: str, rank: int) -> Row:
    name = f"Adaptive{kind.capitalize()}Pool{rank}d"
    module = getattr(torch.nn, name)(1)
    return plain(f"torch.nn.{name}", lambda p, x: module(of_rank(x, rank)).flatten(1))


POOLING: Table = {
    **{
        f"{ours}_pool{rank}d": (_pool(kind, rank), _pool_class(kind, rank), _pool_after_pad(kind, rank))
        for ours, kind in KINDS.items()
        for rank in (1, 2, 3)
    },
    **{
        f"global_{ours}_pool": tuple(make(kind, rank) for make in (_global_pool, _global_class) for rank in (2, 1, 3))
        for ours, kind in KINDS.items()
    },
}
