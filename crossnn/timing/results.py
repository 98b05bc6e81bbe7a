"""What the samples say: medians, intervals, ratios within rounds, ranks. Nothing of it is stored.

The unit is the round. Samples of one visit are not independent of each other; medians of visits nearly are. Intervals
come from resampling rounds. A rank counts who is known to be faster: the interval of the ratio does not contain 1, and
the difference is more than what the same contender, timed twice, differs from itself.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from crossnn.runs.cell import Cell, Record
from crossnn.runs.journal import Entry
from crossnn.runs.timed import Ceiling, Prepared, Visit, at_round, identity

DRAWS = 4000
WIDTH = 0.03
"""So wide may the interval of a median be, relative to it, that is known well enough."""
LEAST_DIFFERENCE = 0.01
"""Below this share no difference is one."""


@dataclass
class Measured:
    """A cell with its visits by round."""

    prepared: Prepared
    visits: dict[int, Visit] = field(default_factory=dict)

    @property
    def last_round(self) -> int:
        return max(self.visits, default=0)

    @property
    def medians(self) -> dict[int, float]:
        """Round -> the median of its visit, in microseconds a call."""
        return {number: visit.median for number, visit in self.visits.items()}

    @property
    def interval(self) -> tuple[float, float, float]:
        """The median over rounds and its 95 % interval, in microseconds."""
        return median_interval(list(self.medians.values()))

    def average(self, name: str) -> float:
        """The mean over visits of something that they counted."""
        return statistics.fmean(getattr(visit, name) for visit in self.visits.values())


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """The median, and the 95 % interval that resampling gives it."""
    return _interval(tuple(values))


@lru_cache(maxsize=4096)
def _interval(values: tuple[float, ...]) -> tuple[float, float, float]:
    found = np.asarray(values)
    drawn = np.random.default_rng(0).integers(len(found), size=(DRAWS, len(found)))
    low, high = np.quantile(np.median(found[drawn], axis=1), [0.025, 0.975])
    return float(np.median(found)), float(low), float(high)


def ratio(one: Measured, *bases: Measured) -> tuple[float, float, float] | None:
    """How many times as long as the base, paired within rounds, with its 95 % interval; None without a common round.
    A base that was timed in several processes is their geometric mean: where a process lies in memory moves all its
    times alike, by some percent, and no round cancels that."""
    mine, theirs = one.medians, [base.medians for base in bases]
    common = sorted(number for number in mine if any(number in times for times in theirs))
    if not common:
        return None
    logs = [
        math.log(mine[number]) - statistics.fmean(math.log(times[number]) for times in theirs if number in times)
        for number in common
    ]
    return tuple(map(math.exp, median_interval(logs)))  # type: ignore[return-value]


@dataclass(frozen=True)
class Standing:
    """A contender in its contest. `ratio` is to the base, `share` that of the ceiling, `rank` 1 + as many as are known
    to be faster. `repays` is after how many calls its first call is repaid, against the mode of the same backend that
    is quickest to start."""

    measured: Measured
    ratio: tuple[float, float, float] | None
    share: float | None
    rank: int
    repays: float | None


@dataclass(frozen=True)
class Contest:
    """All who did the same work: those that were timed, in order of speed, and those that were not."""

    standings: tuple[Standing, ...]
    absent: tuple[Prepared, ...]
    base: Measured | None
    floor: float | None
    """How far the base and its twin are apart: what this machine cannot tell apart."""

    @property
    def about(self) -> Prepared:
        return self.standings[0].measured.prepared if self.standings else self.absent[0]


def measured(entries: Iterable[Entry]) -> tuple[dict[Cell, Measured], list[Prepared]]:
    """The cells of a journal that were prepared and right, and the others."""
    found: dict[Cell, Measured] = {}
    absent: dict[Cell, Prepared] = {}
    visits: list[tuple[Cell, Visit]] = []
    for entry in entries:
        for record in entry.records:
            key = at_round(entry.done.cell, 0) if entry.done.cell.timed else entry.done.cell
            match record:
                case Prepared() if record.message:
                    absent[key] = record
                    found.pop(key, None)
                case Prepared():
                    found[key] = Measured(record)
                    absent.pop(key, None)
                case Visit():
                    visits.append((key, record))
                case Record() if _said_nothing(entry):
                    absent[key] = lost(entry.done.cell, record)
                    found.pop(key, None)
    for key, visit in visits:
        if key in found:
            found[key].visits[visit.round] = visit
    return found, list(absent.values())


def _said_nothing(entry: Entry) -> bool:
    """Whether a cell of a timing ended without what it was asked for: its process was lost, or it raised."""
    return entry.done.cell.timed is not None and not any(isinstance(one, Prepared | Visit) for one in entry.records)


def lost(cell: Cell, record: Record) -> Prepared:
    """A cell whose process was lost, in the place of what it would have said."""
    return Prepared(**identity(cell), verdict="ERROR", message=record.message)


def contests(
    cells: Mapping[Cell, Measured], absent: Sequence[Prepared], ceilings: Sequence[Ceiling], base: str = ""
) -> list[Contest]:
    """The contests in the order in which they were run. `base` is the contender that others are compared with; the
    first one of each contest where that is none of them."""
    groups: dict[object, list[Measured]] = {}
    missing: dict[object, list[Prepared]] = {}
    for one in cells.values():
        if one.visits:
            groups.setdefault(one.prepared.contest, []).append(one)
    for record in absent:
        missing.setdefault(record.contest, []).append(record)
    return [
        _contest(groups.get(key, []), missing.get(key, []), ceilings, base)
        for key in dict.fromkeys([*groups, *missing])
        if missing.get(key) or not all(one.prepared.again for one in groups[key])  # a base's twin alone is no contest
    ]


def _contest(group: Sequence[Measured], absent: Sequence[Prepared], ceilings: Sequence[Ceiling], base: str) -> Contest:
    if not group:
        return Contest((), tuple(absent), None, None)
    reference = next((one for one in group if one.prepared.contender == base), group[0])
    twin = next((one for one in group if one.prepared.again), None)
    floor = _floor(twin, group)
    ordered = sorted((one for one in group if not one.prepared.again), key=lambda one: one.interval[0])
    ranks = _ranks(ordered, max(floor or 0.0, LEAST_DIFFERENCE))
    bases = [reference, twin] if twin and _twins(reference, twin) else [reference]
    standings = tuple(
        Standing(
            one, ratio(one, *([one] if one is reference else bases)), _share(one, ceilings), rank, _repays(one, ordered)
        )
        for one, rank in zip(ordered, ranks, strict=True)
    )
    return Contest(standings, tuple(absent), reference, floor)


@dataclass(frozen=True)
class Overhead:
    """A formula beside other code for the same work, in the same backend and mode: how many times as long it takes."""

    formula: Prepared
    other: Prepared
    ratio: tuple[float, float, float]


def overheads(contest: Contest) -> list[Overhead]:
    """Of every contender that is not the formula, within rounds."""
    every = [one.measured for one in contest.standings]
    formulas = {(m.prepared.backend, m.prepared.mode): m for m in every if m.prepared.implementation == "formula"}
    found = []
    for one in every:
        formula = formulas.get((one.prepared.backend, one.prepared.mode))
        if formula is not None and formula is not one and (size := ratio(formula, one)):
            found.append(Overhead(formula.prepared, one.prepared, size))
    return found


def _floor(twin: Measured | None, group: Sequence[Measured]) -> float | None:
    """The distance from 1 of the farther end of the twins' ratio."""
    if twin is None:
        return None
    for one in group:
        if _twins(one, twin):
            found = ratio(twin, one)
            return None if found is None else max(abs(math.log(found[1])), abs(math.log(found[2])))
    return None


