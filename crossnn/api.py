"""crossnn from Python: `load` a specification, `check` specifications, read the `Report`.

The same cells, verdicts and refusals as the command line, without its printing. Like there, what was asked for by name
must be here, and a check in which nothing could run is an error.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from tabulate import tabulate

from crossnn import registry
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.errors import BackendError, CrossnnError, NothingRanError, choices, unknown
from crossnn.report.build import Run, blocks
from crossnn.report.differences import failure_blocks, failures
from crossnn.report.document import Table, to_markdown
from crossnn.report.summary import matrices, nothing_ran, sentence
from crossnn.runs import machine, runner
from crossnn.runs.cell import Cell, Done, Implementation, Record
from crossnn.runs.wire import Result, failure

DTYPES = ("float64", "float32")
IMPLEMENTATIONS: tuple[Implementation, ...] = ("formula", "native")


@dataclass(frozen=True, repr=False)
class Report:
    """What a check found. `records` come in the order of the plan, the specification's own (backend `oracle`) first."""

    records: tuple[Record, ...]
    machine: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failures(self) -> list[Record]:
        """What makes a run fail, the worst first; empty where all is as expected."""
        return failures(self.records)

    def to_markdown(self) -> str:
        """The report that `crossnn run` would write for these records."""
        return to_markdown(blocks(Run(self.records, (), self.machine)))

    def to_json(self) -> str:
        """Every record, as `crossnn check --json` writes them, and the machine."""
        records = [msgspec.to_builtins(one) for one in self.records]
        return json.dumps({"machine": dict(self.machine), "records": records}, indent=1)

    def __repr__(self) -> str:
        return f"<Report: {sentence(self.records)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the failures, and the verdict matrices."""
        parts = [f"<p>{html.escape(sentence(self.records))}</p>"]
        if self.failures:
            parts += [_table(block) for block in failure_blocks(self.records) if isinstance(block, Table)]
        for (kind, dtype), table in matrices(self.records).items():
            parts += [f"<p><b>{html.escape(kind)}, {html.escape(dtype)}</b></p>", _table(table)]
        return "\n".join(parts)


def load(name: str, files: Iterable[str] = ()) -> Row:
    """The specification of this name, from the catalogue or from TOML files of your own."""
    return load_catalogue(_several(files)).find(name)


def check(
    *names: str,
    files: Iterable[str] = (),
    backends: Iterable[str] | None = None,
    modes: Iterable[str] | None = None,
    dtypes: Iterable[str] = DTYPES,
    implementations: Iterable[Implementation] = IMPLEMENTATIONS,
    seeds: int = 1,
    processes: bool = True,
) -> Report:
    """Compare specifications with arbitrary precision: the named rows, else those of `files`, else the catalogue.

    None stands for every installed backend, and for every mode that does not compile for seconds per formula
    (`modes="all"` takes these too). Every backend has a child process of its own, which it may crash;
    `processes=False` runs all of it here.
    """
    from crossnn.parity.plan import check_cells

    given, own = _several(files), [] if backends is None else _several(backends)
    wanted, kept = None if modes is None else _several(modes), _several(dtypes)
    chosen = [_known_implementation(one) for one in _several(implementations)]
    for dtype in kept:
        if dtype not in DTYPES:
            raise CrossnnError(unknown("dtype", dtype, DTYPES))
    missing = missing_backends(own)
    _known_modes(own or list(registry.backends()), wanted or [])
    if seeds < 1:
        raise CrossnnError(f"seeds is {seeds}; give the number of seeds, 1 or more")
    cells = check_cells(
        names,
        files=given,
        backends=own,
        modes=wanted,
        dtypes=kept,
        implementations=chosen,
        seeds=range(seeds),
    )
    kinds = {name: row.kind for name, row in load_catalogue(given).rows.items()}
    records = (_in_children if processes else _here)(cells, kinds, missing)
    if nothing_ran(records):
        reasons = dict.fromkeys(f"{record.backend}: {record.message}" for record in records)
        raise NothingRanError("nothing could run: " + ("; ".join(list(reasons)[:5]) or "no cell was selected"))
    options: dict[str, Sequence[str]] = {
        "backend": own, "mode": wanted or [], "dtype": kept, "implementation": chosen, "seeds": [str(seeds)],
    }  # fmt: skip
    again = [f"--{option}={','.join(values)}" for option, values in options.items() if values]
    return Report(records, machine.describe(["check", *names, *given, *again]))


def _in_children(cells: Sequence[Cell], kinds: Mapping[str, str], missing: Mapping[str, str]) -> tuple[Record, ...]:
    found: dict[Cell, list[Result]] = {}

    def keep(done: Done, results: list[Result]) -> None:
        found[done.cell] = results

    runner.run(cells, keep, kinds=kinds, not_run=missing)
    return _records(result for cell in cells for result in found.get(cell, ()))


def _here(cells: Sequence[Cell], kinds: Mapping[str, str], missing: Mapping[str, str]) -> tuple[Record, ...]:
    from crossnn.runs.execute import run_cell

    def results(cell: Cell) -> Sequence[Result]:
        if cell.backend in missing:
            return [failure(cell, missing[cell.backend], kind=kinds.get(cell.spec, ""), verdict="NOT-RUN")]
        return run_cell(cell)

    return _records(result for cell in cells for result in results(cell))


def _records(results: Iterable[Result]) -> tuple[Record, ...]:
    return tuple(result for result in results if isinstance(result, Record))


def missing_backends(asked: Sequence[str]) -> dict[str, str]:
    """Why a backend cannot run; an error where it was asked for by name."""
    found = {}
    for name in asked or registry.backends():
        backend = registry.find(name)
        if backend.missing:
            found[name] = f"needs {', '.join(backend.missing)}, not installed here: {backend.hint}"
            if asked:
                raise BackendError(f"backend {name!r} {found[name]}")
    return found


def _known_modes(backends: Sequence[str], modes: Sequence[str]) -> None:
    """A mode must exist in one of the backends; those of an adapter that is not registered are not known here."""
    own = [registry.find(name).modes for name in backends]
    known = dict.fromkeys(mode for listed in own for mode in listed)
    for mode in modes if all(own) else ():
        if mode not in known and mode != "all":
            raise BackendError(unknown("mode", mode, known, f"Backends: {choices(backends)}."))


def _known_implementation(name: str) -> Implementation:
    for known in IMPLEMENTATIONS:
        if name == known:
            return known
    raise CrossnnError(unknown("implementation", name, IMPLEMENTATIONS))


def _several(names: Iterable[str]) -> list[str]:
    """A single name stands for a list of one: "torch" is not five backends."""
    return [names] if isinstance(names, str) else list(names)


def _table(table: Table) -> str:
    """tabulate escapes what it puts into HTML."""
    heads = [head.replace("\n", " ") for head in table.headers]
    return str(tabulate([list(row) for row in table.rows], headers=heads, tablefmt="html", disable_numparse=True))
