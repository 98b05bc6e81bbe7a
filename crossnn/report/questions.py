"""Questions in tables: what is claimed, what was measured for it, and in which cases it holds.

The verdict over several backends is derived here, from the cases of all of them: a backend is one more thing that is
varied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from textwrap import shorten

import msgspec

from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Question
from crossnn.questions.rule import holds_at, judge
from crossnn.report.document import Block, Heading, Table, Text
from crossnn.report.speed import duration
from crossnn.report.summary import number, place
from crossnn.runs.cell import Answer, Numbers, Point
from crossnn.timing.results import median_interval

LEGEND = (
    "Claims that a measurement can judge. Each is asked by a protocol whose numbers decide by the comparison that is "
    "printed here; a case holds where the comparison is true in most repetitions, and so many that chance does not "
    "explain it (sign test, 5%). 'holds when' names what tells the cases where it holds from the others. Numbers are "
    "medians of the repetitions, with the 95% interval of the median. Where repetitions do not agree, the case is "
    "undecided, and does not count as one where the claim holds. Claims that are judged by the same measurement share "
    "it and its seconds. What does not hold here, on these sizes and this machine, may hold elsewhere."
)
WORDS = ("holds", "holds when", "does not hold here")
SECONDS: Mapping[str, tuple[str, ...]] = {
    "python_lists": ("python", "numpy"),
    "gradient_cost": ("value", "gradient"),
    "symbolic_cost": ("eager", "symbolic", "first_call"),
    "wasted_work": ("lean", "wasteful"),
    "trained_modes": ("step", "eager_step"),
    "batch_sizes": tuple(f"{way}_{what}" for way in ("full", "mini", "single")
                         for what in ("update", "epoch", "target")),
}  # fmt: skip
"""Which of the numbers of a protocol are seconds; they are shown with a unit."""
NEVER = 1e300
"""What was not reached is stored as a larger number; medians of so large ones still are numbers."""


def question_blocks(answers: Sequence[Answer]) -> list[Block]:
    """All answers in one table, then what was measured for each."""
    groups = _by_spec(answers)
    blocks: list[Block] = [Text(answers_sentence(answers)), answers_table(answers)]
    for spec, group in groups.items():
        one = group[0]
        needed = "in all of its cases" if one.exact else f"in {one.most:.0%} of the repetitions"
        blocks += [
            Heading(3, spec),
            Text(
                f'"{one.says}"{f" ({one.source})" if one.source else ""}. '
                f"{f'Taken to mean: {one.means}. ' if one.means else ''}"
                f"It holds where {' and '.join(one.rule)}, {needed}."
            ),
            Text(f"Verdict: {_verdict(*overall(group))}."),
            _measured(group),
        ]
    return blocks


def answers_table(answers: Sequence[Answer], longest: int = 1000) -> Table:
    """A line for each question: the verdict over all backends that were asked; the condition in so many characters."""
    rows = []
    for spec, group in _by_spec(answers).items():
        verdict, when = overall(group)
        asked = ", ".join(dict.fromkeys(one.backend for one in group))
        rows.append(
            [
                spec,
                verdict,
                shorten(when, longest, placeholder=" ..."),
                asked,
                f"{sum(one.seconds for one in group):.1f}",
            ]
        )
    return Table(["question", "verdict", "when", "asked", "s"], rows)


def answers_sentence(answers: Sequence[Answer]) -> str:
    """`12 claims measured: 3 hold, 7 hold in some cases, 2 do not hold here.`"""
    counted = Counter(overall(group)[0] for group in _by_spec(answers).values())
    said = {"holds": "hold", "holds when": "hold in some cases", "does not hold here": "do not hold here"}
    listed = ", ".join(f"{counted[word]} {said[word]}" for word in WORDS if counted[word])
    total = sum(counted.values())
    return f"{total} claim{'s' if total != 1 else ''} measured: {listed}."


def overall(group: Sequence[Answer]) -> tuple[str, str]:
    """The verdict over all answers to a question, and the condition."""
    first = group[0]
    if len(group) == 1:
        return first.verdict, first.when
    points = _joined(group)
    by = [*first.by, *(name for name in points[0].at if name not in first.by)]
    return judge(points, first.rule, by, first.most, first.exact)


def _joined(group: Sequence[Answer]) -> list[Point]:
    """The cases of all answers, with the backend where there are several; those that are alike are one."""
    several = len({one.backend for one in group}) > 1
    found: dict[str, Point] = {}
    for one in group:
        for point in one.points:
            at = {"backend": one.backend, **point.at} if several else point.at
            known = found.get(str(at))
            if known is None:
                found[str(at)] = msgspec.structs.replace(point, at=at)
                continue
            numbers = {name: (*values, *point.numbers[name]) for name, values in known.numbers.items()}
            found[str(at)] = msgspec.structs.replace(
                known, numbers=numbers, holds=known.holds + point.holds, of=known.of + point.of
            )
    return [*found.values()]


def _by_spec(answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    groups: dict[str, list[Answer]] = {}
    for one in answers:
        groups.setdefault(one.spec, []).append(one)
    for group in groups.values():
        group.sort(key=lambda one: place(one.backend, ""))
    return groups


def _verdict(verdict: str, when: str) -> str:
    if when.startswith("in "):  # so many of the cases
        return f"{verdict.removesuffix(' when')} {when}"
    return f"{verdict} {when}".strip()


def _measured(group: Sequence[Answer]) -> Table:
    """A line for each case: what was varied, the numbers, in how many repetitions the claim is true."""
    points = [(one, point) for one in group for point in one.points]
    row = load_catalogue().rows.get(group[0].spec)
    seconds = SECONDS.get(row.protocol, ()) if isinstance(row, Question) else ()
    varied = list(points[0][1].at)
    numbers = list(points[0][1].numbers)
    heads = [*(["backend"] if len(group) > 1 else []), *map(_words, varied), *map(_words, numbers), "true in", "holds"]
    rows = [
        [
            *([one.backend] if len(group) > 1 else []),
            *(_number(value) if not isinstance(value, str) else value for value in point.at.values()),
            *(_median(values, name in seconds) for name, values in point.numbers.items()),
            f"{point.holds} of {point.of}",
            _answer(one, point),
        ]
        for one, point in points
    ]
    return Table(heads, rows)


def _answer(one: Answer, point: Point) -> str:
    found = holds_at(point, one.most, one.exact)
    return "undecided" if found is None else "yes" if found else "no"


def _median(values: Numbers, seconds: bool = False) -> str:
    """`0.12 (0.1 to 0.15)`; what was not reached in half of the repetitions is `never`."""
    finite = [NEVER if value is None else max(-NEVER, min(value, NEVER)) for value in values]
    middle, low, high = (_number(value, seconds) for value in median_interval(finite))
    if low == high:
        return middle
    units = {one.partition(" ")[2] for one in (middle, low, high)}
    return f"{middle} ({low.partition(' ')[0] if len(units) == 1 else low} to {high})"


def _number(value: float, seconds: bool = False) -> str:
    if abs(value) >= NEVER / 10:
        return "never"
    return duration(value * 1e6) if seconds else number(value, 3)


def _words(name: str) -> str:
    return name.replace("_", " ")
