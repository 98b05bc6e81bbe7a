"""Keras's own layers, as rows: the layer that a user would make, the order of its weights, and the settings for which
it is that formula. A layer is called without state, on the parameters that are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Params, Tensor

Row = Callable[[Knobs], Native | None]
Weights = Callable[[Params, Knobs], list[Tensor]]


def _named(*names: str) -> Weights:
    """Weights that Keras has in our layout; those that do not exist with these knobs are left out."""
    return lambda p, knobs: [p[name] for name in names if name in p]


def _keras(
    name: str,
    make: Callable[[Knobs], keras.layers.Layer | None],
    weights: Weights = lambda p, knobs: [],
    statistics: Sequence[str] = (),
    call: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] = lambda p, knobs, *inputs: (inputs, {}),
    modes: tuple[str, ...] = (),
) -> Row:
    """`make` gives the layer, or None where it has no such setting; `call` the arguments with which it is called."""

    def bind(knobs: Knobs) -> Native | None:
        layer = make(knobs)
        if layer is None:
            return None

        def function(p: Params, *inputs: Tensor) -> Any:
            arguments, options = call(p, knobs, *inputs)
            if not layer.built:  # with variables of its own, which are never used: those given take their place
                with tf.init_scope():
                    zeros = tf.nest.map_structure(lambda one: tf.zeros(one.shape, one.dtype), arguments)
                    layer(*zeros)
            own = [p[one] for one in statistics] or layer.non_trainable_variables
            value, kept = layer.stateless_call(weights(p, knobs), own, *arguments, **options)
            renewed = dict(zip(statistics, kept, strict=True)) if options.get("training") and statistics else {}
            return (value, renewed) if renewed else value

        return Native(f"keras.layers.{name}", function, modes)

    return bind


def _as_list(p: Params, knobs: Knobs, *inputs: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (list(inputs),), {}


def _trains(p: Params, knobs: Knobs, *inputs: Tensor) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return inputs, {"training": knobs["training"]}


def _conv(rank: int) -> Row:
    """Keras refuses strides together with dilation."""

    def make(knobs: Knobs) -> keras.layers.Layer | None:
        if max(knobs["strides"]) > 1 and max(knobs["dilation"]) > 1:
            return None
        return getattr(keras.layers, f"Conv{rank}D")(
            int(knobs["filters"]), knobs["kernel_size"], knobs["strides"], knobs["padding"],
            dilation_rate=knobs["dilation"], groups=int(knobs["groups"]), use_bias=knobs["use_bias"],
        )  # fmt: skip

    return _keras(f"Conv{rank}D", make, _named("kernel", "bias"))


def _depthwise(knobs: Knobs) -> keras.layers.Layer | None:
    """TensorFlow's kernel for it has one stride for both axes, and none together with dilation."""
    if len(set(knobs["strides"])) > 1 or (max(knobs["strides"]) > 1 and max(knobs["dilation"]) > 1):
        return None
    return keras.layers.DepthwiseConv2D(
        knobs["kernel_size"], knobs["strides"], knobs["padding"], int(knobs["multiplier"]),
        dilation_rate=knobs["dilation"],
    )  # fmt: skip


def _by_channel(kernel: Tensor, multiplier: float) -> Tensor:
    """(*size, 1, channels*multiplier) as (*size, channels, multiplier)."""
    return tf.reshape(kernel, (*kernel.shape[:2], -1, int(multiplier)))


def _separable(knobs: Knobs) -> keras.layers.Layer | None:
    if len(set(knobs["strides"])) > 1:
        return None
    return keras.layers.SeparableConv2D(
        int(knobs["filters"]), knobs["kernel_size"], knobs["strides"], knobs["padding"],
        depth_multiplier=int(knobs["multiplier"]),
    )  # fmt: skip


def _conv_transposed(knobs: Knobs) -> keras.layers.Layer:
    return keras.layers.Conv2DTranspose(
        int(knobs["filters"]), int(knobs["size"]), int(knobs["stride"]), knobs["padding"]
    )


