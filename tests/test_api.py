"""crossnn from Python: the same verdicts and refusals as the command line, here or in child processes."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import crossnn
from crossnn import api, registry, timed
from crossnn.registry import Backend
from crossnn.runs.cell import Done, Record, Verdict
from crossnn.runs.timed import Prepared, identity


def record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "spec": "tanh", "kind": "activation", "backend": "torch", "implementation": "formula", "mode": "eager",
        "dtype": "float64", "device": "cpu", "quantity": "value", "verdict": "EQUAL", "r": 3.14,
    }  # fmt: skip
    return Record(**{**fields, **changes})


def test_public_names_are_there_and_no_other() -> None:
    assert set(crossnn.__all__) <= set(dir(crossnn))
    assert all(getattr(crossnn, name) is not None for name in crossnn.__all__)
    assert crossnn.check is api.check
    assert crossnn.__version__.count(".") == 2
    with pytest.raises(AttributeError, match=r"no attribute 'chek'; public names: CrossnnError, PortParityError"):
        crossnn.chek  # noqa: B018


def test_importing_costs_next_to_nothing() -> None:
    """The best of three, for other work may run beside; and nothing heavy comes along."""
    program = (
        "import sys, time; began = time.perf_counter(); import crossnn; crossnn.__all__; "
        "print(time.perf_counter() - began, 'numpy' in sys.modules, 'crossnn.api' in sys.modules)"
    )
    shown = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True).stdout
        for _ in range(3)
    ]
    assert min(float(line.split()[0]) for line in shown) < 0.2
    assert {tuple(line.split()[1:]) for line in shown} == {("False", "False")}


def test_load_gives_the_row(tmp_path: Path) -> None:
    row = crossnn.load("softplus")
    assert (row.name, row.kind, row.file) == ("softplus", "activation", "activations.toml")
    with pytest.raises(AttributeError):
        row.name = "other"  # type: ignore[misc]
    own = tmp_path / "my.toml"
    own.write_text('swish = "x/(1 + exp(-x))"\n', "utf-8")
    assert crossnn.load("swish", files=[str(own)]).summary == "x/(1 + exp(-x))"
    with pytest.raises(crossnn.CrossnnError, match="did you mean 'softplus'"):
        crossnn.load("softpluss")


def test_here_and_in_a_child_process_the_records_are_the_same() -> None:
    here, there = (crossnn.check("tanh", "sgd", backends="numpy", processes=flag) for flag in (False, True))

    def timeless(report: crossnn.Report) -> list[Record]:
        return [msgspec.structs.replace(one, seconds=0.0) for one in report.records]

    assert timeless(here) == timeless(there)
    assert here.records[0].backend == "oracle"
    assert {one.backend for one in here.records} == {"oracle", "numpy"}
    assert not here.failures


def test_a_row_of_ones_own_is_checked(tmp_path: Path) -> None:
    own = tmp_path / "my.toml"
    own.write_text(
        'twice = "2*x"\n[wrong]\nkind = "activation"\nformula = "x**2"\nderivative = "3*x"\n', encoding="utf-8"
    )
    report = crossnn.check(files=str(own), backends="numpy", modes="eager", dtypes="float64", processes=False)
    assert {one.spec for one in report.records} == {"twice", "wrong"}
    (failure,) = report.failures
    assert (failure.quantity, failure.backend) == ("claimed derivative", "oracle")
    assert "claimed derivative" in report._repr_html_()


def test_a_report_is_frozen_and_short() -> None:
    report = api.Report((record(), record(verdict="FORMULA", quantity="gradient", r=1e9)))
    assert repr(report) == "<Report: 2 quantities judged: 1 FORMULA, 1 EQUAL.>"
    assert [one.quantity for one in report.failures] == ["gradient"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.records = ()  # type: ignore[misc]


def test_a_notebook_shows_text_as_text() -> None:
    report = api.Report((record(spec="<script>", verdict="FORMULA", message="<b>&"),))
    shown = report._repr_html_()
    assert "<script>" not in shown
    assert "<b>&" not in shown
    assert "&lt;script&gt;" in shown
    assert "&lt;b&gt;&amp;" in shown
    assert "torch eager" in shown


def test_markdown_says_what_to_type_to_repeat_it() -> None:
    report = crossnn.check("relu", backends="numpy", modes="eager", dtypes="float64", seeds=2, processes=False)
    text = report.to_markdown()
    assert "crossnn check relu --backend=numpy --mode=eager --dtype=float64 --implementation=formula,native" in text
    assert "| relu |" in text
    assert {one.seed for one in report.records} == {0, 1}


@pytest.fixture
def without_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Backend("jax", "no:Thing", ("no_such_jax",), "pip install 'crossnn[jax]'", ("eager",))
    monkeypatch.setattr(registry, "BUILT_IN", {"numpy": registry.BUILT_IN["numpy"], "jax": absent})


@pytest.mark.usefixtures("without_jax")
@pytest.mark.parametrize("processes", [False, True])
def test_a_missing_framework_is_a_record(processes: bool) -> None:
    report = crossnn.check("relu", dtypes="float64", implementations=["formula"], processes=processes)
    (absent,) = [one for one in report.records if one.backend == "jax"]
    assert (absent.verdict, absent.kind) == ("NOT-RUN", "activation")
    assert absent.message == "needs no_such_jax, not installed here: pip install 'crossnn[jax]'"
    assert not report.failures


@pytest.mark.usefixtures("without_jax")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backends": "jax"}, "backend 'jax' needs no_such_jax, not installed here: pip install"),
        ({"backends": ["nunpy"]}, "unknown backend 'nunpy'; did you mean 'numpy'"),
        ({"modes": "eagre"}, "unknown mode 'eagre'; did you mean 'eager'"),
        ({"implementations": "nativ"}, "unknown implementation 'nativ'; did you mean 'native'"),
        ({"dtypes": "float16"}, "unknown dtype 'float16'"),
        ({"seeds": 0}, "seeds is 0; give the number of seeds"),
        ({"files": "none.toml"}, "none.toml: cannot be read"),
        ({"names": ["rellu"]}, "unknown specification 'rellu'; did you mean 'relu'"),
    ],
)
def test_what_cannot_be_done_is_refused(arguments: dict[str, Any], message: str) -> None:
    names = arguments.pop("names", ["relu"])
    with pytest.raises(crossnn.CrossnnError, match=message) as refusal:
        crossnn.check(*names, **arguments, processes=False)
    assert refusal.value.exit_code == 2


def test_nothing_executed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Backend("jax", "no:Thing", ("no_such_jax",), "pip install 'crossnn[jax]'", ("eager",))
    monkeypatch.setattr(registry, "BUILT_IN", {"jax": absent})
    with pytest.raises(crossnn.CrossnnError, match=r"nothing could run: .*no_such_jax") as refusal:
        crossnn.check("relu", processes=False)
    assert refusal.value.exit_code == 3


def test_the_records_of_a_report_are_json() -> None:
    report = api.Report((record(verdict="FORMULA"),), {"numpy": "2"})
    found = json.loads(report.to_json())
    assert found["machine"] == {"numpy": "2"}
    assert found["records"][0]["verdict"] == "FORMULA"


SHEET = """
[[claim]]
id = "softsign"
formula = "x/(1 + x)"
derivative = "1/(1 + abs(x))**2"

