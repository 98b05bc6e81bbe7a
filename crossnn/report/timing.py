"""Timings as tables: one for each contest, the fastest first, with what must be known to read it below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from crossnn.report.document import Block, Heading, Table, Text
from crossnn.report.speed import contest_figures, contest_scaling, ordered
from crossnn.report.summary import number
from crossnn.runs.timed import Prepared
from crossnn.timing.results import Contest, Measured, Standing, overheads

LEGEND = (
    "One process for each backend and mode, with equal threads set before import; rounds in shuffled order, one "
    "process at work at a time. time: the median over rounds of one call, the wait for its results inside the clock, "
    "and half the width of its 95 % interval. x base: the ratio to the first contender, paired within rounds, with its "
    "95 % interval. rank: 1, and one more for each that is known to be faster. first call: with everything that "
    "it traces and compiles. repaid: after so many calls a mode has made good for its longer first call, against "
    "the mode of the same backend with the shortest one. ceiling: the least time that this machine could take "
    "(operations at the rate of its best matrix product, or inputs and results at the rate of its best copy), as "
    "a share of the time taken. MB: how far resident memory rises until the first calls are over. faults: pages "
    "that the system fetches in a call. What was timed was judged before: what is wrong has a verdict and no "
    "time."
)
HEADERS = ("", "time", "x base", "rank", "first call s", "repaid", "ceiling", "MB", "faults", "rounds")
MORE_CORES = 0.1
"""So much more than its threads may keep busy: Python hands work over while the last is still computed."""
UNITS = ((1e6, "s"), (1e3, "ms"), (1.0, "us"))


def title(who: Prepared) -> str:
    """`time-mlp, step, batch 64, float32, cpu, 1 thread`."""
    threads = f"{who.threads} thread{'s' if who.threads > 1 else ''}"
    chosen = [f"{name} = {value}" for name, value in who.settings]
    chosen += [f"shape {' x '.join(map(str, who.shape))}"] if who.shape else []
    return ", ".join([who.spec, who.phase, f"batch {who.batch}", *chosen, who.dtype, who.device, threads])


def contest_table(contest: Contest) -> Table:
    """A row for each contender that was timed, the fastest first, and one for each that failed."""
    fastest = min((one.measured.interval[0] for one in contest.standings), default=1.0)
    scale, unit = next(pair for pair in UNITS if fastest * 10 >= pair[0] or pair[0] == 1.0)
    rows = [_row(one, scale, unit, one.measured is contest.base) for one in ordered(contest)]
    failed = [one for one in contest.absent if one.verdict != "NOT-RUN"]
    rows += [[one.contender, one.verdict, *[""] * (len(HEADERS) - 2)] for one in failed]
    return Table(HEADERS, rows)


def _row(one: Standing, scale: float, unit: str, base: bool) -> list[str]:
    who, found = one.measured.prepared, one.measured
    middle, low, high = found.interval
    times = "1" if base else _factor(one.ratio)
    repaid = "" if one.repays is None else "never" if math.isinf(one.repays) else f"{one.repays:.0f}"
    return [
        who.contender,
        f"{_digits(middle / scale, (high - low) / scale / 2)} {unit} +- {(high - low) / middle / 2:.1%}",
        times,
        str(one.rank),
        number(who.first_seconds, 2),
        repaid,
        "" if one.share is None else f"{one.share:.0%}",
        "" if who.host_bytes is None else f"{who.host_bytes / 1e6:.0f}",
        f"{found.average('faults'):.0f}",
        str(len(found.visits)),
    ]


def _digits(value: float, uncertainty: float) -> str:
    """As many digits as the interval leaves: two of its own, and three at least where there is none."""
    if uncertainty <= 0:
        return f"{value:.3g}"
    places = max(0, 1 - math.floor(math.log10(uncertainty)))
    return f"{value:.{min(places, 3)}f}"


def _factor(ratio: tuple[float, float, float] | None) -> str:
    return "" if ratio is None else f"{ratio[0]:.3g} ({ratio[1]:.3g} to {ratio[2]:.3g})"


def notes(contest: Contest, width: float) -> Iterator[str]:
    """What must be known to read a table: what the machine cannot tell apart, what disturbed it, what did not run."""
    if contest.base is not None and contest.floor is not None:
        yield f"{contest.base.prepared.contender}, timed twice, differs from itself by up to {contest.floor:.1%}."
    loose = [one.measured for one in contest.standings if _width(one.measured) > width]
    if loose:
        listed = ", ".join(f"{one.prepared.contender} {_width(one):.1%}" for one in loose)
        yield f"Time was up before the interval was narrower than {width:.0%}: {listed}."
    visits = [visit for one in contest.standings for visit in one.measured.visits.values()]
    noisy, discarded = sum(visit.noisy for visit in visits), sum(visit.discarded for visit in visits)
    if noisy or discarded:
        yield f"Disturbed by others: {discarded} visits discarded and repeated, {noisy} of {len(visits)} kept."
    for one in contest.standings:
        who = one.measured.prepared
        if who.cores is not None and who.cores > who.threads + MORE_CORES:
            yield f"{who.contender} kept {who.cores:.2f} cores busy, {who.threads} were asked for: not comparable."
    for reason, names in _reasons(contest.absent).items():
        yield f"{', '.join(names)}: {reason}."


def _width(one: Measured) -> float:
    middle, low, high = one.interval
    return (high - low) / middle


def _reasons(absent: Sequence[Prepared]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in absent:
        found.setdefault(f"{one.verdict}: {one.message.rstrip('.')}", []).append(one.contender)
    return found


def overhead_table(contests: Sequence[Contest]) -> Table | None:
    """What a formula costs beside other code for the same work, paired within rounds."""
    found = [one for contest in contests for one in overheads(contest)]
    if not found:
        return None
    rows = [
        [
            f"{one.formula.spec} {one.formula.phase}", f"{one.formula.backend} {one.formula.mode}",
            one.other.implementation, one.other.call, _factor(one.ratio),
        ]
        for one in found
    ]  # fmt: skip
    return Table(("", "mode", "beside", "which is", "formula / that"), rows)


def timing_blocks(contests: Sequence[Contest], width: float) -> list[Block]:
    """The part of a report that is about time."""
    blocks: list[Block] = []
    for contest in contests:
        blocks += [Heading(3, title(contest.about)), *contest_figures(contest), contest_table(contest)]
        blocks += map(Text, notes(contest, width))
    scaling = contest_scaling(contests)
    blocks += [Heading(3, "Scaling with the batch"), *scaling] if scaling else []
    beside = overhead_table(contests)
    if beside is not None:
        blocks += [Heading(3, "The formula beside other code"), beside]
    if blocks:
        blocks += [Heading(3, "Before the steady state"), _before(contests)]
    return blocks


def _before(contests: Sequence[Contest]) -> Table:
    """What came before the first call, and what it was made of; once for each process and work."""
    headers = ("", "import s", "build s", "first call s", "of it", "process MB", "device MB", "own name")
    rows = [
        [
            f"{who.spec} {who.phase} {who.contender}", number(who.import_seconds), number(who.build_seconds),
            number(who.first_seconds), _stages(who.stages), _megabytes(who.host_total), _megabytes(who.device_bytes),
            who.call,
        ]
        for contest in contests
        for who in (one.measured.prepared for one in contest.standings)
    ]  # fmt: skip
    return Table(headers, rows)


def _stages(stages: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {number(seconds)}" for name, seconds in stages.items())


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:.0f}"
