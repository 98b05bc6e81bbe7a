"""Keras's own optimizers, as rows: the settings for which each is our formula, and its state by our names. Nothing is
repaired: where Keras rounds a hyper-parameter to float32 in a float64 model, it does here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from crossnn.adapter import Knobs, Native
from crossnn.bindings import fits

MODES = ("eager", "graph", "xla")
"""Ways of running an update: as it is, in a graph, compiled by XLA."""

Arrays = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]
Make = Callable[[Settings], keras.optimizers.Optimizer]


@dataclass(frozen=True)
class Own:
    """One of Keras's optimizers. `slots`: its variables by our names, `_x` for a list that only the object itself
    knows. `knobs`: the values for which it is our formula, several in a tuple. `sign`: of its slots (Keras's momentum
    points down the slope)."""

    spec: str
    call: str
    make: Make
    slots: Mapping[str, str] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    sign: int = 1


def _family(kind: type[keras.optimizers.Optimizer], **options: Any) -> Make:
    """One of the family of Adam, which share their arguments."""
    return lambda h: kind(h["lr"], beta_1=h["beta1"], beta_2=h["beta2"], epsilon=h["eps"], **options)


def _decaying(kind: type[keras.optimizers.Optimizer]) -> Make:
    return lambda h: _family(kind, weight_decay=h["weight_decay"])(h)


def _sgd(h: Settings) -> keras.optimizers.Optimizer:
    """Without momentum Keras's decoupled decay is the coupled one."""
    decay = h["weight_decay"] if h.get("decay", "none") != "none" else None
    return keras.optimizers.SGD(h["lr"], momentum=h.get("rho", 0.0), weight_decay=decay)


def _rmsprop(h: Settings) -> keras.optimizers.Optimizer:
    momentum = h["mu"] if h.get("momentum", "none") != "none" else 0.0
    return keras.optimizers.RMSprop(
        h["lr"], rho=h["rho"], momentum=momentum, epsilon=h["eps"], centered=h.get("centered", False)
    )


def _ftrl(h: Settings) -> keras.optimizers.Optimizer:
    """Keras's L2 strength is half of the published one."""
    return keras.optimizers.Ftrl(
        h["lr"], initial_accumulator_value=h["initial_accumulator"], l1_regularization_strength=h["l1"],
        l2_regularization_strength=h["l2"] / 2, beta=h["beta"],
    )  # fmt: skip


def _muon(h: Settings) -> keras.optimizers.Optimizer:
    return keras.optimizers.Muon(
        h["lr"], weight_decay=h["weight_decay"], momentum=h["mu"], nesterov=h["momentum"] == "nesterov",
        rms_rate=0.2 if h["scale"] == "rms" else None,
    )  # fmt: skip


_MOMENTS = {"m": "momentum", "v": "velocity"}

OPTIMIZERS: tuple[Own, ...] = (
    Own("sgd", "keras.optimizers.SGD", _sgd),
    Own(
        "momentum", "keras.optimizers.SGD(momentum=)", _sgd,
        {"v": "momentum"}, {"form": "inside", "decay": ("none", "before")}, sign=-1,
    ),
    Own(
        "nesterov", "keras.optimizers.SGD(momentum=, nesterov=True)",
        lambda h: keras.optimizers.SGD(h["lr"], momentum=h["rho"], nesterov=True),
        {"v": "momentum"}, {"form": "inside"}, sign=-1,
    ),
    Own(
        "weight_ema", "keras.optimizers.SGD(use_ema=True)",
        lambda h: keras.optimizers.SGD(h["lr"], use_ema=True, ema_momentum=h["rho"]),
        {"average": "average"}, {"start": "first"},
    ),
    Own(
        "adagrad", "keras.optimizers.Adagrad",
        lambda h: keras.optimizers.Adagrad(h["lr"], h["initial_accumulator"], h["eps"]),
        {"a": "accumulator"}, {"eps_place": "inside"},
    ),
    Own(
        "adadelta", "keras.optimizers.Adadelta",
        lambda h: keras.optimizers.Adadelta(h["lr"], rho=h["rho"], epsilon=h["eps"]),
        {"a": "accumulated_grad", "b": "accumulated_delta_var"},
    ),
    Own(
        "rmsprop", "keras.optimizers.RMSprop", _rmsprop,
        {"v": "velocity", "mean": "average_gradient", "u": "momentum"},
        {"eps_place": "inside", "momentum": ("none", "inside")},
    ),
    Own("adam", "keras.optimizers.Adam", _family(keras.optimizers.Adam), _MOMENTS,
        {"eps_place": "hat", "bias_correction": True}),
    Own("adamw", "keras.optimizers.AdamW", _decaying(keras.optimizers.AdamW), _MOMENTS,
        {"decay": "before", "eps_place": "hat"}),
    Own("amsgrad", "keras.optimizers.Adam(amsgrad=True)", _family(keras.optimizers.Adam, amsgrad=True),
        {**_MOMENTS, "largest": "velocity_hat"}, {"correction": "hat"}),
    Own("adamax", "keras.optimizers.Adamax", _family(keras.optimizers.Adamax), {"m": "momentum", "u": "norm"},
        {"eps_place": "outside"}),
    Own("nadam", "keras.optimizers.Nadam", _family(keras.optimizers.Nadam), {**_MOMENTS, "product": "_u_product"},
        {"schedule": "lookahead", "momentum_decay": 1.0}),
    Own(
        "lion", "keras.optimizers.Lion",
        lambda h: keras.optimizers.Lion(
            h["lr"], beta_1=h["beta1"], beta_2=h["beta2"], weight_decay=h["weight_decay"]
        ),
        {"m": "momentum"},
    ),
    Own("ftrl", "keras.optimizers.Ftrl", _ftrl, {"z": "linear", "n": "accumulator"}),
    Own("lamb", "keras.optimizers.Lamb", _decaying(keras.optimizers.Lamb), _MOMENTS, {"decay": "before"}),
    Own(
        "adafactor", "keras.optimizers.Adafactor",
        lambda h: keras.optimizers.Adafactor(
            h["lr"], beta_2_decay=-h["decay"], epsilon_1=h["eps1"], epsilon_2=h["eps2"], clip_threshold=h["clip"]
        ),
        {"r": "_r", "c": "_c"}, {"moments": "means", "relative_step": True},
    ),
    Own("muon", "keras.optimizers.Muon", _muon, {"v": "momentum"},
        {"momentum": ("plain", "nesterov"), "scale": ("none", "rms"), "eps": 1e-7}),
)  # fmt: skip


