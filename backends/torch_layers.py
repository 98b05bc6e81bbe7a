"""PyTorch's own layers, as rows: what a user would call, and the settings for which it is that formula.

torch has the channels before space and a filter's channels before its size: both are seen so by a permuted view.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from crossnn.adapter import Knobs, Native, Params, Tensor

Row = Callable[[Knobs], Native | None]
F = "torch.nn.functional."


def _plain(call: str, function: Callable[..., Tensor]) -> Row:
    return lambda knobs: Native(call, function)


def _channels_first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def _filters_first(kernel: Tensor) -> Tensor:
    return kernel.movedim((-1, -2), (0, 1))


def _without_advice() -> contextlib.AbstractContextManager[Any]:
    """torch advises against `same` where a kernel is even, since it copies the input; not while it compiles."""
    if torch.compiler.is_compiling():
        return contextlib.nullcontext()
    return warnings.catch_warnings(action="ignore", category=UserWarning)


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
            with _without_advice():
                y = function(_channels_first(x), _filters_first(p["kernel"]), p.get("bias"), groups=groups)
            return y.movedim(1, -1)

        return Native(F + call, conv)

    return bind


def _conv_transposed(knobs: Knobs) -> Native | None:
    """torch takes off as much before as after, and appends less than a stride."""
    size, stride = int(knobs["size"]), int(knobs["stride"])
    surplus = size - stride if knobs["padding"] == "same" else 0
    if surplus > 0 and surplus % 2:
        return None
    given = {"stride": stride, "padding": max(surplus // 2, 0), "output_padding": max(-surplus, 0)}

    def conv(p: Params, x: Tensor) -> Tensor:
        kernel = _filters_first(p["kernel"])
        return functional.conv_transpose2d(_channels_first(x), kernel, p["bias"], **given).movedim(1, -1)

    return Native(f"{F}conv_transpose2d", conv)


def _sides(knobs: Knobs) -> dict[str, Any] | None:
    """`same` in torch's terms: as many before as after, or, for windows of 2 that do not overlap, an incomplete last
    window. What torch has no word for is None."""
    size, strides = knobs["pool_size"], knobs["strides"]
    if knobs["padding"] == "valid":
        return {}
    if max(strides) == 1 and all(length % 2 for length in size):
        return {"padding": [length // 2 for length in size]}
    if size == strides and max(size) <= 2:
        return {"ceil_mode": True}
    return None


def _pool(kind: str, rank: int) -> Row:
    def bind(knobs: Knobs) -> Native | None:
        sides = _sides(knobs)
        if sides is None:
            return None
        given = {"kernel_size": knobs["pool_size"], "stride": knobs["strides"], **sides}
        if kind == "avg":
            given["count_include_pad"] = knobs["count_padding"]
            if "ceil_mode" in sides and knobs["count_padding"]:  # what the last window lacks is no padding to torch
                if rank == 1:
                    return None
                given["divisor_override"] = math.prod(knobs["pool_size"])
        function = getattr(functional, f"{kind}_pool{rank}d")
        shown = "".join(f"({name}=)" for name in (*sides, "divisor_override") if name in given)
        return Native(
            f"{F}{kind}_pool{rank}d{shown}", lambda p, x: function(_channels_first(x), **given).movedim(1, -1)
        )

    return bind


def _global_pool(kind: str) -> Row:
    def pool(p: Params, x: Tensor) -> Tensor:
        function = getattr(functional, f"adaptive_{kind}_pool{x.dim() - 2}d")
        return function(_channels_first(x), 1).flatten(1)

    return _plain(f"{F}adaptive_{kind}_pool", pool)


def _batch_norm(knobs: Knobs) -> Native | None:
    """torch counts its momentum the other way round, and keeps the unbiased variance."""
    training = bool(knobs["training"])
    if training and not knobs["unbiased_running_variance"]:
        return None

    def norm(p: Params, x: Tensor) -> Any:
        mean, variance = p["running_mean"].clone(), p["running_variance"].clone()
        y = functional.batch_norm(
            _channels_first(x), mean, variance, p["gamma"], p["beta"], training, 1 - knobs["momentum"], knobs["eps"]
        ).movedim(1, -1)
        return (y, {"running_mean": mean, "running_variance": variance}) if training else y

    return Native(f"{F}batch_norm", norm)


def _layer_norm(knobs: Knobs) -> Native:
    def norm(p: Params, x: Tensor) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], p["gamma"], p["beta"], knobs["eps"])

    return Native(f"{F}layer_norm", norm)


def _group_norm(knobs: Knobs) -> Native:
    def norm(p: Params, x: Tensor) -> Tensor:
        y = functional.group_norm(_channels_first(x), int(knobs["groups"]), p["gamma"], p["beta"], knobs["eps"])
        return y.movedim(1, -1)

    return Native(f"{F}group_norm", norm)


def _instance_norm(knobs: Knobs) -> Native:
    def norm(p: Params, x: Tensor) -> Tensor:
        y = functional.instance_norm(_channels_first(x), weight=p["gamma"], bias=p["beta"], eps=knobs["eps"])
        return y.movedim(1, -1)

    return Native(f"{F}instance_norm", norm)


def _rms_norm(knobs: Knobs) -> Native:
    return Native(f"{F}rms_norm", lambda p, x: functional.rms_norm(x, x.shape[-1:], p["gamma"], knobs["eps"]))


def _prelu(p: Params, x: Tensor) -> Tensor:
    return functional.prelu(_channels_first(x), p["alpha"]).movedim(1, -1)


def _after_training(call: str, function: Callable[[Knobs, Tensor], Tensor]) -> Row:
    """A layer that draws while it learns, which only the core may do."""
    return lambda knobs: None if knobs["training"] else Native(call, lambda p, x: function(knobs, x))


def _recurrent(name: str, gates: int, order: tuple[int, ...] = ()) -> Row:
    """A torch.nn module, called with parameters from outside. torch adds two biases. Dynamo does not take these
    modules apart (torch._dynamo.config.allow_rnn)."""

    def bind(knobs: Knobs) -> Native | None:
        if not knobs.get("reset_after", True):
            return None

        def ordered(z: Tensor) -> Tensor:
            """(gates*units, ...), the gates in torch's order."""
            rows = z.T if z.dim() == 2 else z
            parts = rows.chunk(gates)
            return torch.cat([parts[one] for one in order]) if order else rows

        def function(p: Params, x: Tensor) -> Tensor:
            module = getattr(torch.nn, name)(x.shape[-1], int(knobs["units"]), batch_first=True, device="meta")
            weights = {
                "weight_ih_l0": ordered(p["kernel"]),
                "weight_hh_l0": ordered(p["recurrent_kernel"]),
                "bias_ih_l0": ordered(p["bias"]),
                "bias_hh_l0": ordered(p.get("recurrent_bias", torch.zeros_like(p["bias"]))),
            }
            sequence, _ = torch.func.functional_call(module, weights, (x,))
            return sequence if knobs["return_sequences"] else sequence[:, -1]

        return Native(f"torch.nn.{name}", function, modes=("eager",))

    return bind


