"""How Keras names and lays out parameters, as in the paths of a model's weights, and what its optimizers call their
state. Its momentum points down the slope: the sign is another one."""

from __future__ import annotations

import numpy as np

from crossnn.exchange.layout import SAME, Arrays, Layout, Rule, Settings, renamed

SCALED = {"gamma": ("gamma", SAME), "beta": ("beta", SAME)}
KERNEL = renamed(kernel=("kernel", SAME), bias=("bias", SAME))


def _gru_there(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
    """Both biases are one array where the reset gate comes after the product."""
    found = {f"gru_cell/{name}": array for name, array in arrays.items() if name != "recurrent_bias"}
    if "recurrent_bias" in arrays:
        found["gru_cell/bias"] = np.stack([arrays["bias"], arrays["recurrent_bias"]])
    return found


def _gru_back(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
    found = {name.removeprefix("gru_cell/"): array for name, array in arrays.items()}
    if "bias" in found and found["bias"].ndim == 2:
        found["bias"], found["recurrent_bias"] = found["bias"]
    return found


HEADS = ("query", "key", "value")


def _attention_there(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
    """Heads have an axis of their own."""
    heads, found = int(settings["heads"]), {}
    for slot, array in arrays.items():
        role, kind = slot.rsplit("_", 1)
        name = f"{'attention_output' if role == 'output' else role}/{kind}"
        if role == "output":
            found[name] = array.reshape(heads, -1, array.shape[-1]) if kind == "kernel" else array
        else:
            found[name] = array.reshape(*array.shape[:-1], heads, -1)
    return found


def _attention_back(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
    found = {}
    for name, array in arrays.items():
        role, kind = name.split("/")
        if role == "attention_output":
            found[f"output_{kind}"] = array.reshape(-1, array.shape[-1]) if kind == "kernel" else array
        else:
            found[f"{role}_{kind}"] = array.reshape(*array.shape[:-2], -1)
    return found


_MOMENTS = {"m": ("momentum", 1), "v": ("velocity", 1)}


def _recurrent(cell: str) -> Rule:
    """Its weights are those of the cell that it repeats."""
    names = ("kernel", "recurrent_kernel", "bias")
    return renamed(**{name: (f"{cell}/{name}", SAME) for name in names})


LAYOUT = Layout(
    "tensorflow",
    {
        **dict.fromkeys(("dense", "conv1d", "conv2d", "conv3d", "conv2d_transposed"), KERNEL),
        "prelu": renamed(alpha=("alpha", SAME)),
        "depthwise_conv2d": renamed(kernel=("kernel", SAME), bias=("bias", SAME)),
        "batch_norm": renamed(
            **SCALED, running_mean=("moving_mean", SAME), running_variance=("moving_variance", SAME)
        ),
        **dict.fromkeys(("layer_norm", "group_norm", "instance_norm"), renamed(**SCALED)),
        "rms_norm": renamed(gamma=("scale", SAME)),
        "embedding": renamed(table=("embeddings", SAME)),
        "simple_rnn": _recurrent("simple_rnn_cell"),
        "lstm": _recurrent("lstm_cell"),
        "gru": Rule(_gru_there, _gru_back),
        "self_attention": Rule(_attention_there, _attention_back),
        "cross_attention": Rule(_attention_there, _attention_back),
    },
    "/",
    {
        "momentum": {"v": ("momentum", -1)}, "nesterov": {"v": ("momentum", -1)},
        "adagrad": {"a": ("accumulator", 1)},
        "adadelta": {"a": ("accumulated_grad", 1), "b": ("accumulated_delta_var", 1)},
        "rmsprop": {"v": ("velocity", 1), "mean": ("average_gradient", 1), "u": ("momentum", 1)},
        "adam": _MOMENTS, "adamw": _MOMENTS, "amsgrad": {**_MOMENTS, "largest": ("velocity_hat", 1)},
        "adamax": {"m": ("momentum", 1), "u": ("norm", 1)}, "lion": {"m": ("momentum", 1)},
    },
)  # fmt: skip
