"""The first screen: do they agree, who is fast, what should I know. Every line is chosen by a rule, which is said."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from crossnn.atlas.digest import GOOD, accidents, half_lost, worst_error
from crossnn.report.described import descriptions
from crossnn.report.document import Card, Cards, Point, Table
from crossnn.report.families import by_spec
from crossnn.report.own import other_settings, usual_call
from crossnn.report.speed import leaders, overview_rows, work
from crossnn.report.summary import label, place, stretch
from crossnn.runs.cell import ORACLE, Record, Training, Worst
from crossnn.runs.findings import Accuracy, Convention, Finding
from crossnn.timing.results import Contest

MOST_POINTS = 6
MOST_CONVENTIONS = 2
NOISY = 0.1
"""Above this width of an interval, relative to the time, the card says so."""
MOST_WORK = 5
STEP = "step"


def first_screen(
    records: Sequence[Record], trainings: Sequence[Training], contests: Sequence[Contest], findings: Sequence[Finding]
) -> Cards:
    cards = _agreement(records)
    cards += [_speed(contests)] if any(one.standings for one in contests) else _one_run(trainings)
    cards += _to_know(records, findings)
    return Cards(cards)


def _agreement(records: Sequence[Record]) -> list[Card]:
    groups: dict[str, list[Record]] = {}
    for one in records:
        if one.backend != ORACLE and one.verdict != "NOT-RUN":
            groups.setdefault(one.backend, []).append(one)
    if not groups:
        return []
    rows = []
    for backend, group in sorted(groups.items(), key=lambda item: place(item[0], "")):
        equal, known, failed = _counts(group)
        judged = equal + known + failed
        share = f"{100 * equal / judged:.1f}%" if judged else "-"
        rows.append([backend, f"{judged:,}", share, f"{known:,}", f"{failed:,}"])
    every = [one for group in groups.values() for one in group]
    equal, known, failed = _counts(every)
    reasons = len({one.known for one in every if one.known})
    judged = max(1, equal + known + failed)
    said = f"{100 * equal / judged:.1f} % of {judged:,} results equal the exact ones, up to rounding. "
    said += f"{known:,} depart for {reasons} registered reasons" if known else "None departs for a registered reason"
    said = f"Not everywhere. {said}; {failed:,} fail." if failed else f"Yes, but for what is known. {said}; none fails."
    said = said.replace("Yes, but for what is known.", "Yes.") if not known else said
    table = Table(["", "judged", "equal", "known", "failed"], rows, "How far each framework agrees")
    ran = [one for one in records if one.verdict != "NOT-RUN"]
    oracle = sum(one.backend == ORACLE for one in ran)
    note = (
        f"Of {len(ran):,} quantities; not counted: {len(ran) - oracle - equal - known - failed:,} where mathematics "
        f"leaves the answer open (slopes at kinks, means of nothing), and {oracle:,} of the exact reference itself."
    )
    return [Card("Do they agree?", said, table, (), note)]


def _counts(records: Sequence[Record]) -> tuple[int, int, int]:
    """Equal, known, failed."""
    found = [sum(one.verdict in which for one in records) for which in
             (("EQUAL", "ROUNDING"), ("KNOWN", "ILL-CONDITIONED"))]  # fmt: skip
    return found[0], found[1], sum(one.failed for one in records)


def _speed(contests: Sequence[Contest]) -> Card:
    """Whole training steps first; else whatever was timed, the longest work first."""
    timed = [one for one in contests if one.standings]
    steps = [one for one in timed if one.about.phase == STEP]
    shown = sorted(steps or timed, key=lambda one: -one.standings[0].measured.interval[0])[:MOST_WORK]
    same = len({(one.about.phase, one.about.batch) for one in shown}) == 1
    about = shown[0].about
    leading = {one.about.spec if same else work(one.about): leaders(one) for one in shown}
    alone = set.intersection(*map(set, leading.values()))
    if len(shown) > 1 and alone:
        said = f"{' and '.join(sorted(alone))}: nobody is faster at any of these."
    else:
        said = "; ".join(
            f"{name}: {' or '.join(found)}{' (a tie)' if len(found) > 1 else ''}" for name, found in leading.items()
        )
        said = f"It depends. {said}." if len(shown) > 1 else f"{said}."
    head = f"{about.phase}, batch {about.batch}" if same else "work"
    rows = [[one.about.spec if same else row[0], row[1], row[2], f"{row[3]}: {row[4]}" if row[4] != "-" else "-"]
            for one, row in zip(shown, overview_rows(shown), strict=True)]  # fmt: skip
    table = Table([head, "fastest", "time", "next framework: times as long"], rows, "The fastest of each work")
    note = (
        f"{about.device}, {about.threads} thread{'s' if about.threads > 1 else ''}, {about.dtype}; with 95 % "
        "intervals, paired within rounds; a tie: not known to differ."
    )
    widest = max((high - low) / middle for one in shown for middle, low, high in
                 (standing.measured.interval for standing in one.standings))  # fmt: skip
    note += f" Noisy: intervals up to {100 * widest:.0f} % wide." if widest > NOISY else ""
    lines = [Point(spec, "", f": {line}") for spec, line in descriptions(one.about for one in shown).items()]
    return Card("Who is fast?", said, table, (*lines, Point("All times, with charts", "timing")), note)


def _one_run(trainings: Sequence[Training]) -> list[Card]:
    """Where nothing was timed: the steps of the trainings, which are no benchmark, and say so."""
    rows = []
    for spec, group in by_spec(trainings).items():
        ran = sorted((one for one in group if one.backend != ORACLE and one.step_seconds > 0),
                     key=lambda one: one.step_seconds)  # fmt: skip
        others = [one for one in ran if one.backend != ran[0].backend]
        if others:
            first, other = ran[0], others[0]
            rows.append(
                [spec, f"{first.backend} {first.mode}", f"{first.step_seconds * 1000:.3g} ms",
                 f"{other.backend} {other.mode}", f"{other.step_seconds / first.step_seconds:.2g}"]
            )  # fmt: skip
    rows = sorted(rows, key=lambda row: -float(row[2].split()[0]))[:MOST_WORK]
    if not rows:
        return []
    text = "Nothing was timed in this run. Its trainings took, per step, in one run with other work beside it:"
    table = Table(["training", "fastest", "a step", "next framework", "times as long"], rows, "Seconds of one run")
    note = "Orders of magnitude, no benchmark: 'crossnn time' measures, and 'crossnn report RUN --with' joins both."
    return [Card("Who is fast?", text, table, (), note)]


def _to_know(records: Sequence[Record], findings: Sequence[Finding]) -> list[Card]:
    failed = [one for one in records if one.failed]
    if failed:
        groups: dict[tuple[str, str], list[Record]] = {}
        for one in failed:
            groups.setdefault((label(one), one.verdict), []).append(one)
        worst = sorted(groups.items(), key=lambda item: -len(item[1]))[:MOST_POINTS]
        first = [
            Point(what, link(group[0]),
                  f": {verdict} in {len(group)} quantities, first on {group[0].backend} {group[0].mode}")
            for (what, verdict), group in worst
        ]  # fmt: skip
        return [Card("What should I know?", "Not everything is as expected:", None, first, "Most quantities first.")]
    said = []
    points: list[Point] = []
    for rule, found in (
        ("the defaults in which frameworks depart from each other most", _conventions(findings)),
        ("the framework's own function that loses most digits in float32", _inaccuracies(findings)),
        ("of each framework the registered difference of its own implementations with the largest error "
         "(relative above 1, absolute below), each of another specification", _differences(records)),
    ):  # fmt: skip
        chosen = found[: MOST_POINTS - len(points)]
        points += chosen
        said += [rule] if chosen else []
    note = f"Chosen by rule: {'; '.join(said)}."
    return [Card("What should I know?", "", None, points, note)] if points else []


def _conventions(findings: Iterable[Finding]) -> list[Point]:
    """Of the concepts of which the frameworks' usual calls are not set alike the two whose settings are furthest apart,
    as their distances from the specification's defaults say."""
    concepts: dict[str, dict[str, Convention]] = {}
    for one in findings:
        if isinstance(one, Convention) and one.difference is not None and one.settings and usual_call(one.call):
            concepts.setdefault(one.concept, {}).setdefault(one.backend, one)
    apart: list[tuple[float, str, list[Convention]]] = []
    for concept, found in concepts.items():
        several = sorted(found.values(), key=lambda one: place(one.backend, ""))
        costs = [one.difference or 0.0 for one in several]
        if len(several) > 1 and other_settings(several):
            apart.append((max(costs) - min(costs), concept, several))
    return [
        Point(concept, urlencode({"spec": several[0].spec}),
              f": {other_settings(several)}. A port that keeps the specification's defaults is off by "
              f"{', '.join(f'{_percent(one.difference or 0.0)} from {one.backend}' for one in several)} "
              f"({several[0].scenario.split(';')[0]}).")
        for size, concept, several in sorted(apart, key=lambda each: -each[0])[:MOST_CONVENTIONS] if size
    ]  # fmt: skip