def _twins(one: Measured, twin: Measured) -> bool:
    """Whether the second is the first once more."""
    who, named = one.prepared, twin.prepared
    same = (who.backend, who.mode, who.implementation) == (named.backend, named.mode, named.implementation)
    return same and not who.again


def _ranks(ordered: Sequence[Measured], floor: float) -> list[int]:
    """1, and as many more as are known to be faster. Who cannot be told apart from the fastest shares its rank."""
    return [1 + sum(_slower(one, other, floor) for other in ordered if other is not one) for one in ordered]


def _slower(one: Measured, other: Measured, floor: float) -> bool:
    found = ratio(one, other)
    return found is not None and found[1] > 1.0 and math.log(found[0]) > floor


def least_seconds(flops: float, moved: float, best_flops: float, bandwidth: Mapping[str, float]) -> float:
    """The time below which this work cannot be done here: its operations at the rate of a matrix product, or its bytes
    at the rate of the smallest working set that holds them, whichever is longer."""
    if not best_flops or not bandwidth:
        return 0.0
    fitting = [rate for size, rate in bandwidth.items() if int(size) <= max(moved, min(map(int, bandwidth)))]
    return max(flops / best_flops, moved / min(fitting))


def _share(one: Measured, ceilings: Sequence[Ceiling]) -> float | None:
    """The least time that the machine could take, as a share of the time taken."""
    who = one.prepared
    those = [c for c in ceilings if (c.dtype, c.device, c.threads) == (who.dtype, who.device, who.threads)]
    if not those:
        return None
    bandwidth: dict[str, float] = {}
    for ceiling in those:
        for size, rate in ceiling.bandwidth.items():
            bandwidth[size] = max(rate, bandwidth.get(size, 0.0))
    least = least_seconds(who.flops, who.least_bytes, max(c.flops for c in those), bandwidth)
    return least * 1e6 / one.interval[0]


def _repays(one: Measured, group: Sequence[Measured]) -> float | None:
    """Calls after which this mode has made good for its longer first call, against its backend's other modes: the
    quickest to start of them. Infinite where it is not the faster one."""
    who = one.prepared
    same = (who.backend, who.implementation)
    own = [other for other in group if (other.prepared.backend, other.prepared.implementation) == same]
    rival = min(own, key=lambda other: other.prepared.first_seconds)
    if rival is one:
        return None
    gained = (rival.interval[0] - one.interval[0]) * 1e-6
    extra = who.first_seconds - rival.prepared.first_seconds
    return extra / gained if gained > 0 else math.inf
