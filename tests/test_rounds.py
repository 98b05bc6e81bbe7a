"""Rounds of a timing: one process at work at a time, shuffled, repeated until known, and no visit is ever lost."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossnn.runs import journal
from crossnn.runs.cell import Cell, Done, Timed
from crossnn.runs.child import Child
from crossnn.runs.runner import InterruptedRunError
from crossnn.runs.timed import Prepared, Visit
from crossnn.runs.wire import Result
from crossnn.runs.worker import CORES
from crossnn.timing import rounds, workers
from crossnn.timing.guard import Guard
from crossnn.timing.results import Measured, contests, measured
from crossnn.timing.rounds import Limits, time_cells

HERE = Path(__file__).parent
FAKE = "fake_timings:run"
QUIET = Limits(seconds=60, timeout=20)


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Workers find the stand-ins, and write down what they were asked; the machine is quiet."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv("CROSSNN_TEST_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(rounds, "disturbed", lambda cores, slower: False)
    monkeypatch.setattr(Guard, "calibrate", lambda self, times=3: 1.0)
    return tmp_path / "log"


class Watched:
    """A watcher that remembers what was lost."""

    def __init__(self) -> None:
        self.lost_cells: list[str] = []

    def contest(self, cell: Cell, number: int, total: int) -> None:
        return None

    def preparing(self, cell: Cell) -> None:
        return None

    def round(self, number: int, settled: int, contenders: int, seconds_left: float) -> None:
        assert seconds_left >= 0

    def lost(self, cell: Cell, message: str) -> None:
        self.lost_cells.append(message)


def cells(spec: str, backends: Sequence[str] = ("torch", "numpy", "jax"), again: bool = False) -> list[Cell]:
    timed = Timed(phase="step", batch=64)
    found = [
        Cell(task="time", spec=spec, backend=one, mode="eager", dtype="float32", timed=timed) for one in backends
    ]  # fmt: skip
    twin = msgspec.structs.replace(found[0], timed=msgspec.structs.replace(timed, again=True))
    return [*found, *([twin] if again else [])]


class Run:
    """What a timing handed over, entry by entry."""

    def __init__(self, work: Sequence[Cell], limits: Limits = QUIET, known: dict[Cell, Measured] | None = None) -> None:
        self.entries: list[tuple[Done, list[Result]]] = []
        self.watcher = Watched()
        time_cells(
            work, lambda done, records: self.entries.append((done, records)), limits=limits, watcher=self.watcher,
            known=known or {}, execute=FAKE,
        )  # fmt: skip

    def found(self) -> tuple[dict[Cell, Measured], list[Prepared]]:
        return measured([journal.Entry(done, tuple(records)) for done, records in self.entries])

    def visits(self, backend: str = "") -> list[Visit]:
        every = [one for _, records in self.entries for one in records if isinstance(one, Visit)]
        return [one for one in every if backend in ("", one.backend)]


def asked(log: Path) -> list[list[str]]:
    return [line.split() for line in log.read_text().splitlines()]


def test_only_one_process_is_at_work_at_a_time_and_the_order_changes(log: Path) -> None:
    Run(cells("slow", again=True))
    lines = asked(log)
    spans = sorted((float(began), float(ended)) for *_, began, ended in lines)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    orders = {
        tuple(line[0] for line in lines if line[4] == str(number) and line[3] == "step") for number in range(1, 6)
    }
    assert len(orders) > 1
    assert len({line[0] for line in lines}) == 4, "the twin has a process of its own"


def test_a_process_stays_on_as_many_cores_as_it_has_threads() -> None:
    (cell, *_) = cells("steady")
    usable = len(os.sched_getaffinity(0))
    for threads in range(1, usable):
        cores = workers.pinned(msgspec.structs.replace(cell, threads=threads))[CORES].split(",")
        assert len(set(cores)) == threads
    assert not workers.pinned(msgspec.structs.replace(cell, threads=usable))
    assert not workers.pinned(msgspec.structs.replace(cell, device="gpu"))


def test_rounds_end_when_every_median_is_known() -> None:
    run = Run(cells("steady"))
    assert {len(run.visits(backend)) for backend in ("torch", "numpy", "jax")} == {QUIET.least_rounds}


def test_what_stays_unsteady_is_timed_until_the_time_is_up() -> None:
    began = time.monotonic()
    run = Run(cells("unsteady", ("torch", "numpy")), Limits(seconds=12, timeout=20))
    assert QUIET.least_rounds < len(run.visits("numpy")) <= Limits.most_rounds
    assert time.monotonic() - began < 20


def test_a_failed_cell_prints_no_time(log: Path) -> None:
    run = Run(cells("wrong"))
    assert not run.visits("numpy")
    found, absent = run.found()
    assert [one.verdict for one in absent] == ["FORMULA"]
    (contest,) = contests(found, absent, [])
    assert [one.measured.prepared.backend for one in contest.standings] == ["torch", "jax"]


def test_a_killed_worker_is_started_again_and_loses_no_visit() -> None:
    run = Run(cells("killed", again=True))
    assert [one.round for one in run.visits("numpy")] == [1, 2, 3, 4, 5]
    assert len({one.process for one in run.visits("numpy")}) == 2
    assert len(run.watcher.lost_cells) == 1
    assert "SIGKILL" in run.watcher.lost_cells[0]
    assert all(done.status == "ok" for done, _ in run.entries)


@pytest.mark.parametrize(
    ("spec", "status", "words"), [("dies", "crashed", "SIGKILL"), ("hangs", "timeout", "no answer")]
)
def test_what_loses_its_process_again_and_again_is_left_out(spec: str, status: str, words: str) -> None:
    run = Run(cells(spec), Limits(seconds=60, timeout=2))
    (lost,) = [(done, records) for done, records in run.entries if done.status not in ("ok", "not-run")]
    assert lost[0].status == status
    assert words in lost[0].message
    found, absent = run.found()
    assert [(one.backend, one.verdict) for one in absent] == [("numpy", "ERROR")]
    assert len(run.visits("torch")) >= QUIET.least_rounds, "the others go on"
    assert {cell.backend for cell in found} == {"torch", "jax"}


def test_an_exception_in_a_visit_leaves_the_cell_out_with_its_reason() -> None:
    run = Run(cells("raises"))
    _, absent = run.found()
    ((backend, message),) = [(one.backend, one.message) for one in absent]
    assert (backend, message.rpartition(": ")[2]) == ("numpy", "no memory on the device")


def test_resuming_takes_up_where_it_stopped(log: Path) -> None:
    first = Run(cells("steady"))
    before = len(asked(log))
    found, _ = first.found()
    again = Run(cells("steady"), known=found)
    assert not again.entries, "every median is known: nothing is run twice"
    assert len(asked(log)) == before
    some = {cell: one for cell, one in found.items() if cell.backend == "torch"}
    rest = Run(cells("steady"), known=some)
    assert [one.round for one in rest.visits("numpy")] == [6, 7, 8, 9, 10], "rounds are never mixed"


def test_when_time_is_up_nothing_is_begun_what_starts_is_ended_and_all_of_it_is_named() -> None:
    began = time.monotonic()
    work = [*cells("unsteady"), *cells("steady", ("torch",))]
    run = Run(work, Limits(seconds=0.2, timeout=600))
    assert time.monotonic() - began < 5, "a process was waited for"
    assert [(done.cell, done.status) for done, _ in run.entries] == [(cell, "not-run") for cell in work]
    assert [done.message for done, _ in run.entries] == [rounds.CUT_OFF, *[rounds.TIME_UP] * 3]


def test_a_contender_that_prepares_for_too_long_is_ended_when_time_is_up() -> None:
    began = time.monotonic()
    run = Run(cells("compiles", ("torch", "numpy", "jax")), Limits(seconds=8, timeout=600))
    assert time.monotonic() - began < 20
    assert {done.cell.backend: done.message for done, _ in run.entries if done.status == "not-run"} == {
        "numpy": rounds.CUT_OFF, "jax": rounds.TIME_UP,
    }  # fmt: skip
    assert len(run.visits("torch")) == QUIET.least_rounds, "the rounds that are owed are run"


def test_a_resumed_contest_without_time_keeps_what_it_has(log: Path) -> None:
    found, _ = Run(cells("unsteady", ("torch",)), Limits(seconds=60, most_rounds=5, timeout=20)).found()
    again = Run(cells("unsteady", ("torch",)), Limits(seconds=0, timeout=20), known=found)
    assert not again.entries


def test_a_disturbed_visit_is_discarded_counted_and_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, True, False])
    monkeypatch.setattr(rounds, "disturbed", lambda cores, slower: next(answers, False))
    run = Run(cells("steady", ("torch",)))
    first = run.visits()[0]
    assert (first.discarded, first.noisy) == (2, False)
    assert all(one.discarded == 0 for one in run.visits()[1:])


def test_a_machine_that_stays_disturbed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "disturbed", lambda cores, slower: True)
    run = Run(cells("steady"))
    assert all(one.noisy for one in run.visits())
    assert sum(one.discarded for one in run.visits()) <= 10 + rounds.MOST_DISCARDED * len(run.visits()) + 1


def test_an_interrupted_timing_leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []

    class Counted(Child):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            started.append(self)

    def interrupt(self: Watched, number: int, settled: int, contenders: int, seconds_left: float) -> None:
        if number == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(workers, "Child", Counted)
    monkeypatch.setattr(Watched, "round", interrupt)
    with pytest.raises(InterruptedRunError, match="interrupted after 6 visits"):
        Run(cells("steady"))
    assert len(started) == 3
    assert all(one._process.poll() is not None for one in started)
