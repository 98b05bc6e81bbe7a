"""The side of the lesson that runs in a child process of one backend: a step in, plain data out.

A worker (crossnn/runs/worker.py) calls `run` with a cell whose `spec` is a step, and whose `mode` is `all` where the
slow compilers are wanted too. Numbers that JSON does not know travel as text.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crossnn.lesson.bench import Bench
from crossnn.lesson.measure_control import branching, error_location
from crossnn.lesson.measure_cost import memory, speed
from crossnn.lesson.measure_graph import both_give, executions, graphs, operations
from crossnn.lesson.measure_numbers import derivatives, rewritten, training
from crossnn.lesson.mistakes import find_mistakes
from crossnn.parity.backend import started
from crossnn.runs.cell import Cell

MEASURES: Mapping[str, Callable[[Bench], dict[str, Any]]] = {
    "L0": both_give,
    "L1": operations,
    "L2": executions,
    "L3": graphs,
    "L4": derivatives,
    "L5": speed,
    "L6": memory,
    "L7": error_location,
    "L8": rewritten,
    "L9": branching,
    "L10": training,
    "L11": find_mistakes,
}
ALL = "all"


@dataclass(frozen=True)
class Alone:
    """A framework that is in the lesson and not in the catalogue: one module, which measures all of its only step."""

    package: str
    module: str
    hint: str

    @property
    def missing(self) -> bool:
        return importlib.util.find_spec(self.package) is None


ALONE: Mapping[str, Alone] = {
    "pytensor": Alone("pytensor", "crossnn.backends.pytensor_lesson", "pip install 'crossnn[pytensor]'")
}


def run(cell: Cell) -> list[dict[str, Any]]:
    """What one step measures on the backend of this cell."""
    if cell.backend in ALONE:
        report = importlib.import_module(ALONE[cell.backend].module).report
        return [{"step": cell.spec, "dtype": cell.dtype, **report()}]
    adapter, facts = started(cell.backend, cell.device, cell.dtype, cell.threads)
    bench = Bench(adapter, cell.dtype, cell.mode == ALL)
    about = {"step": cell.spec, "dtype": cell.dtype, "versions": dict(facts.versions), "left_out": bench.left_out}
    return [{**about, **MEASURES[cell.spec](bench)}]
