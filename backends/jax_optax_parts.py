"""What rows of optax's optimizers are made of: aliases, injected hyper-parameters, chains of parts.

Of each optimizer there are up to three: the alias that most users call, the same with its hyper-parameters in the state
(`optax.inject_hyperparams`), and the chain of parts that the alias is made of. What has no alias is a chain alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import optax

from .jax_optimizers import Own, Settings
from .jax_rows import public

Arguments = Callable[[Settings], Mapping[str, Any]]
Parts = Callable[[Any, Settings], list[Any]]
Values = Mapping[str, Any]
Factor = Callable[[Settings], float]
MOMENTS = {"m": "mu", "v": "nu"}
"""The two moments of the family of Adam, by our names and optax's."""


def alias(
    spec: str, call: str, arguments: Arguments, slots: Values, knobs: Values, parts: str = "",
    chain: Parts | None = None, *, factors: Mapping[str, Factor] | None = None, static: tuple[str, ...] = (),
    **more: Any,
) -> Iterator[Own]:  # fmt: skip
    """The alias; injected; and, of the `parts` by name, its chain. `static` arguments must stay numbers of Python."""
    name, shared = call.partition("(")[0], {"factors": factors or {}, **more}
    made = call.removeprefix(name)
    yield Own(spec, call, lambda lr, h: public(name)(lr, **arguments(h)), slots, knobs, **shared)
    yield Own(
        spec, f"optax.inject_hyperparams({name}){made}",
        lambda lr, h: optax.inject_hyperparams(public(name), static)(learning_rate=lr, **arguments(h)),
        slots, knobs, injected=True, **shared,
    )  # fmt: skip
    if chain is not None:
        yield chained(spec, parts, chain, slots, knobs, factors=factors, **more)


def chained(
    spec: str, parts: str, chain: Parts, slots: Values, knobs: Values | None = None,
    factors: Mapping[str, Factor] | None = None, **more: Any,
) -> Own:  # fmt: skip
    names = ", ".join(f"optax.{name}" for name in parts.split())
    return Own(spec, f"optax.chain({names})", lambda lr, h: optax.chain(*chain(lr, h)), slots, knobs or {},
               factors or {}, **more)  # fmt: skip


def at_rate(lr: Any) -> Any:
    return optax.scale_by_learning_rate(lr)


def decayed(h: Settings) -> Any:
    return optax.add_decayed_weights(h["weight_decay"])


def betas(*names: str) -> Arguments:
    """The arguments that the family of Adam shares; `names` are more of ours."""
    return lambda h: {"b1": h["beta1"], "b2": h["beta2"], "eps": h["eps"], **{name: h[name] for name in names}}
