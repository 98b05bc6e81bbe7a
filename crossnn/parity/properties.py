"""What an activation is like, measured: range, monotonicity, symmetry, smoothness, limits, steepest slope.

Nothing of it is typed into a specification. The formula and its first two derivatives are evaluated to 60 digits on a
grid that avoids round numbers; between its points, jumps are searched by halving, extremes by the sign of the slope;
what lies beyond is extrapolated. A measurement is no proof: what is smaller than the grid's eighth may be missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.rows import Activation
from crossnn.errors import CrossnnError
from crossnn.formula.derive import gradients
from crossnn.formula.graph import Graph, Node
from crossnn.formula.oracle import at_precision
from crossnn.formula.precise import ExponentError, Precise

DIGITS = 60
OFFSET = 0.0123
NEAR = np.arange(-96, 97) / 8 + OFFSET
FAR = np.array([13.0, 16.0, 20.0, 25.0, 32.0, 40.0])
GRID = np.concatenate([OFFSET - FAR[::-1], NEAR, FAR + OFFSET])
DOUBLINGS = 1000.0 / 2.0 ** np.arange(6)
"""Where limits are extrapolated from, the farthest first."""

Function = Callable[[Any], np.ndarray]


class MeasureError(CrossnnError):
    """The function is not one that can be measured."""


@dataclass(frozen=True)
class Bound:
    """The end of a range. `at` is where it is attained: NaN on a whole stretch, None where it is only approached."""

    value: float
    at: float | None = None


@dataclass(frozen=True)
class Jump:
    """The derivative of this order (0: the value itself) jumps by `size` at `at`."""

    order: int
    at: float
    size: float


@dataclass(frozen=True)
class Limit:
    """Far out: the value, or, where that is infinite, the straight line slope*x + shift that is approached."""

    value: float
    slope: float | None = None
    shift: float = 0.0


@dataclass(frozen=True)
class Properties:
    """What was measured. `slope_at_zero` holds the slopes on both sides of 0, `steepest` the size of the largest."""

    low: Bound
    high: Bound
    monotone: str
    symmetry: str
    jumps: tuple[Jump, ...]
    at_zero: float
    slope_at_zero: tuple[float, float]
    steepest: Bound
    left: Limit
    right: Limit


def measure(row: Activation, given: Mapping[str, Any] | None = None) -> Properties:
    """The properties of an elementwise activation, with the `given` hyper-parameters and knobs; MeasureError where it
    is not a finite number everywhere."""
    hyper, knobs = settings(row, given or {})
    x = Node([], "input", name="x")
    value = record_row(row, row.formula, {"x": x}, x.tape, hyper, knobs)
    (slope,) = gradients(value, [x])
    (bend,) = gradients(slope, [x])

    try:
        return _measured(x, value, slope, bend)
    except ExponentError:
        raise MeasureError(
            f"{row.name} is too large or too small for {DIGITS} digits somewhere up to x = 1000"
        ) from None


def _measured(x: Node, value: Node, slope: Node, bend: Node) -> Properties:
    with Precise(DIGITS) as context, np.errstate(all="ignore"):

        def function(node: Node) -> Function:
            graph = Graph({"x": x}, node, tuple(x.tape))
            return lambda at: _spread(at_precision(graph, {"x": at}, DIGITS, context=context), at)

        f, df, ddf = map(function, (value, slope, bend))
        values = f(GRID)
        if odd := [float(at) for at, one in zip(GRID, values, strict=True) if not math.isfinite(one)]:
            raise MeasureError(f"at x = {odd[0]:g} the value is no finite number")
        left, right = _limit(f, -1.0), _limit(f, 1.0)
        tiny = 2.0**-200
        jumps = tuple(_jumps((f, df, ddf)))
        return Properties(
            _extreme(values, f, df, -1, (left, right)), _extreme(values, f, df, 1, (left, right)),
            _monotone(values), _symmetry(f, values), jumps, _round(_at(f, 0.0)),
            (_round(_at(df, -tiny)), _round(_at(df, tiny))), _steepest(df, ddf, jumps, (left, right)), left, right,
        )  # fmt: skip


def _spread(values: Any, at: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, dtype=object), np.shape(at))


def _at(function: Function, x: float) -> Any:
    return function(np.array([x]))[0]


def _round(value: Any, digits: int = 12) -> float:
    """To so many digits; what is below them next to 1 is zero."""
    number = float(value)
    return 0.0 if abs(number) < 10.0 ** (1 - digits) else float(f"{number:.{digits}g}")


def _extrapolated(values: Iterable[Any]) -> Any | None:
    """The limit of values at DOUBLINGS whose error is a series in 1/x; None where there is none."""
    column = list(values)
    last = column[0]
    for order in range(1, len(column)):
        last = column[0]
        column = [(2**order * near - far) / (2**order - 1) for near, far in pairwise(column)]
    return column[0] if abs(column[0] - last) <= 1e-6 * max(1, abs(column[0])) else None


def _limit(f: Function, side: float) -> Limit:
    x = side * DOUBLINGS
    values = f(x)
    found = _extrapolated(values)
    if found is not None:
        return Limit(_round(found, 9))
    infinite = math.copysign(math.inf, values[0])
    slope = _extrapolated([(values[k] - values[k + 1]) / (x[k] - x[k + 1]) for k in range(len(x) - 1)])
    shift = None if slope is None else _extrapolated([values[k] - slope * x[k] for k in range(len(x))])
    return Limit(infinite) if slope is None or shift is None else Limit(infinite, _round(slope, 9), _round(shift, 9))


def _extreme(values: np.ndarray, f: Function, df: Function, sign: int, limits: Sequence[Limit]) -> Bound:
    """The largest (sign 1) or smallest (sign -1) value, refined where the slope changes its sign around it."""
    best = max(range(len(GRID)), key=lambda index: sign * values[index])
    top, at = values[best], math.nan
    inside = 0 < best < len(GRID) - 1
    if inside and values[best] not in (values[best - 1], values[best + 1]):
        a, b = GRID[best - 1], GRID[best + 1]
        for _ in range(60):
            middle = (a + b) / 2
            a, b = (middle, b) if sign * _at(df, middle) > 0 else (a, middle)
        top, at = _at(f, b), _round(b)
    for limit in limits:
        beyond = limit.value - top
        if sign * beyond > 1e-8 or (abs(beyond) <= 1e-8 and abs(beyond) > 1e-40 and not inside):
            return Bound(limit.value)
    return Bound(_round(top), at)


def _steepest(df: Function, ddf: Function, jumps: Sequence[Jump], limits: Sequence[Limit]) -> Bound:
    """The largest size of a slope: on the grid, on both sides of every kink, or far out."""
    far = max(abs(_slope(limit)) for limit in limits)
    slopes = np.abs(df(GRID))
    peak = _extreme(slopes, lambda at: np.abs(df(at)), lambda at: df(at) * ddf(at), 1, [Limit(far)])
    sides = [(abs(_at(df, jump.at + side)), jump.at) for jump in jumps for side in (-(2.0**-40), 2.0**-40)]
    found = max(sides, default=(0.0, 0.0))
    return Bound(_round(found[0], 9), found[1]) if found[0] > peak.value + 1e-8 else peak


def _slope(limit: Limit) -> float:
    return limit.slope if limit.slope is not None else math.inf if math.isinf(limit.value) else 0.0


def _monotone(values: np.ndarray) -> str:
    steps = [later - sooner for sooner, later in pairwise(values)]
    for word, sign in (("increasing", 1), ("decreasing", -1)):
        if all(sign * step > 0 for step in steps):
            return f"strictly {word}"
        if all(sign * step >= 0 for step in steps):
            return word if any(steps) else "constant"
    return "not monotone"


def _symmetry(f: Function, values: np.ndarray) -> str:
    mirrored = f(-GRID)

    def small(differences: Any) -> bool:
        return all(abs(one) < 1e-40 for one in differences)

    total, rest = values + mirrored, values - mirrored
    if small(rest):
        return "even"
    if small(total):
        return "odd"
    if small(total - total[0]):
        return f"f(x) + f(-x) = {_round(total[0]):g}"
    return "f(x) - f(-x) = x" if small(rest - GRID.astype(object)) else "none"


def _jumps(functions: Sequence[Function]) -> Iterator[Jump]:
    """Halve every interval of the grid, always keeping the half in which more happens that the next derivative does
    not explain; what does not shrink jumps. A jump of a derivative is told only where the lower ones do not jump."""
    known: set[float] = set()
    for order, function in enumerate(functions):
        slope = functions[order + 1] if order + 1 < len(functions) else lambda at: np.zeros(len(at), object)

        def happens(a: Any, b: Any, fa: Any, fb: Any, slope: Function = slope) -> Any:
            return np.abs(fb - fa - (b - a) * slope((a + b) / 2))

        a, b = NEAR[:-1].copy(), NEAR[1:].copy()
        fa, fb = function(a), function(b)
        first = happens(a, b, fa, fb)
        for halving in range(50):
            middle = (a + b) / 2
            fm = function(middle)
            left = happens(a, middle, fa, fm) > happens(middle, b, fm, fb)
            a, b = np.where(left, a, middle), np.where(left, middle, b)
            fa, fb = np.where(left, fa, fm), np.where(left, fm, fb)
            if halving in (5, 10, 20):
                keep = happens(a, b, fa, fb) > first / 2 ** (0.8 * halving)
                a, b, fa, fb, first = (one[keep] for one in (a, b, fa, fb, first))
            if not len(a):
                break
        for place, before, after in zip(b, fa, fb, strict=True):
            at, size = _round(place), _round(after - before)
            if at not in known and size:
                known.add(at)
                yield Jump(order, at, size)
