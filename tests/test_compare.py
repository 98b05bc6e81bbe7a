"""Two runs compared: what changed is said, what is worse ends with exit code 1, what is the same is nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from crossnn.cli import main
from crossnn.runs import journal, machine
from crossnn.runs.cell import Cell, Done, Record
from crossnn.runs.findings import Accuracy, Convention
from crossnn.runs.wire import Result as Line

CELL: dict[str, Any] = {
    "spec": "elu", "backend": "torch", "implementation": "native", "mode": "eager", "dtype": "float32",
}  # fmt: skip


def record(verdict: Any, r: float | None = None) -> Record:
    return Record(**CELL, kind="activation", device="cpu", quantity="gradient", verdict=verdict, r=r)


def accuracy(largest: float, regions: tuple[tuple[str, float, float], ...] = ()) -> Accuracy:
    return Accuracy(
        **CELL, kind="activation", spec_sha="", device="cpu", quantity="value", largest=largest, at=1.0, regions=regions
    )


def convention(answer: str) -> Convention:
    return Convention(concept="elu", asks="?", spec="elu", kind="activation", backend="torch", answer=answer)


def write(folder: Path, lines: Sequence[Line]) -> str:
    with journal.Journal(folder) as book:
        book.write(Done(cell=Cell(task="check", **CELL), status="ok"), list(lines))
    machine.write(folder, machine.describe(["check"]))
    return str(folder)


def compare(tmp_path: Path, before: Sequence[Line], after: Sequence[Line], *words: str) -> Result:
    return CliRunner().invoke(main, ["compare", write(tmp_path / "a", before), write(tmp_path / "b", after), *words])


OVERFLOW = (("overflow", 88.0, 3e38),)
CHANGES: tuple[tuple[Line, Line, int, str], ...] = (
    (record("EQUAL", 3), record("EQUAL", 12), 0, "0 verdicts, 0 sizes and 0 findings"),
    (record("EQUAL", 3), record("FORMULA", 1e5), 1, "verdict: elu  torch eager native float32 cpu: EQUAL -> FORMULA"),
    (record("EQUAL", 3), record("ERROR"), 1, "1 verdicts"),
    (record("EQUAL", 3), record("NOT-RUN"), 1, "in the first run alone: elu  torch eager native float32 cpu"),
    (record("NOT-RUN"), record("EQUAL", 3), 0, "NOT-RUN -> EQUAL"),
    (record("KNOWN", 1e6), record("EQUAL", 2), 0, "KNOWN -> EQUAL"),
    (record("KNOWN", 1e6), record("KNOWN", 5e6), 0, "KNOWN r = 1e+06 -> KNOWN r = 5e+06"),
    (record("EQUAL", 3), record("EQUAL", 50), 0, "EQUAL r = 3 -> EQUAL r = 50"),
    (accuracy(3), accuracy(1), 0, "0 findings"),
    (accuracy(3), accuracy(9), 1, "3 ulp -> 9 ulp"),
    (accuracy(9), accuracy(3), 0, "9 ulp -> 3 ulp"),
    (accuracy(3), accuracy(3, OVERFLOW), 1, "none -> overflow"),
    (accuracy(3, OVERFLOW), accuracy(3), 0, "overflow -> none"),
    (convention("eps=1e-7"), convention("eps=1e-8"), 1, "default of torch, elu: eps=1e-7 -> eps=1e-8"),
    (convention("eps=1e-7"), convention("eps=1e-7"), 0, "0 findings"),
)
"""(before, after, exit code, what is said)."""


@pytest.mark.parametrize(("before", "after", "code", "said"), CHANGES)
def test_changes_are_said_and_worse_ones_fail(tmp_path: Path, before: Line, after: Line, code: int, said: str) -> None:
    done = compare(tmp_path, [before], [after])
    assert done.exit_code == code, done.output
    assert said in done.output


@pytest.mark.parametrize(("before", "after", "code", "said"), CHANGES[:2])
def test_json_says_the_same(tmp_path: Path, before: Line, after: Line, code: int, said: str) -> None:
    done = compare(tmp_path, [before], [after], "--json", "-")
    document = json.loads(done.stdout)
    assert document["worse"] == bool(code)
    assert len(document["verdicts"]) == code


def test_what_one_run_alone_has_is_named(tmp_path: Path) -> None:
    other = record("EQUAL", 1)
    done = compare(tmp_path, [record("EQUAL", 1)], [other, Record(**{**_fields(other), "backend": "jax"})])
    assert done.exit_code == 0
    assert "only in the second run: elu  jax eager native float32 cpu" in done.output


@pytest.mark.parametrize(("words", "code"), [((), 1), (("--subset",), 0)])
def test_what_is_judged_no_more_is_lost(tmp_path: Path, words: tuple[str, ...], code: int) -> None:
    both = [record("EQUAL", 1), Record(**{**_fields(record("EQUAL", 1)), "backend": "jax"})]
    done = compare(tmp_path, both, both[:1], *words)
    assert done.exit_code == code
    assert ("judged or timed in the first run alone: elu  jax" in done.output) == bool(code)


def test_runs_of_different_things_are_refused(tmp_path: Path) -> None:
    done = compare(tmp_path, [record("EQUAL", 1)], [Record(**{**_fields(record("EQUAL", 1)), "spec": "relu"})])
    assert done.exit_code == 2
    assert "have nothing in common" in done.output


def _fields(one: Record) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__ if name != "record"}


def test_runs_that_have_nothing_in_common_are_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["compare", str(tmp_path), str(tmp_path)])
    assert done.exit_code == 2
    assert "not a run folder" in done.output
