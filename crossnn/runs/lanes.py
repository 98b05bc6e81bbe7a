"""Which child process works through which cells, and in what order.

The cells of a process share a backend, a device and a number of threads, which a framework reads once. Cells that
differ in nothing but the seed follow each other: what was recorded, compiled and traced for the first serves all.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from crossnn.runs.cell import ORACLE, Cell

WORTH_SECONDS = 20.0
"""A second child is started for a lane that will take so much longer: a framework alone takes some seconds to load."""


class Lane:
    """The cells that one child after another works through; two at once, from both ends, towards the end of a run."""

    def __init__(self, backend: str, device: str, threads: int, cells: Iterable[Cell]) -> None:
        self.backend, self.device, self.threads = backend, device, threads
        self.cells = deque(cells)
        self.children = 0
        self._finished, self._seconds = 0, 0.0

    def take(self, last: bool = False) -> Cell | None:
        """The next cell, or the last; None where another child took it."""
        with contextlib.suppress(IndexError):
            return self.cells.pop() if last else self.cells.popleft()
        return None

    def spent(self, seconds: float) -> None:
        self._finished += 1
        self._seconds += seconds

    @property
    def seconds_left(self) -> float:
        """What one child would still need, if the rest is like what is done."""
        return len(self.cells) * self._seconds / max(self._finished, 1)


def lanes_of(cells: Sequence[Cell]) -> list[Lane]:
    """The longest first, so that it does not end last."""
    lanes: dict[tuple[str, str, int], list[Cell]] = {}
    for cell in in_order(cells):
        lanes.setdefault((cell.backend, cell.device, cell.threads), []).append(cell)
    longest_first = sorted(lanes.items(), key=lambda item: -len(item[1]))
    return [Lane(*key, group) for key, group in longest_first]


def in_order(cells: Sequence[Cell]) -> list[Cell]:
    """Seeds next to each other, everything else as it was planned."""
    places: dict[Cell, int] = {}
    for cell in cells:
        places.setdefault(msgspec.structs.replace(cell, seed=0), len(places))
    return sorted(cells, key=lambda cell: places[msgspec.structs.replace(cell, seed=0)])


def longest(begun: Iterable[Lane]) -> Lane | None:
    """The lane for which a second child pays."""
    alone = [lane for lane in begun if lane.children == 1 and lane.seconds_left > WORTH_SECONDS]
    return max(alone, key=lambda lane: lane.seconds_left, default=None)


@contextlib.contextmanager
def shared_folder(cells: Sequence[Cell]) -> Iterator[str | None]:
    """A folder in which children keep what all of them need; none where one child does all checks and timings."""
    if (
        len(
            {
                (cell.backend, cell.task == "time" and cell.mode)
                for cell in cells
                if cell.task != "train" and cell.backend != ORACLE
            }
        )
        < 2
    ):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="crossnn-", ignore_cleanup_errors=True) as folder:
        yield folder
