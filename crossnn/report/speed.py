"""Times in one look: who is fastest at each work and by how much, charts with intervals, what a first call costs and
when it is repaid, how time grows with the batch.

All numbers are those of `crossnn.timing.results`; ratios are paired within rounds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from crossnn.pictures.plot import Panel, Scale, page, scale_of, shortened, text
from crossnn.pictures.series import series, spread
from crossnn.report.described import changed, descriptions
from crossnn.report.document import Block, Figure, Table, Text
from crossnn.runs.timed import Prepared
from crossnn.timing.results import Contest, Standing, ratio

WIDTH, LEFT, RIGHT, LINE = 860.0, 190.0, 290.0, 24.0
RATIOS = "Ratios are medians of ratios within a round; they need not be the quotient of the times."
FEW = 8
"""Up to so many points of a curve, each of them is marked."""
QUARTERS = 25
"""Points of a curve over calls: from one to a million, four in each power of ten."""


def work(who: Prepared) -> str:
    """`time-cnn step, batch 64`: short, where the rest stands beside it."""
    return f"{who.spec} {who.phase}, batch {who.batch}"


def duration(microseconds: float) -> str:
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.3g} us"


def ordered(contest: Contest) -> list[Standing]:
    """The fastest first, by ratios that are paired within rounds: of those that nobody is known to be faster than, the
    one than which the fewest take less time, none as a rule."""
    standings = contest.standings
    if not standings:
        return []

    def faster(one: Standing) -> int:
        return sum(_times_as_long(other, one) < 1 for other in standings)

    first = min(standings, key=lambda one: (one.rank, faster(one)))
    return [first, *sorted((one for one in standings if one is not first), key=lambda one: _times_as_long(one, first))]


def _times_as_long(one: Standing, first: Standing) -> float:
    """By medians where they have no round in common."""
    found = ratio(one.measured, first.measured)
    return found[0] if found else one.measured.interval[0] / first.measured.interval[0]


def rival(contest: Contest) -> Standing | None:
    """The fastest of another framework than the fastest one's."""
    first, *others = ordered(contest)
    return next((one for one in others if one.measured.prepared.backend != first.measured.prepared.backend), None)


def leaders(contest: Contest) -> list[str]:
    """The frameworks that nobody is known to be faster than."""
    return list(dict.fromkeys(one.measured.prepared.backend for one in ordered(contest) if one.rank == 1))


def _times(one: Standing, first: Standing) -> str:
    found = ratio(one.measured, first.measured)
    if found is None:
        return "no common round"
    return f"{found[0]:.2f} ({found[1]:.2f} to {found[2]:.2f}){', a tie' if one.rank == first.rank else ''}"


def overview_rows(contests: Sequence[Contest]) -> list[list[str]]:
    """A line for each contest: the fastest, its time, the next framework, how many times as long it takes, and the same
    of the slowest."""
    rows = []
    for contest in contests:
        if not contest.standings:
            continue
        standings = ordered(contest)
        first, last, other = standings[0], standings[-1], rival(contest)
        rows.append(
            [
                work(contest.about),
                first.measured.prepared.contender,
                duration(first.measured.interval[0]),
                other.measured.prepared.contender if other else "-",
                _times(other, first) if other else "-",
                last.measured.prepared.contender,
                _times(last, first) if last is not first else "-",
            ]
        )
    return rows


OVERVIEW = ("work", "fastest", "time", "next framework", "times as long", "slowest", "times as long")


def speed_blocks(contests: Sequence[Contest]) -> list[Block]:
    """All contests in one table."""
    rows = overview_rows(contests)
    if not rows:
        return []
    said = (
        "Who is fastest, and by how much: times as long as the fastest takes, paired within rounds, with the 95 % "
        "interval. A tie: the two are not known to differ."
    )
    timed = [one.about for one in contests if one.standings]
    lines, today = descriptions(timed), changed(timed)
    return [
        Text(said),
        Table(OVERVIEW, rows, "Who is fastest at each work, and by how much"),
        *([Text("What was timed, as specified:")] if lines else []),
        *(Text(f"{spec}: {line}.") for spec, line in lines.items()),
        *([Text(today)] if lines and today else []),
    ]


