"""Frameworks timed from Python: `crossnn.time`, and what it returns."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import msgspec
from tabulate import tabulate

from crossnn.errors import CrossnnError, NothingRanError, unknown
from crossnn.report.document import Block, Heading, Table, Text, to_markdown
from crossnn.report.timing import contest_table, notes, title
from crossnn.runs.cell import Cell, Done
from crossnn.runs.journal import Entry
from crossnn.runs.timed import Ceiling, Prepared
from crossnn.runs.wire import Result
from crossnn.timing.plan import time_plan
from crossnn.timing.results import WIDTH, Contest, contests, measured
from crossnn.timing.rounds import Limits, time_cells

DTYPES = ("float64", "float32", "bfloat16", "tf32")


@dataclass(frozen=True, repr=False)
class Timed:
    """The contests, each with its standings: who took how long, with intervals; what was wrong or could not run."""

    contests: tuple[Contest, ...]
    entries: tuple[Entry, ...]

    @property
    def failures(self) -> list[Prepared]:
        """What gave a wrong result, which has no time."""
        found = [record for entry in self.entries for record in entry.records if isinstance(record, Prepared)]
        return [one for one in found if one.message and one.verdict != "NOT-RUN"]

    def to_markdown(self) -> str:
        blocks: list[Block] = []
        for contest in self.contests:
            blocks += [Heading(2, title(contest.about)), contest_table(contest)]
            blocks += [Text(note) for note in notes(contest, WIDTH)]
        return to_markdown(blocks)

    def to_json(self) -> str:
        """Every record, as `crossnn time --json` writes them."""
        records = [msgspec.to_builtins(record) for entry in self.entries for record in entry.records]
        return json.dumps(records, indent=1)

    def __repr__(self) -> str:
        best = ", ".join(
            f"{title(one.about)}: {one.about.backend} {one.about.mode}" for one in self.contests if one.standings
        )
        count = len(self.contests)
        return f"<Timed: {count} contest{'' if count == 1 else 's'}; fastest: {best or 'none'}>"

    def _repr_html_(self) -> str:
        return "\n".join(
            f"<p><b>{html.escape(title(one.about))}</b></p>{_table(contest_table(one))}" for one in self.contests
        )


def _table(table: Table) -> str:
    heads = [head.replace("\n", " ") for head in table.headers]
    return str(tabulate([list(row) for row in table.rows], headers=heads, tablefmt="html", disable_numparse=True))


class _Quiet:
    """Nobody is told about progress."""

    def contest(self, cell: Cell, number: int, total: int) -> None: ...

    def preparing(self, cell: Cell) -> None: ...

    def round(self, number: int, settled: int, contenders: int, seconds_left: float) -> None: ...

    def lost(self, cell: Cell, message: str) -> None: ...


def time(
    *names: str,
    files: Iterable[str] = (),
    backends: Iterable[str] = (),
    modes: Iterable[str] | None = None,
    phases: Iterable[str] = (),
    batches: Sequence[int] = (),
    dtypes: Iterable[str] = ("float32",),
    threads: int = 1,
    settings: Mapping[str, Any] | None = None,
    base: str = "",
    limit: float = 540.0,
) -> Timed:
    """Time networks, layers, losses and optimizers, each backend in a process of its own. When `limit` seconds are
    over, nothing more is begun, and what was not ready is named; only the first rounds of what is are finished.

    The results are judged first: what is wrong has no time. `crossnn time --help` says what each argument means.
    """
    from crossnn.api import missing_backends

    began = monotonic()
    own = _several(backends)
    given = _several(files)
    for name in _several(dtypes):
        if name not in DTYPES:
            raise CrossnnError(unknown("dtype", name, DTYPES))
    for size in batches:
        if size < 1:
            raise CrossnnError(f"batch size {size}; give whole numbers from 1 on")
    if threads < 1:
        raise CrossnnError(f"threads is {threads}; give a whole number from 1 on")
    if not limit > 0:  # so written, NaN is refused too
        raise CrossnnError(f"limit is {limit:g}; give the seconds that all of it may take")
    missing = missing_backends(own)
    cells = time_plan(
        names, files=given, backends=own, modes=None if modes is None else _several(modes), phases=_several(phases),
        batches=list(batches), dtypes=_several(dtypes), threads=(threads,), settings=settings or {}, base=base,
    )  # fmt: skip
    entries: list[Entry] = []

    def keep(done: Done, results: list[Result]) -> None:
        entries.append(Entry(done, tuple(results)))

    time_cells(
        cells, keep, limits=Limits(seconds=limit - (monotonic() - began)), watcher=_Quiet(), known={}, not_run=missing
    )
    found, absent = measured(entries)
    if not found:
        reasons = dict.fromkeys(f"{one.backend}: {one.message}" for one in absent)
        raise NothingRanError("nothing could be timed: " + ("; ".join(list(reasons)[:5]) or "no cell was selected"))
    ceilings = [record for entry in entries for record in entry.records if isinstance(record, Ceiling)]
    return Timed(tuple(contests(found, absent, ceilings)), tuple(entries))


def _several(names: Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
