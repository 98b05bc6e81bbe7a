"""What a call of JAX or optax makes: an optimizer, an activation or a loss, to be identified."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crossnn.adapter import Native, Opened, Tensor
from crossnn.errors import BackendError
from crossnn.identify import own
from crossnn.identify.calls import Call, parse_call, resolve
from crossnn.identify.own_optimizer import RATE
from crossnn.identify.own_source import arguments, numbers
from crossnn.identify.signatures import bound, signature_of
from crossnn.identify.trying import tried
from crossnn.registry import is_installed

Arrays = Mapping[str, np.ndarray]
RATES = ("learning_rate", "max_learning_rate")
ELEMENTWISE = "tanh exp expm1 arctan heaviside square abs sign maximum".split()
NAMESPACES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "jax.nn": (jax.nn, ()),
    "jax.numpy": (jnp, tuple(ELEMENTWISE)),
    "jax.lax": (jax.lax, ("tanh", "exp", "logistic", "erf", "expm1")),
    "jax.scipy.special": (jax.scipy.special, ("expit", "erf", "logit")),
}
if is_installed("optax"):
    import optax
    import optax.contrib

    NAMESPACES |= {
        "optax": (optax, ()),
        "optax.contrib": (optax.contrib, ()),
        "optax.losses": (optax.losses, ()),
        "optax.transforms": (optax.transforms, ()),
    }
    LOSSES = {getattr(optax.losses, name) for name in dir(optax.losses) if not name.startswith("_")}


def opened(tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray], text: str) -> Opened:
    """What the call makes: a transformation of gradients is an optimizer; a function is a loss where it stands among
    optax's losses, else an activation."""
    if own.is_own(text):
        found = own.load(text)
        made = own.made(text, found)
        if _is_transformation(made):
            settings = numbers(found)
            rate = next((name for name in RATE if name in arguments(found)), None)
            return _optimizer(
                tensor, array, text, settings, lambda lr: found(**({} if lr is None or rate is None else {rate: lr}))
            )
        if made is not None:
            raise BackendError(
                f"{text} makes {type(made).__name__}; jax opens a transformation of gradients or a function"
            )
        return own.opened(text, found, "", tensor, array)
    call = parse_call(text)
    found = resolve(call.name, NAMESPACES)
    if call.name.startswith("optax.") and found not in LOSSES:
        rest = bound(found, call)[0]
        settings = {("learning_rate" if name in RATES else name): value for name, value in rest.items()}
        if not _rates(call, rest):
            settings.pop("learning_rate", None)
        make = tried(call.name, lambda: _made(call, None))
        if not _is_transformation(make):
            raise BackendError(f"{call.name} makes {type(make).__name__}: no transformation of gradients, and no loss")
        return _optimizer(tensor, array, str(call), settings, lambda lr: _made(call, lr))
    signature = signature_of(found)
    names = list(signature.parameters) if signature else ["x"]
    loss = call.name.startswith("optax.")
    count = 3 if "positives" in names else 2 if loss else 1
    if call.arguments:
        raise BackendError(f"{call.name} is a function: give its settings by name, as in {call.name}({names[-1]}=...)")
    settings, given = bound(found, call, count)
    return Opened("loss" if loss else "activation", settings, Native(str(call), lambda *x: found(*x, **given)))


def _is_transformation(made: Any) -> bool:
    return hasattr(made, "init") and hasattr(made, "update")


def _rates(call: Call, settings: Mapping[str, Any]) -> bool:
    """Whether a learning rate can be set: here, or in a call inside."""
    if any(settings.get(name) is not None for name in RATES):
        return True
    inner = [one for one in (*call.arguments, *call.keywords.values()) if isinstance(one, Call)]
    return any(_rates(one, bound(resolve(one.name, NAMESPACES), one)[0]) for one in inner if one.called)


def _made(call: Call, rate: float | None) -> Any:
    """The call carried out, and those inside it; with another learning rate wherever one is set."""
    found = resolve(call.name, NAMESPACES)
    if not call.called:
        return found()
    settings, given = bound(found, call)

    def inner(value: Any) -> Any:
        if isinstance(value, Call):
            return _made(value, rate) if value.called else resolve(value.name, NAMESPACES)
        return tuple(map(inner, value)) if isinstance(value, tuple) else value

    place = [inner(one) for one in call.arguments] if any("[" in name for name in given) else []
    named = {name: inner(value) for name, value in given.items() if "[" not in name}
    if rate is not None:
        named.update({name: rate for name in RATES if settings.get(name) is not None})
    return found(*place, **named)


def _optimizer(
    tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray], text: str,
    settings: Mapping[str, Any], make: Callable[[float | None], Any],
) -> Opened:  # fmt: skip
    def native(params: Arrays, hyper: Mapping[str, Any]) -> Optimizer:
        return Optimizer(tensor, array, make, params)

    return Opened("optimizer", dict(settings), Native(text, native))


class Optimizer:
    """An optax transformation that starts afresh; its state by optax's names. One with a loop is compiled once for all
    learning rates: run as it is, the loop would be compiled anew at every step."""

    def __init__(
        self, tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray],
        make: Callable[[float | None], Any], params: Arrays,
    ) -> None:  # fmt: skip
        self.tensor, self.array, self.make = tensor, array, make
        self.update: Any = None
        self.load(params, {}, 0)

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        """From the first step on: what state optax keeps is not known here."""
        if step:
            raise BackendError("an opened optimizer starts at its first step")
        self.params = {name: self.tensor(value) for name, value in params.items()}
        self.state: Any = None

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        """The first step makes the state: there are those that keep their first learning rate in it."""
        if self.state is None:
            self.state = self.make(learning_rate).init(self.params)
        found = {name: self.tensor(value) for name, value in gradients.items()}
        if self.update is None:
            self.update = self._updates(found)
        updates, self.state = self.update(learning_rate, found, self.state, self.params)
        self.params = jax.tree.map(lambda w, change: w + change, self.params, updates)

    def _updates(self, gradients: Mapping[str, Tensor]) -> Callable[..., Any]:
        def update(rate: float, *trees: Any) -> Any:
            return self.make(rate).update(*trees)

        text = str(jax.make_jaxpr(update)(0.1, gradients, self.state, self.params))
        return jax.jit(update) if "while[" in text or "scan[" in text else update

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        raise BackendError("an opened optimizer is identified, not timed")

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        params = {name: self.array(value) for name, value in self.params.items()}
        state: dict[str, dict[str, np.ndarray]] = {}
        for path, value in jax.tree_util.tree_flatten_with_path(self.state)[0]:
            names = [str(getattr(one, "name", getattr(one, "key", ""))) for one in path]
            owner = next((name for name in names if name in params), None)
            slot = next((name for name in reversed(names) if name and name not in params), "state")
            if owner is not None and jnp.issubdtype(value.dtype, jnp.floating):
                taken = state.get(slot, {})
                while owner in taken:  # two transformations with a slot of one name
                    slot += "'"
                    taken = state.get(slot, {})
                state.setdefault(slot, {})[owner] = self.array(value)
        return params, state
