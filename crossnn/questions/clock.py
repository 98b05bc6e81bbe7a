"""Seconds of several functions, each visited once in every round, in shuffled order: what slows the machine slows all.

A ratio is taken within a round, and rounds are the repetitions of a question. This is for the question which of two is
faster; `crossnn time` says by how much, in processes of their own and with intervals.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from crossnn.timing.visit import inner_calls, still, timed

WARM = 3
"""Calls before the first sample; the last of them tells how many a sample takes."""


SAMPLES = 3
"""Samples of a visit, of which the least counts: whoever disturbs only adds."""


def rounds(contenders: Mapping[str, Callable[[], Any]], count: int) -> dict[str, list[float]]:
    """Seconds a call of each contender, for each of `count` rounds. A contender waits for its own results."""
    inner = {}
    for name, call in contenders.items():
        seconds = min(timed(call)[0] for _ in range(WARM))
        inner[name] = inner_calls(seconds, 0.0, queued=False)
    found: dict[str, list[float]] = {name: [] for name in contenders}
    order, shuffle = list(contenders), random.Random(0)
    with still():
        for _ in range(count):
            shuffle.shuffle(order)
            for name in order:
                call, times = contenders[name], inner[name]

                def sample(call: Callable[[], Any] = call, times: int = times) -> None:
                    for _ in range(times):
                        call()

                found[name].append(min(timed(sample)[0] for _ in range(SAMPLES)) / times)
    return found
