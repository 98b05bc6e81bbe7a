"""Contour lines of a function on a grid, by marching squares, and the levels at which they are worth drawing.

A cell of four neighbours is crossed where some of them are above the level and some are not; the crossing of an edge is
interpolated between its ends. Two opposite corners above are a saddle: the mean of the four says what is joined.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

Edge = tuple[int, int, int]
"""The edge from (row, column) along the row (0) or down the column (1)."""

CROSSED: Mapping[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 6: ((0, 2),), 7: ((3, 2),),
    8: ((3, 2),), 9: ((0, 2),), 11: ((1, 2),), 12: ((3, 1),), 13: ((0, 1),), 14: ((3, 0),),
}  # fmt: skip
"""Corners above the level (bits: 1 and 2 in the first row, 4 and 8 in the second, going round) -> pairs of crossed
edges (0 first row, 1 right, 2 second row, 3 left)."""

ROUND_SECOND_AND_FOURTH, ROUND_FIRST_AND_THIRD = ((0, 1), (3, 2)), ((3, 0), (1, 2))


def contours(values: np.ndarray, level: float) -> list[np.ndarray]:
    """Lines along which `values` pass the level, as (column, row) in units of the grid; a closed line ends where it
    begins. Cells with a corner that is no finite number are left out."""
    above = values > level
    bits = above[:-1, :-1] + 2 * above[:-1, 1:] + 4 * above[1:, 1:] + 8 * above[1:, :-1]
    finite = np.isfinite(values)
    whole = finite[:-1, :-1] & finite[:-1, 1:] & finite[1:, 1:] & finite[1:, :-1]
    beside: dict[Edge, list[Edge]] = {}
    for row, column in np.argwhere(whole & (bits > 0) & (bits < 15)).tolist():
        case = int(bits[row, column])
        pairs = CROSSED.get(case) or _saddle(values[row : row + 2, column : column + 2], level, case)
        edges: tuple[Edge, ...] = ((row, column, 0), (row, column + 1, 1), (row + 1, column, 0), (row, column, 1))
        for first, second in pairs:
            beside.setdefault(edges[first], []).append(edges[second])
            beside.setdefault(edges[second], []).append(edges[first])
    return [np.array([_crossing(values, level, edge) for edge in line]) for line in _chains(beside)]


def _saddle(corners: np.ndarray, level: float, case: int) -> tuple[tuple[int, int], ...]:
    """Cuts off the two corners that are not joined through the middle."""
    joined = float(np.mean(corners)) > level
    return ROUND_SECOND_AND_FOURTH if joined == (case == 5) else ROUND_FIRST_AND_THIRD


def _crossing(values: np.ndarray, level: float, edge: Edge) -> tuple[float, float]:
    row, column, down = edge
    first = float(values[row, column])
    second = float(values[row + 1, column] if down else values[row, column + 1])
    share = (level / 2 - first / 2) / (second / 2 - first / 2)  # halves: no overflow
    return (float(column), row + share) if down else (column + share, float(row))


def _chains(beside: dict[Edge, list[Edge]]) -> list[list[Edge]]:
    """Edges that follow each other: open lines from their ends, then closed ones."""
    lines = []
    for start in [*(edge for edge, found in beside.items() if len(found) == 1), *beside]:
        line, edge = [start], start
        while beside[edge]:
            after = beside[edge].pop()
            beside[after].remove(edge)
            line.append(after)
            edge = after
        if len(line) > 1:
            lines.append(line)
    return lines


def padded(values: np.ndarray, outside: float) -> np.ndarray:
    """The grid with one more line of cells around, of this value: every contour is closed then."""
    return np.pad(values, 1, constant_values=outside)


MOST_LEVELS = 9


def levels(values: np.ndarray, best: float | None = None) -> list[float]:
    """Where to draw contours of a function to be minimised: square roots of the height above `best` equally spaced,
    which makes the circles of a round bowl equally far apart; equal factors where a valley is much deeper than its
    sides."""
    found = values[np.isfinite(values)]
    if not found.size or found.min() == found.max():
        return []
    base = float(found.min()) if best is None or not math.isfinite(best) else best
    heights = np.clip(found - base, -1e300, 1e300)
    low, high = float(heights.min()), float(heights.max())
    if low >= 0 and high > DEEP * (floor := float(np.quantile(heights, 0.03))) > 0:
        return [base + level for level in _powers(floor, high)]
    roots = np.sign([low, high]) * np.sqrt(np.abs([low, high]))
    step = float(roots[1] - roots[0]) / (MOST_LEVELS + 1)
    steps = range(math.floor(roots[0] / step) + 1, math.ceil(roots[1] / step))
    return [base + math.copysign((number * step) ** 2, number) for number in steps if number or low < 0]


DEEP = 60.0


def _powers(floor: float, high: float) -> Sequence[float]:
    """From a little below the floor up to the highest, in equal factors."""
    top, bottom = math.log10(high), math.log10(floor) - 0.7
    return [10.0**exponent for exponent in np.linspace(bottom, top, MOST_LEVELS + 1)[:-1]]
