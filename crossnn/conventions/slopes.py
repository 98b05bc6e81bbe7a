"""Slopes that mathematics leaves open, and the guard of a norm: probes of functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.conventions.found import Found
from crossnn.parity.backend import natives_of


def _gradient(adapter: Adapter, function: Any, x: np.ndarray) -> np.ndarray:
    """The gradient of the sum of what a function gives."""
    total = adapter.primitives["sum"]
    differentiated = adapter.compile(
        adapter.value_and_grad(lambda params: total(function(params["x"]))), adapter.modes[0]
    )
    _, found = differentiated({"x": adapter.tensor(x)})
    return np.asarray(adapter.array(found["x"]))


def _spelled(adapter: Adapter, primitive: str) -> str:
    return adapter.spelling.get(primitive, primitive)


def relu(adapter: Adapter, spec: str) -> Found | None:
    own = natives_of(adapter, "activation", spec, {})
    if not own:
        return None
    slope = float(_gradient(adapter, own[0].function, np.zeros(1))[0])
    return Found(f"{slope:g}", own[0].call, error=0.0)


def absolute(adapter: Adapter, spec: str) -> Found | None:
    slope = float(_gradient(adapter, adapter.primitives["abs"], np.zeros(1))[0])
    return Found(f"{slope + 0.0:g}", _spelled(adapter, "abs"), error=0.0)


def ties(adapter: Adapter, spec: str) -> Found | None:
    """The largest of three numbers, two of which are equal."""
    maximum = adapter.primitives["max"]
    slopes = _gradient(adapter, lambda x: maximum(x, axis=0), np.array([2.0, 2.0, 1.0]))
    shared: dict[tuple[float, ...], str] = {
        (0.5, 0.5, 0.0): "shared by halves",
        (1.0, 0.0, 0.0): "all to the first",
        (0.0, 1.0, 0.0): "all to the last",
    }
    answer = shared.get(tuple(float(one) for one in slopes), "1 to each")
    return Found(
        answer,
        f"gradient of {_spelled(adapter, 'max')}([2, 2, 1]): " + ", ".join(f"{one:g}" for one in slopes),
        error=0.0,
    )


def root(adapter: Adapter, spec: str) -> Found | None:
    """The slope of the Euclidean norm at the origin, written as the root of a sum of squares."""
    sqrt, total = adapter.primitives["sqrt"], adapter.primitives["sum"]
    slope = float(_gradient(adapter, lambda x: sqrt(total(x * x)), np.zeros(2))[0])
    return Found(f"{slope:g}", "gradient of sqrt(sum(x**2)) at 0", error=0.0)


def guard(adapter: Adapter, spec: str) -> Found | None:
    """What is added to the norm of all gradients before they are divided by it."""
    own = [
        one
        for guarded in (False, True)
        for one in natives_of(adapter, "clipping", spec, {"limit": 1.0, "guarded": guarded})
    ]
    if not own:
        return None
    clipped = own[0].function({"w": adapter.tensor(np.array([1.2, 1.6]))})
    norm = float(np.linalg.norm(adapter.array(clipped["w"])))
    eps = 2 / norm - 2
    shown = float(f"{eps:.3g}") if eps > 1e-12 else 0.0
    return Found(f"{shown:g}", f"{own[0].call} of a gradient of norm 2 to norm 1", {"guarded": bool(shown)},
                 abs(norm * (2 + shown) / 2 - 1), shown / 2)  # fmt: skip
