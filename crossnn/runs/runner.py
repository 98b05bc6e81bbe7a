"""Runs cells in child processes: one per backend, a few at a time, so that one backend's crash, hang or hunger for
memory costs that cell and nothing else. Where fewer backends are left than may run, two children share the longest.

Every cell ends in exactly one call of `sink(done, records)`, made by the thread that called `run`: the journal behind
it needs no lock, and what was handed over is safe whatever happens next.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from crossnn.errors import CrossnnError
from crossnn.runs.cell import Cell, Done, Record
from crossnn.runs.child import Child, ChildEndedError, ChildTimeoutError
from crossnn.runs.lanes import Lane, lanes_of, longest, shared_folder
from crossnn.runs.signals import deaf_to_interrupts, terminate_like_interrupt
from crossnn.runs.wire import Result, decode_answer, failure
from crossnn.runs.worker import EXECUTE

TIMEOUT = 600.0
START_TIMEOUT = 300.0
START_ATTEMPTS = 3

Sink = Callable[[Done, list[Result]], None]


class InterruptedRunError(CrossnnError):
    """Ctrl-C: every child is gone, every finished cell has been handed over."""

    exit_code = 130


class Watcher(Protocol):
    """Who is told about progress."""

    def started(self, cell: Cell) -> None: ...

    def finished(self, done: Done, records: Sequence[Result]) -> None: ...


def run(
    cells: Sequence[Cell],
    sink: Sink,
    *,
    jobs: int = 2,
    timeout: float = TIMEOUT,
    progress: Watcher | None = None,
    kinds: Mapping[str, str] | None = None,
    not_run: Mapping[str, str] | None = None,
    execute: str = EXECUTE,
) -> None:
    """Run every cell; `not_run` gives the reason why a backend's cells cannot run, `kinds` the kind of each spec.

    `execute` is the dotted path of the function that the workers call.
    """
    able = [cell for cell in cells if cell.backend not in (not_run or {})]
    with shared_folder(able) as folder:
        crew = _Crew(timeout, dict(kinds or {}), execute, folder)
        try:
            with terminate_like_interrupt():
                for cell in cells:
                    if not_run and cell.backend in not_run:
                        crew.skip(cell, not_run[cell.backend])
                crew.work(lanes_of(able), jobs, sink, progress)
        except KeyboardInterrupt:
            with deaf_to_interrupts():
                crew.stop()
                finished = crew.drain(sink, progress)
            raise InterruptedRunError(f"interrupted: {finished} of {len(cells)} cells are finished") from None
        finally:
            crew.stop()


class _Crew:
    """The threads that each look after one child, and the queue through which they report."""

    def __init__(self, timeout: float, kinds: dict[str, str], execute: str, folder: str | None) -> None:
        self.timeout, self.kinds, self.execute, self.folder = timeout, kinds, execute, folder
        self.events: queue.Queue[tuple[Any, ...]] = queue.Queue()
        self.children: set[Child] = set()
        self.lock = threading.Lock()
        self.stopped = False
        self.finished = 0

    def work(self, lanes: list[Lane], jobs: int, sink: Sink, progress: Watcher | None) -> None:
        waiting, begun, running = deque(lanes), list[Lane](), 0
        while True:
            while running < max(1, jobs) and (lane := waiting.popleft() if waiting else longest(begun)):
                begun.append(lane)
                lane.children += 1
                threading.Thread(target=self._serve, args=(lane, lane.children > 1), daemon=True).start()
                running += 1
            if not running and self.events.empty():
                return
            if self._hand_over(self.events.get(), sink, progress):
                running -= 1

    def drain(self, sink: Sink, progress: Watcher | None) -> int:
        """Hand over what was finished before the interruption; the number of finished cells."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._hand_over(self.events.get_nowait(), sink, progress)
        return self.finished

    def stop(self) -> None:
        """No child after this: running ones are killed, new ones are refused."""
        with self.lock:
            self.stopped = True
            children = list(self.children)
        for child in children:
            child.kill()

    def skip(self, cell: Cell, reason: str) -> None:
        record = failure(cell, reason, kind=self.kinds.get(cell.spec, ""), verdict="NOT-RUN")
        self.events.put(("done", Done(cell=cell, status="not-run", message=reason), [record]))

    def _hand_over(self, event: tuple[Any, ...], sink: Sink, progress: Watcher | None) -> bool:
        """Act on one event; True when a lane has ended."""
        match event:
            case ("started", cell):
                if progress:
                    progress.started(cell)
            case ("done", done, records):
                self.finished += 1
                sink(done, records)
                if progress:
                    progress.finished(done, records)
            case ("broken", error):
                raise error
        return bool(event[0] == "ended")

    def _serve(self, lane: Lane, second: bool) -> None:
        """A thread: one child after another until the lane is empty. A second child that does not start is no loss."""
        try:
            failed_starts = 0
            while lane.cells and not self.stopped:
                child, reason = self._start(lane)
                if child is not None:
                    failed_starts = 0
                    self._feed(child, lane, second)
                    continue
                if second:
                    return
                failed_starts += 1
                if failed_starts == START_ATTEMPTS and not self.stopped:
                    message = f"{lane.backend} could not be started, {START_ATTEMPTS} times: {reason}"
                    if cell := lane.take():
                        self._fail(cell, "crashed", message, 0.0)
                    while cell := lane.take():
                        self.skip(cell, message)
        except Exception as error:  # a fault of ours must reach the caller, not vanish with the thread
            self.events.put(("broken", error))
        finally:
            self.events.put(("ended",))

    def _start(self, lane: Lane) -> tuple[Child | None, str]:
        """A child that has said it is ready, or None and the reason."""
        with self.lock:
            if self.stopped:
                return None, "stopped"
            child = Child(lane.backend, lane.device, lane.threads, execute=self.execute, folder=self.folder)
            self.children.add(child)
        try:
            child.receive(START_TIMEOUT)
        except (ChildEndedError, OSError) as error:
            self._discard(child)
            return None, str(error)
        except ChildTimeoutError:
            self._discard(child)
            return None, f"not ready after {START_TIMEOUT:g} s"
        return child, ""

    def _feed(self, child: Child, lane: Lane, second: bool) -> None:
        """Send cells until there are none, or the child is lost with one. A second child begins at the other end."""
        while not self.stopped and (cell := lane.take(last=second)):
            began = time.monotonic()
            self.events.put(("started", cell))
            try:
                child.send(msgspec.json.encode(cell))
                line = child.receive(self.timeout)
            except (ChildEndedError, OSError) as error:
                self._discard(child)
                self._fail(cell, "crashed", f"the {lane.backend} process ended: {error}", time.monotonic() - began)
                return
            except ChildTimeoutError:
                words = child.last_words()
                self._discard(child)
                quoted = f"; it last said: {words}" if words else ""
                self._fail(cell, "timeout", f"no answer within {self.timeout:g} s{quoted}", time.monotonic() - began)
                return
            seconds = time.monotonic() - began
            lane.spent(seconds)
            records = _with_kinds(decode_answer(line, cell), self.kinds)
            self.events.put(("done", Done(cell=cell, status="ok", seconds=seconds), records))
        child.close()
        self._discard(child)

    def _fail(self, cell: Cell, status: Literal["crashed", "timeout"], message: str, seconds: float) -> None:
        if not self.stopped:  # a child that we killed ourselves has not crashed
            record = failure(cell, message, kind=self.kinds.get(cell.spec, ""), seconds=seconds)
            self.events.put(("done", Done(cell=cell, status=status, message=message, seconds=seconds), [record]))

    def _discard(self, child: Child) -> None:
        child.dispose()
        with self.lock:
            self.children.discard(child)


def _with_kinds(records: list[Result], kinds: Mapping[str, str]) -> list[Result]:
    """Records of failed cells learn their spec's kind, which the worker that wrote them may not have known."""
    return [
        msgspec.structs.replace(record, kind=kinds.get(record.spec, ""))
        if isinstance(record, Record) and not record.kind
        else record
        for record in records
    ]
