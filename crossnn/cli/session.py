"""Running selected cells and saying what came out: the part that `check` and `run` share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from crossnn import registry
from crossnn.cli.folder import opened
from crossnn.cli.options import Selection, write_json
from crossnn.cli.progress import watch
from crossnn.errors import NothingRanError
from crossnn.report.differences import alike, failures, index, not_run_rows, where
from crossnn.report.document import plain_table
from crossnn.report.summary import counts, label, matrix, nothing_ran, number, sentence
from crossnn.runs import journal, machine, runner
from crossnn.runs.cell import ORACLE, Answer, Cell, Done, Record, Training
from crossnn.runs.findings import Accuracy, Convention, Finding, Mutants
from crossnn.runs.timed import Ceiling, Prepared, Visit
from crossnn.runs.wire import Result
from crossnn.runs.worker import EXECUTE

if TYPE_CHECKING:
    from crossnn.catalogue.rows import Row

MOST_FAILURES = 40
MOST_PLACES = 8


@dataclass
class Outcome:
    """What a command judged."""

    records: list[Record] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    cells: list[Done] = field(default_factory=list)
    timings: list[Prepared | Visit] = field(default_factory=list)
    ceilings: list[Ceiling] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add(self, done: Done, records: Sequence[Result]) -> None:
        self.cells.append(done)
        for record in records:
            match record:
                case Record():
                    self.records.append(record)
                case Training():
                    self.trainings.append(record)
                case Answer():
                    self.answers.append(record)
                case Accuracy() | Mutants() | Convention():
                    self.findings.append(record)

    def judge_curves(self) -> None:
        """Judge the loss curves, once all of them and their references are here."""
        from crossnn.training.verdict import judge_curves

        self.trainings, curves = judge_curves(self.trainings)
        self.records += curves

    @property
    def failed(self) -> bool:
        return any(record.failed for record in self.records)

    @property
    def nothing_ran(self) -> bool:
        trained = any(one.backend != ORACLE for one in self.trainings)
        return nothing_ran(self.records) and not trained and not self.answers and not self.findings


def threaded(cells: Sequence[Cell], threads: int) -> list[Cell]:
    """The cells, with the number of threads that was asked for."""
    return [msgspec.structs.replace(cell, threads=threads) for cell in cells]


def run_cells(
    cells: Sequence[Cell],
    chosen: Selection,
    kinds: Mapping[str, str],
    sink: Callable[[Done, list[Result]], None],
) -> None:
    """Run, with progress on standard error."""
    with watch(cells) as progress:
        runner.run(
            cells,
            sink,
            jobs=chosen.jobs,
            timeout=chosen.timeout,
            progress=progress,
            kinds=kinds,
            not_run=chosen.missing,
            execute=EXECUTE,
        )


def run_into(
    folder: Path, resume: bool, cells: Sequence[Cell], chosen: Selection, rows: Iterable[Row], outcome: Outcome
) -> None:
    """Run what is not finished yet, each result written to the folder as it comes; then everything that it holds."""
    known = list(rows)
    with opened(folder, resume, chosen.threads) as book:
        todo = journal.remaining(cells, book.contents.finished_cells({row.name: row.sha for row in known}))
        if len(todo) < len(cells):
            click.echo(f"{len(cells) - len(todo)} of {len(cells)} cells are finished already", err=True)
        run_cells(todo, chosen, {row.name: row.kind for row in known}, book.write)
    for entry in journal.read(folder).entries:
        outcome.add(entry.done, entry.records)


def conclude(outcome: Outcome, chosen: Selection, began: float, arguments: Sequence[str]) -> int:
    """Write the JSON document, refuse where nothing ran, and give the exit code."""
    code = NothingRanError.exit_code if outcome.nothing_ran else int(outcome.failed)
    if chosen.json_file:
        _write_json(outcome, chosen, code, arguments)
    if outcome.nothing_ran:
        said: list[Record | Prepared] = [
            *outcome.records,
            *(one for one in outcome.timings if isinstance(one, Prepared)),
        ]
        reasons = list(dict.fromkeys(f"{one.backend}: {one.message}" for one in said if one.message))
        raise NothingRanError("nothing could run: " + ("; ".join(reasons[:5]) or "no cell was selected"))
    other = outcome.answers or outcome.findings
    found = [sentence(outcome.records)] if outcome.records or not other else []
    if outcome.answers:
        from crossnn.report.questions import answers_sentence

        found.append(answers_sentence(outcome.answers))
    if outcome.findings:
        found.append(f"{len(outcome.findings)} findings measured.")
    click.echo(f"{' '.join(found)} {time.monotonic() - began:.0f} s.", err=chosen.json_file == "-")
    return code


def show_records(records: Sequence[Record], chosen: Selection) -> None:
    """The matrix per dtype, and in full what is not equal."""
    to_stderr = chosen.json_file == "-"
    here = [record for record in records if record.backend not in chosen.missing]
    for dtype in dict.fromkeys(record.dtype for record in here):
        table = matrix([record for record in here if record.dtype == dtype])
        click.echo(plain_table([dtype, *table.headers[1:]], table.rows) + "\n", err=to_stderr)
    show_failures(records, MOST_FAILURES, "--json FILE has all", to_stderr)
    for finding in alike([record for record in records if record.verdict == "ILL-CONDITIONED"])[:MOST_FAILURES]:
        click.echo(describe_finding(finding) + "\n", err=to_stderr)
    for name, number_of in _known(records).items():
        click.echo(f"KNOWN {name}: {number_of} quantities", err=to_stderr)
    for backend, implementation, message, times, what in not_run_rows(records):
        click.echo(f"NOT-RUN {backend} {implementation}: {message} ({times}: {what})", err=to_stderr)


def say_left_out(chosen: Selection) -> None:
    """What a plain `check` leaves out must not be taken for checked."""
    if chosen.modes is not None:
        return
    here = [name for name in chosen.backends if name not in chosen.missing]
    slow = [f"{name} {mode}" for name in here for mode in registry.find(name).slow_modes]
    if slow:
        text = f"Not checked: {', '.join(slow)} (seconds of compilation per formula); --mode all checks all modes."
        click.echo(text, err=chosen.json_file == "-")


def show_failures(records: Sequence[Record], most: int, elsewhere: str, to_stderr: bool) -> None:
    """The findings, each described once with all places where it was seen."""
    findings = alike(failures(records))
    for finding in findings[:most]:
        click.echo(describe_finding(finding) + "\n", err=to_stderr)
    if len(findings) > most:
        click.echo(f"... and {len(findings) - most} more findings ({elsewhere})\n", err=to_stderr)


def describe_finding(finding: Sequence[Record]) -> str:
    """A failure in a few lines: what and where, the element that departs most, the reason, where else."""
    record = max(finding, key=lambda one: one.r or 0.0)
    what = label(record) if record.quantity == "-" else f"{label(record)}: {record.quantity}"
    lines = [f"{record.verdict} {what} - {where(record)}"]
    if record.worst is not None:
        lines.append(
            f"  at {index(record)}: expected {record.worst.expected}, actual {record.worst.actual}; "
            f"{number(record.digits)} digits agree, r = {number(record.r)}"
        )
    if record.call or record.message:
        lines.append("  " + " - ".join(part for part in (record.call, record.message) if part))
    others = [where(one) for one in finding if one is not record]
    if others:
        more = f"; and {len(others) - MOST_PLACES} more" if len(others) > MOST_PLACES else ""
        lines.append(f"  also in {'; '.join(others[:MOST_PLACES])}{more}")
    return "\n".join(lines)


def _known(records: Sequence[Record]) -> dict[str, int]:
    found: dict[str, int] = {}
    for record in records:
        if record.verdict == "KNOWN":
            found[record.known or "?"] = found.get(record.known or "?", 0) + 1
    return found


def _write_json(outcome: Outcome, chosen: Selection, code: int, arguments: Sequence[str]) -> None:
    document: dict[str, Any] = {
        "machine": machine.describe(arguments, chosen.threads),
        "exit_code": code,
        "counts": counts(outcome.records),
        "records": outcome.records,
        "trainings": outcome.trainings,
        **({"answers": outcome.answers} if outcome.answers else {}),
        **({"findings": outcome.findings} if outcome.findings else {}),
        "cells": outcome.cells,
        **({"timings": outcome.timings, "ceilings": outcome.ceilings} if outcome.timings else {}),
    }
    write_json(str(chosen.json_file), document)
