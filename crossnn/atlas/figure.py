"""The error of one function over its inputs as a small picture: value and gradient side by side, a line for each
implementation. Lines that are the same are drawn once; on the top edge no digit is right. Colour and marker say the
framework, the dashes whether it is our formula, the framework's own function, or a further one of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from crossnn.atlas.axis import PROBABILITY, ticks
from crossnn.atlas.digest import GOOD
from crossnn.atlas.ulp import FORMATS
from crossnn.pictures.plot import Point, page, shortened, text, turned
from crossnn.pictures.series import SPARE, Series, series
from crossnn.report.summary import place as rank
from crossnn.runs.findings import Accuracy

WIDTH, HEIGHT = 320, 120
"""Pixels of a panel; two of them are a stretch."""
LEFT, TOP, GAP, BENEATH = 84, 30, 62, 52
LEAST = GOOD
"""The smallest error that has a place of its own; below, all are equally good, and most lines are one."""
STEP = 2
"""Pixels between the heights that are told apart."""
LINE = 19
MOST_LINES = 12
STROKE = 1.6
MARKS = 2
"""On each line."""
UP = ("error in units of", "float spacing (ulp)")
FORMULA, NATIVE = "7 4", ""

Drawn = dict[str, list[str]]


def figure(records: Sequence[Accuracy], title: str) -> str:
    """The picture of one function in one dtype; a row of panels for each target."""
    dtype = records[0].dtype
    targets = list(dict.fromkeys(one.target for one in records))
    lines = merged(records)
    parts = []
    for row, target in enumerate(targets):
        for column, quantity in enumerate(("value", "gradient")):
            left, top = LEFT + column * (WIDTH + GAP), TOP + row * (HEIGHT + TOP + BENEATH)
            here = [one for one in records if (one.target, one.quantity) == (target, quantity)]
            name = quantity if not target else f"{quantity}, {target}"
            parts.append(text(left, top - 10, name, kind="head"))
            parts += _frame(left, top, dtype, here[0].axis if here else "magnitude", column == 0)
            parts += [f'<g transform="translate({left} {top})">', *_lines(lines, target, quantity), "</g>"]
    bottom = TOP + len(targets) * (HEIGHT + TOP + BENEATH) - TOP + 12
    shown = list(lines)[:MOST_LINES]
    for number, names in enumerate(shown):
        at = bottom + LINE * number
        parts.append(_style(lines, names).sample(LEFT, at, STROKE))
        parts.append(text(LEFT + 42, at + 4, shortened(names, 110)))
    return page(LEFT + 2 * WIDTH + GAP + 20, bottom + LINE * len(shown), title, parts)


def merged(records: Sequence[Accuracy]) -> dict[str, dict[tuple[str, str], tuple[Accuracy, str]]]:
    """What is drawn: names -> (target, quantity) -> (one of the records, the path). Modes of one implementation are one
    line, the worse of them at every place; implementations that look the same have one together."""
    groups: dict[str, dict[tuple[str, str], list[Accuracy]]] = {}
    for record in sorted(records, key=lambda one: (*rank(one.backend, one.mode), one.implementation)):
        own = record.call or record.implementation
        name = own if own.startswith(f"{record.backend}.") else f"{record.backend} {own}"
        groups.setdefault(name, {}).setdefault((record.target, record.quantity), []).append(record)
    alike: dict[tuple[tuple[tuple[str, str], str], ...], list[str]] = {}
    for name, whose in groups.items():
        paths = tuple(sorted((where, _path(same)) for where, same in whose.items()))
        alike.setdefault(paths, []).append(name)
    return {
        ", ".join(names): {where: (groups[names[0]][where][0], path) for where, path in paths}
        for paths, names in alike.items()
    }


def _path(records: Sequence[Accuracy]) -> str:
    """The worst of these at every stretch as a path; accidents lie on the top edge."""
    first = records[0]
    form = FORMATS[first.dtype]
    levels = np.full(len(first.curve), math.nan)
    for record in records:
        levels = np.fmax(levels, [math.nan if one is None else one for one in record.curve])
    step = WIDTH / len(levels)
    heights = [None if math.isnan(one) else _height(one, form.lost) for one in levels.tolist()]
    drawn, x, pen = "", 0.0, None
    for height, run in groupby(heights):
        length = len(list(run)) * step
        if height is not None:
            drawn += f"M{x:g} {height}" if pen is None else f"V{height}" if pen != height else ""
            drawn += f"h{length:g}"
        pen, x = height, x + length
    return drawn


def _height(error: float, most: float) -> int:
    low = math.log10(LEAST)
    share = (math.log10(max(error, LEAST)) - low) / (math.log10(most) - low)
    return STEP * round(HEIGHT / STEP * (1 - min(share, 1.0)))


def _lines(
    lines: Mapping[str, Mapping[tuple[str, str], tuple[Accuracy, str]]], target: str, quantity: str
) -> list[str]:
    drawn, marks = [], []
    for number, (names, whose) in enumerate(lines.items()):
        path = whose[target, quantity][1] if (target, quantity) in whose else ""
        if path:
            look = _style(lines, names)
            drawn.append(f'<path d="{path}" {look.stroke(STROKE)}/>')
            marks.append(look.marks(_places(path, number, len(lines))))
    return [*drawn, *filter(None, marks)]


def _places(path: str, number: int, count: int) -> list[Point]:
    """Where the marks of a line stand: evenly across, those of each line beside those of the others."""
    wanted = [round(WIDTH * (each + (number + 0.5) / count) / MARKS) for each in range(MARKS)]
    found: list[Point] = []
    x, y = 0.0, 0.0
    for letter, numbers in re.findall(r"([MVh])([-\d. e]+)", path):
        values = [float(one) for one in numbers.split()]
        if letter == "h":
            found += [(at, y) for at in wanted if x <= at < x + values[0]]
            x += values[0]
        else:
            x, y = (values[0], values[1]) if letter == "M" else (x, values[0])
    return found


def _style(lines: Mapping[str, Mapping[tuple[str, str], tuple[Accuracy, str]]], names: str) -> Series:
    """That of the first backend; our formula is dashed, the framework's own function is not, further ones are in other
    dashes and hollow."""
    record = next(iter(lines[names].values()))[0]
    own = [other for other, whose in lines.items() if next(iter(whose.values()))[0].backend == record.backend
           and next(iter(whose.values()))[0].implementation == "native"]  # fmt: skip
    further = own.index(names) if names in own else 0
    dash = FORMULA if record.implementation == "formula" else ("2 3", *SPARE)[(further - 1) % 7] if further else NATIVE
    (look,) = series([(record.backend, "")])
    return Series(look.colour, dash, look.marker, further > 0)


def _frame(left: float, top: float, dtype: str, axis: str, titled: bool) -> list[str]:
    """The axes and what they mean: errors by powers of ten, inputs by sign and magnitude. The two
    panels of a row have the same errors; the first one is titled."""
    form = FORMATS[dtype]
    powers = {8: (LEAST, 20), 24: (LEAST, 1e3, 1e6), 53: (LEAST, 1e4, 1e8, 1e12)}[form.digits]
    parts = []
    for error in powers:
        at = top + _height(error, form.lost)
        parts.append(f'<path d="M{left} {at}h{WIDTH}" class="grid"/>')
        parts.append(text(left - 6, at + 4, _power(error), "end", "small"))
    parts.append(text(left - 6, top + 4, "no digit", "end", "small"))
    parts += [turned(left - 70 + 14 * row, top + HEIGHT / 2, words) for row, words in enumerate(UP) if titled]
    for share, name in ticks(axis, dtype):
        at = left + share * WIDTH
        parts.append(f'<path d="M{at:.0f} {top}v{HEIGHT}" class="grid"/>')
        parts.append(text(at, top + HEIGHT + 15, name, "middle", "small"))
    across = "input x, from 0 to 1" if axis == PROBABILITY else "input x, by sign and magnitude"
    parts.append(text(left + WIDTH / 2, top + HEIGHT + 32, across, "middle"))
    parts.append(f'<path d="M{left} {top}v{HEIGHT}h{WIDTH}" class="line"/>')
    return parts


def _power(error: float) -> str:
    """`1e6`; the lowest is that of all that is good."""
    return f"up to {error:g}" if error == LEAST else f"{error:.0e}".replace("+0", "") if error >= 1e4 else f"{error:g}"
