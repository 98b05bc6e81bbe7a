"""Line charts as SVG text: loss curves, drawn without any library, readable without colour.

Curves of backends that agree lie on each other, so every backend has a colour and a dash pattern of its own, and later
curves are drawn thinner: all of them stay visible on one line.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 190, 16, 44

STYLES: Mapping[str, tuple[str, str]] = {
    "numpy": ("#888888", ""),
    "torch": ("#d1495b", "10 6"),
    "tensorflow": ("#e08e0b", "3 5"),
    "jax": ("#2878b5", "12 4 2 4"),
}
OTHERS: tuple[tuple[str, str], ...] = (("#3a8f5d", "6 3"), ("#8e5ea2", "2 3"), ("#5b7f95", "14 5"), ("#a0522d", "5 2"))


def line_chart(curves: Mapping[tuple[str, str], Sequence[float | None]], *, across: str, up: str) -> str:
    """Curves by (backend, mode) over 1, 2, 3 ...; logarithmic where they span more than a factor of twenty."""
    values = [v for curve in curves.values() for v in curve if v is not None and math.isfinite(v)]
    if not values:
        return ""
    logarithmic = min(values) > 0 and max(values) / min(values) > 20
    scale = math.log10 if logarithmic else float
    low, high = scale(min(values)), scale(max(values))
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = low - 0.5, high + 0.5
    longest = max(len(curve) for curve in curves.values())

    def x(step: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (step / max(1, longest - 1))

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (scale(value) - low) / (high - low))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="#808080">',
        f"<title>{html.escape(up)} over {html.escape(across)}</title>",
    ]
    for value, name in _ticks(low, high, logarithmic):
        at = TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#808080" stroke-opacity="0.3"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{name}</text>')
    for step in _steps(longest):
        parts.append(f'<text x="{x(step):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{step + 1}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#808080"/>')
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(across)}</text>')
    parts.append(
        f'<text x="14" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 14 {(TOP + HEIGHT - BOTTOM) / 2})">{html.escape(up)}</text>'
    )
    styles = _styles([backend for backend, _ in curves])
    for number, ((backend, mode), curve) in enumerate(curves.items()):
        colour, dash = styles[backend]
        width = 1.5 + 3.0 * (len(curves) - number) / len(curves)
        line = f'fill="none" stroke="{colour}" stroke-width="{width:.1f}" stroke-dasharray="{dash or "none"}"'
        path = _path(
            [(x(i), y(v)) if v is not None and _drawable(v, logarithmic) else None for i, v in enumerate(curve)]
        )
        at = TOP + 10 + 18 * number
        parts.append(f'<path d="{path}" {line}/>')
        parts.append(f'<path d="M{WIDTH - RIGHT + 12} {at}h34" {line}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 52}" y="{at + 4}">{html.escape(f"{backend} {mode}")}</text>')
    return "\n".join([*parts, "</svg>"])


def _drawable(value: float, logarithmic: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not logarithmic)


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    """A curve with gaps where there is no number; a lone point is a short dash."""
    drawn, pen = [], "M"
    for place, point in enumerate(points):
        if point is None:
            pen = "M"
            continue
        drawn.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        alone = pen == "M" and (place + 1 == len(points) or points[place + 1] is None)
        drawn.append("h2" if alone else "")
        pen = "L"
    return "".join(drawn)


def _styles(backends: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The fixed style of the built-in backends; the others take turns."""
    strangers = [name for name in dict.fromkeys(backends) if name not in STYLES]
    return {**STYLES, **{name: OTHERS[i % len(OTHERS)] for i, name in enumerate(strangers)}}


def _ticks(low: float, high: float, logarithmic: bool) -> list[tuple[float, str]]:
    """Positions on the scale, and what to write there."""
    if logarithmic and high - low >= 2:
        every = max(1, round((high - low) / 6))
        return [(float(e), f"1e{e}") for e in range(math.ceil(low), math.floor(high) + 1, every)]
    places = [low + (high - low) * i / 4 for i in range(5)]
    return [(place, f"{10**place if logarithmic else place:.3g}") for place in places]


def _steps(longest: int) -> list[int]:
    """About eight whole steps, the first and the last among them."""
    every = max(1, math.ceil((longest - 1) / 8))
    steps = [*range(0, longest - 1, every), longest - 1]
    return [s for i, s in enumerate(steps) if i == len(steps) - 1 or longest - 1 - s >= every / 2]
