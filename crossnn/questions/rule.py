"""From measured numbers to a verdict: in which cases does the claim hold, and what do these have in common?

A case is decided by its repetitions: the claim holds there if it is true in most of them, as the row declares, and if
so many would be a rare chance, were it true in every other one (sign test, one in twenty). It holds if it holds in
every case; 'when' says by which numbers the cases where it holds can be told from the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from crossnn.formula.grammar import parse
from crossnn.formula.graph import Graph, Node, record
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph
from crossnn.questions.condition import clause, counted, threshold
from crossnn.runs.cell import Point, finite

Verdict = Literal["holds", "holds when", "does not hold here"]
CHANCE = 0.05
LONG = 120
"""A condition of more characters stands back behind a list of cases, where that is shorter."""


@dataclass(frozen=True)
class Case:
    """What was varied, which repetition it is, and what was measured."""

    at: Mapping[str, float | str]
    seed: int
    numbers: Mapping[str, float]


def true_in(rule: Sequence[str], columns: Mapping[str, Sequence[float]]) -> np.ndarray:
    """Whether all comparisons are true, for every place of the columns; what is not a number compares as false."""
    arrays = {name: np.asarray(values, np.float64) for name, values in columns.items()}
    length = len(next(iter(arrays.values())))
    found = np.ones(length, bool)
    for text in rule:
        formula = parse(text)
        used = {name: arrays[name] for name in sorted(formula.names)}

        def function(**names: Node) -> Node:
            return record(formula, names, next(iter(names.values())).tape)  # noqa: B023 - called before it changes

        graph = Graph.trace(function, {name: values.shape for name, values in used.items()})
        with np.errstate(all="ignore"):  # by place: a number may have the name of a primitive
            found &= np.asarray(compile_graph(graph, "rule", NUMPY)(*used.values()), bool)
    return found


def points_of(rule: Sequence[str], cases: Sequence[Case]) -> list[Point]:
    """The cases by what was varied, repetitions together, in the order in which they came."""
    groups: dict[tuple[tuple[str, float | str], ...], list[Case]] = {}
    for case in cases:
        groups.setdefault(tuple(case.at.items()), []).append(case)
    found = []
    for at, group in groups.items():
        group.sort(key=lambda case: case.seed)
        numbers = {name: tuple(finite(float(case.numbers[name])) for case in group) for name in group[0].numbers}
        found.append(
            Point(at=dict(at), numbers=numbers, holds=int(np.sum(_true(rule, dict(at), numbers))), of=len(group))
        )
    return found


def _true(
    rule: Sequence[str], at: Mapping[str, float | str], numbers: Mapping[str, Sequence[float | None]]
) -> np.ndarray:
    length = len(next(iter(numbers.values())))
    columns = {name: [math.nan if one is None else one for one in values] for name, values in numbers.items()}
    varied = {name: [float(value)] * length for name, value in at.items() if not isinstance(value, str)}
    return true_in(rule, {**varied, **columns})


def chance(successes: int, of: int) -> float:
    """The probability of so many or more, if each is as likely as not."""
    return float(sum(math.comb(of, k) for k in range(successes, of + 1)) / 2**of)


def holds_at(point: Point, most: float, exact: bool) -> bool | None:
    """Whether the claim holds in a case; None where its repetitions do not agree enough to say."""
    if exact:
        return point.holds == point.of
    for successes, answer in ((point.holds, True), (point.of - point.holds, False)):
        if successes >= most * point.of and chance(successes, point.of) < CHANCE:
            return answer
    return None


def judge(
    points: Sequence[Point], rule: Sequence[str], by: Sequence[str], most: float, exact: bool
) -> tuple[Verdict, str]:
    """The verdict, and the condition under which the claim holds."""
    found = [holds_at(point, most, exact) for point in points]
    if all(found):
        return "holds", ""
    if not any(found):
        return "does not hold here", ""
    examples = [({**point.at}, bool(answer)) for point, answer in zip(points, found, strict=True)]
    varied = [name for name in by if name in points[0].at] or list(points[0].at)
    measured = [name for name in by if name not in points[0].at]
    repetitions = [one for point in points for one in _repetitions(rule, point)] if measured else []
    condition = threshold(repetitions, measured) or clause(examples, varied)
    if len(condition) > LONG or not condition:
        condition = min(filter(None, (condition, counted(points, found))), key=len)
    return "holds when", condition


def _repetitions(rule: Sequence[str], point: Point) -> list[tuple[dict[str, Any], bool]]:
    """Every repetition as an example of its own, with what was measured in it."""
    true = _true(rule, point.at, point.numbers)
    return [
        ({**point.at, **{name: values[place] for name, values in point.numbers.items()}}, bool(true[place]))
        for place in range(point.of)
    ]