def _pool(kind: str, rank: int) -> Row:
    """Keras never averages the padding. In three dimensions TensorFlow pools no float64 on the CPU; in one and two XLA
    has no deterministic gradient of the maximum, as it says ("GPU MaxPool gradient ops")."""

    def make(knobs: Knobs) -> keras.layers.Layer | None:
        if knobs.get("count_padding", False) and knobs["padding"] == "same":
            return None
        if rank == 3 and keras.config.floatx() == "float64":
            return None
        return getattr(keras.layers, f"{kind}Pooling{rank}D")(knobs["pool_size"], knobs["strides"], knobs["padding"])

    modes = ("eager", "graph") if kind == "Max" and rank < 3 else ()
    return _keras(f"{kind}Pooling{rank}D", make, modes=modes)


def _global_pool(kind: str) -> Row:
    """A class for each number of spatial axes."""

    def bind(knobs: Knobs) -> Native:
        def pool(p: Params, x: Tensor) -> Tensor:
            return getattr(keras.layers, f"Global{kind}Pooling{len(x.shape) - 2}D")()(x)

        return Native(f"keras.layers.Global{kind}Pooling", pool)

    return bind


def _batch_norm(knobs: Knobs) -> keras.layers.Layer | None:
    """Keras keeps the biased variance."""
    if knobs["training"] and knobs["unbiased_running_variance"]:
        return None
    return keras.layers.BatchNormalization(momentum=knobs["momentum"], epsilon=knobs["eps"])


def _prelu(knobs: Knobs) -> Native:
    """Keras's slopes have an axis for each of the input's; here those of space share theirs."""
    layers: dict[int, keras.layers.Layer] = {}

    def function(p: Params, x: Tensor) -> Tensor:
        spatial = range(1, len(x.shape) - 1)
        if len(spatial) not in layers:
            with tf.init_scope():
                layer = layers[len(spatial)] = keras.layers.PReLU(shared_axes=list(spatial))
                layer.build(x.shape)
        alpha = tf.reshape(p["alpha"], (*(1 for _ in spatial), -1))
        return layers[len(spatial)].stateless_call([alpha], [], x)[0]

    return Native("keras.layers.PReLU", function)


def _recurrent(name: str, **options: str) -> Row:
    """`options` maps Keras's keywords to our knobs."""

    def make(knobs: Knobs) -> keras.layers.Layer:
        given = {theirs: knobs[ours] for theirs, ours in options.items()}
        return getattr(keras.layers, name)(int(knobs["units"]), return_sequences=knobs["return_sequences"], **given)

    def weights(p: Params, knobs: Knobs) -> list[Tensor]:
        """Two biases are one tensor in Keras."""
        both = [p["bias"], p["recurrent_bias"]] if "recurrent_bias" in p else []
        return [p["kernel"], p["recurrent_kernel"], tf.stack(both) if both else p["bias"]]

    return _keras(name, make, weights)


def _heads(p: Params, knobs: Knobs) -> list[Tensor]:
    """Keras's kernels have an axis for the heads."""
    found = []
    for name in ("query", "key", "value"):
        kernel = p[f"{name}_kernel"]
        found.append(tf.reshape(kernel, (kernel.shape[0], int(knobs["heads"]), -1)))
        if f"{name}_bias" in p:
            found.append(tf.reshape(p[f"{name}_bias"], (int(knobs["heads"]), -1)))
    found.append(tf.reshape(p["output_kernel"], (int(knobs["heads"]), -1, p["output_kernel"].shape[-1])))
    return [*found, *([p["output_bias"]] if "output_bias" in p else [])]


def _attention(use_bias: bool, call: Callable[..., Any]) -> Row:
    return _keras(
        "MultiHeadAttention",
        lambda knobs: keras.layers.MultiHeadAttention(int(knobs["heads"]), int(knobs["size"]), use_bias=use_bias),
        _heads,
        call=call,
    )


