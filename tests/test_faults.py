"""Real faults: processes killed at random moments, a disk that takes no more, a clock that jumps. The long run of kills
is `python tests/faults.py --kills 200`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import faults

from crossnn.runs import journal

RUN = ("run", "bowl", "--backend", "numpy")


def crossnn(*words: str, cwd: Path, environment: Mapping[str, str] | None = None, limit: int = 0) -> tuple[int, str]:
    """Exit code and standard error of a command; `limit` is the size beyond which no file may grow."""

    code = f"import resource, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); "
    start = ["-c", code + "runpy.run_module('crossnn', run_name='__main__')"] if limit else ["-m", "crossnn"]
    done = subprocess.run(
        [sys.executable, *start, *words], cwd=cwd, env={**os.environ, **(environment or {})}, timeout=300,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_kills_lose_and_change_nothing(tmp_path: Path) -> None:
    tally = faults.torment(kills=3, seed=1, folder=tmp_path, longest=2.0)
    assert tally.total >= 3
    assert tally.problems == []


def test_what_is_lost_or_changed_is_found(tmp_path: Path) -> None:
    """The comparison itself: a run that lacks a judgement, and one that has another number."""
    code, error = crossnn(*RUN, "--out", "calm", cwd=tmp_path)
    assert code == 0, error
    text = (tmp_path / "calm" / journal.NAME).read_text()
    for name, damaged in (("lacking", text.split("\n", 1)[1]), ("changed", text.replace('"EQUAL"', '"FORMULA"', 1))):
        (tmp_path / name).mkdir()
        (tmp_path / name / journal.NAME).write_text(damaged)
        assert len(faults.differences(tmp_path / "calm", tmp_path / name)) == 1


def test_a_disk_that_takes_no_more_keeps_whole_cells(tmp_path: Path) -> None:
    code, error = crossnn(*RUN, "--out", "full", cwd=tmp_path, limit=12_000)
    assert code == 2
    assert "free some space" in error
    kept = journal.read(tmp_path / "full")
    assert kept.entries
    assert not kept.dropped
    code, error = crossnn(*RUN, "--out", "full", "--resume", cwd=tmp_path)
    assert code == 0, error
    assert f"{len(kept.entries)} of " in error


JUMPING = """
import random, time
_now, _chance = time.time, random.Random(0)
time.time = lambda: _now() + _chance.uniform(-1e6, 1e6)
"""


def test_a_clock_that_jumps_changes_no_duration(tmp_path: Path) -> None:
    """In the run and in its workers; coverage of the fault: a module that Python imports at its start."""
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    code, error = crossnn(*RUN, "--out", "jumped", cwd=tmp_path, environment={"PYTHONPATH": paths})
    assert code == 0, error
    for entry in journal.read(tmp_path / "jumped").entries:
        assert 0 <= entry.done.seconds < 100


def test_two_runs_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    with journal.Journal(tmp_path / "shared"):
        code, error = crossnn(*RUN, "--out", "shared", cwd=tmp_path)
    assert code == 2
    assert "another crossnn run is writing to" in error


def test_a_folder_where_nothing_can_be_made_is_a_message(tmp_path: Path) -> None:
    """Also for root: where processes are shown as files."""
    code, error = crossnn(*RUN, "--out", "/proc/crossnn", cwd=tmp_path)
    assert code == 2
    assert "choose another folder" in error
