"""Small multiples: square panels with equal scales in a grid, one legend below them all."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from crossnn.pictures.plot import Panel, Point, Scale, page, shortened, strokes, text

ALONE, SMALL = 440.0, 232.0
LEFT, ABOVE, BELOW, GAP = 62.0, 40.0, 44.0, 48.0
NARROW = 640.0
LETTER = 6.6
"""Pixels that a letter takes, about: what stands side by side does not touch."""


@dataclass(frozen=True)
class Entry:
    """A line of the legend: a drawing 34 pixels long, around (0, 0), and what it stands for."""

    drawing: str
    words: str


@dataclass(frozen=True)
class Square:
    """A part of the plane, as wide as high."""

    x: float
    y: float
    half: float

    @classmethod
    def around(cls, points: Iterable[Point], margin: float = 1.15) -> Square:
        found = list(points)
        (left, right), (low, high) = ((min(one), max(one)) for one in zip(*found, strict=True))
        half = margin * max(right - left, high - low) / 2
        return cls((left + right) / 2, (low + high) / 2, half if half > 0 else 1.0)

    def panel(self, left: float, top: float, side: float) -> Panel:
        return Panel(
            Scale(self.x - self.half, self.x + self.half, left, left + side),
            Scale(self.y - self.half, self.y + self.half, top + side, top),
        )


def columns_of(count: int, wanted: int = 0) -> int:
    """How many panels stand side by side."""
    if wanted and count % wanted == 0 and wanted <= 4:
        return wanted
    return count if count <= 4 else 3 if count <= 6 or count == 9 else 4


def places(count: int, wanted: int = 0) -> tuple[list[tuple[float, float, float]], float, float]:
    """(left, top, side) of every panel, and the width and height of all together."""
    columns = columns_of(count, wanted)
    side = ALONE if count == 1 else SMALL
    found = [
        (LEFT + (number % columns) * (side + GAP), ABOVE + (number // columns) * (side + ABOVE + BELOW), side)
        for number in range(count)
    ]
    rows = math.ceil(count / columns)
    return found, LEFT + columns * (side + GAP) - GAP + 24, rows * (side + ABOVE + BELOW)


def framed(panel: Panel, title: str, across: str, up: str) -> list[str]:
    """Axes with round numbers, the title above."""
    side = panel.x.end - panel.x.start
    middle, name = (panel.x.start + panel.x.end) / 2, shortened(title, int(side / LETTER * 0.95))
    return [*panel.axes(across, up, (5, 5), grid=False), text(middle, panel.y.end - 12, name, "middle", "head")]


def backends(panels: Sequence[Collection[tuple[str, str]]], widest: float) -> list[Entry]:
    """Whose lines these are; a mode is named where a backend has the same one in all panels."""
    most = max(panels, key=len, default=())
    entries = []
    for style, (backend, mode) in zip(strokes([backend for backend, _ in most], widest), most, strict=True):
        modes = {other for names in panels for name, other in names if name == backend}
        entries.append(Entry(f'<path d="M-17 0h34" {style}/>', f"{backend} {mode}" if len(modes) == 1 else backend))
    return entries


def legend(entries: Sequence[Entry], width: float, top: float) -> tuple[list[str], float]:
    """The entries side by side, in as many lines as they need, and where the last line ends."""
    parts, x, y = [], LEFT, top
    for entry in entries:
        long = 44 + LETTER * len(entry.words) + 22
        if x > LEFT and x + long > width:
            x, y = LEFT, y + 22
        parts += _entry(entry, x, y)
        x += long
    return parts, y + 20


def _entry(entry: Entry, x: float, y: float) -> list[str]:
    drawing = f'<g transform="translate({x + 17:.1f} {y:.1f})">{entry.drawing}</g>'
    return [drawing, text(x + 42, y + 4, entry.words)]


def sheet(title: str, width: float, height: float, parts: Sequence[str], entries: Sequence[Entry]) -> str:
    """Panels and their legend as one picture: beside one or two panels, below more of them."""
    if width > NARROW:
        below, end = legend(entries, width, height + 16)
        return page(width, end, title, [*parts, *below])
    beside = [part for number, entry in enumerate(entries) for part in _entry(entry, width, ABOVE + 12 + 24 * number)]
    longest = max((len(entry.words) for entry in entries), default=0)
    return page(width + 52 + LETTER * longest, height, title, [*parts, *beside])
