"""An activation as two curves, value and slope, with what was measured of it: kinks, jumps, range, and what it
approaches far out.

The curves are NumPy's, in float64; where they bend or break is measured (`parity/properties.py`) in 60 digits. The
slope on both sides of a kink is the derivative, by our own rules, a little before and behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.rows import Activation
from crossnn.parity.properties import Jump, Properties
from crossnn.pictures.curves import Curves, broken, curves_of, here, sampled, sides
from crossnn.pictures.measured import approached, in_words, range_bar
from crossnn.pictures.plot import Panel, Scale, page, shortened, text

WIDTH, HEIGHT = 780.0, 440.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 250.0, 44.0, 52.0
REACH, BEYOND = 6.0, 1.4
"""How far the picture reaches across; where kinks lie further out, this many times as far as they do."""
SAMPLES = 801
BLUE, RED, GREEN, PURPLE = "#2878b5", "#d1495b", "#3a8f5d", "#8e5ea2"
VALUE = f'fill="none" stroke="{BLUE}" stroke-width="2.6" stroke-linejoin="round"'
SLOPE = f'fill="none" stroke="{RED}" stroke-width="2" stroke-dasharray="8 4" stroke-linejoin="round"'
FAR = f'fill="none" stroke="{GREEN}" stroke-width="1.6" stroke-dasharray="2 4"'
BREAK = f'fill="none" stroke="{PURPLE}" stroke-width="1.2" stroke-dasharray="3 3"'


def activation_picture(row: Activation, given: Mapping[str, Any] | None = None) -> str:
    """The picture of an elementwise activation with the `given` settings."""
    curves = curves_of(row, given)
    jumps = curves.found.jumps
    panel = panel_of(curves)
    places = sampled(panel.x.low, panel.x.high, SAMPLES, jumps)
    inside = [
        *_far(panel, curves.found),
        *(f'<path d="M{panel.x(jump.at):.1f} {panel.y.end}V{panel.y.start}" {BREAK}/>' for jump in jumps),
        panel.curve(broken(curves.slope, places, jumps, 1), SLOPE),
        panel.curve(broken(curves.value, places, jumps, 0), VALUE),
        *(mark for jump in jumps for mark in _marks(panel, curves, jump)),
    ]
    chosen = [f"{name} = {value:g}" if isinstance(value, float) else f"{name} = {value}"
              for name, value in (given or {}).items()]  # fmt: skip
    title = text(LEFT, 26, shortened(", ".join([row.name, *chosen]), 90), kind="head")
    beside = [*range_bar(panel, curves.found), *_legend(curves)]
    return page(
        WIDTH, HEIGHT, f"{row.name}: value and slope",
        [title, *panel.axes("x", "", (9, 7)), *_origin(panel), panel.clipped(inside), *beside],
    )  # fmt: skip


def panel_of(curves: Curves) -> Panel:
    """As wide as the kinks want it, as high as the curves are there; what grows without bound leaves the picture."""
    reach = max([REACH, *(BEYOND * abs(jump.at) for jump in curves.found.jumps)])
    x = np.linspace(-reach, reach, SAMPLES)
    both = np.concatenate([curves.value(x), curves.slope(x)])
    both = np.clip(both[np.isfinite(both)], -reach, reach)
    low, high = (float(both.min()), float(both.max())) if both.size else (0.0, 1.0)
    room = 0.08 * max(high - low, 0.5)
    return Panel(
        Scale(-reach, reach, LEFT, WIDTH - RIGHT), Scale(low - room, high + room, HEIGHT - BOTTOM, TOP)
    )  # fmt: skip


def _marks(panel: Panel, curves: Curves, jump: Jump) -> Iterator[str]:
    """A jump: rings at both ends, a dot where the value is. A kink: a dot on the value, rings at both slopes. A jump of
    the second derivative: a dot on the slope."""
    if jump.order > 1:
        yield _dot(panel, jump.at, here(curves.slope, jump.at), RED)
        return
    ends = dict.fromkeys(round(one, 6) for one in sides(curves.slope, jump.at))
    yield from (_ring(panel, jump.at, end, RED) for end in ends)
    if jump.order == 0:
        yield from (_ring(panel, jump.at, end, BLUE) for end in sides(curves.value, jump.at))
    yield _dot(panel, jump.at, here(curves.value, jump.at), BLUE)


def _ring(panel: Panel, x: float, y: float, colour: str) -> str:
    at = panel.at(x, y)
    ring = f'r="4" class="ground" stroke="{colour}" stroke-width="1.6"'
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" {ring}/>' if at else ""


def _dot(panel: Panel, x: float, y: float, colour: str) -> str:
    at = panel.at(x, y)
    return f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="3.6" fill="{colour}"/>' if at else ""


def _origin(panel: Panel) -> list[str]:
    """The lines x = 0 and y = 0."""
    x, y = panel.x.linear(0.0), panel.y.linear(0.0)
    parts = [f'<path d="M{x:.1f} {panel.y.end}V{panel.y.start}" class="line"/>']
    if panel.y.low < 0 < panel.y.high:
        parts.append(f'<path d="M{panel.x.start} {y:.1f}H{panel.x.end}" class="line"/>')
    return parts


def _far(panel: Panel, found: Properties) -> Iterator[str]:
    """What is approached far to the left and far to the right, drawn on that half."""
    for limit, end in ((found.left, panel.x.low), (found.right, panel.x.high)):
        slope, shift = approached(limit)
        if slope is not None:
            yield panel.curve([(end, slope * end + shift), (0.0, shift)], FAR)


def _legend(curves: Curves) -> Iterator[str]:
    """What the lines are, then what was measured."""
    x, y = WIDTH - RIGHT + 36, TOP + 8
    lines = [(VALUE, "value f(x)"), (SLOPE, "slope f'(x)")]
    if any(approached(limit)[0] is not None for limit in (curves.found.left, curves.found.right)):
        lines.append((FAR, "approached far out"))
    for style, words in lines:
        yield f'<path d="M{x} {y}h30" {style}/>' + text(x + 40, y + 4, words)
        y += 20
    yield f'<path d="M{x + 15} {y - 6}v12m-4 0h8m-8 -12h8" class="mark" stroke-width="1.6"/>'
    yield text(x + 40, y + 4, "range")
    yield from in_words(curves, curves.found.jumps, x, y + 12)
