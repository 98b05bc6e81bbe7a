"""Charts of the lesson as SVG: lines on logarithmic axes, and bars. Colours and dashes belong to a backend."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

from crossnn.pictures.plot import OTHERS, STYLES

WIDTH, HEIGHT = 760, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 180, 14, 44
ROW = 24


@dataclass(frozen=True)
class Line:
    """`plain`: the first mode of its backend, drawn dashed; the others are solid, each a little thinner."""

    label: str
    backend: str
    points: Sequence[tuple[float, float]]
    plain: bool = False
    rank: int = 0


def colour(backend: str) -> str:
    if backend in STYLES:
        return STYLES[backend][0]
    return OTHERS[sum(map(ord, backend)) % len(OTHERS)][0]


def log_lines(lines: Sequence[Line], *, across: str, up: str, linear: bool = False) -> str:
    """Lines over a logarithmic axis, or a `linear` one; up it is logarithmic always. What is not positive is left out;
    without any point there is no chart."""
    shown = [(line, [(x, y) for x, y in line.points if x > 0 and y > 0 and math.isfinite(y)]) for line in lines]
    shown = [(line, points) for line, points in shown if points]
    if not shown:
        return ""
    scale = (lambda x: x) if linear else math.log10
    xs = [scale(x) for _, points in shown for x, _ in points]
    ys = [math.log10(y) for _, points in shown for _, y in points]
    left, right = _widened(min(xs), max(xs))
    low, high = _widened(min(ys), max(ys))
    height = max(HEIGHT, TOP + BOTTOM + 18 * len(shown))

    def place(x: float, y: float) -> tuple[float, float]:
        return (LEFT + (WIDTH - LEFT - RIGHT) * (x - left) / (right - left),
                TOP + (height - TOP - BOTTOM) * (1 - (y - low) / (high - low)))  # fmt: skip

    parts = [_head(WIDTH, height, f"{up} / {across}")]
    for value in _decades(low, high):
        at = place(left, value)[1]
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="currentColor" stroke-opacity="0.2"/>')
        parts.append(_text(LEFT - 6, at + 4, _power(value), "end"))
    for value in _tenths(left, right) if linear else _decades(left, right):
        at = place(value, low)[0]
        parts.append(_text(at, height - BOTTOM + 18, f"{value:g}" if linear else _power(value), "middle"))
    parts.append(f'<path d="M{LEFT} {TOP}V{height - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="currentColor"/>')
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, height - 8, across, "middle"))
    middle = (TOP + height - BOTTOM) / 2
    parts.append(f'<g transform="rotate(-90 14 {middle})">{_text(14, middle, up, "middle")}</g>')
    for number, (line, points) in enumerate(shown):
        dash = "2 4" if line.plain else ("none", "12 3", "6 2 2 2")[min(line.rank, 2)]
        style = f'fill="none" stroke="{colour(line.backend)}" stroke-width="2" stroke-dasharray="{dash}"'
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(scale(x), math.log10(y)) for x, y in points))
        parts.append(f'<path d="M{path}{"h2" if len(points) == 1 else ""}" {style}/>')
        at = TOP + 10 + 18 * number
        parts.append(f'<path d="M{WIDTH - RIGHT + 10} {at}h34" {style}/>')
        parts.append(_text(WIDTH - RIGHT + 50, at + 4, line.label, "start"))
    return "\n".join([*parts, "</svg>"])


def bars(rows: Sequence[tuple[str, str, float, str]], *, title: str, mark: tuple[float, str] | None = None) -> str:
    """Horizontal bars: (label, backend, length, what is written at its end); `mark` is a line at a length."""
    if not rows:
        return ""
    longest = max([length for _, _, length, _ in rows] + ([mark[0]] if mark else [])) or 1.0
    label, end = 150, 130
    height = ROW * len(rows) + 34

    def x(length: float) -> float:
        return label + (WIDTH - label - end) * length / longest

    parts = [_head(WIDTH, height, title)]
    for number, (name, backend, length, written) in enumerate(rows):
        at = 6 + ROW * number
        parts.append(_text(label - 8, at + 14, name, "end"))
        width = max(1.0, x(length) - label)
        parts.append(f'<rect x="{label}" y="{at}" width="{width:.1f}" height="{ROW - 6}" fill="{colour(backend)}"/>')
        parts.append(_text(label + width + 6, at + 14, written, "start"))
    if mark:
        parts.append(f'<path d="M{x(mark[0]):.1f} 2V{height - 22}" stroke="currentColor" stroke-dasharray="4 3"/>')
        parts.append(_text(x(mark[0]), height - 6, mark[1], "middle"))
    return "\n".join([*parts, "</svg>"])


def _head(width: int, height: float, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="currentColor">'
        f"<title>{html.escape(title)}</title>"
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _widened(low: float, high: float) -> tuple[float, float]:
    return (low - 0.5, high + 0.5) if high - low < 1e-9 else (low, high)


def _decades(low: float, high: float) -> list[float]:
    """Where a logarithmic axis is written on: at powers of ten, or at 1, 2 and 5 times these where they are few."""
    every = max(1, math.ceil((high - low) / 8))
    first, last = math.floor(low), math.ceil(high)
    steps = (0.0,) if high - low >= 2 else (0.0, math.log10(2), math.log10(5))
    places = [one + step for one in range(first, last + 1, every) for step in steps]
    return [one for one in places if low - 1e-9 <= one <= high + 1e-9] or [low, high]


def _tenths(low: float, high: float) -> list[float]:
    step = 10 ** math.floor(math.log10(high - low)) / 2
    while (high - low) / step > 8:
        step *= 2
    return [step * one for one in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _power(exponent: float) -> str:
    if exponent == round(exponent) and abs(exponent) > 2:
        return f"1e{exponent:g}"
    return f"{float(f'{10**exponent:.2g}'):g}"
