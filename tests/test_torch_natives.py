"""PyTorch's own implementations of every kind: numbers by hand, the calls that rows are bound to, and that every name
in a call exists. That they compute their rows is judged in test_parity.py, quantity by quantity."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from crossnn.adapter import Adapter, Native
from crossnn.catalogue.build import knob_choices, settings
from crossnn.catalogue.load import load_catalogue
from crossnn.errors import BackendError
from crossnn.parity.plan import NATIVE_KINDS

Start = Callable[..., Adapter]
Given = Mapping[str, Any]
LAYER: Given = {"training": False}
ROWS = [row for row in load_catalogue().rows.values() if row.kind in NATIVE_KINDS]


def complete(name: str, given: Given) -> dict[str, Any]:
    hyper, knobs = settings(load_catalogue().find(name), given)
    return {**hyper, **knobs}


def natives(backend: Adapter, kind: str, name: str, given: Given | None = None) -> list[Native]:
    wanted = {**complete(name, given or {}), **(LAYER if kind == "layer" else {})}
    first = backend.native(kind, name, wanted)
    others = backend.variants(kind, name, wanted)
    assert first is not None or not others
    return [*([first] if first else []), *others]


def test_calls_name_what_exists_and_differ(adapter: Start) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    backend = adapter("torch")
    names = set()
    for row in ROWS:
        for knobs in knob_choices(row):
            calls = [one.call for one in natives(backend, row.kind, row.name, knobs)]
            assert len(set(calls)) == len(calls), (row.name, knobs, calls)
            names.update(re.findall(r"torch(?:\.\w+)+", " ".join(calls)))
    assert len(names) > 200
    for name in names:
        operator.attrgetter(name.partition(".")[2])(torch)


CALLS: list[tuple[str, str, Given, str]] = [
    ("activation", "heaviside", {}, ""),
    ("activation", "glu", {"gate": "relu"}, ""),
    ("activation", "celu", {}, "torch.nn.functional.celu; torch.nn.CELU"),
    ("loss", "triplet", {"distance": "squared"},
     "torch.nn.functional.triplet_margin_with_distance_loss(distance_function=);"
     " torch.nn.TripletMarginWithDistanceLoss(distance_function=)"),
    ("layer", "lstm", {}, "torch.nn.LSTM; torch.nn.LSTMCell"),
    ("layer", "gru", {"reset_after": False}, ""),
    ("layer", "conv2d", {"padding": "same", "strides": [2, 2]}, "torch.nn.functional.conv2d(torch.nn.functional.pad)"),
    ("layer", "average_pool1d", {"padding": "same", "count_padding": True},
     "torch.nn.functional.avg_pool1d(torch.nn.functional.pad)"),
    ("optimizer", "muon", {"momentum": "nesterov", "scale": "rms"}, "torch.optim.Muon"),
    ("optimizer", "sgd", {}, "torch.optim.SGD; torch.optim.SGD(foreach=True); torch.optim.SGD(foreach=False);"
     " torch.optim.SGD(fused=True); torch.optim.SGD(differentiable=True)"),
    ("optimizer", "adam", {"eps_place": "hat"}, "torch.optim.SparseAdam"),
    ("optimizer", "adam", {"eps_place": "inside"}, ""),
    ("optimizer", "momentum", {"form": "dampened"}, ""),
    ("loss", "half_squared_error", {}, "torch.nn.functional.gaussian_nll_loss(var=1); torch.nn.GaussianNLLLoss(var=1)"),
    ("layer", "reshape", {}, "torch.reshape; torch.nn.Unflatten(torch.flatten)"),
    ("schedule", "polynomial_decay", {}, "torch.optim.lr_scheduler.PolynomialLR(lr - end) + end"),
    ("schedule", "polynomial_decay", {"end": 0.0}, "torch.optim.lr_scheduler.PolynomialLR"),
    ("schedule", "linear_warmup", {"first": "zero"}, ""),
    ("clipping", "clip_by_global_norm", {}, ""),
    ("constraint", "max_norm", {}, ""),
    ("constraint", "max_norm", {"eps_everywhere": False, "eps": 1e-3}, ""),
    ("constraint", "max_norm", {"eps_everywhere": False}, "torch.renorm; torch.nn.functional.embedding(max_norm=)"),
    ("initializer", "he_normal", {"truncated": True}, ""),
    ("metric", "recall", {}, ""),
]  # fmt: skip
"""(kind, row, settings, what torch has for them, in order)."""


@pytest.mark.parametrize(("kind", "name", "given", "calls"), CALLS, ids=[f"{row[1]}-{row[2]}" for row in CALLS])
def test_what_is_bound(adapter: Start, kind: str, name: str, given: Given, calls: str) -> None:
    found = natives(adapter("torch"), kind, name, given)
    assert [one.call for one in found] == [call for call in calls.split("; ") if call]


# (row, settings, counts of steps taken, rates), by hand
COSINE = {"lr": 0.1, "end": 0.02, "steps": 20}
RATES: list[tuple[str, Given, Sequence[int], Sequence[float]]] = [
    ("constant", {"lr": 0.3}, [7, 0], [0.3, 0.3]),
    ("step_decay", {"period": 3, "gamma": 0.5}, [6, 0, 2, 3, 3, 5], [0.025, 0.1, 0.1, 0.05, 0.05, 0.05]),
    ("exponential_decay", {"period": 5, "gamma": 0.25}, [0, 5, 10, 20], [0.1, 0.025, 0.00625, 0.1 / 256]),
    ("exponential_decay", {"period": 5, "gamma": 0.25, "staircase": True}, [4, 5, 9], [0.1, 0.025, 0.025]),
    ("polynomial_decay", {"end": 0.0}, [0, 10, 20, 30], [0.1, 0.025, 0.0, 0.0]),
    ("polynomial_decay", {"end": 0.02}, [0, 10, 20, 30], [0.1, 0.04, 0.02, 0.02]),
    ("cosine_decay", COSINE, [0, 10, 20, 21, 30, 40], [0.1, 0.06, 0.02, 0.02, 0.02, 0.02]),
    ("cosine_decay", {**COSINE, "beyond": "rises"}, [0, 10, 20, 30, 40, 50], [0.1, 0.06, 0.02, 0.06, 0.1, 0.06]),
    ("cosine_decay", {**COSINE, "beyond": "restarts"}, [0, 10, 20, 30, 40], [0.1, 0.06, 0.1, 0.06, 0.1]),
    ("linear_warmup", {}, [0, 3, 4, 5, 60], [0.02, 0.08, 0.1, 0.1, 0.1]),
    ("warmup_cosine", {"end": 0.02}, [0, 3, 4, 14, 24, 25, 60], [0.02, 0.08, 0.1, 0.06, 0.02, 0.02, 0.02]),
    ("one_cycle", {"start": 10, "end": 100}, [0, 9, 18, 25, 26], [0.01, 0.1, 0.01, 0.001, 0.001]),
    ("one_cycle", {"start": 10, "end": 100, "phases": "two", "rise": 5}, [0, 5, 15, 25], [0.01, 0.1, 0.0505, 0.001]),
    ("one_cycle", {"start": 10, "rise": 8, "anneal": "cosine"}, [0, 4, 8, 12, 16], [0.01, 0.055, 0.1, 0.055, 0.01]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "counts", "rates"), RATES, ids=[f"{row[0]}-{row[1]}" for row in RATES])
def test_schedules(adapter: Start, name: str, given: Given, counts: Sequence[int], rates: Sequence[float]) -> None:
    found = natives(adapter("torch"), "schedule", name, given)
    assert found
    for native in found:
        np.testing.assert_allclose(native.function(np.array(counts, float)), rates, rtol=1e-12, atol=1e-15)


GRADIENTS = {"kernel": np.array([[3.0, 0.0], [0.0, -0.2]]), "bias": np.array([4.0])}
OWN, WHOLE = float(np.sqrt(9.04)), float(np.sqrt(25.04))
CLIPPED: list[tuple[str, Given, float, float]] = [
    ("clip_by_value", {"limit": 1.0}, 1.0, 1.0),
    ("clip_by_norm", {"limit": 3.5, "guarded": True}, 3.0, 4 * 3.5 / (4 + 1e-6)),
    ("clip_by_norm", {"limit": 1.0, "guarded": True}, 3 / (OWN + 1e-6), 4 / (4 + 1e-6)),
    ("clip_by_global_norm", {"limit": 6.0, "guarded": True}, 3.0, 4.0),
    ("clip_by_global_norm", {"limit": 1.0, "guarded": True}, 3 / (WHOLE + 1e-6), 4 / (WHOLE + 1e-6)),
]
"""(row, settings, the first number of the kernel, the bias)."""


@pytest.mark.parametrize(("name", "given", "kernel", "bias"), CLIPPED, ids=[f"{row[0]}-{row[1]}" for row in CLIPPED])
def test_clipping(adapter: Start, name: str, given: Given, kernel: float, bias: float) -> None:
    backend = adapter("torch")
    gradients = {key: backend.tensor(array) for key, array in GRADIENTS.items()}
    found = natives(backend, "clipping", name, given)
    assert len(found) > 2
    for native in found:
        clipped = {key: backend.array(value) for key, value in native.function(gradients).items()}
        np.testing.assert_allclose([clipped["kernel"][0, 0], clipped["bias"][0]], [kernel, bias], rtol=1e-14)
        np.testing.assert_array_equal(backend.array(gradients["bias"]), [4.0], err_msg="what was given is changed")


SHAPE = (3, 2, 50, 7)
"""Two axes of space, 50 inputs and 7 outputs: a fan of 300 in and of 42 out."""
BOUNDS = {
    "uniform": 0.05, "glorot_uniform": np.sqrt(6 / 342), "he_uniform": np.sqrt(6 / 300),
    "lecun_uniform": np.sqrt(3 / 300),
}  # fmt: skip
DEVIATIONS = {
    "normal": 0.05, "glorot_normal": np.sqrt(2 / 342), "he_normal": np.sqrt(2 / 300), "lecun_normal": np.sqrt(1 / 300),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", [*BOUNDS, *DEVIATIONS, "truncated_normal"])
def test_initializers_know_their_fans(adapter: Start, name: str, dtype: str) -> None:
    """Of 2100 numbers the largest comes near the bound, and their deviation near the true one."""
    (native,) = natives(adapter("torch", dtype), "initializer", name)
    draws, parameter = native.function(SHAPE, 1)
    ((drawn, numbers),) = draws.items()
    assert (parameter.shape, parameter.dtype, numbers.shape, numbers.dtype) == (SHAPE, dtype, SHAPE, dtype)
    if name in BOUNDS:
        assert drawn == "u"
        assert 0 <= numbers.min() < 0.01 < 0.99 < numbers.max() < 1
        assert 0.98 < np.abs(parameter).max() / BOUNDS[name] <= 1 + 1e-6
        np.testing.assert_allclose(parameter, (2 * numbers - 1) * BOUNDS[name], rtol=1e-4, atol=1e-6)
    elif name in DEVIATIONS:
        assert drawn == "z"
        np.testing.assert_allclose(parameter, numbers * DEVIATIONS[name], rtol=1e-5, atol=1e-9)
        assert abs(numbers.std() - 1) < 0.05
    else:
        assert drawn == "c"
        assert 1.9 < np.abs(numbers).max() <= 2
        assert 0.8 < numbers.std() < 0.96
        np.testing.assert_allclose(parameter, numbers * 0.05, rtol=1e-5, atol=1e-9)
    _, other = native.function(SHAPE, 2)
    assert not np.any(parameter == other)


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (2, 3, 4)])
def test_orthogonal(adapter: Start, shape: tuple[int, ...]) -> None:
    (native,) = natives(adapter("torch"), "initializer", "orthogonal", {"gain": 3.0})
    draws, parameter = native.function(shape, 0)
    matrix = parameter.reshape(-1, shape[-1])
    small = matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 9 * np.eye(len(small)), atol=1e-12)
    assert draws["m"].shape == (max(matrix.shape), min(matrix.shape))


def run(native: Native, given: Given, gradients: Sequence[float]) -> list[tuple[float, dict[str, float]]]:
    """From w = 1, with a learning rate of 0.1."""
    optimizer = native.function({"w": np.ones((2, 1))}, given)
    found = []
    for gradient in gradients:
        optimizer.step({"w": np.full((2, 1), gradient)}, 0.1)
        params, state = optimizer.read()
        found.append((float(params["w"][1, 0]), {slot: float(value["w"].flat[-1]) for slot, value in state.items()}))
    return found


STEPS: list[tuple[str, Given, list[tuple[float, dict[str, float]]]]] = [
    ("momentum", {"form": "dampened_later", "rho": 0.9, "dampening": 0.5}, [(0.8, {"v": 2.0}), (0.57, {"v": 2.3})]),
    ("weight_ema", {"rho": 0.75, "start": "first"}, [(0.8, {"average": 0.8}), (0.7, {"average": 0.775})]),
    ("weight_ema", {"rho": 0.75, "start": "initial"}, [(0.8, {"average": 0.95}), (0.7, {"average": 0.8875})]),
]  # fmt: skip
"""(row, settings, parameter and state after gradients of 2 and 1), by hand."""


@pytest.mark.parametrize(("name", "given", "expected"), STEPS, ids=[f"{row[0]}-{row[1]}" for row in STEPS])
def test_first_steps(adapter: Start, name: str, given: Given, expected: list[tuple[float, dict[str, float]]]) -> None:
    backend, wanted = adapter("torch"), complete(name, {**given, "lr": 0.1})
    found = natives(backend, "optimizer", name, given)
    assert len(found) > 1
    for native in found:
        for (w, state), (right, slots) in zip(run(native, wanted, [2.0, 1.0]), expected, strict=True):
            assert w == pytest.approx(right, rel=1e-14)
            assert state == pytest.approx(slots, rel=1e-14)


@pytest.mark.parametrize(("name", "given"), [("adam", {"eps_place": "hat"}), ("adam", {}), ("weight_ema", {})])
def test_updates_to_be_timed_are_the_steps(adapter: Start, name: str, given: Given) -> None:
    backend, wanted = adapter("torch"), complete(name, {**given, "lr": 0.1})
    gradients = [{"w": np.full((2, 1), gradient)} for gradient in (2.0, -1.0)]
    for native in natives(backend, "optimizer", name, given):
        optimizer = native.function({"w": np.ones((2, 1))}, wanted)
        update = optimizer.updates(gradients, 0.1)
        for number in (0, 1):
            update(number)
        params, _ = optimizer.read()
        assert float(params["w"][0, 0]) == run(native, wanted, [2.0, -1.0])[-1][0], native.call


def test_attention_does_not_drop_features(adapter: Start) -> None:
    backend = adapter("torch")
    native = next(one for one in natives(backend, "layer", "self_attention") if one.call.endswith("MultiheadAttention"))
    with pytest.raises(BackendError, match="keeps all 7 features, which are more than 2 heads of size 3"):
        native.function({}, backend.tensor(np.zeros((1, 2, 7))))
