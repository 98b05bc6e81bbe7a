"""Optax's optimizers, as rows: the settings for which each is our formula, and its state by our names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib

from crossnn.adapter import Knobs, Native, Tensor, fits

Arrays = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]
Make = Callable[[float, Settings], optax.GradientTransformation]


@dataclass(frozen=True)
class Own:
    """One of optax's optimizers. `knobs`: the values for which it is our formula, several in a tuple. `factors`: what
    our slot is multiplied by to be theirs. `part`: the one of several transformations that has our state.
    `jitted`: it has a loop, which would be compiled anew at every step."""

    spec: str
    call: str
    make: Make
    slots: Mapping[str, str] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    factors: Mapping[str, Callable[[Settings], float]] = field(default_factory=dict)
    part: str = ""
    jitted: bool = False


def _family(make: Callable[..., optax.GradientTransformation], *names: str) -> Make:
    """One of the family of Adam, which share their arguments; `names` are more of ours."""
    return lambda lr, h: make(lr, h["beta1"], h["beta2"], h["eps"], **{name: h[name] for name in names})


def _rmsprop(lr: float, h: Settings) -> optax.GradientTransformation:
    momentum = h["mu"] if h.get("momentum", "none") != "none" else None
    inside = h.get("eps_place", "outside") == "inside"
    return optax.rmsprop(
        lr, h["rho"], h["eps"], eps_in_sqrt=inside, centered=h.get("centered", False), momentum=momentum
    )


def _adafactor(lr: float, h: Settings) -> optax.GradientTransformation:
    """Its learning rate is absolute: the relative one is a schedule that its user writes."""
    return optax.adafactor(
        min(lr, 1 / h["step"] ** 0.5), min_dim_size_to_factor=1, decay_rate=h["decay"], clipping_threshold=h["clip"],
        eps=h["eps1"],
    )  # fmt: skip


def _muon(lr: float, h: Settings) -> optax.GradientTransformation:
    rms = 0.2 if h["scale"] == "rms" else None
    return optax.contrib.muon(lr, beta=h["mu"], eps=h["eps"], weight_decay=h["weight_decay"], consistent_rms=rms)


_MOMENTS = {"m": "mu", "v": "nu"}

OPTIMIZERS: tuple[Own, ...] = (
    Own("sgd", "optax.sgd", lambda lr, h: optax.sgd(lr), {}, {"decay": "none"}),
    Own("momentum", "optax.sgd(momentum=)", lambda lr, h: optax.sgd(lr, momentum=h["rho"]), {"v": "trace"},
        {"form": "outside", "decay": "none"}),
    Own("nesterov", "optax.sgd(momentum=, nesterov=True)",
        lambda lr, h: optax.sgd(lr, momentum=h["rho"], nesterov=True), {"v": "trace"}, {"form": "outside"}),
    Own(
        "adagrad", "optax.adagrad",
        lambda lr, h: optax.adagrad(lr, initial_accumulator_value=h["initial_accumulator"], eps=h["eps"]),
        {"a": "sum_of_squares"}, {"eps_place": "inside"},
    ),
    Own("adadelta", "optax.adadelta", lambda lr, h: optax.adadelta(lr, h["rho"], h["eps"]), {"a": "e_g", "b": "e_x"}),
    Own("rmsprop", "optax.rmsprop", _rmsprop, {"v": "nu", "mean": "mu", "u": "trace"},
        {"momentum": ("none", "inside")}, {"u": lambda h: -1.0}),
    Own(
        "rprop", "optax.rprop",
        lambda lr, h: optax.rprop(h["lr"], h["eta_minus"], h["eta_plus"], h["step_min"], h["step_max"]),
        {"step": "step_sizes", "change": "prev_updates"}, {"on_change": "wait"}, {"change": lambda h: -1.0},
    ),
    Own("adam", "optax.adam", _family(optax.adam), _MOMENTS, {"eps_place": "outside", "bias_correction": True}),
    Own(
        "adam", "optax.adam(eps_root=)",
        lambda lr, h: optax.adam(lr, h["beta1"], h["beta2"], eps=0.0, eps_root=h["eps"]),
        _MOMENTS, {"eps_place": "inside", "bias_correction": True},
    ),
    Own("adamw", "optax.adamw",
        lambda lr, h: optax.adamw(lr, h["beta1"], h["beta2"], h["eps"], weight_decay=h["weight_decay"]),
        _MOMENTS, {"decay": "before", "eps_place": "outside"}),
    Own("amsgrad", "optax.amsgrad", _family(optax.amsgrad), {**_MOMENTS, "largest": "nu_max"},
        {"correction": "before"}),
    Own("adamax", "optax.adamax", _family(optax.adamax), {"m": "mu", "u": "nu"}, {"eps_place": "inside"}),
    Own("nadam", "optax.nadam", _family(optax.nadam), _MOMENTS, {"schedule": "never"}),
    Own("radam", "optax.radam", _family(optax.radam, "threshold"), _MOMENTS, {"eps_place": "outside"}),
    Own("adabelief", "optax.adabelief",
        lambda lr, h: optax.adabelief(lr, h["beta1"], h["beta2"], h["eps"], eps_root=h["eps"]),
        {"m": "mu", "s": "nu"}),
    Own("lion", "optax.lion",
        lambda lr, h: optax.lion(lr, h["beta1"], h["beta2"], weight_decay=h["weight_decay"]), {"m": "mu"}),
    Own("lamb", "optax.lamb", _family(optax.lamb, "weight_decay"), _MOMENTS, {"decay": "in_ratio"}),
    Own(
        "lars", "optax.lars",
        lambda lr, h: optax.lars(lr, h["weight_decay"], trust_coefficient=h["trust"], momentum=h["rho"]),
        {"v": "trace"}, {"norm": "norm_of_sum"}, {"v": lambda h: -1.0},
    ),
    Own("adafactor", "optax.adafactor", _adafactor, {"r": "v_row", "c": "v_col"},
        {"moments": "means", "relative_step": True, "eps2": 1e-3}),
    Own("muon", "optax.contrib.muon", _muon, {"v": "mu"}, {"momentum": "corrected", "scale": ("original", "rms")},
        {"v": lambda h: 1 - h["mu"]}, part="muon", jitted=True),
)  # fmt: skip


class Optimizer:
    """An optax transformation and its state. Optax binds the learning rate when a transformation is made, and keeps
    all state outside: so each step makes the transformation anew. (`optax.inject_hyperparams` would vary the rate
    too, but turns every other hyper-parameter into an array, which rounds differently.)"""

    def __init__(self, own: Own, tensor: Callable[[np.ndarray], Tensor], params: Arrays, hyper: Knobs) -> None:
        self.own, self.tensor, self.hyper, self.count = own, tensor, hyper, 0
        self.params = {name: self.tensor(array) for name, array in params.items()}
        self.state = self._made(hyper["lr"]).init(self.params)

    def _made(self, learning_rate: float) -> optax.GradientTransformation:
        return self.own.make(learning_rate, {**self.hyper, "step": self.count + 1})

    def _factor(self, slot: str) -> float:
        return self.own.factors[slot](self.hyper) if slot in self.own.factors else 1.0

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        """Before the first step its state is left to itself: how that begins is part of what it computes."""
        self.count = step
        self.params = {name: self.tensor(array) for name, array in params.items()}
        self.state = self._made(self.hyper["lr"]).init(self.params)
        if step == 0:
            return
        kept: dict[str, Any] = {}
        for ours, theirs in self.own.slots.items():
            fresh = self._slot(theirs)
            if ours in state and fresh is not None:
                kept[theirs] = {
                    name: jnp.reshape(self.tensor(array * self._factor(ours)), fresh[name].shape)
                    for name, array in state[ours].items()
                }
        if self._slot("count") is not None:
            kept["count"] = jnp.asarray(step, jnp.int32)
        if kept:
            self.state = optax.tree_utils.tree_set(self.state, self._ours, **kept)

    def _ours(self, path: Any, value: Any) -> bool:
        """Whether a part of the state is that of the transformation meant."""
        return self.own.part in str(path)

    def _slot(self, name: str) -> Any:
        return optax.tree_utils.tree_get(self.state, name, filtering=self._ours)

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        found = {name: self.tensor(array) for name, array in gradients.items()}
        update = _jitted(self.own.call, tuple(self.hyper.items())) if self.own.jitted else self._update
        updates, self.state = update(learning_rate, found, self.state, self.params)
        self.params = optax.apply_updates(self.params, updates)
        self.count += 1

    def _update(self, learning_rate: float, *trees: Any) -> Any:
        return self._made(learning_rate).update(*trees)

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        """With one transformation, as a loop has it whose learning rate is constant."""
        found = [{name: self.tensor(array) for name, array in one.items()} for one in gradients]
        update = self._made(learning_rate).update
        if self.own.jitted:
            update = functools.partial(_jitted(self.own.call, tuple(self.hyper.items())), learning_rate)

        def one(number: int) -> Any:
            updates, self.state = update(found[number], self.state, self.params)
            self.params = optax.apply_updates(self.params, updates)
            self.count += 1
            return self.params, self.state

        return one

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        state = {}
        for ours, theirs in self.own.slots.items():
            values = self._slot(theirs)
            if values is not None:
                state[ours] = {name: _array(value) / self._factor(ours) for name, value in values.items()}
        if self.own.spec == "adafactor":  # whose r and c are vectors
            for slot, axis in (("r", -1), ("c", -2)):
                state[slot] = {name: np.expand_dims(value, axis) for name, value in state[slot].items()}
        return {name: _array(value) for name, value in self.params.items()}, state


def _array(tensor: Tensor) -> np.ndarray:
    array = np.array(tensor)
    return array.astype(np.float32) if array.dtype == jnp.bfloat16 else array


@functools.cache
def _jitted(call: str, settings: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
    """The update of a transformation, compiled once for all learning rates."""
    (own,) = (one for one in OPTIMIZERS if one.call == call)
    compiled: Callable[..., Any] = jax.jit(lambda rate, *trees: own.make(rate, dict(settings)).update(*trees))
    return compiled


def native(tensor: Callable[[np.ndarray], Tensor], name: str, knobs: Knobs) -> Native | None:
    """Optax's own optimizer of this specification, where these knobs are what it implements."""
    own = next((one for one in OPTIMIZERS if one.spec == name and fits(knobs, one.knobs)), None)
    if own is None:
        return None
    return Native(own.call, lambda params, hyper: Optimizer(own, tensor, params, {**knobs, **hyper}))
