"""Layers against loops written from their papers, and what a layer row may and may not say.

The parity tests hold backends against a layer's formula; here the formula itself is held against plain Python loops.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from crossnn.catalogue.build import settings
from crossnn.catalogue.layers import example_shapes
from crossnn.catalogue.load import load_catalogue, read_text
from crossnn.catalogue.network import Assembly, assemble, initial_layer_state, initial_parameters, record_layer
from crossnn.catalogue.rows import Layer, Network
from crossnn.errors import CrossnnError
from crossnn.formula.graph import Graph, Node
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph
from crossnn.parity.layers import layer_subjects

Arrays = Mapping[str, np.ndarray]


def values(name: str, given: Mapping[str, Any] | None = None, training: bool = True) -> tuple[Arrays, dict[str, Any]]:
    """A layer on the inputs with which it is checked: everything that went in, and everything that came out."""
    row = load_catalogue().find(name)
    assert isinstance(row, Layer)
    wanted = dict(given or {})
    case = " ".join(f"{key}={value}" for key, value in wanted.items())
    for subject in layer_subjects(row, 5):
        chosen = {key: subject.settings[key] for key in wanted}
        if chosen == wanted and subject.settings["training"] == training:
            found = compile_graph(subject.forward, "layer", NUMPY)(params=subject.params, data=subject.data)
            return {**subject.params, **subject.data}, {**found, "settings": subject.settings}
    raise AssertionError(f"{name} is never checked with {case}, training={training}")


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def convolved(x: Any, k: Any, strides: Any, dilation: Any, groups: int, same: bool) -> Any:
    """Cross-correlation in two dimensions, one number at a time."""
    n, height, width, _ = x.shape
    rows, columns, per_group, filters = k.shape
    sizes = []
    for length, size, stride, gap in zip((height, width), (rows, columns), strides, dilation, strict=True):
        reach = (size - 1) * gap + 1
        steps = math.ceil(length / stride) if same else (length - reach) // stride + 1
        sizes.append((steps, max((steps - 1) * stride + reach - length, 0) // 2 if same else 0))
    out = np.zeros((n, sizes[0][0], sizes[1][0], filters))
    for b, i, j, f in np.ndindex(out.shape):
        for p, q, c in itertools.product(range(rows), range(columns), range(per_group)):
            row = i * strides[0] + p * dilation[0] - sizes[0][1]
            column = j * strides[1] + q * dilation[1] - sizes[1][1]
            if 0 <= row < height and 0 <= column < width:
                channel = f // (filters // groups) * per_group + c
                out[b, i, j, f] += x[b, row, column, channel] * k[p, q, c, f]
    return out


CONVOLUTIONS: list[dict[str, Any]] = [
    {"padding": "valid"}, {"padding": "same"},
    {"strides": [2, 1], "padding": "valid"}, {"strides": [2, 2], "padding": "same"},
    {"dilation": [2, 1], "padding": "same"}, {"dilation": [1, 2], "groups": 2},
]  # fmt: skip


@pytest.mark.parametrize("given", CONVOLUTIONS, ids=lambda given: "-".join(map(str, given.values())).replace(" ", ""))
def test_convolution_is_the_sum_over_the_window(given: dict[str, Any]) -> None:
    wanted = {**given, **({} if len(given) > 1 else {"use_bias": True})}
    x, found = values("conv2d", wanted)
    own = found["settings"]
    expected = convolved(
        x["x"], x["kernel"], own["strides"], own["dilation"], int(own["groups"]), own["padding"] == "same"
    )
    np.testing.assert_allclose(found["value"], expected + x["bias"], rtol=1e-12)


def test_depthwise_and_separable_convolutions_have_a_kernel_a_channel() -> None:
    x, found = values("depthwise_conv2d", {"padding": "valid"})
    expected = convolved(x["x"], x["kernel"], (1, 1), (1, 1), x["x"].shape[-1], False) + x["bias"]
    np.testing.assert_allclose(found["value"], expected, rtol=1e-12)
    x, found = values("separable_conv2d", {"padding": "same"})
    between = convolved(x["x"], x["depthwise_kernel"], (1, 1), (1, 1), x["x"].shape[-1], True)
    np.testing.assert_allclose(found["value"], between @ x["pointwise_kernel"][0, 0] + x["bias"], rtol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_transposed_convolution_spreads_each_number_over_the_window(padding: str) -> None:
    x, found = values("conv2d_transposed", {"padding": padding})
    n, height, width, _ = x["x"].shape
    filters, size, stride = x["kernel"].shape[2], 3, 2
    full = np.zeros((n, (height - 1) * stride + size, (width - 1) * stride + size, filters))
    for b, i, j, c in np.ndindex(x["x"].shape):
        for p, q, f in itertools.product(range(size), range(size), range(filters)):
            full[b, i * stride + p, j * stride + q, f] += x["x"][b, i, j, c] * x["kernel"][p, q, f, c]
    if padding == "same":  # the forward convolution pads max((out - 1)*stride + size - length, 0), half of it before
        before = ((height - 1) * stride + size - height * stride) // 2
        full = full[:, before : before + height * stride, before : before + width * stride]
    np.testing.assert_allclose(found["value"], full + x["bias"], rtol=1e-12)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", ["max", "average", "average with padding"])
def test_pooling_looks_at_what_is_inside_the_window(kind: str, padding: str) -> None:
    given: dict[str, Any] = {"padding": padding}
    if kind != "max":
        given["count_padding"] = kind != "average"
    x, found = values(f"{kind.split()[0]}_pool2d", given)
    n, height, width, channels = x["x"].shape
    steps = (math.ceil(height / 2), math.ceil(width / 2)) if padding == "same" else (height // 2, width // 2)
    assert found["value"].shape == (n, *steps, channels)
    for b, i, j, c in np.ndindex(found["value"].shape):
        inside = x["x"][b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, c]  # the odd zero of `same` is at the end
        average = inside.sum() / (4 if kind.endswith("padding") else inside.size)
        expected = inside.max() if kind == "max" else average
        np.testing.assert_allclose(found["value"][b, i, j, c], expected, rtol=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
def test_batch_norm_uses_the_batch_and_keeps_running_statistics(unbiased: bool) -> None:
    x, found = values("batch_norm", {"unbiased_running_variance": unbiased})
    rows = x["x"].reshape(-1, x["x"].shape[-1])
    mean, variance = rows.mean(axis=0), rows.var(axis=0)
    expected = (rows - mean) / np.sqrt(variance + 1e-3) * x["gamma"] + x["beta"]
    np.testing.assert_allclose(found["value"].reshape(rows.shape), expected, rtol=1e-9)
    np.testing.assert_allclose(found["state.running_mean"], 0.7 * x["running_mean"] + 0.3 * mean, rtol=1e-12)
    kept = rows.var(axis=0, ddof=int(unbiased))
    np.testing.assert_allclose(found["state.running_variance"], 0.7 * x["running_variance"] + 0.3 * kept, rtol=1e-12)
    x, found = values("batch_norm", {"unbiased_running_variance": unbiased}, training=False)
    standard = (x["x"] - x["running_mean"]) / np.sqrt(x["running_variance"] + 1e-3)
    np.testing.assert_allclose(found["value"], standard * x["gamma"] + x["beta"], rtol=1e-12)
    assert "state.running_mean" not in found


def normalised(values: Any, eps: float = 1e-3) -> Any:
    return (values - values.mean()) / math.sqrt(values.var() + eps)


def test_layer_group_and_instance_norm_differ_in_what_they_average() -> None:
    x, found = values("layer_norm")
    expected = np.empty_like(x["x"])
    for place in np.ndindex(x["x"].shape[:-1]):
        expected[place] = normalised(x["x"][place]) * x["gamma"] + x["beta"]
    np.testing.assert_allclose(found["value"], expected, rtol=1e-9, atol=1e-12)
    x, found = values("group_norm")
    expected = np.empty_like(x["x"])
    for b, group in itertools.product(range(len(x["x"])), (slice(0, 2), slice(2, 4))):
        expected[b, ..., group] = normalised(x["x"][b, ..., group]) * x["gamma"][group] + x["beta"][group]
    np.testing.assert_allclose(found["value"], expected, rtol=1e-9, atol=1e-12)
    x, found = values("instance_norm")
    expected = np.empty_like(x["x"])
    for b, c in itertools.product(range(len(x["x"])), range(x["x"].shape[-1])):
        expected[b, ..., c] = normalised(x["x"][b, ..., c]) * x["gamma"][c] + x["beta"][c]
    np.testing.assert_allclose(found["value"], expected, rtol=1e-9, atol=1e-12)
    x, found = values("rms_norm")
    size = np.sqrt(np.mean(x["x"] ** 2, axis=-1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(found["value"], x["x"] / size * x["gamma"], rtol=1e-12)


def lstm(x: Arrays) -> Any:
    h = c = np.zeros((len(x["x"]), x["recurrent_kernel"].shape[0]))
    for step in range(x["x"].shape[1]):
        z = x["x"][:, step] @ x["kernel"] + h @ x["recurrent_kernel"] + x["bias"]
        i, f, g, o = np.split(z, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        yield h


def simple_rnn(x: Arrays) -> Any:
    h = np.zeros((len(x["x"]), x["recurrent_kernel"].shape[0]))
    for step in range(x["x"].shape[1]):
        h = np.tanh(x["x"][:, step] @ x["kernel"] + h @ x["recurrent_kernel"] + x["bias"])
        yield h


def gru(x: Arrays) -> Any:
    """Cho et al. 2014 without a recurrent bias, cuDNN's form with it."""
    h = np.zeros((len(x["x"]), x["recurrent_kernel"].shape[0]))
    for step in range(x["x"].shape[1]):
        u, r, n = np.split(x["x"][:, step] @ x["kernel"] + x["bias"], 3, axis=1)
        of_u, of_r, of_n = np.split(x["recurrent_kernel"], 3, axis=1)
        if "recurrent_bias" in x:
            b_u, b_r, b_n = np.split(x["recurrent_bias"], 3)
            u, r = sigmoid(u + h @ of_u + b_u), sigmoid(r + h @ of_r + b_r)
            n = np.tanh(n + r * (h @ of_n + b_n))
        else:
            u, r = sigmoid(u + h @ of_u), sigmoid(r + h @ of_r)
            n = np.tanh(n + (r * h) @ of_n)
        h = u * h + (1 - u) * n
        yield h


