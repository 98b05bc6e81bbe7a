"""The registry: three ways to an adapter, with equal rights, and what is said where one of them ends nowhere."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crossnn import registry
from crossnn.errors import BackendError, UnavailableError
from crossnn.parity import backend, check
from crossnn.parity.backend import Started, started
from crossnn.runs.cell import Cell
from crossnn.runs.execute import run_cell

HERE = Path(__file__).parent


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example adapter as an installed package would offer it: a distribution with an entry point."""
    (tmp_path / "tape_backend.py").write_text((HERE / "example_adapter.py").read_text("utf-8"), "utf-8")
    info = tmp_path / "tape_backend-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tape-backend\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[crossnn.backends]\ntape = tape_backend:TapeAdapter\nlost = no_such_package:Adapter\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.parametrize("name", registry.BUILT_IN)
def test_modes_are_those_of_the_adapter(name: str) -> None:
    backend = registry.BUILT_IN[name]
    if backend.missing:
        pytest.skip(f"{name} is not installed: {backend.hint}")
    assert backend.modes == registry.load(name).modes
    assert set(backend.slow_modes) < set(backend.modes)


@pytest.mark.usefixtures("installed")
def test_an_entry_point_is_a_backend_like_any_other() -> None:
    assert "tape" in registry.backends()
    records = run_cell(Cell(task="check", spec="softmax", backend="tape", mode="eager"))
    assert {record.verdict for record in records if record.record == "check"} == {"EQUAL"}


@pytest.mark.usefixtures("installed")
def test_an_entry_point_without_its_package_is_missing() -> None:
    assert registry.find("lost").missing == ["no_such_package"]
    with pytest.raises(BackendError, match="needs no_such_package, not installed here"):
        registry.load("lost")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pytorch", "unknown backend 'pytorch'; did you mean 'torch'"),
        ("no_such_package:Adapter", "needs no_such_package, not installed here"),
        ("numpy.nope:Adapter", "failed to import 'numpy.nope'"),
        ("os:nope", "os has no class 'nope'"),
        ("os:system", "cannot be made without arguments"),
        ("pathlib:Path", "makes no adapter; it lacks array"),
    ],
)
def test_a_wrong_name_is_one_sentence(name: str, words: str) -> None:
    with pytest.raises(BackendError, match=words.replace("'", ".")) as caught:
        registry.load(name)
    assert "\n" not in str(caught.value)


class Forbidding:
    """A finder that refuses some packages, as users have who hide one."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "hidden_framework":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_a_package_whose_import_is_forbidden_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [Forbidding(), *sys.meta_path])
    hidden = registry.Backend("hidden", "hidden_framework:Adapter", ("hidden_framework",), natives_need=("numpy",))
    assert hidden.missing == ["hidden_framework"]
    assert hidden.natives_missing == []


def test_a_native_that_another_package_has_says_which(
    monkeypatch: pytest.MonkeyPatch, require: Callable[[str], None]
) -> None:
    require("jax")
    monkeypatch.setattr(check, "natives_of", lambda *arguments: [])
    monkeypatch.setattr(registry, "is_installed", lambda package: package != "optax")
    (record,) = run_cell(Cell(task="check", spec="adam", backend="jax", mode="eager", implementation="native"))
    assert record.record == "check"
    assert record.verdict == "NOT-RUN"
    assert record.message == "jax has no native adam without optax, not installed here: pip install 'crossnn[jax]'"


def test_a_device_that_is_not_here_is_not_run() -> None:
    with pytest.raises(UnavailableError, match="numpy runs on cpu only"):
        started("numpy", "gpu", "float64", 1)
    for task, spec in (("check", "tanh"), ("train", "fit-line")):
        cell = Cell(task=task, spec=spec, backend="numpy", mode="eager", device="gpu")  # type: ignore[arg-type]
        (record,) = run_cell(cell)
        assert record.record == "check"
        assert record.verdict == "NOT-RUN"
        assert "cpu only" in record.message


def test_a_backend_that_silently_computes_short_is_refused_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = registry.load("numpy")
    monkeypatch.setattr(adapter, "tensor", lambda array: np.asarray(array, np.float32))
    short = Started(adapter)
    monkeypatch.setattr(backend, "_loaded", lambda name: short)
    for _ in range(2):
        with pytest.raises(BackendError, match=r"started for float64, but 1 \+ 2\*\*-40 comes back as 1\.0 of float32"):
            started("numpy", "cpu", "float64", 1)
