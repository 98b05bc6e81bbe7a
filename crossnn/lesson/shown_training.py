"""Steps L10 and L11 as they are shown: a training in all frameworks, and the student's task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.load import load_catalogue
from crossnn.lesson import agreement, verdicts
from crossnn.lesson.agreement import Paths
from crossnn.lesson.page import Cell, Html, code, details, figure, heading, picker, prose, table
from crossnn.lesson.plots import Line, log_lines
from crossnn.lesson.texts import Texts
from crossnn.lesson.verdicts import Verdict

ByDtype = Mapping[str, Mapping[str, Any]]
Shown = tuple[Verdict, list[Html]]


def training(say: Texts, answers: ByDtype) -> Shown:
    found = {dtype: agreement.paths(by_backend) for dtype, by_backend in answers.items()}
    shown: list[Html] = []
    for dtype, one in found.items():
        if one is None:
            shown.append(prose(say("L10.no_reference", dtype=dtype)))
            continue
        shown += [heading(3, dtype), *_curves(say, dtype, one)]
    return agreement.train_alike(found), shown


def _curves(say: Texts, dtype: str, one: Paths) -> list[Html]:
    ranks: dict[str, int] = {}
    losses, differences = [], []
    for (backend, mode), values in one.losses.items():
        rank = ranks[backend] = ranks.get(backend, -1) + 1
        numbered = list(enumerate(values, 1))
        losses.append(Line(f"{backend} {mode}", backend, numbered, rank == 0, rank - 1))
        gaps = list(enumerate(np.maximum.accumulate(one.differences[backend, mode]).tolist(), 1))
        differences.append(Line(f"{backend} {mode}", backend, gaps, rank == 0, rank - 1))
    differences.append(Line(say("L10.twins"), "twins", list(enumerate(one.spread, 1)), False, 2))
    differences.append(Line(say("L10.limit"), "limit", list(enumerate(agreement.limits(one, dtype), 1)), True))
    step, loss = say("L10.step"), say("L10.loss")
    shown = [figure(log_lines(losses, across=step, up=loss, linear=True), say("L10.overlaid", dtype=dtype))]
    svg = log_lines(differences, across=step, up=say("L10.difference"))
    if svg:
        shown.append(figure(svg, say("L10.apart", dtype=dtype)))
    steps = sorted(one.weight_spread) or sorted(next(iter(one.weights.values()), {}))
    rows = [
        [f"{backend} {mode}", *(f"{moved[at]:.2g}" for at in steps)] for (backend, mode), moved in one.weights.items()
    ]
    if one.weight_spread:
        rows.append([say("L10.twins"), *(f"{one.weight_spread[at]:.2g}" for at in steps)])
    return [*shown, prose(say("L10.weights")), table([say("ui.engine"), *map(str, steps)], rows)]


def mistakes(say: Texts, answers: ByDtype) -> Shown:
    by_dtype = {dtype: one for dtype, by_backend in answers.items() for _, one in verdicts.present(by_backend)}
    catalogue = load_catalogue()
    choices: list[tuple[str, str, Html]] = []
    first: Mapping[str, Any] = next(iter(by_dtype.values()), {"mistakes": []})
    for number, mistake in enumerate(first["mistakes"], 1):
        row: Any = catalogue.find(mistake["row"])
        change = mistake["change"]
        key = next(iter(change))
        written = change[key] if isinstance(change[key], str) else "\n".join(change[key])
        meant = getattr(row, key)
        meant = meant if isinstance(meant, str) else "\n".join(meant)
        rows: list[list[str | Cell]] = []
        for dtype, one in by_dtype.items():
            same = next(other for other in one["mistakes"] if other["id"] == mistake["id"])
            for check in same["checks"]:
                failed = check["quantity"] in verdicts.checks_that_find(same)
                rows.append([dtype, check["quantity"], Cell(check["verdict"], "bad" if failed else "good"),
                             check["expected"] if failed else "", check["actual"] if failed else ""])  # fmt: skip
        headers = ["dtype", say("L11.check"), say("ui.verdict"), say("L11.expected"), say("L11.actual")]
        answer = details(say("L11.reveal"), prose(say(f"mistakes.{mistake['id']}")), heading(4, say("L11.meant")),
                         code(meant), table(headers, rows))  # fmt: skip
        title = say("L11.version", number=number, row=row.name)
        choices.append((mistake["id"], title, code(written) + prose(say("L11.guess")) + answer))
    shown = [picker(say("L11.pick"), choices)] if choices else []
    return verdicts.mistakes_found(by_dtype), shown
