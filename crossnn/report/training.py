"""Trainings in tables and figures: do the curves of all backends coincide, how good is the result, what did it cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from crossnn.parity.rule import FLOOR, LIMIT, ROUNDOFF
from crossnn.pictures.trained import boundaries_picture, paths_picture
from crossnn.report.chart import line_chart
from crossnn.report.document import Block, Figure, Heading, Table, Text
from crossnn.report.families import about, by_spec, family_blocks, family_of, printed_table
from crossnn.report.summary import number, place, verdict_cell
from crossnn.runs.cell import ORACLE, Record, Training
from crossnn.training.verdict import CASE


def training_blocks(trainings: Sequence[Training], records: Sequence[Record] = ()) -> list[Block]:
    """A section per experiment: its first step quantity by quantity, then its training; then families and studies, a
    line for each of their members."""
    blocks: list[Block] = []
    families: dict[str, dict[str, list[Training]]] = {}
    for experiment, group in by_spec(trainings).items():
        if family_of(group):
            families.setdefault(family_of(group), {})[experiment] = group
            continue
        group.sort(key=lambda training: place(training.backend, training.mode))
        blocks += [
            Heading(3, experiment),
            *_first_step([record for record in records if record.spec == experiment and record.case != CASE]),
            training_table(group),
            Text(_coincidence(group)),
            *_printed(group),
            *_figures(experiment, group),
            *_pictures({experiment: group}, experiment, _file_name(experiment)),
        ]
    for family, groups in families.items():
        name = _file_name(family.replace("*", "").strip("-"))
        blocks += [*family_blocks(family, groups, f"family-{name}"), *_pictures(groups, family, name)]
    return blocks


def _pictures(groups: Mapping[str, Sequence[Training]], title: str, name: str) -> Iterator[Block]:
    """The paths of studies of two parameters, the boundaries of networks of two inputs; nothing else has any."""
    for kind, draw in (("path", paths_picture), ("boundary", boundaries_picture)):
        svg, caption = draw(groups, title)
        if svg:
            yield Figure(f"{kind}-{name}.svg", svg, caption)


def _printed(group: Sequence[Training]) -> list[Block]:
    """What a lecture printed, beside what came out."""
    table = printed_table(group)
    source = about(group).source
    return [] if table is None else [Text(f"As printed ({source}), and here:" if source else "As printed:"), table]


def _first_step(records: Sequence[Record]) -> list[Block]:
    """The verdicts on the first training step, by what was computed: the worst of all layers or parameters."""
    if not records:
        return []
    groups: dict[tuple[str, str, str], dict[str, list[Record]]] = {}
    for record in sorted(records, key=lambda record: place(record.backend, record.mode)):
        cells = groups.setdefault((record.backend, record.mode, record.dtype), {})
        cells.setdefault(record.quantity.split("/")[0], []).append(record)
    heads = list(dict.fromkeys(name for cells in groups.values() for name in cells))
    rows = [[*where, *(verdict_cell(cells.get(head, ())) for head in heads)] for where, cells in groups.items()]
    shown = ["whole step" if head == "-" else head for head in heads]
    return [Table(["first step", "mode", "dtype", *shown], rows)]


def training_table(group: Sequence[Training]) -> Table:
    """One experiment: a row per backend, mode and dtype."""
    metrics = list(dict.fromkeys(name for training in group for name in training.metrics))
    heads = [
        "backend", "mode", "dtype", "seed", "training loss", "held-out loss", *(m.replace("_", " ") for m in metrics),
        "first step s", "step ms", "total s", "steps", "curve r",
    ]  # fmt: skip
    rows = [
        [
            *_who(training), training.dtype, str(training.seed), _last(training.loss),
            _last(training.held_out_loss), *(_last(training.metrics.get(metric, ()), 4) for metric in metrics),
            *_seconds(training), str(training.steps), number(training.curve_r),
        ]
        for training in group
    ]  # fmt: skip
    return Table(heads, rows)


def _who(training: Training) -> tuple[str, str]:
    """Backend and mode; the reference curve, which stands for the oracle here, is NumPy's in float64."""
    return ("reference", "numpy") if training.backend == ORACLE else (training.backend, training.mode)


def _seconds(training: Training) -> list[str]:
    """First step, one step and all; the reference's time says nothing about a framework."""
    if training.backend == ORACLE:
        return ["-"] * 3
    return [
        number(training.first_step_seconds), number(training.step_seconds * 1000, 3), number(training.seconds, 3),
    ]  # fmt: skip


def _last(values: Sequence[float | None], digits: int = 7) -> str:
    return "-" if not values or values[-1] is None else f"{values[-1]:.{digits}g}"


def _coincidence(group: Sequence[Training]) -> str:
    """The largest difference between a backend's loss curve and the reference's, in words."""
    judged = [(training.curve_r, training) for training in group if training.curve_r is not None]
    if not judged:
        return "The loss curves were not compared."
    r, training = max(judged, key=lambda pair: pair[0])
    return (
        f"Largest difference from the reference: {number(r)} times the noise scale of this training "
        f"({training.backend} {training.mode}, {training.dtype})."
    )


def _figures(experiment: str, group: Sequence[Training]) -> list[Block]:
    """The loss curves, a figure per dtype, of the first seed."""
    figures: list[Block] = []
    dtypes = list(dict.fromkeys(training.dtype for training in group))
    for dtype in dtypes:
        seed = min(training.seed for training in group if training.dtype == dtype)
        across = "step" if all(len(t.loss) == t.steps for t in group) else "epoch"
        curves = {_who(t): t.loss for t in group if t.dtype == dtype and t.seed == seed and t.backend != ORACLE}
        reference = next((t for t in group if t.backend == ORACLE and t.seed == seed), None)
        if reference:
            curves[_who(reference)] = reference.loss
        svg = line_chart(
            curves, across=across, up="training loss", reference=_who(reference) if reference else None,
            limit=_limit(reference, dtype) if reference else (),
        )  # fmt: skip
        if svg:
            suffix = f"-{dtype}" if len(dtypes) > 1 else ""
            caption = f"Training loss of {experiment}, {dtype}, seed {seed}: {len(curves)} curves"
            again = f"crossnn run {experiment} --dtype {dtype}" + (f" --seeds {seed + 1}" if seed else "")
            figures.append(Figure(f"loss-{_file_name(experiment)}{suffix}.svg", svg, caption, again))
    return figures


def _limit(reference: Training, dtype: str) -> list[float | None]:
    """The largest difference from the reference that is EQUAL, point by point."""
    pairs = zip(reference.loss, reference.noise, strict=False)
    return [
        None if truth is None or noise is None else LIMIT * ROUNDOFF[dtype] * max(noise, FLOOR * abs(truth))
        for truth, noise in pairs
    ]


def _file_name(name: str) -> str:
    """A name of anyone's choosing as a file name that goes nowhere else."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:80] or "experiment"