RECURRENT: list[tuple[str, dict[str, Any], Callable[[Arrays], Any]]] = [
    ("simple_rnn", {}, simple_rnn), ("lstm", {}, lstm),
    ("gru", {"reset_after": True}, gru), ("gru", {"reset_after": False}, gru),
]  # fmt: skip


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize(("name", "given", "loop"), RECURRENT)
def test_recurrent_layers_are_their_loop(name: str, given: dict[str, Any], loop: Any, every: bool) -> None:
    x, found = values(name, {**given, "return_sequences": every})
    steps = list(loop(x))
    np.testing.assert_allclose(found["value"], np.stack(steps, axis=1) if every else steps[-1], rtol=1e-12, atol=1e-15)


def attended(q: Any, k: Any, v: Any, seen: Any) -> Any:
    """One head of one sample: each query mixes the values by the softmax of its scores."""
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        scores = [q[i] @ k[j] / math.sqrt(q.shape[1]) for j in range(len(k))]
        weights = [math.exp(score) if seen(i, j) else 0.0 for j, score in enumerate(scores)]
        for j in range(len(k)):
            out[i] += weights[j] / sum(weights) * v[j]
    return out


def head_of(whole: Any, head: int) -> Any:
    return whole[:, 3 * head : 3 * head + 3]


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_its_loop(causal: bool) -> None:
    x, found = values("self_attention", {"causal": causal})
    for b, sample in enumerate(x["x"]):
        q, k, v = (sample @ x[f"{part}_kernel"] + x[f"{part}_bias"] for part in ("query", "key", "value"))
        heads = [
            attended(head_of(q, head), head_of(k, head), head_of(v, head), lambda i, j: not causal or j <= i)
            for head in range(2)
        ]
        expected = np.concatenate(heads, axis=1) @ x["output_kernel"] + x["output_bias"]
        np.testing.assert_allclose(found["value"][b], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_cross_attention_does_not_see_padding(causal: bool) -> None:
    x, found = values("cross_attention", {"causal": causal})
    assert 0 < x["mask"].mean() < 1
    for b in range(len(x["query"])):
        q = x["query"][b] @ x["query_kernel"]
        k, v = (x["value"][b] @ x[f"{part}_kernel"] for part in ("key", "value"))
        heads = [
            attended(
                head_of(q, head),
                head_of(k, head),
                head_of(v, head),
                lambda i, j, b=b: x["mask"][b, j] == 1 and (not causal or j <= i),
            )
            for head in range(2)
        ]
        expected = np.concatenate(heads, axis=1) @ x["output_kernel"]
        np.testing.assert_allclose(found["value"][b], expected, rtol=1e-9, atol=1e-12)


def test_positions_and_embeddings() -> None:
    x, found = values("sinusoidal_positions")
    _, length, features = x["x"].shape
    for position, place in itertools.product(range(length), range(features)):
        angle = position / 10000 ** (2 * (place // 2) / features)
        encoding = math.cos(angle) if place % 2 else math.sin(angle)
        np.testing.assert_allclose(found["value"][:, position, place], x["x"][:, position, place] + encoding)
    x, found = values("embedding")
    assert len(np.unique(x["x"])) < x["x"].size  # some row is taken twice, and its gradient is a sum
    for index in np.ndindex(x["x"].shape):
        np.testing.assert_array_equal(found["value"][index], x["table"][x["x"][index]])


def test_random_slopes_and_shared_masks_are_inputs() -> None:
    x, found = values("rrelu")
    assert len(np.unique(x["slope"])) == x["slope"].size
    assert np.all((x["slope"] > 1 / 8) & (x["slope"] < 1 / 3))
    np.testing.assert_array_equal(found["value"], np.where(x["x"] > 0, x["x"], x["slope"] * x["x"]))
    x, found = values("rrelu", training=False)
    mean = (0.125 + 0.3333333333333333) / 2
    np.testing.assert_array_equal(found["value"], np.where(x["x"] > 0, x["x"], mean * x["x"]))
    x, found = values("dropout_shared")
    assert x["mask"].shape == (x["x"].shape[0], 1, x["x"].shape[2])
    assert {0.0, 1.0} == set(np.unique(x["mask"]))
    np.testing.assert_allclose(found["value"], x["x"] * x["mask"] / 0.7)


def test_a_network_with_statistics_and_tokens() -> None:
    rows = read_text(
        """
[reader]
kind = "network"
input = [5]
tokens = 7
layers = [
  { layer = "embedding", vocabulary = 7, units = 3 },
  { layer = "batch_norm" },
  { layer = "lstm", units = 2 },
  { layer = "dense", name = "out", units = 1 },
]
[reader.weights]
"out.kernel" = [[0.5], [-0.25]]
""",
        "here",
    )
    row = rows["reader"]
    assert isinstance(row, Network)
    plan = assemble(row, load_catalogue(), Node([], "input", shape=(2, 5), dtype="index", name="x"))
    assert list(plan.state) == list(plan.new_state) == ["batch_norm.running_mean", "batch_norm.running_variance"]
    assert {name: value.tolist() for name, value in initial_layer_state(plan, 0).items()} == {
        "batch_norm.running_mean": [0.0] * 3, "batch_norm.running_variance": [1.0] * 3,
    }  # fmt: skip
    assert initial_parameters(plan, 0)["out.kernel"].tolist() == [[0.5], [-0.25]]
    assert plan.prediction.shape == (2, 1)


LAYER = '[mine]\nkind = "layer"\n'
REFUSED = {
    'formula = "x"\nstate = { m = { shape = ["1"], initializer = "zeros" } }': "update assigns nothing",
    'formula = "x"\nstep = ["h = x"]': "step and carry belong together",
    'formula = "x"\ncarry = { h = ["batch"] }\nstep = ["z = x"]': "no line assigns h",
    'formula = "x"\noptions = { size = [0] }': "whole numbers from 1",
    'formula = "x"\ndomains = { y = "n" }': "no such input",
    'formula = "x"\ninput = { y = ["batch"] }': "input describes y",
    'formula = "x*k"\nparams = { k = { shape = ["units"], initializer = "zeros" } }': "'units' is no setting here",
    'formula = "x*k"\nparams = { k = { shape = ["2*("], initializer = "zeros" } }': "cannot be read",
    'formula = "x*k"\nparams = { k = { shape = ["9**9**9"], initializer = "zeros" } }': "an option is a literal",
    'formula = "x*k"\nparams = { k = { shape = ["0"], initializer = "zeros" } }': "a length is a whole number from 1",
    'formula = "sum(x, axis=units)"\noptions = { units = "many" }': "key options",
    'formula = "slice(x, axis=1)"': "start=, stop= must be given",
    'formula = "slice(x, axis=1, start=2, stop=99)"': "is no part of axis 1",
    'formula = "windows(x, size=2, padding=knob)"\nknobs = { knob = ["same", "full"] }': "padding is same, valid",
    'formula = "x"\ndraws = { m = { low = "1", high = "0" } }\nlet = []': None,
    'formula = "x*m"\ndraws = { m = { low = "1", high = "0" } }': "the first must be the smaller",
    'formula = "x*m"\ndraws = { m = "2" }': "not in (0, 1]",
}


@pytest.mark.parametrize(("body", "words"), REFUSED.items(), ids=list(map(str, range(len(REFUSED)))))
def test_a_layer_that_makes_no_sense_is_one_sentence(body: str, words: str | None) -> None:
    def build() -> None:
        row = read_text(LAYER + body, "here")["mine"]
        assert isinstance(row, Layer)
        for subject in layer_subjects(row, 0):
            assert isinstance(subject.forward, Graph)

    if words is None:
        return build()
    with pytest.raises(CrossnnError) as caught:
        build()
    assert words in str(caught.value)
    return None


def test_inputs_that_do_not_fit_are_named() -> None:
    row = load_catalogue().find("conv2d")
    assert isinstance(row, Layer)
    assembly = Assembly([])
    assembly.outputs["x"] = Node(assembly.tape, "input", shape=(2, 3), name="x")
    with pytest.raises(CrossnnError, match=r"input x of shape \(2, 3\) does not fit"):
        record_layer(assembly, None, row, "", {"inputs": ["x"]})
    options, _ = settings(row, {})
    assert example_shapes(row, options)["x"] == (2, 6, 5, 4)
