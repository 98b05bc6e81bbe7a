"""An opened optimizer as it was seen, and a candidate beside it: which comes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from crossnn.adapter import Opened
from crossnn.identify.calls import flat
from crossnn.identify.names import Source, by_name, numeric
from crossnn.identify.optimizer_candidates import Candidate
from crossnn.identify.optimizer_runs import run_optimizer
from crossnn.parity import inputs

Sources = Mapping[str, Source]


@dataclass(frozen=True)
class Slot:
    """One of their slots that is one of ours, times a factor."""

    theirs: str
    factor: float


@dataclass(frozen=True)
class Fit:
    """A candidate with its hyper-parameters, and how far it goes: digits of the parameter on average, whether all of
    them pass for the same, slots found again, and theirs that are not."""

    candidate: Candidate
    sources: Sources
    digits: float
    same: bool
    transposed: bool = False
    slots: Mapping[str, Slot] = field(default_factory=dict)
    unexplained: tuple[str, ...] = ()

    @property
    def nearness(self) -> float:
        """Digits, and what it knows of their state; to sort by where nothing passes for the same."""
        known = len({one.theirs for one in self.slots.values()})
        return self.digits + 6 * (known + 1) / (known + 1 + len(self.unexplained))


class Observed:
    """One run of theirs, with what it was made with."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.settings = numeric(flat(opened.settings))
        rate = by_name("lr", self.settings)
        self.rate = rate[0] if rate and rate[0].value(self.settings) else None
        self.ran = run_optimizer(opened, None if self.rate is None else self.rate.value(self.settings))

    def values(self, sources: Sources) -> dict[str, float]:
        """Hyper-parameters by our names; a learning rate that is set, as the number that was set."""
        found = {name: source.value(self.settings) for name, source in sources.items()}
        return {**found, "lr": _single(found["lr"])} if self.rate is not None else found


@cache
def _single(value: float) -> float:
    return float(inputs.single([value])[0])


def simplest(fit: Fit) -> tuple[Any, ...]:
    """Who explains more of their state comes first, and with fewer factors, then who is simpler."""
    factors = sum(abs(slot.factor) != 1 for slot in fit.slots.values())
    explained = (-len(fit.slots), factors) if fit.unexplained else (0, 0)
    return len(fit.unexplained), explained, fit.transposed, fit.candidate.simplicity


def likeliest(fit: Fit) -> tuple[Any, ...]:
    return (not fit.same, simplest(fit) if fit.same else (-round(fit.nearness, 1), simplest(fit)))
