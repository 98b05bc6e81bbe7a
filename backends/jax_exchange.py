"""Parameters as JAX programs keep them, a nested dictionary in our own layout, and what optax calls the state."""

from __future__ import annotations

from crossnn.exchange.layout import KEPT, Layout

_MOMENTS = {"m": ("mu", 1), "v": ("nu", 1)}

LAYERS = (
    "dense", "prelu", "conv1d", "conv2d", "conv3d", "depthwise_conv2d", "separable_conv2d", "conv2d_transposed",
    "batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm", "embedding", "learned_positions",
    "simple_rnn", "lstm", "gru", "self_attention", "cross_attention",
)  # fmt: skip

LAYOUT = Layout(
    "jax",
    dict.fromkeys(LAYERS, KEPT),
    ".",
    {
        "momentum": {"v": ("trace", 1)}, "nesterov": {"v": ("trace", 1)}, "adagrad": {"a": ("sum_of_squares", 1)},
        "adadelta": {"a": ("e_g", 1), "b": ("e_x", 1)},
        "rmsprop": {"v": ("nu", 1), "mean": ("mu", 1), "u": ("trace", -1)},
        "adam": _MOMENTS, "adamw": _MOMENTS, "amsgrad": {**_MOMENTS, "largest": ("nu_max", 1)},
        "adamax": {"m": ("mu", 1), "u": ("nu", 1)}, "nadam": _MOMENTS, "radam": _MOMENTS,
        "adabelief": {"m": ("mu", 1), "s": ("nu", 1)}, "lion": {"m": ("mu", 1)}, "lamb": _MOMENTS,
    },
)  # fmt: skip
