"""The power of the checks in tables: mutants by kind and by operator, survivors by name, false alarms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from crossnn.power.reasons import discussion
from crossnn.report.document import Block, Heading, Table, Text
from crossnn.runs.findings import Finding, Mutants, Survivor

OPENING = (
    "Mistakes were planted in the formulas, one at a time, and judged as if a framework had made them: do the checks "
    "notice? What they miss is listed first."
)
LEGEND = (
    "Every specification was changed in every place and in every way that an operator names, and each such mutant was "
    "judged as if a backend computed it instead of the original: NumPy's values, gradients, updates and states in "
    "float64 against the original's truth. The first verdict that fails kills it. What cannot be built or run at all, "
    "such as shapes that do not fit, is no mutant. A mutant that no verdict finds is "
    "computed in arbitrary precision, on the inputs of the checks and on fresh ones: where everything agrees to 25 "
    "digits (or differs by less than float64 can show) it is equivalent, and counts for nothing. All others survive: "
    "they are mistakes that the checks do not see. The score is killed/(made - equivalent). Of trainings the loop is "
    "done wrongly (stale gradients, step counts, masks, batches, schedules), a few steps each, judged by the verdict "
    "on curves; survivors are trained again with 60 digits."
)
ALARMS = (
    "False alarms: the specifications as they are, on NumPy in every mode, in float64 and float32, with many seeds. "
    "None of it may fail."
)
LEAST = 0.98
"""The score below which `crossnn power` fails."""
LONGEST = 90

Counts = tuple[int, int, int]
"""Made, killed, equivalent."""


def power_blocks(findings: Sequence[Finding]) -> list[Block]:
    """What is known of the power of the checks; nothing where it was not measured."""
    found = [one for one in findings if isinstance(one, Mutants)]
    if not found:
        return []
    blocks: list[Block] = [Text(OPENING), Text(power_sentence(found))]
    if any(one.made for one in found):
        survivors = survivor_table(found, 400)
        blocks += [Heading(3, "Mistakes that the checks miss"), survivors if survivors.rows else Text("None.")]
        blocks += [why_table(found)] if survivors.rows else []
        blocks += [Heading(3, "How mistakes are planted"), Text(LEGEND), kind_table(found), operator_table(found)]
        blocks += [Heading(3, "Changes that compute the same"), equivalent_table(found)]
    if any(one.judged for one in found):
        blocks += [Heading(3, "False alarms"), Text(ALARMS), alarm_table(found)]
    return blocks


def score(counts: Counts) -> float | None:
    """The share of the mutants that could be found which were; None where there is none."""
    made, killed, equivalent = counts
    return killed / (made - equivalent) if made > equivalent else None


def total(found: Iterable[Mutants]) -> Counts:
    every = list(found)
    return sum(one.made for one in every), sum(one.killed for one in every), sum(one.equivalent for one in every)


def power_sentence(found: Sequence[Mutants]) -> str:
    """`2,000 mutants: 1,900 killed, 90 equivalent, 10 survived; score 99.5%. 0 false alarms in 100,000 quantities.`"""
    said = []
    made, killed, equivalent = total(found)
    if made:
        rows = sum(1 for one in found if one.made)
        left = made - killed - equivalent
        said.append(
            f"{made:,} mutants of {rows} specifications: {killed:,} killed, {equivalent:,} equivalent, "
            f"{left:,} survived; score {_percent(score((made, killed, equivalent)))}."
            f" {sum(one.stillborn for one in found):,} more could not be built or run, and count for nothing."
        )
    judged = sum(one.judged for one in found)
    if judged:
        alarms = sum(one.alarms for one in found)
        said.append(f"{alarms:,} false alarm{'s' if alarms != 1 else ''} in {judged:,} judged quantities.")
    return " ".join(said) or "No mutant was made."


def kind_table(found: Sequence[Mutants]) -> Table:
    """A line for each kind of specification."""
    groups: dict[str, list[Mutants]] = {}
    for one in found:
        if one.made:
            groups.setdefault(one.kind, []).append(one)
    rows = [[kind, str(len(group)), *_counted(total(group))] for kind, group in groups.items()]
    rows.append(["all", str(sum(map(len, groups.values()))), *_counted(total(found))])
    return Table(["kind", "rows", *_HEADS], rows)


def operator_table(found: Sequence[Mutants]) -> Table:
    """A line for each mutation operator."""
    counted: dict[str, list[int]] = {}
    for one in found:
        for name, counts in one.operators.items():
            counted[name] = [a + b for a, b in zip(counted.get(name, (0, 0, 0)), counts, strict=True)]
    ordered = sorted(counted.items(), key=lambda item: -item[1][0])
    return Table(["operator", *_HEADS], [[name, *_counted((a, b, c))] for name, (a, b, c) in ordered])


_HEADS = ["made", "killed", "equivalent", "survived", "score"]


def _counted(counts: Counts) -> list[str]:
    made, killed, equivalent = counts
    return [f"{made:,}", f"{killed:,}", f"{equivalent:,}", f"{made - killed - equivalent:,}", _percent(score(counts))]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}%"


def survivor_table(found: Sequence[Mutants], most: int) -> Table:
    """Every survivor by name, up to so many; those of one specification and one reason together."""
    rows = [_row(one.spec, each) for one in found for each in one.survivors]
    return Table(["specification", "operator", "place", "original", "mutant", "why it is another formula"], rows[:most])


def why_table(found: Sequence[Mutants]) -> Table:
    """How many survive for which reason."""
    return Table(["survivors", "what that means"], [[str(number), said] for said, number in discussion(found)])


def equivalent_table(found: Sequence[Mutants]) -> Table:
    """How many are equivalent, by operator and reason."""
    counted = Counter((each.operator, _kind_of(each.why)) for one in found for each in one.equal)
    rows = [[operator, why, str(number)] for (operator, why), number in counted.most_common()]
    return Table(["operator", "why", "mutants"], rows)


def _kind_of(why: str) -> str:
    return "differs by less than float64 can show" if why.startswith("differs") else why


def _row(spec: str, one: Survivor) -> list[str]:
    return [spec, one.operator, one.place, _short(one.original), _short(one.mutant), one.why]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."


def alarm_table(found: Sequence[Mutants]) -> Table:
    """Judged quantities and failures by kind."""
    counted: dict[str, list[float]] = {}
    for one in found:
        if one.judged:
            before = counted.get(one.kind, [0, 0, 0.0])
            counted[one.kind] = [before[0] + one.judged, before[1] + one.alarms, before[2] + one.seconds]
    rows = [
        [kind, f"{judged:,}", f"{alarms:,}", f"{seconds:.0f}"] for kind, (judged, alarms, seconds) in counted.items()
    ]
    return Table(["kind", "quantities judged", "false alarms", "s"], rows)
