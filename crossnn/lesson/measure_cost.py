"""Steps L5 and L6: what a call costs, in time and in memory, eager and compiled."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from crossnn.lesson.bench import Bench, attempt
from crossnn.lesson.programs import LENGTHS, SIZES, long_chain

SECONDS = 0.2
"""So long is each mode measured at each place of the sweep."""
SHORTEST = 2e-4
"""A sample is repeated until it takes so long: the clock itself costs a tenth of a microsecond."""
FEWEST, MOST = 5, 25
MEMORY_SIZE = 10_000_000
MEMORY_OPERATIONS = 6


def speed(bench: Bench) -> dict[str, Any]:
    """The sweep. The first call, which compiles, is apart; the modes take turns, so that what the machine does besides
    meets all of them."""
    return {"points": [_point(bench, size, length) for length in LENGTHS for size in SIZES]}


def _point(bench: Bench, size: int, length: int) -> dict[str, Any]:
    adapter = bench.adapter
    d, a = (adapter.tensor(np.full(size, value, np.float32)) for value in (1.0, 0.5))
    ready: dict[str, Callable[[], None]] = {}
    found: dict[str, Any] = {}
    for mode in bench.modes:
        call: Callable[[], None] = partial(_call, bench, bench.compiled(long_chain(length), mode), d, a)
        start = time.perf_counter()
        outcome = attempt(partial(_nothing, call))
        found[mode] = outcome or {"first": time.perf_counter() - start}
        if not outcome:
            ready[mode] = call
    repeats = {mode: _repeats(call) for mode, call in ready.items()}
    samples: dict[str, list[float]] = {mode: [] for mode in ready}
    spent = dict.fromkeys(ready, 0.0)
    for _ in range(MOST):
        for mode, call in ready.items():
            if spent[mode] < SECONDS or len(samples[mode]) < FEWEST:
                seconds = _clock(call, repeats[mode])
                samples[mode].append(seconds / repeats[mode])
                spent[mode] += seconds
    for mode, times in samples.items():
        found[mode] |= {"median": float(np.median(times)), "samples": len(times)}
    return {"size": size, "length": length, "modes": found}


def _call(bench: Bench, f: Callable[..., Any], d: Any, a: Any) -> None:
    bench.adapter.wait(f(d, a))


def _nothing(call: Callable[[], None]) -> dict[str, Any]:
    call()
    return {}


def _clock(call: Callable[[], None], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return time.perf_counter() - start


def _repeats(call: Callable[[], None]) -> int:
    """After two calls to get warm: some frameworks still prepare something at the second."""
    call()
    return max(1, min(1000, int(SHORTEST / max(_clock(call, 1), 1e-7))))


def memory(bench: Bench) -> dict[str, Any]:
    """The peak of extra memory in one call on long arrays, as the system counts it and as the framework does."""
    adapter = bench.adapter
    d, a = (adapter.tensor(np.full(MEMORY_SIZE, value, np.float32)) for value in (1.0, 0.5))

    def in_mode(mode: str) -> dict[str, Any]:
        f = bench.compiled(long_chain(MEMORY_OPERATIONS), mode)
        adapter.wait(f(d, a))  # compiled, and warm
        gc.collect()
        with resident_peak() as peak:
            result = f(d, a)
            adapter.wait(result)
        del result
        gc.collect()
        own = attempt(lambda: {"own": bench.own.own_memory(f, (d, a), mode) if bench.own else None})
        return {"peak": peak[0], "how": peak[1], "own": own.get("own")}

    return {
        "bytes": 4 * MEMORY_SIZE,
        "operations": MEMORY_OPERATIONS,
        "own_name": bench.own.own_memory_name() if bench.own else "",
        "modes": {mode: attempt(lambda mode=mode: in_mode(mode)) for mode in bench.modes},  # type: ignore[misc]
    }


@contextlib.contextmanager
def resident_peak() -> Iterator[list[Any]]:
    """Afterwards the list has the peak of resident memory above what there was, and how it was found: by the system's
    own mark where it can be set back (Linux), else by looking every half millisecond."""
    process, found = psutil.Process(), list[Any]()
    before = process.memory_info().rss
    if _mark_set_back(before):
        yield found
        found += [max(0, _high_water() - before), "VmHWM"]
        return
    highest, done = before, threading.Event()

    def look() -> None:
        nonlocal highest
        while not done.wait(5e-4):
            highest = max(highest, process.memory_info().rss)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        done.set()
        watcher.join()
    found += [max(0, highest - before), "RSS, sampled"]


def _high_water() -> int:
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def _mark_set_back(resident: int) -> bool:
    """Whether the system's mark of the highest resident memory is now where that memory is."""
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
        return _high_water() < resident + (1 << 22)
    except (OSError, StopIteration):
        return False
