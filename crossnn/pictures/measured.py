"""What was measured of an activation, beside its curves: the range as a bar, the rest in words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from crossnn.parity.properties import Bound, Jump, Limit, Properties
from crossnn.pictures.curves import Curves, here, sides
from crossnn.pictures.plot import Panel, shortened, text

MOST_KINKS = 5


def approached(limit: Limit) -> tuple[float | None, float]:
    """Slope and shift of the line that is approached far out; no slope where there is none."""
    return (0.0, limit.value) if math.isfinite(limit.value) else (limit.slope, limit.shift)


def range_bar(panel: Panel, found: Properties) -> list[str]:
    """At the right edge; an arrow where the range goes beyond the picture."""
    x = panel.x.end + 14
    ends, parts = [], []
    for bound, edge, sign in ((found.low, panel.y.start, 1), (found.high, panel.y.end, -1)):
        at = panel.y(bound.value)
        inside = at is not None and panel.y.end <= at <= panel.y.start
        y = at if at is not None and inside else edge
        ends.append(y)
        tip = f"M{x - 4} {y:.1f}h8" if inside else f"M{x - 4} {y - sign * 6:.1f}L{x} {y:.1f}L{x + 4} {y - sign * 6:.1f}"
        parts.append(f'<path d="{tip}" class="mark" stroke-width="1.6"/>')
    return [f'<path d="M{x} {ends[0]:.1f}V{ends[1]:.1f}" class="mark" stroke-width="1.6"/>', *parts]


def in_words(curves: Curves, kinks: Sequence[Jump], x: float, y: float) -> Iterator[str]:
    """The measurements below each other, from (x, y) on."""
    for kind, line in _lines(curves, kinks):
        y += 20 if kind == "head" else 16
        yield text(x, y, line, kind=kind)


def _lines(curves: Curves, kinks: Sequence[Jump]) -> Iterator[tuple[str, str]]:
    found = curves.found
    yield "head", "measured"
    yield "small", f"smallest {_end(found.low)}"
    yield "small", f"largest {_end(found.high)}"
    yield "small", found.monotone
    if found.symmetry != "none":
        yield "small", found.symmetry
    for jump in kinks[:MOST_KINKS]:
        yield "head", f"at x = {jump.at:.6g}"
        yield "small", shortened(_happens(curves, jump), 36)
        if jump.order == 0:
            yield "small", f"value there {here(curves.value, jump.at):.4g}"
    if len(kinks) > MOST_KINKS:
        yield "small", f"and {len(kinks) - MOST_KINKS} more"


def _happens(curves: Curves, jump: Jump) -> str:
    match jump.order:
        case 0:
            before, behind = sides(curves.value, jump.at)
            return f"jumps from {_short(before)} to {_short(behind)}"
        case 1:
            before, behind = sides(curves.slope, jump.at)
            return f"slope {_short(before)} before, {_short(behind)} behind"
        case _:
            return f"second derivative jumps by {jump.size:.4g}"


def _short(value: float) -> str:
    """Six digits behind the point at most: the sides of a kink are a billionth away from it."""
    return f"{round(value, 6) + 0.0:.4g}"


def _end(bound: Bound) -> str:
    if math.isinf(bound.value):
        return "-infinity" if bound.value < 0 else "infinity"
    where = ", approached" if bound.at is None else "" if math.isnan(bound.at) else f" at x = {bound.at:.4g}"
    return f"{bound.value:.5g}{where}"