class Optimizer:
    """A Keras optimizer, its state set and read through its public `variables`, found by name; of some it has lists.
    Its update runs as it is, or in a tf.function, as in Keras's own training loop: with XLA (jit_compile) or not."""

    def __init__(self, own: Own, dtype: str, params: Arrays, hyper: Knobs, mode: str = "eager") -> None:
        self.own, self.dtype = own, dtype
        keras.config.set_floatx(dtype)  # which Keras asks when an object is made, and Muon at every step
        self.params = {name: keras.Variable(array, dtype=dtype, name=name) for name, array in params.items()}
        self.optimizer = own.make(hyper)
        self.optimizer.build(list(self.params.values()))
        found = {variable.name: variable for variable in self.optimizer.variables}
        slots = {ours: self._variables(theirs, found) for ours, theirs in own.slots.items()}
        self.slots = {ours: variables for ours, variables in slots.items() if variables}
        self.start = [tf.identity(variable.value) for variable in self.optimizer.variables]
        self.apply = self._apply
        if mode != "eager":
            self.apply = tf.function(self._apply, autograph=False, jit_compile=mode == "xla")

    def _apply(self, gradients: Sequence[tf.Tensor]) -> None:
        self.optimizer.apply(gradients, list(self.params.values()))

    def restart(self, params: Arrays) -> Optimizer:
        """As if it had just been made, but for what was traced and compiled."""
        for name, variable in self.params.items():
            variable.assign(params[name])
        for variable, value in zip(self.optimizer.variables, self.start, strict=True):
            variable.assign(value)
        return self

    def _variables(self, theirs: str, found: Mapping[str, Any]) -> dict[str, Any]:
        """The variables of a slot by parameter."""
        if not theirs.startswith("_"):
            return {name: found[f"{name}_{theirs}"] for name in self.params if f"{name}_{theirs}" in found}
        listed = getattr(self.optimizer, theirs)
        return dict(zip(self.params, listed if isinstance(listed, list) else [listed] * len(self.params), strict=True))

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        """Before the first step its state is left to itself: how that begins is part of what it computes."""
        for name, variable in self.params.items():
            variable.assign(params[name])
        for slot, variables in self.slots.items() if step > 0 else ():
            for name, variable in variables.items():
                variable.assign(self.own.sign * np.reshape(state[slot][name], variable.shape))
        self.optimizer.iterations.assign(step)

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        keras.config.set_floatx(self.dtype)
        self.optimizer.learning_rate = learning_rate
        found = [tf.constant(gradients[name], variable.dtype) for name, variable in self.params.items()]
        self.apply(found)

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        keras.config.set_floatx(self.dtype)
        self.optimizer.learning_rate = learning_rate
        variables = list(self.params.values())
        found = [
            [tf.constant(one[name], variable.dtype) for name, variable in self.params.items()] for one in gradients
        ]

        def update(number: int) -> Any:
            self.apply(found[number])
            return variables

        return update

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        state = {
            slot: {name: self.own.sign * _array(variable) for name, variable in variables.items()}
            for slot, variables in self.slots.items()
        }
        if self.own.spec == "adafactor":  # whose r and c are vectors
            for slot, axis in (("r", -1), ("c", -2)):
                state[slot] = {name: np.expand_dims(value, axis) for name, value in state[slot].items()}
        return {name: _array(variable) for name, variable in self.params.items()}, state


def _array(variable: Any) -> np.ndarray:
    value: np.ndarray = variable.numpy()
    return np.array(value, np.float32 if value.dtype == tf.bfloat16.as_numpy_dtype else None)


def _own(own: Own, dtype: str, knobs: Knobs) -> Native:
    """A compiled update is traced once: who asks for another optimizer of the same settings gets the same, restarted.
    So two of them do not live at the same time."""
    kept: dict[Any, Optimizer] = {}

    def make(params: Arrays, hyper: Knobs, mode: str = "eager") -> Optimizer:
        settings = {**knobs, **hyper}
        if mode == "eager":
            return Optimizer(own, dtype, params, settings)
        shapes = tuple((name, np.shape(array)) for name, array in params.items())
        key = (mode, shapes, repr(sorted(settings.items())))
        if key not in kept:
            kept[key] = Optimizer(own, dtype, params, settings, mode)
        return kept[key].restart(params)

    return Native(own.call, make, MODES)


def natives(dtype: str, name: str, knobs: Knobs) -> list[Native]:
    """Keras's own optimizers of this specification, where these knobs are what they implement."""
    return [_own(one, dtype, knobs) for one in OPTIMIZERS if one.spec == name and fits(knobs, one.knobs)]
