"""The best of several assignments of hyper-parameters to a candidate: the one whose steps agree best with theirs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from crossnn.formula.shapes import Shape
from crossnn.identify.agreement import agree
from crossnn.identify.names import Source
from crossnn.identify.optimizer_candidates import Candidate
from crossnn.identify.optimizer_fit import Fit, Observed, Sources
from crossnn.identify.optimizer_runs import ARRAYS, Ran, optimizer_inputs


def products(choices: Mapping[str, Sequence[Source]], most: int) -> list[dict[str, Source]]:
    each = itertools.islice(itertools.product(*choices.values()), most)
    return [dict(zip(choices, one, strict=True)) for one in each]


def best_of(candidate: Candidate, assigned: Sequence[Sources], seen: Observed, transposed: bool) -> Fit | None:
    """The best of these assignments; None where none of them has all numbers, or nothing could be compared."""
    values = [seen.values(one) for one in assigned]
    kept = [(one, value) for one, value in zip(assigned, values, strict=True) if np.isfinite([*value.values()]).all()]
    if not kept:
        return None
    digits, same, compared = _agreement(candidate, [value for _, value in kept], seen.ran, transposed)
    if not compared.any():
        return None
    place = int(np.lexsort((digits, same))[-1])
    return Fit(candidate, kept[place][0], float(digits[place]), bool(same[place]), transposed)


def scored(fit: Fit, seen: Observed) -> Fit:
    """The same assignment at other numbers."""
    best = best_of(fit.candidate, [fit.sources], seen, fit.transposed)
    return replace(fit, digits=0.0, same=False) if best is None else replace(fit, digits=best.digits, same=best.same)


def parts_of(candidate: Candidate, ran: Ran) -> list[tuple[str, ...]]:
    """Which parameters are computed together: all, where no element meets another."""
    names = tuple(name for name in ran.w if candidate.row.acts_on != "matrix" or name not in ARRAYS)
    return [names] if candidate.at_once and names else [(name,) for name in names]


def computed(
    candidate: Candidate, names: tuple[str, ...], values: Sequence[Mapping[str, float]], ran: Ran, transposed: bool
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(the start, our numbers by slot) for parameters that are computed together."""
    given = optimizer_inputs()
    w, g = [given.w[name] for name in names], [given.gradients[name] for name in names]
    if candidate.at_once:
        start = np.concatenate([one.ravel() for one in w])
        steps = np.concatenate([one.reshape(len(one), -1) for one in g], axis=1)
        return start, candidate.run(start, steps, ran.rates, values)
    if not transposed:
        return w[0].ravel(), candidate.run(w[0], g[0], ran.rates, values)
    shape = w[0].T.shape
    found = candidate.run(w[0].T, np.swapaxes(g[0], 1, 2), ran.rates, values)
    return w[0].ravel(), {name: _turned(value, shape) for name, value in found.items()}


def _turned(value: np.ndarray, shape: Shape) -> np.ndarray:
    """Matrices that were computed transposed, as they are; what has fewer numbers is no matrix."""
    if value.shape[-1] != shape[0] * shape[1]:
        return value
    return np.swapaxes(value.reshape(*value.shape[:2], *shape), 2, 3).reshape(value.shape)


def _agreement(
    candidate: Candidate, values: Sequence[Mapping[str, float]], ran: Ran, transposed: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    digits, same = np.zeros(len(values)), np.ones(len(values), bool)
    compared = np.zeros(len(values), int)
    for names in parts_of(candidate, ran):
        start, ours = computed(candidate, names, values, ran, transposed)
        theirs = np.concatenate([ran.w[name] for name in names], axis=1)
        found = agree(theirs, ours["w"], start)
        digits += found.digits * found.compared
        compared += found.compared
        same &= found.same
    return digits / np.maximum(compared, 1), same & (compared > 0), compared
