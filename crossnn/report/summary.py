"""Many records in a few words: counts, the verdict matrix, and what makes a run fail.

The matrix has a row per specification and a column per backend and mode. A cell shows the worst verdict of everything
judged there with its largest r; conventions (KINK) and what was not run are added behind it, never hidden by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from crossnn import registry
from crossnn.report.document import Table
from crossnn.runs.cell import ORACLE, Record, Verdict

WORST_FIRST: tuple[Verdict, ...] = (
    "ERROR", "FORMULA", "ACCURACY", "KNOWN", "ILL-CONDITIONED", "ROUNDING", "EQUAL", "KINK", "NOT-RUN",
)  # fmt: skip

UNBOUNDED = 1e308
"""What a record says in the place of infinity."""

ASIDE: frozenset[str] = frozenset({"KINK", "NOT-RUN"})
"""Verdicts that judge nothing: shown beside the worst one."""


def counts(records: Iterable[Record]) -> dict[str, int]:
    """Verdict -> number of quantities, the worst verdict first; only those that occur."""
    counted = Counter(record.verdict for record in records)
    return {verdict: counted[verdict] for verdict in WORST_FIRST if counted[verdict]}


def sentence(records: Sequence[Record]) -> str:
    """`120 quantities judged: 2 FORMULA, 118 EQUAL; 3 NOT-RUN.`"""
    found = counts(records)
    absent = found.pop("NOT-RUN", 0)
    judged = sum(found.values())
    listed = ", ".join(f"{number} {verdict}" for verdict, number in found.items())
    said = f"{judged} quantit{'y' if judged == 1 else 'ies'} judged: {listed}" if judged else "No quantity was judged"
    return f"{said}{f'; {absent} NOT-RUN' if absent else ''}."


def nothing_ran(records: Sequence[Record]) -> bool:
    """Nothing executed is a failure, not a success. The oracle's own records are no evidence about a backend."""
    return all(record.verdict == "NOT-RUN" for record in records if record.backend != ORACLE)


def number(value: float | None, digits: int = 2) -> str:
    """A number for a table: a few significant digits, an exponent only where it is shorter."""
    if value is None:
        return "-"
    if value >= UNBOUNDED:
        return "unbounded"
    return f"{value:.0f}" if 10**digits <= abs(value) < 1e5 else f"{value:.{digits}g}"


def span(low: str, high: str) -> str:
    """A range; one number where its ends are written alike."""
    return low if low == high else f"{low} to {high}"


def stretch(what: str, low: float, high: float) -> str:
    """What happens, and at which inputs: `overflow from 88.7 to 1e+38`."""
    first, last = f"{low:.4g}", f"{high:.4g}"
    return f"{what} at {first}" if first == last else f"{what} from {first} to {last}"


def joined(names: Iterable[str], last: str = "and") -> str:
    """`torch, tensorflow and jax`."""
    listed = list(names)
    return f" {last} ".join([*([", ".join(listed[:-1])] if listed[1:] else []), *listed[-1:]])


def verdict_cell(records: Sequence[Record]) -> str:
    """`EQUAL 3.1`, `FORMULA 5e+08`, `KNOWN keras-epsilon`, `EQUAL 0.8 +KINK`."""
    judged = [record for record in records if record.verdict not in ASIDE]
    aside = [verdict for verdict in counts(records) if verdict in ASIDE]
    if not judged:
        return " +".join(aside)
    worst = next(verdict for verdict in WORST_FIRST if any(record.verdict == verdict for record in judged))
    these = [record for record in judged if record.verdict == worst]
    sizes = [record.r for record in these if record.r is not None]
    known = sorted({record.known for record in these if record.known}) if worst == "KNOWN" else []
    parts = [worst, *(known[:1] or [number(max(sizes))] if sizes or known else [])]
    return " ".join(parts) + "".join(f" +{verdict}" for verdict in aside)


def place(backend: str, mode: str) -> tuple[int, int]:
    """Sorts backends as they are registered, each one's modes as it names them; strangers next, the oracle last.
    Results come in the order in which processes finish, which means nothing to a reader."""
    known = registry.backends()
    if backend not in known:
        return len(known) + (backend == ORACLE), 0
    modes = known[backend].modes
    return list(known).index(backend), modes.index(mode) if mode in modes else len(modes)


def columns(records: Iterable[Record]) -> list[tuple[str, str]]:
    """(backend, mode), in the order of `place`."""
    return sorted(dict.fromkeys((record.backend, record.mode) for record in records), key=lambda head: place(*head))


def label(record: Record) -> str:
    """A row's name: the formula's is the specification's; a native implementation says so."""
    return record.spec if record.implementation == "formula" else f"{record.spec} ({record.implementation})"


def matrix(records: Sequence[Record]) -> Table:
    """Specification x backend-mode. What no framework has a native implementation of is left to the NOT-RUN list."""
    heads = columns(records)
    ran = {label(record) for record in records if record.verdict != "NOT-RUN"}
    cells: dict[tuple[str, tuple[str, str]], list[Record]] = {}
    for record in records:
        cells.setdefault((label(record), (record.backend, record.mode)), []).append(record)
    rows = [
        [name, *(verdict_cell(cells[name, head]) if (name, head) in cells else "" for head in heads)]
        for name in dict.fromkeys(label(record) for record in records if _has_a_row(record, ran))
    ]
    return Table(["", *(f"{backend}\n{mode}" for backend, mode in heads)], rows)


def _has_a_row(record: Record, ran: set[str]) -> bool:
    return record.implementation == "formula" or label(record) in ran


def matrices(records: Sequence[Record]) -> dict[tuple[str, str], Table]:
    """(kind, dtype) -> matrix, in the order in which they appear."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.kind, record.dtype), []).append(record)
    heads = columns(records)
    order = sorted(groups, key=lambda key: [record.kind for record in records].index(key[0]))
    return {key: matrix(sorted(groups[key], key=lambda r: heads.index((r.backend, r.mode)))) for key in order}
