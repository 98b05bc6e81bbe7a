"""PyTorch's own layers, as rows: what a user would call, and the settings for which it is that formula.

torch has the channels before space and a filter's channels before its size: both are seen so by a permuted view. What
draws while it learns (dropout, rrelu) has natives in inference alone: the draws are the core's, and torch takes none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import Row, Table

from .torch_classes import CLASSES
from .torch_pooling import POOLING
from .torch_rows import F, channels_first, channels_last, filters_first, padded, plain, without_advice
from .torch_sequences import SEQUENCES


def _dense(knobs: Knobs) -> Native:
    return Native(f"{F}linear", lambda p, x: functional.linear(x, p["kernel"].T, p.get("bias")))


def _conv(rank: int) -> Row:
    """torch's `same` is that of TensorFlow where it takes it: with a stride of 1."""

    def bind(knobs: Knobs) -> Native | None:
        if knobs["padding"] == "same" and max(knobs["strides"]) > 1:
            return None
        call = f"conv{rank}d"
        function = functools.partial(
            getattr(functional, call), stride=knobs["strides"], padding=knobs["padding"], dilation=knobs["dilation"]
        )

        def conv(p: Params, x: Tensor) -> Tensor:
            """Every channel is a group where the settings do not say how many there are."""
            groups = int(knobs.get("groups", x.shape[-1]))
            with without_advice():
                y = function(channels_first(x), filters_first(p["kernel"]), p.get("bias"), groups=groups)
            return channels_last(y)

        return Native(F + call, conv)

    return bind


def _conv_after_pad(rank: int) -> Row:
    """What torch's own `same` refuses: strides."""

    def bind(knobs: Knobs) -> Native | None:
        strides, dilation = knobs["strides"], knobs.get("dilation", [1] * rank)
        if knobs["padding"] != "same" or max(strides) == 1:
            return None
        function = getattr(functional, f"conv{rank}d")

        def conv(p: Params, x: Tensor) -> Tensor:
            kernel = filters_first(p["kernel"])
            wide = padded(channels_first(x), kernel.shape[2:], strides, dilation)
            groups = int(knobs.get("groups", x.shape[-1]))
            return channels_last(function(wide, kernel, p.get("bias"), strides, 0, dilation, groups))

        return Native(f"{F}conv{rank}d({F}pad)", conv)

    return bind


def _separable(knobs: Knobs) -> Native | None:
    if knobs["padding"] == "same" and max(knobs["strides"]) > 1:
        return None

    def conv(p: Params, x: Tensor) -> Tensor:
        with without_advice():
            y = functional.conv2d(
                channels_first(x), filters_first(p["depthwise_kernel"]), None, knobs["strides"], knobs["padding"],
                groups=x.shape[-1],
            )  # fmt: skip
        return channels_last(functional.conv2d(y, filters_first(p["pointwise_kernel"]), p["bias"]))

    return Native(f"{F}conv2d, twice", conv)