LAYERS: Mapping[str, Row] = {
    "dense": _keras(
        "Dense",
        lambda knobs: keras.layers.Dense(int(knobs["units"]), use_bias=knobs["use_bias"]),
        _named("kernel", "bias"),
    ),
    "flatten": _keras("Flatten", lambda knobs: keras.layers.Flatten()),
    "reshape": _keras("Reshape", lambda knobs: keras.layers.Reshape(knobs["target_shape"])),
    "permute": _keras("Permute", lambda knobs: keras.layers.Permute(knobs["order"])),
    "add": _keras("Add", lambda knobs: keras.layers.Add(), call=_as_list),
    "multiply": _keras("Multiply", lambda knobs: keras.layers.Multiply(), call=_as_list),
    "concatenate": _keras("Concatenate", lambda knobs: keras.layers.Concatenate(), call=_as_list),
    "prelu": _prelu,
    "dropout": _keras(
        "Dropout",  # what it draws in training is drawn by the core
        lambda knobs: None if knobs["training"] else keras.layers.Dropout(knobs["rate"]),
        call=_trains,
    ),
    **{f"conv{rank}d": _conv(rank) for rank in (1, 2, 3)},
    "depthwise_conv2d": _keras(
        "DepthwiseConv2D",
        _depthwise,
        lambda p, knobs: [_by_channel(p["kernel"], knobs["multiplier"]), p["bias"]],
    ),
    "separable_conv2d": _keras(
        "SeparableConv2D",
        _separable,
        lambda p, knobs: [
            _by_channel(p["depthwise_kernel"], knobs["multiplier"]), p["pointwise_kernel"], p["bias"]
        ],
    ),
    "conv2d_transposed": _keras("Conv2DTranspose", _conv_transposed, _named("kernel", "bias")),
    **{f"max_pool{rank}d": _pool("Max", rank) for rank in (1, 2, 3)},
    **{f"average_pool{rank}d": _pool("Average", rank) for rank in (1, 2, 3)},
    "global_average_pool": _global_pool("Average"),
    "global_max_pool": _global_pool("Max"),
    "batch_norm": _keras(
        "BatchNormalization", _batch_norm, _named("gamma", "beta"), ("running_mean", "running_variance"), _trains
    ),
    "layer_norm": _keras(
        "LayerNormalization",
        lambda knobs: keras.layers.LayerNormalization(epsilon=knobs["eps"]),
        _named("gamma", "beta"),
    ),
    "group_norm": _keras(
        "GroupNormalization",
        lambda knobs: keras.layers.GroupNormalization(int(knobs["groups"]), epsilon=knobs["eps"]),
        _named("gamma", "beta"),
    ),
    "instance_norm": _keras(
        "GroupNormalization",
        lambda knobs: keras.layers.GroupNormalization(-1, epsilon=knobs["eps"]),
        _named("gamma", "beta"),
    ),
    "rms_norm": _keras(
        "RMSNormalization", lambda knobs: keras.layers.RMSNormalization(epsilon=knobs["eps"]), _named("gamma")
    ),
    "embedding": _keras(
        "Embedding",
        lambda knobs: keras.layers.Embedding(int(knobs["vocabulary"]), int(knobs["units"])),
        _named("table"),
    ),
    "simple_rnn": _recurrent("SimpleRNN"),
    "lstm": _recurrent("LSTM"),
    "gru": _recurrent("GRU", reset_after="reset_after"),
    "self_attention": _attention(True, lambda p, knobs, x: ((x, x), {"use_causal_mask": knobs["causal"]})),
    "cross_attention": _attention(
        False,
        lambda p, knobs, query, value, mask: (
            (query, value), {"attention_mask": tf.expand_dims(mask > 0, 1), "use_causal_mask": knobs["causal"]}
        ),
    ),
}  # fmt: skip
"""Layer -> its row."""
