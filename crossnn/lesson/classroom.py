"""The side of the lesson that asks: one child process for each backend, a step at a time, with a time limit.

What is measured must not be disturbed, so one child works at a time; they import their frameworks together, which takes
longest. A child that crashed or hung is replaced, and the step says what happened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec

from crossnn import registry
from crossnn.lesson.measure import ALL, ALONE
from crossnn.runs.cell import Cell
from crossnn.runs.child import Child, ChildEndedError, ChildTimeoutError

EXECUTE = "crossnn.lesson.measure:run"
READY_SECONDS = 300.0
STEP_SECONDS = 240.0

Answer = dict[str, Any]
"""What a step measured, or {"absent": why not}."""


class Classroom:
    """The backends of a lesson. `absent`: those that cannot run here, and why."""

    def __init__(self, backends: Sequence[str], absent: Mapping[str, str], *, all_modes: bool = False,
                 seconds: float = STEP_SECONDS) -> None:  # fmt: skip
        self.backends, self.absent = tuple(backends), dict(absent)
        self.all_modes, self.seconds = all_modes, seconds
        self._children: dict[str, Child] = {}
        self._ready: set[str] = set()

    def __enter__(self) -> Self:
        for backend in self.backends:
            if backend not in self.absent:
                self._start(backend)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for child in self._children.values():
            child.close() if kind is None else child.dispose()

    def _start(self, backend: str) -> None:
        self._ready.discard(backend)
        self._children[backend] = Child(backend, "cpu", 1, execute=EXECUTE)

    def ask(self, step: str, backend: str, dtype: str = "float64") -> Answer:
        """What this step measures on this backend."""
        if backend in self.absent:
            return {"absent": self.absent[backend]}
        child = self._children[backend]
        cell = Cell(task="check", spec=step, backend=backend, mode=ALL if self.all_modes else "", dtype=dtype)
        try:
            if backend not in self._ready:
                child.receive(READY_SECONDS)
                self._ready.add(backend)
            child.send(msgspec.json.encode(cell))
            line = child.receive(self.seconds * (4 if self.all_modes else 1))
        except (ChildEndedError, OSError) as error:
            return self._lost(backend, f"the process ended: {error}")
        except ChildTimeoutError:
            return self._lost(backend, f"no answer within {self.seconds:g} s")
        return answer_of(line)

    def _lost(self, backend: str, why: str) -> Answer:
        with contextlib.suppress(OSError):
            self._children[backend].dispose()
        self._start(backend)
        return {"absent": why}


def answer_of(line: bytes) -> Answer:
    """A worker's line; an error of the step is a reason why it is absent."""
    try:
        found = msgspec.json.decode(line)["records"][0]
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError):
        return {"absent": "the worker's answer is not what was asked for"}
    if found.get("record") == "check":
        return {"absent": found.get("message") or "an error without words"}
    answer: Answer = found
    return answer


def installed(asked: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """The backends of the lesson, and why some of them are not here; all that there are, where none is named."""
    names = tuple(asked) or (*registry.backends(), *ALONE)
    missing: dict[str, str] = {}
    for name in names:
        if name in ALONE:
            needs, hint = [ALONE[name].package] if ALONE[name].missing else [], ALONE[name].hint
        else:
            backend = registry.find(name)
            needs, hint = backend.missing, backend.hint
        if needs:
            missing[name] = f"needs {', '.join(needs)}, not installed here: {hint}"
    return names, missing
