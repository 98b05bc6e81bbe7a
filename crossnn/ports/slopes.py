"""Gradients of somebody's NumPy function, by differences: with the error that they have.

Steps of h, 2h and 4h give a derivative of sixth order; the difference of two of fourth order bounds its error. Where a
kink is nearer than the step this bound is large, and the element is not judged. The noise is found by differences of
the disturbed function (noisy.py), with the same disturbance on both sides, and of disturbed weights of its results.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.formula.noise import EPSILON

Arrays = Mapping[str, np.ndarray]
Evaluate = Callable[[Arrays], Arrays]
MOST = 64
"""So many elements of a tensor are measured, spread evenly."""
RUNS = 3


@dataclass(frozen=True)
class Slope:
    """The gradient with respect to one tensor; NaN where it was not measured."""

    value: np.ndarray
    bound: np.ndarray
    noise: np.ndarray


def slopes(
    function: Evaluate, disturbed: Sequence[Evaluate], arrays: Arrays, wrt: Sequence[str], cotangents: Arrays
) -> dict[str, Slope]:
    """The derivative of the sum of results times `cotangents`, for every tensor of `wrt`."""
    long = np.finfo(next(iter(arrays[name] for name in wrt)).dtype).eps < 1e-17 if wrt else False
    step = 2.0**-10 if long else 2.0**-8
    return {name: _slope(function, disturbed, arrays, name, cotangents, step) for name in wrt}


def disturbed_weights(cotangents: Arrays, run: int) -> dict[str, np.ndarray]:
    """A gradient is a sum over all results; that of copies has no other rounding than that of its terms."""
    generator = np.random.default_rng([run, 3])
    return {name: one * (1 + generator.uniform(-EPSILON, EPSILON, one.shape)) for name, one in cotangents.items()}


def _slope(
    function: Evaluate, disturbed: Sequence[Evaluate], arrays: Arrays, name: str, cotangents: Arrays, step: float
) -> Slope:
    at = arrays[name]
    value, bound, noise = (np.full(at.shape, np.nan) for _ in range(3))
    value = value.astype(at.dtype)
    if not at.size:
        return Slope(value, bound, noise)
    typical = float(np.sqrt(np.mean(np.square(at.astype(np.float64))))) or 1.0
    base = function(arrays)
    weights = [disturbed_weights(cotangents, run) for run in range(len(disturbed))]
    size = sum(float(np.sum(np.abs(base[one] * weight))) for one, weight in cotangents.items())
    for place in np.unique(np.linspace(0, at.size - 1, min(at.size, MOST)).astype(int)):
        h = at.dtype.type(step * max(abs(float(at.flat[place])), typical))

        def sides(evaluate: Evaluate, width: int, place: int = place, h: np.floating = h) -> tuple[Arrays, Arrays, Any]:
            found = []
            for sign in (1, -1):
                moved = at.copy()
                moved.flat[place] += sign * width * h
                found.append((evaluate({**arrays, name: moved}), moved.flat[place]))
            (after, right), (before, left) = found
            return after, before, right - left

        def quotient(found: tuple[Arrays, Arrays, Any], factors: Arrays = cotangents) -> Any:
            after, before, width = found
            return sum(np.sum((after[one] - before[one]) * weight) for one, weight in factors.items()) / width

        pairs = [sides(function, width) for width in (1, 2, 4)]
        one, two, four = map(quotient, pairs)
        fourth, wider = one + (one - two) / 3, two + (two - four) / 3
        rounding = 4 * np.finfo(at.dtype).eps * size / h
        value.flat[place] = fourth + (fourth - wider) / 15
        bound.flat[place] = abs(fourth - wider) + rounding + _kink(pairs, base, cotangents, h, float(rounding))
        runs = [float(quotient(sides(run, 1), factors) - one) / EPSILON
                for run, factors in zip(disturbed, weights, strict=True)]  # fmt: skip
        noise.flat[place] = np.sqrt(np.mean(np.square(runs))) if runs else 0.0
    return Slope(value, bound, noise)


def _kink(
    pairs: Sequence[tuple[Arrays, Arrays, Any]], base: Arrays, cotangents: Arrays, h: np.floating, rounding: float
) -> float:
    """How far one slope may be from the other where there is a kink within the steps; 0 where the function is smooth.
    Twice the step makes second differences four times as large; what is left grows 16-fold, at a kink twofold."""
    bends = [
        {one: (after[one] - base[one]) + (before[one] - base[one]) for one in cotangents} for after, before, _ in pairs
    ]
    small, large = (
        float(sum(np.sum(np.abs((4 * near[one] - far[one]) * weight)) for one, weight in cotangents.items()) / h)
        for near, far in itertools.pairwise(bends)
    )
    return small if small > 16 * rounding and large < 8 * small else 0.0
