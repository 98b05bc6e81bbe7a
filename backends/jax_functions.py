"""JAX's own activations, as rows: what a user would call, and the settings for which it is our formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special

from crossnn.adapter import Knobs, Native
from crossnn.bindings import Row, Table, keywords

from .jax_rows import known, public, row


def _with(call: str, when: Mapping[str, Any] | None = None, **options: str) -> Row:
    """A function some of whose keywords are our settings."""

    def make(knobs: Knobs) -> Any:
        named = keywords(knobs, None, options)
        return lambda x: public(call)(x, **named)

    return row(call, when=when, make=make)


def _gelu(knobs: Knobs) -> Native | None:
    tanh = knobs["approximate"] == "tanh"
    call = f"jax.nn.gelu(approximate={tanh})"
    return Native(call, lambda x: jax.nn.gelu(x, approximate=tanh)) if known(call) else None


def _heaviside(knobs: Knobs) -> Any:
    return lambda x: jnp.heaviside(x, knobs["at_zero"])


_SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
_OF_ONE = """softsign=jax.nn.soft_sign softplus=jax.nn.softplus mish=jax.nn.mish hard_swish=jax.nn.hard_swish
silu=jax.nn.silu identity=jax.nn.identity log_sigmoid=jax.nn.log_sigmoid relu=jax.nn.relu relu6=jax.nn.relu6
sigmoid=jax.nn.sigmoid tanh=jax.nn.tanh hard_tanh=jax.nn.hard_tanh arctan=jax.numpy.arctan exponential=jax.numpy.exp"""
"""Specification and function of one argument."""
_FURTHER: Table = {
    "sigmoid": (row("jax.lax.logistic"), row("jax.scipy.special.expit")),
    "tanh": (row("jax.numpy.tanh"), row("jax.lax.tanh")),
    "hard_tanh": (row("jax.numpy.clip(x, -1, 1)", lambda x: jnp.clip(x, -1, 1)),
                  row("jax.lax.clamp(-1, x, 1)", lambda x: jax.lax.clamp(-1.0, x, 1.0))),
    "arctan": (row("jax.lax.atan"),),
    "exponential": (row("jax.lax.exp"),),
    "relu": (row("jax.numpy.maximum(x, 0)", lambda x: jnp.maximum(x, 0)),
             row("jax.lax.max(x, 0)", lambda x: jax.lax.max(x, jnp.zeros_like(x)))),
    "relu6": (row("jax.numpy.clip(x, 0, 6)", lambda x: jnp.clip(x, 0, 6)),),
    "softplus": (row("jax.numpy.logaddexp(x, 0)", lambda x: jnp.logaddexp(x, 0)),),
}  # fmt: skip

ACTIVATIONS: Table = {
    **{name: (row(call), *_FURTHER.get(name, ())) for name, _, call in
       (one.partition("=") for one in _OF_ONE.split())},
    "heaviside": (row("jax.numpy.heaviside", make=_heaviside),),
    "hard_sigmoid": (row("jax.nn.hard_sigmoid", when={"slope": "sixth"}),
                     row("jax.nn.sparse_sigmoid", when={"slope": "half"})),
    "leaky_relu": (_with("jax.nn.leaky_relu", negative_slope="alpha"),),
    "elu": (_with("jax.nn.elu", alpha="alpha"),),
    "selu": (row("jax.nn.selu", when=_SELU),),
    "celu": (_with("jax.nn.celu", alpha="alpha"),),
    "squareplus": (_with("jax.nn.squareplus", b="b"),),
    "gelu": (_gelu,),
    "softmax": (row("jax.nn.softmax", axis=-1), row("jax.scipy.special.softmax", axis=-1)),
    "log_softmax": (row("jax.nn.log_softmax", axis=-1), row("jax.scipy.special.log_softmax", axis=-1),
                    row("x - jax.nn.logsumexp(x)", lambda x: x - jax.nn.logsumexp(x, axis=-1, keepdims=True))),
    "glu": (row("jax.nn.glu", when={"gate": "sigmoid"}),),
}  # fmt: skip
"""What jax.nn has no function for, such as the gates of glu but the first, runs as the formula."""
