"""The mutants of one row, each judged as a backend's formula or training would be: a pure function of a cell.

The backend is NumPy: it computes the mutant, in float64, in every case of the row. The first verdict that fails kills;
what cannot be built or run at all counts for nothing. A mutant that is not killed is shown to the oracle (alike.py):
what computes the same is no mutant. The mutants of trainings are mistakes in the loop around formulas (trainings.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Row, Trained
from crossnn.errors import CrossnnError, UnavailableError
from crossnn.parity import check
from crossnn.power.alarms import alarms
from crossnn.power.alike import Alike
from crossnn.power.mutants import Mutant, drawn, mutants
from crossnn.power.posed import Judged, posed, subjects
from crossnn.power.trainings import Rehearsal
from crossnn.runs.cell import ORACLE, Cell, Record
from crossnn.runs.findings import Mutants, Survivor
from crossnn.training.verdict import not_run

BACKEND = "numpy"
ALL = "all"

Told = Mutant | Survivor
"""What knows its operator, its place, and what stood and stands there."""


def judge_mutants(cell: Cell) -> list[Mutants | Record]:
    """The mutants of a row that were found; on another backend than the oracle, the false alarms of the row itself."""
    began = time.perf_counter()
    catalogue = load_catalogue(cell.files)
    row = catalogue.find(cell.spec)
    if cell.backend != ORACLE:
        return alarms(cell, row, began)
    most = None if cell.mode == ALL else int(cell.mode)
    try:
        found = _found(row, catalogue, cell, most)
    except UnavailableError as error:  # data that are not here
        return [not_run(cell, row, str(error))]
    operators = {
        name: tuple(sum(1 for one, how, _ in found if one.operator == name and how in kinds) for kinds in _COUNTED)
        for name in dict.fromkeys(one.operator for one, _, _ in found)
    }
    how = Counter(verdict for _, verdict, _ in found)
    made = len(found) - how["stillborn"]
    return [
        Mutants(
            spec=row.name, kind=row.kind, spec_sha=row.sha, made=made, killed=how["killed"],
            equivalent=how["equivalent"], stillborn=how["stillborn"], operators=operators,  # type: ignore[arg-type]
            survivors=tuple(_told(one, why) for one, verdict, why in found if verdict == "survived"),
            equal=tuple(_told(one, why) for one, verdict, why in found if verdict == "equivalent"),
            seconds=round(time.perf_counter() - began, 3),
        )
    ]  # fmt: skip


def _found(row: Row, catalogue: Catalogue, cell: Cell, most: int | None) -> list[tuple[Told, str, str]]:
    """(mutant, verdict, by what or why) for each that is judged."""
    if isinstance(row, Trained):
        rehearsal = Rehearsal(row, catalogue)
        return [(one.told, *rehearsal.verdict(one)) for one in drawn(row, rehearsal.mutants, most)]
    return [(one, *verdict) for one, verdict in Court(row, catalogue, range(cell.seed + 1)).judged(most)]


_COUNTED = (("killed", "equivalent", "survived"), ("killed",), ("equivalent",))


def _told(one: Told, why: str) -> Survivor:
    return Survivor(operator=one.operator, place=one.place, original=one.original, mutant=one.mutant, why=why)


class Court:
    """A row whose mutants are judged; truth and noise are computed once for all of them."""

    def __init__(self, row: Row, catalogue: Catalogue, seeds: Sequence[int], adapter: Adapter | None = None) -> None:
        self.row, self.catalogue, self.seeds = row, catalogue, seeds
        self.adapter = adapter or registry.started(BACKEND)
        self.cell = Cell(task="check", spec=row.name, backend=BACKEND, mode=self.adapter.modes[0])
        self.originals = {seed: subjects(row, catalogue, seed) for seed in seeds}
        for seed in seeds:
            self._acquit(seed)
        self.alike = Alike(row, catalogue, self.originals[seeds[0]], self.adapter, self._records)

    def _acquit(self, seed: int) -> None:
        """The original passes: otherwise everything would be killed, and nothing would be known."""
        for original in self.originals[seed]:
            for record in self._records(original):
                if record.failed:
                    raise CrossnnError(
                        f"{self.row.name} itself fails on {BACKEND} ({record.quantity}, {record.case}): "
                        f"see 'crossnn check {self.row.name} --backend {BACKEND}'"
                    )

    def judged(self, most: int | None = None) -> list[tuple[Mutant, tuple[str, str]]]:
        """Every mutant with (killed, equivalent, survived or stillborn; why)."""
        return [(one, self.verdict(one)) for one in mutants(self.row, most)]

    def verdict(self, mutant: Mutant) -> tuple[str, str]:
        """(killed, equivalent, survived or stillborn; by what, or why)."""
        for seed in self.seeds:
            try:
                if found := self.killed(mutant, seed):
                    return "killed", found
            except Exception as error:  # whoever wrote this would notice at once: it proves nothing about the checks
                return "stillborn", _words(error)
        same, why = self.alike.verdict(mutant)
        return ("equivalent" if same else "survived"), why

    def killed(self, mutant: Mutant, seed: int) -> str:
        """The first record that fails, in words; empty where none does."""
        changed = subjects(mutant.row, self.catalogue, seed, like=self.row)
        for original, other in zip(self.originals[seed], changed, strict=True):
            stands = posed(original, other)
            for record in self._records(stands) if stands is not None else []:
                if record.failed:
                    return f"{record.verdict} {record.quantity} ({record.case})"
        return ""

    def _records(self, stands: Judged) -> list[Record]:
        records: Callable[..., list[Record]] = check.case_records
        return records(self.cell, self.row, stands, self.adapter)


def _words(error: Exception) -> str:
    if isinstance(error, AssertionError | MemoryError | RecursionError):
        raise error
    return str(error)[:200] if isinstance(error, CrossnnError) else f"{type(error).__name__}: {error}"[:200]
