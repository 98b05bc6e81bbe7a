"""One question, asked of one backend: a pure function of its cell, but for the seconds."""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Question
from crossnn.errors import SpecError, UnavailableError
from crossnn.parity.backend import started
from crossnn.questions.protocols import PROTOCOLS, settings_of
from crossnn.questions.rule import Case, judge, points_of
from crossnn.runs.cell import Answer, Cell, Record
from crossnn.runs.wire import failure

EVERY = "all"


@dataclass(frozen=True)
class Ask:
    """What a protocol is given. `modes` are those of the backend that were asked for; the first one is eager."""

    settings: dict[str, Any]
    seeds: range
    catalogue: Catalogue
    adapter: Adapter
    modes: tuple[str, ...]

    @property
    def fastest(self) -> str:
        """The mode in which trainings are run, where the mode is not what is asked about."""
        return self.adapter.modes[min(1, len(self.adapter.modes) - 1)]


def ask(cell: Cell) -> list[Answer | Record]:
    """The answer; NOT-RUN where what it needs is not here."""
    began = time.perf_counter()
    catalogue = load_catalogue(cell.files)
    row = catalogue.find(cell.spec)
    if not isinstance(row, Question):
        raise SpecError(f"{cell.spec!r} is a {row.kind}, not a question")
    try:
        adapter, facts = started(cell.backend, cell.device, cell.dtype, cell.threads)
        cases = _measured(cell, row, catalogue, adapter)
    except UnavailableError as error:
        return [failure(cell, str(error), kind=row.kind, verdict="NOT-RUN")]
    exact, points = PROTOCOLS[row.protocol].exact, points_of(row.holds, cases)
    verdict, when = judge(points, row.holds, row.by, row.most, exact)
    return [
        Answer(
            spec=row.name, spec_sha=row.sha, backend=cell.backend, says=row.says, means=row.means, source=row.source,
            rule=tuple(row.holds), by=tuple(row.by), most=row.most, exact=exact, verdict=verdict, when=when,
            points=tuple(points), seconds=round(time.perf_counter() - began, 3), facts=dataclasses.asdict(facts),
        )
    ]  # fmt: skip


def _measured(cell: Cell, row: Question, catalogue: Catalogue, adapter: Adapter) -> list[Case]:
    """What the protocol measures; claims that are judged by the same measurement share it."""
    modes = tuple(cell.mode.split(",")) if cell.mode else tuple(adapter.modes)
    seeds = range(cell.seed * row.seeds, (cell.seed + 1) * row.seeds)
    given = settings_of(row)
    key = (row.protocol, repr(given), seeds, modes, cell.backend, cell.device, cell.threads, cell.files)
    if key not in _kept:
        module, _, name = PROTOCOLS[row.protocol].path.partition(":")
        measure: Callable[[Ask], Iterable[Case]] = getattr(importlib.import_module(module), name)
        _kept[key] = list(measure(Ask(given, seeds, catalogue, adapter, modes)))
    return _kept[key]


_kept: dict[Any, list[Case]] = {}
"""Of a worker process, whose specifications do not change."""


def question_cells(
    rows: Sequence[Question], *, files: Sequence[str], backends: Sequence[str], modes: Sequence[str] | None,
    devices: Sequence[str], seeds: Sequence[int],
) -> list[Cell]:  # fmt: skip
    """A cell for every question and backend that it is meant for, among those asked for."""
    cells = []
    for row in rows:
        for backend in backends:
            if EVERY not in row.backends and backend not in row.backends:
                continue
            own = registry.find(backend).modes
            wanted = [mode for mode in own if modes is None or "all" in modes or mode in modes]
            if own and not wanted:
                continue
            mode = "" if len(wanted) == len(own) else ",".join(wanted)
            cells += [
                Cell(task="question", spec=row.name, backend=backend, mode=mode, device=device, seed=seed,
                     files=tuple(files))
                for seed in seeds
                for device in devices
            ]  # fmt: skip
    return cells
