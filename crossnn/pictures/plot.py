"""What all pictures share: scales, ticks, paths with gaps, panels with axes, the styles of backends, and the page.

A picture is SVG text that stands alone as a file and inline in a page, in a light and in a dark surrounding: it brings
its own ground and its own colours for both. Ids are made of geometry, so that equal ids on one page mean equal things.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

Point = tuple[float, float]

STYLE = """\
.crossnn{font:12px system-ui,sans-serif;fill:#5c5c5c}.crossnn .ground{fill:#fff}
.crossnn .head{font-weight:600;fill:#1c1c1c}.crossnn .line{stroke:#8a8a8a;fill:none}
.crossnn .grid{stroke:#8a8a8a;stroke-opacity:.22;fill:none}.crossnn .small{font-size:11px}
.crossnn .mark{stroke:#1c1c1c;fill:none}.crossnn .spot{fill:#1c1c1c;stroke:#fff}
@media screen and (prefers-color-scheme:dark){.crossnn{fill:#a8a8a8}.crossnn .ground{fill:#161616}
.crossnn .head{fill:#e6e6e6}.crossnn .mark{stroke:#e6e6e6}.crossnn .spot{fill:#e6e6e6;stroke:#161616}}"""

STYLES: Mapping[str, tuple[str, str]] = {
    "numpy": ("#888888", ""),
    "torch": ("#d1495b", "10 6"),
    "tensorflow": ("#e08e0b", "3 5"),
    "jax": ("#2878b5", "12 4 2 4"),
}
OTHERS: tuple[tuple[str, str], ...] = (("#3a8f5d", "6 3"), ("#8e5ea2", "2 3"), ("#5b7f95", "14 5"), ("#a0522d", "5 2"))
MOST_DECADES = 3
"""From so many on, powers of ten alone are written on an axis."""
FARTHEST = 1e5
"""Pixels beyond which nothing is drawn: no renderer is asked to place what a diverging curve reaches."""


@dataclass(frozen=True)
class Scale:
    """Numbers to pixels: `low` lies at `start`, `high` at `end`. Where it is logarithmic, both are exponents of 10."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float | None) -> float | None:
        """The place of a number; None for what has none."""
        if value is None or not math.isfinite(value) or (self.logarithmic and value <= 0):
            return None
        found = self.linear(math.log10(value) if self.logarithmic else value)
        return min(max(found, -FARTHEST), FARTHEST)

    def linear(self, position: float) -> float:
        return self.start + (self.end - self.start) * ((position - self.low) / (self.high - self.low))

    def with_room(self, share: float) -> Scale:
        """So much more at both ends."""
        room = (self.high - self.low) * share
        return replace(self, low=self.low - room, high=self.high + room)

    def ticks(self, wanted: int = 5) -> list[tuple[float, str]]:
        """Places in pixels with round numbers, and what to write there."""
        if self.logarithmic and self.high - self.low >= MOST_DECADES:
            every = max(1, math.ceil((self.high - self.low) / wanted))
            first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
            return [(self.linear(e), f"{10.0**e:g}" if abs(e) < 4 else f"1e{e}") for e in range(first, last + 1, every)]
        rounds = self._within_decades() if self.logarithmic else round_numbers(self.low, self.high, wanted)
        return [(place, f"{value:.6g}") for value in rounds if (place := self(value)) is not None]

    def _within_decades(self) -> list[float]:
        """1, 2 and 5 times powers of ten; multiples of a round number, where these would be fewer than three."""
        low, high = 10**self.low, 10**self.high
        powers = range(math.floor(self.low), math.floor(self.high) + 1)
        found = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
        within = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        return within if len(within) > 2 else [value for value in round_numbers(low, high, 4) if value > 0]


def scale_of(values: Iterable[float | None], start: float, end: float, logarithmic: bool | None = None) -> Scale | None:
    """A scale over these numbers; logarithmic where they span more than a factor of twenty, if nothing else is said.
    None where no number can be drawn."""
    found = [min(max(value, -1e300), 1e300) for value in values if value is not None and math.isfinite(value)]
    if logarithmic is None:
        logarithmic = bool(found) and min(found) > 0 and max(found) / 20 > min(found)
    if logarithmic:
        found = [math.log10(value) for value in found if value > 0]
    if not found:
        return None
    low, high = min(found), max(found)
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    return Scale(low, high, start, end, logarithmic)


def round_numbers(low: float, high: float, wanted: int) -> list[float]:
    """About so many numbers from low to high, all multiples of 1, 2 or 5 times a power of 10."""
    rough = (high - low) / max(1, wanted)
    if not rough > 0 or not math.isfinite(rough):
        return []
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.8)
    first = math.ceil(low / step - 1e-9)
    found = [(first + number) * step for number in range(2 * wanted + 2)]
    return [value for value in found if value <= high + 1e-9 * step]


@dataclass(frozen=True)
class Panel:
    """Two scales that span a rectangle."""

    x: Scale
    y: Scale

    def at(self, x: float | None, y: float | None) -> Point | None:
        across, up = self.x(x), self.y(y)
        return None if across is None or up is None else (across, up)

    def curve(self, points: Iterable[tuple[float | None, float | None]], style: str) -> str:
        """The points joined by lines, with gaps where there is no number."""
        drawn = path([self.at(x, y) for x, y in points])
        return f'<path d="{drawn}" {style}/>' if drawn else ""

    def axes(self, across: str = "", up: str = "", wanted: tuple[int, int] = (6, 5), grid: bool = True) -> list[str]:
        """The lines of the axes, round numbers beside them, and what they mean."""
        left, right, top, bottom = self.x.start, self.x.end, self.y.end, self.y.start
        parts = []
        for at, name in self.y.ticks(wanted[1]):
            if grid:
                parts.append(f'<path d="M{left} {at:.1f}H{right}" class="grid"/>')
            parts.append(text(left - 6, at + 4, name, "end", "small"))
        for at, name in self.x.ticks(wanted[0]):
            if grid:
                parts.append(f'<path d="M{at:.1f} {top}V{bottom}" class="grid"/>')
            parts.append(text(at, bottom + 16, name, "middle", "small"))
        parts.append(f'<path d="M{left} {top}V{bottom}H{right}" class="line"/>')
        if across:
            parts.append(text((left + right) / 2, bottom + 34, across, "middle"))
        if up:
            parts.append(turned(left - 48, (top + bottom) / 2, up))
        return parts

    def clipped(self, parts: Iterable[str]) -> str:
        """What lies outside the rectangle is cut off."""
        x, y = self.x.start, self.y.end
        width, height = self.x.end - x, self.y.start - y
        name = f"clip-{x:g}-{y:g}-{width:g}-{height:g}".replace(".", "_")
        rectangle = f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>'
        return "\n".join(
            [f'<clipPath id="{name}">{rectangle}</clipPath><g clip-path="url(#{name})">', *filter(None, parts), "</g>"]
        )


def path(points: Sequence[Point | None], closed: bool = False) -> str:
    """A curve with gaps where there is no point; a lone point is a short dash."""
    drawn, pen = [], "M"
    for place, point in enumerate(points):
        if point is None:
            pen = "M"
            continue
        drawn.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        alone = pen == "M" and (place + 1 == len(points) or points[place + 1] is None)
        drawn.append("h2" if alone else "")
        pen = "L"
    return "".join(drawn) + ("Z" if closed and drawn else "")


def styles(backends: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The fixed colour and dashes of the built-in backends; the others take turns."""
    strangers = [name for name in dict.fromkeys(backends) if name not in STYLES]
    return {**STYLES, **{name: OTHERS[i % len(OTHERS)] for i, name in enumerate(strangers)}}


def strokes(backends: Sequence[str], widest: float = 4.5) -> list[str]:
    """A stroke for each curve. Curves that agree lie on each other, so every backend has a colour and a dash pattern of
    its own, and later curves are thinner: all of them stay visible on one line."""
    known, count = styles(backends), max(1, len(backends))
    return [
        f'fill="none" stroke="{colour}" stroke-width="{1.5 + (widest - 1.5) * (count - number) / count:.1f}"'
        + (f' stroke-dasharray="{dash}"' if dash else "")
        for number, (colour, dash) in enumerate(known[backend] for backend in backends)
    ]


def text(x: float, y: float, words: str, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    placed = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{placed}{named}>{html.escape(words)}</text>'


def turned(x: float, y: float, words: str) -> str:
    """Text that reads upwards."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" transform="rotate(-90 {x:.1f} {y:.1f})">'
        f"{html.escape(words)}</text>"
    )


def shortened(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 3] + "..."


def page(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    """The picture: its size, its title for those who cannot see it, its ground."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" class="crossnn">'
    )
    ground = f'<rect width="{width:g}" height="{height:g}" class="ground"/>'
    start = [head, f"<title>{html.escape(title)}</title>", f"<style>{STYLE}</style>", ground]
    return "\n".join([*start, *filter(None, parts), "</svg>"])
