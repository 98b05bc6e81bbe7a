"""The cells of `crossnn power`: one for the mutants of each row, one for its false alarms with each seed."""

from __future__ import annotations

from collections.abc import Sequence

from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.errors import CrossnnError, choices
from crossnn.parity.plan import TRAINED
from crossnn.power.judge import ALL, BACKEND
from crossnn.power.mutants import can_be_mutated
from crossnn.runs.cell import ORACLE, Cell


def power_cells(
    names: Sequence[str], *, files: Sequence[str] = (), sample: int | None = None, seeds: int = 1, alarm_seeds: int = 0
) -> list[Cell]:
    """The mutants of the named rows, else of those of `files`, else of the whole catalogue (of trainings that differ in
    a setting, of the first); then the rows themselves, with `alarm_seeds` seeds."""
    catalogue = load_catalogue(files)
    rows = [catalogue.find(name) for name in names] or [row for file in files for row in catalogue.of_file(file)]
    rows = rows or list(catalogue.rows.values())
    mutated = [row for row in rows if can_be_mutated(row)]
    if names and len(mutated) < len(rows):
        others = [f"{row.name} ({row.kind})" for row in rows if row not in mutated]
        raise CrossnnError(
            f"{choices(others)}: has nothing to be mutated; formulas, networks, and what is trained for a step have"
        )
    if not names and not files:
        mutated = _one_of_each_family(mutated)
    mode = ALL if sample is None else str(sample)
    cells = [
        Cell(task="power", spec=row.name, backend=ORACLE, mode=mode, seed=seeds - 1, files=tuple(files))
        for row in mutated
    ]
    alarmed = [
        row for row in rows if row.kind != "question" and (row.kind not in TRAINED or getattr(row, "main", False))
    ]
    return cells + [
        Cell(task="power", spec=row.name, backend=BACKEND, mode="alarms", seed=seed, files=tuple(files))
        for row in alarmed
        for seed in range(alarm_seeds)
    ]


def _one_of_each_family(rows: Sequence[Row]) -> list[Row]:
    """Of trainings that are written as one, the first."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        found.setdefault((row.kind, getattr(row, "family", "") or row.name), row)
    return list(found.values())
