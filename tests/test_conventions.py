"""What frameworks do by default is found: in layers of our own that are made to differ, and in the frameworks, whose
manuals say what must come out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from crossnn import registry
from crossnn.adapter import Adapter, BaseAdapter
from crossnn.conventions import layers, norms, recurrent
from crossnn.conventions.concepts import concepts
from crossnn.conventions.formula import layer_value
from crossnn.conventions.found import AGREES, Found
from crossnn.conventions.measure import convention_cells, measure
from crossnn.conventions.own import numbers
from crossnn.runs.findings import Convention

Arrays = dict[str, np.ndarray]


class Planted:
    """A layer that a function computes from its weights."""

    call = "planted"

    def __init__(self, weights: Arrays, function: Callable[..., np.ndarray]) -> None:
        self.kept, self.function = weights, function

    def weights(self) -> Arrays:
        return dict(self.kept)

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        self.kept.update(weights)

    def run(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.function(x, self.kept, training)


class OneLayer(BaseAdapter):
    """A backend with this one layer."""

    def __init__(self, layer: Planted) -> None:
        self.layer = layer

    def own_layer(self, name: str, sizes: Mapping[str, int]) -> Any:
        return self.layer


def found(probe: Callable[[Any, str], Found | None], spec: str, layer: Planted) -> Found:
    answer = probe(OneLayer(layer), spec)
    assert answer is not None
    return answer


def _gates(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[place] for place in order], axis=-1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_order_of_gates_is_found(order: tuple[int, ...], transposed: bool) -> None:
    """Where a weight of the planted layer has gate `order[k]` of the formula at place k."""

    def lstm(x: np.ndarray, weights: Arrays, training: bool) -> np.ndarray:
        turned = {name: value.T if transposed and value.ndim == 2 else value for name, value in weights.items()}
        back = tuple(int(place) for place in np.argsort(order))
        slots = {name: _gates(value, back) for name, value in turned.items()}
        return layer_value("lstm", {"units": 3}, {"x": x}, slots)[0]

    shapes: dict[str, tuple[int, ...]] = {"kernel": (5, 12), "recurrent_kernel": (3, 12), "bias": (12,)}
    weights = {name: np.zeros(shape[::-1] if transposed else shape) for name, shape in shapes.items()}
    answer = found(recurrent.lstm, "lstm", Planted(weights, lstm))
    assert answer.answer.split(";")[0] == ", ".join("ifgo"[gate] for gate in order)
    assert ("(gates*units, features)" in answer.answer) == transposed
    assert answer.settled
    suffered = answer.difference is not None and answer.difference > 0.01
    assert suffered == (order != (0, 1, 2, 3))


@pytest.mark.parametrize("after", [True, False])
def test_the_place_of_the_reset_gate_is_found(after: bool) -> None:
    def gru(x: np.ndarray, weights: Arrays, training: bool) -> np.ndarray:
        slots = {**weights, **({"recurrent_bias": np.zeros(9)} if after else {})}
        return layer_value("gru", {"units": 3, "reset_after": after}, {"x": x}, slots)[0]

    weights = {"kernel": np.zeros((5, 9)), "recurrent_kernel": np.zeros((3, 9)), "bias": np.zeros(9)}
    answer = found(recurrent.gru, "gru", Planted(weights, gru))
    assert (answer.settings, answer.settled) == ({"reset_after": after}, True)


@pytest.mark.parametrize("momentum", [0.9, 0.75])
@pytest.mark.parametrize("unbiased", [False, True])
def test_running_statistics_and_epsilon_are_found(momentum: float, unbiased: bool) -> None:
    def batch_norm(x: np.ndarray, weights: Arrays, training: bool) -> np.ndarray:
        if not training:
            return np.asarray((x - weights["mean"]) / np.sqrt(weights["var"] + 2e-4))
        variance = x.var(0, ddof=1 if unbiased else 0)
        weights["mean"] = momentum * weights["mean"] + (1 - momentum) * x.mean(0)
        weights["var"] = momentum * weights["var"] + (1 - momentum) * variance
        return x

    answer = found(norms.batch_norm, "batch_norm", Planted({"mean": np.zeros(4), "var": np.ones(4)}, batch_norm))
    assert answer.settings == {"momentum": momentum, "unbiased_running_variance": unbiased, "eps": 2e-4}
    assert answer.settled


@pytest.mark.parametrize("eps", [1e-3, 1e-5, 1e-12])
def test_the_epsilon_of_a_norm_is_found(eps: float) -> None:
    def layer_norm(x: np.ndarray, weights: Arrays, training: bool) -> np.ndarray:
        centred: np.ndarray = x - x.mean(-1, keepdims=True)
        return np.asarray(centred / np.sqrt(x.var(-1, keepdims=True) + eps))

    answer = found(norms.epsilon, "layer_norm", Planted({}, layer_norm))
    assert answer.settings["eps"] == pytest.approx(eps, rel=1e-5)
    assert answer.settled


def test_a_layer_that_computes_something_else_is_not_settled() -> None:
    def almost(x: np.ndarray, weights: Arrays, training: bool) -> np.ndarray:
        return np.asarray(x @ weights["kernel"] + weights["bias"] * (1 + 1e-9))

    answer = found(layers.dense_kernel, "dense", Planted({"kernel": np.zeros((5, 3)), "bias": np.zeros(3)}, almost))
    assert not answer.settled


def test_a_refusal_is_an_answer() -> None:
    class Refusing(OneLayer):
        def own_layer(self, name: str, sizes: Mapping[str, int]) -> Any:
            raise ValueError("not with a stride")

    refusing: Any = Refusing(Planted({}, lambda x, weights, training: x))
    answer = layers.convolution_padding(refusing, "conv2d")
    assert answer is not None
    assert (answer.answer, answer.evidence) == ("refused", "ValueError: not with a stride")


def test_numbers_differ_with_seed_and_shape() -> None:
    values = np.concatenate([numbers(3, 3).ravel(), numbers(9).ravel(), numbers(9, seed=1).ravel()])
    assert len(set(values)) == values.size


MANUALS = (
    ("torch", "dense-kernel", "weight (units, features)"),
    ("torch", "dense-initial", "kernel uniform, variance 1/(3*fan_in)"),
    ("torch", "convolution-layout", "images NCHW, kernel OIHW"),
    ("torch", "convolution-padding", "refused"),
    ("torch", "pooling-padding", "counted"),
    ("torch", "batch-norm", "new = 0.9*old + 0.1*batch, unbiased variance; epsilon 1e-05"),
    ("torch", "layer-norm", "1e-05"),
    ("torch", "group-norm", "1e-05"),
    ("torch", "prelu", "0.25, one for all"),
    ("torch", "embedding-initial", "normal, variance 1"),
    ("torch", "lstm-gates", "i, f, g, o; 2 biases, added; kernel (gates*units, features); time first; every step"),
    ("torch", "gru-gates", "r, u, n; reset after the product; 2 biases, added"),
    ("torch", "lstm-initial", "uniform within 1/sqrt(units)"),
    ("torch", "relu-slope", "0"),
    ("torch", "norm-guard", "1e-06"),
    ("tensorflow", "dense-kernel", "kernel (features, units)"),
    ("tensorflow", "dense-initial", "kernel uniform, variance 2/(fan_in + fan_out) (Glorot); bias 0"),
    ("tensorflow", "convolution-layout", "images NHWC, kernel HWIO"),
    ("tensorflow", "convolution-padding", "0 before, 1 after"),
    ("tensorflow", "pooling-padding", "not counted"),
    ("tensorflow", "batch-norm", "new = 0.99*old + 0.01*batch, biased variance; epsilon 0.001"),
    ("tensorflow", "layer-norm", "0.001"),
    ("tensorflow", "group-norm", "0.001"),
    ("tensorflow", "prelu", "0, one for each feature"),
    ("tensorflow", "embedding-initial", "uniform, variance 0.05**2/3"),
    ("tensorflow", "lstm-gates", "i, f, g, o; 1 bias; kernel (features, gates*units); batch first; the last step"),
    ("tensorflow", "gru-gates", "u, r, n; reset after the product; 2 biases, added"),
    ("tensorflow", "lstm-initial", "0, 1, 0, 0 in the order of the gates"),
    ("jax", "convolution-layout", "images NCHW, kernel OIHW"),
    ("jax", "convolution-padding", "0 before, 1 after"),
)
"""(framework, concept, how the answer begins), from the manuals of torch.nn, keras.layers and jax.lax."""


@pytest.mark.parametrize(("backend", "concept", "begins"), MANUALS)
def test_frameworks_do_what_their_manuals_say(
    backend: str, concept: str, begins: str, require: Callable[[str], None]
) -> None:
    require(backend)
    spec = concepts()[concept].spec
    cell = next(cell for cell in convention_cells([spec], [backend]) if cell.spec == spec)
    (record,) = (one for one in measure(cell) if one.concept == concept)
    assert record.answer.startswith(begins)
    assert record.error is not None
    assert record.error <= AGREES


def test_what_a_framework_lacks_is_said(adapter: Callable[..., Adapter]) -> None:
    """JAX has no dense layer: an empty answer, not an absent one."""
    pytest.importorskip("jax")
    (cell,) = (cell for cell in convention_cells(["dense"], ["jax"]) if cell.spec == "dense")
    assert {record.answer for record in measure(cell) if isinstance(record, Convention)} == {""}


def test_every_concept_names_a_row_and_a_probe() -> None:
    from crossnn.catalogue.load import load_catalogue
    from crossnn.conventions.measure import _probe

    for concept in concepts().values():
        assert concept.spec in load_catalogue().rows
        if not concept.probe.startswith("defaults:"):
            assert callable(_probe(concept))
    assert "numpy" not in {cell.backend for cell in convention_cells()}
    assert {cell.backend for cell in convention_cells()} == {
        name for name, backend in registry.backends().items() if backend.natives
    }