[[claim]]
id = "<tanh>"
equal = ["tanh(-x)", "-tanh(x)"]
"""


def test_a_sheet_is_verified_as_text_and_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "sheet.toml"
    file.write_text(SHEET, "utf-8")
    for sheet in (SHEET, file, str(file)):
        found = crossnn.verify(sheet)
        assert {one.id: one.verdict for one in found.findings} == {"softsign": "REFUTED", "<tanh>": "VERIFIED"}
        assert [one.id for one in found.failures] == ["softsign"]
    assert repr(found) == "<Verified: 2 claims: 1 VERIFIED, 1 REFUTED>"
    assert "REFUTED" in next(line for line in found.to_markdown().splitlines() if line.startswith("| softsign"))
    assert json.loads(found.to_json())["counts"]["REFUTED"] == 1
    assert "<tanh>" not in found._repr_html_()
    assert "&lt;tanh&gt;" in found._repr_html_()
    assert "x = -2" in found.explain("softsign")
    assert [one.id for one in crossnn.verify(SHEET, ids="softsign").claims] == ["softsign"]
    for wrong in (lambda: crossnn.verify(SHEET, ids=["softsing"]), lambda: found.explain("softsing")):
        with pytest.raises(crossnn.CrossnnError, match="did you mean 'softsign'"):
            wrong()
    with pytest.raises(crossnn.CrossnnError, match=r"none\.toml"):
        crossnn.verify("none.toml")
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.findings = ()  # type: ignore[misc]


def test_a_specification_is_shown_as_by_the_command() -> None:
    shown = crossnn.show("softplus", "numpy", gradient=True)
    assert repr(shown) == "<Shown: softplus (activation)>"
    assert "np.log1p(np.exp(np.where(above, -x, x)))" in shown.code["numpy"]
    assert "def softplus_gradient" in shown.text
    assert shown.latex[0].startswith("f(x) = \\ln")
    assert shown.latex[0] in json.loads(shown.to_json())["latex"]
    assert "## numpy" in shown.to_markdown()
    assert "$$f" in shown._repr_html_()
    assert "lenet" in str(crossnn.show("lenet"))
    with pytest.raises(crossnn.CrossnnError, match="did you mean 'softplus'"):
        crossnn.show("softpluss")
    with pytest.raises(crossnn.CrossnnError, match="unknown backend 'nunpy'"):
        crossnn.show("softplus", "nunpy")


def fake_times(cells: Any, sink: Any, **options: Any) -> None:
    """Two modes of NumPy: the second takes half the time."""
    for number, cell in enumerate(cells):
        message = "wrong by 3 digits" if cell.mode == "compiled" else ""
        about = identity(cell)
        verdict: Verdict = "ACCURACY" if message else "EQUAL"
        sink(Done(cell=cell, status="ok"), [Prepared(**about, verdict=verdict, message=message)])
        assert number < 9


def test_what_is_wrong_has_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "time_cells", fake_times)
    found = crossnn.time("relu", backends="numpy", phases="forward", batches=[4])
    assert [(one.mode, one.message) for one in found.failures] == [("compiled", "wrong by 3 digits")]
    assert {one["verdict"] for one in json.loads(found.to_json())} == {"EQUAL", "ACCURACY"}
    assert repr(found).startswith("<Timed: 1 contest")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backends": "nunpy"}, "unknown backend 'nunpy'"),
        ({"dtypes": ["float16"]}, "unknown dtype 'float16'"),
        ({"limit": 0}, "limit is 0"),
        ({"threads": 0}, "threads is 0"),
        ({"batches": [0]}, "batch size 0"),
        ({"phases": "forwards"}, "forward"),
    ],
)
def test_what_cannot_be_timed_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(crossnn.CrossnnError, match=message) as refusal:
        crossnn.time("relu", **{"backends": "numpy", **arguments})
    assert refusal.value.exit_code == 2
