"""Run folders: which one, and that results of different versions never end in one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from crossnn.errors import CrossnnError
from crossnn.runs import journal, machine
from crossnn.runs.runner import InterruptedRunError

RUNS = Path("runs")


def folder_of(out: Path | None, resume: bool) -> Path:
    """The named folder; else the newest one to continue, or a new one."""
    return out or (_newest() if resume else RUNS / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"))


def _newest() -> Path:
    folders = sorted(path.parent for path in RUNS.glob(f"*/{journal.NAME}"))
    if not folders:
        raise CrossnnError(f"nothing to resume: {RUNS}/ holds no run; name the run folder with --out")
    click.echo(f"resuming {folders[-1]}", err=True)
    return folders[-1]


@contextlib.contextmanager
def opened(
    folder: Path, resume: bool, threads: int, extra: Mapping[str, str] | None = None
) -> Iterator[journal.Journal]:
    """The journal of a run folder, its machine described; who interrupts is told how to go on."""
    with journal.Journal(folder, resume=resume) as book:
        if book.contents.dropped:
            click.echo(book.contents.dropped, err=True)
        describe_machine(folder, resume, threads, extra)
        try:
            yield book
        except InterruptedRunError as error:
            again = f"the same command with --resume --out {folder}"
            raise InterruptedRunError(f"{error}; they are kept in {folder}. Continue with {again}") from None


def describe_machine(folder: Path, resume: bool, threads: int, extra: Mapping[str, str] | None = None) -> None:
    """Write the machine record, with what else the environment of the workers has; refuse to continue a run that other
    versions began."""
    now = machine.describe(sys.argv[1:], threads)
    now["environment"] = {**now["environment"], **(extra or {})}
    before = machine.read(folder) if resume else {}
    changes = machine.changed(before, now)
    if changes:
        raise CrossnnError(f"{folder} was begun with other versions ({', '.join(changes)}); start a new run")
    machine.write(folder, {**now, "begun": before["date"], "command": before["command"]} if before else now)
