"""Where a network of two inputs changes its answer: the boundary of every backend over one shaded plane, and the data.

The shading is the reference's answer; a backend's line is where its own answers, on a grid, pass the level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossnn.pictures.contour import contours, padded
from crossnn.pictures.panels import Entry, Square, backends, framed, places, sheet
from crossnn.pictures.plot import Panel, path, strokes

WIDEST = 5.0
LOW, HIGH = "#7f6bd0", "#1f9d69"
CIRCLE = f'<circle r="3.4" fill="{LOW}" fill-opacity="0.35" stroke="{LOW}" stroke-width="1.3"/>'
TRIANGLE = f'<path d="M0 -4.4L4.2 3.2H-4.2Z" fill="{HIGH}" fill-opacity="0.35" stroke="{HIGH}" stroke-width="1.3"/>'


@dataclass(frozen=True)
class Answers:
    """What a network says over a square, a row of numbers for each y from below; the answer is yes above `level`.
    `points` are samples: x, y and whether yes is right."""

    title: str
    square: Square
    level: float
    reference: np.ndarray | None
    backends: Mapping[tuple[str, str], np.ndarray]
    points: Sequence[tuple[float, float, bool]]


def boundaries(answers: Sequence[Answers], title: str) -> str:
    """A panel for each; empty where there is none."""
    if not answers:
        return ""
    parts: list[str] = []
    where, width, below = places(len(answers))
    for one, (left, top, side) in zip(answers, where, strict=True):
        panel = one.square.panel(left, top, side)
        parts += framed(panel, one.title, "x[0]", "x[1]" if left == where[0][0] else "")
        drawn = strokes([backend for backend, _ in one.backends], WIDEST)
        curves = [
            f'<path d="{_lines(panel, values, one.level)}" {style}/>'
            for style, values in zip(drawn, one.backends.values(), strict=True)
        ]
        parts.append(panel.clipped([*_ground(panel, one), *curves, *_points(panel, one)]))
    lines = backends([one.backends for one in answers], WIDEST)
    return sheet(title, width, below, parts, [*lines, Entry(TRIANGLE, "yes"), Entry(CIRCLE, "no")])


def _ground(panel: Panel, one: Answers) -> list[str]:
    """Both answers shaded."""
    values = one.reference if one.reference is not None else next(iter(one.backends.values()), None)
    if values is None or not np.isfinite(values).all():
        return []
    x, y, side = panel.x.start, panel.y.end, panel.x.end - panel.x.start
    yes = _lines(panel, padded(values, one.level - 1e300), one.level, 1, closed=True)
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{side:g}" height="{side:g}" fill="{LOW}" fill-opacity="0.13"/>',
        f'<path d="{yes}" class="ground" fill-rule="evenodd"/>',
        f'<path d="{yes}" fill="{HIGH}" fill-opacity="0.13" fill-rule="evenodd"/>',
    ]


def _lines(panel: Panel, values: np.ndarray, level: float, padding: int = 0, closed: bool = False) -> str:
    """The contour as a path; the grid, without its padding, spans the panel."""
    last = values.shape[0] - 1 - 2 * padding

    def spot(one: np.ndarray) -> tuple[float, float]:
        across, up = (min(max(float(place) - padding, 0.0), last) / last for place in one)
        return panel.x.start + across * (panel.x.end - panel.x.start), panel.y.start + up * (
            panel.y.end - panel.y.start
        )

    return "".join(path([spot(one) for one in line], closed) for line in contours(values, level))


def _points(panel: Panel, one: Answers) -> list[str]:
    parts = []
    for x, y, yes in one.points:
        if at := panel.at(x, y):
            parts.append(f'<g transform="translate({at[0]:.1f} {at[1]:.1f})">{TRIANGLE if yes else CIRCLE}</g>')
    return parts
