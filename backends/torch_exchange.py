"""How PyTorch names and lays out parameters, as in a module's `state_dict`, and what its optimizers call their
state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crossnn.exchange.layout import (
    FILTERS_FIRST,
    SAME,
    TRANSPOSED,
    Arrays,
    Change,
    Layout,
    Rule,
    Settings,
    gates,
    renamed,
)

KERNEL = renamed(kernel=("weight", FILTERS_FIRST), bias=("bias", SAME))
SCALED = {"gamma": ("weight", SAME), "beta": ("bias", SAME)}


def _recurrent(order: Sequence[int]) -> Rule:
    """torch adds a second bias, of which ours is the first; where we have one bias, the other is zero."""
    turned: Change = gates(order, TRANSPOSED)
    slots: Mapping[str, tuple[str, Change]] = {
        "kernel": ("weight_ih_l0", turned), "recurrent_kernel": ("weight_hh_l0", turned),
        "bias": ("bias_ih_l0", gates(order)), "recurrent_bias": ("bias_hh_l0", gates(order)),
    }  # fmt: skip
    own = renamed(**slots)

    def there(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
        found = own.there(arrays, settings)
        if "bias_ih_l0" in found and not settings.get("reset_after"):
            found["bias_hh_l0"] = np.zeros_like(found["bias_ih_l0"])
        return found

    def back(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
        found = own.back(arrays, settings)
        if not settings.get("reset_after"):
            second = found.pop("recurrent_bias", None)
            if second is not None and np.any(second):
                found["bias"] = found["bias"] + second
        return found

    return Rule(there, back)


HEADS = ("query", "key", "value")


def _attention_there(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
    """The projections of query, key and value are one matrix."""
    found = {}
    for kind, theirs in (("kernel", "in_proj_weight"), ("bias", "in_proj_bias")):
        parts = [arrays[f"{head}_{kind}"].T for head in HEADS if f"{head}_{kind}" in arrays]
        if parts:
            found[theirs] = np.concatenate(parts)
        if f"output_{kind}" in arrays:
            found[f"out_proj.{'weight' if kind == 'kernel' else kind}"] = arrays[f"output_{kind}"].T
    return found


def _attention_back(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
    found = {}
    for kind, theirs in (("kernel", "in_proj_weight"), ("bias", "in_proj_bias")):
        if theirs in arrays:
            found.update(
                {f"{head}_{kind}": part.T for head, part in zip(HEADS, np.split(arrays[theirs], 3), strict=True)}
            )
        out = f"out_proj.{'weight' if kind == 'kernel' else kind}"
        if out in arrays:
            found[f"output_{kind}"] = arrays[out].T
    return found


_MOMENTS = {"m": ("exp_avg", 1), "v": ("exp_avg_sq", 1)}

LAYOUT = Layout(
    "torch",
    {
        "dense": renamed(kernel=("weight", TRANSPOSED), bias=("bias", SAME)),
        "prelu": renamed(alpha=("weight", SAME)),
        **dict.fromkeys(("conv1d", "conv2d", "conv3d", "depthwise_conv2d", "conv2d_transposed"), KERNEL),
        "separable_conv2d": renamed(
            depthwise_kernel=("depthwise.weight", FILTERS_FIRST), pointwise_kernel=("pointwise.weight", FILTERS_FIRST),
            bias=("pointwise.bias", SAME),
        ),
        "batch_norm": renamed(
            **SCALED, running_mean=("running_mean", SAME), running_variance=("running_var", SAME)
        ),
        **dict.fromkeys(("layer_norm", "group_norm", "instance_norm", "rms_norm"), renamed(**SCALED)),
        "embedding": renamed(table=("weight", SAME)),
        "learned_positions": renamed(positions=("weight", SAME)),
        "simple_rnn": _recurrent((0,)),
        "lstm": _recurrent((0, 1, 2, 3)),
        "gru": _recurrent((1, 0, 2)),
        "self_attention": Rule(_attention_there, _attention_back),
    },
    ".",
    {
        "momentum": {"v": ("momentum_buffer", 1)}, "nesterov": {"v": ("momentum_buffer", 1)},
        "adagrad": {"a": ("sum", 1)}, "adadelta": {"a": ("square_avg", 1), "b": ("acc_delta", 1)},
        "rmsprop": {"v": ("square_avg", 1), "mean": ("grad_avg", 1), "u": ("momentum_buffer", 1)},
        "adam": _MOMENTS, "adamw": _MOMENTS, "amsgrad": {**_MOMENTS, "largest": ("max_exp_avg_sq", 1)},
        "adamax": {"m": ("exp_avg", 1), "u": ("exp_inf", 1)}, "radam": _MOMENTS,
        "rprop": {"step": ("step_size", 1), "previous": ("prev", 1)},
    },
)  # fmt: skip
