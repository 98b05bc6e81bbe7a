"""Loss curves as SVG text, and beneath them, where there is a reference, how far each of them is from it.

The curves of correct backends lie on each other; the difference, on a logarithmic axis, shows what separates them, and
the dotted line where a difference would be too large to be rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from crossnn.pictures.plot import Panel, Scale, page, scale_of, text
from crossnn.pictures.series import Series, series, spread

WIDTH, HEIGHT, BENEATH = 760.0, 330.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 72.0, 210.0, 18.0, 46.0
LIMIT = 'class="mark" stroke-width="1.4" stroke-dasharray="2 4"'
THIN, THICK = 1.5, 4.5
"""Later curves are thinner: all of them stay visible on one line."""

Curve = Sequence[float | None]
Curves = Mapping[tuple[str, str], Curve]
Lines = Mapping[tuple[str, str], tuple[Series, float]]


def line_chart(
    curves: Curves, *, across: str, up: str, reference: tuple[str, str] | None = None, limit: Curve = (),
    logarithmic: bool | None = None,
) -> str:  # fmt: skip
    """Curves by (backend, mode) over 1, 2, 3 ...; if nothing else is said, logarithmic where they span more than a
    factor of twenty. With a `reference` among them, the differences of the others from it too, and the `limit` of what
    is called equal."""
    scale = scale_of((value for curve in curves.values() for value in curve), HEIGHT - BOTTOM, TOP, logarithmic)
    if scale is None:
        return ""
    longest = max(len(curve) for curve in curves.values())
    truth = curves[reference] if reference else ()
    apart = {name: _difference(curve, truth) for name, curve in curves.items() if name != reference} if truth else {}
    found = [value for curve in (*apart.values(), limit) for value in curve if value]
    lower = scale_of(found, HEIGHT + BENEATH - BOTTOM, HEIGHT, True) if any(map(any, apart.values())) else None
    steps = Scale(1.0, max(2.0, float(longest)), LEFT, WIDTH - RIGHT)
    lines = _lines(list(curves))
    parts = _drawn(Panel(steps, scale.with_room(0.03)), curves, lines, "" if lower else across, up)
    parts += _legend(lines)
    if lower is None:
        return page(WIDTH, HEIGHT, f"{up} over {across}", parts)
    panel = Panel(steps, _widened(lower))
    parts += _drawn(panel, apart, lines, across, "difference")
    if limit:
        parts.append(panel.clipped([panel.curve(enumerate(limit, 1), LIMIT)]))
        parts.append(f'<path d="M{WIDTH - RIGHT + 12} {HEIGHT + 10}h34" {LIMIT}/>')
        parts.append(text(WIDTH - RIGHT + 52, HEIGHT + 14, "limit of EQUAL"))
    same = [" ".join(name) for name, curve in apart.items() if not any(curve)]
    notes = ["gaps: no difference"] if any(0 in curve for curve in apart.values() if any(curve)) else []
    notes += ["no difference at all:", *same] if same else []
    parts += [text(WIDTH - RIGHT + 12, HEIGHT + 34 + 16 * number, words, kind="small")
              for number, words in enumerate(_few(notes))]  # fmt: skip
    return page(WIDTH, HEIGHT + BENEATH, f"{up} over {across}, and differences", parts)


def _difference(curve: Curve, truth: Curve) -> list[float | None]:
    """Sizes; none where either has no number."""
    pairs = zip(curve, truth, strict=False)
    return [None if one is None or other is None else abs(one - other) for one, other in pairs]


def _widened(scale: Scale) -> Scale:
    """Whole powers of ten at both ends, at least two of them."""
    low, high = math.floor(scale.low), math.ceil(scale.high)
    return Scale(float(low), float(max(high, low + 2)), scale.start, scale.end, True)


def _drawn(panel: Panel, curves: Curves, lines: Lines, across: str, up: str) -> list[str]:
    drawn, marks = [], []
    names = list(lines)
    for name, curve in curves.items():
        look, width = lines[name]
        drawn.append(panel.curve(enumerate(curve, 1), look.stroke(width)))
        places = [panel.at(x, y) for x, y in enumerate(curve, 1)]
        marks.append(look.marks(spread(places, names.index(name), len(names))))
    return [*panel.axes(across, up, (8, 5)), panel.clipped([*drawn, *marks])]


def _lines(names: Sequence[tuple[str, str]]) -> Lines:
    """What each curve looks like, and how wide it is."""
    count = max(1, len(names))
    return {
        name: (look, THIN + (THICK - THIN) * (count - number) / count)
        for number, (name, look) in enumerate(zip(names, series(names), strict=True))
    }


def _middle(words: str, most: int) -> str:
    """Both ends of what is too long: the mode stands at the end."""
    return words if len(words) <= most else f"{words[: most // 2 - 1]}...{words[len(words) - (most - most // 2 - 2) :]}"


def _legend(lines: Lines) -> list[str]:
    parts = []
    every = min(18.0, (HEIGHT - BOTTOM - TOP - 10) / max(1, len(lines) - 1))
    for number, (name, (look, width)) in enumerate(lines.items()):
        at = TOP + 10 + every * number
        parts.append(look.sample(WIDTH - RIGHT + 12, at, width))
        parts.append(text(WIDTH - RIGHT + 52, at + 4, _middle(" ".join(name).strip(), 24)))
    return parts


def _few(lines: Sequence[str], most: int = 7) -> list[str]:
    """At most so many lines; the last says how many there are besides."""
    return list(lines) if len(lines) <= most else [*lines[: most - 1], f"and {len(lines) - most + 1} more"]
