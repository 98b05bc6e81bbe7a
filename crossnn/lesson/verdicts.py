"""Verdicts on the claims of the lesson: by rules, from what was measured.

Every claim is cut into cases, such as an engine, or an engine with a program. It `holds` if it does in all cases, it
does `not` hold if it does in none, and `when` lies between: then both kinds of cases are named. Without any case that
could be measured there is `none`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from crossnn.lesson.programs import CHAIN_OPERATIONS
from crossnn.runs.cell import FAILURES

Kind = Literal["holds", "when", "not", "none"]
Answers = Mapping[str, Mapping[str, Any]]
"""Backend -> what a step measured there."""

FASTER = 1.1
"""A median must be this many times smaller to count: two runs of the same code differ by less."""
LESS_MEMORY = 0.9
GRAVITY = ("traceback", "message", "nowhere", "silent")
"""How well an error is found, best first."""


@dataclass(frozen=True)
class Verdict:
    kind: Kind
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, object]:
        """For the sentence that explains it."""
        return {"good": ", ".join(self.good), "bad": ", ".join(self.bad), "holding": len(self.good),
                "failing": len(self.bad), "cases": len(self.good) + len(self.bad)}  # fmt: skip


def decide(cases: Sequence[tuple[str, bool]]) -> Verdict:
    good, bad = (tuple(label for label, holds in cases if holds is which) for which in (True, False))
    kind: Kind = "none" if not cases else "holds" if not bad else "when" if good else "not"
    return Verdict(kind, good, bad)


def present(answers: Answers) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The backends that answered."""
    return ((backend, found) for backend, found in answers.items() if "absent" not in found)


def engines(answers: Answers) -> Iterator[tuple[str, str, bool, Any]]:
    """(backend, mode, whether it is the eager one, what was found) for every mode that ran."""
    for backend, found in present(answers):
        for number, (mode, one) in enumerate(found["modes"].items()):
            if "absent" not in one:
                yield backend, mode, number == 0, one


def near(values: Sequence[float], truth: np.ndarray) -> bool:
    """All digits but the last three, of every element; the same infinities and NaN."""
    return bool(np.allclose(np.array(values), truth, rtol=1e-13, atol=0.0, equal_nan=True))


def both_give(answers: Answers) -> Verdict:
    return decide([(f"{b} {m}", set(one["values"]) == {"3.0"}) for b, m, _, one in engines(answers)])


def at_once(answers: Answers) -> Verdict:
    """Eager: as many primitives as the program has, each with its value."""
    return decide([(f"{b} {m}", len(one["calls"]) == CHAIN_OPERATIONS and all(c["value"] for c in one["calls"]))
                   for b, m, eager, one in engines(answers) if eager])  # fmt: skip


def first_the_graph(answers: Answers) -> Verdict:
    """Compiled: over equal calls Python runs once, where it ran at every call eager."""
    return decide([(f"{b} {m}", one["phases"]["equal"]["python"] == 1)
                   for b, m, eager, one in engines(answers) if not eager])  # fmt: skip


def found_unused(counts: Mapping[str, tuple[int, int, bool]]) -> Verdict:
    """engine -> (operations before, after, whether the unused one is still there)."""
    return decide([(name, after < before and not dead) for name, (before, after, dead) in counts.items()])


@dataclass(frozen=True)
class Ratio:
    """How many times faster than eager a compiled mode is at one place of the sweep, what its first call took, and how
    many calls repay that; None where they never do."""

    backend: str
    mode: str
    size: int
    length: int
    eager: float
    compiled: float
    first: float
    saved: float

    @property
    def ratio(self) -> float:
        return self.eager / self.compiled

    @property
    def break_even(self) -> int | None:
        gain = self.eager - self.compiled
        return max(1, math.ceil(self.saved / gain)) if self.ratio > FASTER else None

    @property
    def label(self) -> str:
        return f"{self.backend} {self.mode} n={self.size:g} K={self.length}"


def ratios(answers: Answers) -> list[Ratio]:
    found = []
    for backend, one in present(answers):
        for point in one["points"]:
            modes = {mode: times for mode, times in point["modes"].items() if "absent" not in times}
            plain = next(iter(point["modes"]))
            if plain in modes:
                found += [Ratio(backend, mode, point["size"], point["length"], modes[plain]["median"], times["median"],
                                times["first"], times["first"] - modes[plain]["first"])
                          for mode, times in modes.items() if mode != plain]  # fmt: skip
    return found


def faster(answers: Answers) -> Verdict:
    return decide([(one.label, one.ratio > FASTER) for one in ratios(answers)])


def peak_of(one: Mapping[str, Any]) -> int:
    """By the framework's own count where it has one: what an allocator keeps from earlier calls, the system's mark of
    resident memory does not show."""
    return int(one["peak"] if one["own"] is None else one["own"])


def less_memory(answers: Answers) -> Verdict:
    cases = []
    for backend, found in present(answers):
        modes = {mode: peak_of(one) for mode, one in found["modes"].items() if "absent" not in one}
        plain = next(iter(found["modes"]))
        if plain in modes:
            cases += [(f"{backend} {m}", peak < LESS_MEMORY * modes[plain]) for m, peak in modes.items() if m != plain]
    return decide(cases)


def harder_to_find(answers: Answers) -> Verdict:
    """Compiled: each bug that is reported worse than eager by the same backend. The `if` is no bug: L9 judges it."""
    cases = []
    for backend, found in present(answers):
        for name, bug in found["bugs"].items():
            modes = dict(bug["modes"])
            plain = next(iter(modes))
            if name != "branch":
                grave = {mode: GRAVITY.index(one["outcome"]) for mode, one in modes.items()}
                cases += [(f"{backend} {m}: {name}", one > grave[plain]) for m, one in grave.items() if m != plain]
    return decide(cases)


def same_numbers(answers: Answers, formulas: Sequence[str]) -> Verdict:
    """Compiled: each expression gives what it gives eager, to the bit."""
    cases = []
    for backend, found in present(answers):
        plain = next(iter(found["modes"]))
        for mode, values in found["modes"].items():
            if mode != plain:
                cases += [(f"{backend} {mode}: {formula}", one["value"] == other["value"])
                          for formula, one, other in zip(formulas, values, found["modes"][plain], strict=True)
                          if "absent" not in one and "absent" not in other]  # fmt: skip
    return decide(cases)


def cannot_follow_data(answers: Answers) -> Verdict:
    """Compiled: a program whose path the data decides is refused, or gives a wrong value."""
    cases = []
    for backend, found in present(answers):
        for name, program in found["programs"].items():
            plain = next(iter(program["modes"]))
            cases += [(f"{backend} {mode}: {name}", "absent" in one or not one["right"])
                      for mode, one in program["modes"].items() if mode != plain]  # fmt: skip
    return decide(cases)


def checks_that_find(mistake: Mapping[str, Any]) -> list[str]:
    """The quantities whose verdict is a failure, in order."""
    return [one["quantity"] for one in mistake["checks"] if one["verdict"] in FAILURES]


def mistakes_found(by_dtype: Mapping[str, Mapping[str, Any]]) -> Verdict:
    """Every mistake is found by some check, in some dtype."""
    found: dict[str, bool] = {}
    for one in by_dtype.values():
        for mistake in one.get("mistakes", ()):
            found[mistake["id"]] = found.get(mistake["id"], False) or bool(checks_that_find(mistake))
    return decide(list(found.items()))
