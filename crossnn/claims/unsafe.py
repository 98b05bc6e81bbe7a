"""Right, but not in floating point: from which input on a text as printed overflows, cancels or gives NaN.

Each printed expression is computed by NumPy in float64 and float32 along lines through the domain, one variable after
the other from 1e-12 to 1e7, and compared with arbitrary precision. Inputs beyond that are no input of a network; what
underflows to zero where the true value is next to nothing is not counted, and neither is a tail: an error is large
when it is a large part of what the expression is nearby, from half to twice the input. But where another expression,
which is said to be equal, comes out right, a tail is counted too. What loses its digits because its inputs are rounded
is no fault of the text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.claims.points import Point, arrays, boxed
from crossnn.claims.statement import Recorded, Statement
from crossnn.claims.truth import Outcome, Trial
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Graph
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.oracle import OracleError, at_precision
from crossnn.formula.precise import ExponentError

SIZES = np.concatenate([10.0 ** np.arange(-12, 0), np.arange(1, 40) / 2.0, 10.0 ** (np.arange(8, 43) / 6)])
SHORT = np.array([1e-10, 1e-6, 1e-3, 1.0, 20.0, 100.0, 400.0, 1000.0, 1e4, 1e6, 1e7])
DIGITS = 130
LOST = 0.1
"""The part of the value nearby that an error must be."""
BASES = 3
REFINED = 18
PATIENCE = 5.0
"""After so many seconds no further lines are followed."""
FAR = 1e4
NONE = 1e-100
"""Below it a true value is zero, as far as so many digits can tell."""
DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Unsafe:
    """The first text that fails in floats: in which dtype, from which input on, what comes out, what is right."""

    text: str
    dtype: str
    what: str
    start: float
    variable: str
    computed: float
    right: float

    @property
    def words(self) -> str:
        how = {"nan": "is NaN", "overflow": "overflows", "cancels": "loses its digits"}[self.what]
        return (
            f"{self.text} {how} in {self.dtype} from {self.variable} = {self.start:.4g} on: "
            f"{self.computed:.6g} instead of {self.right:.6g}"
        )


def unsafe(statement: Statement, trial: Trial, outcomes: Sequence[Outcome]) -> list[Unsafe]:
    """What fails in floating point, the shortest dtype last; at most one finding a text and dtype."""
    bases = _bases(trial, outcomes)
    found: list[Unsafe] = []
    for key, text in statement.main.items():
        for dtype in DTYPES:
            failures = list(_failures(statement, trial, key, text, dtype, bases))
            if failures:
                found.append(min(failures, key=lambda one: (abs(one.start) < 1, abs(one.start))))
                break
    return found


def _bases(trial: Trial, outcomes: Sequence[Outcome]) -> list[Point]:
    """Points of ordinary size at which the claim holds."""
    if not trial.statement.scalar:
        box = trial.statement.box
        return trial.inside([boxed(arrays(trial.shapes, number, 3), box, number) for number in (2, 3, 4, 0, 7)])[:BASES]
    ordinary = [
        one.point for one in outcomes
        if one.says == "holds" and all(0.05 <= abs(float(v)) <= 3 for v in one.point.values())
    ]  # fmt: skip
    if not ordinary:  # the domain is elsewhere
        holding = [one.point for one in outcomes if one.says == "holds"]
        ordinary = sorted(holding, key=lambda point: max((abs(float(v)) for v in point.values()), default=0.0))
    return ordinary[:: max(1, len(ordinary) // BASES)][:BASES]


def _failures(
    statement: Statement, trial: Trial, key: str, text: str, dtype: str, bases: Sequence[Point]
) -> Iterator[Unsafe]:
    patient_until = time.monotonic() + PATIENCE
    for name in trial.shapes:
        for base in bases:
            if time.monotonic() > patient_until:
                return
            for sign in (1.0, -1.0):
                yield from _along(statement, trial, key, text, dtype, base, name, sign)
    if not trial.statement.scalar:
        yield from _far_from_zero(statement, trial, key, text, dtype, bases)


def _far_from_zero(
    statement: Statement, trial: Trial, key: str, text: str, dtype: str, bases: Sequence[Point]
) -> Iterator[Unsafe]:
    """All numbers moved by the same amount: a mean of squares minus the square of the mean has nothing left then."""
    for base in bases:
        line = _Line(statement, trial, key, dtype, {k: np.asarray(v) + FAR for k, v in base.items()}, "", 1.0)
        for one in line.at(np.array([FAR])):
            if one.bad and line.blames_the_text(one):
                what = "cancels" if np.isfinite(one.computed) else "nan"
                yield Unsafe(text, dtype, what, FAR, "numbers near", one.computed, one.right)


def _along(
    statement: Statement, trial: Trial, key: str, text: str, dtype: str, base: Point, name: str, sign: float
) -> Iterator[Unsafe]:
    """Along one line, from small inputs to large ones: the first large input that fails, else the largest small one."""
    line = _Line(statement, trial, key, dtype, base, name, sign)
    sizes = SIZES if trial.together else SHORT
    bad = [one for one in line.at(sizes) if one.bad]
    large, small = [one for one in bad if one.size >= 1.0], [one for one in bad if one.size < 1.0]
    first = next((one for one in (*large, *reversed(small)) if line.blames_the_text(one)), None)
    if first is None:
        return
    good = max([size for size in sizes if size < first.size], default=0.0)
    for _ in range(REFINED if first.size >= 1.0 else 0):
        middle = line.at(np.array([(good + first.size) / 2]))
        if middle and middle[0].bad and line.blames_the_text(middle[0]):
            first = middle[0]
        else:
            good = (good + first.size) / 2
    what = "nan" if np.isnan(first.computed) else "overflow" if np.isinf(first.computed) else "cancels"
    variable = name if trial.together else f"{name} of size"
    yield Unsafe(text, dtype, what, sign * first.size, variable, first.computed, first.right)


@dataclass(frozen=True)
class _Sample:
    size: float
    computed: float
    right: float
    bad: bool


class _Line:
    """A printed text along a line: one variable from small to large, the others where they are."""

    def __init__(
        self, statement: Statement, trial: Trial, key: str, dtype: str, base: Point, name: str, sign: float
    ) -> None:
        self.statement, self.trial, self.key, self.dtype = statement, trial, key, dtype
        self.base, self.name, self.sign = base, name, sign
        self.limits = np.finfo(dtype)

    def point(self, size: float) -> Point:
        """The point of the line with a variable of this size."""
        if not self.name:
            return self.base
        whole = np.asarray(self.base[self.name])
        if self.trial.together:
            return {**self.base, self.name: np.asarray(self.sign * size)}
        largest = max(float(np.max(np.abs(whole), initial=0.0)), 1e-300)
        return {**self.base, self.name: self.sign * whole * (size / largest)}

    def blames_the_text(self, one: _Sample) -> bool:
        """Whether the text is at fault: of a value that changes as much when its inputs are rounded, none is."""
        return not np.isfinite(one.computed) or not self._ill_conditioned(self.point(one.size))

    def _ill_conditioned(self, point: Point) -> bool:
        rng = np.random.default_rng(0)
        unit = float(self.limits.eps)
        moved = {k: np.asarray(v) * (1 + unit * rng.uniform(-1, 1, np.shape(v))) for k, v in point.items()}
        graph = self.trial.single.graph(self.trial.single.texts[self.key])
        try:
            (here,), (there,) = (at_precision(graph, one, DIGITS) for one in (point, moved))
        except (ExponentError, OracleError):
            return True
        before, after = (np.asarray(one, dtype=object).astype(np.float64) for one in (here, there))
        with np.errstate(all="ignore"):
            return bool(np.max(np.abs(after - before), initial=0.0) > LOST / 2 * np.max(np.abs(before), initial=0.0))

    def at(self, sizes: np.ndarray) -> list[_Sample]:
        """What comes out for these sizes, where they lie in the domain."""
        return self._together(sizes) if self.trial.together else self._apart(sizes)

    def _together(self, sizes: np.ndarray) -> list[_Sample]:
        points: list[Point] = []
        for factor in (1.0, 0.5, 2.0):
            values = [float(np.asarray(one, self.dtype)) for one in self.sign * factor * sizes]
            points += [{**self.base, self.name: np.asarray(value)} for value in values]
        kept = _kept(self.trial, points)
        if not kept:
            return []
        recorded = self.statement.record(self.trial.sizes, self.trial.reading, len(kept))
        given = {k: np.array([float(points[at][k]) for at in kept]) for k in points[0]}
        result = _judged(recorded, self.key, given, self.dtype)
        if result is None:
            return []
        computed, right, better = (
            dict(zip(kept, np.broadcast_to(one, len(kept)).tolist(), strict=True)) for one in result
        )
        count = len(sizes)

        def nearby(place: int) -> list[float]:
            return [right.get(place + shift, 0.0) for shift in (count, 2 * count)]

        return [
            self._sample(size, computed[place], right[place], [] if better[place] else nearby(place))
            for place, size in enumerate(sizes.tolist())
            if place in computed
        ]

    def _apart(self, sizes: np.ndarray) -> list[_Sample]:
        found = []
        for size in sizes.tolist():
            values = self._values(size)
            if values is None:
                continue
            computed, right, better = (np.ravel(np.broadcast_to(one, values[1].shape)) for one in values)
            with np.errstate(all="ignore"):
                odd = ~np.isfinite(computed) & np.isfinite(right)
                place = int(np.argmax(np.where(odd, np.inf, np.nan_to_num(np.abs(computed - right)))))
            scale = float(np.max(np.abs(right[np.isfinite(right)]), initial=0.0))
            one = self._sample(size, float(computed[place]), float(right[place]), [scale])
            if (
                one.bad and np.isfinite(one.computed) and not better[place]
            ):  # a tail, that is next to nothing already at half the size?
                half = self._values(size / 2)
                nearby = [] if half is None else [float(np.max(np.abs(half[1]), initial=0.0))]
                one = self._sample(size, one.computed, one.right, [scale, *nearby])
            found.append(one)
        return found

    def _values(self, size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        point = self.point(size)
        point = {k: np.asarray(np.asarray(v, self.dtype), float) for k, v in point.items()}
        if not self.trial.inside([point]):
            return None
        return _judged(self.trial.single, self.key, point, self.dtype)

    def _sample(self, size: float, computed: float, right: float, nearby: Sequence[float]) -> _Sample:
        if not np.isfinite(right) or abs(right) > float(self.limits.max):
            return _Sample(size, computed, right, False)
        if not np.isfinite(computed):
            return _Sample(size, computed, right, True)
        scale = max(abs(right), *(abs(one) for one in nearby if np.isfinite(one)), 0.0)
        lost = abs(computed - right) > LOST * scale and scale > max(float(self.limits.tiny) / LOST, NONE)
        return _Sample(size, computed, right, lost)


def _kept(trial: Trial, points: Sequence[Point]) -> list[int]:
    """The places of the points inside the domain."""
    inside = {id(one) for one in trial.inside(points)}
    return [place for place, one in enumerate(points) if id(one) in inside]


def _judged(recorded: Recorded, key: str, given: Any, dtype: str) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """(what NumPy computes, what is right, whether another expression that is said to be equal comes out right there);
    None where the right value cannot be told."""
    graph = recorded.graph(recorded.texts[key])
    try:
        (right,) = at_precision(graph, given, DIGITS)
    except (ExponentError, OracleError):
        return None
    true = np.asarray(right, dtype=object).astype(np.float64)
    better = np.zeros(true.shape, bool)
    with np.errstate(all="ignore"):
        for other, node in recorded.texts.items():
            if other != key and key.startswith("equal") and node.shape == recorded.texts[key].shape:
                error = np.abs(np.asarray(_in(recorded.graph(node), given, dtype), np.float64) - true)
                better = better | (error <= LOST / 100 * np.abs(true))
        return np.asarray(_in(graph, given, dtype), np.float64), true, better


def _in(graph: Graph, given: Any, dtype: str) -> Any:
    short = {name: np.asarray(value, dtype) for name, value in given.items()}
    kind = np.dtype(dtype).type
    with np.errstate(all="ignore"):
        (value,) = evaluate(graph, NUMPY, short, lambda node: kind(node.options["value"]))
    return value
