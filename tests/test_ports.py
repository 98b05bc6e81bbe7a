"""Ports of users' own functions: right ones agree, planted mistakes are found and named, bad arguments are refused."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import crossnn
from crossnn.formula.noise import EPSILON
from crossnn.ports.layouts import layout
from crossnn.ports.noisy import Noisy, shaking
from crossnn.ports.slopes import slopes
from crossnn.ports.tree import flat, refilled

X = np.array([[-1.5, 0.25, 2.0], [0.5, -0.75, 1.25]])
Ports = dict[str, Any]


def two(first: Callable[..., Any], second: Callable[..., Any]) -> Ports:
    return {"right": ("numpy", first), "port": ("numpy", second)}


# Planted ports: the fast ones; `python tests/planted_ports.py` tries all of them ------------------


def _load(name: str) -> Any:
    found = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert found is not None
    assert found.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def planted(require: Callable[[str], None]) -> Any:
    for backend in ("torch", "jax", "tensorflow"):
        require(backend)
    return _load("planted_ports")


@pytest.fixture(scope="module")
def blind(planted: Any) -> Any:
    return _load("planted_ports_blind")


NAMED = {
    "dense_torch_transposed": "transposed kernel",
    "rnn_torch_transposed": "transposed kernel",
    "rms_norm_torch_default": "epsilon",
    "rmsprop_torch_inside": "epsilon",
    "hidden epsilon": "epsilon",
    "mse_torch_sum": "reduction",
    "conv_torch_valid": "padding",
    "average_torch_counting": "padding",
    "dense_torch_no_bias": "missing bias",
    "leaky_torch_wrong": "activation slope",
    "module_torch_leaky": "activation slope",
    "gelu_torch_tanh": "approximate gelu",
    "feed_torch_exact": "approximate gelu",
    "batch_norm_torch_momentum": "batch-norm momentum",
    "batch_norm_torch": "biased variance",
    "layer_norm_torch_unbiased": "biased variance",
    "dropped_torch_default": "training or inference",
    "batch_norm_inference_torch_training": "training or inference",
    "crossentropy_torch_axis": "softmax axis",
    "gaussian_torch_float32": "float32 constant",
    "head_torch_nchw": "channel order",
    "normalised_torch_bgr": "channel order",
    "lstm_cell_torch_forget_first": "swapped gates",
    "crossentropy_torch_smoothed": "label smoothing",
    "crossentropy_torch_twice": "from logits",
    "adam_torch_from_zero": "off-by-one step",
    "mlp_torch_minus_bias": "sign",
    "cosine_loss_torch": "sign",
    "penalty_torch_half": "factor",
}
AGREE = ["mlp_np = mlp_torch", "gru_np = gru_torch", "crossentropy_np = crossentropy_torch", "kl_np = kl_torch"]


@pytest.mark.parametrize("name", NAMED)
def test_a_planted_mistake_is_found_and_named(planted: Any, name: str) -> None:
    rows = [one for one in (*planted.WRONG, *planted.SECOND) if one.name == name]
    assert rows
    for one in rows:
        assert one.cause == NAMED[name]
        assert planted.outcome(one) == ("refused", one.cause)


@pytest.mark.parametrize("name", AGREE)
def test_a_right_port_is_not_refused(planted: Any, name: str) -> None:
    (one,) = [one for one in planted.RIGHT if one.name == name]
    report = crossnn.compare_ports(one.ports, one.inputs, **one.arguments)
    assert not report.failures
    assert {one.dtype for one in report.compared} == {"float64", "float32"}
    assert any(one.quantity.startswith("gradient") for one in report.compared)


BLIND = {
    "conv in/out": "transposed kernel",
    "Adam place": "epsilon",
    "MSE": "reduction",
    "average pool": "padding",
    "recurrent bias": "missing bias",
    "hard sigmoid": "activation slope",
    "running variance": "biased variance",
    "mask unscaled": "training or inference",
    "scaled inference": "training or inference",
    "loss axis": "softmax axis",
    "position table": "float32 constant",
    "reshape for permute": "channel order",
    "smoothing forgotten": "label smoothing",
    "softmax twice": "from logits",
    "sigmoid twice": "from logits",
    "warmup from 0": "off-by-one step",
    "rotary": "sign",
    "radial": "factor",
}
BLIND_AGREE = ["convolution", "layer norm", "smoothing", "radial expanded"]


@pytest.mark.parametrize("name", BLIND)
def test_a_mistake_planted_by_another_is_found_and_named(planted: Any, blind: Any, name: str) -> None:
    (one,) = [one for one in blind.WRONG if one.name == name]
    assert BLIND[name] in one.causes
    assert planted.outcome(one) == ("refused", BLIND[name])


@pytest.mark.parametrize("name", BLIND_AGREE)
def test_a_right_port_of_another_is_not_refused(planted: Any, blind: Any, name: str) -> None:
    (one,) = [one for one in blind.RIGHT if one.name == name]
    assert planted.outcome(one) == ("agrees", "")


def test_the_third_table_is_spread_over_all_kinds(blind: Any) -> None:
    assert len(blind.WRONG) == 60
    assert len(blind.RIGHT) == 15
    counts = [sum(one.kind == kind for one in blind.WRONG) for kind in blind.NAMED]
    assert sum(counts) == 60
    assert min(counts) >= 3


def test_every_cause_of_the_tables_is_sampled(planted: Any) -> None:
    assert {one.cause for one in (*planted.WRONG, *planted.SECOND)} == set(NAMED.values())
    assert len(planted.WRONG) >= 60
    assert len(planted.RIGHT) >= 30


# What is compared, without any framework ---------------------------------------------------------------------------


def test_the_message_names_tensor_index_sizes_and_cause() -> None:
    def right(params: Any, x: Any) -> Any:
        return x @ params["kernel"] + params["bias"]

    def wrong(params: Any, x: Any) -> Any:
        return x @ params["kernel"]

    with pytest.raises(AssertionError) as refusal:
        crossnn.assert_parity(two(right, wrong), {"x": X}, params={"kernel": (3, 2), "bias": np.array([0.0, 0.5])})
    assert isinstance(refusal.value, crossnn.CrossnnError)
    text = str(refusal.value)
    assert "port 'port' departs from 'right' at output 'output'[" in text
    assert ", 1] (float64, seed 0)" in text  # the column whose bias is not 0
    assert "expected" in text
    assert "actual" in text
    assert "64 is the limit" in text
    assert "likely cause: missing bias (tried): the reference agrees with it when 'bias' is 0" in text


def test_the_first_stage_is_named_and_the_others_follow() -> None:
    def right(x: Any) -> Any:
        hidden = np.tanh(x)
        return hidden, hidden * 2, x * 3

    def wrong(x: Any) -> Any:
        return np.tanh(x), np.tanh(x) * 2.5, x * 3

    report = crossnn.compare_ports(two(right, wrong), {"x": X}, [], stages=["hidden", "middle", "last"])
    (failure,) = report.failures
    assert failure.first.quantity == "output 'middle'"
    assert failure.others == ()
    verdicts = {one.quantity: one.verdict for one in report.compared if one.dtype == "float64"}
    assert verdicts == {"output 'hidden'": "EQUAL", "output 'middle'": "FORMULA", "output 'last'": "EQUAL"}


def test_what_no_cause_explains_is_said_to_be_so() -> None:
    report = crossnn.compare_ports(two(np.tanh, np.arctan), [X], [])
    assert report.failures[0].cause is None
    assert "none of the known causes explains it" in report.message()
    assert report.failures[0].tried > 3


def test_causes_are_not_tried_where_that_is_asked_for() -> None:
    calls = []

    def counted(x: Any) -> Any:
        calls.append(1)
        return np.arctan(x)

    crossnn.compare_ports(two(np.tanh, counted), [X], [], dtypes=["float64"], causes=False)
    assert len(calls) == 1


def test_a_port_that_raises_is_a_failure_with_its_reason() -> None:
    def broken(x: Any) -> Any:
        raise ValueError("no such layer")

    report = crossnn.compare_ports(two(np.tanh, broken), [X])
    assert report.failures[0].first.message == "ValueError: no such layer"


def test_a_transposed_kernel_is_found_where_the_port_raises() -> None:
    def right(params: Any, x: Any) -> Any:
        return x @ params["w"]

    def wrong(params: Any, x: Any) -> Any:
        return x @ params["w"].T

    report = crossnn.compare_ports(two(right, wrong), {"x": X}, params={"w": (3, 2)})
    assert report.failures[0].cause is not None
    assert report.failures[0].cause.name == "transposed kernel"


def test_layouts_are_undone_for_gradients(require: Callable[[str], None]) -> None:
    require("torch")
    torch: Any = importlib.import_module("torch")

    def right(params: Any, x: Any) -> Any:
        return np.tanh(x @ params["dense"]["kernel"])

    def port(params: Any, x: Any) -> Any:
        return torch.tanh(torch.nn.functional.linear(x, params["dense"]["kernel"]))

    ports = {"numpy": right, "torch": port}
    layouts = {"dense.kernel": {"torch": "transpose"}}
    report = crossnn.compare_ports(ports, {"x": X}, params={"dense": {"kernel": (3, 2)}}, layouts=layouts)
    assert not report.failures
    assert "gradient of 'dense.kernel'" in {one.quantity for one in report.compared}


def test_modules_are_called_with_the_parameters_of_the_tree(require: Callable[[str], None]) -> None:
    require("torch")
    torch: Any = importlib.import_module("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2, bias=False))
    before = [one.detach().clone() for one in module.parameters()]

    def right(params: Any, x: Any) -> Any:
        return np.tanh(x @ params["0"]["kernel"] + params["0"]["bias"]) @ params["2"]["kernel"]

    params = {"0": {"kernel": (3, 3), "bias": (3,)}, "2": {"kernel": (3, 2)}}
    report = crossnn.compare_ports({"numpy": right, "torch": module}, {"x": X}, params=params)
    assert not report.failures
    assert any("'0.kernel' is passed as '0.weight' with its axes in the order (1, 0)" in note for note in report.notes)
    assert all(torch.equal(one, now) for one, now in zip(before, module.parameters(), strict=True))
    with pytest.raises(crossnn.CrossnnError, match=r"cannot be matched.*nothing in params fits 0\.bias"):
        crossnn.compare_ports({"numpy": right, "torch": module}, {"x": X}, params={**params, "0": {"kernel": (3, 3)}})


def test_two_modules_share_the_parameters_of_the_first(require: Callable[[str], None]) -> None:
    require("torch")
    torch: Any = importlib.import_module("torch")
    torch.manual_seed(0)
    one, other = (torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Sigmoid()) for _ in range(2))
    report = crossnn.compare_ports({"one": ("torch", one), "other": ("torch", other)}, [X])
    assert not report.failures
    assert "params are those of 'one'" in report.notes


def test_a_keras_layer_is_judged_in_its_own_dtype(require: Callable[[str], None]) -> None:
    require("tensorflow")
    keras: Any = importlib.import_module("keras")
    layer = keras.layers.Dense(2, activation="tanh")
    layer.build((None, 3))

    def right(params: Any, x: Any) -> Any:
        return np.tanh(x @ params["kernel"] + params["bias"])

    params = {"kernel": (3, 2), "bias": (2,)}
    report = crossnn.compare_ports({"numpy": right, "tensorflow": layer}, {"x": X}, params=params)
    assert not report.failures
    assert {one.dtype for one in report.compared} == {"float32"}
    assert any("built for float32: not compared in float64" in note for note in report.notes)


def test_what_has_init_and_apply_takes_the_tree_as_it_is(require: Callable[[str], None]) -> None:
    require("jax")
    jnp: Any = importlib.import_module("jax.numpy")

    class Dense:
        def init(self) -> None: ...

        def apply(self, variables: Any, x: Any) -> Any:
            return x @ variables["params"]["kernel"]

        __call__ = apply

    def right(params: Any, x: Any) -> Any:
        return x @ params["kernel"]

    report = crossnn.compare_ports({"numpy": right, "jax": Dense()}, {"x": X}, params={"kernel": (3, 2)})
    assert not report.failures
    assert jnp is not None


def _settings(backend: str) -> Any:
    module: Any = importlib.import_module("keras" if backend == "tensorflow" else backend)
    if backend == "jax":
        return module.config.jax_enable_x64, module.config.jax_default_matmul_precision
    if backend == "tensorflow":
        return module.config.floatx(), module.config.dtype_policy().name
    return module.get_num_threads(), module.are_deterministic_algorithms_enabled(), module.initial_seed()


@pytest.mark.parametrize("backend", ["torch", "tensorflow", "jax"])
def test_settings_of_a_framework_are_as_before(require: Callable[[str], None], backend: str) -> None:
    require(backend)

    def port(x: Any) -> Any:
        if backend == "tensorflow":
            importlib.import_module("keras").config.set_floatx("float64")
        return x * 2.0

    before = _settings(backend)
    crossnn.compare_ports({"numpy": lambda x: x * 2.0, backend: port}, [X])
    assert _settings(backend) == before


RIGHT_ON_PAPER = {
    "at a kink no slope is judged": (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, x, 0), np.zeros(3)),
    "infinities and NaN": (lambda x: np.log(x), lambda x: np.log(x) * 1, np.array([-1.0, 0.0, 2.0])),
    "whole numbers": (lambda x: np.argmax(x, -1), lambda x: np.argsort(x)[..., -1], X),
    "cancellation that both have": (lambda x: (x + 1e6) - 1e6, lambda x: (1e6 + x) - 1e6, X),
    "sums in another order": (lambda x: x.sum(), lambda x: x[::-1].sum(), np.linspace(-1, 1, 4001) ** 3 + 0.1),
    "buffers that are filled": (lambda x: np.cumsum(x), lambda x: _filled(x), X[0]),
}


def _filled(x: Any) -> Any:
    out = np.zeros(x.shape, x.dtype)
    for place in range(len(x)):
        out[place] = x[: place + 1].sum()
    return out


@pytest.mark.parametrize("case", RIGHT_ON_PAPER)
def test_nothing_right_is_refused(case: str) -> None:
    first, second, x = RIGHT_ON_PAPER[case]
    report = crossnn.compare_ports(two(first, second), [x])
    assert not report.failures, report.message()


ROUNDED = float(np.float32(1.1)) / 1.1


def test_digits_that_cancel_are_told_from_a_float32_constant() -> None:
    def right(x: Any) -> Any:
        return x.var()

    def cancels(x: Any) -> Any:
        return (x * x).mean() - x.mean() ** 2

    def third(x: Any) -> Any:
        return x.var() * ROUNDED

    inputs = [np.array([300.0, 301.0, 303.0])]
    causes = [crossnn.compare_ports(two(right, one), inputs, []).failures[0].cause for one in (cancels, third)]
    assert [one.name if one else "" for one in causes] == ["lost digits", "float32 constant"]


REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "one port": ({"numpy": np.tanh}, [X], {}, "1 port given; parity needs two or more"),
    "no function": ({"numpy": np.tanh, "torch": 3}, [X], {}, "port 'torch' is 3, not callable"),
    "backend": ({"numpy": np.tanh, "nunpy": np.tanh}, [X], {}, "unknown backend 'nunpy'; did you mean 'numpy'"),
    "reference": (two(np.tanh, np.tanh), [X], {"reference": "rihgt"}, "unknown port 'rihgt'; did you mean 'right'"),
    "dtype": (two(np.tanh, np.tanh), [X], {"dtypes": ["float16"]}, "unknown dtype 'float16'"),
    "seeds": (two(np.tanh, np.tanh), [X], {"seeds": 0}, "seeds is 0; give the number of seeds"),
    "wrt": (two(np.tanh, np.tanh), {"x": X}, {"wrt": ["y"]}, "unknown tensor in wrt 'y'"),
    "wrt of labels": (two(np.take, np.take), [X, np.array([1])], {"wrt": ["input 1"]}, "no floating-point numbers"),
    "layout": (two(np.tanh, np.tanh), {"x": X}, {"layouts": {"x": {"port": "turn"}}}, "layout of 'x' is 'turn'"),
    "layout of nothing": (two(np.tanh, np.tanh), {"x": X}, {"layouts": {"y": {}}}, "there is no parameter 'y'"),
    "inputs": (two(np.dot, np.dot), [X, X], {}, "the reference 'right' fails with these inputs: ValueError"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments_are_refused(case: str) -> None:
    ports, inputs, arguments, message = REFUSED[case]
    with pytest.raises(crossnn.CrossnnError, match=message) as refusal:
        crossnn.compare_ports(ports, inputs, **arguments)
    assert refusal.value.exit_code == 2


def _heads(x: Any, w: Any, width: int, heads: int, order: tuple[int, ...]) -> Any:
    split = (x @ w).reshape(len(x), width, heads).transpose(order)
    return np.tanh(split.cumsum(1)).sum(2)


def _smoothed(shares: Callable[[int], tuple[float, float]]) -> Callable[..., Any]:
    def loss(logits: Any, y: Any) -> Any:
        right, wrong = shares(logits.shape[1])
        target = np.full(logits.shape, wrong)
        target[np.arange(len(y)), y] = right
        return -(target * (logits - np.log(np.exp(logits).sum(1, keepdims=True)))).sum(1).mean()

    return loss


def _placed(x: Any) -> Any:
    return x + np.sin(np.arange(x.shape[1]))[:, None]


def _placed_from_one(x: Any) -> Any:
    return x + np.sin(np.arange(1, x.shape[1] + 1))[:, None]


class _Activation:
    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def __call__(self, x: Any) -> Any:
        return np.where(x > 0, x, self.slope * x)


def _leaky(x: Any) -> Any:
    return np.where(x > 0, np.tanh(x), 0.3 * np.tanh(x)) ** 3


def _leaky_class(x: Any) -> Any:
    return _Activation()(np.tanh(x)) ** 3


def _blend(x: Any) -> Any:
    z, h = 1 / (1 + np.exp(-x)), np.tanh(x)
    return z * h + (1 - z) * np.sin(x)


def _blend_turned(x: Any) -> Any:
    z, h = 1 / (1 + np.exp(-x)), np.tanh(x)
    return (1 - z) * h + z * np.sin(x)


def _gated(params: Any, x: Any) -> Any:
    r, z, n = np.split(x @ params["w"] + params["b"], 3, -1)
    z = 1 / (1 + np.exp(-z))
    return z * np.tanh(n) + (1 - z) * x.sum(-1, keepdims=True) * r


def _gated_turned(params: Any, x: Any) -> Any:
    r, z, n = np.split(x @ params["w"] + params["b"], 3, -1)
    share = 1 / (1 + np.exp(-z))
    return x.sum(-1, keepdims=True) * share * r + (1 - share) * np.tanh(n)


def _hard_fifth(x: Any) -> Any:
    return np.clip(0.2 * x + 0.5, 0, 1) * np.tanh(x)


def _hard_sixth(x: Any) -> Any:
    return np.clip((x + 3) / 6, 0, 1) * np.tanh(x)


def _quick(params: Any, x: Any) -> Any:
    h = x @ params["w"]
    return h / (1 + np.exp(-1.702 * h))


def _tanh_form(params: Any, x: Any) -> Any:
    h = x @ params["w"]
    return 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))


def _kept(params: Any, x: Any) -> Any:
    return np.maximum(x @ params["w"], 0) @ params["v"]


def _dropped(params: Any, x: Any) -> Any:
    h = np.maximum(x @ params["w"], 0)
    mask = np.random.default_rng(0).random(h.shape) < 0.75
    return np.where(mask, h / 0.75, 0) @ params["v"]


def _to_space(x: Any) -> Any:
    n, h, w, c = x.shape
    return x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4)


def _to_space_depth_first(x: Any) -> Any:
    n, h, w, c = x.shape
    return x.reshape(n, h, w, c // 4, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(n, 2 * h, 2 * w, c // 4)


def _adam(w: Any, g: Any, m: Any, v: Any) -> Any:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    m_hat, v_hat = m / (1 - 0.9**4), v / (1 - 0.999**4)
    return w - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-6)


def _adam_root(w: Any, g: Any, m: Any, v: Any) -> Any:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    return w - 0.01 * np.sqrt(1 - 0.999**4) / (1 - 0.9**4) * m / (np.sqrt(v) + 1e-6)


def _adam_uncorrected(w: Any, g: Any, m: Any, v: Any) -> Any:
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    return w - 0.01 * m / (np.sqrt(v) + 1e-6)


def _adam_wider(w: Any, g: Any, m: Any, v: Any) -> Any:
    m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
    m_hat, v_hat = m / (1 - 0.9**4), v / (1 - 0.99**4)
    return w - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-6)


def _cell(params: Any, x: Any) -> Any:
    r = 1 / (1 + np.exp(-(x @ params["r"])))
    return np.tanh(x + r * (x @ params["u"]))


def _cell_before(params: Any, x: Any) -> Any:
    r = 1 / (1 + np.exp(-(x @ params["r"])))
    return np.tanh(x + (r * x) @ params["u"])


def _causal(x: Any) -> Any:
    mask = np.tril(np.ones((len(x), len(x)), bool))
    e = np.exp(np.where(mask, x @ x.T, -1e9))
    return e / e.sum(-1, keepdims=True) @ x


def _causal_turned(x: Any) -> Any:
    mask = np.triu(np.ones((len(x), len(x)), bool))
    e = np.exp(np.where(mask, x @ x.T, -1e9))
    return e / e.sum(-1, keepdims=True) @ x


def _scaled(params: Any, x: Any) -> Any:
    e = np.exp((x @ params["w"]) @ x.T / np.sqrt(3))
    return e / e.sum(-1, keepdims=True) @ x


def _unscaled(params: Any, x: Any) -> Any:
    e = np.exp((x @ params["w"]) @ x.T)
    return e / e.sum(-1, keepdims=True) @ x


def _layer_norm(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def _rms_norm(x: Any) -> Any:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)


def _layer_norm_over_time(x: Any) -> Any:
    return (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)


def _residual(params: Any, x: Any) -> Any:
    return x + np.tanh(x @ params["w"])


def _no_residual(params: Any, x: Any) -> Any:
    return np.tanh(x @ params["w"])


def _biased(params: Any, x: Any) -> Any:
    return np.maximum(x @ params["w"] + params["b"], 0)


def _biased_late(params: Any, x: Any) -> Any:
    return np.maximum(x @ params["w"], 0) + params["b"]


def _turning(x: Any) -> Any:
    a, b = x[:, 0::2], x[:, 1::2]
    angle = np.outer(np.arange(len(x)), 0.5 ** np.arange(a.shape[1]))
    return np.stack([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1).reshape(x.shape)


def _turning_halves(x: Any) -> Any:
    a, b = np.split(x, 2, -1)
    angle = np.outer(np.arange(len(x)), 0.5 ** np.arange(a.shape[1]))
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), a * np.sin(angle) + b * np.cos(angle)], -1)


def _turning_back(x: Any) -> Any:
    a, b = x[:, 0::2], x[:, 1::2]
    angle = np.outer(np.arange(len(x)), 0.5 ** np.arange(a.shape[1]))
    return np.stack([a * np.cos(angle) + b * np.sin(angle), b * np.cos(angle) - a * np.sin(angle)], -1).reshape(x.shape)


def _nesterov(w: Any, g: Any, u: Any) -> Any:
    u = 0.9 * u + g
    return w - 0.1 * (g + 0.9 * u)


def _nesterov_stale(w: Any, g: Any, u: Any) -> Any:
    step = g + 0.9 * u
    u = 0.9 * u + g
    return w - 0.1 * step


def _scan(params: Any, x: Any) -> Any:
    h = np.zeros((len(x), 3), x.dtype)
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] + h @ params["w"])
    return h


def _scan_from_the_end(params: Any, x: Any) -> Any:
    h = np.zeros((len(x), 3), x.dtype)
    for t in reversed(range(x.shape[1])):
        h = np.tanh(x[:, t] + h @ params["w"])
    return h


def _scan_from_ones(params: Any, x: Any) -> Any:
    h = np.ones((len(x), 3), x.dtype)
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] + h @ params["w"])
    return h


def _smooth_relu(params: Any, x: Any) -> Any:
    return np.maximum(x @ params["w"], 0) @ params["v"]


def _smooth_softplus(params: Any, x: Any) -> Any:
    return np.log1p(np.exp(x @ params["w"])) @ params["v"]


LOSS = {"logits": np.array([[0.5, -1.0, 2.0, 0.25], [1.5, 0.75, -0.5, 0.0]]), "y": np.array([2, 1])}
GATED = {"w": np.linspace(-1, 1, 18).reshape(3, 6) ** 3, "b": np.linspace(0.5, -0.25, 6)}
FEED = {"w": (3, 5), "v": (5, 2)}
SQUARE = {"w": (3, 3), "r": (3, 3), "u": (3, 3)}
MANY = np.linspace(-3, 3, 24).reshape(6, 4)[:, ::-1] ** 3 / 9
STATE = {"w": (6,), "g": (6,), "m": (6,), "v": np.linspace(0.5, 2, 6)}
MORE_CAUSES: dict[str, tuple[Any, Any, Any, Any, str]] = {
    "heads that are read as width x heads": (
        lambda params, x: _heads(x, params["w"], 2, 4, (0, 1, 2)),
        lambda params, x: _heads(x, params["w"], 4, 2, (0, 2, 1)),
        {"x": X}, {"w": np.arange(24.0).reshape(3, 8) % 7 - 3}, "channel order",
    ),
    "a share of K - 1 classes": (
        _smoothed(lambda k: (0.9 + 0.1 / k, 0.1 / k)), _smoothed(lambda k: (0.9, 0.1 / (k - 1))), LOSS, None,
        "label smoothing",
    ),
    "a blend": (_blend, _blend_turned, {"x": X}, None, "swapped gates"),
    "positions from 1": (_placed, _placed_from_one, {"x": np.stack([X, -X])}, None, "off-by-one step"),
    "a constant in a class": (_leaky, _leaky_class, {"x": X}, None, "activation slope"),
    "a gate of parameters": (_gated, _gated_turned, {"x": X}, GATED, "swapped gates"),
    "a slope in a hard sigmoid": (_hard_fifth, _hard_sixth, {"x": MANY}, None, "activation slope"),
    "one form of gelu for another": (_quick, _tanh_form, {"x": X}, FEED, "approximate gelu"),
    "a fixed mask of dropout": (_kept, _dropped, {"x": X}, FEED, "training or inference"),
    "depth before blocks": (_to_space, _to_space_depth_first, {"x": (1, 2, 2, 8)}, None, "channel order"),
    "epsilon beside the uncorrected root": (_adam, _adam_root, STATE, None, "epsilon"),
    "no bias correction": (_adam, _adam_uncorrected, STATE, None, "bias correction"),
    "another beta and its complement": (_adam, _adam_wider, STATE, None, "constant"),
    "a reset gate before the product": (_cell, _cell_before, {"x": X}, SQUARE, "reset gate"),
    "a mask of the other triangle": (_causal, _causal_turned, {"x": MANY}, None, "mask"),
    "scores without a scale": (_scaled, _unscaled, {"x": X}, SQUARE, "factor"),
    "a mean that is not subtracted": (_layer_norm, _rms_norm, {"x": MANY}, None, "missing step"),
    "mean and variance over another axis": (
        _layer_norm, _layer_norm_over_time, {"x": (2, 4, 3)}, None, "axis",
    ),
    "no residual": (_residual, _no_residual, {"x": X}, SQUARE, "missing term"),
    "a bias behind the activation": (_biased, _biased_late, {"x": X}, {**SQUARE, "b": (3,)}, "order of steps"),
    "pairs in two halves": (_turning, _turning_halves, {"x": (4, 6)}, None, "channel order"),
    "an angle with the other sign": (_turning, _turning_back, {"x": (4, 6)}, None, "sign"),
    "a stale state": (_nesterov, _nesterov_stale, {"w": (5,), "g": (5,), "u": (5,)}, None, "order of steps"),
    "time from the end": (_scan, _scan_from_the_end, {"x": (2, 4, 3)}, SQUARE, "direction"),
    "another initial state": (_scan, _scan_from_ones, {"x": (2, 4, 3)}, SQUARE, "initial state"),
    "another activation": (_smooth_relu, _smooth_softplus, {"x": X}, FEED, "another activation"),
}  # fmt: skip


@pytest.mark.parametrize("case", MORE_CAUSES)
def test_causes_without_a_framework(case: str) -> None:
    first, second, inputs, params, cause = MORE_CAUSES[case]
    (failure,) = crossnn.compare_ports(two(first, second), inputs, [], params=params).failures
    assert failure.cause is not None
    assert failure.cause.name == cause


def test_labels_that_are_shifted_are_not_called_smoothed() -> None:
    def shifted(logits: Any, y: Any) -> Any:
        return _smoothed(lambda k: (1.0, 0.0))(logits, (y + 2) % 4)

    (failure,) = crossnn.compare_ports(two(_smoothed(lambda k: (1.0, 0.0)), shifted), LOSS, []).failures
    assert failure.cause is None or failure.cause.name != "label smoothing"
    assert failure.tried > 10


@pytest.mark.parametrize(("size", "said"), [(64, False), (65, True)])
def test_gradients_of_some_elements_only_are_said_to_be_so(size: int, said: bool) -> None:
    report = crossnn.compare_ports(two(lambda x: x * 2, lambda x: x + x), {"x": (size,)})
    assert not report.failures
    text = f"judged at 64 elements only, evenly spread, of 'x' ({size})"
    for shown in (report.message(), report.to_markdown(), report.to_json()):
        assert (text in shown) is said


def test_a_report_is_frozen_short_and_says_text_as_text() -> None:
    report = crossnn.compare_ports({"<b>": ("numpy", np.tanh), "a": ("numpy", np.arctan)}, [X], [], dtypes=["float64"])
    assert repr(report) == "<PortReport: 1 port beside '<b>': 1 of 1 departs; 1 tensors>"
    assert "<b>" not in report._repr_html_().replace("<b>Likely", "")
    assert "&lt;b&gt;" in report._repr_html_()
    assert "| a " in report.to_markdown()
    assert json.loads(report.to_json())["failures"][0]["first"]["verdict"] == "FORMULA"
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.failures = ()  # type: ignore[misc]


def test_shapes_are_drawn_anew_for_each_seed() -> None:
    seen = []

    def kept(x: Any) -> Any:
        seen.append(float(x.flat[0]))
        return x * 2

    crossnn.compare_ports(two(lambda x: x * 2, kept), {"x": (2, 2)}, [], seeds=3, dtypes=["float64"])
    assert len(set(seen)) == 3


# The parts ----------------------------------------------------------------------------------------------------------


def test_trees_have_dotted_names() -> None:
    tree = {"dense": {"kernel": 1, "bias": 2}, "rest": (3, [4])}
    assert flat(tree) == {"dense.kernel": 1, "dense.bias": 2, "rest.0": 3, "rest.1.0": 4}
    assert refilled(tree, {"dense.bias": 5, "rest.1.0": 6}) == {"dense": {"kernel": 1, "bias": 5}, "rest": (3, [6])}


@pytest.mark.parametrize(
    ("text", "shape", "after"), [("transpose", (2, 3), (3, 2)), ("HWIO->OIHW", (5, 4, 3, 2), (2, 3, 5, 4))]
)
def test_layouts_go_there_and_back(text: str, shape: tuple[int, ...], after: tuple[int, ...]) -> None:
    one = np.arange(np.prod(shape)).reshape(shape)
    there = layout(text, "w").forward(one)
    assert there.shape == after
    assert np.array_equal(layout(text, "w").backward(there), one)


def test_layouts_of_gates_put_blocks_in_order() -> None:
    there = layout("ifgo->ifog", "w").forward(np.array([[1, 1, 2, 2, 3, 3, 4, 4]]))
    assert there.tolist() == [[1, 1, 2, 2, 4, 4, 3, 3]]


@pytest.mark.parametrize(
    ("function", "noisy"),
    [
        (lambda x: np.exp(x), True),
        (lambda x: x.mean(), True),
        (lambda x: np.einsum("ij,kj->ik", x, x), True),
        (lambda x: x @ x.T, True),
        (lambda x: np.linalg.norm(x), True),
        (lambda x: np.maximum(x, 0), False),
        (lambda x: x * 2, False),
        (lambda x: np.concatenate([x, x]).T[::-1], False),
    ],
)
def test_what_rounds_is_disturbed_and_nothing_else(function: Any, noisy: bool) -> None:
    with shaking(0) as disturb:
        found = np.asarray(function(disturb(X)))
    error = np.max(np.abs(found - function(X)) / np.abs(function(X)).max())
    assert (0 < error < 20 * EPSILON) if noisy else error == 0


def test_an_array_that_is_filled_with_noisy_numbers_stays_plain() -> None:
    with shaking(0) as disturb:
        out = np.zeros(3)
        out[:] = np.exp(disturb(X))[0]
        assert not isinstance(out, Noisy)


def test_slopes_are_right_to_their_bound() -> None:
    x = np.array([-2.0, 0.3, 1.5], np.longdouble)
    (found,) = slopes(lambda a: {"y": np.tanh(a["x"])}, [], {"x": x}, ["x"], {"y": np.array([1.0, -2.0, 3.0])}).values()
    expected = np.array([1.0, -2.0, 3.0]) * (1 - np.tanh(x) ** 2)
    assert np.all(np.abs(found.value - expected) <= found.bound)
    assert np.all(found.bound < 1e-9)


def test_a_slope_at_a_kink_has_a_wide_bound() -> None:
    (found,) = slopes(
        lambda a: {"y": np.abs(a["x"])}, [], {"x": np.array([1e-5, 2.0])}, ["x"], {"y": np.ones(2)}
    ).values()
    assert found.bound[0] > 0.1
    assert found.bound[1] < 1e-9


@pytest.mark.parametrize("module", ["crossnn.ports.compare", "crossnn.verified", "crossnn.shown"])
def test_examples_in_docstrings_run(module: str) -> None:
    done = doctest.testmod(importlib.import_module(module))
    assert done.attempted >= 1
    assert done.failed == 0


def test_a_detached_gradient_is_named(require: Callable[[str], None]) -> None:
    require("torch")

    def port(x: Any) -> Any:
        return x.detach().tanh() + 0 * x.sum()

    report = crossnn.compare_ports({"numpy": np.tanh, "torch": port}, [X])
    assert report.failures[0].first.quantity == "gradient of 'input 0'"
    assert report.failures[0].cause is not None
    assert report.failures[0].cause.name == "detached"
