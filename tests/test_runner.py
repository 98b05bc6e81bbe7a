"""Whatever a backend does to its process, the other results survive, the cell says what happened, nothing is left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import pytest

from crossnn.errors import CrossnnError
from crossnn.runs import child, journal, machine, runner
from crossnn.runs.cell import Cell, Done, Record, Training
from crossnn.runs.journal import Journal, JournalError
from crossnn.runs.wire import Result

HERE = Path(__file__).parent
FAKE = "fake_cells:run"


@pytest.fixture(autouse=True)
def _workers_find_the_fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def cells(*specs: str, backend: str = "fake") -> list[Cell]:
    return [Cell(task="check", spec=spec, backend=backend, mode="eager") for spec in specs]


class Collected:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.entries: list[tuple[Done, list[Result]]] = []

    def __call__(self, done: Done, records: list[Result]) -> None:
        self.entries.append((done, records))

    @property
    def by_spec(self) -> dict[str, tuple[Done, Record]]:
        found = {}
        for done, records in self.entries:
            assert isinstance(records[0], Record)
            found[done.cell.spec] = (done, records[0])
        return found


def run(work: Sequence[Cell], *, timeout: float = 20.0, jobs: int = 2, execute: str = FAKE) -> Collected:
    sink = Collected()
    runner.run(work, sink, execute=execute, timeout=timeout, jobs=jobs)
    assert len(sink.entries) == len(work)
    return sink


def alive(pid: int) -> bool:
    """Whether the process still runs; one that only waits to be buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("kill", "killed by SIGKILL (what the system does to a process when memory runs out)"),
        ("segfault", "killed by SIGSEGV"),
        ("abort", "killed by SIGABRT; it said: glorious last words"),
        ("exit", "exit code 7"),
    ],
)
def test_a_crash_costs_one_cell_and_is_named(spec: str, words: str) -> None:
    found = run(cells("before", spec, "after")).by_spec
    done, record = found[spec]
    assert done.status == "crashed"
    assert words in done.message
    assert (record.verdict, record.message) == ("ERROR", done.message)
    assert found["before"][1].verdict == found["after"][1].verdict == "EQUAL"


def test_a_hang_ends_at_the_time_limit() -> None:
    found = run(cells("before", "hang", "after"), timeout=1.0).by_spec
    assert found["hang"][0].status == "timeout"
    assert found["hang"][1].message == "no answer within 1 s; it last said: still thinking"
    assert found["after"][1].verdict == "EQUAL"


@pytest.mark.parametrize(
    ("spec", "words"),
    [("raise", "ValueError: a bad shape"), ("memory", "out of memory: MemoryError: 4 TiB"), ("leave", "SystemExit: 3")],
)
def test_an_exception_is_a_record_and_the_worker_goes_on(spec: str, words: str) -> None:
    sink = run(cells("pid-1", spec, "pid-2"))
    assert sink.by_spec[spec][1].message == words
    assert sink.by_spec[spec][1].failed
    assert sink.by_spec["pid-1"][1].message == sink.by_spec["pid-2"][1].message


def test_what_a_framework_prints_does_not_disturb_the_protocol() -> None:
    assert run(cells("print")).by_spec["print"][1].verdict == "EQUAL"


def test_backends_have_processes_of_their_own_and_a_fixed_environment() -> None:
    sink = run([*cells("pid-a"), *cells("pid-b", backend="other"), *cells("environment")])
    assert sink.by_spec["pid-a"][1].message != sink.by_spec["pid-b"][1].message
    assert sink.by_spec["environment"][1].message == "1|1|0"
    assert child.environment("cpu", 3, {"MINE": "kept"})["MINE"] == "kept"
    assert child.environment("cpu", 3, {"CUDA_VISIBLE_DEVICES": "1"})["CUDA_VISIBLE_DEVICES"] == ""
    assert child.environment("cuda", 3, {"CUDA_VISIBLE_DEVICES": "1"})["CUDA_VISIBLE_DEVICES"] == "1"


