"""Every judged quantity in few bytes: what the page's matrix of verdicts is made of, and what a click on it shows.

Texts stand once and are named by their number; records follow each other cell by cell, one list for each of their
fields. A cell is one specification, implementation, backend, mode, dtype, device and seed.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from crossnn.report.document import COLOURS
from crossnn.report.subjects import subjects
from crossnn.report.summary import WORST_FIRST, columns
from crossnn.runs.cell import Record, Training
from crossnn.runs.findings import Finding


class _Numbers:
    """Values by number, in the order in which they came."""

    def __init__(self) -> None:
        self.found: dict[Any, int] = {}

    def __call__(self, value: Hashable) -> int:
        return self.found.setdefault(value, len(self.found))

    @property
    def values(self) -> list[Any]:
        return list(self.found)


def evidence(
    records: Sequence[Record], findings: Sequence[Finding] = (), trainings: Sequence[Training] = ()
) -> dict[str, Any]:
    """All that the script of the page knows; none of it is HTML."""
    heads = columns(records)
    place = {head: number for number, head in enumerate(heads)}
    rank = {verdict: number for number, verdict in enumerate(WORST_FIRST)}
    cells: dict[tuple[Any, ...], list[Record]] = {}
    for one in records:
        key = (one.spec, one.implementation, place[one.backend, one.mode], one.dtype, one.device, one.seed)
        cells.setdefault(key, []).append(one)
    specs, implementations, dtypes, devices, texts = _Numbers(), _Numbers(), _Numbers(), _Numbers(), _Numbers()
    texts("")
    kept: dict[str, list[Any]] = {name: [] for name in ("cells", *FIELDS)}
    for (spec, implementation, head, dtype, device, seed), group in cells.items():
        kept["cells"].append(
            [specs(spec), implementations(implementation), head, dtypes(dtype), devices(device), seed, len(group)]
        )
        for one in group:
            worst = one.worst
            row = (
                rank[one.verdict], texts(one.quantity), texts("" if one.case == "default" else one.case),
                _short(one.r), _short(one.digits, 3), texts(", ".join(map(str, worst.index)) if worst else ""),
                texts(worst.expected if worst else ""), texts(worst.actual if worst else ""), texts(one.known or ""),
                texts(one.message), texts(one.call),
            )  # fmt: skip
            for name, value in zip(FIELDS, row, strict=True):
                kept[name].append(value)
    return {
        "specs": subjects(specs.values, records, findings, trainings),
        "heads": [list(head) for head in heads],
        "implementations": implementations.values,
        "dtypes": dtypes.values,
        "devices": devices.values,
        "verdicts": [[verdict, COLOURS[verdict]] for verdict in WORST_FIRST],
        "texts": texts.values,
        **kept,
    }


FIELDS = ("verdict", "quantity", "case", "r", "digits", "index", "expected", "actual", "known", "message", "call")


def _short(value: float | None, digits: int = 2) -> float | None:
    """As many digits as are looked at; the record has all of them."""
    if value is None:
        return None
    found = max(-1e308, min(value, 1e308))
    return float(f"{found:.{digits if abs(found) < 100 else digits + 1}g}")
