"""How much others disturb the machine while something is timed.

Two witnesses. The system's own count of busy processors, less what we and the worker used, says how many cores others
had. And a fixed piece of work (a matrix product and a copy), done by the parent before and after every visit, says how
much slower than usual the machine is: what a virtual machine's neighbours do shows nowhere else. Usual is the median of
this session: the best, which meets warm caches, is as rare as the worst.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass, field

import numpy as np
import psutil

MOST_FOREIGN = 0.15
"""Cores that others may use during a visit; the counters tick a hundred times a second."""
MOST_SLOWER = 1.25
"""How much slower than usual the calibration work may be."""


@dataclass
class Moment:
    """Counters at one time, in seconds."""

    wall: float
    busy: float
    own: float


@dataclass
class Guard:
    """The calibration work, and the times that it has taken."""

    seen: list[float] = field(default_factory=list)
    _matrix: np.ndarray = field(default_factory=lambda: np.full((384, 384), 1.5, np.float32))
    _product: np.ndarray = field(default_factory=lambda: np.empty((384, 384), np.float32))
    _source: np.ndarray = field(default_factory=lambda: np.full(2**21, 1.5, np.float32))
    _copy: np.ndarray = field(default_factory=lambda: np.empty(2**21, np.float32))

    def calibrate(self, times: int = 3) -> float:
        """How much slower than usual the calibration work is now."""
        shortest = float("inf")
        for _ in range(times):
            start = time.perf_counter()
            np.matmul(self._matrix, self._matrix, out=self._product)
            np.copyto(self._copy, self._source)
            shortest = min(shortest, time.perf_counter() - start)
        self.seen.append(shortest)
        return shortest / statistics.median(self.seen)

    def moment(self, worker: int) -> Moment:
        """The counters now; `worker` is the process that is being timed."""
        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        twice = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        own = sum(time.process_time() if pid is None else _used(pid) for pid in (None, worker))
        return Moment(time.perf_counter(), sum(times) - idle - twice, own)


def _used(pid: int) -> float:
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(pid).cpu_times()
        return float(found.user + found.system)
    return 0.0


def foreign(before: Moment, after: Moment) -> float:
    """Cores that neither we nor the worker used, on average between two moments."""
    wall = after.wall - before.wall
    return max(0.0, (after.busy - before.busy - (after.own - before.own)) / wall) if wall > 0 else 0.0


def disturbed(cores: float, slower: float) -> bool:
    return cores > MOST_FOREIGN or slower > MOST_SLOWER
