"""Optax's optimizers at work: any of the rows of jax_optax.py, started from any state, eager or jitted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import fits

from .jax_rows import known

Arrays = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]
Make = Callable[[Any, Settings], optax.GradientTransformation]
MODES = ("eager", "jit")


@dataclass(frozen=True, eq=False)
class Own:
    """One of optax's optimizers. `knobs`: the values for which it is our formula, several in a tuple. `factors`: what
    our slot is multiplied by to be theirs. `part`: the one of several transformations that has our state. `rate`: the
    learning rate that it is given, where that is not ours. `injected`: it has the rate in its state. `looping`: it has
    a loop, which would be compiled anew at every step unless the step is compiled."""

    spec: str
    call: str
    make: Make
    slots: Mapping[str, str] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    factors: Mapping[str, Callable[[Settings], float]] = field(default_factory=dict)
    part: str = ""
    rate: Callable[[float, Settings, int], float] | None = None
    injected: bool = False
    looping: bool = False


class Averaged(NamedTuple):
    """The state of an optimizer, and the average of its parameters."""

    inner: Any
    average: Any


def averaged(inner: optax.GradientTransformation, rate: float) -> optax.GradientTransformation:
    """An optimizer whose user keeps an average of the parameters, as optax.incremental_update is for."""

    def update(updates: Any, state: Any, params: Any = None) -> Any:
        updates, new = inner.update(updates, state.inner, params)
        average = optax.incremental_update(optax.apply_updates(params, updates), state.average, 1 - rate)
        return updates, Averaged(new, average)

    return optax.GradientTransformation(lambda params: Averaged(inner.init(params), params), update)


class Optimizer:
    """An optax transformation and its state. Optax binds the learning rate when a transformation is made, and keeps
    all state outside: so each step makes the transformation anew."""

    def __init__(
        self, own: Own, tensor: Callable[[np.ndarray], Tensor], params: Arrays, hyper: Knobs, mode: str = MODES[0]
    ) -> None:
        self.own, self.tensor, self.hyper, self.count = own, tensor, hyper, 0
        self.compiled = mode == "jit" or own.looping
        self.params = {name: self.tensor(array) for name, array in params.items()}
        self.state = own.make(self._rate(hyper["lr"]), hyper).init(self.params)

    def _rate(self, learning_rate: float) -> float:
        return self.own.rate(learning_rate, self.hyper, self.count + 1) if self.own.rate else learning_rate

    def _factor(self, slot: str) -> float:
        return self.own.factors[slot](self.hyper) if slot in self.own.factors else 1.0

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        """Before the first step its state is left to itself: how that begins is part of what it computes."""
        self.count = step
        self.params = {name: self.tensor(array) for name, array in params.items()}
        self.state = self.own.make(self._rate(self.hyper["lr"]), self.hyper).init(self.params)
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
        inner = self.state.inner_state if self.own.injected else self.state
        count = jnp.asarray(step, jnp.int32)
        if optax.tree_utils.tree_get_all_with_path(inner, "count", filtering=self._ours):
            kept["count"] = count
        if kept:  # below a part with one of these names optax.tree_utils looks no further
            inner = optax.tree_utils.tree_set(inner, self._ours, **kept)
        self.state = self.state._replace(count=count, inner_state=inner) if self.own.injected else inner

    def _ours(self, path: Any, value: Any) -> bool:
        """Whether a part of the state is that of the transformation meant."""
        return self.own.part in str(path)

    def _slot(self, name: str) -> Any:
        return optax.tree_utils.tree_get(self.state, name, filtering=self._ours)

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        found = {name: self.tensor(array) for name, array in gradients.items()}
        self._set(learning_rate)
        advance = _compiled(self.own, tuple(self.hyper.items())) if self.compiled else self._advance
        self.params, self.state = advance(self._rate(learning_rate), found, self.state, self.params)
        self.count += 1

    def _set(self, learning_rate: float) -> None:
        """The rate, for those who look for it in the state."""
        if self.own.injected:
            rate = jnp.asarray(self._rate(learning_rate), next(iter(self.params.values())).dtype)
            self.state = self.state._replace(hyperparams={**self.state.hyperparams, "learning_rate": rate})

    def _advance(self, rate: float, gradients: Any, state: Any, params: Any) -> Any:
        return _step(self.own.make(rate, self.hyper), gradients, state, params)

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        """With one transformation, as a loop has it whose learning rate is constant."""
        found = [{name: self.tensor(array) for name, array in one.items()} for one in gradients]
        self._set(learning_rate)
        rate = self._rate(learning_rate)
        advance = functools.partial(_step, self.own.make(rate, self.hyper))
        if self.compiled:
            advance = functools.partial(_compiled(self.own, tuple(self.hyper.items())), rate)

        def one(number: int) -> Any:
            self.params, self.state = advance(found[number], self.state, self.params)
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


def _step(transformation: optax.GradientTransformation, gradients: Any, state: Any, params: Any) -> Any:
    """What a training step does with gradients."""
    updates, state = transformation.update(gradients, state, params)
    return optax.apply_updates(params, updates), state


@functools.lru_cache(maxsize=128)
def _compiled(own: Own, settings: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
    """A step of an optimizer, compiled once for all learning rates."""
    compiled: Callable[..., Any] = jax.jit(lambda rate, *trees: _step(own.make(rate, dict(settings)), *trees))
    return compiled


def natives(tensor: Callable[[np.ndarray], Tensor], rows: Sequence[Own], name: str, knobs: Knobs) -> list[Native]:
    """Optax's optimizers of this specification for which these knobs are what they implement, each call once."""
    found: dict[str, Native] = {}
    for own in rows:
        if own.spec == name and own.call not in found and fits(knobs, own.knobs) and known(own.call):
            found[own.call] = Native(own.call, _making(own, tensor, knobs), MODES)
    return list(found.values())


def _making(own: Own, tensor: Callable[[np.ndarray], Tensor], knobs: Knobs) -> Callable[..., Optimizer]:
    return lambda params, hyper, mode=MODES[0]: Optimizer(own, tensor, params, {**knobs, **hyper}, mode)
