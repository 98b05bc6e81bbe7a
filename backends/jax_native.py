"""JAX's own implementations (jax.nn, optax), as rows: what a user would call, and the knobs for which it is that
formula. Where optax is not installed, its rows are None."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crossnn.adapter import Knobs, Native, Tensor

Arrays = Mapping[str, np.ndarray]
Row = Callable[[Knobs], Native | None]

OPTAX = importlib.util.find_spec("optax") is not None
if OPTAX:
    import optax


def _plain(call: str, function: Callable[..., Tensor]) -> Row:
    return lambda knobs: Native(call, function)


def _mean(call: str, **options: str) -> Row:
    """An optax loss, which leaves the mean to the user; `options` maps its keywords to our hyper-parameters."""

    def bind(knobs: Knobs) -> Native | None:
        if not OPTAX or knobs.get("reduction", "mean") != "mean":
            return None
        function = getattr(optax.losses, call)
        bound = {theirs: knobs[ours] for theirs, ours in options.items()}
        return Native(f"optax.losses.{call}", lambda y, t: jnp.mean(function(y, t, **bound)))

    return bind


TABLE: Mapping[tuple[str, str], Row] = {
    ("activation", "identity"): _plain("jax.nn.identity", jax.nn.identity),
    ("activation", "sigmoid"): _plain("jax.nn.sigmoid", jax.nn.sigmoid),
    ("activation", "tanh"): _plain("jax.nn.tanh", jax.nn.tanh),
    ("activation", "relu"): _plain("jax.nn.relu", jax.nn.relu),
    ("activation", "leaky_relu"): lambda knobs: Native(
        "jax.nn.leaky_relu", lambda x: jax.nn.leaky_relu(x, negative_slope=knobs["alpha"])
    ),
    ("activation", "elu"): lambda knobs: Native("jax.nn.elu", lambda x: jax.nn.elu(x, alpha=knobs["alpha"])),
    ("activation", "softplus"): _plain("jax.nn.softplus", jax.nn.softplus),
    ("activation", "softmax"): _plain("jax.nn.softmax", lambda x: jax.nn.softmax(x, axis=-1)),
    ("loss", "mse"): _mean("squared_error"),
    ("loss", "huber"): _mean("huber_loss", delta="delta"),
    ("loss", "binary_crossentropy_logits"): _mean("sigmoid_binary_cross_entropy"),
    ("loss", "categorical_crossentropy_logits"): _mean("softmax_cross_entropy"),
}


@dataclass(frozen=True)
class Own:
    """One of optax's optimizers: its slots by our names, and the knob values for which it is our formula."""

    call: str
    make: Callable[[float, Mapping[str, Any]], Any]
    slots: Mapping[str, str]
    knobs: Mapping[str, tuple[Any, ...]]


OPTIMIZERS: Mapping[str, Own] = {
    "sgd": Own("optax.sgd", lambda lr, h: optax.sgd(lr), {}, {}),
    "momentum": Own(
        "optax.sgd(momentum=)",
        lambda lr, h: optax.sgd(lr, momentum=h["rho"]),
        {"v": "trace"},
        {"lr_inside": (False,)},
    ),
    "nesterov": Own(
        "optax.sgd(momentum=, nesterov=True)",
        lambda lr, h: optax.sgd(lr, momentum=h["rho"], nesterov=True),
        {"v": "trace"},
        {"lr_inside": (False,)},
    ),
    "adagrad": Own(
        "optax.adagrad",
        lambda lr, h: optax.adagrad(lr, initial_accumulator_value=h["initial_accumulator"], eps=h["eps"]),
        {"a": "sum_of_squares"},
        {"eps_inside_sqrt": (True,)},
    ),
    "rmsprop": Own(
        "optax.rmsprop",
        lambda lr, h: optax.rmsprop(
            lr, h["rho"], h["eps"], eps_in_sqrt=h.get("eps_inside_sqrt", False), centered=h.get("centered", False)
        ),
        {"v": "nu", "mean": "mu"},
        {},
    ),
    "adam": Own(
        "optax.adam",
        lambda lr, h: optax.adam(
            lr, h["beta1"], h["beta2"], **({"eps": 0.0, "eps_root": h["eps"]} if _inside(h) else {"eps": h["eps"]})
        ),
        {"m": "mu", "v": "nu"},
        {"eps_place": ("outside", "inside"), "bias_correction": (True,)},
    ),
}


def _inside(knobs: Knobs) -> bool:
    return bool(knobs.get("eps_place", "outside") == "inside")


class Optimizer:
    """An optax transformation and its state. Optax binds the learning rate when a transformation is made, and keeps
    all state outside: so each step makes the transformation anew. (`optax.inject_hyperparams` would vary the rate
    too, but turns every other hyper-parameter into an array, which rounds differently.)"""

    def __init__(self, own: Own, tensor: Callable[[np.ndarray], Tensor], params: Arrays, hyper: Knobs) -> None:
        self.own, self.tensor, self.hyper = own, tensor, hyper
        self.params = self.tensors(params)
        self.state = own.make(hyper["lr"], hyper).init(self.params)

    def tensors(self, arrays: Arrays) -> dict[str, Tensor]:
        return {name: self.tensor(array) for name, array in arrays.items()}

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        self.params = self.tensors(params)
        fresh = self.own.make(self.hyper["lr"], self.hyper).init(self.params)
        kept: dict[str, Any] = {
            theirs: self.tensors(state[ours])
            for ours, theirs in self.own.slots.items()
            if ours in state and optax.tree_utils.tree_get(fresh, theirs) is not None
        }
        if optax.tree_utils.tree_get(fresh, "count") is not None:
            kept["count"] = jnp.asarray(step, jnp.int32)
        self.state = optax.tree_utils.tree_set(fresh, **kept) if kept else fresh

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        transformation = self.own.make(learning_rate, self.hyper)
        updates, self.state = transformation.update(self.tensors(gradients), self.state, self.params)
        self.params = optax.apply_updates(self.params, updates)

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        slots = {ours: optax.tree_utils.tree_get(self.state, theirs) for ours, theirs in self.own.slots.items()}
        state = {ours: _arrays(values) for ours, values in slots.items() if values is not None}
        return _arrays(self.params), state


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    arrays = {name: np.array(tensor) for name, tensor in tensors.items()}
    return {name: one.astype(np.float32) if one.dtype == jnp.bfloat16 else one for name, one in arrays.items()}


def native(tensor: Callable[[np.ndarray], Tensor], kind: str, name: str, knobs: Knobs) -> Native | None:
    """The row for this specification, where these knobs are what it implements."""
    if kind != "optimizer":
        row = TABLE.get((kind, name))
        return row(knobs) if row else None
    own = OPTIMIZERS.get(name)
    if not OPTAX or own is None or any(knobs.get(knob, some[0]) not in some for knob, some in own.knobs.items()):
        return None
    call = f"{own.call}(eps_root=)" if name == "adam" and _inside(knobs) else own.call
    return Native(call, lambda params, hyper: Optimizer(own, tensor, params, {**knobs, **hyper}))
