"""The one function that does a cell's work, wherever the cell runs: here, in a child process, or on a cluster."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from crossnn.runs.cell import Cell

if TYPE_CHECKING:
    from crossnn.runs.wire import Result

TASKS: Mapping[str, str] = {
    "check": "crossnn.parity.check:check",
    "train": "crossnn.training.train:train",
    "question": "crossnn.questions.ask:ask",
    "atlas": "crossnn.atlas.measure:measure",
    "power": "crossnn.power.judge:judge_mutants",
    "convention": "crossnn.conventions.measure:measure",
}
"""Task -> the function that does it, imported where it is done; timing has one of its own (timing/execute.py)."""


def run_cell(cell: Cell) -> list[Result]:
    """The records of a cell; a pure function of it."""
    module, _, name = TASKS[cell.task].partition(":")
    do: Callable[[Cell], Sequence[Result]] = getattr(importlib.import_module(module), name)
    return [*do(cell)]
