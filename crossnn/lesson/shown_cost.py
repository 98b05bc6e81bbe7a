"""Steps L5 and L6 as they are shown: time and memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossnn.lesson import verdicts
from crossnn.lesson.page import Cell, Html, figure, heading, prose, table
from crossnn.lesson.plots import Line, bars, log_lines
from crossnn.lesson.programs import LENGTHS, SIZES
from crossnn.lesson.shown_basic import seconds
from crossnn.lesson.texts import Texts
from crossnn.lesson.verdicts import FASTER, Ratio, Verdict

ByDtype = Mapping[str, Mapping[str, Any]]
Shown = tuple[Verdict, list[Html]]


def speed(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float32"]
    shown: list[Html] = []
    for length in LENGTHS:
        svg = log_lines(_lines(found, length), across=say("L5.elements"), up=say("L5.seconds"))
        if svg:
            shown.append(figure(svg, say("L5.caption", operations=length)))
    all_ratios = verdicts.ratios(found)
    headers = [say("ui.engine"), "n", "K", say("L5.eager"), say("L5.compiled"), say("L5.ratio"), say("L5.first"),
               say("L5.break_even")]  # fmt: skip
    rows: list[list[str | Cell]] = []
    for one in all_ratios:
        kind = "good" if one.ratio > FASTER else "bad" if one.ratio < 1 / FASTER else ""
        repaid = say("L5.never") if one.break_even is None else _grouped(one.break_even)
        where = [f"{one.backend} {one.mode}", _grouped(one.size), str(one.length)]
        ratio = Cell(f"{one.ratio:.3g}", kind)
        rows.append([*where, seconds(one.eager), seconds(one.compiled), ratio, seconds(one.first), repaid])
    if all_ratios:
        best, worst = max(all_ratios, key=lambda r: r.ratio), min(all_ratios, key=lambda r: r.ratio)
        shown.append(prose(say("L5.extremes", best=best.label, best_ratio=f"{best.ratio:.3g}", worst=worst.label,
                               worst_ratio=f"{worst.ratio:.3g}")))  # fmt: skip
        shown += [prose(say("L5.where")), _faster_where(all_ratios)]
    return verdicts.faster(found), [*shown, heading(3, say("L5.table")), table(headers, rows)]


def _faster_where(found: list[Ratio]) -> Html:
    """At each place of the sweep, how many of the compiled modes were faster."""
    rows = []
    for length in LENGTHS:
        cells = []
        for size in SIZES:
            here = [one.ratio > FASTER for one in found if (one.size, one.length) == (size, length)]
            cells.append(f"{sum(here)} / {len(here)}")
        rows.append([f"K = {length}", *cells])
    return table(["", *(f"n = {_grouped(size)}" for size in SIZES)], rows)


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")


def _lines(found: Mapping[str, Any], length: int) -> list[Line]:
    lines = []
    for backend, one in verdicts.present(found):
        points = [point for point in one["points"] if point["length"] == length]
        for rank, mode in enumerate(points[0]["modes"] if points else ()):
            drawn = [(point["size"], point["modes"][mode]["median"]) for point in points
                     if "median" in point["modes"][mode]]  # fmt: skip
            lines.append(Line(f"{backend} {mode}", backend, drawn, rank == 0, rank - 1))
    return lines


def memory(say: Texts, answers: ByDtype) -> Shown:
    found = answers["float32"]
    rows: list[list[str | Cell]] = []
    drawn: list[tuple[str, str, float, str]] = []
    size = 0
    for backend, mode, _, one in verdicts.engines(found):
        size = found[backend]["bytes"]
        peak = verdicts.peak_of(one)
        buffers = peak / size
        own = "-" if one["own"] is None else f"{one['own'] / 1e6:.1f} ({found[backend]['own_name']})"
        system = f"{one['peak'] / 1e6:.1f} ({one['how']})"
        rows.append([f"{backend} {mode}", f"{peak / 1e6:.1f}", f"{buffers:.2f}", own, system])
        drawn.append((f"{backend} {mode}", backend, peak / 1e6, f"{peak / 1e6:.0f} MB, {buffers:.1f}"))
    headers = [say("ui.engine"), say("L6.peak"), say("L6.buffers"), say("L6.own"), say("L6.system")]
    shown: list[Html] = []
    if drawn:
        svg = bars(drawn, title=say("L6.peak"), mark=(size / 1e6, say("L6.result_alone")))
        shown.append(figure(svg, say("L6.caption", megabytes=f"{size / 1e6:.0f}")))
    return verdicts.less_memory(found), [*shown, table(headers, rows), prose(say("L6.legend"))]
