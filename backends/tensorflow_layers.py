"""Keras's own layers, as rows: the layer that a user would make, the order of its weights, and the settings for which
it is that formula. A layer is called without state, on the parameters that are given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import Row, Table

Weights = Callable[[Params, Knobs], list[Tensor]]


def weights_by_name(*names: str) -> Weights:
    """Weights that Keras has in our layout; those that do not exist with these knobs are left out."""
    return lambda p, knobs: [p[name] for name in names if name in p]


def keras_layer(
    name: str,
    make: Callable[[Knobs], keras.layers.Layer | None],
    weights: Weights = lambda p, knobs: [],
    statistics: Sequence[str] = (),
    call: Callable[..., tuple[tuple[Any, ...], dict[str, Any]]] = lambda p, knobs, *inputs: (inputs, {}),
    modes: tuple[str, ...] = (),
    shown: str = "",
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

        return Native(f"keras.layers.{name}{shown}", function, modes)

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

    return keras_layer(f"Conv{rank}D", make, weights_by_name("kernel", "bias"))


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
    return keras_layer(f"{kind}Pooling{rank}D", make, modes=modes)


def _global_pool(kind: str) -> tuple[Row, Row, Row]:
    """A class for each number of spatial axes, to which space is brought."""

    def of(rank: int) -> Row:
        layer = getattr(keras.layers, f"Global{kind}Pooling{rank}D")

        def pool(p: Params, x: Tensor) -> Tensor:
            space = tuple(x.shape[1:-1])
            kept = min(rank - 1, len(space))
            shape = (*space[:kept], math.prod(space[kept:]), *[1] * (rank - 1 - kept))
            return layer()(tf.reshape(x, (x.shape[0], *shape, x.shape[-1])))

        return lambda knobs: Native(f"keras.layers.Global{kind}Pooling{rank}D", pool)

    return of(1), of(2), of(3)


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


def _einsum(knobs: Knobs) -> keras.layers.Layer:
    bias = "y" if knobs["use_bias"] else None
    return keras.layers.EinsumDense("...x,xy->...y", [int(knobs["units"])], bias_axes=bias)


def _only_inference(make: Callable[[Knobs], keras.layers.Layer]) -> Callable[[Knobs], keras.layers.Layer | None]:
    """What it draws in training is drawn by the core."""
    return lambda knobs: None if knobs["training"] else make(knobs)


_SINGLE: Mapping[str, Row] = {
    "flatten": keras_layer("Flatten", lambda knobs: keras.layers.Flatten()),
    "reshape": keras_layer("Reshape", lambda knobs: keras.layers.Reshape(knobs["target_shape"])),
    "permute": keras_layer("Permute", lambda knobs: keras.layers.Permute(knobs["order"])),
    "add": keras_layer("Add", lambda knobs: keras.layers.Add(), call=_as_list),
    "multiply": keras_layer("Multiply", lambda knobs: keras.layers.Multiply(), call=_as_list),
    "concatenate": keras_layer("Concatenate", lambda knobs: keras.layers.Concatenate(), call=_as_list),
    "prelu": _prelu,
    "dropout": keras_layer("Dropout", _only_inference(lambda knobs: keras.layers.Dropout(knobs["rate"])), call=_trains),
    **{f"conv{rank}d": _conv(rank) for rank in (1, 2, 3)},
    "depthwise_conv2d": keras_layer(
        "DepthwiseConv2D",
        _depthwise,
        lambda p, knobs: [_by_channel(p["kernel"], knobs["multiplier"]), p["bias"]],
    ),
    "separable_conv2d": keras_layer(
        "SeparableConv2D",
        _separable,
        lambda p, knobs: [
            _by_channel(p["depthwise_kernel"], knobs["multiplier"]), p["pointwise_kernel"], p["bias"]
        ],
    ),
    "conv2d_transposed": keras_layer("Conv2DTranspose", _conv_transposed, weights_by_name("kernel", "bias")),
    **{f"max_pool{rank}d": _pool("Max", rank) for rank in (1, 2, 3)},
    **{f"average_pool{rank}d": _pool("Average", rank) for rank in (1, 2, 3)},
    "batch_norm": keras_layer(
        "BatchNormalization", _batch_norm, weights_by_name("gamma", "beta"), ("running_mean", "running_variance"),
        _trains,
    ),
    "layer_norm": keras_layer(
        "LayerNormalization",
        lambda knobs: keras.layers.LayerNormalization(epsilon=knobs["eps"]),
        weights_by_name("gamma", "beta"),
    ),
    "group_norm": keras_layer(
        "GroupNormalization",
        lambda knobs: keras.layers.GroupNormalization(int(knobs["groups"]), epsilon=knobs["eps"]),
        weights_by_name("gamma", "beta"),
    ),
    "instance_norm": keras_layer(
        "GroupNormalization",
        lambda knobs: keras.layers.GroupNormalization(-1, epsilon=knobs["eps"]),
        weights_by_name("gamma", "beta"),
    ),
    "rms_norm": keras_layer(
        "RMSNormalization", lambda knobs: keras.layers.RMSNormalization(epsilon=knobs["eps"]), weights_by_name("gamma")
    ),
}  # fmt: skip

LAYERS: Table = {
    **{name: (row,) for name, row in _SINGLE.items()},
    "global_average_pool": _global_pool("Average"),
    "global_max_pool": _global_pool("Max"),
    "dense": (
        keras_layer(
            "Dense",
            lambda knobs: keras.layers.Dense(int(knobs["units"]), use_bias=knobs["use_bias"]),
            weights_by_name("kernel", "bias"),
        ),
        keras_layer("EinsumDense", _einsum, weights_by_name("kernel", "bias")),
    ),
    "dropout_shared": (
        keras_layer(
            "SpatialDropout1D",
            _only_inference(lambda knobs: keras.layers.SpatialDropout1D(knobs["rate"])),
            call=_trains,
        ),
        keras_layer(
            "Dropout",
            _only_inference(lambda knobs: keras.layers.Dropout(knobs["rate"], noise_shape=(None, 1, None))),
            call=_trains,
            shown="(noise_shape=(None, 1, None))",
        ),
    ),
}  # fmt: skip
"""Layer -> its rows."""
