"""The registry of known divergences: its entries are complete, and its rules keep it honest."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import msgspec
import pytest

from crossnn import registry
from crossnn.catalogue.load import load_catalogue
from crossnn.parity.differences import Difference, apply_registry, differences
from crossnn.runs.cell import Cell, Record, Worst

ENTRIES = differences()
CELL = Cell(task="check", spec="softplus", backend="torch", implementation="native", mode="eager")
ENTRY = Difference(
    id="known-one", backend="torch", spec="softplus", quantity="value", r=(1e5, 1e8), cause="a threshold",
    reference="the documentation",
)  # fmt: skip


def record(verdict: Any = "FORMULA", r: float | None = 1e6, quantity: str = "value", case: str = "default") -> Record:
    return Record(
        spec="softplus", kind="activation", backend="torch", implementation="native", mode="eager", dtype="float64",
        device="cpu", quantity=quantity, verdict=verdict, r=r, case=case, worst=Worst((0,), "1.0", "2.0"),
    )  # fmt: skip


def verdicts(*records: Record, entries: tuple[Difference, ...] = (ENTRY,), cell: Cell = CELL) -> list[str]:
    return [one.verdict for one in apply_registry(cell, records, entries)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_entry_is_complete(entry: Difference) -> None:
    assert len(entry.cause) > 20
    assert len(entry.reference) > 10
    low, high = entry.r
    assert 64 <= low < high <= 1e308
    rows = [row for row in load_catalogue().rows.values() if fnmatchcase(row.name, entry.spec)]
    assert rows, f"no specification is called {entry.spec}"
    backends = [name for name in registry.BUILT_IN if fnmatchcase(name, entry.backend)]
    assert backends, f"no backend is called {entry.backend}"
    modes = [mode for name in backends for mode in registry.BUILT_IN[name].modes]
    assert any(fnmatchcase(mode, entry.mode) for mode in modes)
    assert any(fnmatchcase(dtype, entry.dtype) for dtype in ("float64", "float32"))
    assert any(fnmatchcase(one, entry.implementation) for one in ("formula", "native"))


def test_entries_have_names_of_their_own() -> None:
    assert len({entry.id for entry in ENTRIES}) == len(ENTRIES)


@pytest.mark.parametrize(
    ("r", "verdict"), [(1e5, "KNOWN"), (1e6, "KNOWN"), (1e8, "KNOWN"), (9e4, "FORMULA"), (2e8, "FORMULA")]
)
def test_known_inside_the_interval_only(r: float, verdict: str) -> None:
    (found,) = apply_registry(CELL, [record(r=r)], [ENTRY])
    assert found.verdict == verdict
    if verdict == "KNOWN":
        assert (found.known, found.message) == ("known-one", "a threshold [the documentation]")
        assert not found.failed
    else:
        assert "registered as known-one with r from 100000 to 1e+08" in found.message


def test_an_entry_that_no_longer_shows_is_an_error() -> None:
    found = apply_registry(CELL, [record("EQUAL", 1.0)], [ENTRY])
    assert [one.verdict for one in found] == ["EQUAL", "ERROR"]
    assert (found[1].known, found[1].r, found[1].worst) == ("known-one", None, None)
    assert "known-one no longer shows: remove it" in found[1].message


@pytest.mark.parametrize(
    "records",
    [
        [record("NOT-RUN", None)],
        [record("EQUAL", 1.0, quantity="gradient")],
        [record("ERROR", None)],
        [],
    ],
    ids=["nothing ran", "another quantity", "an error instead", "no record"],
)
def test_what_was_not_checked_is_not_stale(records: list[Record]) -> None:
    assert "ERROR" not in verdicts(*records)[len(records) :]


@pytest.mark.parametrize("change", [{"spec": "elu"}, {"backend": "jax"}, {"implementation": "formula"}])
def test_an_entry_speaks_of_its_cells_alone(change: dict[str, Any]) -> None:
    cell = msgspec.structs.replace(CELL, **change)
    assert verdicts(record(), cell=cell) == ["FORMULA"]
    assert verdicts(record("EQUAL", 1.0), cell=cell) == ["EQUAL"]


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        ({"dtype": "float32"}, False),
        ({"dtype": "float*"}, True),
        ({"mode": "compiled"}, False),
        ({"case": "alpha=*"}, False),
        ({"case": "def*"}, True),
        ({"quantity": "*"}, True),
        ({"quantity": "gradient*"}, False),
        ({"implementation": "*"}, True),
    ],
)
def test_scopes_are_patterns(scope: dict[str, str], covered: bool) -> None:
    entry = msgspec.structs.replace(ENTRY, **scope)
    assert verdicts(record(), entries=(entry,)) == ["KNOWN" if covered else "FORMULA"]


def test_errors_and_equals_are_never_explained() -> None:
    assert verdicts(record("ERROR", None), record()) == ["ERROR", "KNOWN"]
    assert verdicts(record("EQUAL", 3.0), record()) == ["EQUAL", "KNOWN"]
    assert verdicts(record("ACCURACY")) == ["KNOWN"]


def test_one_case_of_several_is_enough() -> None:
    """An entry of all cases holds while one of them shows it: a threshold may be out of reach of another."""
    assert verdicts(record(case="a=1"), record("EQUAL", 1.0, case="a=2")) == ["KNOWN", "EQUAL"]


@pytest.mark.parametrize(
    ("call", "known"),
    [("*", True), ("torch.nn.functional.softplus", True), ("torch.nn.Soft*", False), ("*softplus*", True)],
)
def test_an_entry_may_speak_of_one_call_alone(call: str, known: bool) -> None:
    entry = msgspec.structs.replace(ENTRY, call=call)
    one = msgspec.structs.replace(record(), call="torch.nn.functional.softplus")
    assert verdicts(one, entries=(entry,)) == ["KNOWN" if known else "FORMULA"]


@pytest.mark.parametrize(
    ("versions", "covers"),
    [("", True), ("numpy>=1.0", True), ("numpy<1.0", False), ("numpy>=1,<99", True), ("no-such-package>=1", False)],
)
def test_an_entry_may_speak_of_some_versions_alone(versions: str, covers: bool) -> None:
    entry = msgspec.structs.replace(ENTRY, versions=versions)
    assert entry.covers(CELL) == covers
    assert verdicts(record(), entries=(entry,)) == ["KNOWN" if covers else "FORMULA"]
