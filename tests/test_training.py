"""Training: every backend is given the same inputs of every step, and what it arrives at is the reference's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from crossnn import registry
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Experiment
from crossnn.errors import CrossnnError, SpecError
from crossnn.experiment.task import Task
from crossnn.parity.check import check
from crossnn.parity.plan import first_steps, train_cells
from crossnn.runs.cell import Cell, Record, Training
from crossnn.training.loop import walk
from crossnn.training.train import machine_of, train
from crossnn.training.verdict import HELD_OUT, QUANTITY, judge_curves

Require = Callable[[str], None]
CATALOGUE = load_catalogue()
FILES = ("mnist", "fashion_mnist", "imdb")
EXPERIMENTS = [
    row.name
    for row in CATALOGUE.of_kind("experiment")
    if isinstance(row, Experiment) and row.data not in FILES and not row.family.startswith("approximate")
]
SMALL = ("fit-line", "learn-xor", "bowl", "least-squares", "perceptron-rule", "text-bag", "threshold-xor-layers")
MODES = [("numpy", "eager"), ("numpy", "compiled"), ("torch", "eager"), ("tensorflow", "graph"), ("jax", "jit")]


def run(spec: str, backend: str, mode: str = "", dtype: str = "float64", **rest: Any) -> Training:
    (found,) = train(Cell(task="train", spec=spec, backend=backend, mode=mode, dtype=dtype, **rest))
    assert isinstance(found, Training)
    return found


def task(spec: str, seed: int = 0, files: tuple[str, ...] = ()) -> Task:
    catalogue = load_catalogue(files)
    row = catalogue.find(spec)
    assert isinstance(row, Experiment)
    return Task(row, catalogue, seed)


@pytest.fixture(scope="module")
def reference() -> Callable[[str], Training]:
    known: dict[str, Training] = {}

    def get(spec: str) -> Training:
        if spec not in known:
            known[spec] = run(spec, "oracle", "exact")
        return known[spec]

    return get


@pytest.mark.parametrize("spec", SMALL)
@pytest.mark.parametrize(("backend", "mode"), MODES, ids=lambda one: one)
def test_a_training_is_the_references(
    spec: str, backend: str, mode: str, require: Require, reference: Callable[[str], Training]
) -> None:
    require(backend)
    one = run(spec, backend, mode)
    (_, judged), records = judge_curves([reference(spec), one])
    assert {record.verdict for record in records} == {"EQUAL"}, records
    assert judged.curve_r == max(record.r or 0.0 for record in records)
    wanted = {
        "bowl": [QUANTITY, "closed form"],
        "least-squares": [QUANTITY, HELD_OUT, "least squares"],
        "threshold-xor-layers": [HELD_OUT, "targets"],
    }
    assert [record.quantity for record in records] == wanted.get(spec, [QUANTITY, HELD_OUT])
    if one.loss:
        assert (one.loss[-1] or 0.0) < (one.loss[0] or 0.0)
    if spec == "learn-xor":
        assert one.metrics["binary_accuracy_logits"][-1] == 1.0


@pytest.mark.parametrize("spec", ["fit-line", "bowl", "least-squares"])
def test_float32_is_judged_by_its_own_roundoff(spec: str, reference: Callable[[str], Training]) -> None:
    one = run(spec, "numpy", "compiled", "float32")
    _, records = judge_curves([reference(spec), one])
    assert {record.verdict for record in records} == {"EQUAL"}
    assert one.loss != reference(spec).loss


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
    _, (record, *_) = judge_curves([change(one), one])
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
    if len(order) > 4:
        assert not np.array_equal(order, again.order(2))
        assert not np.array_equal(order, other.order(3))
    again.batch(0, 0, again.order(0))
    for number in (one.batches - 1, 0):
        mine, yours = one.batch(3, number, order), again.batch(3, number, order)
        assert mine.keys() == yours.keys()
        assert all(np.array_equal(mine[name], yours[name]) for name in mine)
        assert len(mine["x"]) == one.batch_size
    assert all(np.array_equal(one.params[name], again.params[name]) for name in one.params)
    if not one.network.weights:
        assert any(not np.array_equal(one.params[name], other.params[name]) for name in one.params)


def test_masks_change_with_every_step() -> None:
    one = task("digits-mlp")
    order = one.order(0)
    masks = [one.batch(epoch, number, order)["dropout.mask"] for epoch, number in ((0, 0), (0, 1), (1, 0))]
    assert not np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[0], masks[2])
    assert abs(np.mean(masks) - 0.8) < 0.03


@pytest.mark.parametrize("quantity", [HELD_OUT, "least squares"])
@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "EQUAL"), (1 + 1e-9, "FORMULA")])
def test_a_wrong_evaluation_or_ending_is_found(
    quantity: str, factor: float, verdict: str, reference: Callable[[str], Training]
) -> None:
    one = reference("least-squares")
    key = "held_out_loss" if quantity == HELD_OUT else "ending"
    values = [value * factor for value in getattr(one, key) if value is not None]
    changed = msgspec.structs.replace(one, backend="numpy", **{key: tuple(values)})
    found = {record.quantity: record.verdict for record in judge_curves([changed, one])[1]}
    assert found.pop(quantity) == verdict
    assert set(found.values()) == {"EQUAL"}


def test_an_ending_of_another_length_is_an_error(reference: Callable[[str], Training]) -> None:
    one = reference("bowl")
    short = msgspec.structs.replace(one, backend="numpy", ending=one.ending[:-2])
    (_, record) = judge_curves([short, one])[1]
    assert (record.verdict, record.message) == ("ERROR", "78 numbers, where the reference has 80")


def test_wrong_names_are_one_sentence() -> None:
    with pytest.raises(SpecError, match="'relu' is a activation, not an experiment and not a study"):
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


# Running statistics, constraints, full batches -------------------------------------------------------------------

NORMALISED = """
[net]
kind = "network"
input = [4]
layers = [
  { layer = "batch_norm", name = "norm", momentum = 0.5 },
  { layer = "dense", name = "linear" },
]
[trains]
kind = "experiment"
data = "linear4"
network = "net"
loss = "mse"
optimizer = { use = "sgd", lr = 0.1 }
batch_size = 64
samples = 300
epochs = 3
"""


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """A file with these rows, as cells name it."""

    def write(text: str) -> tuple[str, ...]:
        (tmp_path / "own.toml").write_text(text)
        return (str(tmp_path / "own.toml"),)

    return write


@pytest.mark.parametrize(("backend", "mode"), [*MODES, ("tensorflow", "eager"), ("jax", "eager")], ids=lambda one: one)
def test_running_statistics_are_carried_along(
    backend: str, mode: str, require: Require, own: Callable[[str], tuple[str, ...]]
) -> None:
    require(backend)
    files = own(NORMALISED)
    both = [run("trains", "oracle", "exact", files=files), run("trains", backend, mode, files=files)]
    records = judge_curves(both)[1]
    assert [(record.quantity, record.verdict) for record in records] == [(QUANTITY, "EQUAL"), (HELD_OUT, "EQUAL")]


def test_running_statistics_are_the_means_of_the_batches(own: Callable[[str], tuple[str, ...]]) -> None:
    """By hand: half of the old, half of the batch's; and the evaluation uses them."""
    one = task("trains", files=own(NORMALISED))
    assert one.layers["norm.running_variance"].tolist() == [1.0] * 4
    adapter = registry.load("numpy")
    adapter.start("cpu", "float64", 1)
    step = machine_of(one, adapter, "eager").step
    params, state, layers = one.params, one.state, one.layers
    mean, variance = np.zeros(4), np.ones(4)
    for number in range(3):
        data = one.batch(0, number, one.order(0))
        _, params, state, layers = step(params, state, layers, data, np.float64(0.1), np.float64(number + 1))
        mean = (mean + data["x"].mean(axis=0)) / 2
        variance = (variance + data["x"].var(axis=0)) / 2
        assert np.allclose(layers["norm.running_mean"], mean, rtol=1e-12)
        assert np.allclose(layers["norm.running_variance"], variance, rtol=1e-12)
    evaluate = machine_of(one, adapter, "eager").evaluate
    assert evaluate is not None
    z = (one.data.held_out_x - mean) / np.sqrt(variance + 1e-3) * params["norm.gamma"] + params["norm.beta"]
    error = z @ params["linear.kernel"] + params["linear.bias"] - one.data.held_out_t
    assert float(evaluate(params, layers, one.held_out)["loss"]) == pytest.approx(float(np.mean(error**2)), rel=1e-12)