def _attention(knobs: Knobs) -> Native:
    """scaled_dot_product_attention between the four dense layers around it."""
    heads = int(knobs["heads"])

    def dense(p: Params, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, p[f"{name}_kernel"].T, p.get(f"{name}_bias"))

    def split(y: Tensor) -> Tensor:
        return y.unflatten(-1, (heads, -1)).transpose(1, 2)

    def attend(p: Params, x: Tensor, value: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        other = x if value is None else value
        q, k, v = split(dense(p, x, "query")), split(dense(p, other, "key")), split(dense(p, other, "value"))
        seen, causal = None if mask is None else (mask > 0)[:, None, None, :], bool(knobs["causal"])
        if seen is not None and causal:  # torch takes one or the other
            seen, causal = seen & torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(), False
        y = functional.scaled_dot_product_attention(q, k, v, seen, is_causal=causal)
        return dense(p, y.transpose(1, 2).flatten(2), "output")

    return Native(f"{F}scaled_dot_product_attention", attend)


LAYERS: Mapping[str, Row] = {
    "dense": _dense,
    "flatten": _plain("torch.flatten", lambda p, x: torch.flatten(x, 1)),
    "reshape": lambda knobs: Native(
        "torch.reshape", lambda p, x: torch.reshape(x, (x.shape[0], *knobs["target_shape"]))
    ),
    "permute": lambda knobs: Native("torch.permute", lambda p, x: torch.permute(x, (0, *knobs["order"]))),
    "add": _plain("torch.add", lambda p, x, y: torch.add(x, y)),
    "multiply": _plain("torch.mul", lambda p, x, y: torch.mul(x, y)),
    "concatenate": _plain("torch.cat", lambda p, x, y: torch.cat((x, y), -1)),
    "flip_time": _plain("torch.flip", lambda p, x: torch.flip(x, (1,))),
    "prelu": _plain(f"{F}prelu", _prelu),
    "rrelu": _after_training(
        f"{F}rrelu", lambda knobs, x: functional.rrelu(x, knobs["lower"], knobs["upper"], training=False)
    ),
    "dropout": _after_training(
        f"{F}dropout", lambda knobs, x: functional.dropout(x, knobs["rate"], training=False)
    ),
    **{f"conv{rank}d": _conv(rank) for rank in (1, 2, 3)},
    "depthwise_conv2d": _conv(2),
    "conv2d_transposed": _conv_transposed,
    **{f"max_pool{rank}d": _pool("max", rank) for rank in (1, 2, 3)},
    **{f"average_pool{rank}d": _pool("avg", rank) for rank in (1, 2, 3)},
    "global_average_pool": _global_pool("avg"),
    "global_max_pool": _global_pool("max"),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "rms_norm": _rms_norm,
    "embedding": _plain(f"{F}embedding", lambda p, x: functional.embedding(x, p["table"])),
    "simple_rnn": _recurrent("RNN", 1),
    "lstm": _recurrent("LSTM", 4),
    "gru": _recurrent("GRU", 3, (1, 0, 2)),
    "self_attention": _attention,
    "cross_attention": _attention,
}  # fmt: skip
"""Layer -> its row."""
