"""The registry of known divergences: its entries are complete, and its rules keep it honest."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import msgspec
import pytest

from crossnn import registry
from crossnn.catalogue.load import load_catalogue
from crossnn.parity.check import check, subjects_of
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
    assert 1 <= entry.draws <= 20
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


SOMETIMES = msgspec.structs.replace(ENTRY, draws=4)
"""Shows in one draw of four at least."""


@pytest.mark.parametrize(
    ("showing", "verdict", "looked_at"),
    [
        ((0,), "KNOWN", []),
        ((1, 2), "EQUAL", [1]),
        ((3,), "EQUAL", [1, 2, 3]),
        ((4,), "ERROR", [1, 2, 3]),
        ((), "ERROR", [1, 2, 3]),
    ],
)
def test_what_shows_in_some_draws_must_show_in_one_of_so_many(
    showing: tuple[int, ...], verdict: str, looked_at: list[int]
) -> None:
    asked: list[int] = []

    def of(seed: int) -> list[Record]:
        return [record("FORMULA", 1e6) if seed in showing else record("EQUAL", 1.0)]

    def drawn(seed: int) -> list[Record]:
        asked.append(seed)
        return of(seed)

    found = apply_registry(CELL, of(0), [SOMETIMES], drawn)
    assert (found[-1].verdict, asked) == (verdict, looked_at)
    if verdict == "ERROR":
        assert "known-one no longer shows in 4 draws: remove it" in found[-1].message


def test_draws_are_counted_from_the_seed_of_the_cell() -> None:
    asked: list[int] = []

    def drawn(seed: int) -> list[Record]:
        asked.append(seed)
        return [record("EQUAL", 1.0)]

    cell = msgspec.structs.replace(CELL, seed=7)
    other = msgspec.structs.replace(SOMETIMES, id="known-two", draws=3)
    found = apply_registry(cell, [record("EQUAL", 1.0)], [SOMETIMES, other], drawn)
    assert [one.known for one in found] == [None, "known-one", "known-two"]
    assert asked == [8, 9, 10], "each draw is made once, whoever asks"


@pytest.mark.parametrize(
    ("again", "verdict"),
    [
        (record("FORMULA", 1e9), "EQUAL"),
        (record("EQUAL", 1.0, quantity="gradient"), "ERROR"),
        (record("NOT-RUN", None), "ERROR"),
    ],
    ids=["of another size, which fails there", "another quantity", "nothing ran"],
)
def test_what_another_draw_says(again: Record, verdict: str) -> None:
    assert apply_registry(CELL, [record("EQUAL", 1.0)], [SOMETIMES], lambda seed: [again])[-1].verdict == verdict


def test_of_some_draws_only_sizes_outside_the_interval_fail_all_the_same() -> None:
    assert verdicts(record(r=2e8), entries=(SOMETIMES,)) == ["FORMULA"]
    assert verdicts(record(r=1e6), entries=(SOMETIMES,)) == ["KNOWN"]
    assert verdicts(record("EQUAL", 1.0), entries=(SOMETIMES,)) == ["EQUAL"], "one draw alone says nothing"


def test_a_cell_looks_at_further_draws_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy's relu never departs, so that an entry about it must fail, after so many draws."""
    entry = msgspec.structs.replace(SOMETIMES, backend="numpy", spec="relu", implementation="formula", draws=3)
    seeds: list[int] = []

    def subjects(spec: str, files: tuple[str, ...], seed: int) -> Any:
        seeds.append(seed)
        return subjects_of(spec, files, seed)

    monkeypatch.setattr("crossnn.parity.differences.differences", lambda: (entry,))
    monkeypatch.setattr("crossnn.parity.check.subjects_of", subjects)
    found = check(Cell(task="check", spec="relu", backend="numpy", mode="eager", seed=5))
    assert found[-1].verdict == "ERROR"
    assert "known-one no longer shows in 3 draws" in found[-1].message
    assert seeds == [5, 6, 7]


@pytest.mark.parametrize("draws", [0, -1, 1.5, "some"])
def test_draws_are_counted(draws: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match="draws"):
        msgspec.convert({**msgspec.to_builtins(ENTRY), "draws": draws}, Difference)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("entry", [one for one in ENTRIES if one.draws > 1], ids=lambda entry: entry.id)
def test_what_shows_in_some_draws_does(entry: Difference, dtype: str, require: Callable[[str], None]) -> None:
    require(entry.backend)
    mode = next(one for one in registry.find(entry.backend).modes if fnmatchcase(one, entry.mode))
    for seed in range(entry.draws):
        cell = Cell(
            task="check", spec=entry.spec, backend=entry.backend, implementation="native", mode=mode, dtype=dtype,
            seed=seed,
        )  # fmt: skip
        assert entry.covers(cell)
        if any(one.known == entry.id and one.verdict == "KNOWN" for one in check(cell)):
            return
    pytest.fail(f"{entry.id} shows in none of {entry.draws} draws")


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
