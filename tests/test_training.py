"""Training: every backend is given the same batches and masks, and its curve lies on the reference's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from crossnn import registry
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Experiment
from crossnn.errors import CrossnnError, SpecError
from crossnn.experiment.data import SETS, load_data
from crossnn.experiment.task import Task
from crossnn.runs.cell import Cell, Training
from crossnn.training.train import train
from crossnn.training.verdict import judge_curves

Require = Callable[[str], None]
EXPERIMENTS = [row.name for row in load_catalogue().of_kind("experiment")]
SMALL = ("fit-line", "learn-xor")


def run(spec: str, backend: str, mode: str = "", dtype: str = "float64", **rest: Any) -> Training:
    (found,) = train(Cell(task="train", spec=spec, backend=backend, mode=mode, dtype=dtype, **rest))
    assert isinstance(found, Training)
    return found


def task(spec: str, seed: int = 0) -> Task:
    row = load_catalogue().find(spec)
    assert isinstance(row, Experiment)
    return Task(row, load_catalogue(), seed)


@pytest.fixture(scope="module")
def reference() -> Callable[[str], Training]:
    known: dict[str, Training] = {}

    def get(spec: str) -> Training:
        if spec not in known:
            known[spec] = run(spec, "oracle", "exact")
        return known[spec]

    return get


MODES = [("numpy", "eager"), ("numpy", "compiled"), ("torch", "eager"), ("tensorflow", "graph"), ("jax", "jit")]


@pytest.mark.parametrize("spec", SMALL)
@pytest.mark.parametrize(("backend", "mode"), MODES, ids=lambda one: one)
def test_the_curve_lies_on_the_reference(
    spec: str, backend: str, mode: str, require: Require, reference: Callable[[str], Training]
) -> None:
    require(backend)
    one = run(spec, backend, mode)
    (_, judged), (record,) = judge_curves([reference(spec), one])
    assert record.verdict == "EQUAL", record
    assert judged.curve_r is not None
    assert judged.curve_r <= 64
    assert one.loss[-1] is not None
    assert one.loss[0] is not None
    assert one.loss[-1] < one.loss[0]
    if spec == "learn-xor":
        assert one.metrics["binary_accuracy_logits"][-1] == 1.0


def test_float32_is_judged_by_its_own_roundoff(reference: Callable[[str], Training]) -> None:
    one = run("fit-line", "numpy", "compiled", "float32")
    _, (record,) = judge_curves([reference("fit-line"), one])
    assert record.verdict == "EQUAL"
    assert one.loss != reference("fit-line").loss


def _bent(one: Training, factor: float) -> Training:
    loss = [value if value is None else value * factor for value in one.loss]
    return msgspec.structs.replace(one, backend="numpy", loss=(*one.loss[:-1], loss[-1]))


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        (lambda one: _bent(one, 1.0), "EQUAL"),
        (lambda one: _bent(one, 1 + 1e-9), "FORMULA"),
        (lambda one: msgspec.structs.replace(_bent(one, 1 + 1e-3), dtype="float32"), "ACCURACY"),
        (lambda one: msgspec.structs.replace(one, backend="numpy", loss=(*one.loss[:-1], None)), "FORMULA"),
        (lambda one: msgspec.structs.replace(one, backend="numpy", spec_sha="another"), "NOT-RUN"),
        (lambda one: msgspec.structs.replace(one, backend="numpy", seed=9), "NOT-RUN"),
    ],
)
def test_a_curve_that_parts_is_found(
    change: Callable[[Training], Training], verdict: str, reference: Callable[[str], Training]
) -> None:
    one = reference("fit-line")
    _, (record,) = judge_curves([change(one), one])
    assert record.verdict == verdict
    if verdict in ("FORMULA", "ACCURACY"):
        assert record.worst is not None
        assert record.worst.index == (len(one.loss) - 1,)


def test_a_run_is_a_function_of_its_cell() -> None:
    first, again = run("learn-xor", "numpy", "compiled"), run("learn-xor", "numpy", "compiled")
    assert (first.loss, first.held_out_loss, first.metrics) == (again.loss, again.held_out_loss, again.metrics)
    other = run("learn-xor", "numpy", "compiled", seed=1)
    assert other.loss != first.loss


@pytest.mark.parametrize("spec", EXPERIMENTS)
def test_batches_masks_and_parameters_depend_on_the_seed_alone(spec: str) -> None:
    """Any batch can be asked for in any order, by any process: the same arrays come back."""
    one, again, other = task(spec), task(spec), task(spec, seed=1)
    order = one.order(3)
    assert np.array_equal(order, again.order(3))
    assert not np.array_equal(order, again.order(2))
    assert not np.array_equal(order, other.order(3))
    again.batch(0, 0, again.order(0))
    for number in (one.batches - 1, 0):
        mine, yours = one.batch(3, number, order), again.batch(3, number, order)
        assert mine.keys() == yours.keys()
        assert all(np.array_equal(mine[name], yours[name]) for name in mine)
        assert len(mine["x"]) == one.row.batch_size
    assert all(np.array_equal(one.params[name], again.params[name]) for name in one.params)
    assert any(not np.array_equal(one.params[name], other.params[name]) for name in one.params)


def test_masks_change_with_every_step() -> None:
    one = task("digits-mlp")
    order = one.order(0)
    masks = [one.batch(epoch, number, order)["dropout.mask"] for epoch, number in ((0, 0), (0, 1), (1, 0))]
    assert not np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])
    assert abs(np.mean(masks) - 0.8) < 0.03


@pytest.mark.parametrize("name", SETS)
def test_data_is_split_once_and_fits_float32(name: str) -> None:
    size = SETS[name](0)[0][0].size
    data = load_data(name, 0, 0.2, (size,))
    total = len(data.x) + len(data.held_out_x)
    assert len(data.held_out_x) == total - round(total * 0.8)
    for array in (data.x, data.t, data.held_out_x, data.held_out_t):
        assert np.array_equal(array, array.astype(np.float32))
    again, other = load_data(name, 0, 0.2, (size,)), load_data(name, 1, 0.2, (size,))
    assert np.array_equal(data.x, again.x)
    assert not np.array_equal(data.x, other.x)


def test_wrong_data_is_one_sentence() -> None:
    with pytest.raises(SpecError, match="unknown data 'digts'; did you mean 'digits'"):
        load_data("digts", 0, 0.2, (64,))
    with pytest.raises(SpecError, match=r"samples of shape \(2,\); the network takes \(3,\)"):
        load_data("xor", 0, 0.2, (3,))
    with pytest.raises(SpecError, match="'relu' is a activation, not an experiment"):
        train(Cell(task="train", spec="relu", backend="numpy"))
    with pytest.raises(CrossnnError):
        train(Cell(task="train", spec="fit-line", backend="nowhere", mode="eager"))


DIVERGES = """
[explodes]
kind = "experiment"
data = "linear4"
network = "linear_regression"
loss = "mse"
optimizer = { use = "sgd", lr = 1e30 }
batch_size = 32
epochs = 8
"""


@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_a_loss_that_is_no_number_becomes_null(mode: str, tmp_path: Any) -> None:
    file = tmp_path / "own.toml"
    file.write_text(DIVERGES)
    one = run("explodes", "numpy", mode, files=(str(file),))
    assert one.loss[-1] is None
    assert one.held_out_loss[-1] is None
    assert json.loads(msgspec.json.encode(one))["loss"][-1] is None
    reference = run("explodes", "oracle", "exact", files=(str(file),))
    assert json.loads(msgspec.json.encode(reference))["loss"][-1] is None


def test_every_mode_is_named_in_what_it_returns() -> None:
    assert run("fit-line", "numpy").mode == registry.find("numpy").modes[0]
    one = run("fit-line", "numpy", "compiled")
    assert (one.mode, one.dtype, one.steps) == ("compiled", "float64", task("fit-line").batches * 20)
    assert one.facts["backend"] == "numpy"
    assert one.step_seconds > 0
