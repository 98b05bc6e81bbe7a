"""Functions of TensorFlow and Keras that compute a layer (tf.nn, tf, keras.ops), as rows: variants of Keras's layers.

They know nothing of weights and statistics: those are given, and what a layer would renew is left to the user."""

from __future__ import annotations

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Params, Tensor
from crossnn.bindings import Row, Rows, Table

from .tensorflow_norms import NORMS
from .tensorflow_rows import BUILT, PASSED, Function, called


def _biased(z: Tensor, p: Params) -> Tensor:
    return tf.nn.bias_add(z, p["bias"]) if "bias" in p else z


def _padding(k: Knobs) -> str:
    return str(k["padding"]).upper()


def _whole(k: Knobs) -> bool:
    """Without groups, which tf.nn's convolutions on the CPU do not differentiate; strides or dilation, not both."""
    return bool(k.get("groups", 1) == 1 and (max(k["strides"]) == 1 or max(k["dilation"]) == 1))


def _undilated(k: Knobs) -> bool:
    """With dilation the kernels have no gradient on the CPU, without oneDNN; tf.nn.convolution avoids them."""
    return _whole(k) and max(k["dilation"]) == 1


FORMATS = {1: "NWC", 2: "NHWC", 3: "NDHWC"}
"""Named, since without a name what fits any rank fails in three dimensions."""


def _conv(rank: int) -> Rows:
    def own(k: Knobs, p: Params, x: Tensor) -> Tensor:
        strides, dilations = (k["strides"], k["dilation"])
        if rank == 1:
            z = tf.nn.conv1d(x, p["kernel"], strides[0], _padding(k), dilations=dilations[0])
        elif rank == 2:
            z = tf.nn.conv2d(x, p["kernel"], strides, _padding(k), dilations=dilations)
        else:
            z = tf.nn.conv3d(x, p["kernel"], (1, *strides, 1), _padding(k), dilations=(1, *dilations, 1))
        return _biased(z, p)

    def general(k: Knobs, p: Params, x: Tensor) -> Tensor:
        return _biased(
            tf.nn.convolution(x, p["kernel"], k["strides"], _padding(k), FORMATS[rank], k["dilation"]), p
        )  # fmt: skip

    def ops(k: Knobs, p: Params, x: Tensor) -> Tensor:
        z = keras.ops.conv(x, p["kernel"], k["strides"], k["padding"], dilation_rate=k["dilation"])
        return z + p["bias"] if "bias" in p else z

    return (
        called(f"tf.nn.conv{rank}d", own, _undilated, BUILT), called("tf.nn.convolution", general, _whole, PASSED),
        called("keras.ops.conv", ops, _whole, PASSED),
    )  # fmt: skip


def _atrous(k: Knobs, p: Params, x: Tensor) -> Tensor:
    return _biased(tf.nn.atrous_conv2d(x, p["kernel"], k["dilation"][0], _padding(k)), p)


def _equal_dilation(k: Knobs) -> bool:
    return _whole(k) and max(k["strides"]) == 1 and len(set(k["dilation"])) == 1


def _by_channel(kernel: Tensor, multiplier: float) -> Tensor:
    """(*size, 1, channels*multiplier) as (*size, channels, multiplier)."""
    return tf.reshape(kernel, (*kernel.shape[:2], -1, int(multiplier)))


def _depthwise(k: Knobs, p: Params, x: Tensor) -> Tensor:
    kernel = _by_channel(p["kernel"], k["multiplier"])
    return _biased(tf.nn.depthwise_conv2d(x, kernel, (1, *k["strides"], 1), _padding(k), dilations=k["dilation"]), p)


def _depthwise_ops(k: Knobs, p: Params, x: Tensor) -> Tensor:
    kernel = _by_channel(p["kernel"], k["multiplier"])
    return (
        keras.ops.depthwise_conv(x, kernel, tuple(k["strides"]), k["padding"], dilation_rate=k["dilation"]) + p["bias"]
    )


def _one_stride(k: Knobs) -> bool:
    """TensorFlow's kernel for it has one stride for both axes, and none together with dilation."""
    return len(set(k["strides"])) == 1 and (max(k["strides"]) == 1 or max(k.get("dilation", (1,))) == 1)


def _separable(k: Knobs, p: Params, x: Tensor) -> Tensor:
    kernel = _by_channel(p["depthwise_kernel"], k["multiplier"])
    return _biased(
        tf.nn.separable_conv2d(x, kernel, p["pointwise_kernel"], (1, *k["strides"], 1), _padding(k)), p
    )  # fmt: skip


def _separable_ops(k: Knobs, p: Params, x: Tensor) -> Tensor:
    kernel = _by_channel(p["depthwise_kernel"], k["multiplier"])
    return keras.ops.separable_conv(x, kernel, p["pointwise_kernel"], tuple(k["strides"]), k["padding"]) + p["bias"]


def _transposed_shape(k: Knobs, x: Tensor) -> tuple[int, ...]:
    size, stride = int(k["size"]), int(k["stride"])
    longer = [n * stride if k["padding"] == "same" else (n - 1) * stride + size for n in x.shape[1:3]]
    return (x.shape[0], *longer, int(k["filters"]))


def _transposed(function: Function) -> Function:
    def call(k: Knobs, p: Params, x: Tensor) -> Tensor:
        return _biased(function(x, p["kernel"], _transposed_shape(k, x), int(k["stride"]), _padding(k)), p)

    return call


