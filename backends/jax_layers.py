"""JAX's own layers, as rows: JAX has functions, no layers, and what it has no function for runs as the formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import rnn

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import Row, Rows, Table

from .jax_rows import row

_AXES: Mapping[int, tuple[str, str, str]] = {
    1: ("NWC", "WIO", "NWC"),
    2: ("NHWC", "HWIO", "NHWC"),
    3: ("NDHWC", "DHWIO", "NDHWC"),
}


def _conv(rank: int) -> Row:
    def bind(knobs: Knobs) -> Callable[..., Tensor]:
        def conv(p: Params, x: Tensor) -> Tensor:
            """Every channel is a group where the settings do not say how many there are."""
            y = jax.lax.conv_general_dilated(
                x, p["kernel"], knobs["strides"], knobs["padding"].upper(), rhs_dilation=knobs["dilation"],
                dimension_numbers=_AXES[rank], feature_group_count=int(knobs.get("groups", x.shape[-1])),
            )  # fmt: skip
            return y + p["bias"] if "bias" in p else y

        return conv

    return row("jax.lax.conv_general_dilated", make=bind)


def _conv_channels_first(rank: int) -> Row:
    """jax.lax.conv has its channels before its space, and no dilation or groups."""
    plain = {"dilation": [1] * rank, "groups": 1}
    space = tuple(range(1, rank + 1))

    def bind(knobs: Knobs) -> Callable[..., Tensor]:
        def conv(p: Params, x: Tensor) -> Tensor:
            first, kernel = jnp.moveaxis(x, -1, 1), jnp.transpose(p["kernel"], (rank + 1, rank, *range(rank)))
            y = jax.lax.conv(first, kernel, knobs["strides"], knobs["padding"].upper())
            y = jnp.transpose(y, (0, *(axis + 1 for axis in space), 1))
            return y + p["bias"] if "bias" in p else y

        return conv

    return row("jax.lax.conv", when=plain, make=bind)


def _separable(knobs: Knobs) -> Callable[..., Tensor]:
    def conv(p: Params, x: Tensor) -> Tensor:
        z = jax.lax.conv_general_dilated(
            x, p["depthwise_kernel"], knobs["strides"], knobs["padding"].upper(), dimension_numbers=_AXES[2],
            feature_group_count=x.shape[-1],
        )  # fmt: skip
        return (
            jax.lax.conv_general_dilated(z, p["pointwise_kernel"], (1, 1), "VALID", dimension_numbers=_AXES[2])
            + p["bias"]
        )

    return conv


def _conv_transposed(knobs: Knobs) -> Native | None:
    stride, padding = int(knobs["stride"]), knobs["padding"].upper()

    def conv(p: Params, x: Tensor) -> Tensor:
        y = jax.lax.conv_transpose(
            x, p["kernel"], (stride, stride), padding, dimension_numbers=_AXES[2], transpose_kernel=True
        )
        return y + p["bias"]

    return Native("jax.lax.conv_transpose(transpose_kernel=True)", conv)


def _sliding(knobs: Knobs) -> tuple[tuple[int, ...], tuple[int, ...], str]:
    return (1, *knobs["pool_size"], 1), (1, *knobs["strides"], 1), knobs["padding"].upper()


def _max_pool(knobs: Knobs) -> Native:
    return Native(
        "jax.lax.reduce_window(max)",
        lambda p, x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, *_sliding(knobs)),
    )


def _average_pool(knobs: Knobs) -> Native:
    def pool(p: Params, x: Tensor) -> Tensor:
        total = jax.lax.reduce_window(x, 0.0, jax.lax.add, *_sliding(knobs))
        if knobs["count_padding"]:
            return total / math.prod(knobs["pool_size"])
        return total / jax.lax.reduce_window(jnp.ones_like(x), 0.0, jax.lax.add, *_sliding(knobs))

    return Native("jax.lax.reduce_window(add)", pool)


def _standardized(
    axes: Callable[[int], tuple[int, ...]], when: Mapping[str, Any] | None = None, grouped: bool = False
) -> Rows:
    """jax.nn.standardize, then scaled; `axes` are those that share a mean, by the number of axes. Newer versions offer
    an algorithm of two passes."""

    def of(**options: Any) -> Callable[[Knobs], Callable[..., Tensor]]:
        def bind(knobs: Knobs) -> Callable[..., Tensor]:
            def norm(p: Params, x: Tensor) -> Tensor:
                groups = int(knobs.get("groups", 1))
                z = x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups) if grouped else x
                y = jax.nn.standardize(z, axes(z.ndim), epsilon=knobs["eps"], **options)
                return y.reshape(x.shape) * p["gamma"] + p["beta"]

            return norm

        return bind

    return (
        row("jax.nn.standardize", when=when, make=of()),
        row('jax.nn.standardize(algorithm="stable")', when=when, make=of(algorithm="stable")),
    )


def _with_statistics(knobs: Knobs) -> Callable[..., Tensor]:
    def norm(p: Params, x: Tensor) -> Tensor:
        y = jax.nn.standardize(x, None, p["running_mean"], p["running_variance"], knobs["eps"])
        return y * p["gamma"] + p["beta"]

    return norm


def _prelu(p: Params, x: Tensor) -> Tensor:
    return jax.nn.leaky_relu(x, p["alpha"])


def _rrelu(knobs: Knobs) -> Callable[..., Tensor]:
    middle = (knobs["lower"] + knobs["upper"]) / 2
    return lambda p, x: jax.nn.leaky_relu(x, p["slope"] if knobs["training"] else middle)


def _looked_up(p: Params, x: Tensor) -> Tensor:
    return jax.nn.one_hot(x, len(p["table"]), dtype=p["table"].dtype) @ p["table"]


def _global_average(p: Params, x: Tensor) -> Tensor:
    return jax.lax.reduce_sum(x, axes=tuple(range(1, x.ndim - 1))) / math.prod(x.shape[1:-1])


def _lstm(knobs: Knobs) -> Native:
    """What jax.experimental.rnn.lstm, which needs cuDNN, is tested against. torch's layout."""
    units = int(knobs["units"])

    def lstm(p: Params, x: Tensor) -> Tensor:
        start = jnp.zeros((1, x.shape[0], units), x.dtype)
        lengths = jnp.full(x.shape[0], x.shape[1], jnp.int32)
        bias, zero = {0: p["bias"]}, {0: jnp.zeros_like(p["bias"])}
        sequence, last, _ = rnn.lstm_ref(
            x, start, start, {0: p["kernel"].T}, {0: p["recurrent_kernel"].T}, bias, zero, lengths,
            input_size=x.shape[-1], hidden_size=units, num_layers=1, dropout=0.0, bidirectional=False,
        )  # fmt: skip
        return sequence if knobs["return_sequences"] else last[0]

    return Native("jax.experimental.rnn.lstm_ref", lstm)


