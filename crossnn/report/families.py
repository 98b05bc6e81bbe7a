"""Families and studies in tables: many trainings of one kind, a line each, from their references.

All backends arrive at the same numbers or the verdicts say so; hence one number stands for all of them here, with the
largest r of any backend and mode beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from crossnn.report.chart import line_chart
from crossnn.report.document import Block, Figure, Heading, Table, Text
from crossnn.report.summary import number
from crossnn.runs.cell import ORACLE, About, Training

MOST_CURVES = 12
PRINTED = ("quantity", "printed", "here", "difference")


def about(group: Sequence[Training]) -> About:
    """What the reference of a training says of its row; nothing where it is missing."""
    return next((one.about for one in group if one.about is not None), About())


def by_spec(trainings: Sequence[Training]) -> dict[str, list[Training]]:
    """Trainings by the row that was trained, in the order in which rows came."""
    groups: dict[str, list[Training]] = {}
    for training in trainings:
        groups.setdefault(training.spec, []).append(training)
    return groups


def family_of(group: Sequence[Training]) -> str:
    """The heading under which a training is one line among others; empty where it has a section of its own."""
    row = about(group)
    return re.sub(r"\{\w+\}", "*", row.family) or ("studies" if row.kind == "study" else "")


def family_blocks(name: str, groups: Mapping[str, Sequence[Training]], file: str) -> list[Block]:
    """One family: a line a member, what the last of its settings does, and the curves of the references."""
    rows = [about(group) for group in groups.values()]
    blocks: list[Block] = [Heading(3, name)]
    sources = list(dict.fromkeys(row.source for row in rows if row.source))
    if len(sources) == 1:
        blocks.append(Text(f"Source: {sources[0]}."))
    blocks.append(family_table(groups))
    printed = [[spec, *row] for spec, group in groups.items() if (table := printed_table(group)) for row in table.rows]
    if printed:
        blocks += [Text("As printed, and here:"), Table(["", *PRINTED], printed)]
    keys = list(rows[0].varied)
    if len(keys) > 1 and all(row.varied.keys() == rows[0].varied.keys() for row in rows):
        blocks += [Text(f"Held-out loss by {keys[-1]}; the smallest of each line is named at its end."), _pivot(groups)]
    found = {(spec, ""): one.loss for spec, one in _references(groups).items() if len(one.loss) > 1}
    curves = dict(list(found.items())[:MOST_CURVES])
    svg = line_chart(curves, across="step or epoch", up="what is minimised") if curves else ""
    if svg:
        blocks.append(Figure(f"{file}.svg", svg, f"{name}: {len(curves)} reference{'s' if len(curves) != 1 else ''}"))
    return blocks


def family_table(groups: Mapping[str, Sequence[Training]]) -> Table:
    """A line a member: where it arrived, and how far the backends are from it."""
    references = _references(groups)
    metrics = list(dict.fromkeys(name for one in references.values() for name in one.metrics))
    held_out = any(one.held_out_loss for one in references.values())
    heads = ["", "steps", "last loss", *(["held-out loss"] if held_out else [])]
    heads += [metric.replace("_", " ") for metric in metrics]
    rows = []
    for spec, group in groups.items():
        one = references.get(spec)
        judged = [training for training in group if training.backend != ORACLE]
        ranks = [training.curve_r for training in judged if training.curve_r is not None]
        values = [_last(one.held_out_loss)] if one and held_out else ["-"] if held_out else []
        values += [_last(one.metrics.get(name, ())) if one else "-" for name in metrics]
        rows.append(
            [
                spec,
                str(one.steps) if one else "-",
                _last(one.loss) if one else "-",
                *values,
                about(group).ending or "-",
                number(max(ranks)) if ranks else "-",
                str(len(judged)),
            ]
        )
    return Table([*heads, "ending", "largest r", "trainings"], rows)


def _pivot(groups: Mapping[str, Sequence[Training]]) -> Table:
    """The held-out loss (what is minimised, where nothing is held out) with the last setting across."""
    lines: dict[tuple[str, ...], dict[str, float]] = {}
    for spec, one in _references(groups).items():
        *others, last = about(groups[spec]).varied.values()
        values = one.held_out_loss or one.loss
        if values and values[-1] is not None:
            lines.setdefault(tuple(map(str, others)), {})[str(last)] = values[-1]
    *keys, across = about(next(iter(groups.values()))).varied
    columns = list(dict.fromkeys(column for line in lines.values() for column in line))
    rows = []
    for head, line in lines.items():
        best = min((value, column) for column, value in line.items())[1]
        rows.append([*head, *(f"{line[column]:.3g}" if column in line else "-" for column in columns), best])
    return Table([*keys, *(f"{across} {column}" for column in columns), f"best {across}"], rows)


def _references(groups: Mapping[str, Sequence[Training]]) -> dict[str, Training]:
    """The reference of each member; of several seeds, the first."""
    found = {}
    for spec, group in groups.items():
        references = sorted((one for one in group if one.backend == ORACLE), key=lambda one: one.seed)
        if references:
            found[spec] = references[0]
    return found


def _last(values: Sequence[float | None]) -> str:
    return "-" if not values or values[-1] is None else f"{values[-1]:.5g}"


def printed_table(group: Sequence[Training]) -> Table | None:
    """What a lecture printed, what came out here, and the difference; None where nothing was printed."""
    row = about(group)
    reference = next((one for one in group if one.backend == ORACLE), None)
    if not row.printed or reference is None:
        return None
    rows = []
    for name, value in row.printed.items():
        here = _measured(name, reference)
        shown, difference = ("-", "-") if here is None else (f"{here:.7g}", f"{here - value:+.4g}")
        rows.append([name.replace("@", " after epoch ").replace("_", " "), f"{value:.7g}", shown, difference])
    return Table(PRINTED, rows)


def _measured(name: str, reference: Training) -> float | None:
    """A printed quantity as it came out: `parameters`, or a curve's last value, or after an epoch (`loss@1`)."""
    quantity, _, epoch = name.partition("@")
    if quantity == "parameters":
        return float(about([reference]).parameters)
    curves = {"loss": reference.loss, "held_out_loss": reference.held_out_loss, **reference.metrics}
    values = curves.get(quantity, ())
    place = int(epoch) - 1 if epoch.isdigit() else len(values) - 1
    return values[place] if 0 <= place < len(values) else None
