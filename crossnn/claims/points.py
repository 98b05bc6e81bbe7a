"""Where a claim is tried: simple numbers first, then drawn ones, inside the domain that is stated.

Simple numbers come in the order in which a lecturer would try them on the blackboard, so the first that refutes is a
good counterexample. Drawn ones have many sizes and both signs, because a mistake may hide from round numbers; some are
whole numbers, probabilities, or symmetric matrices, because a domain may ask for these.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from crossnn.formula.shapes import Shape

Point = Mapping[str, np.ndarray]

SIMPLE = (1.0, 2.0, -1.0, 0.0, 0.5, -2.0, 3.0, -0.5, -3.0, 0.25, 4.0, 0.75, -4.0, 5.0, 1.5, -0.25, -1.5, 10.0, -5.0,
          0.125, -10.0, 0.1, -0.1, 0.01, 100.0, -100.0)  # fmt: skip
MOST_SIMPLE = 420
"""So many combinations of simple numbers are tried; with more variables each has fewer numbers."""
DRAWN = 120


def generator(*words: object) -> np.random.Generator:
    """The same numbers for the same words, on every machine."""
    return np.random.default_rng([zlib.crc32(str(word).encode()) for word in words])


def simple_scalars(names: Sequence[str]) -> Iterator[dict[str, float]]:
    """Combinations of simple numbers, the simplest first."""
    if not names:
        yield {}
        return
    each = SIMPLE[: max(2, int(MOST_SIMPLE ** (1 / len(names))))]
    if len(each) ** len(names) > 4 * MOST_SIMPLE:
        rng = generator("simple", *names)
        yield from ({name: float(rng.choice(SIMPLE[:9])) for name in names} for _ in range(MOST_SIMPLE))
        return
    ranked = sorted(itertools.product(range(len(each)), repeat=len(names)), key=lambda one: (sum(one), one))
    for places in ranked:
        yield {name: each[place] for name, place in zip(names, places, strict=True)}


def drawn_scalars(names: Sequence[str], count: int, seed: int = 0) -> Iterator[dict[str, float]]:
    """Random numbers of many sizes; each point has its own mixture, and every third is between 0 and 1 throughout."""
    rng = generator("drawn", seed, *names)
    for number in range(count):
        yield {name: _number(rng, number) for name in names}


def _number(rng: np.random.Generator, number: int) -> float:
    match number % 6:
        case 0 | 3:
            return float(rng.uniform(0.0, 1.0))
        case 1:
            return float(rng.uniform(-3.0, 3.0))
        case 2:
            return float(rng.choice([-1.0, 1.0]) * 10 ** rng.uniform(-2, 1.5))
        case 4:
            return float(10 ** rng.uniform(-1, 1))
    return float(rng.integers(0, 8))


def arrays(shapes: Mapping[str, Shape], number: int, seed: int = 0) -> dict[str, np.ndarray]:
    """The drawn point of this number for variables with shapes; numbers go through kinds of values in turn."""
    rng = generator("arrays", number, seed, *shapes, *shapes.values())
    return {name: _array(rng, shape, number) for name, shape in shapes.items()}


KINDS_OF_ARRAYS = 9


def _array(rng: np.random.Generator, shape: Shape, number: int) -> np.ndarray:
    match number % KINDS_OF_ARRAYS:
        case 0:  # small whole numbers, all different where that is possible
            return np.asarray(rng.permutation(np.arange(1, np.prod(shape, dtype=int) + 1)), float).reshape(shape)
        case 1:
            return np.asarray(rng.integers(-3, 4, shape), float)
        case 2:
            return np.asarray(rng.uniform(-1.5, 1.5, shape))
        case 3:
            return np.asarray(rng.uniform(0.05, 0.95, shape))
        case 4:
            return _probabilities(rng, shape)
        case 5:
            return _symmetric(rng, shape)
        case 6:
            return np.asarray(rng.choice([-1.0, 1.0], shape) * 10 ** rng.uniform(-1, 1.2, shape))
        case 7:
            return _one_hot(rng, shape)
    return np.asarray(rng.integers(0, 2, shape), float)


def _probabilities(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Rows that sum to exactly 1, in 64ths."""
    if not shape:
        return np.asarray(rng.integers(1, 64) / 64.0)
    columns = shape[0] if len(shape) == 2 and shape[1] == 1 else shape[-1]
    rows = int(np.prod(shape, dtype=int)) // columns
    found = np.empty((rows, columns))
    for row in found:
        cuts = np.sort(rng.choice(np.arange(1, 64), columns - 1, replace=False))
        row[:] = np.diff([0, *cuts, 64]) / 64.0
    return found.reshape(shape)


def _symmetric(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    whole = np.asarray(rng.integers(-3, 4, shape), float)
    return whole + whole.T if len(shape) == 2 and shape[0] == shape[1] else whole


def _one_hot(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    if not shape:
        return np.asarray(1.0)
    found = np.zeros((int(np.prod(shape[:-1], dtype=int)), shape[-1]))
    found[np.arange(len(found)), rng.integers(0, shape[-1], len(found))] = 1.0
    return found.reshape(shape)


def boxed(point: Point, box: Mapping[str, tuple[float, float]], number: int) -> Point:
    """The point with whatever lies outside the stated bounds drawn anew inside them."""
    changed = dict(point)
    for name, (low, high) in box.items():
        value = np.asarray(point[name], float)
        if np.all((value > low) & (value < high)):
            continue
        rng = generator("boxed", number, name)
        if np.isfinite(low) and np.isfinite(high):
            drawn = rng.uniform(low, high, value.shape)
        else:
            away = 10 ** rng.uniform(-1.5, 1, value.shape)
            drawn = low + away if np.isfinite(low) else high - away
        changed[name] = np.where((value > low) & (value < high), value, drawn)
    return changed


def sizes_to_try(names: Sequence[str], fixed: Sequence[int] = ()) -> list[dict[str, int]]:
    """Lengths, so that none is like another by chance: all different, in two orders; then all 1, and all 2."""
    if not names:
        return [{}]
    different = [3, 4, 2, 5, 6, 7, 8, 9][: len(names)] + [2] * max(0, len(names) - 8)
    found = [dict(zip(names, different, strict=True)), dict(zip(names, different[::-1], strict=True))]
    found += [dict.fromkeys(names, 1), dict.fromkeys(names, 2)]
    return [one for number, one in enumerate(found) if one not in found[:number]]