def _attention(knobs: Knobs) -> Native:
    """jax.nn.dot_product_attention between the four dense layers around it."""
    heads = int(knobs["heads"])

    def dense(p: Params, x: Tensor, name: str) -> Tensor:
        y = x @ p[f"{name}_kernel"]
        return y + p[f"{name}_bias"] if f"{name}_bias" in p else y

    def split(y: Tensor) -> Tensor:
        return y.reshape(*y.shape[:-1], heads, -1)

    def attend(p: Params, x: Tensor, value: Any = None, mask: Any = None) -> Tensor:
        other = x if value is None else value
        q, k, v = split(dense(p, x, "query")), split(dense(p, other, "key")), split(dense(p, other, "value"))
        seen = None if mask is None else (mask > 0)[:, None, None, :]
        y = jax.nn.dot_product_attention(q, k, v, mask=seen, is_causal=bool(knobs["causal"]))
        return dense(p, y.reshape(*y.shape[:-2], -1), "output")

    return Native("jax.nn.dot_product_attention", attend)


LAYERS: Table = {
    "flatten": (row("jax.lax.collapse", lambda p, x: jax.lax.collapse(x, 1)),),
    "reshape": (row("jax.lax.reshape", make=lambda h: lambda p, x: jax.lax.reshape(x, (len(x), *h["target_shape"]))),),
    "permute": (row("jax.lax.transpose", make=lambda h: lambda p, x: jax.lax.transpose(x, (0, *h["order"]))),),
    "add": (row("jax.lax.add", lambda p, x, y: jax.lax.add(x, y)),),
    "multiply": (row("jax.lax.mul", lambda p, x, y: jax.lax.mul(x, y)),),
    "concatenate": (row("jax.lax.concatenate", lambda p, x, y: jax.lax.concatenate([x, y], x.ndim - 1)),),
    "flip_time": (row("jax.lax.rev", lambda p, x: jax.lax.rev(x, (1,))),),
    "prelu": (row("jax.nn.leaky_relu", _prelu),),
    "rrelu": (row("jax.nn.leaky_relu", make=_rrelu),),
    **{f"conv{rank}d": (_conv(rank), _conv_channels_first(rank)) for rank in (1, 2, 3)},
    "depthwise_conv2d": (_conv(2),),
    "separable_conv2d": (row("jax.lax.conv_general_dilated", make=_separable),),
    "conv2d_transposed": (_conv_transposed,),
    **{f"max_pool{rank}d": (_max_pool,) for rank in (1, 2, 3)},
    **{f"average_pool{rank}d": (_average_pool,) for rank in (1, 2, 3)},
    "global_average_pool": (row("jax.lax.reduce_sum", _global_average),),
    "global_max_pool": (
        row("jax.lax.reduce_max", lambda p, x: jax.lax.reduce_max(x, axes=tuple(range(1, x.ndim - 1)))),
    ),
    "batch_norm": (
        *_standardized(lambda rank: tuple(range(rank - 1)), {"training": True}),
        row("jax.nn.standardize(mean=, variance=)", None, {"training": False}, _with_statistics),
    ),
    "layer_norm": _standardized(lambda rank: (-1,)),
    "group_norm": _standardized(lambda rank: (1, 3), grouped=True),
    "instance_norm": _standardized(lambda rank: tuple(range(1, rank - 1))),
    "embedding": (row("jax.nn.one_hot(x) @ table", _looked_up),),
    "lstm": (_lstm,),
    "self_attention": (_attention,),
    "cross_attention": (_attention,),
}
"""Layer -> its rows."""
