"""Progress on standard error: bars with an estimate in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import click

from crossnn.runs.cell import Cell, Done
from crossnn.runs.wire import Result

EVERY_SECONDS = 30.0


def watch(cells: Sequence[Cell]) -> PlainProgress | RichProgress:
    """The progress display that suits standard error; a context manager and a `Watcher`."""
    return RichProgress(cells) if sys.stderr.isatty() else PlainProgress(cells)


class PlainProgress:
    """For logs: a line per finished backend, and one at intervals."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.left = Counter(cell.backend for cell in cells)
        self.total, self.begun = len(cells), time.monotonic()
        self.said = self.begun
        self.done = self.failed = 0

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def started(self, cell: Cell) -> None:
        return None

    def finished(self, done: Done, records: Sequence[Result]) -> None:
        self.done += 1
        self.left[done.cell.backend] -= 1
        if done.status in ("crashed", "timeout"):
            click.echo(f"{done.cell.label}: {done.message}", err=True)
        elapsed = time.monotonic() - self.begun
        if self.left[done.cell.backend] == 0 and done.status != "not-run":
            click.echo(f"{done.cell.backend}: done after {elapsed:.0f} s ({self.done} of {self.total} cells)", err=True)
            self.said = time.monotonic()
        elif time.monotonic() - self.said > EVERY_SECONDS:
            left = elapsed / self.done * (self.total - self.done)
            click.echo(f"{self.done} of {self.total} cells, about {left:.0f} s left", err=True)
            self.said = time.monotonic()


class RichProgress:
    """For people: a bar per backend, with the cell at work and the time left."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.bars = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            Remaining(),
            TextColumn("{task.fields[cell]}", markup=False),
            console=Console(stderr=True),
            transient=True,
        )
        self.totals = Counter(cell.backend for cell in cells)
        self.tasks: dict[str, Any] = {
            name: self.bars.add_task(name.rpartition(":")[2], total=total, start=False, cell="")
            for name, total in self.totals.items()
        }

    def __enter__(self) -> RichProgress:
        self.bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.bars.stop()

    def started(self, cell: Cell) -> None:
        task = self.tasks[cell.backend]
        if self.bars.tasks[task].start_time is None:
            self.bars.start_task(task)
        self.bars.update(task, cell=f"{cell.task} {cell.spec} {cell.mode} {cell.implementation} {cell.dtype}")

    def finished(self, done: Done, records: Sequence[Result]) -> None:
        self.bars.advance(self.tasks[done.cell.backend])
        if done.status in ("crashed", "timeout"):
            self.bars.console.print(f"{done.cell.label}: {done.message}", markup=False, highlight=False)