def test_a_worker_that_cannot_start_three_times_gives_up_with_the_reason() -> None:
    found = run(cells("first", "second", "third"), execute="no_such_module:run").by_spec
    assert found["first"][0].status == "crashed"
    assert "could not be started, 3 times" in found["first"][0].message
    assert "ModuleNotFoundError: No module named 'no_such_module'" in found["first"][1].message
    assert [found[s][0].status for s in ("second", "third")] == ["not-run", "not-run"]
    assert found["third"][1].verdict == "NOT-RUN"


def test_cells_of_a_missing_backend_are_named_not_run_records() -> None:
    sink = Collected()
    runner.run(cells("one"), sink, execute=FAKE, not_run={"fake": "not installed"}, kinds={"one": "loss"})
    done, record = sink.by_spec["one"]
    assert (done.status, record.verdict, record.message, record.kind) == ("not-run", "NOT-RUN", "not installed", "loss")


def test_grandchildren_end_with_their_worker() -> None:
    record = run(cells("child")).by_spec["child"][1]
    assert wait_until(lambda: not alive(int(record.message)))


def test_an_error_of_the_sink_reaches_the_caller_and_leaves_no_child() -> None:
    def full_disk(done: Done, records: list[Result]) -> None:
        raise JournalError("disk full")

    with pytest.raises(JournalError, match="disk full"):
        runner.run(cells("pid", "hang"), full_disk, execute=FAKE)


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which what runs in the background ignores
from pathlib import Path
from crossnn.errors import CrossnnError
from crossnn.runs import journal, runner
from crossnn.runs.cell import Cell
work = [Cell(task="check", spec=s, backend=b) for b in ("one", "two") for s in ("pid", "child", "hang")]
try:
    with journal.Journal(Path(sys.argv[1])) as book:
        runner.run(work, book.write, execute="fake_cells:run")
except CrossnnError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_keeps_its_journal_and_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path)], stdout=subprocess.PIPE, text=True)

    def lines() -> int:
        path = tmp_path / journal.NAME
        return path.read_bytes().count(b"\n") if path.exists() else 0

    assert wait_until(lambda: lines() == 8)
    process.send_signal(how)
    said, _ = process.communicate(timeout=10)
    contents = journal.read(tmp_path)
    workers = [int(r.message) for r in contents.records if r.spec == "pid"]
    grandchildren = [int(r.message) for r in contents.records if r.spec == "child"]
    assert len(contents.finished_cells()) == 4
    assert wait_until(lambda: not any(alive(pid) for pid in workers))
    if how == signal.SIGKILL:  # nobody is left to end what a worker had started, except the workers' own parents
        for pid in grandchildren:
            os.kill(pid, signal.SIGKILL)
    else:
        assert process.returncode == 130
        assert said == "interrupted: 4 of 6 cells are finished\n"
        assert wait_until(lambda: not any(alive(pid) for pid in grandchildren))


def entry(spec: str, status: str = "ok") -> tuple[Done, list[Result]]:
    (cell,) = cells(spec)
    record = Record(
        spec=spec, kind="loss", backend="fake", implementation="formula", mode="eager", dtype="float64", device="cpu",
        quantity="value", verdict="EQUAL", spec_sha="abc",
    )  # fmt: skip
    done = Done(cell=cell, status="ok" if status == "ok" else "not-run")
    return done, [record, record]


def test_a_torn_last_cell_is_dropped_said_and_overwritten(tmp_path: Path) -> None:
    with Journal(tmp_path) as book:
        book.write(*entry("one"))
        book.write(*entry("two"))
    path = tmp_path / journal.NAME
    whole = path.read_bytes()
    for cut in (1, 30, 200, 400):
        path.write_bytes(whole[:-cut])
        contents = journal.read(tmp_path)
        assert [e.done.cell.spec for e in contents.entries] == ["one"]
        assert "dropped" in contents.dropped
    with Journal(tmp_path, resume=True) as book:
        book.write(*entry("two"))
    assert path.read_bytes() == whole
    assert journal.read(tmp_path).dropped == ""


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    with Journal(tmp_path) as book:
        book.write(*entry("one"))
    path = tmp_path / journal.NAME
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(JournalError, match="line 1 is not a record"):
        journal.read(tmp_path)


def test_what_somebody_else_wrote_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / journal.NAME).write_bytes(b'{"a": 1}\n')
    with pytest.raises(JournalError, match="line 1 is not a record"):
        journal.read(tmp_path)


