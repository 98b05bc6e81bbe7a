"""What a page says of one specification beside its verdicts: its formula, how the frameworks' own implementations of it
are set, what their conventions are, and how accurate they are.

The formula is the one of this version of crossnn, and stands here only if it is still the one that was judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossnn.atlas.digest import GOOD, accidents, worst_error
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Optimizer, Row
from crossnn.errors import CrossnnError
from crossnn.report.own import chosen_lines, comparison, native_table
from crossnn.report.summary import joined, number, place, stretch
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
        "says": [*comparison(records, [one for one in findings if isinstance(one, Convention)]), *inaccuracy(accuracy)],
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
    return "; ".join(stretch(*region) for region in accidents(one))


def inaccuracy(findings: Sequence[Accuracy]) -> list[str]:
    """Of each quantity in float32 the largest error of our formula and of the frameworks' own functions, over all
    settings and calls."""
    groups: dict[str, list[Accuracy]] = {}
    for one in findings:
        if one.dtype == DTYPES[0] and one.backend != ORACLE and not one.message:
            groups.setdefault(one.quantity, []).append(one)
    said = []
    for quantity, group in groups.items():
        if max(map(worst_error, group)) <= GOOD and not any(map(accidents, group)):
            largest = max(one.largest or 0.0 for one in group)
            said.append(f"{DTYPES[0]} {quantity}: at most {_spacings(largest)} everywhere, in all.")
            continue
        parts = []
        for who, own in (("our formula", False), ("the frameworks' own functions", True)):
            mine = [one for one in group if (one.implementation == "native") == own]
            parts += [f"{who}: {_largest(mine)}"] if mine else []
        said.append(f"{DTYPES[0]} {quantity}, largest errors of all settings. {'; '.join(parts)}.")
    return said


def _largest(findings: Sequence[Accuracy]) -> str:
    """`at most 2 spacings`; beyond the normal, how large, where, in which frameworks, and who they share it with."""

    def order(one: Accuracy) -> tuple[float, float]:
        return worst_error(one), one.largest or 0.0

    worst = max(findings, key=order)
    if worst_error(worst) <= GOOD and not accidents(worst):
        return f"at most {_spacings(worst.largest or 0.0)}"
    alike = [one for one in findings if order(one) == order(worst) and one.call == worst.call]
    frameworks = sorted({one.backend for one in alike}, key=lambda name: place(name, ""))
    who = f"{worst.call} ({worst.backend} {worst.mode})" if worst.call else joined(frameworks)
    parts = [who + (" alike" if len(frameworks) > 1 else "")]
    if worst.largest is not None:
        parts.append(_spacings(worst.largest) + ("" if worst.at is None else f" at {worst.at:.4g}"))
    parts += [_happened(worst)] if accidents(worst) else []
    return ", ".join(parts)


def _spacings(size: float) -> str:
    return f"{size:,.0f} spacings" if 100 <= size < 1e5 else f"{number(size)} spacings"