def _percent(share: float) -> str:
    return f"{share:.2g} times" if share >= 10 else f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"


def _inaccuracies(findings: Iterable[Finding]) -> list[Point]:
    """Of the frameworks' own functions in float32, the one that loses half of the digits at most inputs."""
    found = [
        (half_lost(one), worst_error(one), one) for one in findings
        if isinstance(one, Accuracy) and one.dtype == "float32" and one.implementation == "native" and not one.message
    ]  # fmt: skip
    if not found:
        return []
    share, error, worst = max(found, key=lambda item: item[:2])
    if error <= GOOD:
        return []
    happened = "; ".join(stretch(*region) for region in accidents(worst)[:1])
    at = "" if worst.at is None else f"worst near {worst.at:.3g}"
    more = f": in float32 half of its digits are lost at {share:.0%} of inputs up to 1000 ({worst.quantity}); "
    return [Point(worst.call or worst.spec, urlencode({"spec": worst.spec}), f"{more}{happened or at}.")]


def _differences(records: Iterable[Record]) -> list[Point]:
    """The registered difference of each framework's own implementations with the largest error, each of another
    specification."""
    worst: dict[str, tuple[float, Record]] = {}
    for one in records:
        if one.verdict == "KNOWN" and one.known and one.implementation == "native" and one.worst is not None:
            size = _departure(one.worst)
            if one.known not in worst or size > worst[one.known][0]:
                worst[one.known] = (size, one)
    by_backend: dict[str, list[tuple[float, Record]]] = {}
    for size, one in sorted(worst.values(), key=lambda pair: -pair[0]):
        by_backend.setdefault(one.backend, []).append((size, one))
    chosen: dict[str, Record] = {}
    for group in by_backend.values():  # the framework with the largest error first
        largest = next((one for _, one in group if one.spec not in chosen), None)
        if largest is not None:
            chosen[largest.spec] = largest
    return [
        Point(f"{one.call or one.spec}, {one.dtype}", link(one), f": {one.message.split(' [')[0]}. Exact: "
              f"{_few(one.worst.expected)}, computed: {_few(one.worst.actual)} ({one.quantity}).")
        for one in chosen.values()
        if one.worst is not None
    ]  # fmt: skip


def _departure(worst: Worst) -> float:
    """The error, relative to numbers above 1: what is tiny beside 1 harms nobody. What is no number is infinitely
    far."""
    try:
        exact, computed = float(worst.expected), float(worst.actual)
    except ValueError:
        return 0.0
    size = abs(exact - computed) / max(1.0, abs(exact))
    return math.inf if math.isnan(size) else size


def _few(text: str) -> str:
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text


def link(one: Record) -> str:
    """Where the page shows the evidence for this record."""
    names = ("spec", "backend", "mode", "dtype", "implementation")
    return urlencode({name: getattr(one, name) for name in names})
