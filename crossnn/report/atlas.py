"""The accuracy atlas in a report: what an ulp is, the worst of all, and a small picture of every function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crossnn.atlas.digest import GOOD, Row, Who, accidents, digest, half_lost, worst_error
from crossnn.atlas.figure import figure
from crossnn.atlas.ulp import FORMATS, REGIONS
from crossnn.report.document import Block, Figure, Heading, Table, Text
from crossnn.report.summary import number, place
from crossnn.runs.findings import Accuracy

LEGEND = (
    "An ulp is the distance between the two floating-point numbers around the true value, so an error in ulp says how "
    "many numbers of the dtype lie between a result and the truth. 0.5 is perfect, up to 4 is normal; an error of "
    "4,000 in float32 (1e8 in float64, 11 in bfloat16) means that half of the digits are gone, and "
    f"{FORMATS['float32'].lost:.1e} ({FORMATS['float64'].lost:.1e}, {FORMATS['bfloat16'].lost:g}) that none is right. "
    "EQUAL forgives what rounding inside the formula must cost (r); spacings do not: a function may be EQUAL and have "
    "no digit right."
)
HOW = (
    "Every function and its gradient was computed at one or two thousand inputs of every magnitude and both signs "
    "(half as many in bfloat16), all numbers of the dtype, and compared with arbitrary precision. The axis gives "
    "the inputs from 0.1 to 100 in magnitude the larger part of the line. 'Half lost' is the share of inputs up to "
    "1000 in magnitude, as that axis spreads them, at which half of the digits are gone in the worst implementation. "
    "Numbers of a column are the worst of the backend's modes; a mode is named where another one is at least twice as "
    "accurate. What is not an error of so many ulp is named, with the inputs between which it happens: "
    + "; ".join(f"{name}: {said}" for name, said in REGIONS.items())
    + ". Flushed numbers are in results.jsonl alone. In the pictures everything up to 4 ulp lies on the lower edge; on "
    "the upper edge no digit is right."
)
SHORT_LEGEND = (
    "Errors in ulp (spacings of the dtype at the true value): 0.5 is perfect, up to 4 is normal, "
    f"{FORMATS['float32'].lost:.1e} in float32 means that no digit is right. Half lost: the share of inputs up to 1000 "
    "in magnitude at which half of the digits are gone. Of every backend: formula / native, the worst of its modes; "
    "'lost' means that at some such input no digit is right, or the result is 0, NaN or infinite where the truth is "
    "not."
)
MOST_REGIONS = 2
IMPLEMENTATIONS = ("formula", "native")


def atlas_blocks(findings: Sequence[Accuracy]) -> list[Block]:
    """The section, with its heading."""
    table = atlas_table(findings)
    content: list[Block] = [Heading(2, "Accuracy"), Text(LEGEND), Text(HOW)]
    content += [Text(line) for line in not_measured(findings)]
    content += [Heading(3, "The least accurate"), table] if table.rows else []
    content += [Text(line) for line in all_fine(findings)]
    return [*content, *_figures(findings, set(_fine(digest(findings))))]


def all_fine(findings: Iterable[Accuracy]) -> list[str]:
    """A sentence that names the functions of which nothing is beyond the normal, if there are any."""
    fine = _fine(digest(findings))
    return [f"Within {GOOD:g} ulp at every input, in all that was measured: {', '.join(fine)}."] if fine else []


def atlas_table(findings: Iterable[Accuracy]) -> Table:
    """What is not within the normal, the worst first, with a column for every backend and implementation."""
    rows = [row for row in digest(findings) if not row.fine]
    columns = _columns(rows)
    return Table(
        ["function", "quantity", "dtype", "half lost", "ulp", *map(" ".join, columns)],
        [[*_first(row), number(row.error, 3), *(_cell(row.worst.get(who), row) for who in columns)] for row in rows],
        "Functions by accuracy, the worst first",
    )


def short_table(findings: Iterable[Accuracy], most: int) -> tuple[Table, int]:
    """The same for a terminal: where the worst is, and of every backend the largest error of formula and native. And
    how many rows are left out."""
    rows = [row for row in digest(findings) if not row.fine]
    shown = rows[:most]
    backends = list(dict.fromkeys(backend for backend, _ in _columns(shown)))
    return Table(
        ["function", "quantity", "dtype", "half lost", "the worst", *backends],
        [[*_first(row), _worst(row), *(_both(row, backend) for backend in backends)] for row in shown],
    ), len(rows) - len(shown)


def _columns(rows: Iterable[Row]) -> list[Who]:
    every = dict.fromkeys(who for row in rows for who in row.worst)
    return sorted(every, key=lambda who: (place(who[0], ""), IMPLEMENTATIONS.index(who[1])))


def _first(row: Row) -> list[str]:
    return [_name(row), row.key[3], row.key[4], f"{100 * row.share:.0f} %"]


def _worst(row: Row) -> str:
    who, record = max(row.worst.items(), key=lambda item: (half_lost(item[1]), worst_error(item[1])))
    return f"{' '.join(who)} {_cell(record, row, 1)}"


def _both(row: Row, backend: str) -> str:
    found = [row.worst.get((backend, one)) for one in IMPLEMENTATIONS]
    return " / ".join("-" if one is None else _number(one) for one in found)


def _number(record: Accuracy) -> str:
    error = worst_error(record)
    return "lost" if error >= FORMATS[record.dtype].lost else number(error)


def _name(row: Row) -> str:
    spec, case, target, _, _ = row.key
    return " ".join(filter(None, (spec, case, f"({target})" if target else "")))


def _cell(record: Accuracy | None, row: Row, most: int = MOST_REGIONS) -> str:
    """The largest error that is a number, and where; what else happened; the mode, where modes differ."""
    if record is None:
        return ""
    parts = [number(record.largest)] if record.largest is not None else []
    if record.largest and record.at is not None:
        parts[0] += f" at {_input(record.at, record)}"
    found = accidents(record)
    parts += [_region(one, record) for one in found[:most]]
    if len(found) > most:
        parts.append("...")
    several = row.several[record.backend, record.implementation]
    return ", ".join(parts) + (f" ({record.mode})" if several and record.mode else "")


def _region(region: tuple[str, float, float], record: Accuracy) -> str:
    name, first, last = (region[0], *(_input(one, record) for one in region[1:]))
    return f"{name} at {first}" if first == last else f"{name} {first} to {last}"


def _input(value: float, record: Accuracy) -> str:
    if record.axis == "probability" and 0.99 < value < 1:
        return f"1-{1 - value:.2g}"
    return number(value, 3)


def _fine(rows: Sequence[Row]) -> list[str]:
    """Functions of which nothing is beyond the normal."""
    worse = {row.key[0] for row in rows if not row.fine}
    return sorted({row.key[0] for row in rows} - worse)


def _figures(findings: Sequence[Accuracy], without: set[str]) -> list[Block]:
    """A part for every function that has something to show, with a picture for each convention."""
    groups: dict[str, dict[str, list[Accuracy]]] = {}
    for record in findings:
        if record.curve and record.spec not in without:
            groups.setdefault(record.spec, {}).setdefault(record.case, []).append(record)
    content: list[Block] = []
    for spec, cases in sorted(groups.items()):
        content.append(Heading(3, spec))
        content += [_figure(spec, case, records) for case, records in cases.items()]
    return content


def _figure(spec: str, case: str, records: Sequence[Accuracy]) -> Figure:
    """In float32, in which most networks compute, where that was measured."""
    dtypes = list(dict.fromkeys(one.dtype for one in records))
    dtype = "float32" if "float32" in dtypes else dtypes[0]
    mine = [one for one in records if one.dtype == dtype]
    name = f"{spec} {case}".strip()
    title = f"{name} in {dtype}: error in ulp over the input"
    return Figure(
        f"atlas-{'-'.join(name.replace('=', ' ').split())}.svg", figure(mine, title), f"{title}. {_said(mine)}",
        f"crossnn atlas {spec}",
    )  # fmt: skip


def _said(records: Sequence[Accuracy]) -> str:
    """The picture in words: of value and gradient the worst implementation, and the most accurate one of those that
    never overflow, lose all digits or give NaN. Where none is so, or so accurate, it says that."""
    sentences = []
    for quantity in ("value", "gradient"):
        groups: dict[str, list[Accuracy]] = {}
        for one in records:
            if one.quantity == quantity:
                groups.setdefault(named(one.backend, one.call or one.implementation), []).append(one)
        if groups:
            sentences.append(f"{quantity}: {_extremes(groups)}")
    return "; ".join(sentences) + "."


def _extremes(groups: Mapping[str, Sequence[Accuracy]]) -> str:
    """`worst A, ...; most accurate B, ...`: each by the worst of its modes."""

    def size(one: Accuracy) -> tuple[float, float]:
        return half_lost(one), worst_error(one)

    each = {name: max(group, key=lambda one: (bool(accidents(one)), *size(one))) for name, group in groups.items()}
    least = min(each, key=lambda name: (bool(accidents(each[name])), *size(each[name])))
    worst = max((name for name in each if name != least), key=lambda name: size(each[name]), default=least)
    said = f"worst {worst}, {_spoken(each[worst])}"
    if len(each) == 1:
        return said
    if not any(map(accidents, each.values())) and size(each[least]) == size(each[worst]):
        return f"all alike, {_spoken(each[least])}"
    if accidents(each[least]):
        return f"{said}; none is right everywhere: {least} has {_spoken(each[least])}"
    if worst_error(each[least]) > GOOD:
        return f"{said}; none stays within {GOOD:g} ulp: {least} has {_spoken(each[least])}"
    return f"{said}; most accurate {least}, {_spoken(each[least])}"


def named(backend: str, call: str) -> str:
    """`torch.nn.GELU`, but `tensorflow keras.ops.gelu`: a framework is not named twice."""
    return call if call.startswith(f"{backend}.") else f"{backend} {call}"


def _spoken(record: Accuracy) -> str:
    parts = [] if record.largest is None else [f"{number(record.largest)} ulp at {_input(record.at or 0.0, record)}"]
    return ", ".join([*parts, *(_region(one, record) for one in accidents(record)[:1])])


def not_measured(findings: Iterable[Accuracy]) -> list[str]:
    """What could not be measured, once for each reason."""
    reasons: dict[tuple[str, str], dict[str, None]] = {}
    for one in findings:
        if one.message:
            what = " ".join(filter(None, (one.spec, one.case, one.call)))
            reasons.setdefault((one.backend, one.message), {})[what] = None
    found = []
    for (backend, message), names in reasons.items():
        several = f"{len(names)} functions" if len(names) > 3 else ", ".join(names)
        found.append(f"NOT-RUN {backend}: {message} ({several})")
    return found
