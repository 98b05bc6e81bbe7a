"""What the machine reaches at best, as each backend can reach it: a large matrix product, and a scaled copy.

A share of the ceiling is a statement about a machine as it is now, so the ceilings are measured in the same session,
with the same threads, on the same device. Memory has several: what fits a cache is faster. All backends measure, and
the best one counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.timing.work import ITEM_BYTES

SIZES = (2**16, 2**20, 2**24, 2**27)
"""Bytes of a working set: input and result of a copy."""
SIDE = {"cpu": 1024, "gpu": 8192}
"""Rows and columns of the matrices."""
SECONDS = 0.05


def measure(adapter: Adapter, mode: str, device: str, dtype: str) -> tuple[float, dict[str, float]]:
    """Operations a second, and bytes a second by the bytes of the working set."""
    side = SIDE.get(device, SIDE["gpu"])
    generator = np.random.default_rng(0)
    matrix = adapter.tensor(generator.uniform(0.5, 1.5, (side, side)))
    matmul = adapter.primitives["matmul"]
    flops = 2.0 * side**3 / _best(lambda: matmul(matrix, matrix), adapter.wait)
    multiply = adapter.primitives["multiply"]
    copy = adapter.compile(lambda x: multiply(x, 1.25), mode)
    seconds = []
    for size in (0, *SIZES):
        x = adapter.tensor(generator.uniform(0.5, 1.5, max(1, size // 2 // ITEM_BYTES[dtype])))
        seconds.append(_best(lambda x=x: copy(x), adapter.wait))  # type: ignore[misc]
    call = seconds[0]  # to be called takes time too, and is no traffic
    rates = [size / max(spent - call, spent / 4) for size, spent in zip(SIZES, seconds[1:], strict=True)]
    return flops, {str(size): max(rates[place:]) for place, size in enumerate(SIZES)}


def _best(call: Callable[[], Any], wait: Callable[[Any], None]) -> float:
    """The shortest seconds of a call."""
    for _ in range(2):
        wait(call())
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < SECONDS or best == float("inf"):
        start = time.perf_counter()
        result = call()
        wait(result)
        best = min(best, time.perf_counter() - start)
    return best
