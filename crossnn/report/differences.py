"""What was not equal, in tables: failures first, then known differences, conventions at kinks, and what never ran."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from crossnn.report.document import Block, Heading, Table, Text
from crossnn.report.summary import WORST_FIRST, columns, label, number, span
from crossnn.runs.cell import Record

MOST_FAILURES = 1000
"""A report that lists more is not read; the rest is counted and stays in results.jsonl."""


def failures(records: Iterable[Record]) -> list[Record]:
    """Failed records: errors first, then what departs most; the quantities of one cell in the order of computation,
    so that the first to depart is read first."""
    failed = [record for record in records if record.failed]
    largest: dict[str, float] = {}
    for record in failed:
        largest[label(record)] = max(record.r or 0.0, largest.get(label(record), 0.0))

    def order(record: Record) -> tuple[object, ...]:
        name = label(record)
        return WORST_FIRST.index(record.verdict), -largest[name], name, record.backend, record.mode, record.dtype

    return sorted(failed, key=order)


def alike(failed: Iterable[Record]) -> list[list[Record]]:
    """Failures of the same quantity with the same verdict and reason: one finding, seen in several places."""
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in failed:
        key = (record.verdict, label(record), record.quantity, record.message)
        groups.setdefault(key, []).append(record)
    return list(groups.values())


def where(record: Record) -> str:
    """`torch eager float64 cpu seed 0`: where a record was made, and for which setting where it is not the default."""
    case = "" if record.case == "default" else record.case
    parts = [record.backend, record.mode, record.dtype, record.device, f"seed {record.seed}", case]
    return " ".join(part for part in parts if part)


def index(record: Record) -> str:
    return "" if record.worst is None else "[" + ", ".join(str(i) for i in record.worst.index) + "]"


def failure_blocks(records: Sequence[Record]) -> list[Block]:
    failed = failures(records)
    if not failed:
        return [Text("No failure: every difference is rounding, known, or a convention.")] if records else []
    rows = [
        [
            record.verdict, label(record), record.quantity, where(record), index(record),
            record.worst.expected if record.worst else "", record.worst.actual if record.worst else "",
            number(record.digits), number(record.r), " - ".join(part for part in (record.call, record.message) if part),
        ]
        for record in failed[:MOST_FAILURES]
    ]  # fmt: skip
    heads = ["verdict", "what", "quantity", "where", "index", "expected", "actual", "digits", "r", "remarks"]
    more = len(failed) - MOST_FAILURES
    blocks: list[Block] = [Heading(3, "Failures"), Table(heads, rows)]
    return [*blocks, Text(f"... and {more} more in results.jsonl.")] if more > 0 else blocks


def known_blocks(records: Iterable[Record]) -> list[Block]:
    """Known differences and ill-conditioned quantities, one row each."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.verdict in ("KNOWN", "ILL-CONDITIONED"):
            name = record.known or record.verdict
            groups.setdefault((name, record.backend), []).append(record)
    rows = []
    for (name, backend), group in sorted(groups.items()):
        sizes = [record.r for record in group if record.r is not None]
        spread = span(number(min(sizes)), number(max(sizes))) if sizes else "-"
        quantities = ", ".join(sorted({record.quantity for record in group}))
        messages = list(dict.fromkeys(record.message for record in group if record.message))
        what, dtypes = (", ".join(sorted(found)) for found in ({*map(label, group)}, {one.dtype for one in group}))
        rows.append([name, what, backend, dtypes, "; ".join(messages[:2]), quantities, str(len(group)), spread])
    if not rows:
        return []
    heads = ["id", "what", "backend", "dtype", "cause", "quantities", "times", "r"]
    return [Heading(3, "Known differences"), Table(heads, rows)]


def kink_blocks(records: Iterable[Record]) -> list[Block]:
    """The slopes that backends report where mathematics leaves the choice."""
    kinks = [record for record in records if record.verdict == "KINK"]
    if not kinks:
        return []
    heads = columns(kinks)
    groups: dict[tuple[str, str, str], dict[tuple[str, str], list[str]]] = {}
    for record in kinks:
        key = (label(record), record.quantity, "" if record.case == "default" else record.case)
        slope = record.worst.actual if record.worst else record.message
        slope = "0" if slope == "-0" else slope  # a zero's sign is no convention about slopes
        slopes = groups.setdefault(key, {}).setdefault((record.backend, record.mode), [])
        if slope not in slopes:
            slopes.append(slope)
    rows = [[*key, *(", ".join(found.get(head, [])) for head in heads)] for key, found in groups.items()]
    return [
        Heading(3, "Conventions at kinks"),
        Text(
            "Where a function has no derivative every slope between the one-sided ones is right, and the mean of no "
            "samples is 0/0; these were chosen."
        ),
        Table(["what", "quantity", "setting", *(f"{backend}\n{mode}" for backend, mode in heads)], rows),
    ]


def not_run_rows(records: Iterable[Record]) -> list[list[str]]:
    """Reasons for not running, with how much they concern; a reason that names its specification is one reason."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        if record.verdict == "NOT-RUN":
            reason = re.sub(rf"\b{re.escape(record.spec)}\b", "...", record.message)
            groups.setdefault((record.backend, record.implementation, reason), []).append(record)
    return [
        [
            backend,
            implementation,
            reason if len({record.message for record in group}) > 1 else group[0].message,
            str(len(group)),
            _some(sorted({record.spec for record in group})),
        ]
        for (backend, implementation, reason), group in groups.items()
    ]


def not_run_blocks(records: Iterable[Record]) -> list[Block]:
    rows = not_run_rows(records)
    heads = ["backend", "implementation", "reason", "times", "what"]
    return [Heading(2, "Not run"), Table(heads, rows)] if rows else []


def _some(names: Sequence[str], limit: int = 6) -> str:
    return ", ".join(names) if len(names) <= limit else f"{', '.join(names[:limit])} and {len(names) - limit} more"
