"""Both sides of a claim at points of the domain, by the oracle; and what each point says about the claim.

A difference in a derivative is believed only when central differences of the function itself, in high precision, show
it too: at a kink they differ from one side to the other, and the point says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from crossnn.claims.points import Point
from crossnn.claims.statement import Comparison, Reading, Recorded, Sizes, Statement
from crossnn.formula.graph import Node
from crossnn.formula.oracle import Exact, OracleError, at_precision, exact
from crossnn.formula.precise import ExponentError, Precise, unbounded

Says = Literal["holds", "fails", "nothing", "undefined", "undecided"]
SAME = 1e-22
"""Two true values that agree to so much are equal: the oracle gives 32 digits of each."""
NOTHING = 1e-280
"""Below it, a value is zero for this purpose."""
STEP_DIGITS = 120
STEP = "1e-30"
SIDES = 1e-6
"""Slopes from both sides that differ by more are those of a kink."""
KINK = "a kink"


@dataclass(frozen=True)
class Outcome:
    """What one point says. Where the claim fails: of which comparison, at which element, both values, how it was
    confirmed."""

    says: Says
    point: Point
    label: str = ""
    index: tuple[int, ...] = ()
    left: float = 0.0
    right: float = 0.0
    confirmed: str = ""

    @property
    def refutes(self) -> bool:
        return self.says in ("fails", "undefined")


class Trial:
    """A statement with certain sizes, to be tried at points."""

    def __init__(self, statement: Statement, sizes: Sizes, reading: Reading = "as written") -> None:
        self.statement, self.sizes, self.reading = statement, sizes, reading
        self.single = statement.record(sizes, reading)
        self.together = statement.scalar and self.single.elementwise

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: node.shape for name, node in self.single.arguments.items()}

    def inside(self, points: Sequence[Point]) -> list[Point]:
        """The points that lie in the stated domain."""
        points = [one for one in points if self.statement.within_bounds(one)]
        if not self.single.conditions or not points:
            return points
        if self.together:
            recorded = self.statement.record(self.sizes, self.reading, len(points))
            found = _values(recorded, recorded.conditions, _stacked(points))
            kept = np.all([np.broadcast_to(_true(one), len(points)) for one in found], axis=0)
            return [point for point, keep in zip(points, kept, strict=True) if keep]
        return [
            point for point in points
            if all(bool(np.all(_true(one))) for one in _values(self.single, self.single.conditions, point))
        ]  # fmt: skip

    def outcomes(self, points: Sequence[Point]) -> Iterator[Outcome]:
        """What each point says, in order."""
        if not points:
            return
        if not self.together:
            for point in points:
                yield self._one(self.single, point)
            return
        recorded = self.statement.record(self.sizes, self.reading, len(points))
        try:
            sides = _sides(recorded, _stacked(points))
        except OracleError:
            if len(points) == 1:
                yield Outcome("undecided", points[0])
            else:
                half = len(points) // 2
                yield from self.outcomes(points[:half])
                yield from self.outcomes(points[half:])
            return
        verdicts = [_elements(one, left, right, len(points)) for one, left, right in sides]
        for place, point in enumerate(points):
            outcome = Outcome("nothing", point)
            for (one, left, right), says in zip(sides, verdicts, strict=True):
                found: Says = says[place]
                if found in ("fails", "undefined"):
                    values = [float(np.broadcast_to(side.hi, len(points))[place]) for side in (left, right)]
                    outcome = self._confirmed(Outcome(found, point, one.label, (), values[0], values[1]), one)
                    if outcome.says != "nothing":
                        break
                elif found == "holds":
                    outcome = Outcome("holds", point)
            yield outcome

    def differences(self, points: Sequence[Point]) -> list[np.ndarray]:
        """Left minus right at every point, one array a point."""
        found = []
        for point in points:
            sides = _sides(self.single, point)
            with np.errstate(all="ignore"):
                parts = [np.ravel((left.hi - right.hi) + (left.lo - right.lo)) for _, left, right in sides]
            found.append(np.concatenate(parts))
        return found

    def _one(self, recorded: Recorded, point: Point) -> Outcome:
        try:
            sides = _sides(recorded, point)
        except OracleError:
            return Outcome("undecided", point)
        outcome = Outcome("nothing", point)
        for one, left, right in sides:
            size = int(np.prod(one.left.shape, dtype=int))
            says = _elements(one, left, right, size)
            for flat in np.flatnonzero((says == "fails") | (says == "undefined")):
                index = tuple(map(int, np.unravel_index(int(flat), one.left.shape))) if one.left.shape else ()
                values = [float(np.broadcast_to(side.hi, one.left.shape)[index]) for side in (left, right)]
                found = self._confirmed(Outcome(says[flat], point, one.label, index, values[0], values[1]), one)
                if found.refutes:
                    return found
            if "holds" in says and outcome.says == "nothing":
                outcome = Outcome("holds", point)
        return outcome

    def _confirmed(self, found: Outcome, one: Comparison) -> Outcome:
        """A failing derivative, against central differences of the function; a failing equality is arithmetic."""
        if one.value is None:
            return found
        recorded = self.single
        same = next(other for other in recorded.comparisons if other.label == one.label)
        assert same.value is not None
        sides = _one_sided(recorded, same.value, found.point, one.wrt, found.index)
        if sides is None:
            return Outcome("nothing", found.point)
        below, above = sides
        scale = max(abs(below), abs(above))
        if abs(below - above) > SIDES * scale and scale > NOTHING:
            return Outcome("nothing", found.point, confirmed=KINK)
        slope = (below + above) / 2
        if found.says == "fails" and abs(found.left - slope) <= 1e-12 * max(abs(slope), abs(found.left)):
            return Outcome("holds", found.point)
        text = f"central differences of the formula give {slope:.15g}"
        return Outcome(found.says, found.point, found.label, found.index, found.left, slope, text)


def _sides(recorded: Recorded, point: Point) -> list[tuple[Comparison, Exact, Exact]]:
    nodes = [node for one in recorded.comparisons for node in (one.left, one.right)]
    found = exact(recorded.graph(*nodes), dict(point))
    return [(one, found[2 * i], found[2 * i + 1]) for i, one in enumerate(recorded.comparisons)]


def _values(recorded: Recorded, nodes: Sequence[Node], point: Point) -> list[np.ndarray]:
    return [one.hi for one in exact(recorded.graph(*nodes), dict(point))]


def _true(value: np.ndarray) -> np.ndarray:
    return np.asarray(value, dtype=bool)


def _stacked(points: Sequence[Point]) -> dict[str, np.ndarray]:
    return {name: np.array([float(point[name]) for point in points]) for name in points[0]}


def _elements(one: Comparison, left: Exact, right: Exact, size: int) -> np.ndarray:
    """What each element says, as words. Where both sides are no numbers nothing is said; where one is, it is undefined
    there, or infinite."""
    shape = one.left.shape or (size,)
    parts = (np.broadcast_to(side, shape).reshape(-1) for side in (left.hi, left.lo, right.hi, right.lo))
    lhi, llo, rhi, rlo = (np.broadcast_to(side, size) for side in parts)
    finite = np.isfinite(lhi), np.isfinite(rhi)
    with np.errstate(all="ignore"):
        error = (lhi - rhi) + (llo - rlo)
        scale = np.maximum(np.abs(lhi), np.abs(rhi))
        holds = (np.abs(error) <= SAME * scale) | (scale < NOTHING)
    if one.relation == "at most":
        holds |= error < 0
        ordered = (lhi == -np.inf) & ~np.isnan(rhi) | (rhi == np.inf) & ~np.isnan(lhi)
    else:
        ordered = np.zeros(size, bool)
    return np.select(
        [~finite[0] & ~finite[1], ordered, ~finite[0] | ~finite[1], holds],
        ["nothing", "holds", "undefined", "holds"],
        "fails",
    )


def _one_sided(
    recorded: Recorded, value: Node, point: Point, name: str, index: tuple[int, ...]
) -> tuple[float, float] | None:
    """The slopes of a function from below and above, with a step of 1e-30 in 120 digits; None where it is no number.
    `index` is the element of the variable; of a function of each element, that of the value too."""
    graph = recorded.graph(value)
    own = index if recorded.arguments[name].shape else ()

    def at(side: int, context: Any) -> Any:
        shifted = {key: np.asarray(array, float).astype(object) for key, array in point.items()}
        cell = np.array(shifted[name], dtype=object)
        cell[own] = context.mpf(float(cell[own])) + side * context.mpf(STEP)
        shifted[name] = cell
        (found,) = at_precision(graph, shifted, STEP_DIGITS, context=context)
        found = np.asarray(found, dtype=object)
        return found[index] if found.shape and found.shape == recorded.arguments[name].shape else np.sum(found)

    try:
        slopes = _slopes(at, Precise)
    except ExponentError:
        slopes = _slopes(at, unbounded)
    except OracleError:
        return None
    return slopes if all(map(np.isfinite, slopes)) else None


def _slopes(at: Any, context_of: Any) -> tuple[float, float]:
    with context_of(STEP_DIGITS) as context, np.errstate(all="ignore"):
        below, middle, above = (at(side, context) for side in (-1, 0, 1))
        step = context.mpf(STEP)
        return float((middle - below) / step), float((above - middle) / step)