def _conv_transposed(knobs: Knobs) -> Native | None:
    """torch takes off as much before as after, and appends less than a stride; an odd one is cropped."""
    size, stride = int(knobs["size"]), int(knobs["stride"])
    surplus = size - stride if knobs["padding"] == "same" else 0
    given = {"stride": stride, "padding": max(surplus // 2, 0), "output_padding": max(-surplus, 0)}
    odd = surplus > 0 and surplus % 2 == 1

    def conv(p: Params, x: Tensor) -> Tensor:
        y = functional.conv_transpose2d(channels_first(x), filters_first(p["kernel"]), p["bias"], **given)
        return channels_last(functional.pad(y, (0, -1, 0, -1)) if odd else y)

    return Native(f"{F}conv_transpose2d" + (f"({F}pad)" if odd else ""), conv)


def _batch_norm(knobs: Knobs) -> Native | None:
    """torch counts its momentum the other way round, and keeps the unbiased variance."""
    training = bool(knobs["training"])
    if training and not knobs["unbiased_running_variance"]:
        return None

    def norm(p: Params, x: Tensor) -> Any:
        mean, variance = p["running_mean"].clone(), p["running_variance"].clone()
        y = functional.batch_norm(
            channels_first(x), mean, variance, p["gamma"], p["beta"], training, 1 - knobs["momentum"], knobs["eps"]
        )
        y = channels_last(y)
        return (y, {"running_mean": mean, "running_variance": variance}) if training else y

    return Native(f"{F}batch_norm", norm)


def _layer_norm(knobs: Knobs) -> Native:
    def norm(p: Params, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], p["gamma"], p["beta"], knobs["eps"])

    return Native(f"{F}layer_norm", norm)


def _group_norm(knobs: Knobs) -> Native:
    def norm(p: Params, x: Tensor) -> Tensor:
        y = functional.group_norm(channels_first(x), int(knobs["groups"]), p["gamma"], p["beta"], knobs["eps"])
        return channels_last(y)

    return Native(f"{F}group_norm", norm)


def _instance_norm(knobs: Knobs) -> Native:
    def norm(p: Params, x: Tensor) -> Tensor:
        y = functional.instance_norm(channels_first(x), weight=p["gamma"], bias=p["beta"], eps=knobs["eps"])
        return channels_last(y)

    return Native(f"{F}instance_norm", norm)


def _rms_norm(knobs: Knobs) -> Native:
    return Native(f"{F}rms_norm", lambda p, x: functional.rms_norm(x, x.shape[-1:], p["gamma"], knobs["eps"]))


def _unflatten(knobs: Knobs, x: Tensor) -> Tensor:
    found: Tensor = torch.nn.Unflatten(1, tuple(knobs["target_shape"]))(torch.flatten(x, 1))
    return found


def _prelu(p: Params, x: Tensor) -> Tensor:
    return channels_last(functional.prelu(channels_first(x), p["alpha"]))


def _after_training(call: str, function: Callable[[Knobs, Tensor], Tensor]) -> Row:
    """A layer that draws while it learns, which only the core may do."""
    return lambda knobs: None if knobs["training"] else Native(call, lambda p, x: function(knobs, x))


def _shared(knobs: Knobs, x: Tensor) -> Tensor:
    """Dropout of whole channels: here of a feature at all steps."""
    return channels_last(functional.dropout1d(channels_first(x), knobs["rate"], training=False))


OWN: Table = {
    "dense": (_dense,),
    "flatten": (plain("torch.flatten", lambda p, x: torch.flatten(x, 1)),),
    "reshape": (
        lambda knobs: Native("torch.reshape", lambda p, x: torch.reshape(x, (x.shape[0], *knobs["target_shape"]))),
        lambda knobs: Native("torch.nn.Unflatten(torch.flatten)", lambda p, x: _unflatten(knobs, x), ("eager",)),
    ),
    "permute": (lambda knobs: Native("torch.permute", lambda p, x: torch.permute(x, (0, *knobs["order"]))),),
    "add": (plain("torch.add", lambda p, x, y: torch.add(x, y)),),
    "multiply": (plain("torch.mul", lambda p, x, y: torch.mul(x, y)),),
    "concatenate": (plain("torch.cat", lambda p, x, y: torch.cat((x, y), -1)),),
    "flip_time": (plain("torch.flip", lambda p, x: torch.flip(x, (1,))),),
    "prelu": (plain(f"{F}prelu", _prelu),),
    "rrelu": (
        _after_training(
            f"{F}rrelu", lambda knobs, x: functional.rrelu(x, knobs["lower"], knobs["upper"], training=False)
        ),
    ),
    "dropout": (_after_training(f"{F}dropout", lambda knobs, x: functional.dropout(x, knobs["rate"], training=False)),),
    "dropout_shared": (_after_training(f"{F}dropout1d", _shared),),
    **{f"conv{rank}d": (_conv(rank), _conv_after_pad(rank)) for rank in (1, 2, 3)},
    "depthwise_conv2d": (_conv(2), _conv_after_pad(2)),
    "separable_conv2d": (_separable,),
    "conv2d_transposed": (_conv_transposed,),
    **POOLING,
    "batch_norm": (_batch_norm,),
    "layer_norm": (_layer_norm,),
    "group_norm": (_group_norm,),
    "instance_norm": (_instance_norm,),
    "rms_norm": (_rms_norm,),
    "embedding": (plain(f"{F}embedding", lambda p, x: functional.embedding(x, p["table"])),),
    **SEQUENCES,
}
LAYERS: Table = {name: (*rows, *CLASSES.get(name, ())) for name, rows in OWN.items()}
"""Layer -> its rows: functions, then classes."""
