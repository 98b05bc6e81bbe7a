"""TensorFlow's own activations (tf.nn, keras.activations, keras.layers, keras.ops), as rows."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Row, Table

from .tensorflow_rows import PASSED, function, made


def _keras(name: str, modes: tuple[str, ...] = (), **ours: Any) -> tuple[Row, Row]:
    """The function of keras.activations, and that of keras.ops to which it passes its argument on."""
    return (
        function(f"keras.activations.{name}", modes=modes, **ours),
        function(f"keras.ops.{name}", modes=PASSED, **ours),
    )


def _gelu(call: str, modes: tuple[str, ...] = ()) -> Row:
    def bind(knobs: Knobs) -> Native:
        own = function(call, fixed={"approximate": knobs["approximate"] == "tanh"}, modes=modes)(knobs)
        assert own is not None
        return own

    return bind


def _heaviside(knobs: Knobs) -> Native:
    """Keras differentiates it as 0 of another path: a constant has no gradient."""

    def step(x: Tensor) -> Tensor:
        return keras.ops.heaviside(x, tf.constant(knobs["at_zero"], x.dtype))

    return Native("keras.ops.heaviside", step)


_SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
_LAST = {"axis": -1}
_SIXTH, _HALF = {"slope": "sixth"}, {"slope": "half"}

ACTIVATIONS: Table = {
    "identity": (
        function("keras.activations.linear"), function("tf.identity"), made("keras.layers.Identity", modes=PASSED),
    ),
    "heaviside": (_heaviside,),
    "sigmoid": (function("tf.nn.sigmoid"), *_keras("sigmoid", PASSED)),
    "log_sigmoid": (function("tf.math.log_sigmoid"), *_keras("log_sigmoid", PASSED)),
    "tanh": (function("tf.nn.tanh"), *_keras("tanh", PASSED)),
    "tanh_shrink": _keras("tanh_shrink"),
    "arctan": (function("tf.math.atan"), function("keras.ops.arctan")),
    "softsign": (function("tf.nn.softsign"), *_keras("softsign", PASSED)),
    "hard_sigmoid": (
        function("keras.activations.hard_sigmoid", _SIXTH), function("keras.ops.hard_sigmoid", _SIXTH, modes=PASSED),
        function("keras.activations.sparse_sigmoid", _HALF), function("keras.ops.sparse_sigmoid", _HALF, modes=PASSED),
    ),
    "hard_tanh": _keras("hard_tanh"),
    "relu": (
        function("tf.nn.relu"),
        *_keras("relu"),
        function("keras.activations.threshold", fixed={"threshold": 0.0, "default_value": 0.0}, shown="(x, 0, 0)"),
        made("keras.layers.ReLU", modes=PASSED),
        made("keras.layers.Activation", fixed={"activation": "relu"}, shown="('relu')", modes=PASSED),
    ),
    "leaky_relu": (
        function("tf.nn.leaky_relu", alpha="alpha"),
        *_keras("leaky_relu", negative_slope="alpha"),
        function("keras.activations.relu", negative_slope="alpha", shown="(negative_slope=)"),
        made("keras.layers.LeakyReLU", negative_slope="alpha", modes=PASSED),
        made("keras.layers.ReLU", negative_slope="alpha", modes=PASSED, shown="(negative_slope=)"),
    ),
    "relu6": (
        function("tf.nn.relu6"),
        *_keras("relu6", PASSED),
        function("keras.activations.relu", fixed={"max_value": 6.0}, shown="(max_value=6)"),
        made("keras.layers.ReLU", fixed={"max_value": 6.0}, modes=PASSED, shown="(max_value=6)"),
    ),
    "elu": (
        function("tf.nn.elu", {"alpha": 1.0}), *_keras("elu", alpha="alpha"),
        made("keras.layers.ELU", alpha="alpha", modes=PASSED),
    ),
    "selu": (
        function("tf.nn.selu", _SELU), function("keras.activations.selu", _SELU, modes=PASSED),
        function("keras.ops.selu", _SELU, modes=PASSED),
    ),
    "celu": _keras("celu", alpha="alpha"),
    "softplus": (function("tf.nn.softplus"), *_keras("softplus", PASSED)),
    "squareplus": _keras("squareplus", b="b"),
    "exponential": (function("keras.activations.exponential"), function("tf.exp"), function("keras.ops.exp")),
    "gelu": (_gelu("tf.nn.gelu"), _gelu("keras.activations.gelu", PASSED), _gelu("keras.ops.gelu", PASSED)),
    "silu": (function("tf.nn.silu"), *_keras("silu", PASSED)),
    "quick_gelu": (function("tf.nn.silu", fixed={"beta": 1.702}, shown="(beta=1.702)"),),
    "mish": (function("keras.activations.mish"),),
    "hard_swish": _keras("hard_swish"),
    "softshrink": _keras("soft_shrink", threshold="theta"),
    "hardshrink": _keras("hard_shrink", threshold="theta"),
    "softmax": (
        function("tf.nn.softmax", fixed=_LAST), *_keras("softmax", PASSED), made("keras.layers.Softmax", modes=PASSED),
    ),
    "log_softmax": (function("tf.nn.log_softmax", fixed=_LAST), *_keras("log_softmax", PASSED)),
    "glu": (
        function("keras.activations.glu", {"gate": "sigmoid"}),
        function("keras.ops.glu", {"gate": "sigmoid"}, modes=PASSED),
    ),
}  # fmt: skip
"""Activation -> its rows."""
