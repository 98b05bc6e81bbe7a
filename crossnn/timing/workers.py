"""The processes of a timing: one a backend, mode, device and number of threads, kept until they are lost."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from crossnn.runs.cell import Cell
from crossnn.runs.child import Child, ChildEndedError, ChildTimeoutError
from crossnn.runs.runner import START_TIMEOUT
from crossnn.runs.wire import Result, decode_answer
from crossnn.runs.worker import CORES

ENVIRONMENT: Mapping[str, str] = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
"""A first call compiles; it does not find what another process compiled before."""
ALLOCATORS: Mapping[str, Mapping[str, str]] = {
    "kept": {
        "MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "8589934592", "MALLOC_TOP_PAD_": "67108864",
    },
    "system": {},
}  # fmt: skip
"""What glibc is told: to keep what is freed, so that no page is fetched twice; or nothing. Left alone, it gives large
arrays back or not as the heap happens to lie, and a step of a CNN in torch takes 10 ms or 20 (5,800 page faults)."""


def pinned(cell: Cell) -> dict[str, str]:
    """As many cores as threads, the last ones, where the system can pin a process: JAX keeps a thread of Python's
    beside the one that it is allowed, and would have two cores for it. A GPU's process is left alone."""
    if cell.device != "cpu" or not hasattr(os, "sched_getaffinity"):
        return {}
    usable = sorted(os.sched_getaffinity(0))
    return {CORES: ",".join(map(str, usable[-cell.threads :]))} if cell.threads < len(usable) else {}


class LostError(Exception):
    """A process that gave no answer: `crashed` or `timeout`, and how."""

    def __init__(self, status: Literal["crashed", "timeout"], message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Worker:
    """A process, its number in order of starting, and the cells that it has prepared."""

    child: Child
    number: int
    import_seconds: float
    prepared: set[Cell] = field(default_factory=set)
    ceilings: set[str] = field(default_factory=set)


class Workers:
    """The living processes. A base and its twin have different ones."""

    def __init__(self, execute: str, folder: str | None, allocator: str, timeout: float) -> None:
        self.execute, self.folder, self.timeout = execute, folder, timeout
        self.extra = {**ENVIRONMENT, **ALLOCATORS[allocator]}
        self.alive: dict[Any, Worker] = {}
        self.begun = 0

    def of(self, cell: Cell, within: float = math.inf) -> Worker:
        """The process of a cell, started where there is none, `within` these seconds."""
        key = _key(cell)
        if key not in self.alive:
            self.alive[key] = self._start(cell, min(START_TIMEOUT, within))
        return self.alive[key]

    def has(self, cell: Cell) -> bool:
        """Whether a process lives that has prepared this cell."""
        worker = self.alive.get(_key(cell))
        return worker is not None and cell in worker.prepared

    def ask(self, worker: Worker, cell: Cell, within: float = math.inf) -> list[Result]:
        """The records of a cell; a process that gives none in time is gone afterwards."""
        timeout = max(0.0, min(self.timeout, within))
        try:
            worker.child.send(msgspec.json.encode(cell))
            return decode_answer(worker.child.receive(timeout), cell)
        except (ChildEndedError, OSError) as error:
            self._discard(worker)
            raise LostError("crashed", f"the {cell.backend} process ended: {error}") from error
        except ChildTimeoutError:
            self._discard(worker)
            raise LostError("timeout", f"no answer within {timeout:.3g} s") from None

    def stop(self) -> None:
        for worker in self.alive.values():
            worker.child.dispose()
        self.alive.clear()

    def _start(self, cell: Cell, timeout: float) -> Worker:
        child = Child(
            cell.backend, cell.device, cell.threads, execute=self.execute, folder=self.folder,
            extra={**self.extra, **pinned(cell)},
        )  # fmt: skip
        try:
            ready = msgspec.json.decode(child.receive(timeout))
        except (ChildEndedError, OSError) as error:
            child.dispose()
            raise LostError("crashed", f"the {cell.backend} process ended: {error}") from error
        except ChildTimeoutError:
            child.dispose()
            raise LostError("timeout", f"not ready after {timeout:.3g} s") from None
        except BaseException:  # interrupted while it starts: it is in no list yet
            child.dispose()
            raise
        self.begun += 1
        return Worker(child, self.begun, float(ready.get("import_seconds", 0.0)))

    def _discard(self, worker: Worker) -> None:
        worker.child.dispose()
        self.alive = {key: one for key, one in self.alive.items() if one is not worker}


def _key(cell: Cell) -> tuple[object, ...]:
    """Equal for cells that share a process."""
    assert cell.timed is not None
    return (cell.backend, cell.mode, cell.device, cell.threads, cell.timed.again)
