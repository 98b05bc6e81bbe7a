"""Who is visited when: one process a backend and mode, rounds in shuffled order, only one process at work at a time.

All who do the same work are a *contest*. Each round visits all of them once, in an order drawn anew, so that whatever
changes slowly in the machine meets all alike, and ratios are taken within a round. A process that waits for its turn
uses no processor. Rounds go on until every median is known well enough, or until the time is up. Every visit is handed
to `sink` when it is over: whatever happens next, it is safe.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from crossnn.runs.cell import FAILURES, Cell, Done, Timed
from crossnn.runs.lanes import shared_folder
from crossnn.runs.runner import InterruptedRunError, Sink
from crossnn.runs.signals import deaf_to_interrupts, terminate_like_interrupt
from crossnn.runs.timed import CEILING, Ceiling, Identity, Prepared, Visit, at_round, identity
from crossnn.runs.wire import failure
from crossnn.timing.guard import Guard, disturbed, foreign
from crossnn.timing.results import WIDTH, Measured, median_interval
from crossnn.timing.workers import LostError, Worker, Workers

EXECUTE = "crossnn.timing.execute:run_timed"
ATTEMPTS = 2
"""A process that is lost is started again; what loses it so often is left out."""
VISIT_TAKES = 0.35
"""About the seconds of a visit, with all that surrounds it."""
REPEATS = 3
"""So often a disturbed visit is repeated."""
MOST_DISCARDED = 0.25
"""The share of all visits beyond which disturbed ones are kept and marked: the machine is not going to be quiet."""
TIME_UP = "time was up before this was begun; continue with --resume, or give it more time with --limit"
CUT_OFF = "time was up while this was prepared; continue with --resume, or give it more time with --limit"


@dataclass(frozen=True)
class Limits:
    """When to stop. `seconds` are for everything, shared out among the contests: when they are up, nothing is begun,
    and a process that is starting or preparing is ended. Time for the `least_rounds` of what is prepared is kept back;
    they alone are finished in any case. `width` is that of the interval of a median, relative to it; `timeout` is for
    one answer of a process."""

    seconds: float = 540.0
    least_rounds: int = 5
    most_rounds: int = 40
    width: float = WIDTH
    timeout: float = 600.0


class Watcher(Protocol):
    """Who is told about progress."""

    def contest(self, cell: Cell, number: int, total: int) -> None: ...

    def preparing(self, cell: Cell) -> None: ...

    def round(self, number: int, settled: int, contenders: int, seconds_left: float) -> None: ...

    def lost(self, cell: Cell, message: str) -> None: ...


def time_cells(
    cells: Sequence[Cell],
    sink: Sink,
    *,
    limits: Limits,
    watcher: Watcher,
    known: Mapping[Cell, Measured],
    not_run: Mapping[str, str] | None = None,
    allocator: str = "kept",
    execute: str = EXECUTE,
) -> None:
    """Time every cell (of round 0). `known` is what an earlier part of this run has measured; `not_run` gives the
    reason why a backend's cells cannot run."""
    contests: dict[Any, list[Cell]] = {}
    for cell in cells:
        if not_run and cell.backend in not_run:
            _left_out(cell, not_run[cell.backend], sink)
        else:
            contests.setdefault(contest_of(cell), []).append(cell)
    with shared_folder(cells) as folder:
        crew = _Crew(sink, limits, watcher, dict(known), execute, folder, allocator)
        try:
            with terminate_like_interrupt():
                crew.work(list(contests.values()))
        except KeyboardInterrupt:
            with deaf_to_interrupts():
                crew.workers.stop()
            raise InterruptedRunError(f"interrupted after {crew.visits} visits") from None
        finally:
            crew.workers.stop()


def contest_of(cell: Cell) -> tuple[Any, ...]:
    """Equal for cells that do the same work."""
    return Identity(**identity(cell)).contest


def _left_out(cell: Cell, reason: str, sink: Sink) -> None:
    sink(
        Done(cell=cell, status="not-run", message=reason),
        [Prepared(**identity(cell), verdict="NOT-RUN", message=reason)],
    )


