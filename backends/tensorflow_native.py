"""TensorFlow's own implementations (tf.nn, Keras), as rows: what a user would call, and the knobs for which it is
that formula. Nothing is repaired: where Keras rounds a hyper-parameter to float32 in a float64 model, it does here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Params, Tensor

Arrays = Mapping[str, np.ndarray]
Row = Callable[[Knobs], Native | None]


def _plain(call: str, function: Callable[..., Tensor]) -> Row:
    return lambda knobs: Native(call, function)


def _mean(call: str, make: Callable[[Knobs], Callable[..., Tensor]], shown: str = "") -> Row:
    """A Keras loss object, called with the target first; its dtype is Keras's floatx, so it is made per binding."""

    def bind(knobs: Knobs) -> Native | None:
        if knobs.get("reduction", "mean") != "mean":
            return None
        loss = make(knobs)
        return Native(f"keras.losses.{call}{shown}", lambda y, t: loss(t, y))

    return bind


def _elu(knobs: Knobs) -> Native:
    alpha = knobs["alpha"]
    if alpha == 1:
        return Native("tf.nn.elu", tf.nn.elu)
    return Native("keras.activations.elu", lambda x: keras.activations.elu(x, alpha=alpha))


def _dense(knobs: Knobs) -> Native:
    """One keras.layers.Dense for each shape and dtype of kernel, called without state on the given parameters."""
    layers: dict[tuple[tuple[int, ...], str], keras.layers.Layer] = {}

    def function(params: Params, x: Tensor) -> Tensor:
        shape = tuple(params["kernel"].shape)
        key = (shape, params["kernel"].dtype.name)
        if key not in layers:
            with tf.init_scope():
                layers[key] = keras.layers.Dense(shape[1], use_bias="bias" in params, dtype=key[1])
                layers[key].build((None, shape[0]))
        weights = [params[name] for name in ("kernel", "bias") if name in params]
        return layers[key].stateless_call(weights, [], x)[0]

    return Native("keras.layers.Dense", function)


TABLE: Mapping[tuple[str, str], Row] = {
    ("activation", "identity"): _plain("keras.activations.linear", keras.activations.linear),
    ("activation", "sigmoid"): _plain("tf.nn.sigmoid", tf.nn.sigmoid),
    ("activation", "tanh"): _plain("tf.nn.tanh", tf.nn.tanh),
    ("activation", "relu"): _plain("tf.nn.relu", tf.nn.relu),
    ("activation", "leaky_relu"): lambda knobs: Native(
        "tf.nn.leaky_relu", lambda x: tf.nn.leaky_relu(x, alpha=knobs["alpha"])
    ),
    ("activation", "elu"): _elu,
    ("activation", "softplus"): _plain("tf.nn.softplus", tf.nn.softplus),
    ("activation", "softmax"): _plain("tf.nn.softmax", lambda x: tf.nn.softmax(x, axis=-1)),
    ("loss", "mse"): _mean("MeanSquaredError", lambda knobs: keras.losses.MeanSquaredError()),
    ("loss", "mae"): _mean("MeanAbsoluteError", lambda knobs: keras.losses.MeanAbsoluteError()),
    ("loss", "huber"): _mean("Huber", lambda knobs: keras.losses.Huber(delta=knobs["delta"])),
    ("loss", "binary_crossentropy"): _mean("BinaryCrossentropy", lambda knobs: keras.losses.BinaryCrossentropy()),
    ("loss", "binary_crossentropy_logits"): _mean(
        "BinaryCrossentropy", lambda knobs: keras.losses.BinaryCrossentropy(from_logits=True), "(from_logits=True)"
    ),
    ("loss", "categorical_crossentropy"): _mean(
        "CategoricalCrossentropy", lambda knobs: keras.losses.CategoricalCrossentropy()
    ),
    ("loss", "categorical_crossentropy_logits"): _mean(
        "CategoricalCrossentropy",
        lambda knobs: keras.losses.CategoricalCrossentropy(from_logits=True),
        "(from_logits=True)",
    ),
    ("layer", "dense"): _dense,
}


