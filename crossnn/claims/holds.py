"""Where a refuted claim does hold: on which intervals, for which signs, for which lengths.

Conditions that a slide could have stated are tried one by one: points are moved into each, and a condition is told when
the claim holds at all of them. Of a claim in one variable the ends of its intervals are searched by halving.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial

import numpy as np

from crossnn.claims.points import Point, arrays, boxed, drawn_scalars, sizes_to_try
from crossnn.claims.search import _special_sizes
from crossnn.claims.statement import Reading, Statement
from crossnn.claims.truth import Trial
from crossnn.errors import FormulaError

FIRST = 8
POINTS = 150
ARRAY_POINTS = 18
LEAST = 3
PATIENCE = 3.0
"""After so many seconds no further conditions are tried."""
SPAN = 12.0
GRID = 97
HALVINGS = 34
Move = Callable[[np.ndarray], np.ndarray]

CONDITIONS: Mapping[str, tuple[Move, tuple[str, ...]]] = {
    "{v} >= 0": (np.abs, ("{v} = 0", "{v} = 1", "0 < {v} < 1", "{v} > 1")),
    "{v} <= 0": (lambda v: -np.abs(v), ("{v} = 0", "{v} < -1")),
    "0 < {v} < 1": (lambda v: np.abs(np.sin(v)) * 0.96 + 0.02, ()),
    "{v} > 1": (lambda v: 1 + np.abs(v) + 1 / 64, ("{v} = 1",)),
    "{v} < -1": (lambda v: -1 - np.abs(v) - 1 / 64, ()),
    "{v} = 1": (np.ones_like, ()),
    "{v} = 0": (np.zeros_like, ()),
}
"""Condition -> what moves a value into it, and which conditions are not worth telling besides."""


def where_it_holds(statement: Statement, reading: Reading) -> list[str]:
    """The parts of the domain in which a refuted claim holds, as conditions that were tried; the widest first."""
    found = list(_lengths(statement, reading))
    trial = Trial(statement, sizes_to_try(statement.sizes)[0], reading)
    if statement.scalar and len(statement.names) == 1 and trial.together:
        return found + list(_intervals(trial, statement.names[0]))
    implied: set[str] = set()
    patient_until = time.monotonic() + PATIENCE
    for name in statement.names:
        if time.monotonic() > patient_until:
            return found
        for condition, (move, weaker) in CONDITIONS.items():
            text = condition.format(v=name)
            if text not in implied and _holds(trial, partial(_moved, name, move)):
                implied |= {one.format(v=name) for one in weaker}
                found.append(text)
    for one, other in itertools.permutations(statement.names, 2):
        if trial.shapes[one] != trial.shapes[other] or time.monotonic() > patient_until:
            continue
        if one < other and _holds(trial, partial(_alike, one, other)):
            found.append(f"{one} = {other}")
        elif _holds(trial, partial(_above, one, other)):
            found.append(f"{one} > {other}")
    return found


def _moved(name: str, move: Move, point: Point) -> Point:
    return {**point, name: move(point[name])}


def _alike(one: str, other: str, point: Point) -> Point:
    return {**point, other: point[one]}


def _above(one: str, other: str, point: Point) -> Point:
    return {**point, one: point[other] + np.abs(point[one]) + 1 / 64}


def _holds(trial: Trial, change: Callable[[Point], Point]) -> bool:
    """Whether the claim holds at all points that are changed so; the first that fails ends it."""
    holding = 0
    for places in (range(FIRST), range(FIRST, POINTS if trial.statement.scalar else ARRAY_POINTS)):
        inside = trial.inside([change(_point(trial, place)) for place in places])
        for one in trial.outcomes(inside):
            if one.refutes:
                return False
            holding += one.says == "holds"
    return holding >= LEAST


def _point(trial: Trial, place: int) -> Point:
    """The drawn point of this number, within the stated bounds."""
    if trial.statement.scalar:
        point: Point = {name: np.asarray(value) for name, value in _scalars(tuple(trial.shapes))[place].items()}
    else:
        point = arrays(trial.shapes, place, 7)
    return boxed(point, trial.statement.box, place) if trial.statement.box else point


@lru_cache(maxsize=64)
def _scalars(names: tuple[str, ...]) -> list[dict[str, float]]:
    return list(drawn_scalars(names, POINTS, 7))


def _lengths(statement: Statement, reading: Reading) -> Iterator[str]:
    for text, sizes in _special_sizes(statement.sizes):
        try:
            trial = Trial(statement, sizes, reading)
        except FormulaError:
            continue
        if _holds(trial, dict):
            yield text
            return


def _intervals(trial: Trial, name: str) -> Iterator[str]:
    """Intervals of one variable on which the claim holds, and single points between them."""
    grid = np.linspace(-SPAN, SPAN, GRID) + 1 / 1024
    known = _says(trial, name, grid)
    runs = [list(group) for _, group in itertools.groupby(range(GRID), key=lambda at: known[at])]
    for run in runs:
        if known[run[0]] != "holds":
            continue
        low, high = run[0], run[-1]
        ends = (
            None if low == 0 else _end(trial, name, grid[low - 1], grid[low], known[low - 1]),
            None if high == GRID - 1 else _end(trial, name, grid[high + 1], grid[high], known[high + 1]),
        )
        yield _interval(name, *ends)
    singles = [v for v in (0.0, 1.0, -1.0, 0.5, 2.0, -2.0) if _says(trial, name, np.array([v]))[0] == "holds"]
    for value in singles:
        near = int(np.argmin(np.abs(grid - value)))
        if known[near] == "fails" and known[max(near - 1, 0)] == "fails":
            yield f"{name} = {value:g}"


def _says(trial: Trial, name: str, values: Sequence[float] | np.ndarray) -> list[str]:
    """What each value says; outside the stated domain: "outside"."""
    points: list[Point] = [{name: np.asarray(float(value))} for value in values]
    inside = trial.inside(points)
    kept = {float(one[name]) for one in inside}
    found = iter([one.says for one in trial.outcomes(inside)])
    return [next(found) if float(value) in kept else "outside" for value in values]


def _end(trial: Trial, name: str, out: float, inside: float, beyond: str) -> float | None:
    """Where holding ends; None where only the stated domain, or that of the formulas, ends there."""
    if beyond in ("outside", "nothing"):
        return None
    for _ in range(HALVINGS):
        middle = (out + inside) / 2
        if _says(trial, name, [middle])[0] == "holds":
            inside = middle
        else:
            out = middle
    near = round(inside * 8) / 8
    return near if abs(near - inside) < 1e-6 else float(f"{inside:.6g}")


def _interval(name: str, low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return f"every {name} in the rest of the domain"
    if low is None:
        return f"{name} <= {high:g}"
    return f"{name} >= {low:g}" if high is None else f"{low:g} <= {name} <= {high:g}"