def test_statistics_that_are_forgotten_show_in_the_held_out_curve(own: Callable[[str], tuple[str, ...]]) -> None:
    """Training never reads them, so the loss curve cannot tell."""
    import dataclasses

    files = own(NORMALISED)
    one = task("trains", files=files)
    adapter = registry.load("numpy")
    adapter.start("cpu", "float64", 1)
    right = machine_of(one, adapter, "eager")

    def forgetful(params: Any, state: Any, layers: Any, *rest: Any) -> Any:
        loss, params, state, _ = right.step(params, state, layers, *rest)
        return loss, params, state, layers

    found = walk(one, dataclasses.replace(right, step=forgetful))
    good = run("trains", "oracle", "exact", files=files)
    bad = msgspec.structs.replace(
        good, backend="numpy", loss=tuple(found.loss), held_out_loss=tuple(found.evaluations["loss"])
    )
    records = judge_curves([good, bad])[1]
    assert [(record.quantity, record.verdict) for record in records] == [(QUANTITY, "EQUAL"), (HELD_OUT, "FORMULA")]


def test_the_first_step_judges_the_new_statistics() -> None:
    records = check(Cell(task="check", spec="digits-resnet", backend="numpy", mode="compiled"))
    assert {record.verdict for record in records} <= {"EQUAL", "ROUNDING"}
    quantities = [record.quantity for record in records]
    assert "state.norm0.running_mean" in quantities
    assert "state.v/stem.kernel" in quantities
    assert quantities.index("loss") < quantities.index("backward/logits") < quantities.index("update/logits.bias")