class _Crew:
    """The processes, and what is known of every cell."""

    def __init__(
        self, sink: Sink, limits: Limits, watcher: Watcher, known: dict[Cell, Measured], execute: str,
        folder: str | None, allocator: str,
    ) -> None:  # fmt: skip
        self.sink, self.limits, self.watcher, self.known = sink, limits, watcher, known
        self.workers = Workers(execute, folder, allocator, limits.timeout)
        self.guard, self.shuffle = Guard(), random.Random(0)
        self.visits = self.discarded = 0
        self.until = time.monotonic() + limits.seconds
        self.losses: dict[Cell, int] = {}
        self.took = VISIT_TAKES

    @property
    def left(self) -> float:
        """Seconds until the time is up."""
        return self.until - time.monotonic()

    def work(self, contests: Sequence[Sequence[Cell]]) -> None:
        for _ in range(10):
            self.guard.calibrate()
        for number, cells in enumerate(contests):
            self.watcher.contest(cells[0], number + 1, len(contests))
            if number and self.left < 0:
                for cell in cells:
                    self._cut(cell, TIME_UP)
                continue
            self._contest(cells, time.monotonic() + max(0.0, self.left) / (len(contests) - number))

    def _contest(self, cells: Sequence[Cell], until: float) -> None:
        if all(map(self._settled, cells)):
            return
        able: list[Cell] = []
        for cell in cells:
            owed = self.limits.least_rounds * (len(able) + 1) * self.took
            if self.left < (owed if able else 0.0) and not self.workers.has(cell):
                self._cut(cell, TIME_UP)
            elif self._prepare(cell):
                able.append(cell)
        first = number = 1 + max((self.known[cell].last_round for cell in able if cell in self.known), default=0)
        while able and number - first < self.limits.most_rounds:
            settled = [cell for cell in able if self._settled(cell)]
            owed = (self.limits.least_rounds - number + first) * len(able) * self.took
            self.watcher.round(number, len(settled), len(able), max(owed, self.left, 0.0))
            if len(settled) == len(able) or (number - first >= self.limits.least_rounds and time.monotonic() > until):
                return
            # The first is what others are compared with, and its twin: both are in every round.
            live = [
                cell for cell in able if cell not in settled or cell is able[0] or (cell.timed and cell.timed.again)
            ]
            self.shuffle.shuffle(live)
            for cell in live:
                if not self._visit(cell, number):
                    able.remove(cell)
            number += 1

    def _cut(self, cell: Cell, reason: str) -> None:
        """Leave a cell out for lack of time; what an earlier part of the run has measured of it stays."""
        if cell not in self.known or not self.known[cell].visits:
            _left_out(cell, reason, self.sink)

    def _settled(self, cell: Cell) -> bool:
        """Whether its median is known well enough."""
        found = self.known.get(cell)
        if found is None or len(found.visits) < self.limits.least_rounds:
            return False
        middle, low, high = median_interval([one.median for one in found.visits.values()])
        return high - low <= self.limits.width * middle

    def _prepare(self, cell: Cell) -> bool:
        """Whether the cell may be timed: prepared in its process, and right."""
        while True:
            if self.workers.has(cell):
                return True
            try:
                worker = self._worker(cell)
                self.watcher.preparing(cell)
                began = time.monotonic()
                records = self.workers.ask(worker, cell, self.left)
            except LostError as error:
                if self.left <= 0:
                    self._cut(cell, CUT_OFF)
                    return False
                if not self._try_again(cell, error):
                    return False
                continue
            records = [
                msgspec.structs.replace(one, import_seconds=worker.import_seconds) if isinstance(one, Prepared) else one
                for one in records
            ]
            self.sink(Done(cell=cell, status="ok", seconds=time.monotonic() - began), records)
            found = next((one for one in records if isinstance(one, Prepared)), None)
            if found is None or found.verdict == "NOT-RUN" or found.verdict in FAILURES:
                return False
            worker.prepared.add(cell)
            self.known.setdefault(cell, Measured(found)).prepared = found
            return True

    def _visit(self, cell: Cell, number: int) -> bool:
        """One visit that nobody disturbed, if possible; False where the cell is given up."""
        discarded, began = 0, time.monotonic()
        while True:
            if not self._prepare(cell):
                return False
            worker = self._worker(cell)
            try:
                slower = self.guard.calibrate()
                before = self.guard.moment(worker.child.pid)
                records = self.workers.ask(worker, at_round(cell, number))
                after = self.guard.moment(worker.child.pid)
            except LostError as error:
                if not self._try_again(cell, error):
                    return False
                continue
            slower, cores = max(slower, self.guard.calibrate()), foreign(before, after)
            noisy = disturbed(cores, slower)
            if noisy and self.left > 0 and discarded < REPEATS and self.discarded < 10 + MOST_DISCARDED * self.visits:
                discarded += 1
                self.discarded += 1
                time.sleep(0.1 * discarded)
                continue
            (found,) = records
            if isinstance(found, Visit):
                found = msgspec.structs.replace(
                    found, process=worker.number, foreign=round(cores, 3), canary=round(slower, 3),
                    discarded=discarded, noisy=noisy,
                )  # fmt: skip
                self.known[cell].visits[number] = found
                self.visits += 1
                self.took += (time.monotonic() - began - self.took) / (self.visits + 1)
            self.sink(Done(cell=at_round(cell, number), status="ok"), [found])
            return isinstance(found, Visit)

    def _try_again(self, cell: Cell, error: LostError) -> bool:
        """A lost process is started again, unless this cell has lost too many."""
        self.losses[cell] = self.losses.get(cell, 0) + 1
        self.watcher.lost(cell, str(error))
        if self.losses[cell] < ATTEMPTS:
            return True
        self.sink(Done(cell=cell, status=error.status, message=str(error)), [failure(cell, str(error))])
        return False

    def _worker(self, cell: Cell) -> Worker:
        """The process of a cell; what it reaches at best is measured when it first works in this dtype."""
        worker = self.workers.of(cell, self.left)
        if cell.dtype not in worker.ceilings and not (cell.timed and cell.timed.again):
            worker.ceilings.add(cell.dtype)
            this = msgspec.structs.replace(cell, spec="", implementation="formula", timed=Timed(phase=CEILING, batch=0))
            found = [one for one in self.workers.ask(worker, this, self.left) if isinstance(one, Ceiling)]
            self.sink(Done(cell=this, status="ok"), [*found])
        return worker
