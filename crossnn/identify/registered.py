"""What is known of a framework's own implementations: which rows they compute, and their registered differences."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from crossnn.adapter import Adapter, Native
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.identify.result import Quantity
from crossnn.parity.differences import Difference, differences
from crossnn.parity.overlay import calls
from crossnn.runs.cell import Cell, Record


def own_native(adapter: Adapter, row: Row, settings: Mapping[str, Any]) -> Native | None:
    """The framework's implementation of this specification, where the adapter has one with these settings."""
    try:
        return adapter.native(row.kind, row.name, settings)
    except Exception:  # settings that it does not foresee
        return None


def bound_rows(adapter: Adapter, kind: str, call: str) -> set[str]:
    """The rows of which the adapter says that this function or class computes them, in whatever setting."""
    name = call.partition("(")[0]
    rows = load_catalogue().of_kind(kind)
    return {row.name for row in rows if name in {one.partition("(")[0] for one in calls(adapter, row)}}


def explained(
    adapter: Adapter,
    row: Row,
    case: str,
    call: str,
    quantities: tuple[Quantity, ...],
    alike: Callable[[], bool],
) -> tuple[Quantity, ...]:
    """Failing quantities that a registered difference explains become KNOWN: where the entry speaks of this backend,
    specification, quantity and case, and the size is not above its interval (other settings than the checked ones may
    make it smaller), and what was opened is `alike` the framework's implementation that the entry speaks of."""
    if all(one.explained for one in quantities):
        return quantities
    cell = Cell(
        task="check", spec=row.name, backend=adapter.name, implementation="native", mode=adapter.modes[0],
        dtype="float64",
    )  # fmt: skip
    entries = [entry for entry in differences() if entry.covers(cell)]
    found = tuple(one if one.explained else _registered(cell, row, case, call, one, entries) for one in quantities)
    return found if found != quantities and alike() else quantities


def _registered(cell: Cell, row: Row, case: str, call: str, one: Quantity, entries: list[Difference]) -> Quantity:
    record = Record(
        spec=cell.spec, kind=row.kind, backend=cell.backend, implementation="native", mode=cell.mode, dtype="float64",
        device="cpu", quantity=one.name, verdict=one.verdict, r=one.r, case=case, call=call,
    )  # fmt: skip
    for entry in entries:
        loose = msgspec.structs.replace(entry, case=_any_numbers(entry.case, row))
        if loose.matches(record) and one.r is not None and one.r <= entry.r[1]:
            return replace(one, verdict="KNOWN", known=entry.id, message=f"{entry.cause} [{entry.reference}]")
    return one


def _any_numbers(pattern: str, row: Row) -> str:
    """A pattern of cases without what it says of hyper-parameters: the checked numbers are not those asked for."""
    params = getattr(row, "params", {})
    return re.sub(r"(\w+)=[^ *]+", lambda found: f"{found[1]}=*" if found[1] in params else found[0], pattern)
