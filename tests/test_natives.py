"""Implementations of a framework's own, of every kind: what is right is EQUAL, what is off by a billionth is found, and
each says by its call which one it is. Frameworks' natives are judged in test_parity.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from crossnn.parity.check import check
from crossnn.runs.cell import Cell, Record

BACKEND = "native_adapter:OwnAdapter"
OWN = (
    ("l1", ("value", "gradient")),
    ("non_negative", ("value",)),
    ("mean_absolute_error", ("value",)),
    ("constant", ("value",)),
    ("clip_by_value", ("small matrix", "large vector", "zero matrix")),
    ("uniform", ("value",)),
    ("sgd", ("update", "free-running update")),
)
"""(row, quantities that its native must be judged by)."""


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter beside this file."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


def judged(spec: str, dtype: str, mode: str = "eager") -> list[Record]:
    return check(Cell(task="check", spec=spec, backend=BACKEND, implementation="native", mode=mode, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("spec", "quantities"), OWN)
def test_right_and_wrong_are_told_apart(spec: str, quantities: tuple[str, ...], dtype: str) -> None:
    records = judged(spec, dtype)
    right = [record for record in records if record.call.startswith("own.")]
    wrong = [record for record in records if record.call.startswith("wrong.")]
    assert {record.quantity for record in right} >= set(quantities)
    assert all(record.verdict in ("EQUAL", "KINK") for record in right), right
    failed = {record.quantity for record in wrong if record.failed}
    assert failed >= {one for one in quantities if not one.startswith("zero")}


def test_an_optimizer_runs_in_the_modes_that_it_names() -> None:
    records = judged("sgd", "float64", "compiled")
    assert len({record.case for record in records}) == 2, "the default conventions, with two learning rates"
    assert {record.verdict for record in records if record.call == "own.sgd"} == {"EQUAL"}


def test_none_is_said_to_be_composed() -> None:
    (record,) = judged("adam", "float64")
    assert (record.verdict, record.message) == (
        "NOT-RUN", f"{BACKEND} has no native adam: the formula runs instead",
    )  # fmt: skip
