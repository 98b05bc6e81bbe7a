"""JAX's initializers, as rows: the random numbers of a key, and what an initializer makes of the same key.

The draws are those of jax.random, by the names that formulas use: u uniform on [0, 1), z standard normal, c standard
normal between -2 and 2, m a tall standard normal matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crossnn.adapter import Knobs, Native
from crossnn.bindings import Row, Rows, fits

from .jax_rows import known, public

Drawn = tuple[dict[str, np.ndarray], np.ndarray]
Shape = tuple[int, ...]
Make = Callable[[Any, Knobs], Any]
"""From the public function and the settings to an initializer f(key, shape, dtype)."""


def _drawn(draw: str, key: Any, shape: Shape, dtype: Any) -> Any:
    match draw:
        case "u":
            return jax.random.uniform(key, shape, dtype)
        case "z":
            return jax.random.normal(key, shape, dtype)
        case "c":
            return jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    return jax.random.normal(key, (max(rows, columns), min(rows, columns)), dtype)


def _row(call: str, draw: str, make: Make, when: dict[str, Any] | None = None) -> Callable[[Any], Row]:
    """`make` gets the function that the call names; the rows are made for a dtype, which is known once JAX has started:
    `dtype()` says which."""

    def of(dtype: Callable[[], Any]) -> Row:
        def bind(knobs: Knobs) -> Native | None:
            if not fits(knobs, when or {}) or not known(call):
                return None
            initializer = make(public(call.partition("(")[0]), knobs)

            def function(shape: Shape, seed: int) -> Drawn:
                key = jax.random.key(seed)
                draws = {draw: np.asarray(_drawn(draw, key, shape, dtype()))}
                return draws, np.asarray(initializer(key, shape, dtype()))

            return Native(call, function)

        return bind

    return of


def _plain(make: Any, knobs: Knobs) -> Any:
    return make


def _made(make: Any, knobs: Knobs) -> Any:
    return make()


def _scaled(scale: float, mode: str, distribution: str) -> Make:
    return lambda make, knobs: make(scale, mode, distribution)


def _moved(make: Any, h: Knobs) -> Any:
    """JAX's uniform begins at 0."""
    inner = make(h["high"] - h["low"])
    return lambda key, shape, dtype: inner(key, shape, dtype) + jnp.asarray(h["low"], dtype)


def _between(make: Any, h: Knobs) -> Any:
    return lambda key, shape, dtype: make(key, shape, dtype, h["low"], h["high"])


_IN = "jax.nn.initializers"
_SCALING = f"{_IN}.variance_scaling"


def _family(name: str, scale: float, mode: str) -> dict[str, tuple[Callable[[Any], Row], ...]]:
    """Uniform and normal, and normal without truncation, which only variance_scaling has."""
    share = f'({scale:g}, "{mode}", '
    uniform = (
        _row(f"{_IN}.{name}_uniform", "u", _made),
        _row(f'{_SCALING}{share}"uniform")', "u", _scaled(scale, mode, "uniform")),
    )
    normal = (
        _row(f"{_IN}.{name}_normal", "c", _made, {"truncated": True}),
        _row(f'{_SCALING}{share}"truncated_normal")', "c", _scaled(scale, mode, "truncated_normal"),
             {"truncated": True}),
        _row(f'{_SCALING}{share}"normal")', "z", _scaled(scale, mode, "normal"), {"truncated": False}),
    )  # fmt: skip
    return {f"{name}_uniform": uniform, f"{name}_normal": normal}


_TABLE: dict[str, tuple[Callable[[Any], Row], ...]] = {
    "zeros": (_row(f"{_IN}.zeros", "u", _plain),),
    "ones": (_row(f"{_IN}.ones", "u", _plain),),
    "constant_fill": (_row(f"{_IN}.constant", "u", lambda make, h: make(h["value"])),),
    "quarter": (_row(f"{_IN}.constant(0.25)", "u", lambda make, h: make(0.25)),),
    "uniform": (
        _row(f"{_IN}.uniform(high - low) + low", "u", _moved),
        _row("jax.random.uniform(minval=, maxval=)", "u", _between),
    ),
    "normal": (_row(f"{_IN}.normal", "z", lambda make, h: make(h["stddev"]), {"mean": 0.0}),),
    "truncated_normal": (
        _row(f"{_IN}.truncated_normal", "c", lambda make, h: make(h["stddev"]), {"mean": 0.0}),
    ),
    **_family("glorot", 1.0, "fan_avg"),
    **_family("he", 2.0, "fan_in"),
    **_family("lecun", 1.0, "fan_in"),
    "orthogonal": (_row(f"{_IN}.orthogonal", "m", lambda make, h: make(h["gain"])),),
}  # fmt: skip


def rows(name: str, dtype: Callable[[], Any]) -> Rows:
    """The rows of this specification, for parameters of the dtype that JAX was started with."""
    return tuple(one(dtype) for one in _TABLE.get(name, ()))
