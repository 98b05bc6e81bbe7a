"""Which schedule of the catalogue a curve of learning rates is: every convention, its numbers read off the curve.

The oracle judges who is left (schedule_judged.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from crossnn.identify.agreement import SAME, agree
from crossnn.identify.function_candidates import Candidate, candidates
from crossnn.identify.names import Source, constant
from crossnn.identify.schedule_curve import FLAT, Curve
from crossnn.identify.schedule_names import Names
from crossnn.identify.schedule_numbers import Numbers, proposals, short

CLOSE = 6.0
"""Digits on average from which a curve passes for one that was computed in float32: the oracle decides then."""
ROUNDING = 1e-14
"""Of the largest rate: where one goes through zero, no digits are left."""
LATE = 24.0
"""How many digits it is worth not to part at all."""


@dataclass(frozen=True)
class Fit:
    """A candidate with its hyper-parameters, and how far it goes: digits on average, and up to which share of the
    counts it is the curve."""

    candidate: Candidate
    sources: Mapping[str, Source]
    digits: float
    same: bool
    values: Mapping[str, float] = field(default_factory=dict)
    until: float = 0.0

    @property
    def key(self) -> tuple[object, ...]:
        """The best first: what parts late, or nowhere but for single precision; of those that fit as well, what is
        simpler, then what has no number of its own, then fewer digits."""
        stairs = self.candidate.knobs.get("staircase", self.candidate.row.name == "step_decay")
        level = stairs and self.values.get("period") == 1  # stairs of one step are none
        own = sum(not one.setting for one in self.sources.values())
        long = sum(len(f"{value:.12g}") for value in self.values.values())
        near = round(min(self.digits, CLOSE) + LATE * self.until, 1)
        return (not self.same, 0.0 if self.same else -near, level, *self.candidate.simplicity[:2], own, long)


def fits(curve: Curve) -> list[Fit]:
    """The best of every candidate, best first."""
    names = Names(curve.settings)
    found = [one for candidate in candidates("schedule") if (one := _best(candidate, curve, names)) is not None]
    return sorted(found, key=lambda fit: fit.key)


def _best(candidate: Candidate, curve: Curve, names: Names) -> Fit | None:
    best: Fit | None = None
    seen: set[tuple[float, ...]] = set()
    for sources in _assignments(candidate, curve, names):
        values = {name: source.value(curve.settings) for name, source in sources.items()}
        key = tuple(values.values())
        if key in seen or not np.isfinite(key).all():
            continue
        seen.add(key)
        fit = scored(candidate, sources, values, curve)
        if best is None or fit.key < best.key:
            best = fit
    return best


def _assignments(candidate: Candidate, curve: Curve, names: Names) -> Iterator[dict[str, Source]]:
    """Numbers as they were read, as numbers of few digits, and as what settings make."""
    for numbers in proposals(candidate.row, candidate.knobs, curve):
        needed: Numbers = {name: numbers[name] for name in candidate.row.params if name in candidate.needs}
        clean = {name: 0.0 if name == "end" and abs(value) < FLAT * abs(curve.first) else value
                 for name, value in needed.items()}  # fmt: skip
        yield {name: names.source(name, value) for name, value in clean.items()}
        yield {name: constant(short(value)) for name, value in clean.items()}
        yield {name: constant(value) for name, value in needed.items()}


def scored(candidate: Candidate, sources: Mapping[str, Source], values: Numbers, curve: Curve) -> Fit:
    """How far the formula is this curve."""
    hyper = {**candidate.row.params, **values}
    mine = np.broadcast_to(candidate.value((curve.t.astype(float),), hyper), curve.t.shape)
    found = agree(curve.rates[None], np.asarray(mine)[None, None])
    with np.errstate(invalid="ignore"):
        error, size = np.abs(mine - curve.rates), np.max(np.abs(curve.rates))
        parted = ~(error <= FLAT * size)
        same = bool(np.all(error <= SAME * np.abs(curve.rates) + ROUNDING * size))
    until = float(np.argmax(parted)) / len(parted) if parted.any() else 1.0
    return Fit(candidate, sources, float(found.digits[0]), same, values, until)
