"""Every planted bug is found and localised: the first quantity that departs is where it was planted, and what was
computed before it is right. Without a bug the same machinery raises no alarm."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from crossnn.catalogue.load import load_catalogue
from crossnn.parity.check import check
from crossnn.runs.cell import Cell, Record


def _load() -> Any:
    """tests/ is no package: the module is put where the dotted path of a backend finds it."""
    found = importlib.util.spec_from_file_location("planted_bugs", Path(__file__).with_name("planted_bugs.py"))
    assert found is not None
    assert found.loader is not None
    module = sys.modules["planted_bugs"] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


planted = _load()
BUGS = planted.BUGS
SPECS = sorted({bug.spec for bug in BUGS.values()})
RIGHT = {"EQUAL", "ROUNDING", "KINK"}


def records(backend: str, spec: str, implementation: Any = "formula", dtype: str = "float64") -> list[Record]:
    cell = Cell(
        task="check", spec=spec, backend=f"planted_bugs:{backend}", implementation=implementation, mode="eager",
        dtype=dtype,
    )  # fmt: skip
    return check(cell)


@pytest.mark.parametrize("bug", BUGS.values(), ids=list(BUGS))
def test_found_and_localised(bug: Any) -> None:
    found = records(bug.name, bug.spec, bug.implementation, bug.dtype)
    failing = [record for record in found if record.failed]
    assert failing, f"not found: {sorted({record.verdict for record in found})}"
    first = failing[0]
    assert (first.quantity, first.verdict) == (bug.first, bug.verdict), first
    assert bug.case in first.case
    assert bug.says in first.message
    if bug.verdict in ("FORMULA", "ACCURACY"):
        assert first.message.startswith("the first quantity to depart")
        assert first.worst is not None
        if bug.step is not None:
            assert first.worst.index[0] == bug.step or (bug.step < 0 < first.worst.index[0])
    before = found[: found.index(first)]
    assert {record.verdict for record in before} <= RIGHT


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("backend", ["honest", "honest_primitives", "honest_gradients", "honest_mutant"])
def test_no_bug_no_alarm(spec: str, backend: str) -> None:
    found = records(f"honest_mutant_{spec}" if backend == "honest_mutant" else backend, spec)
    assert {record.verdict for record in found} <= RIGHT


@pytest.mark.parametrize("spec", ["simple_rnn", "lstm", "gru", "rows_lstm", "rows_gru", "rows_bidirectional"])
def test_no_bug_in_a_loop(spec: str) -> None:
    assert {record.verdict for record in records("honest_looping", spec)} <= RIGHT


@pytest.mark.parametrize("spec", [row.name for row in load_catalogue().of_kind("optimizer")])
def test_no_bug_in_an_optimizer_object(spec: str) -> None:
    for dtype in ("float64", "float32"):
        assert {record.verdict for record in records("honest_loop", spec, "native", dtype)} <= RIGHT


def test_enough_kinds() -> None:
    """At least thirty, of every level: primitives, gradients, functions, networks, update rules, optimizer objects."""
    assert len(BUGS) >= 100
    assert {load_catalogue().find(bug.spec).kind for bug in BUGS.values()} >= {
        "activation", "loss", "regularizer", "constraint", "initializer", "metric", "layer",
        "network", "experiment", "optimizer",
    }  # fmt: skip
