"""Giving the lesson: asking the backends step by step, and writing down what they answered."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from crossnn.errors import BackendError, CrossnnError
from crossnn.lesson.classroom import Classroom, installed
from crossnn.lesson.steps import Lesson, chosen
from crossnn.lesson.verdicts import Verdict
from crossnn.runs import machine


def give(
    steps: Sequence[str],
    backends: Sequence[str],
    all_modes: bool,
    arguments: Sequence[str],
    tell: Callable[[str], None],
    files: Mapping[str, str],
) -> Lesson:
    """Measure the chosen steps. `tell` is told about progress; `files`, by the options that name them, must be writable
    before the work begins."""
    wanted = chosen(steps)
    if any(":" in name for name in backends) and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a user's own adapter; last, so that no file there shadows a package
    names, absent = installed(backends)
    if backends and absent:
        name, why = next(iter(absent.items()))
        raise BackendError(f"backend {name!r} {why}")
    for option, file in files.items():
        try:
            with open(file, "a", encoding="utf-8"):
                pass
        except OSError as error:
            raise CrossnnError(f"{option} {file}: cannot be written ({error.strerror}); choose another file") from error
    measured: dict[str, dict[str, dict[str, Any]]] = {}
    began = time.monotonic()
    needed = [name for name in names if any(step.asks(name) for step in wanted)]
    with Classroom(needed, absent, all_modes=all_modes) as room:
        for step in wanted:
            if not any(map(step.asks, needed)):
                tell(f"{step.name}: left out, it needs {', '.join(step.backends) or 'another backend'}")
                continue
            measured[step.name] = {dtype: {} for dtype in step.dtypes}
            for dtype in step.dtypes:
                for name in needed:
                    if step.asks(name):
                        measured[step.name][dtype][name] = room.ask(step.name, name, dtype)
            tell(f"{step.name}: measured after {time.monotonic() - began:.0f} s")
    return Lesson(measured, machine.describe(arguments, 1))


def write_json(lesson: Lesson, verdicts: Mapping[str, Verdict], file: str) -> None:
    """Everything that was measured, as one document; of a training's parameters nobody wants all numbers."""
    document = {
        "machine": lesson.machine,
        "verdicts": {name: dataclasses.asdict(verdict) for name, verdict in verdicts.items()},
        "measured": _without_parameters(lesson.measured),
    }
    text = msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"
    if file == "-":
        sys.stdout.write(text.decode())
        return
    try:
        Path(file).write_bytes(text)
    except OSError as error:
        raise CrossnnError(f"--json {file}: cannot be written ({error.strerror})") from error


def _without_parameters(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {
            key: _without_parameters(inner) for key, inner in tree.items() if not (key == "params" and "losses" in tree)
        }
    return [_without_parameters(one) for one in tree] if isinstance(tree, list) else tree
