"""What a call of Keras or TensorFlow makes: an optimizer, an activation, a loss or a regularizer, to be identified."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from crossnn.adapter import Native, Opened, Tensor
from crossnn.errors import BackendError
from crossnn.identify import own
from crossnn.identify.calls import parse_call, resolve
from crossnn.identify.own_source import numbers
from crossnn.identify.signatures import bound, signature_of
from crossnn.identify.trying import tried

Arrays = Mapping[str, np.ndarray]
Make = Callable[[], Any]


def _public(module: Any) -> tuple[str, ...]:
    """Its names but those that read configurations."""
    return tuple(name for name in dir(module) if not name.startswith("_") and name not in ("deserialize", "get"))


LAYERS = ("Activation ReLU LeakyReLU ELU Softmax").split()
NAMESPACES: dict[str, tuple[Any, tuple[str, ...]]] = {
    **{
        f"{root}.{name}": (getattr(keras, name), _public(getattr(keras, name)))
        for root in ("keras", "tf.keras")
        for name in ("optimizers", "losses", "activations", "regularizers")
    },
    "keras.layers": (keras.layers, tuple(LAYERS)),
    "keras.ops": (keras.ops, _public(keras.activations)),
    "tf.nn": (tf.nn, ()),
    "tf": (tf, ("tanh", "sigmoid", "exp", "abs", "square", "sign", "atan")),
    "tf.math": (tf.math, ("tanh", "sigmoid", "exp", "log_sigmoid", "softplus", "expm1", "erf", "atan", "square")),
}


def opened(
    dtype: str, tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray], text: str
) -> Opened:
    """What the call makes. Keras's losses take the target first; their arguments are exchanged here."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)  # in which a layer computes
    if own.is_own(text):
        found = own.load(text)
        made = own.made(text, found)
        if made is None:
            return own.opened(text, found, "", tensor, array)
        if isinstance(made, keras.optimizers.Optimizer):
            return _optimizer(dtype, array, text, {**numbers(found), **made.get_config()}, found)
        return _object(dtype, text, numbers(type(made)), made)
    call = parse_call(text)
    name = call.name.removeprefix("tensorflow.")
    found = resolve(f"tf.{name}" if name != call.name else name, NAMESPACES)
    if isinstance(found, type):
        settings, given = bound(found, call)
        free = {key: value for key, value in settings.items() if key not in ("name", "dtype", "kwargs")}
        made = tried(call.name, lambda: found(**given))
        if isinstance(made, keras.optimizers.Optimizer):
            return _optimizer(dtype, array, str(call), free, lambda: found(**given))
        return _object(dtype, str(call), free, made)
    signature = signature_of(found)
    names = list(signature.parameters) if signature else ["x"]
    loss = "y_true" in names or "labels" in names
    if call.arguments:
        raise BackendError(f"{call.name} is a function: give its settings by name, as in {call.name}({names[-1]}=...)")
    if not loss:
        settings, given = bound(found, call, 1)
        settings.pop("name", None)
        return Opened("activation", settings, Native(str(call), lambda x: found(x, **given)))
    settings, given = bound(found, call, 2)
    settings.pop("name", None)
    if "labels" in names:
        return Opened("loss", settings, Native(str(call), lambda y, t: found(labels=t, logits=y, **given)))
    return Opened("loss", settings, Native(str(call), lambda y, t: found(t, y, **given)))


def _object(dtype: str, text: str, settings: Mapping[str, Any], made: Any) -> Opened:
    """A loss, a regularizer or a layer."""
    if isinstance(made, keras.losses.Loss):
        made.dtype_policy = keras.DTypePolicy(dtype)
        return Opened("loss", settings, Native(text, lambda y, t: made(t, y)))
    if isinstance(made, keras.regularizers.Regularizer):
        return Opened("regularizer", settings, Native(text, made))
    if isinstance(made, keras.layers.Layer):
        return Opened("activation", settings, Native(text, made))
    raise BackendError(f"{text} makes {type(made).__name__}: no optimizer, loss, activation or regularizer")


def _optimizer(
    dtype: str, array: Callable[[Tensor], np.ndarray], text: str, settings: Mapping[str, Any], make: Make
) -> Opened:
    shown = {name: value for name, value in settings.items() if isinstance(value, bool | int | float | str | None)}
    return Opened("optimizer", shown, Native(text, lambda params, hyper: Optimizer(dtype, array, make, params)))


class Optimizer:
    """A Keras optimizer that starts afresh; its variables by the names that Keras gives them."""

    def __init__(self, dtype: str, array: Callable[[Tensor], np.ndarray], make: Make, params: Arrays) -> None:
        keras.config.set_floatx(dtype)  # which Keras asks when an object is made, and Muon at every step
        self.dtype, self.array = dtype, array
        self.params = {name: keras.Variable(value, dtype=dtype, name=name) for name, value in params.items()}
        self.optimizer = make()
        self.optimizer.build(list(self.params.values()))

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        """From the first step on: what state a framework keeps is not known here."""
        if step:
            raise BackendError("an opened optimizer starts at its first step")
        for name, variable in self.params.items():
            variable.assign(params[name])

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        keras.config.set_floatx(self.dtype)
        self.optimizer.learning_rate = learning_rate
        found = [tf.constant(gradients[name], variable.dtype) for name, variable in self.params.items()]
        self.optimizer.apply(found, list(self.params.values()))

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        raise BackendError("an opened optimizer is identified, not timed")

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        state: dict[str, dict[str, np.ndarray]] = {}
        for variable in self.optimizer.variables:
            owner = next((name for name in self.params if variable.name.startswith(f"{name}_")), None)
            if owner is not None:
                state.setdefault(variable.name[len(owner) + 1 :], {})[owner] = self.array(variable.value)
        own = list(self.params.values())
        for name, kept in vars(self.optimizer).items():  # variables that have the parameter's own name, in lists
            if isinstance(kept, list) and len(kept) == len(own) and not any(one is own[0] for one in kept):
                pairs = dict(zip(self.params, kept, strict=True))
                if all(isinstance(one, keras.Variable) and one.name == owner for owner, one in pairs.items()):
                    state[name.lstrip("_")] = {owner: self.array(one.value) for owner, one in pairs.items()}
        return {name: self.array(variable.value) for name, variable in self.params.items()}, state
