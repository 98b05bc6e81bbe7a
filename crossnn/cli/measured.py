"""The measured properties of an activation in words."""

from __future__ import annotations

import math

from crossnn.parity.properties import Bound, Limit, Properties


def table(found: Properties) -> list[tuple[str, str]]:
    """The measurements in words, one line each."""
    order = {0: "the value", 1: "the slope", 2: "the second derivative"}
    jumps = [f"{order[one.order]} jumps by {one.size:.6g} at {one.at:g}" for one in found.jumps]
    low, high = found.slope_at_zero
    slope = f"slope {low:.6g}" if low == high else f"slope {low:.6g} before and {high:.6g} after"
    bounded = math.isfinite(found.low.value) and math.isfinite(found.high.value)
    return [
        ("range", f"{_end(found.low)} to {_end(found.high)}; {'bounded' if bounded else 'not bounded'}"),
        ("monotone", found.monotone),
        ("symmetry", found.symmetry),
        ("smoothness", "; ".join(jumps) or "value, slope and second derivative are continuous"),
        ("at 0", f"value {found.at_zero:.6g}, {slope}"),
        ("steepest", _end(found.steepest)),
        ("far left", _far(found.left)),
        ("far right", _far(found.right)),
    ]


def _end(bound: Bound) -> str:
    if math.isinf(bound.value):
        return "-infinity" if bound.value < 0 else "infinity"
    where = "approached" if bound.at is None else "attained" if math.isnan(bound.at) else f"at {bound.at:.6g}"
    return f"{bound.value:.6g} ({where})"


def _far(limit: Limit) -> str:
    if limit.slope is None:
        return "faster than any line" if math.isinf(limit.value) else f"approaches {limit.value:.6g}"
    line = "x" if limit.slope == 1 else f"{limit.slope:.6g}*x"
    return f"approaches {line}" + (f" {'+' if limit.shift > 0 else '-'} {abs(limit.shift):.6g}" if limit.shift else "")
