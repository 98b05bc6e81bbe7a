"""JAX's and optax's own implementations: which calls there are for which settings, and what they compute, against
numbers found by hand or plain NumPy. The precise verdict is that of the checks, which judge every one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from crossnn import registry
from crossnn.adapter import Adapter, Native
from crossnn.bindings import bound

pytest.importorskip("jax")
pytest.importorskip("optax")
ROWS = import_module("crossnn.backends.jax_rows")
reduced = import_module("crossnn.backends.jax_losses").reduced

ADAM = {"lr": 0.1, "beta1": 0.8, "beta2": 0.97, "eps": 1e-2, "eps_place": "outside", "bias_correction": True}
MOMENTUM = {"lr": 0.1, "rho": 0.8, "dampening": 0.3, "weight_decay": 0.5}
CYCLE = {"lr": 0.1, "start": 20, "end": 40.0, "rise": 4, "steps": 10}


@pytest.fixture
def backend() -> Iterator[Adapter]:
    adapter = registry.load("jax")
    adapter.start("cpu", "float64", 1)
    yield adapter
    adapter.start("cpu", "float64", 1)


def every(adapter: Adapter, kind: str, name: str, knobs: dict[str, Any]) -> dict[str, Native]:
    first = adapter.native(kind, name, knobs)
    found = [*([first] if first else []), *adapter.variants(kind, name, knobs)]
    assert len({one.call for one in found}) == len(found), "each call once"
    return {one.call: one for one in found}


@pytest.mark.parametrize(
    ("kind", "name", "knobs", "calls"),
    [
        ("activation", "sigmoid", {}, ["jax.nn.sigmoid", "jax.lax.logistic", "jax.scipy.special.expit"]),
        ("activation", "hard_sigmoid", {"slope": "half"}, ["jax.nn.sparse_sigmoid"]),
        ("activation", "hard_sigmoid", {"slope": "fifth"}, []),
        ("activation", "log_softmax", {},
         ["jax.nn.log_softmax", "jax.scipy.special.log_softmax", "x - jax.nn.logsumexp(x)"]),
        ("activation", "tanh_shrink", {}, []),
        ("loss", "mse", {"reduction": "sum"}, ["optax.losses.squared_error"]),
        ("loss", "dice", {"eps": 1e-7, "eps_above": False, "squared": False}, []),
        ("constraint", "max_norm", {"limit": 2.0, "eps": 1e-7, "eps_everywhere": False}, []),
        ("optimizer", "adam", ADAM, ["optax.adam", "optax.inject_hyperparams(optax.adam)",
                                     "optax.chain(optax.scale_by_adam, optax.scale_by_learning_rate)"]),
        ("optimizer", "adam", {**ADAM, "bias_correction": False}, []),
        ("optimizer", "momentum", {**MOMENTUM, "form": "inside", "decay": "none"},
         ["optax.chain(optax.scale, optax.trace, optax.scale)"]),
        ("optimizer", "rmsprop",
         {"lr": 0.1, "rho": 0.9, "eps": 0.1, "mu": 0.9, "eps_place": "outside", "centered": True,
          "momentum": "outside"},
         ["optax.chain(optax.scale_by_stddev, optax.trace, optax.scale_by_learning_rate)"]),
        ("initializer", "he_normal", {"truncated": False},
         ['jax.nn.initializers.variance_scaling(2, "fan_in", "normal")']),
    ],
)  # fmt: skip
def test_what_is_called(backend: Adapter, kind: str, name: str, knobs: dict[str, Any], calls: list[str]) -> None:
    assert list(every(backend, kind, name, knobs)) == calls


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("optax.adam", True),
        ("optax.no_such_optimizer", False),
        ("optax.losses.no_such_loss(y, t)", False),
        ("optax.chain(optax.scale_by_adam, optax.no_such_part)", False),
        ("optax.sgd(momentum=, nesterov=True)", True),
        ("optax.sgd(no_such_keyword=)", False),
        ("optax.no_such_module.adam", False),
        ("jax.no_such_module.function", False),
    ],
)
def test_what_a_version_does_not_have_is_left_out(call: str, expected: bool) -> None:
    assert ROWS.known(call) == expected
    assert [one.call for one in bound((ROWS.row(call, abs),), {})] == ([call] if expected else [])


VALUE = np.array([[1.0, 2.0], [3.0, 6.0]])
WEIGHT = np.array([[1.0], [3.0]])


@pytest.mark.parametrize(
    ("by", "weight", "expected"),
    [
        ("mean", None, 3.0),
        ("sum", None, 12.0),
        ("none", None, VALUE),
        ("batch_mean", None, 6.0),
        ("sum_of_means", None, 6.0),
        ("mean", WEIGHT, 7.5),
        ("weighted_mean", WEIGHT, 3.75),
    ],
)
def test_reductions(by: str, weight: np.ndarray | None, expected: Any) -> None:
    np.testing.assert_allclose(reduced(VALUE, by, weight), expected, rtol=1e-15)


def test_classes_have_weights(backend: Adapter) -> None:
    logits, weights = backend.tensor(np.zeros((2, 2))), backend.tensor(np.array([1.0, 3.0]))
    knobs = {"reduction": "weighted_mean", "weights": "class"}
    for name, t in [("categorical_crossentropy_logits", np.eye(2)), ("sparse_categorical_crossentropy_logits",
                                                                     np.array([0, 1]))]:  # fmt: skip
        for native in every(backend, "loss", name, knobs).values():
            assert float(native.function(logits, backend.tensor(t), weights)) == pytest.approx(math.log(2)), native.call


def test_cross_entropies_of_certain_labels(backend: Adapter) -> None:
    y, t = np.log([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]]) + 3, np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    found = every(backend, "loss", "categorical_crossentropy_logits", {"reduction": "none"})
    assert "optax.losses.make_fenchel_young_loss(jax.nn.logsumexp)" in found
    assert "optax.losses.softmax_cross_entropy_with_integer_labels(y, jax.numpy.argmax(t))" in found
    for native in found.values():
        value = native.function(backend.tensor(y), backend.tensor(t))
        np.testing.assert_allclose(value, -np.log([0.25, 0.75]), rtol=1e-12, err_msg=native.call)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dice", [1 - (2 * 0.5 + 0.2) / (1.5 + 1 + 0.2), 1 - (2 * 0.25 + 0.2) / (0.5 + 2 + 0.2)]),
        ("jaccard", [1 - (0.5 + 0.2) / (2 + 0.2), 1 - (0.25 + 0.2) / (2.25 + 0.2)]),
    ],
)
def test_overlaps(backend: Adapter, name: str, expected: list[float]) -> None:
    y, t = np.array([[0.5, 0.75, 0.25], [0.125, 0.125, 0.25]]), np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    knobs = {"eps": 0.2, "eps_above": True, "squared": False, "reduction": "none"}
    found = every(backend, "loss", name, knobs)
    assert found
    for native in found.values():
        np.testing.assert_allclose(native.function(backend.tensor(y), backend.tensor(t)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "knobs", "counts", "expected"),
    [
        ("step_decay", {"lr": 8.0, "period": 3, "gamma": 0.5}, [0, 2, 3, 5, 6, 9], [8, 8, 4, 4, 2, 1]),
        ("linear_warmup", {"lr": 1.0, "warmup": 4, "first": "one"}, [0, 1, 3, 9], [0.25, 0.5, 1, 1]),
        ("linear_warmup", {"lr": 1.0, "warmup": 4, "first": "zero"}, [0, 1, 4, 9], [0, 0.25, 1, 1]),
        ("cosine_decay", {"lr": 1.0, "end": 0.5, "steps": 4, "beyond": "restarts"}, [0, 2, 4, 6, 8],
         [1, 0.75, 1, 0.75, 1]),
        ("cosine_decay", {"lr": 1.0, "end": 0.5, "steps": 4, "beyond": "stays"}, [0, 2, 4, 6], [1, 0.75, 0.5, 0.5]),
        ("warmup_cosine", {"lr": 1.0, "end": 0.5, "warmup": 2, "steps": 6, "first": "one"}, [0, 1, 3, 5, 9],
         [0.5, 1, 0.75, 0.5, 0.5]),
        ("inverse_time_decay", {"lr": 1.0, "period": 2, "rate": 0.5, "staircase": True}, [0, 1, 2, 4],
         [1, 1, 1 / 1.5, 0.5]),
        *(("one_cycle", {**CYCLE, "phases": "three", "anneal": anneal}, [0, 2, 4, 8, 10, 11],
           [0.005, 0.0525, 0.1, 0.005, 0.0025, 0.0025]) for anneal in ("linear", "cosine")),
        *(("one_cycle", {**CYCLE, "phases": "two", "anneal": anneal}, [0, 2, 4, 7, 10],
           [0.005, 0.0525, 0.1, 0.05125, 0.0025]) for anneal in ("linear", "cosine")),
    ],
)  # fmt: skip
def test_schedules(
    backend: Adapter, name: str, knobs: dict[str, Any], counts: list[int], expected: list[float]
) -> None:
    found = every(backend, "schedule", name, knobs)
    assert found
    for native in found.values():
        rates = native.function(np.array(counts, float))
        assert rates.dtype == np.float64
        np.testing.assert_allclose(rates, expected, rtol=1e-6, atol=1e-12, err_msg=native.call)


@pytest.mark.parametrize(
    ("name", "knobs", "expected"),
    [
        ("clip_by_value", {"limit": 1.0}, {"a": [1.0, 1.0], "b": [-0.5]}),
        ("clip_by_norm", {"limit": 2.5, "guarded": False}, {"a": [1.5, 2.0], "b": [-0.5]}),
        ("clip_by_global_norm", {"limit": math.sqrt(25.25) / 2, "guarded": False}, {"a": [1.5, 2.0], "b": [-0.25]}),
        ("clip_by_global_norm", {"limit": 6.0, "guarded": False}, {"a": [3.0, 4.0], "b": [-0.5]}),
    ],
)
def test_clippings(backend: Adapter, name: str, knobs: dict[str, Any], expected: dict[str, list[float]]) -> None:
    gradients = {"a": backend.tensor(np.array([3.0, 4.0])), "b": backend.tensor(np.array([-0.5]))}
    found = every(backend, "clipping", name, knobs)
    assert found
    for native in found.values():
        clipped = native.function(gradients)
        assert clipped.keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(clipped[key], value, rtol=1e-12, err_msg=native.call)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "knobs", "formula"),
    [
        ("uniform", {"low": -2.0, "high": 3.0}, lambda d: 5 * d["u"] - 2),
        ("normal", {"mean": 0.0, "stddev": 3.0}, lambda d: 3 * d["z"]),
        ("glorot_uniform", {}, lambda d: math.sqrt(6 / 10) * (2 * d["u"] - 1)),
        ("he_normal", {"truncated": True}, lambda d: math.sqrt(2 / 6) * d["c"] / 0.8796256610342398),
        ("lecun_normal", {"truncated": False}, lambda d: math.sqrt(1 / 6) * d["z"]),
    ],
)
def test_initializers(
    backend: Adapter, name: str, knobs: dict[str, Any], formula: Callable[[dict[str, np.ndarray]], np.ndarray],
    dtype: str,
) -> None:  # fmt: skip
    backend.start("cpu", dtype, 1)
    found = every(backend, "initializer", name, knobs)
    assert found
    for native in found.values():
        draws, parameter = native.function((6, 4), 3)
        assert {array.dtype for array in (*draws.values(), parameter)} == {np.dtype(dtype)}
        np.testing.assert_allclose(parameter, formula(draws), rtol=1e-5, atol=1e-6, err_msg=native.call)


def momentum(form: str, decay: str) -> list[float]:
    """Two steps by hand, with the gradients 1 and -2 and the rates 0.1 and 0.2, from w = 1."""
    w, v = 1.0, 0.0
    for g, lr in ((1.0, 0.1), (-2.0, 0.2)):
        if decay == "coupled":
            g += 0.5 * w
        if decay == "before":
            w -= lr * 0.5 * w
        v = 0.8 * v + {"inside": lr, "ema": 1 - 0.8, "dampened": 1 - 0.3, "outside": 1.0}[form] * g
        w -= v if form == "inside" else lr * v
    return [w, v]


@pytest.mark.parametrize("mode", ["eager", "jit"])
@pytest.mark.parametrize("decay", ["none", "coupled", "before"])
@pytest.mark.parametrize("form", ["outside", "inside", "ema", "dampened"])
def test_forms_of_momentum(backend: Adapter, form: str, decay: str, mode: str) -> None:
    hyper = {**MOMENTUM, "form": form, "decay": decay}
    found = every(backend, "optimizer", "momentum", hyper)
    assert found
    for native in found.values():
        assert native.modes == ("eager", "jit")
        optimizer = native.function({"w": np.array([1.0])}, hyper, mode)
        optimizer.step({"w": np.array([1.0])}, 0.1)
        optimizer.step({"w": np.array([-2.0])}, 0.2)
        params, state = optimizer.read()
        reached = [float(params["w"][0]), float(state["v"]["w"][0])]
        assert reached == pytest.approx(momentum(form, decay), rel=1e-12), native.call


@pytest.mark.parametrize("mode", ["eager", "jit"])
def test_a_state_is_loaded_below_injected_hyperparameters(backend: Adapter, mode: str) -> None:
    m, v, g, w = 0.5, 0.25, 2.0, 1.0
    first, second = 0.8 * m + 0.2 * g, 0.97 * v + 0.03 * g * g
    expected = w - 0.3 * (first / (1 - 0.8**4)) / (math.sqrt(second / (1 - 0.97**4)) + 1e-2)
    for native in every(backend, "optimizer", "adam", ADAM).values():
        optimizer = native.function({"w": np.array([w])}, ADAM, mode)
        optimizer.load({"w": np.array([w])}, {"m": {"w": np.array([m])}, "v": {"w": np.array([v])}}, 3)
        optimizer.step({"w": np.array([g])}, 0.3)
        params, state = optimizer.read()
        assert float(params["w"][0]) == pytest.approx(expected, rel=1e-12), native.call
        assert float(state["m"]["w"][0]) == pytest.approx(first, rel=1e-12), native.call


@pytest.mark.parametrize("mode", ["eager", "jit"])
def test_updates_for_timing_are_steps(backend: Adapter, mode: str) -> None:
    gradients = [{"w": np.array([1.0, -2.0])}, {"w": np.array([0.5, 0.25])}]
    for native in every(backend, "optimizer", "adam", ADAM).values():
        stepped = native.function({"w": np.zeros(2)}, ADAM, mode)
        timed = native.function({"w": np.zeros(2)}, ADAM, mode)
        one = timed.updates(gradients, 0.1)
        for number, gradient in enumerate(gradients):
            stepped.step(gradient, 0.1)
            one(number)
        np.testing.assert_array_equal(timed.read()[0]["w"], stepped.read()[0]["w"], err_msg=native.call)


def test_an_average_of_parameters(backend: Adapter) -> None:
    hyper = {"lr": 0.5, "rho": 0.75, "start": "initial"}
    native = backend.native("optimizer", "weight_ema", hyper)
    assert native is not None
    optimizer = native.function({"w": np.array([1.0])}, hyper)
    optimizer.step({"w": np.array([2.0])}, 0.5)
    params, state = optimizer.read()
    assert (float(params["w"][0]), float(state["average"]["w"][0])) == (0.0, 0.75)
    assert backend.native("optimizer", "weight_ema", {**hyper, "start": "first"}) is None
