"""What a page says of one specification beside its verdicts: its formula, how the frameworks' own implementations of it
are set, what their conventions are, and how accurate they are.

The formula is the one of this version of crossnn, and stands here only if it is still the one that was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossnn.atlas.digest import GOOD, accidents, half_lost, worst_error
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Optimizer, Row
from crossnn.errors import CrossnnError
from crossnn.report.own import chosen_lines, comparison, native_table
from crossnn.report.summary import number
from crossnn.runs.cell import ORACLE, Record, Training
from crossnn.runs.findings import Accuracy, Convention, Finding

DTYPES = ("float32", "float64", "bfloat16")
MOST_ACCURACY = 60
LONGEST = 4000
"""Characters of a formula on the page."""


def subjects(
    names: Sequence[str], records: Sequence[Record], findings: Sequence[Finding], trainings: Sequence[Training]
) -> list[dict[str, Any]]:
    """One for each name, in this order; what is empty is left out."""
    by_spec: dict[str, list[Record]] = {}
    for one in records:
        by_spec.setdefault(one.spec, []).append(one)
    trained = {one.spec for one in trainings}
    return [_subject(name, by_spec[name], [one for one in findings if one.spec == name], name in trained)
            for name in names]  # fmt: skip


def _subject(name: str, records: Sequence[Record], findings: Sequence[Finding], trained: bool) -> dict[str, Any]:
    first = records[0]
    row = _row(name, {one.spec_sha for one in records})
    accuracy = [one for one in findings if isinstance(one, Accuracy)]
    found = {
        "name": name,
        "kind": first.kind,
        "formula": _formula(row) if row else "",
        "source": row.source if row else "",
        "chosen": chosen_lines(_formula(row), records) if row else "",
        "native": native_table(records),
        "says": [*comparison(records), *inaccuracy(accuracy)],
        "conventions": [
            [one.backend, one.concept or one.asks, one.call, one.answer, one.evidence, one.scenario,
             "" if one.difference is None else number(one.difference)]
            for one in findings if isinstance(one, Convention)
        ],
        "accuracy": _accuracy(accuracy),
        "trained": trained or first.kind in ("experiment", "study"),
    }  # fmt: skip
    return {key: value for key, value in found.items() if value}


def _row(name: str, shas: set[str]) -> Row | None:
    try:
        row = load_catalogue().rows.get(name)
    except CrossnnError:
        return None
    return row if row is not None and row.sha in shas else None


def _formula(row: Row) -> str:
    lines = row.update if isinstance(row, Optimizer) else [
        f"{key} = {text}" if key in ("definition", "formula", "derivative") else f"{key}: {text}"
        for key, text in row.texts()
    ]  # fmt: skip
    return "\n".join(lines)[:LONGEST]


def _accuracy(findings: Sequence[Accuracy]) -> list[list[str]]:
    """The least accurate first, of each dtype; float32, in which most networks run, before the others."""
    ran = [one for one in findings if one.backend != ORACLE and not one.message]
    ran.sort(key=lambda one: (DTYPES.index(one.dtype) if one.dtype in DTYPES else len(DTYPES), -worst_error(one)))
    return [
        [
            one.dtype, one.quantity, one.backend, one.call or one.implementation, one.mode, one.case,
            number(one.largest, 3), "" if one.at is None else f"{one.at:.6g}", _happened(one),
        ]
        for one in ran[:MOST_ACCURACY]
    ]  # fmt: skip


def _happened(one: Accuracy) -> str:
    return "; ".join(f"{what} from {low:.4g} to {high:.4g}" for what, low, high in accidents(one))


def inaccuracy(findings: Sequence[Accuracy]) -> list[str]:
    """Of each quantity in float32, who is least accurate, and where."""
    groups: dict[str, list[Accuracy]] = {}
    for one in findings:
        if one.dtype == DTYPES[0] and one.backend != ORACLE and not one.message:
            groups.setdefault(one.quantity, []).append(one)
    said = []
    for quantity, group in groups.items():
        worst = max(group, key=lambda one: (half_lost(one), worst_error(one)))
        who = f"{worst.call or 'the formula'} ({worst.backend} {worst.mode})"
        if worst_error(worst) <= GOOD:
            said.append(f"{DTYPES[0]} {quantity}: right to {number(worst.largest)} float spacings everywhere, in all.")
            continue
        at = f", most at {worst.at:.4g} ({number(worst.largest, 3)} float spacings)" if worst.at is not None else ""
        happened = f"; {_happened(worst)}" if accidents(worst) else ""
        said.append(f"{DTYPES[0]} {quantity} is least accurate in {who}{at}{happened}.")
    return said
