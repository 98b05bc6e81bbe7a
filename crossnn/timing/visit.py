"""The clock: samples of a contender's steady state, with everything held still that is not its own.

A visit starts from the beginning of the work, since a network that has been trained for a minute is another one. A few
calls are not timed: the caches belong to whoever ran before. The wait for all results is inside the clock. Garbage is
collected before and not during. On a GPU a sample is a queue of calls and one wait; on a CPU every call is waited for.
"""

from __future__ import annotations

import contextlib
import gc
import math
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crossnn.timing.contender import Contender

WARM = 3
"""Calls that no sample counts."""
LEAST, MOST = 5, 200
"""Samples of a visit."""
SHORTEST = 2e-4
"""Seconds of a sample, at least: two thousand times what the clock itself takes."""
SHORTEST_QUEUED = 1e-2


@dataclass(frozen=True)
class Samples:
    """Microseconds a call, and what the system counted meanwhile, a call."""

    microseconds: tuple[float, ...]
    faults: float
    system_us: float
    switches: float


def inner_calls(one_call: float, seconds: float, queued: bool) -> int:
    """How many calls a sample takes, when one takes so long and a visit should."""
    shortest = max(SHORTEST_QUEUED if queued else SHORTEST, seconds / MOST)
    return max(1, math.ceil(shortest / max(one_call, 1e-9)))


@contextlib.contextmanager
def still() -> Iterator[None]:
    """No garbage is collected inside."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def visit(contender: Contender, seconds: float, inner: int, queued: bool) -> Samples:
    """Samples for so many seconds, and at least a few."""
    step, wait, clock = contender.step, contender.wait, time.perf_counter_ns
    contender.reset()
    number = 0
    with still():
        for number in range(max(WARM, inner // 4)):
            wait(step(number))
        found: list[int] = []
        limit, total = int(seconds * 1e9), 0
        before = resource.getrusage(resource.RUSAGE_SELF)
        while (total < limit or len(found) < LEAST) and len(found) < MOST:
            if queued:
                start = clock()
                for _ in range(inner):
                    number += 1
                    result = step(number)
                wait(result)
            else:
                start = clock()
                for _ in range(inner):
                    number += 1
                    wait(step(number))
            found.append(clock() - start)
            total += found[-1]
        after = resource.getrusage(resource.RUSAGE_SELF)
    calls = len(found) * inner
    return Samples(
        tuple(round(one / inner / 1e3, 3) for one in found),
        round((after.ru_minflt - before.ru_minflt) / calls, 2),
        round((after.ru_stime - before.ru_stime) / calls * 1e6, 2),
        round((after.ru_nivcsw - before.ru_nivcsw) / calls, 4),
    )


def one_call(contender: Contender, seconds: float = 0.3) -> tuple[float, float]:
    """Seconds of a call in the steady state, and how many cores it keeps busy: processor time of all threads a second.
    A thread that waits for another one is not busy, however many there are."""
    contender.reset()
    for number in range(WARM):
        contender.wait(contender.step(number))
    spent, start, calls = time.process_time(), time.perf_counter(), 0
    while time.perf_counter() - start < seconds or calls < WARM:
        contender.wait(contender.step(calls))
        calls += 1
    elapsed = time.perf_counter() - start
    return elapsed / calls, round((time.process_time() - spent) / elapsed, 3)


class Memory:
    """How far resident memory rises from here on. Linux forgets the peak so far when 5 is written to clear_refs; other
    systems do not say."""

    def __init__(self) -> None:
        self.before: int | None = None
        with contextlib.suppress(OSError, KeyError):
            Path("/proc/self/clear_refs").write_text("5")
            self.before = _status("VmRSS")

    def risen(self) -> tuple[int, int] | None:
        """Bytes by which it rose at its peak, and the peak itself."""
        if self.before is None:
            return None
        peak = _status("VmHWM")
        return max(0, peak - self.before), peak


def _status(key: str) -> int:
    """A size from /proc/self/status, in bytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(lines[key].split()[0]) * 1024


def timed(function: Any, *arguments: Any) -> tuple[float, Any]:
    """Seconds, and the result."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result
