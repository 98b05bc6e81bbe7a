"""Causes that show in how the difference depends on the size of the inputs, or on the precision."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from crossnn.causes.outputs import departing, pattern
from crossnn.causes.suspect import Suspect, Trial
from crossnn.ports.port import is_array


def _scaled(suspect: Suspect, factor: float) -> dict[str, Any]:
    return {name: one * factor for name, one in suspect.inputs.items() if is_array(one) and one.dtype.kind == "f"}


def variance(suspect: Suspect) -> Iterator[Trial]:
    """Normalised results that differ by the factor that dividing by n - 1 makes; at large inputs, without epsilon."""
    name, _, _ = departing(suspect)
    changed = _scaled(suspect, 2.0**20)
    actual, expected = suspect.bad(changed)[name], suspect.good(changed)[name]
    if actual.shape != expected.shape or actual.ndim < 2:
        return
    rows, wanted = (one.reshape(-1, one.shape[-1]) for one in (actual, expected))
    design = [np.stack([column, np.ones_like(column)], 1) for column in wanted.T]
    found = [np.linalg.lstsq(one, column, rcond=None)[0][0] for one, column in zip(design, rows.T, strict=True)]
    if np.ptp(found) > 1e-6:
        return
    shapes = [one.shape for one in suspect.values.values() if is_array(one)]
    counts = {math.prod(part) for shape in shapes for rank in range(1, len(shape) + 1)
              for part in itertools.combinations(shape, rank)}  # fmt: skip
    for count in sorted(counts - {0, 1}):
        for biased in (count / (count - 1), (count - 1) / count):
            says = f"its slope against the reference is that of a variance of {count} numbers by {count - 1}"
            yield from pattern("biased variance", says, abs(np.mean(found) ** 2 / biased - 1) < 1e-6)


def epsilon(suspect: Suspect) -> Iterator[Trial]:
    """The result does not depend on the size of large inputs, and the difference vanishes as they grow: with their size
    (an epsilon beside a root) or its square (inside)."""
    name, _, _ = departing(suspect)
    sizes, results = [], []
    for factor in (64.0, 512.0, 4096.0):
        changed = _scaled(suspect, factor)
        actual, expected = suspect.bad(changed)[name], suspect.good(changed)[name]
        results.append(float(np.max(np.abs(expected))))
        sizes.append(float(np.max(np.abs(actual - expected)) / results[-1]))
    if max(results) > 1.01 * min(results) or min(sizes) <= 0:
        return
    orders = [math.log(before / after, 8) for before, after in itertools.pairwise(sizes)]
    for order in (2, 1):
        says = (
            f"the difference falls with the {'square of the ' if order == 2 else ''}size of the inputs "
            f"({sizes[0]:.2g}, {sizes[1]:.2g}, {sizes[2]:.2g} at 64, 512 and 4096 times): value or place of an epsilon"
        )
        yield from pattern("epsilon", says, all(abs(one - order) < 0.1 for one in orders[:1]))


def _error(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest one, relative to the size of the tensor."""
    known = np.isfinite(expected)
    size = math.sqrt(float(np.mean(np.square(expected[known])))) if np.any(known) else 0.0
    return float(np.max(np.abs(actual - expected)[known], initial=0.0)) / (size or 1.0)


def digits(suspect: Suspect) -> Iterator[Trial]:
    """The right formula, with too few digits: those of float32 in float64, or an error that grows with the roundoff."""
    name, actual, expected = departing(suspect)
    if suspect.dtype != "float64" or actual.shape != expected.shape:
        return
    error = _error(actual, expected)
    short = _error(suspect.in_float32()[name], expected)
    cancels = error > 0 and short > 2.0**20 * error
    says = (
        f"the error of {name!r}, relative to its size, is {error:.1g} in float64 and {short:.1g} in float32: it grows "
        "with the roundoff, so digits cancel; another form of the same formula is needed"
    )
    yield from pattern("lost digits", says, cancels)
    says = f"in float64 {name!r} is right to {error:.1g} of its size only: a number or a step of float32 comes in"
    yield from pattern("float32 constant", says, 2.0**-28 < error < 4 * 2.0**-23)