@dataclass(frozen=True)
class Own:
    """One of Keras's optimizers: its slots by our names, the knob values for which it is our formula, and the sign
    of its slots (Keras's momentum points down the slope)."""

    call: str
    make: Callable[[Mapping[str, Any]], keras.optimizers.Optimizer]
    slots: Mapping[str, str]
    knobs: Mapping[str, Any]
    sign: int = 1


OPTIMIZERS: Mapping[str, Own] = {
    "sgd": Own("keras.optimizers.SGD", lambda h: keras.optimizers.SGD(h["lr"]), {}, {}),
    "momentum": Own(
        "keras.optimizers.SGD(momentum=)",
        lambda h: keras.optimizers.SGD(h["lr"], momentum=h["rho"]),
        {"v": "momentum"},
        {"lr_inside": True},
        sign=-1,
    ),
    "nesterov": Own(
        "keras.optimizers.SGD(momentum=, nesterov=True)",
        lambda h: keras.optimizers.SGD(h["lr"], momentum=h["rho"], nesterov=True),
        {"v": "momentum"},
        {"lr_inside": True},
        sign=-1,
    ),
    "adagrad": Own(
        "keras.optimizers.Adagrad",
        lambda h: keras.optimizers.Adagrad(h["lr"], h["initial_accumulator"], h["eps"]),
        {"a": "accumulator"},
        {"eps_inside_sqrt": True},
    ),
    "rmsprop": Own(
        "keras.optimizers.RMSprop",
        lambda h: keras.optimizers.RMSprop(h["lr"], rho=h["rho"], epsilon=h["eps"], centered=h.get("centered", False)),
        {"v": "velocity", "mean": "average_gradient"},
        {"eps_inside_sqrt": True},
    ),
    "adam": Own(
        "keras.optimizers.Adam",
        lambda h: keras.optimizers.Adam(h["lr"], h["beta1"], h["beta2"], h["eps"]),
        {"m": "momentum", "v": "velocity"},
        {"eps_place": "hat", "bias_correction": True},
    ),
}


class Optimizer:
    """A Keras optimizer, its state set and read through its public `variables`, found by name."""

    def __init__(self, own: Own, dtype: str, params: Arrays, hyper: Knobs) -> None:
        self.own = own
        self.params = {name: keras.Variable(array, dtype=dtype, name=name) for name, array in params.items()}
        self.optimizer = own.make(hyper)
        self.optimizer.build(list(self.params.values()))
        found = {variable.name: variable for variable in self.optimizer.variables}
        self.slots = {
            ours: {name: found[f"{name}_{theirs}"] for name in self.params}
            for ours, theirs in own.slots.items()
            if any(f"{name}_{theirs}" in found for name in self.params)
        }

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        for name, variable in self.params.items():
            variable.assign(params[name])
        for slot, variables in self.slots.items():
            for name, variable in variables.items():
                variable.assign(self.own.sign * np.asarray(state[slot][name]))
        self.optimizer.iterations.assign(step)

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        self.optimizer.learning_rate = learning_rate
        found = [tf.constant(gradients[name], variable.dtype) for name, variable in self.params.items()]
        self.optimizer.apply(found, list(self.params.values()))

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        state = {
            slot: {name: self.own.sign * _array(variable) for name, variable in variables.items()}
            for slot, variables in self.slots.items()
        }
        return {name: _array(variable) for name, variable in self.params.items()}, state


def _array(variable: Any) -> np.ndarray:
    value: np.ndarray = variable.numpy()
    return np.array(value, np.float32 if value.dtype == tf.bfloat16.as_numpy_dtype else None)


def native(dtype: str, kind: str, name: str, knobs: Knobs) -> Native | None:
    """The row for this specification, where these knobs are what it implements. Keras takes its working dtype from
    a global, floatx, when an object is made."""
    keras.config.set_floatx(dtype)
    if kind != "optimizer":
        row = TABLE.get((kind, name))
        return row(knobs) if row else None
    own = OPTIMIZERS.get(name)
    if own is None or any(knobs.get(knob, value) != value for knob, value in own.knobs.items()):
        return None
    return Native(own.call, lambda params, hyper: Optimizer(own, dtype, params, {**knobs, **hyper}))
