"""TensorFlow's and Keras's own functions and classes, against plain NumPy: that every kind is bound, that variants are
told apart, and that compiled optimizers keep nothing. Precise verdicts are made by `crossnn check`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crossnn.adapter import Adapter, Native
from crossnn.catalogue.build import default_knobs, knob_choices, settings
from crossnn.catalogue.load import load_catalogue

Start = Callable[..., Adapter]

KINDS = ("activation", "loss", "regularizer", "constraint", "initializer", "metric", "layer", "schedule", "clipping")
COMPOSED = {
    "sigmoid_slope", "isru", "squared_relu", "half_squared_error", "rmse", "mean_squared_arctangent",
    "weighted_binary_crossentropy", "balanced_binary_crossentropy", "balanced_binary_crossentropy_logits",
    "perceptron_loss", "logistic_margin", "triplet", "dice_coefficient", "jaccard_index", "constant", "one_cycle",
    "rrelu", "learned_positions", "sinusoidal_positions",
}  # fmt: skip
"""Rows for which TensorFlow has no function of its own, in no convention."""

W = np.array([[0.5, -1.5, 0.0], [2.0, 0.25, -0.125]])
T = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
PROBABLE = np.array([[0.2, 0.5, 0.9], [0.75, 0.125, 0.375]])
BITS = np.array([[0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
COLUMNS = np.sqrt(np.sum(W**2, axis=0))


def natives(backend: Adapter, kind: str, row: str, **given: Any) -> dict[str, Native]:
    """Call -> implementation, in these settings."""
    found = load_catalogue().find(row)
    hyper, knobs = settings(found, given)
    first = backend.native(kind, row, {**hyper, **knobs})
    return {one.call: one for one in ([first] if first else []) + [*backend.variants(kind, row, {**hyper, **knobs})]}


FUNCTIONS: list[tuple[str, str, dict[str, Any], tuple[np.ndarray, ...], Any, set[str]]] = [
    ("regularizer", "l1", {"rate": 0.25}, (W,), 0.25 * 4.375,
     {"keras.regularizers.L1", "keras.regularizers.L1L2(l1=)"}),
    ("regularizer", "l2", {"rate": 0.5}, (W,), 0.5 * 6.578125,
     {"keras.regularizers.L2", "keras.regularizers.L1L2(l2=)"}),
    ("regularizer", "l2", {"rate": 0.5, "halved": True}, (W,), 0.25 * 6.578125, {"rate*tf.nn.l2_loss"}),
    ("regularizer", "activity", {"l1": 0.5, "l2": 0.25}, (W,), (0.5 * 4.375 + 0.25 * 6.578125) / 2,
     {"keras.layers.ActivityRegularization"}),
    ("constraint", "max_norm", {"limit": 1.0}, (W,), W * np.minimum(COLUMNS, 1) / (COLUMNS + 1e-7),
     {"keras.constraints.MaxNorm"}),
    ("constraint", "unit_norm", {"eps_place": "least"}, (W,), W / COLUMNS,
     {"keras.ops.normalize", "tf.nn.l2_normalize"}),
    ("metric", "precision", {}, (PROBABLE, BITS), 1.0, {"keras.metrics.Precision"}),
    ("metric", "recall", {}, (PROBABLE, BITS), 2 / 4, {"keras.metrics.Recall"}),
    ("metric", "f1", {}, (PROBABLE, BITS), 2 / 3,
     {"keras.metrics.F1Score(average='micro')", "keras.metrics.FBetaScore(average='micro')"}),
    ("metric", "sparse_categorical_accuracy", {}, (PROBABLE, np.array([2, 1])), 1 / 2,
     {"keras.metrics.SparseCategoricalAccuracy", "keras.metrics.sparse_categorical_accuracy",
      "keras.metrics.Accuracy(t, tf.argmax(y))"}),
    ("metric", "macro_f1", {}, (PROBABLE, T), 1 / 3, {"keras.metrics.F1Score(average='macro')"}),
    ("metric", "confusion_matrix", {}, (PROBABLE, T), [[1, 0, 0], [0, 0, 1], [0, 0, 0]], {"tf.math.confusion_matrix"}),
    ("loss", "jaccard", {}, (PROBABLE, BITS), 1 - np.mean([1.4 / 2.2, 0.875 / 2.375]),
     {"keras.losses.Tversky(alpha=1, beta=1)", "keras.losses.tversky(alpha=1, beta=1)"}),
    ("loss", "categorical_crossentropy", {"clip": "ends"}, (PROBABLE, T), -np.mean(np.log([0.5 / 1.6, 0.75 / 1.25])),
     {"keras.losses.CategoricalCrossentropy", "keras.losses.categorical_crossentropy",
      "keras.losses.CategoricalFocalCrossentropy(alpha=1, gamma=0)",
      "keras.losses.categorical_focal_crossentropy(alpha=1, gamma=0)", "keras.ops.categorical_crossentropy"}),
    ("activation", "hard_sigmoid", {"slope": "half"}, (W,), np.clip(W / 2 + 0.5, 0, 1),
     {"keras.activations.sparse_sigmoid", "keras.ops.sparse_sigmoid"}),
    ("activation", "quick_gelu", {}, (W,), W / (1 + np.exp(-1.702 * W)), {"tf.nn.silu(beta=1.702)"}),
]  # fmt: skip


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize(("kind", "row", "given", "inputs", "expected", "calls"), FUNCTIONS)
def test_functions(
    adapter: Start, kind: str, row: str, given: dict[str, Any], inputs: tuple[np.ndarray, ...], expected: Any,
    calls: set[str], mode: str,
) -> None:  # fmt: skip
    backend = adapter("tensorflow")
    found = natives(backend, kind, row, **given)
    assert set(found) == calls
    for call, native in found.items():
        if not native.modes or mode in native.modes:
            value = backend.array(backend.compile(native.function, mode)(*map(backend.tensor, inputs)))
            assert value.dtype == np.float64, call
            np.testing.assert_allclose(value, np.asarray(expected), rtol=1e-6, err_msg=call)


GRADIENTS = {"kernel": np.array([[3.0, 0.0], [0.0, -4.0]]), "bias": np.array([12.0])}
CLIPPED: dict[str, dict[str, Any]] = {
    "clip_by_value": {"kernel": [[2.5, 0.0], [0.0, -2.5]], "bias": [2.5]},
    "clip_by_norm": {"kernel": [[1.5, 0.0], [0.0, -2.0]], "bias": [2.5]},
    "clip_by_global_norm": {"kernel": [[7.5 / 13, 0.0], [0.0, -10 / 13]], "bias": [30 / 13]},
}


@pytest.mark.parametrize("row", CLIPPED)
def test_clipping(adapter: Start, row: str) -> None:
    backend = adapter("tensorflow")
    found = natives(backend, "clipping", row, limit=2.5)
    argument = {"clip_by_value": "clipvalue", "clip_by_norm": "clipnorm", "clip_by_global_norm": "global_clipnorm"}
    assert set(found) == {f"tf.{row}", f"keras.optimizers.SGD({argument[row]}=)"}
    for call, native in found.items():
        clipped = native.function({name: backend.tensor(one) for name, one in GRADIENTS.items()})
        for name, expected in CLIPPED[row].items():
            np.testing.assert_allclose(backend.array(clipped[name]), expected, rtol=1e-12, err_msg=call)


SCHEDULES: list[tuple[str, dict[str, Any], list[float]]] = [
    ("step_decay", {"lr": 0.5, "period": 2, "gamma": 0.5}, [0.5, 0.5, 0.25, 0.25, 0.125]),
    ("exponential_decay", {"lr": 0.5, "period": 2, "gamma": 0.25}, [0.5, 0.25, 0.125, 0.0625, 0.03125]),
    ("inverse_time_decay", {"lr": 0.5, "period": 2, "rate": 2, "staircase": True}, [0.5, 0.5, 0.5 / 3, 0.5 / 3, 0.1]),
    ("polynomial_decay", {"lr": 0.5, "end": 0.25, "steps": 2, "power": 1}, [0.5, 0.375, 0.25, 0.25, 0.25]),
    ("cosine_decay", {"lr": 0.5, "end": 0.0, "steps": 2}, [0.5, 0.25, 0.0, 0.0, 0.0]),
    ("cosine_decay", {"lr": 0.5, "end": 0.0, "steps": 2, "beyond": "restarts"}, [0.5, 0.25, 0.5, 0.25, 0.5]),
    ("linear_warmup", {"lr": 0.5, "warmup": 4, "first": "zero"}, [0.0, 0.125, 0.25, 0.375, 0.5]),
    ("warmup_cosine", {"lr": 0.5, "end": 0.0, "warmup": 2, "steps": 4, "first": "zero"}, [0.0, 0.25, 0.5, 0.25, 0.0]),
]


@pytest.mark.parametrize(("row", "given", "expected"), SCHEDULES)
def test_schedules(adapter: Start, row: str, given: dict[str, Any], expected: list[float]) -> None:
    found = natives(adapter("tensorflow"), "schedule", row, **given)
    assert found
    for call, native in found.items():
        np.testing.assert_allclose(native.function(np.arange(5.0)), expected, rtol=1e-6, atol=1e-7, err_msg=call)


@pytest.mark.parametrize(
    ("row", "given", "law"),
    [
        ("uniform", {"low": -1.0, "high": 3.0}, lambda d: 4 * d["u"] - 1),
        ("truncated_normal", {"mean": 1.0, "stddev": 0.5}, lambda d: 1 + 0.5 * d["c"]),
        ("glorot_uniform", {}, lambda d: math.sqrt(6 / 12) * (2 * d["u"] - 1)),
        ("he_normal", {}, lambda d: math.sqrt(2 / 5) * d["z"]),
        ("he_normal", {"truncated": True}, lambda d: math.sqrt(2 / 5) * d["c"] / 0.87962566103423978),
        ("lecun_normal", {"truncated": False}, lambda d: math.sqrt(1 / 5) * d["z"]),
    ],
)
def test_initializers(adapter: Start, row: str, given: dict[str, Any], law: Callable[..., np.ndarray]) -> None:
    """What an initializer makes is its formula of what the plain one draws with the same seed; another seed, others."""
    found = natives(adapter("tensorflow"), "initializer", row, **given)
    assert found
    for call, native in found.items():
        draws, parameter = native.function((5, 7), 3)
        assert parameter.shape == (5, 7)
        np.testing.assert_allclose(parameter, law(draws), rtol=1e-6, atol=1e-6, err_msg=call)
        assert not np.allclose(parameter, native.function((5, 7), 4)[1])


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (2, 2, 3)])
def test_orthogonal(adapter: Start, shape: tuple[int, ...]) -> None:
    (native,) = natives(adapter("tensorflow"), "initializer", "orthogonal", gain=2.0).values()
    draws, parameter = native.function(shape, 3)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    flat = parameter.reshape(rows, columns)
    assert draws["m"].shape == (max(rows, columns), min(rows, columns))
    short = flat @ flat.T if rows < columns else flat.T @ flat
    np.testing.assert_allclose(short, 4 * np.eye(min(rows, columns)), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_bound_or_composed(adapter: Start, kind: str) -> None:
    """And no two implementations of the same settings have the same call."""
    backend = adapter("tensorflow", dtype="float32")
    for row in load_catalogue().of_kind(kind):
        bound = False
        for knobs in knob_choices(row):
            hyper, chosen = settings(row, knobs)
            extra = {"training": False} if kind == "layer" else {"reduction": "mean", "weights": None}
            wanted = {**hyper, **chosen, **extra}
            first = backend.native(kind, row.name, wanted)
            calls = [one.call for one in backend.variants(kind, row.name, wanted)] + ([first.call] if first else [])
            assert len(set(calls)) == len(calls), (row.name, calls)
            assert first is not None or not calls
            bound = bound or first is not None
        assert bound == (row.name not in COMPOSED), row.name


@pytest.mark.parametrize(("kind", "row"), [("metric", "top_k_accuracy"), ("layer", "max_pool3d")])
def test_what_tensorflow_has_only_in_float32(adapter: Start, kind: str, row: str) -> None:
    found = load_catalogue().find(row)
    wanted = {**settings(found, {})[0], **default_knobs(found)}
    assert adapter("tensorflow").native(kind, row, wanted) is None
    assert adapter("tensorflow", dtype="float32").native(kind, row, wanted) is not None


OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("momentum", {"form": "inside"}),
    ("adam", {"eps_place": "hat"}),
    ("nadam", {"momentum_decay": 1.0}),
    ("weight_ema", {"start": "first"}),
    ("adafactor", {"moments": "means"}),
]


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize(("row", "given"), OPTIMIZERS)
def test_compiled_optimizers(adapter: Start, row: str, given: dict[str, Any], mode: str) -> None:
    """A compiled update takes the steps of the one that is not; a second run starts where the first one started."""
    found = load_catalogue().find(row)
    hyper, knobs = settings(found, given)
    native = adapter("tensorflow").native("optimizer", row, {**hyper, **knobs})
    assert native is not None
    assert set(native.modes) >= {"eager", mode}

    def run(mode: str) -> list[np.ndarray]:
        optimizer = native.function({"w": W.copy()}, hyper, mode)
        steps = []
        for step, rate in enumerate((0.5, 0.125, 0.25)):
            optimizer.step({"w": np.cos(W + step)}, rate)
            params, state = optimizer.read()
            steps += [params["w"], *(state[slot]["w"] for slot in sorted(state))]
        return steps

    eager, first, second = run("eager"), run(mode), run(mode)
    for one, other, again in zip(eager, first, second, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12)
        np.testing.assert_array_equal(other, again)
    assert not np.allclose(eager[0], W)
