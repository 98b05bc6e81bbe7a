"""Every row of every kind, on every installed backend, formula and native, in float64 and float32: no failing verdict.
What is known to differ stands in specs/differences.toml; anything else that departs fails here by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.parity.check import check
from crossnn.parity.compute import subject_values
from crossnn.parity.plan import NATIVE_KINDS, chosen_rows
from crossnn.runs.cell import Cell, Record

Get = Callable[..., Adapter]
Require = Callable[[str], None]
ROWS = chosen_rows(load_catalogue(), (), ())
FRAMEWORKS = [name for name in registry.BUILT_IN if name != "numpy"]
"""torch stands first: imported after TensorFlow, it would find TensorFlow's older runtime libraries loaded."""


def failing(spec: str, backend: str, implementation: Any, mode: str, dtype: str, seed: int = 0) -> list[str]:
    cell = Cell(
        task="check", spec=spec, backend=backend, implementation=implementation, mode=mode, dtype=dtype, seed=seed
    )
    found = check(cell)
    assert found, "nothing was judged"
    return [describe(record) for record in found if record.failed]


def describe(record: Record) -> str:
    place = f"{record.case} {record.quantity} {record.dtype}"
    return f"{place}: {record.verdict} r={record.r} {record.worst} {record.message}"


WHOLE = ("network", "experiment", "study")
"""Kinds that are made of layers, losses and optimizers, each of which is checked apart: torch computes all of them, the
other frameworks those that show every way of putting layers together. `crossnn check` runs all on all."""

WAYS = ("mlp", "residual_mlp", "xor", "lenet", "resnet", "gru_parity", "rows_bidirectional", "transformer", "bowl")


def cells(*kinds: str) -> list[Any]:
    """(row, backend) for every row and framework, the framework first, so that each is imported once and in order."""
    return [
        pytest.param(row, backend, id=f"{row.name}-{backend}")
        for backend in FRAMEWORKS
        for row in ROWS
        if (not kinds or row.kind in kinds) and (row.kind not in WHOLE or backend == "torch" or row.name in WAYS)
    ]


def dtypes_of(row: Row) -> list[str]:
    return ["float64"] if row.kind in WHOLE else ["float64", "float32"]


@pytest.mark.parametrize(("row", "backend"), cells())
def test_formula(row: Row, backend: str, require: Require) -> None:
    require(backend)
    mode = registry.find(backend).modes[0]
    assert not [one for dtype in dtypes_of(row) for one in failing(row.name, backend, "formula", mode, dtype)]


SLOW = (("jax", "layer"),)
"""Natives of which JAX compiles every operation for every shape and dtype: float32, which would take 39 s of processor
time (float64: 43 s), is left to `crossnn check`."""


@pytest.mark.parametrize(("row", "backend"), cells(*NATIVE_KINDS))
def test_native(row: Row, backend: str, require: Require) -> None:
    require(backend)
    mode = registry.find(backend).modes[0]
    dtypes = ["float64"] if (backend, row.kind) in SLOW else ["float64", "float32"]
    assert not [one for dtype in dtypes for one in failing(row.name, backend, "native", mode, dtype)]


SOME = (
    "softplus", "huber", "softmax", "categorical_crossentropy_logits", "dense", "adam", "residual_mlp", "learn-xor",
)  # fmt: skip
COMPILED = [
    ("torch", "compiled", "softplus"),
    ("torch", "compiled", "xor"),
    *(("tensorflow", "graph", spec) for spec in SOME),
    ("tensorflow", "xla", "xor"),
    *(("jax", "jit", spec) for spec in SOME),
]


@pytest.mark.parametrize(("backend", "mode", "spec"), COMPILED, ids=lambda one: one)
def test_compiled(backend: str, mode: str, spec: str, require: Require) -> None:
    require(backend)
    assert not failing(spec, backend, "formula", mode, "float64")
    if mode in ("graph", "jit"):
        assert not failing(spec, backend, "formula", mode, "float32")


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("spec", [row.name for row in ROWS if row.kind in ("activation", "loss", "regularizer")])
def test_other_seeds_raise_no_alarm(spec: str, seed: int) -> None:
    for dtype in ("float64", "float32"):
        for mode in ("eager", "compiled"):
            assert not failing(spec, "numpy", "formula", mode, dtype, seed)


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_a_backend_without_a_native_says_so(backend: str, require: Require) -> None:
    require(backend)
    found = check(Cell(task="check", spec="isru", backend=backend, implementation="native", mode="eager"))
    assert [record.verdict for record in found] == ["NOT-RUN"]
    assert found[0].message == f"{backend} has no native isru: the formula runs instead"


def test_a_backend_that_does_not_exist_is_an_error_of_the_cell() -> None:
    (found,) = check(Cell(task="check", spec="relu", backend="nowhere.at_all:Adapter", mode="eager"))
    assert found.verdict == "ERROR"
    assert "nowhere" in found.message


def test_the_same_cell_gives_the_same_records() -> None:
    def found() -> list[Any]:
        records = check(Cell(task="check", spec="huber", backend="numpy", mode="compiled", seed=3))
        return [(one.case, one.quantity, one.verdict, one.r, one.worst) for one in records]

    assert found() == found()


def test_what_a_case_throws_costs_that_case_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """All other cases are judged; without samples, where nothing is judged, to refuse is a convention."""

    def values(adapter: Any, mode: str, subject: Any, native: Any) -> Any:
        if subject.tabulated or subject.case == "sum of losses":
            raise ZeroDivisionError("float division by zero")
        return subject_values(adapter, mode, subject, native)

    monkeypatch.setattr("crossnn.parity.check.subject_values", values)
    found = check(Cell(task="check", spec="mse", backend="numpy", mode="eager"))
    (thrown,) = (record for record in found if record.verdict == "ERROR")
    assert (thrown.case, thrown.message) == ("sum of losses", "ZeroDivisionError: float division by zero")
    (refused,) = (record for record in found if record.verdict == "KINK")
    assert refused.worst is not None
    assert (refused.quantity, refused.worst.actual) == ("loss of no samples", "refused")
    assert {record.verdict for record in found if record not in (thrown, refused)} == {"EQUAL"}