def test_resume_runs_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("CROSSNN_TEST_LOG", str(log))
    work = cells("log-1", "log-2", "log-3")
    for resume, part in ((False, work[:2]), (True, work), (True, work)):
        with Journal(tmp_path / "run", resume=resume) as book:
            runner.run(journal.remaining(part, book.contents.finished_cells()), book.write, execute=FAKE)
    assert log.read_text().split() == ["log-1", "log-2", "log-3"]
    assert len(journal.read(tmp_path / "run").records) == 3


def test_cells_run_again_when_they_never_ran_or_their_spec_changed(tmp_path: Path) -> None:
    with Journal(tmp_path) as book:
        book.write(*entry("one"))
        book.write(*entry("two", "not-run"))
    contents = journal.read(tmp_path)
    assert {c.spec for c in journal.remaining(cells("one", "two"), contents.finished_cells({"one": "abc"}))} == {"two"}
    assert len(journal.remaining(cells("one", "two"), contents.finished_cells({"one": "changed"}))) == 2
    with Journal(tmp_path, resume=True) as book:
        book.write(*entry("two"))
    contents = journal.read(tmp_path)
    assert len(contents.entries) == 2
    assert len(contents.records) == 4
    assert len(contents.finished_cells()) == 2


@pytest.mark.parametrize("status", ["crashed", "timeout"])
def test_what_crashed_or_hung_is_tried_again(tmp_path: Path, status: Literal["crashed", "timeout"]) -> None:
    (cell,) = cells("one")
    with Journal(tmp_path) as book:
        book.write(Done(cell=cell, status=status, message="killed"), [])
    assert not journal.read(tmp_path).finished_cells()
    with Journal(tmp_path, resume=True) as book:
        book.write(*entry("one"))
    assert [entry.done.status for entry in journal.read(tmp_path).entries] == ["ok"]


def test_a_run_folder_belongs_to_one_run(tmp_path: Path) -> None:
    with Journal(tmp_path) as book:
        book.write(*entry("one"))
        with pytest.raises(JournalError, match="another crossnn run is writing"):
            Journal(tmp_path, resume=True)
    with pytest.raises(JournalError, match="already holds the results of 1 cells"):
        Journal(tmp_path)
    Journal(tmp_path, resume=True).close()


def test_a_folder_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/crossnn")):
        with pytest.raises(CrossnnError, match=r"cannot write results to .*choose another folder with --out"):
            Journal(folder)


def test_a_full_disk_keeps_whole_cells_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Journal(tmp_path) as book:
        book.write(*entry("one"))
        real = os.write
        monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:100]))
        with pytest.raises(JournalError, match=r"No space left.*--resume"):
            book.write(*entry("two"))
        monkeypatch.undo()
    assert os.strerror(errno.ENOSPC).startswith("No space left")
    assert journal.read(tmp_path).dropped == ""
    assert len(journal.read(tmp_path).entries) == 1


def test_trainings_survive_the_journal(tmp_path: Path) -> None:
    training = Training(
        spec="xor", backend="fake", mode="eager", dtype="float64", device="cpu", seed=0, spec_sha="a", loss=(1.0, 0.5),
        held_out_loss=(1.0,), metrics={"accuracy": (0.5, 1.0)}, first_step_seconds=0.1, step_seconds=0.01, seconds=1.0,
        steps=20, facts={"versions": {"numpy": "2"}},
    )  # fmt: skip
    with Journal(tmp_path) as book:
        book.write(Done(cell=cells("xor")[0], status="ok"), [training])
    assert journal.read(tmp_path).trainings == [training]


def test_the_machine_record_names_no_one(tmp_path: Path) -> None:
    found = machine.describe([f"{os.path.expanduser('~')}/my.toml"])
    machine.write(tmp_path, found)
    assert machine.read(tmp_path) == found
    assert found["packages"]["numpy"]
    assert found["command"] == "crossnn ~/my.toml"
    assert os.uname().nodename not in (tmp_path / machine.NAME).read_text()
    assert machine.changed({"packages": {"torch": "1", "jax": "2"}}, {"packages": {"torch": "1"}}) == ["jax 2 -> none"]
