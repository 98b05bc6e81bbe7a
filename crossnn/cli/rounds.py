"""Progress of a timing on standard error: what is prepared, which round it is, and how long it will still take."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import click

from crossnn.runs.cell import Cell

EVERY_SECONDS = 15.0


def watch_rounds() -> PlainRounds:
    return RichRounds() if sys.stderr.isatty() else PlainRounds()


class PlainRounds:
    """For logs: a line per contest, and one at intervals."""

    def __init__(self) -> None:
        self.said = 0.0
        self.about = ""

    def __enter__(self) -> PlainRounds:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def contest(self, cell: Cell, number: int, total: int) -> None:
        assert cell.timed is not None
        self.about = f"{number} of {total}: {cell.spec} {cell.timed.phase}, batch {cell.timed.batch}, {cell.dtype}"
        self.say(self.about)

    def preparing(self, cell: Cell) -> None:
        self.now(f"{self.about}: {cell.backend} {cell.mode} compiles, is judged")

    def round(self, number: int, settled: int, contenders: int, seconds_left: float) -> None:
        text = (
            f"{self.about}: round {number}, {settled} of {contenders} medians known; at most {seconds_left:.0f} s left"
        )
        self.now(text)

    def lost(self, cell: Cell, message: str) -> None:
        self.say(f"{cell.label}: {message}")

    def now(self, text: str) -> None:
        """What is going on: said now and then."""
        if time.monotonic() - self.said > EVERY_SECONDS:
            self.say(text)

    def say(self, text: str) -> None:
        """What must be said."""
        self.said = time.monotonic()
        click.echo(text, err=True)


class RichRounds(PlainRounds):
    """For people: one line that changes."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console

        self.console = Console(stderr=True)
        self.status = self.console.status("starting")

    def __enter__(self) -> RichRounds:
        self.status.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.status.stop()

    def contest(self, cell: Cell, number: int, total: int) -> None:
        super().contest(cell, number, total)
        self.now(self.about)

    def now(self, text: str) -> None:
        from rich.text import Text

        self.status.update(Text(text))

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)
