"""Hostile inputs: drawn to make mistakes visible, not to look natural.

Distinct values per element, magnitudes 1e-9 to 1e2 with signs, every listed point, the neighbourhood of every kink,
and a stretch around the origin where thresholds hide. Everything is representable in float32; `all_bits` gives such
numbers the rest of their 53 bits where only float64 sees them (full.py).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from crossnn.catalogue.rows import Domain
from crossnn.formula.shapes import Shape

ELEMENTS: Shape = (16, 4)
VECTORS: Shape = (12, 6)
LENGTH = 96
"""Arguments of an elementwise function; one length for all, so that frameworks compile each primitive once."""

FEW = 4096.0
"""Multiples of 1/4096 are numbers of few bits."""

_NEAR = (-1e-3, -1e-6, 1e-6, 1e-3)


def generator_for(*key: object) -> np.random.Generator:
    """A generator that depends on what is drawn and on the seed, not on the order of drawing."""
    return np.random.default_rng([zlib.crc32(str(part).encode()) for part in key])


def single(values: np.ndarray | Sequence[float]) -> np.ndarray:
    """Rounded to float32, kept as float64."""
    with np.errstate(over="ignore"):  # of a hyper-parameter that is too large the backends are told so too
        return np.asarray(values, np.float32).astype(np.float64)


def all_bits(values: np.ndarray) -> np.ndarray:
    """The same numbers to float32, with all the bits that float64 has behind them. What is written with a few bits (0,
    1, a half, a label) is meant, and stays."""
    if values.dtype.kind != "f":
        return values
    factor = 1 + 2.0**-26 * np.random.default_rng(values.size).uniform(-1, 1, values.shape)
    return np.where(values * FEW == np.floor(values * FEW), values, values * factor)


def hostile(generator: np.random.Generator, shape: Shape, low: float = -9, high: float = 2) -> np.ndarray:
    """Signed numbers with magnitudes spread evenly over the decades from 10**low to 10**high."""
    sizes = 10.0 ** generator.uniform(low, high, shape)
    return single(sizes * generator.choice([-1.0, 1.0], shape))


def arguments(generator: np.random.Generator, points: Sequence[float], special: Sequence[float]) -> np.ndarray:
    """Inputs of an elementwise function: hostile ones, the listed points, the surroundings of special values."""
    near = [value + step for value in special for step in _NEAR]
    middle = generator.uniform(-40, 40, 24)
    drawn = hostile(generator, (max(40, LENGTH - len(points) - len(special) - len(near) - len(middle)),))
    return single(np.concatenate([points, special, near, drawn, middle]))


def far(vectors: np.ndarray) -> np.ndarray:
    """The first vectors moved to where exp overflows and underflows in every dtype: what subtracts no maximum fails."""
    moved = vectors.copy()
    moved[0] += 800
    moved[1] -= 800
    return single(moved)


def cotangents(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Weights for a random projection: all different, none a power of two, none small."""
    return single(generator.uniform(0.6, 1.9, shape) * generator.choice([-1.0, 1.0], shape))


def domain(generator: np.random.Generator, kind: Domain, shape: Shape) -> np.ndarray:
    """Values of a declared domain, pressed against its edges."""
    if kind == "probability":
        edge = 10.0 ** generator.uniform(-6, -0.3, shape)
        found = np.where(generator.random(shape) < 0.5, edge, 1 - edge)
        # Next to 1 float32 is 6e-8 apart; next to 0 nothing ends so early, and a clip at 1e-7 must show.
        found.flat[::8] = 10.0 ** generator.uniform(-9, -7.3, found.flat[::8].shape)
        return single(found)
    if kind == "binary":
        return (generator.random(shape) < 0.5).astype(np.float64)
    if kind == "sign":
        return np.where(generator.random(shape) < 0.5, -1.0, 1.0)
    if kind == "nonnegative":
        found = np.asarray(np.abs(hostile(generator, shape)))
        found.flat[::11] = 0.0
        return found
    if kind in ("label", "index"):
        return generator.integers(shape[-1], size=shape[:-1])
    if kind == "one_hot":
        return np.eye(shape[-1])[generator.integers(shape[-1], size=shape[:-1])]
    if kind == "simplex":
        logits = np.exp(generator.normal(0, 2.5, shape))
        return single(logits / logits.sum(axis=-1, keepdims=True))
    return hostile(generator, shape)


def visible(hyper: Mapping[str, float]) -> dict[str, float]:
    """Hyper-parameters moved away from their defaults to where each makes a difference: an epsilon grows to 1e-3,
    a coefficient in (0, 1) and anything else moves by an uneven factor."""
    moved = {}
    for name, value in hyper.items():
        if name.startswith("eps"):
            moved[name] = 1e-3
        elif 0.5 < value < 1:
            moved[name] = 1 - 1.7 * (1 - value)
        else:
            moved[name] = 1.7 * value + (0.13 if value == 0 else 0.0)
    return moved
