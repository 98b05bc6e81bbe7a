"""Stand-ins for `run_timed` that misbehave as the spec's name says; named to workers by dotted path.

Every answer is written to the file in CROSSNN_TEST_LOG: process, what was asked, and when it began and ended.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from crossnn.errors import CrossnnError
from crossnn.runs.cell import Cell
from crossnn.runs.timed import CEILING, Ceiling, Prepared, Visit, identity
from crossnn.runs.wire import Result

MICROSECONDS = {"torch": 100.0, "numpy": 200.0, "jax": 100.5}


def run(cell: Cell) -> list[Result]:
    began = time.time()
    found = _answer(cell)
    assert cell.timed is not None
    with Path(os.environ["CROSSNN_TEST_LOG"]).open("a") as log:
        print(os.getpid(), cell.spec, cell.backend, cell.timed.phase, cell.timed.round, began, time.time(), file=log)
    return found


def _answer(cell: Cell) -> list[Result]:
    assert cell.timed is not None
    number, word = cell.timed.round, cell.spec.split("-")[0]
    who: dict[str, Any] = identity(cell, "network")
    if cell.timed.phase == CEILING:
        return [Ceiling(backend=cell.backend, mode=cell.mode, dtype=cell.dtype, device=cell.device, threads=1,
                        flops=1e9, bandwidth={"65536": 1e9})]  # fmt: skip
    if number == 0:
        if word == "compiles" and cell.backend == "numpy":
            time.sleep(600)
        if word == "wrong" and cell.backend == "numpy":
            return [Prepared(**who, verdict="FORMULA", message="1 of 2 quantities are wrong: no time is taken")]
        return [Prepared(**who, verdict="EQUAL", first_seconds=0.5, flops=1e4, least_bytes=100)]
    if word == "dies" and cell.backend == "numpy":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "killed" and cell.backend == "numpy" and number == 3 and not Path(f"{_log()}.killed").exists():
        Path(f"{_log()}.killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "hangs" and cell.backend == "numpy":
        time.sleep(600)
    if word == "raises" and cell.backend == "numpy":
        raise CrossnnError("no memory on the device")
    if word == "slow":
        time.sleep(0.1)
    base = MICROSECONDS[cell.backend] * (1 + 0.0005 * (number % 3))
    spread = 0.2 * number if word == "unsteady" else 0.0
    samples = tuple(base * (1 + spread) + 0.01 * k for k in range(5))
    return [Visit(**who, round=number, process=0, samples=samples)]


def _log() -> str:
    return os.environ["CROSSNN_TEST_LOG"]
