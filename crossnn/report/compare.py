"""Two runs side by side: which verdicts changed, which sizes and defaults (changes.py), and which times, beyond what
both runs' intervals leave open.

Times of the same cell in two runs were not taken in the same rounds: each has an interval of its own, and only where
these do not meet has something changed. Ratios to the same base travel better than times, between days and even between
machines; how well two runs agree is said of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crossnn.report.build import Run, read_run
from crossnn.report.changes import Changed, findings, sizes
from crossnn.report.document import Table
from crossnn.report.summary import WORST_FIRST
from crossnn.report.timing import title
from crossnn.runs.cell import FAILURES, Record
from crossnn.timing.results import LEAST_DIFFERENCE, Contest, Standing

NOT_RUN = "NOT-RUN"
CLOSE = 0.05
"""Ratios that differ by less agree."""


@dataclass(frozen=True)
class Change:
    """One contender in two runs: microseconds before and after, and how many times as long."""

    where: str
    contender: str
    before: Standing
    after: Standing
    floor: float = 0.0
    """What the bases of the two contests differ from themselves, timed twice."""

    @property
    def factor(self) -> float:
        return self.after.measured.interval[0] / self.before.measured.interval[0]

    @property
    def says(self) -> str:
        """slower or faster where the intervals do not meet, and the change is more than the machine shows of itself."""
        _, old_low, old_high = self.before.measured.interval
        _, low, high = self.after.measured.interval
        if abs(math.log(self.factor)) <= max(self.floor, LEAST_DIFFERENCE):
            return ""
        return "slower" if low > old_high else "faster" if high < old_low else ""

    @property
    def ratios(self) -> tuple[float, float] | None:
        """The ratios to the base, before and after; none for the base itself."""
        old, new = self.before.ratio, self.after.ratio
        return None if old is None or new is None or old == new else (old[0], new[0])


@dataclass(frozen=True)
class Comparison:
    """All that two runs have in common, and what only one of them has."""

    times: list[Change]
    verdicts: list[tuple[str, str, str]]
    only_before: list[str]
    only_after: list[str]
    lost: list[str]
    """What the first run judged or timed and the second did not: nothing executed is no success."""
    machines: list[str]
    sizes: list[Changed] = field(default_factory=list)
    findings: list[Changed] = field(default_factory=list)
    judged: int = 0
    measured: int = 0
    """How many cells both runs have judged, and how many findings both have."""

    @property
    def common(self) -> int:
        """How much of both runs was compared."""
        return len(self.times) + self.judged + self.measured

    @property
    def agreement(self) -> float | None:
        """The share of ratios that agree."""
        found = [one.ratios for one in self.times if one.ratios is not None]
        close = sum(abs(math.log(new / old)) <= math.log1p(CLOSE) for old, new in found)
        return close / len(found) if found else None

    @property
    def worse(self) -> bool:
        """Whether anything is slower, less accurate, another default, failed that did not fail before, or is lost."""
        return (
            bool(self.lost)
            or any(one.says == "slower" for one in self.times)
            or any(new in FAILURES for _, _, new in self.verdicts)
            or any(one.worse for one in self.findings)
        )


def compare_runs(before: Path, after: Path, *, subset: bool = False) -> Comparison:
    """What changed; `subset`: the second run is meant to cover less, so nothing is lost."""
    old, new = read_run(before), read_run(after)
    times, only_old, only_new = _times(old.contests, new.contests)
    first, second = _worst(old.records), _worst(new.records)
    absent = [key for key in first if key not in second]
    unjudged = [key for key in first if first[key] != NOT_RUN and second.get(key, NOT_RUN) == NOT_RUN]
    return Comparison(
        times,
        [(key, first[key], second[key]) for key in first if key in second and first[key] != second[key]],
        [*only_old, *absent], [*only_new, *(key for key in second if key not in first)],
        [] if subset else [*only_old, *unjudged], _machines(old, new),
        sizes(old.records, new.records), findings(old.findings, new.findings),
        len(first.keys() & second.keys()), min(len(old.findings), len(new.findings)),
    )  # fmt: skip


def _times(old: Sequence[Contest], new: Sequence[Contest]) -> tuple[list[Change], list[str], list[str]]:
    def by_name(contests: Sequence[Contest]) -> dict[tuple[str, str], Standing]:
        return {
            (title(one.about), standing.measured.prepared.contender): standing
            for one in contests
            for standing in one.standings
        }

    first, second = by_name(old), by_name(new)
    floors: dict[str, float] = {}
    for one in (*old, *new):
        floors[title(one.about)] = max(one.floor or 0.0, floors.get(title(one.about), 0.0))
    common = [Change(*key, first[key], second[key], floors[key[0]]) for key in first if key in second]
    return (
        common,
        [" ".join(key) for key in first if key not in second],
        [" ".join(key) for key in second if key not in first],
    )


def _worst(records: Sequence[Record]) -> dict[str, str]:
    """The worst verdict of every cell."""
    found: dict[str, str] = {}
    for one in records:
        key = f"{one.spec} {one.case} {one.backend} {one.mode} {one.implementation} {one.dtype} {one.device}"
        if WORST_FIRST.index(one.verdict) < (WORST_FIRST.index(found[key]) if key in found else len(WORST_FIRST)):
            found[key] = one.verdict
    return found


def _machines(old: Run, new: Run) -> list[str]:
    """What differs between the machines and packages, in words."""

    def flat(machine: Any) -> dict[str, str]:
        found = {"processor": str(machine.get("processor")), "python": str(machine.get("python"))}
        found |= {"commit": str(machine.get("commit")), "cores": str((machine.get("cores") or {}).get("usable"))}
        return found | {str(name): str(version) for name, version in (machine.get("packages") or {}).items()}

    first, second = flat(old.machine), flat(new.machine)
    return [
        f"{name} {first.get(name, 'none')} -> {second.get(name, 'none')}"
        for name in dict.fromkeys([*first, *second])
        if first.get(name) != second.get(name)
    ]


def times_table(changes: Sequence[Change]) -> Table:
    """What became slower or faster, the largest change first."""
    rows = [
        [
            one.says, f"{one.factor:.3g}", one.contender, one.where, _interval(one.before), _interval(one.after),
            "" if one.ratios is None else f"{one.ratios[0]:.3g} -> {one.ratios[1]:.3g}",
        ]
        for one in sorted(changes, key=lambda one: -abs(math.log(one.factor)))
    ]  # fmt: skip
    return Table(("", "x", "who", "what", "before", "after", "x base"), rows)


def _interval(one: Standing) -> str:
    middle, low, high = one.measured.interval
    return f"{middle:.4g} us ({low:.4g} to {high:.4g})"


def spread(changes: Sequence[Change]) -> tuple[float, float]:
    """The median and the largest distance between the ratios of two runs, as a share."""
    found = [abs(math.log(new / old)) for old, new in filter(None, (one.ratios for one in changes))]
    return (math.expm1(float(np.median(found))), math.expm1(max(found))) if found else (0.0, 0.0)


def document(found: Comparison) -> dict[str, Any]:
    """The comparison as plain data, for JSON."""
    changed = [one for one in found.times if one.says]
    return {
        "worse": found.worse,
        "compared": {"times": len(found.times), "judged": found.judged, "findings": found.measured},
        "other": found.machines,
        "verdicts": [{"what": what, "before": old, "after": new} for what, old, new in found.verdicts],
        "sizes": found.sizes,
        "findings": found.findings,
        "times": [
            {
                "says": one.says, "factor": one.factor, "who": one.contender, "what": one.where,
                "before_us": one.before.measured.interval, "after_us": one.after.measured.interval,
            }
            for one in changed
        ],
        "agreement": found.agreement,
        "lost": found.lost,
        "only_before": found.only_before,
        "only_after": found.only_after,
    }  # fmt: skip
