"""The way of an optimizer down its objective: contours, every backend's path, and where it ought to be at every step.

Correct paths lie on each other; the circles are computed without any backend, from the closed form in arbitrary
precision where there is one, else by the reference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossnn.catalogue.rows import Study
from crossnn.pictures.contour import contours, levels, padded
from crossnn.pictures.landscape import height, heights
from crossnn.pictures.panels import Entry, Square, backends, framed, places, sheet
from crossnn.pictures.plot import Panel, Point, path, strokes

CELL = 4.0
"""Pixels between two points at which the objective is computed."""
FURTHEST = 6.0
"""How many times as far as from start to minimum a picture reaches; a path that diverges leaves it."""
ANYWHERE = 1e100
"""How far it reaches where no minimum is known."""
WIDEST = 4.0
APART = 10.0
"""Pixels between two circles; steps that are closer share one."""
MINIMUM = '<path d="M-4 -4L4 4M-4 4L4 -4" class="mark" stroke-width="1.8"/>'
START = '<rect x="-4" y="-4" width="8" height="8" class="spot"/>'
CIRCLE = '<circle r="3" class="mark" stroke-width="1.1"/>'

Points = Sequence[Point | None]


@dataclass(frozen=True)
class Walk:
    """A study that was walked: the paths by (backend, mode), and the truth at every step."""

    title: str
    study: Study
    paths: Mapping[tuple[str, str], Points]
    truth: Points
    exact: bool

    @property
    def start(self) -> Point:
        x, y = self.study.start
        return float(x), float(y)

    @property
    def minimum(self) -> Point | None:
        return (float(self.study.minimum[0]), float(self.study.minimum[1])) if self.study.minimum else None

    def view(self) -> Square:
        """What the paths reach, as far as it is not out of proportion."""
        points = [self.start, *([self.minimum] if self.minimum else [])]
        every = [one for points in (self.truth, *self.paths.values()) for one in points if one and _finite(one)]
        known = self.minimum and self.minimum != self.start
        around = Square.around(points, 2 * FURTHEST) if known else Square(0.0, 0.0, ANYWHERE)
        every = [(_within(x, around.x, around.half), _within(y, around.y, around.half)) for x, y in every]
        return Square.around([*points, *every])


def trajectories(walks: Sequence[Walk], title: str, columns: int = 0) -> str:
    """A panel for each; empty where there is none."""
    if not walks:
        return ""
    parts: list[str] = []
    where, width, below = places(len(walks), columns)
    for walk, (left, top, side) in zip(walks, where, strict=True):
        bottom = not any(other[0] == left and other[1] > top for other in where)
        panel = walk.view().panel(left, top, side)
        parts += framed(panel, walk.title, "w[0]" if bottom else "", "w[1]" if left == where[0][0] else "")
        parts.append(panel.clipped([_contours(walk, panel), *_paths(walk, panel), *_marks(walk, panel)]))
    return sheet(title, width, below, parts, _legend(walks))


def _contours(walk: Walk, panel: Panel) -> str:
    """Shaded the deeper, the darker. One cell more than is seen, so that closing a line leaves no trace."""
    cells = round((panel.x.end - panel.x.start) / CELL)
    x, y = (_beyond(scale.low, scale.high, cells) for scale in (panel.x, panel.y))
    values = heights(walk.study, x, y)
    best = height(walk.study, walk.minimum) if walk.minimum else None
    parts = []
    for level in levels(values[1:-1, 1:-1], best):
        lines = contours(padded(values, 1e300), level)
        drawn = "".join(path([panel.at(*_spot(one, x, y)) for one in line], closed=True) for line in lines)
        parts.append(f'<path d="{drawn}"/>' if drawn else "")
    style = 'fill="#2878b5" fill-opacity="0.07" fill-rule="evenodd" stroke="#2878b5" stroke-opacity="0.45"'
    return f'<g {style} stroke-width="0.8">{"".join(parts)}</g>' if any(parts) else ""


def _beyond(low: float, high: float, cells: int) -> np.ndarray:
    cell = (high - low) / cells
    return np.linspace(low - cell, high + cell, cells + 3)


def _spot(one: np.ndarray, x: np.ndarray, y: np.ndarray) -> Point:
    """From units of the padded grid to coordinates; the padding itself lies on the edge."""
    places = np.arange(len(x)) + 1
    return float(np.interp(one[0], places, x)), float(np.interp(one[1], places, y))


def _paths(walk: Walk, panel: Panel) -> list[str]:
    drawn = strokes([backend for backend, _ in walk.paths], WIDEST)
    return [
        panel.curve([walk.start, *(one or (None, None) for one in points)], f'{style} stroke-linejoin="round"')
        for style, points in zip(drawn, walk.paths.values(), strict=True)
    ]


def _marks(walk: Walk, panel: Panel) -> list[str]:
    """Circles where the path ought to be, the start and the minimum."""
    parts, last = [], panel.at(*walk.start)
    for one in walk.truth:
        at = panel.at(*one) if one else None
        if at and (last is None or math.dist(at, last) >= APART):
            parts.append(_moved(CIRCLE, at))
            last = at
    start, minimum = panel.at(*walk.start), panel.at(*walk.minimum) if walk.minimum else None
    return [*parts, _moved(START, start) if start else "", _moved(MINIMUM, minimum) if minimum else ""]


def _moved(drawing: str, at: Point) -> str:
    return f'<g transform="translate({at[0]:.1f} {at[1]:.1f})">{drawing}</g>'


def _legend(walks: Sequence[Walk]) -> list[Entry]:
    exact = {walk.exact for walk in walks if walk.truth}
    steps = " or ".join(["closed form"] * (True in exact) + ["reference"] * (False in exact))
    circles = [Entry(CIRCLE, steps if len(exact) > 1 else f"{steps}, step by step")] if steps else []
    minimum = [Entry(MINIMUM, "minimum")] if any(walk.minimum for walk in walks) else []
    return [*backends([walk.paths for walk in walks], WIDEST), *circles, Entry(START, "start"), *minimum]


def _finite(point: Point) -> bool:
    return math.isfinite(point[0]) and math.isfinite(point[1])


def _within(value: float, middle: float, half: float) -> float:
    return min(max(value, middle - half), middle + half)
