"""Which formula of the catalogue a function computes, by its kind: every convention, hyper-parameters found.

The oracle judges who is left (function_judged.py).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.catalogue.rows import Activation, Constraint, Loss, Metric, Regularizer
from crossnn.errors import BackendError
from crossnn.identify.agreement import MOST, SAME, agree
from crossnn.identify.function_candidates import Arguments, Candidate, Settings, candidates, domain_of
from crossnn.identify.function_seen import READINGS, Seen, observe
from crossnn.identify.names import Source, all_choices, first_choices
from crossnn.identify.own import is_own
from crossnn.identify.visible import made_visible

KINDS = (Activation.kind, Loss.kind, Regularizer.kind, Metric.kind, Constraint.kind)
MEAN = "mean"
"""Of a metric that says something of every sample, and leaves the mean to the user."""
REFINED, AT_ONCE = 16, 64
"""So many are refined, so many assignments tried."""
NEARLY = 6.0
"""Digits from which on a metric is not read in another way: a registered difference may be all."""
MOSTLY, FEW = 0.7, 5
"""A factor is one at this share of the numbers, and if there are more than a few different ones."""

REDUCTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": lambda value: value,
    "mean": np.mean,
    "sum": np.sum,
    "batch_mean": lambda value: np.sum(np.mean(value, axis=0)),
    "sum_of_means": lambda value: np.sum(np.mean(value, axis=-1)),
    "mean of each sample": lambda value: np.mean(value, axis=-1),
    "sum of each sample": lambda value: np.sum(value, axis=-1),
}
"""What becomes of the values: names of reductions.py, and what is left to the user."""
OF_KIND: Mapping[str, Sequence[str]] = {"loss": tuple(REDUCTIONS), "metric": ("none", MEAN)}


@dataclass(frozen=True)
class Fit:
    """A candidate with its hyper-parameters, what becomes of a batch, and how far it goes; `factor` is what theirs is
    of it at this `share` of the numbers."""

    candidate: Candidate
    sources: Mapping[str, Source]
    reduction: str
    reading: str
    digits: float
    same: bool
    factor: float = 1.0
    share: float = 0.0

    def values(self, settings: Settings) -> dict[str, float]:
        return {name: source.value(settings) for name, source in self.sources.items()}

    @property
    def key(self) -> tuple[Any, ...]:
        """The best first; of those that fit, what is defined for more targets, then what is simpler."""
        row = self.candidate.row
        special = row.target not in ("real", "simplex") if isinstance(row, Loss) else False
        return (not self.same, 0.0 if self.same else -self.nearness, special, self.candidate.simplicity)

    @property
    def nearness(self) -> float:
        """Digits, to one decimal; those that differ by a factor alone count in full."""
        return round(max(self.digits, MOST * self.share), 1)


def fits(adapter: Adapter, opened: Opened) -> tuple[Seen, Seen | None, list[Fit], list[Fit]]:
    """As for optimizers: (asked, visible, those that fit both, the rest), each list best first."""
    asked = observe(adapter, opened)
    if not asked.results and not asked.refused:
        raise BackendError(f"{opened.native.call} is of kind {opened.kind!r}, which is not identified")
    other = made_visible(adapter, opened)
    visible = None if other is None else observe(adapter, other)
    found = _search(opened.kind, asked)
    good = any(fit.same or (opened.kind == "metric" and fit.digits >= NEARLY) for fit in found)
    if not good and opened.kind in OF_KIND:
        others = READINGS[1:3] if is_own(opened.native.call) else READINGS[1:2]  # adapters put the prediction first
        if opened.kind == "metric":
            others = READINGS[2:] if is_own(opened.native.call) else READINGS[3:]
        again = observe(adapter, opened, others)
        asked = replace(asked, results={**asked.results, **again.results})
        if other is not None and visible is not None:
            more = observe(adapter, other, others)
            visible = replace(visible, results={**visible.results, **more.results})
        found = _search(opened.kind, asked)
    if not found:
        if asked.results:
            (arguments, result), *_ = next(iter(asked.results.values()))
            given = " and ".join(str(one.shape) for one in arguments)
            raise BackendError(
                f"{opened.native.call} makes an array of shape {result.shape} of shape {given}, as no {opened.kind} of "
                "the catalogue does"
            )
        raise BackendError(asked.refused)
    found.sort(key=lambda fit: fit.key)
    if visible is None:
        return asked, None, [fit for fit in found if fit.same], [fit for fit in found if not fit.same]
    clearly = [each for each in _search(opened.kind, visible) if each.same]
    both = sorted((one for each in clearly if (one := scored(each, asked)).same), key=lambda fit: fit.key)
    if both:
        kept = {id(fit.candidate) for fit in both}
        return asked, visible, both, [fit for fit in found if id(fit.candidate) not in kept]
    return asked, None, [fit for fit in found if fit.same], [fit for fit in found if not fit.same]


def _search(kind: str, seen: Seen) -> list[Fit]:
    found = []
    for candidate in candidates(kind):
        choices = {name: first_choices(candidate.row, name, seen.settings) for name in candidate.needs}
        found += [one for one in [_best(candidate, choices, seen)] if one is not None]
    if not any(fit.same for fit in found):
        found.sort(key=lambda fit: fit.key)
        found = [*(_refined(fit, seen) for fit in found[:REFINED]), *found[REFINED:]]
    return found


def _best(candidate: Candidate, choices: Mapping[str, Sequence[Source]], seen: Seen) -> Fit | None:
    """The best assignment, reduction and reading."""
    best: Fit | None = None
    for each in itertools.islice(itertools.product(*choices.values()), AT_ONCE):
        sources = dict(zip(choices, each, strict=True))
        if not all(np.isfinite(source.value(seen.settings)) for source in each):
            continue
        for (domain, reading), results in seen.results.items():
            if domain != domain_of(candidate.row):
                continue
            for reduction in OF_KIND.get(candidate.row.kind, ("none",)):
                fit = Fit(candidate, sources, reduction, reading, 0.0, False)
                one = _compared(fit, results, seen.settings)
                if one is not None and (best is None or (one.same, one.digits) > (best.same, best.digits)):
                    best = one
    return best


def scored(fit: Fit, seen: Seen) -> Fit:
    """The same at other numbers."""
    results = seen.results.get((domain_of(fit.candidate.row), fit.reading))
    found = None if results is None else _compared(fit, results, seen.settings)
    return replace(fit, digits=0.0, same=False) if found is None else found


def _compared(fit: Fit, results: Sequence[tuple[Arguments, np.ndarray]], settings: Settings) -> Fit | None:
    hyper = {**fit.candidate.row.params, **fit.values(settings)}
    if not all(map(math.isfinite, hyper.values())):  # a setting that these numbers do not have
        return None
    ours, theirs = [], []
    for arguments, result in results:
        value = fit.candidate.value(arguments, hyper)
        if fit.candidate.row.kind == "metric":
            result = np.mean(result) if fit.reduction == MEAN and np.ndim(result) else result
        else:
            value = REDUCTIONS[fit.reduction](value) if value.ndim else value
        if np.shape(value) != result.shape and not (np.size(value) == result.size and fit.reduction == "none"):
            return None
        ours.append(np.ravel(value))
        theirs.append(np.ravel(result))
    mine, their = np.concatenate(ours), np.concatenate(theirs)
    found = agree(their[None], mine[None, None])
    factor, share = _factor(their, mine)
    return replace(fit, digits=float(found.digits[0]), same=bool(found.same[0]), factor=factor, share=share)


def _factor(theirs: np.ndarray, ours: np.ndarray) -> tuple[float, float]:
    """What theirs is of ours at most numbers, and at how many of them (0 to 1); (1, 0) where that says nothing."""
    finite = np.isfinite(ours) & np.isfinite(theirs) & (ours != 0)
    if not finite.any():
        return 1.0, 0.0
    factor = float(np.median(theirs[finite] / ours[finite]))
    alike = finite & (np.abs(theirs - factor * ours) <= SAME * np.abs(theirs))
    counts = ~((theirs == 0) & (ours == 0))
    share = float(alike.sum() / counts.sum())
    if not factor or share < MOSTLY or np.unique(ours[alike]).size <= FEW:
        return 1.0, 0.0
    return 1.0 if abs(factor - 1) < SAME else factor, share


def _refined(fit: Fit, seen: Seen) -> Fit:
    """One hyper-parameter after the other through everything that is tried."""
    for name in fit.candidate.needs:
        for source in all_choices(fit.candidate.row, name, seen.settings):
            other = scored(replace(fit, sources={**fit.sources, name: source}), seen)
            if (other.same, other.digits) > (fit.same, fit.digits + 0.1):
                fit = other
    return fit
