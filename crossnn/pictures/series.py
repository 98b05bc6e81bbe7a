"""How a curve of a backend and mode is drawn, the same in every chart of a report, and told apart without colour.

Colour and marker say the framework, the dashes the mode; the marker is hollow where it is not our formula that ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crossnn.pictures.plot import STYLES, Point, styles

MARKERS: Mapping[str, str] = {"numpy": "circle", "torch": "square", "tensorflow": "triangle", "jax": "diamond"}
OTHER_MARKERS = ("cross", "plus", "upside-down")
MODES: Mapping[str, str] = {"compiled": "2 3", "jit": "2 3", "graph": "8 3 2 3 2 3", "xla": "16 3"}
"""The dashes of modes; others, such as eager, have those of their backend."""
SPARE = ("5 2", "1 5", "20 3 3 3", "9 9", "4 2 1 2", "14 2 2 2 2 2")
"""Dashes of what would else look like another curve."""
SHAPES: Mapping[str, tuple[float, float, str]] = {
    "circle": (0, -4, "a4 4 0 1 0 .1 0z"),
    "square": (-3.5, -3.5, "h7v7h-7z"),
    "triangle": (0, -4.5, "l4.5 8h-9z"),
    "diamond": (0, -5, "l4.5 5-4.5 5-4.5-5z"),
    "cross": (-3.5, -3.5, "l7 7m0-7l-7 7"),
    "plus": (-4.5, 0, "h9m-4.5-4.5v9"),
    "upside-down": (0, 4.5, "l4.5-8h-9z"),
}
"""Where the pen begins, from the point, and how it goes on: short, as there are many on a page."""
LINES = ("cross", "plus")
"""Shapes without an inside."""


@dataclass(frozen=True)
class Series:
    colour: str
    dash: str
    marker: str
    hollow: bool = False

    def stroke(self, width: float) -> str:
        dashes = f' stroke-dasharray="{self.dash}"' if self.dash else ""
        return f'fill="none" stroke="{self.colour}" stroke-width="{width:.1f}"{dashes}'

    def marks(self, points: Iterable[Point]) -> str:
        """The marker at each of these places, as one path."""
        across, down, shape = SHAPES[self.marker]
        drawn = "".join(f"M{round(x + across, 1):g} {round(y + down, 1):g}{shape}" for x, y in points)
        if not drawn:
            return ""
        if self.marker in LINES:
            return f'<path d="{drawn}" fill="none" stroke="{self.colour}" stroke-width="1.8"/>'
        if self.hollow:
            return f'<path d="{drawn}" class="ground" stroke="{self.colour}" stroke-width="1.6"/>'
        return f'<path d="{drawn}" fill="{self.colour}"/>'

    def sample(self, x: float, y: float, width: float) -> str:
        """What a legend shows of it."""
        return f'<path d="M{x:g} {y:.1f}h34" {self.stroke(width)}/>{self.marks([(x + 17, y)])}'


def series(names: Sequence[tuple[str, str]]) -> list[Series]:
    """The style of each (backend, mode). What stands behind a mode in brackets says that something else than our
    formula ran."""
    known = styles([backend for backend, _ in names])
    strangers = [name for name in dict.fromkeys(backend for backend, _ in names) if name not in STYLES]
    markers = {**MARKERS, **{name: OTHER_MARKERS[i % len(OTHER_MARKERS)] for i, name in enumerate(strangers)}}
    found: list[Series] = []
    for backend, mode in names:
        colour, own = known[backend]
        hollow = "(" in mode
        dashes = (MODES.get(mode.split(" ")[0], own), *SPARE)
        made = (Series(colour, dash, markers[backend], hollow) for dash in dashes)
        found.append(next((one for one in made if one not in found), Series(colour, own, markers[backend], hollow)))
    return found


def spread(points: Sequence[Point | None], number: int, count: int, wanted: int = 4) -> list[Point]:
    """About so many of the points, others for each of `count` curves: where lines coincide no marker hides another."""
    every = max(1, len(points) // wanted)
    first = (number * every // max(1, count)) % every
    return [point for point in points[first::every] if point is not None]
