"""PyTorch's own layers as classes of torch.nn, called with parameters from outside.

A module keeps its parameters to itself; `torch.func.functional_call` lends it others, so that one that is made without
memory (device "meta") is enough. Dynamo is not asked to take modules apart that a function makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import Row, Table

from .torch_rows import channels_first, channels_last, filters_first, of_rank, without_advice

META: dict[str, Any] = {"device": "meta"}
EAGER = ("eager",)
Weights = dict[str, Tensor]


def lent(module: torch.nn.Module, weights: Weights, *inputs: Tensor) -> Any:
    """The module's result with these parameters and buffers."""
    return torch.func.functional_call(module, weights, inputs)


def _weights(p: Params, weight: Tensor) -> Weights:
    return {"weight": weight, **({"bias": p["bias"]} if "bias" in p else {})}


def _class(name: str, call: Callable[[Callable[..., Any], Knobs, Params, Tensor], Any]) -> Row:
    """`call` makes the module of this name and lends it the parameters."""
    make = getattr(torch.nn, name)
    return lambda knobs: Native(f"torch.nn.{name}", lambda p, x: call(make, knobs, p, x), EAGER)


def _linear(make: Callable[..., Any], knobs: Knobs, p: Params, x: Tensor) -> Tensor:
    module = make(*p["kernel"].shape, bias="bias" in p, **META)
    found: Tensor = lent(module, _weights(p, p["kernel"].T), x)
    return found


def _conv(rank: int) -> Row:
    name = f"Conv{rank}d"

    def bind(knobs: Knobs) -> Native | None:
        if knobs["padding"] == "same" and max(knobs["strides"]) > 1:
            return None
        given = {"stride": knobs["strides"], "padding": knobs["padding"], "dilation": knobs["dilation"]}

        def conv(p: Params, x: Tensor) -> Tensor:
            kernel, channels = filters_first(p["kernel"]), x.shape[-1]
            module = getattr(torch.nn, name)(
                channels, kernel.shape[0], kernel.shape[2:], groups=int(knobs.get("groups", channels)),
                bias="bias" in p, **given, **META,
            )  # fmt: skip
            with without_advice():
                return channels_last(lent(module, _weights(p, kernel), channels_first(x)))

        return Native(f"torch.nn.{name}", conv, EAGER)

    return bind


def _conv_transposed(knobs: Knobs) -> Native | None:
    size, stride = int(knobs["size"]), int(knobs["stride"])
    surplus = size - stride if knobs["padding"] == "same" else 0
    if surplus > 0 and surplus % 2:
        return None

    def conv(p: Params, x: Tensor) -> Tensor:
        kernel = filters_first(p["kernel"])
        module = torch.nn.ConvTranspose2d(
            *kernel.shape[:2], size, stride, max(surplus // 2, 0), max(-surplus, 0), **META
        )
        return channels_last(lent(module, _weights(p, kernel), channels_first(x)))

    return Native("torch.nn.ConvTranspose2d", conv, EAGER)


def _batch_norm(rank: int) -> Row:
    """Space is brought to the rank of the class."""
    name = f"BatchNorm{rank}d"

    def bind(knobs: Knobs) -> Native | None:
        training = bool(knobs["training"])
        if training and not knobs["unbiased_running_variance"]:
            return None

        def norm(p: Params, x: Tensor) -> Any:
            module = getattr(torch.nn, name)(x.shape[-1], eps=knobs["eps"], momentum=1 - knobs["momentum"], **META)
            mean, variance = p["running_mean"].clone(), p["running_variance"].clone()
            buffers = {"running_mean": mean, "running_var": variance, "num_batches_tracked": torch.tensor(0)}
            weights = {"weight": p["gamma"], "bias": p["beta"], **buffers}
            y = _shaped_as(lent(module.train(training), weights, of_rank(x, rank)), x)
            return (y, {"running_mean": mean, "running_variance": variance}) if training else y

        return Native(f"torch.nn.{name}", norm, EAGER)

    return bind


def _shaped_as(y: Tensor, x: Tensor) -> Tensor:
    """Channels last, and the space of x."""
    return channels_last(y.reshape(channels_first(x).shape))


def _instance_norm(rank: int) -> Row:
    def norm(make: Callable[..., Any], knobs: Knobs, p: Params, x: Tensor) -> Tensor:
        module = make(x.shape[-1], eps=knobs["eps"], affine=True, **META)
        return _shaped_as(lent(module, {"weight": p["gamma"], "bias": p["beta"]}, of_rank(x, rank)), x)

    return _class(f"InstanceNorm{rank}d", norm)


def _layer_norm(make: Callable[..., Any], knobs: Knobs, p: Params, x: Tensor) -> Any:
    return lent(make(x.shape[-1], eps=knobs["eps"], **META), {"weight": p["gamma"], "bias": p["beta"]}, x)


def _group_norm(make: Callable[..., Any], knobs: Knobs, p: Params, x: Tensor) -> Tensor:
    module = make(int(knobs["groups"]), x.shape[-1], eps=knobs["eps"], **META)
    return channels_last(lent(module, {"weight": p["gamma"], "bias": p["beta"]}, channels_first(x)))


def _rms_norm(make: Callable[..., Any], knobs: Knobs, p: Params, x: Tensor) -> Any:
    return lent(make(x.shape[-1], eps=knobs["eps"], **META), {"weight": p["gamma"]}, x)


def _prelu(make: Callable[..., Any], knobs: Knobs, p: Params, x: Tensor) -> Tensor:
    return channels_last(lent(make(x.shape[-1], **META), {"weight": p["alpha"]}, channels_first(x)))


def _embedding(make: Callable[..., Any], knobs: Knobs, p: Params, x: Tensor) -> Any:
    return lent(make(*p["table"].shape, **META), {"weight": p["table"]}, x)


def _resting(call: str, make: Callable[[Knobs], torch.nn.Module], first: bool = False) -> Row:
    """A class that draws while it learns, in inference; `first`: it has the channels first."""

    def bind(knobs: Knobs) -> Native | None:
        if knobs["training"]:
            return None
        module = make(knobs).eval()
        return Native(call, lambda p, x: channels_last(module(channels_first(x))) if first else module(x), EAGER)

    return bind


def _flatten(make: Callable[..., Any], knobs: Knobs, p: Params, x: Tensor) -> Any:
    return make()(x)


CLASSES: Table = {
    "dense": (_class("Linear", _linear),),
    "flatten": (_class("Flatten", _flatten),),
    "prelu": (_class("PReLU", _prelu),),
    "rrelu": (_resting("torch.nn.RReLU", lambda knobs: torch.nn.RReLU(knobs["lower"], knobs["upper"])),),
    "dropout": (_resting("torch.nn.Dropout", lambda knobs: torch.nn.Dropout(knobs["rate"])),),
    "dropout_shared": (_resting("torch.nn.Dropout1d", lambda knobs: torch.nn.Dropout1d(knobs["rate"]), first=True),),
    **{f"conv{rank}d": (_conv(rank),) for rank in (1, 2, 3)},
    "depthwise_conv2d": (_conv(2),),
    "conv2d_transposed": (_conv_transposed,),
    "batch_norm": tuple(map(_batch_norm, (1, 2, 3))),
    "layer_norm": (_class("LayerNorm", _layer_norm),),
    "group_norm": (_class("GroupNorm", _group_norm),),
    "instance_norm": tuple(map(_instance_norm, (1, 2, 3))),
    "rms_norm": (_class("RMSNorm", _rms_norm),),
    "embedding": (_class("Embedding", _embedding),),
}
