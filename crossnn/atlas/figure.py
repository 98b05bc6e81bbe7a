"""The error of one function over its inputs as a small picture: value and gradient side by side, a line for each
implementation. Lines that are the same are drawn once; on the top edge no digit is right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from crossnn.atlas.axis import ticks
from crossnn.atlas.digest import GOOD
from crossnn.atlas.ulp import FORMATS
from crossnn.pictures.plot import page, shortened, styles, text
from crossnn.report.summary import place as rank
from crossnn.runs.findings import Accuracy

WIDTH, HEIGHT = 320, 120
"""Pixels of a panel; two of them are a stretch."""
LEFT, TOP, GAP, BENEATH = 56, 30, 62, 34
LEAST = GOOD
"""The smallest error that has a place of its own; below, all are equally good, and most lines are one."""
STEP = 2
"""Pixels between the heights that are told apart."""
LINE = 19
MOST_LINES = 12

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
            parts += _frame(left, top, dtype, here[0].axis if here else "magnitude")
            parts += [f'<g transform="translate({left} {top})">', *_lines(lines, target, quantity), "</g>"]
    bottom = TOP + len(targets) * (HEIGHT + TOP + BENEATH) - TOP + 12
    shown = list(lines)[:MOST_LINES]
    for number, names in enumerate(shown):
        at = bottom + LINE * number
        parts.append(f'<path d="M{LEFT} {at}h34" {_style(lines, names)}/>')
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
    return [
        f'<path d="{whose[target, quantity][1]}" {_style(lines, names)}/>'
        for names, whose in lines.items()
        if whose.get((target, quantity), (None, ""))[1]
    ]


def _style(lines: Mapping[str, Mapping[tuple[str, str], tuple[Accuracy, str]]], names: str) -> str:
    """The colour of the first backend; our formula is dashed, further functions of a framework are dotted."""
    record = next(iter(lines[names].values()))[0]
    own = [other for other, whose in lines.items() if next(iter(whose.values()))[0].backend == record.backend
           and next(iter(whose.values()))[0].implementation == "native"]  # fmt: skip
    dash = "7 4" if record.implementation == "formula" else "" if own and own[0] == names else "2 3"
    colour = styles([record.backend])[record.backend][0]
    return f'fill="none" stroke="{colour}" stroke-width="1.6"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _frame(left: float, top: float, dtype: str, axis: str) -> list[str]:
    """The axes: errors by powers of ten, inputs by sign and magnitude."""
    form = FORMATS[dtype]
    powers = {8: (LEAST, 20), 24: (LEAST, 1e3, 1e6), 53: (LEAST, 1e4, 1e8, 1e12)}[form.digits]
    parts = []
    for error in powers:
        at = top + _height(error, form.lost)
        parts.append(f'<path d="M{left} {at}h{WIDTH}" class="grid"/>')
        parts.append(text(left - 6, at + 4, f"{error:g}", "end", "small"))
    parts.append(text(left - 6, top + 4, "no digit", "end", "small"))
    for share, name in ticks(axis, dtype):
        at = left + share * WIDTH
        parts.append(f'<path d="M{at:.0f} {top}v{HEIGHT}" class="grid"/>')
        parts.append(text(at, top + HEIGHT + 15, name, "middle", "small"))
    parts.append(f'<path d="M{left} {top}v{HEIGHT}h{WIDTH}" class="line"/>')
    return parts
