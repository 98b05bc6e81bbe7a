"""Injected bugs: who names the line with the error, a program that runs as it is called, or one that is compiled first?

Every program has one line with a bug. It is found where the error that is raised names that line of that file, in
whatever way the framework tells of it; also where the framework does what was meant, so that there is nothing to find.
A wrong result without an error, or an error that names another line, is a bug that is not found.
"""

from __future__ import annotations

import tempfile
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.errors import UnavailableError
from crossnn.parity.compute import meaning_of
from crossnn.questions.ask import Ask
from crossnn.questions.rule import Case

MARK = "# the bug"

PROGRAMS: Mapping[str, str] = {
    "shape": """
        def program(x, w, counts):
            h = tanh(x)
            y = matmul(h, x)  # the bug
            return sum(y)
        """,
    "dtype": """
        def program(x, w, counts):
            h = tanh(x)
            y = h * counts  # the bug
            return sum(y)
        """,
    "nan": """
        def program(x, w, counts):
            h = tanh(x)
            y = log(h - 2.0)  # the bug
            return sum(y)
        """,
    "axis": """
        def program(x, w, counts):
            h = tanh(x)
            m = mean(h, axis=0, keepdims=True)  # the bug
            return sum(matmul(h - m, w) * m)
        """,
    "range": """
        def program(x, w, counts):
            h = tanh(x)
            y = take(w, counts)  # the bug
            return sum(y) + sum(h)
        """,
    "branch": """
        def program(x, w, counts):
            h = tanh(x)
            if sum(h) > 0.0:  # the bug
                h = h * 2.0
            return sum(h)
        """,
}
"""x has 4 rows of 3 numbers, w 3 rows of 2, counts are whole numbers in the shape of x."""


@dataclass(frozen=True)
class Bug:
    """A program in a file, and the line that is wrong."""

    file: Path
    line: int
    text: str


def written(name: str, folder: Path) -> Bug:
    """The program of this name in a file of its own."""
    text = textwrap.dedent(PROGRAMS[name]).lstrip()
    file = folder / f"{name}_program.py"
    file.write_text(text, encoding="utf-8")
    line = next(number for number, one in enumerate(text.splitlines(), 1) if MARK in one)
    return Bug(file, line, text)


def injected_bugs(ask: Ask) -> Iterator[Case]:
    """1 where the bug is found, 0 where it is not, for each mode that compiles beside the one that does not."""
    modes = [mode for mode in ask.modes if mode != ask.adapter.modes[0]]
    if not modes:
        raise UnavailableError(
            f"{ask.adapter.name}: no mode that compiles was asked for, to compare with the eager one"
        )
    with tempfile.TemporaryDirectory(prefix="crossnn-bugs-") as folder:
        for name in ask.settings["bugs"]:
            bug = written(name, Path(folder))
            eager = found(ask.adapter, ask.adapter.modes[0], name, bug)
            for mode in modes:
                numbers = {"eager": float(eager), "symbolic": float(found(ask.adapter, mode, name, bug))}
                yield Case({"bug": name, "mode": mode}, ask.seeds[0], numbers)


def found(adapter: Adapter, mode: str, name: str, bug: Bug) -> bool:
    """Whether running the program names the bug, or does what was meant."""
    scope: dict[str, Any] = dict(meaning_of(adapter, mode))
    exec(compile(bug.text, str(bug.file), "exec"), scope)  # our own text, above
    x = np.linspace(0.1, 1.2, 12).reshape(4, 3)
    counts = np.arange(12).reshape(4, 3)
    given = [adapter.tensor(one) for one in (x, np.ones((3, 2)), counts)]
    try:
        with np.errstate(all="ignore"):
            value = adapter.compile(scope["program"], mode)(*given)
            adapter.wait(value)
            result = float(adapter.array(value))
    except Exception as error:  # what a framework throws is what is looked at
        return named(error, bug)
    meant = {"dtype": np.sum(np.tanh(x) * counts), "branch": np.sum(2 * np.tanh(x))}
    return name in meant and bool(np.isclose(result, meant[name], rtol=1e-6))


def named(error: BaseException, bug: Bug) -> bool:
    """Whether an error, with its causes, says the file and the line of the bug."""
    text = "".join(traceback.format_exception(error)) + str(error)
    return any(f"{quoted}, line {bug.line}" in text for quoted in (f'"{bug.file}"', f"{bug.file}")) or (
        f"{bug.file}:{bug.line}" in text
    )