def test_a_constraint_is_for_the_parameters_that_it_names() -> None:
    one = task("mlp-classes")
    big = {name: np.full(value.shape, 10.0) for name, value in one.params.items()}
    adapter = registry.load("numpy")
    adapter.start("cpu", "float64", 1)
    step = machine_of(one, adapter, "compiled").step
    _, params, _, _ = step(big, one.state, {}, one.batch(0, 0, one.order(0)), np.float64(0.0), np.float64(1.0))
    assert np.allclose(np.linalg.norm(params["hidden1.kernel"], axis=0), 2.0, rtol=1e-6)
    assert np.all(params["hidden1.bias"] == 10.0)


def test_a_full_batch_is_one_step_an_epoch() -> None:
    one = task("least-squares")
    assert (one.batch_size, one.batches) == (len(one.data.x), 1)
    assert task("descent-1").batches == len(task("descent-1").data.x) == 128


# What is not run, and why ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "mode"), [("numpy", "compiled"), ("oracle", "exact")])
def test_data_that_are_not_here_are_no_failure(
    backend: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSNN_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (found,) = train(Cell(task="train", spec="mnist-softmax", backend=backend, mode=mode))
    assert isinstance(found, Record)
    assert (found.verdict, found.kind, found.quantity) == ("NOT-RUN", "experiment", QUANTITY)
    assert "CROSSNN_DATA" in found.message
    if backend != "oracle":
        (first,) = check(Cell(task="check", spec="mnist-softmax", backend=backend, mode=mode))
        assert first.verdict == "NOT-RUN"


def test_what_a_row_leaves_out_says_why() -> None:
    cells = train_cells(["deep-sigmoid"], backends=["torch", "numpy"])
    left = {f"{cell.backend} {cell.mode}": cell.left_out for cell in cells if cell.left_out}
    assert list(left) == ["torch compiled"]
    (found,) = train(next(cell for cell in cells if cell.left_out))
    assert isinstance(found, Record)
    assert (found.verdict, found.message) == ("NOT-RUN", left["torch compiled"])
    asked = train_cells(["deep-sigmoid"], backends=["torch"], modes=["compiled"])
    assert not any(cell.left_out for cell in asked), "who asks for the mode gets it"


def test_the_main_ones_are_trained_unless_all_are_asked_for() -> None:
    main, everything = train_cells([]), train_cells([], everything=True)
    named = {cell.spec for cell in main}
    assert {"digits-mlp", "learn-xor", "bowl", "least-squares"} <= named < {cell.spec for cell in everything}
    assert {cell.spec for cell in everything} == {row.name for row in CATALOGUE.of_kind("experiment", "study")}
    first = first_steps(everything, CATALOGUE)
    assert {cell.mode for cell in first if cell.spec == "digits-mlp" and cell.backend == "torch"} == {
        "eager",
        "compiled",
    }
    assert {cell.mode for cell in first if cell.spec == "digits-lenet" and cell.backend == "torch"} == {"eager"}
