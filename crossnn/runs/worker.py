"""The child process that runs cells: one JSON cell per line in, one JSON line of records out.

A framework can crash the process, hang it, or print whatever it likes; so it lives in a child of its own. The answers
travel on a private copy of standard output, and everything that the framework prints goes to standard error, which the
parent keeps in a file to quote from. An exception is an answer too (an ERROR record): the worker survives it. The
worker ends with its standard input, or with its parent.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from crossnn.runs.cell import Cell
from crossnn.runs.wire import Result, failure

EXECUTE = "crossnn.runs.execute:run_cell"
PR_SET_PDEATHSIG = 1
CORES = "CROSSNN_CORES"
"""The variable that says on which cores a worker stays."""

Execute = Callable[[Cell], Iterable[Result]]


def main() -> None:
    """Serve cells until standard input ends, or say what the devices are (`--probe`)."""
    parser = argparse.ArgumentParser(prog="python -m crossnn.runs.worker")
    parser.add_argument("--backend", required=True)
    parser.add_argument("--execute", default=EXECUTE)
    parser.add_argument("--folder", help="where the processes of a run keep truth and noise, which all need")
    parser.add_argument("--probe", action="store_true")
    options = parser.parse_args()
    answers = _private_output()
    _follow_parent()
    _pin()
    if ":" in options.backend and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a user's own adapter; last, so that no file there shadows a package
    if options.probe:
        _send(answers, json.dumps({"devices": probe(options.backend)}).encode())
        return
    execute = _resolve(options.execute)
    if options.folder:
        _share(options.folder)
    began = time.perf_counter()
    _preload(options.backend)
    _send(answers, json.dumps({"ready": True, "import_seconds": time.perf_counter() - began}).encode())
    for line in sys.stdin.buffer:
        cell = msgspec.json.decode(line, type=Cell)
        _send(answers, msgspec.json.encode({"records": answer(execute, cell)}))


def answer(execute: Execute, cell: Cell) -> list[Result]:
    """The records of a cell; whatever it raises becomes an ERROR record."""
    try:
        return list(execute(cell))
    except KeyboardInterrupt:
        raise
    except MemoryError as error:
        return [failure(cell, f"out of memory: {_last_line(error)}")]
    except BaseException as error:  # SystemExit too: a framework must not end the worker
        traceback.print_exc()
        return [failure(cell, _last_line(error))]


def probe(backend: str, devices: Iterable[str] = ("gpu", "cpu")) -> dict[str, dict[str, Any]]:
    """Device -> what the backend says of itself when it is started there, or the reason why it does not start."""
    from crossnn import registry

    found: dict[str, dict[str, Any]] = {}
    for device in devices:
        try:
            facts = registry.load(backend).start(device, "float32", 1)
            found[device] = {"versions": dict(facts.versions), "flags": {k: str(v) for k, v in facts.flags.items()}}
        except BaseException as error:
            found[device] = {"reason": _last_line(error)}
    return found


def _private_output() -> int:
    """A copy of standard output for the answers; what is printed from now on, by C code too, goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return answers


def _follow_parent() -> None:
    """Die with the parent, even while a cell hangs, where the system can do that; Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _pin() -> None:
    """Stay on the processor cores that CROSSNN_CORES names, before a framework counts them."""
    wanted = os.environ.get(CORES, "")
    if wanted and hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError, ValueError):
            os.sched_setaffinity(0, set(map(int, wanted.split(","))))


def _resolve(path: str) -> Execute:
    module, _, attribute = path.partition(":")
    execute: Execute = getattr(importlib.import_module(module), attribute)
    return execute


def _share(folder: str) -> None:
    from crossnn.formula.remembered import share

    share(folder)


def _preload(backend: str) -> None:
    """Import the framework before the first cell, so that no cell's time or time limit pays for it.

    Failing here is no news: the first cell fails in the same way, and says so in a record.
    """
    from crossnn import registry

    with contextlib.suppress(Exception):
        registry.load(backend)


def _send(answers: int, line: bytes) -> None:
    sys.stderr.flush()
    data = memoryview(line + b"\n")
    while data:
        data = data[os.write(answers, data) :]


def _last_line(error: BaseException) -> str:
    """`ValueError: bad shape`: what the last line of a traceback says, or its first line where there are many."""
    lines = [line for line in "".join(traceback.format_exception_only(error)).splitlines() if line.strip()]
    return lines[0][:2000] if lines else type(error).__name__


if __name__ == "__main__":
    main()
