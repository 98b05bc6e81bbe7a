"""What the probes of layers share: a framework's own layer at its defaults, filled with numbers that are all different.

Sizes by name: features, units, channels, filters, size, tokens, groups; `stride` and `same` where a layer is asked for
with padding.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from crossnn.adapter import Adapter, OwnLayer
from crossnn.conventions.found import Found

FEATURES, UNITS = 5, 3

Probe = Callable[[Adapter, str], Found | None]


def of_layer(**sizes: int) -> Callable[[Callable[[OwnLayer, str], Found]], Probe]:
    """A probe of the framework's own layer of these sizes; None where it has no such layer. One that refuses them
    says so."""

    def decorate(function: Callable[[OwnLayer, str], Found]) -> Probe:
        @functools.wraps(function)
        def probe(adapter: Adapter, spec: str) -> Found | None:
            try:
                own = adapter.own_layer(spec, sizes)
            except Exception as error:  # a framework that refuses a combination of settings
                return Found("refused", f"{type(error).__name__}: {str(error).splitlines()[0]}", error=0.0)
            return None if own is None else replace(function(own, spec), call=own.call)

        return probe

    return decorate


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal numbers, all different."""
    return np.random.default_rng([7, seed, *shape]).normal(size=shape)


def refilled(own: OwnLayer) -> dict[str, np.ndarray]:
    """New weights, all different, in the shapes of the layer's own, which are set."""
    weights = {name: numbers(*value.shape, seed=place) for place, (name, value) in enumerate(own.weights().items())}
    own.load(weights)
    return weights


def only(weights: Mapping[str, np.ndarray], rank: int) -> list[str]:
    """The names of the weights with so many axes."""
    return [name for name, value in weights.items() if value.ndim == rank]