def contest_scaling(contests: Sequence[Contest]) -> list[Figure]:
    return [found for group in _by_size(contests).values() if (found := _scaling(group))]


def contest_figures(contest: Contest) -> list[Block]:
    """The chart of a contest, and where some mode compiles, that of the mean over calls."""
    if not contest.standings:
        return []
    name = file_name(contest.about)
    again = command(contest.about)
    words = f"{work(contest.about)}, {contest.about.dtype}, {contest.about.device}"
    found: list[Block] = [
        Figure(f"time-{name}.svg", chart(contest), f"{words}: median time of a call, its 95 % interval, times the "
               "fastest, and the least time that this machine could take as a share of it", again),
        Text(RATIOS),
    ]  # fmt: skip
    totals = total_chart(contest)
    if totals:
        found.append(
            Figure(f"total-{name}.svg", totals, f"{words}: mean time of a call, over so many of them, the first one "
                   "and compilation included; where lines cross, a longer first call is repaid", again)
        )  # fmt: skip
    return found


def command(who: Prepared) -> str:
    parts = ["crossnn time", who.spec, f"--phase {who.phase}", f"--batch {who.batch}", f"--dtype {who.dtype}"]
    parts += [f"--device {who.device}"] if who.device != "cpu" else []
    parts += [f"--threads {who.threads}"] if who.threads != 1 else []
    parts += [f"--shape {','.join(map(str, who.shape))}"] if who.shape else []
    return " ".join([*parts, *(f"--knob {name}={value}" for name, value in who.settings)])


def file_name(who: Prepared) -> str:
    parts = [who.spec, who.phase, who.batch, *(f"{name}-{value}" for name, value in who.settings)]
    parts += ["x".join(map(str, who.shape))] if who.shape else []
    parts += [who.dtype, who.device, *([f"{who.threads}-threads"] if who.threads != 1 else [])]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", "-".join(map(str, parts)))[:100]


def chart(contest: Contest) -> str:
    """A line for each contender, the fastest first, on a logarithmic axis of time."""
    standings = ordered(contest)
    height = 24 + LINE * len(standings) + 40
    bottom = height - 40
    times = [value for one in standings for value in one.measured.interval]
    scale = scale_of([min(times) / 1.25, max(times) * 1.25], LEFT, WIDTH - RIGHT, True)
    assert scale is not None, "times are positive"
    looks = series([_who(one) for one in standings])
    parts = []
    for at, name in scale.ticks(5):
        parts.append(f'<path d="M{at:.1f} 24V{bottom:.1f}" class="grid"/>')
        parts.append(text(at, bottom + 16, duration(float(name)), "middle", "small"))
    parts.append(text(WIDTH - RIGHT + 14, 14, "time", kind="small"))
    parts.append(text(WIDTH - RIGHT + 74, 14, "times the fastest", kind="small"))
    parts.append(text(WIDTH - 6, 14, "of the limit", "end", "small"))
    for number, one in enumerate(standings):
        who, at = one.measured.prepared, 24 + LINE * (number + 0.5)
        middle, low, high = (scale.linear(math.log10(value)) for value in one.measured.interval)
        look = looks[number]
        kind = "head" if one.rank == 1 else ""
        parts.append(text(LEFT - 10, at + 4, shortened(who.contender, 28), "end", kind))
        parts.append(f'<path d="M{LEFT} {at:.1f}H{middle:.1f}" {look.stroke(2)} stroke-opacity=".6"/>')
        parts.append(f'<path d="M{low:.1f} {at - 6:.1f}v12M{high:.1f} {at - 6:.1f}v12M{low:.1f} {at:.1f}H{high:.1f}" '
                     f'stroke="{look.colour}" stroke-width="1.6"/>')  # fmt: skip
        parts.append(look.marks([(middle, at)]))
        found = ratio(one.measured, standings[0].measured)
        said = "fastest" if number == 0 else f"{found[0]:.2f} ({found[1]:.2f} to {found[2]:.2f})" if found else "-"
        parts.append(text(WIDTH - RIGHT + 14, at + 4, duration(one.measured.interval[0]), kind=kind))
        parts.append(text(WIDTH - RIGHT + 74, at + 4, said, kind=kind))
        parts.append(text(WIDTH - 6, at + 4, "" if one.share is None else f"{one.share:.0%}", "end"))
    parts.append(f'<path d="M{LEFT} 24V{bottom:.1f}H{WIDTH - RIGHT}" class="line"/>')
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, bottom + 34, "time of one call", "middle"))
    return page(WIDTH, height, f"{work(contest.about)}: time of a call", parts)


