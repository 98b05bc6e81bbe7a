"""A learning-rate schedule as it is seen: its rates at counts of steps already taken, and where they turn.

Every count is asked for as far as the numbers of the call reach; beyond a limit only the surroundings of those numbers,
of their sums, differences and multiples, and counts drawn between.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crossnn.adapter import Opened
from crossnn.errors import BackendError, told
from crossnn.identify.calls import flat
from crossnn.identify.names import numeric
from crossnn.identify.own import is_own
from crossnn.parity.inputs import generator_for

DENSE, AT_LEAST, FARTHEST = 600, 120, 10_000_000
"""Every count is seen up to the first; so many at least are; none beyond the last."""
PERIODS, DRAWN, LONG = 3, 60, 20_000
"""So many periods, of what is not long, and so many counts between."""
_LENGTH = re.compile(r"step|iter|T_|period|bound|milestone|cycle|epoch|warmup|the number")
FLAT = 1e-6
"""The relative difference below which two rates are one: a schedule may be computed in float32."""


@dataclass(frozen=True)
class Curve:
    """Counts in order, the rate at each, and the numbers of the call, of which some may be lengths. `ended`: it gives
    no rate at the counts behind the last."""

    t: np.ndarray
    rates: np.ndarray
    settings: Mapping[str, float]
    lengths: tuple[int, ...] = ()
    ended: bool = False

    def at(self, count: float) -> float:
        """The rate at a count; NaN where it was not seen."""
        return self._by_count.get(int(count), math.nan) if float(count).is_integer() else math.nan

    @cached_property
    def _by_count(self) -> dict[int, float]:
        return {int(t): float(rate) for t, rate in zip(self.t, self.rates, strict=True)}

    @property
    def first(self) -> float:
        return float(self.rates[0])

    @property
    def last(self) -> float:
        return float(self.rates[-1])

    @cached_property
    def turns(self) -> list[int]:
        """Counts at which something happens: the first change, the highest and the lowest rate, the last change, where
        it jumps; the likeliest first."""
        r, t = self.rates, self.t
        size = float(np.max(np.abs(r))) or 1.0
        changes = np.flatnonzero(np.abs(np.diff(r)) > FLAT * size)
        if not len(changes):
            return []
        slopes = np.diff(r) / np.diff(t)
        bends = np.argsort(-np.abs(np.diff(slopes)))[:4]
        places = [changes[0], changes[0] + 1, changes[-1] + 1, int(np.argmax(r)), int(np.argmin(r)), *(bends + 1)]
        near = [int(t[place]) + shift for place in places for shift in (0, 1, -1)]
        return [one for one in dict.fromkeys(near) if one > 0]

    @cached_property
    def counts(self) -> list[int]:
        """Whole numbers that may be lengths: those of the call, their neighbours, sums and differences, the turns."""
        own = self.lengths
        shares = [value for value in self.settings.values() if 0 < value < 1]
        pairs = [a + b for a in own for b in own if a < b] + [abs(a - b) for a in own for b in own]
        parts = [round(share * a) + shift for share in shares for a in own for shift in (0, -1, 1)]
        near = [a + shift for a in own for shift in (-1, 1)]
        every = dict.fromkeys([*own, *near, *self.turns, *pairs[:40], *parts[:40]])
        return [one for one in every if 0 < one <= FARTHEST]


def _lengths(settings: Mapping[str, Any]) -> list[int]:
    """Whole numbers, and those that are whole where their name says that they count."""
    found = set()
    for name, value in settings.items():
        whole = not isinstance(value, bool) and isinstance(value, int | float) and float(value).is_integer()
        if whole and value >= 1 and (isinstance(value, int) or _LENGTH.search(name)):
            found.add(int(value))
    return sorted(found)


def observe(opened: Opened) -> Curve:
    """The rates that it gives; raises BackendError where they are none."""
    every = flat(opened.settings)
    lengths = _lengths(every)
    if lengths and lengths[-1] > FARTHEST and not is_own(opened.native.call):
        raise BackendError(
            f"{opened.native.call} takes {lengths[-1]:,} steps; up to {FARTHEST:,} are looked at: divide its lengths "
            "by 10 or 100, the formula stays the same"
        )
    lengths = [one for one in lengths if one <= FARTHEST]
    t = _asked(lengths, [one for one in numeric(every).values() if 0 < one < 1])
    if is_own(opened.native.call):  # whose numbers need not show
        t = np.union1d(t, np.round(AT_LEAST * 1.2 ** np.arange(29)).astype(int))
    rates = rates_of(opened.native.function, t, opened.native.call)
    seen = np.flatnonzero(~np.isnan(rates))
    kept = slice(0, int(seen[-1]) + 1)
    return Curve(t[kept], rates[kept], numeric(every), tuple(lengths), len(t[kept]) < len(t))


def rates_of(function: Callable[[np.ndarray], np.ndarray], t: np.ndarray, call: str) -> np.ndarray:
    """As numbers, one for each count."""
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(function(t))
    except BackendError:
        raise
    except Exception as error:  # whatever a framework throws at a count
        raise BackendError(f"{call} cannot be called here: {told(error)}") from error
    if found.shape != t.shape or found.dtype.kind not in "fiu":
        raise BackendError(f"{call} makes {found.dtype} of shape {found.shape} of {len(t)} counts of steps, not a rate")
    if not np.isfinite(found).any():
        raise BackendError(f"{call} gives no finite learning rate at any of {len(t)} counts of steps")
    return found.astype(np.float64)


def _asked(own: Sequence[int], parts: Sequence[float]) -> np.ndarray:
    """The counts at which it is seen."""
    longest = max(own, default=0)
    far = max(AT_LEAST, (PERIODS + 1) * longest if longest <= LONG else 2 * longest + longest // 4)
    if far <= DENSE:
        return np.arange(far + 2)
    sums = {a + b for a in own for b in own} | {abs(a - b) for a in own for b in own}
    shares = {round(share * a) for share in parts for a in own}
    joints = {factor * one for one in {*own, *sums, *shares} for factor in range(1, PERIODS + 1)}
    listed = {one + shift for one in joints for shift in (-2, -1, 0, 1, 2)}
    drawn = generator_for("identify", "schedule").integers(0, far, DRAWN)
    every = {*range(AT_LEAST), *listed, *map(int, drawn)}
    return np.array(sorted(one for one in every if 0 <= one <= far))
