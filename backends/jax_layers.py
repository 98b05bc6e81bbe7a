"""JAX's own layers, as rows: JAX has functions, no layers, and what it has no function for runs as the formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import rnn

from crossnn.adapter import Knobs, Native, Params, Tensor

Row = Callable[[Knobs], Native | None]

_AXES: Mapping[int, tuple[str, str, str]] = {
    1: ("NWC", "WIO", "NWC"),
    2: ("NHWC", "HWIO", "NHWC"),
    3: ("NDHWC", "DHWIO", "NDHWC"),
}


def _conv(rank: int) -> Row:
    def bind(knobs: Knobs) -> Native:
        def conv(p: Params, x: Tensor) -> Tensor:
            """Every channel is a group where the settings do not say how many there are."""
            y = jax.lax.conv_general_dilated(
                x, p["kernel"], knobs["strides"], knobs["padding"].upper(), rhs_dilation=knobs["dilation"],
                dimension_numbers=_AXES[rank], feature_group_count=int(knobs.get("groups", x.shape[-1])),
            )  # fmt: skip
            return y + p["bias"] if "bias" in p else y

        return Native("jax.lax.conv_general_dilated", conv)

    return bind


def _conv_transposed(knobs: Knobs) -> Native:
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


def _standardized(axes: Callable[[int], tuple[int, ...]]) -> Row:
    """jax.nn.standardize, then scaled; `axes` are those that share a mean, by the number of axes."""

    def bind(knobs: Knobs) -> Native:
        def norm(p: Params, x: Tensor) -> Tensor:
            y = jax.nn.standardize(x, axes(x.ndim), epsilon=knobs["eps"])
            return y * p["gamma"] + p["beta"]

        return Native("jax.nn.standardize", norm)

    return bind


def _batch_norm(knobs: Knobs) -> Native | None:
    if knobs["training"]:
        return _standardized(lambda rank: tuple(range(rank - 1)))(knobs)

    def norm(p: Params, x: Tensor) -> Tensor:
        y = jax.nn.standardize(x, None, p["running_mean"], p["running_variance"], knobs["eps"])
        return y * p["gamma"] + p["beta"]

    return Native("jax.nn.standardize", norm)


def _prelu(p: Params, x: Tensor) -> Tensor:
    return jax.nn.leaky_relu(x, p["alpha"])


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


LAYERS: Mapping[str, Row] = {
    "prelu": lambda knobs: Native("jax.nn.leaky_relu", _prelu),
    **{f"conv{rank}d": _conv(rank) for rank in (1, 2, 3)},
    "depthwise_conv2d": _conv(2),
    "conv2d_transposed": _conv_transposed,
    **{f"max_pool{rank}d": _max_pool for rank in (1, 2, 3)},
    **{f"average_pool{rank}d": _average_pool for rank in (1, 2, 3)},
    "batch_norm": _batch_norm,
    "layer_norm": _standardized(lambda rank: (-1,)),
    "instance_norm": _standardized(lambda rank: tuple(range(1, rank - 1))),
    "lstm": _lstm,
    "self_attention": _attention,
    "cross_attention": _attention,
}
"""Layer -> its row."""