def _transposed_ops(k: Knobs, p: Params, x: Tensor) -> Tensor:
    return keras.ops.conv_transpose(x, p["kernel"], int(k["stride"]), k["padding"]) + p["bias"]


def _pools(kind: str, rank: int) -> Rows:
    """Padding is never averaged. What TensorFlow lacks, Keras's layers lack too: see there."""
    short, keras_name = {"max": ("max", "max"), "average": ("avg", "average")}[kind]

    def fitting(k: Knobs) -> bool:
        counts = k.get("count_padding", False) and k["padding"] == "same"
        return not counts and not (rank == 3 and keras.config.floatx() == "float64")

    def own(name: str) -> Function:
        def call(k: Knobs, p: Params, x: Tensor) -> Tensor:
            return getattr(tf.nn, name)(x, k["pool_size"], k["strides"], _padding(k), FORMATS[rank])

        return call

    def pool(k: Knobs, p: Params, x: Tensor) -> Tensor:
        return tf.nn.pool(x, k["pool_size"], short.upper(), k["strides"], _padding(k))

    def ops(k: Knobs, p: Params, x: Tensor) -> Tensor:
        return getattr(keras.ops, f"{keras_name}_pool")(x, k["pool_size"], k["strides"], k["padding"])

    return (
        called(f"tf.nn.{short}_pool{rank}d", own(f"{short}_pool{rank}d"), fitting, BUILT),
        called(f"tf.nn.{short}_pool", own(f"{short}_pool"), fitting, PASSED),
        called(f"tf.nn.pool({short.upper()!r})", pool, fitting, PASSED),
        called(f"keras.ops.{keras_name}_pool", ops, fitting, PASSED),
    )  # fmt: skip


def _with_places(k: Knobs, p: Params, x: Tensor) -> Tensor:
    return tf.nn.max_pool_with_argmax(x, k["pool_size"], k["strides"], _padding(k))[0]


def _global(reduce: Function) -> Function:
    return lambda k, p, x: reduce(x, axis=list(range(1, len(x.shape) - 1)))


def _dense(k: Knobs, p: Params, x: Tensor) -> Tensor:
    return tf.nn.bias_add(tf.matmul(x, p["kernel"]), p["bias"])


def _joins(name: str, layer: str, function: Function) -> tuple[Row, Row]:
    """Of two tensors: the function of tf, and the function in lower case of keras.layers."""
    return (
        called(name, lambda k, p, x, y: function(x, y)),
        called(f"keras.layers.{layer}", lambda k, p, x, y: getattr(keras.layers, layer)([x, y]), modes=PASSED),
    )


def _shape(k: Knobs, x: Tensor) -> tuple[int, ...]:
    return (x.shape[0], *(int(one) for one in k["target_shape"]))


CALLS: Table = {
    "dense": (called("tf.nn.bias_add(tf.matmul(...))", _dense, {"use_bias": True}),),
    "flatten": (called("tf.reshape", lambda k, p, x: tf.reshape(x, (x.shape[0], -1))),),
    "reshape": (called("tf.reshape", lambda k, p, x: tf.reshape(x, _shape(k, x))),),
    "permute": (called("tf.transpose", lambda k, p, x: tf.transpose(x, (0, *(int(one) for one in k["order"])))),),
    "add": _joins("tf.add", "add", tf.add),
    "multiply": _joins("tf.multiply", "multiply", tf.multiply),
    "concatenate": _joins("tf.concat", "concatenate", lambda x, y: tf.concat([x, y], -1)),
    "flip_time": (
        called("tf.reverse", lambda k, p, x: tf.reverse(x, [1])),
        called("keras.ops.flip", lambda k, p, x: keras.ops.flip(x, 1)),
    ),
    **{f"conv{rank}d": _conv(rank) for rank in (1, 3)},
    "conv2d": (*_conv(2), called("tf.nn.atrous_conv2d", _atrous, _equal_dilation, BUILT)),
    "depthwise_conv2d": (
        called("tf.nn.depthwise_conv2d", _depthwise, _one_stride, BUILT),
        called("keras.ops.depthwise_conv", _depthwise_ops, _one_stride, PASSED),
    ),
    "separable_conv2d": (
        called("tf.nn.separable_conv2d", _separable, _one_stride, BUILT),
        called("keras.ops.separable_conv", _separable_ops, _one_stride, PASSED),
    ),
    "conv2d_transposed": (
        called("tf.nn.conv2d_transpose", _transposed(tf.nn.conv2d_transpose), modes=BUILT),
        called("tf.nn.conv_transpose", _transposed(tf.nn.conv_transpose), modes=PASSED),
        called("keras.ops.conv_transpose", _transposed_ops, modes=PASSED),
    ),
    **{f"{kind}_pool{rank}d": _pools(kind, rank) for kind in ("max", "average") for rank in (1, 2, 3)},
    "max_pool2d": (*_pools("max", 2), called("tf.nn.max_pool_with_argmax", _with_places, modes=BUILT)),
    "global_average_pool": (called("tf.reduce_mean", _global(tf.reduce_mean)),),
    "global_max_pool": (called("tf.reduce_max", _global(tf.reduce_max)),),
    **NORMS,
    "embedding": (
        called("tf.nn.embedding_lookup", lambda k, p, x: tf.nn.embedding_lookup(p["table"], x)),
        called("tf.gather", lambda k, p, x: tf.gather(p["table"], x)),
    ),
}  # fmt: skip
"""Layer -> rows of functions."""
