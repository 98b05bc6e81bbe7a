"""Real faults, at random moments: kills of a run or of one of its workers; afterwards nothing is lost, nothing changed.

`python tests/faults.py --kills 200` starts a run, kills the parent or a worker (SIGKILL) after a random time, looks at
the journal, resumes, and so on; when a run is complete it is compared with one that nobody disturbed, and the next one
begins. Every moment is asked: are the cells that were finished before still there, as they were? Did a finished cell
run again? Do processes stay behind? test_faults.py does a few of these in every test run.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import psutil

from crossnn.runs import journal

COMMAND = ("run", "bowl", "saddle", "--backend", "numpy", "--seeds", "3", "--jobs", "2")
"""Some dozens of cells, checks and trainings, on the backend that starts fastest."""
PATIENCE = 60.0
"""Seconds within which workers of a killed run must be gone: they end when their cell does."""


@dataclass
class Tally:
    """What was done, and what was found wrong."""

    kills: dict[str, int] = field(default_factory=lambda: {"run": 0, "worker": 0})
    runs: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.kills.values())


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The run, in a session of its own; resumed where it was begun."""
    resume = ["--resume"] if (folder / journal.NAME).exists() else []
    words = [sys.executable, "-m", "crossnn", *COMMAND, "--out", str(folder), *resume]
    return subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder.parent, start_new_session=True
    )


def finished(folder: Path) -> dict[str, bytes]:
    """Cells that are closed with `ok`, and all that was written for them, byte by byte."""
    path = folder / journal.NAME
    found: dict[str, bytes] = {}
    pending = b""
    for line in path.read_bytes().splitlines(keepends=True) if path.exists() else []:
        if not line.endswith(b"\n"):
            break
        pending += line
        if line.startswith(b'{"record":"cell"'):
            entry = msgspec.json.decode(line)
            if entry["status"] == "ok":
                found.setdefault(msgspec.json.encode(entry["cell"], order="sorted").decode(), b"")
                found[msgspec.json.encode(entry["cell"], order="sorted").decode()] += pending
            pending = b""
    return found


def judged(folder: Path) -> dict[tuple[str, ...], tuple[object, ...]]:
    """Every judgement of a run without its seconds; what crashed and then ran again counts once, as in a report."""
    return {
        (one.spec, one.backend, one.implementation, one.mode, one.dtype, str(one.seed), one.case, one.quantity):
        (one.verdict, one.r, one.digits, one.worst, one.known, one.message, one.spec_sha)
        for one in journal.read(folder).records
    }  # fmt: skip


def curves(folder: Path) -> dict[tuple[str, ...], tuple[object, ...]]:
    return {
        (one.spec, one.backend, one.mode, one.dtype, str(one.seed)): (one.loss, one.held_out_loss, one.ending)
        for one in journal.read(folder).trainings
    }


def torment(kills: int, seed: int, folder: Path, longest: float) -> Tally:
    """Kill at random until there were so many kills, and the last run is complete."""
    chance, tally = random.Random(seed), Tally()
    calm = folder / "calm"
    process = start(calm)
    began = time.monotonic()
    _, error = process.communicate(timeout=600)
    if process.returncode != 0:
        raise SystemExit(f"the undisturbed run ended with {process.returncode}: {error.decode()[-500:]}")
    print(f"undisturbed: {len(finished(calm))} cells, {time.monotonic() - began:.1f} s", flush=True)
    while tally.total < kills:
        current = folder / f"run{tally.runs}"
        until_complete(current, chance, tally, kills, longest)
        tally.problems += differences(calm, current)
        tally.runs += 1
    return tally


def until_complete(folder: Path, chance: random.Random, tally: Tally, kills: int, longest: float) -> None:
    """One run to its end: killed and resumed as often as it takes. A run that lost a worker ends with 1, and the cell
    that crashed runs again when it is resumed."""
    while True:
        before, killed = finished(folder), tally.total
        process = start(folder)
        end = _kill_sometime(process, chance, tally, longest) if tally.total < kills else process.wait(600)
        _, error = process.communicate()
        after = finished(folder)
        tally.problems += [f"lost: {key}" for key, entry in before.items() if not after.get(key, b"").startswith(entry)]
        tally.problems += [f"ran twice: {key}" for key, entry in after.items() if entry.count(b'"record":"cell"') > 1]
        if end == 0:
            return
        crashed = end == 1 and tally.total > killed
        if end != -signal.SIGKILL and not crashed:
            tally.problems.append(f"a run ended with {end}: {error.decode()[-300:]}")
            return


def _kill_sometime(process: subprocess.Popen[bytes], chance: random.Random, tally: Tally, longest: float) -> int:
    """Wait a random time, kill the run or one of its workers, and wait for the end of the run; its exit code."""
    try:
        return process.wait(chance.uniform(0.05, longest))
    except subprocess.TimeoutExpired:
        pass
    try:
        family = psutil.Process(process.pid)
        workers = family.children(recursive=True)
    except psutil.NoSuchProcess:
        return process.wait()
    if workers and chance.random() < 0.5:
        try:
            chance.choice(workers).send_signal(signal.SIGKILL)
            tally.kills["worker"] += 1
        except psutil.NoSuchProcess:
            pass
        return _kill_sometime(process, chance, tally, longest)
    os.kill(process.pid, signal.SIGKILL)
    tally.kills["run"] += 1
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    for one in alive:
        tally.problems.append(f"a worker stayed behind for {PATIENCE:g} s")
        one.kill()
    return process.wait()


def differences(calm: Path, other: Path) -> list[str]:
    """What a disturbed run says otherwise than the undisturbed one."""
    found = []
    for what, read in (("judgement", judged), ("training", curves)):
        expected, actual = read(calm), read(other)
        found += [f"{what} missing: {key}" for key in expected.keys() - actual.keys()]
        found += [f"{what} not of the undisturbed run: {key}" for key in actual.keys() - expected.keys()]
        found += [f"{what} changed: {key}" for key in expected.keys() & actual.keys() if expected[key] != actual[key]]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--longest", type=float, default=4.0, help="seconds until the next kill, at most")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        tally = torment(given.kills, given.seed, Path(folder), given.longest)
    for problem in tally.problems[:20]:
        print(problem)
    print(
        f"{tally.total} kills ({tally.kills['run']} of the run, {tally.kills['worker']} of a worker) across "
        f"{tally.runs} runs, each complete in the end and equal to the undisturbed one: "
        f"{len(tally.problems)} problems. {time.monotonic() - began:.0f} s."
    )
    return 1 if tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