def total_chart(contest: Contest) -> str:
    """Milliseconds a call, on the average of so many with the first one; empty where no mode starts later than another
    of its backend."""
    if not any(one.repays is not None for one in contest.standings):
        return ""
    points = [10 ** (power / 4) for power in range(QUARTERS)]
    curves: dict[tuple[str, str], list[tuple[float | None, float | None]]] = {}
    for one in contest.standings:
        who, each = one.measured.prepared, one.measured.interval[0] * 1e-6
        curves[_who(one)] = [(calls, 1e3 * (who.first_seconds + (calls - 1) * each) / calls) for calls in points]
    return _lines(curves, "calls", "ms a call", f"{work(contest.about)}: mean time of a call")


def _lines(
    curves: Mapping[tuple[str, str], Sequence[tuple[float | None, float | None]]], across: str, up: str, title: str
) -> str:
    """Lines over two logarithmic axes."""
    height, bottom = 330.0, 284.0
    x = scale_of([point[0] for curve in curves.values() for point in curve], 72, WIDTH - RIGHT + 20, True)
    y = scale_of([point[1] for curve in curves.values() for point in curve], bottom, 18, True)
    if x is None or y is None:
        return ""
    looks = series(list(curves))
    panel = Panel(x, Scale(y.low, y.high, y.start, y.end, True).with_room(0.03))
    drawn, legend = [], []
    for number, ((name, curve), look) in enumerate(zip(curves.items(), looks, strict=True)):
        places = [panel.at(*point) for point in curve]
        marks = spread(places, number, len(curves)) if len(places) > FEW else [one for one in places if one is not None]
        drawn += [panel.curve(curve, look.stroke(1.8)), look.marks(marks)]
        at = 30 + min(18.0, 250 / len(curves)) * number
        legend += [look.sample(WIDTH - RIGHT + 34, at, 1.8)]
        legend += [text(WIDTH - RIGHT + 76, at + 4, shortened(" ".join(name), 26))]
    return page(WIDTH, height, title, [*panel.axes(across, up), panel.clipped(drawn), *legend])


def _who(one: Standing) -> tuple[str, str]:
    """The backend, and the mode with what else tells contenders apart."""
    who = one.measured.prepared
    return who.backend, who.contender.removeprefix(who.backend).strip()


def _by_size(contests: Sequence[Contest]) -> dict[tuple[object, ...], list[Contest]]:
    groups: dict[tuple[object, ...], list[Contest]] = {}
    for one in contests:
        if one.standings:
            who = one.about
            key = (who.spec, who.phase, who.shape, who.settings, who.dtype, who.device, who.threads)
            groups.setdefault(key, []).append(one)
    return groups


def _scaling(group: Sequence[Contest]) -> Figure | None:
    """Microseconds a sample over the size of the batch, where there are several."""
    if len({one.about.batch for one in group}) < 2:
        return None
    curves: dict[tuple[str, str], list[tuple[float | None, float | None]]] = {}
    for contest in sorted(group, key=lambda one: one.about.batch):
        for one in contest.standings:
            who = one.measured.prepared
            point = (float(who.batch), one.measured.interval[0] / who.batch)
            curves.setdefault(_who(one), []).append(point)
    who = group[0].about
    batches = ",".join(str(size) for size in sorted({one.about.batch for one in group}))
    svg = _lines(curves, "batch", "us a sample", f"{who.spec} {who.phase}: time of a sample over the batch")
    again = command(who).replace(f"--batch {who.batch}", f"--batch {batches}")
    caption = f"{who.spec} {who.phase}, {who.dtype}, {who.device}: time of one sample over the size of the batch"
    return Figure(f"batch-{file_name(who)}.svg", svg, caption, again)
