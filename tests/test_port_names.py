"""What a mistake in a port is called: by what stands where the edit mends it; attributes of objects are put back."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import crossnn

X = np.array([[-1.5, 0.25, 2.0], [0.5, -0.75, 1.25], [1.0, 0.5, -0.25], [2.5, -1.0, 0.75]])
IDS = np.array([2, 0, 1, 1])
SQUARE = {"w": (3, 3), "b": (3,), "v": (3, 3)}
STEP = {"w": (5,), "g": (5,), "u": (5,)}
SERIES = np.linspace(-2, 2, 48).reshape(2, 3, 8) ** 3


def two(first: Callable[..., Any], second: Callable[..., Any]) -> dict[str, Any]:
    return {"right": ("numpy", first), "port": ("numpy", second)}


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def layer(p: Any, x: Any) -> Any:
    return np.tanh(x @ p["w"] + p["b"]) @ p["v"]


def layer_twice(p: Any, x: Any) -> Any:
    h = x @ p["w"] + p["b"]
    return np.tanh(h + p["b"]) @ p["v"]


def layer_unbiased(p: Any, x: Any) -> Any:
    return np.tanh(x @ p["w"]) @ p["v"]


def layer_residual(p: Any, x: Any) -> Any:
    return x + np.tanh(x @ p["w"] + p["b"]) @ p["v"]


def entropy(x: Any) -> Any:
    p = softmax(x)
    return -np.mean(np.sum(p * np.log(p), axis=-1))


def entropy_bits(x: Any) -> Any:
    p = softmax(x)
    return -np.mean(np.sum(p * np.log2(p), axis=-1))


def dropped(p: Any, x: Any, noise: Any) -> Any:
    keep = noise < 0.8
    return np.where(keep, np.tanh(x @ p["w"]) / 0.8, 0.0) @ p["v"]


def dropped_unscaled(p: Any, x: Any, noise: Any) -> Any:
    keep = noise < 0.8
    return np.where(keep, np.tanh(x @ p["w"]), 0.0) @ p["v"]


def kept(p: Any, x: Any, u: Any) -> Any:
    return np.where(u < 0.8, np.tanh(x @ p["w"]) / 0.8, 0.0) @ p["v"]


def kept_otherwise(p: Any, x: Any, u: Any) -> Any:
    return np.where(u < 0.8, np.tanh(x @ p["w"]) * 0.8, 0.0) @ p["v"]


def swish(p: Any, x: Any) -> Any:
    h = x @ p["w"]
    return (h * sigmoid(1.5 * h)) @ p["v"]


def swish_plain(p: Any, x: Any) -> Any:
    h = x @ p["w"]
    return (h * sigmoid(h)) @ p["v"]


def attend(p: Any, x: Any) -> Any:
    scores = x @ p["w"] @ x.T / np.sqrt(x.shape[-1])
    allowed = np.tri(len(x), dtype=bool)
    return softmax(np.where(allowed, scores, -1e9)) @ x


def attend_one_ahead(p: Any, x: Any) -> Any:
    scores = x @ p["w"] @ x.T / np.sqrt(x.shape[-1])
    allowed = np.tri(len(x), k=1, dtype=bool)
    return softmax(np.where(allowed, scores, -1e9)) @ x


def attend_by_places(p: Any, x: Any) -> Any:
    scores = x @ p["w"] @ x.T / np.sqrt(x.shape[-1])
    places = np.arange(len(x))
    return softmax(np.where(places[:, None] >= places - 1, scores, -1e9)) @ x


def attend_wide(p: Any, x: Any) -> Any:
    width = 2 * x.shape[-1]
    scores = x @ p["w"] @ x.T * width**-0.5
    allowed = np.tri(len(x), dtype=bool)
    return softmax(np.where(allowed, scores, -1e9)) @ x


def pooled(x: Any) -> Any:
    windows = x.reshape(*x.shape[:-1], -1, 2)
    return np.tanh(windows.max(axis=-1)).sum(axis=1)


def pooled_mean(x: Any) -> Any:
    halves = x.reshape(*x.shape[:-1], -1, 2)
    return np.tanh(halves.mean(axis=-1)).sum(axis=1)


def scan(p: Any, x: Any, start: Any) -> Any:
    h = start
    for one in x:
        h = np.tanh(one + h @ p["w"])
    return h


def scan_from_zero(p: Any, x: Any, start: Any) -> Any:
    h = np.zeros_like(start)
    for one in x:
        h = np.tanh(one + h @ p["w"])
    return h


def adagrad(w: Any, g: Any) -> Any:
    total = np.full(w.shape, 0.1)
    for _ in range(2):
        total = total + (g * w) ** 2
        w = w - 0.1 * g * w / np.sqrt(total)
    return w


def adagrad_from_zero(w: Any, g: Any) -> Any:
    total = np.zeros(w.shape)
    for _ in range(2):
        total = total + (g * w) ** 2
        w = w - 0.1 * g * w / np.sqrt(total)
    return w


def momentum(w: Any, g: Any, u: Any) -> Any:
    for _ in range(2):
        slope = g * w
        u = 0.9 * u - 0.1 * slope
        w = w + u
    return w


def nesterov(w: Any, g: Any, u: Any) -> Any:
    for _ in range(2):
        slope = g * w
        u = 0.9 * u - 0.1 * slope
        w = w + 0.9 * u - 0.1 * slope
    return w


def decoupled(w: Any, g: Any, u: Any) -> Any:
    for _ in range(2):
        grad = g * w
        u = 0.9 * u + grad
        w = w - 0.1 * 0.05 * w
        w = w - 0.1 * u
    return w


def coupled(w: Any, g: Any, u: Any) -> Any:
    for _ in range(2):
        grad = g * w + 0.05 * w
        u = 0.9 * u + grad
        w = w - 0.1 * u
    return w


def moving(x: Any) -> Any:
    wide = np.pad(x, [(0, 0), (0, 0), (2, 0)])
    return np.tanh(wide[..., :-2] - wide[..., 1:-1] * wide[..., 2:])


def moving_centred(x: Any) -> Any:
    wide = np.pad(x, [(0, 0), (0, 0), (1, 1)])
    return np.tanh(wide[..., :-2] - wide[..., 1:-1] * wide[..., 2:])


def positions(p: Any, x: Any) -> Any:
    angle = np.arange(len(x))[:, None] / 10.0 ** np.arange(2)
    table = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(len(x), -1)
    return np.tanh(x @ p["w"] @ (table.T @ table))


def positions_halves(p: Any, x: Any) -> Any:
    angle = np.arange(len(x))[:, None] / 10.0 ** np.arange(2)
    table = np.concatenate([np.sin(angle), np.cos(angle)], axis=-1)
    return np.tanh(x @ p["w"] @ (table.T @ table))


def masked(x: Any, mask: Any) -> Any:
    return (x**2 * mask).sum() / mask.sum()


def masked_over_all(x: Any, mask: Any) -> Any:
    return (x**2 * mask).mean()


def rms(p: Any, x: Any) -> Any:
    h = x @ p["w"]
    return np.tanh(h / np.sqrt((h * h).mean(-1, keepdims=True) + 1e-6)) @ p["v"]


def normed(p: Any, x: Any) -> Any:
    h = x @ p["w"]
    return np.tanh((h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-6)) @ p["v"]


NOISE = np.random.default_rng(1).uniform(size=(4, 3))
NAMES: dict[str, tuple[Any, Any, Any, Any, str]] = {
    "a bias that is added twice": (layer, layer_twice, {"x": X}, SQUARE, "bias twice"),
    "a bias where none is": (layer_unbiased, layer, {"x": X}, SQUARE, "extra bias"),
    "a residual where none is": (layer, layer_residual, {"x": X}, SQUARE, "extra term"),
    "nats for bits": (entropy_bits, entropy, {"x": X}, None, "base of the logarithm"),
    "bits from nats by a factor": (entropy_bits, lambda x: entropy(x) * 1.0, {"x": X}, None, "base of the logarithm"),
    "a mask that is scaled twice": (kept, kept_otherwise, {"x": X, "u": NOISE}, SQUARE, "dropout scale"),
    "decay beside the gradient": (coupled, decoupled, STEP, None, "decoupled weight decay"),
    "a mask without a scale": (dropped, dropped_unscaled, {"x": X, "noise": NOISE}, SQUARE, "dropout scale"),
    "silu for a swish": (swish, swish_plain, {"x": X}, SQUARE, "activation slope"),
    "a mask of one more": (attend, attend_one_ahead, {"x": X}, SQUARE, "off-by-one mask"),
    "a mask by places": (attend, attend_by_places, {"x": X}, SQUARE, "off-by-one mask"),
    "the width of all heads": (attend, attend_wide, {"x": X}, SQUARE, "attention scale"),
    "means of windows": (pooled, pooled_mean, {"x": SERIES}, None, "pooling"),
    "a start that is not taken": (scan, scan_from_zero, {"x": X[:, None], "start": X[:1]}, SQUARE, "initial state"),
    "another accumulator": (adagrad, adagrad_from_zero, {"w": (5,), "g": (5,)}, None, "initial state"),
    "plain momentum": (nesterov, momentum, STEP, None, "Nesterov momentum"),
    "momentum that looks ahead": (momentum, nesterov, STEP, None, "Nesterov momentum"),
    "decay in the gradient": (decoupled, coupled, STEP, None, "decoupled weight decay"),
    "padding at both ends": (moving, moving_centred, {"x": SERIES}, None, "padding"),
    "halves for pairs": (positions, positions_halves, {"x": X}, {"w": (3, 4)}, "channel order"),
    "pairs for halves": (positions_halves, positions, {"x": X}, {"w": (3, 4)}, "channel order"),
    "a mean over what is masked": (masked, masked_over_all, {"x": X, "mask": (X > 0) * 1.0}, None, "reduction"),
    "layer norm": (rms, normed, {"x": X}, SQUARE, "RMS norm or layer norm"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_mistake_has_the_name_of_the_field(case: str) -> None:
    first, second, inputs, params, name = NAMES[case]
    (failure,) = crossnn.compare_ports(two(first, second), inputs, [], params=params).failures
    assert failure.cause is not None
    assert failure.cause.name == name, failure.cause.says


# Attributes of objects ----------------------------------------------------------------------------------------------


class Norm:
    def __init__(self, epsilon: float) -> None:
        self.epsilon = epsilon

    def __call__(self, x: Any) -> Any:
        return x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + self.epsilon)


@dataclasses.dataclass(frozen=True)
class Leaky:
    negative_slope: float
    inner: Any

    def __call__(self, x: Any) -> Any:
        h = self.inner(x)
        return np.where(h > 0, h, self.negative_slope * h)


def plain(x: Any) -> Any:
    h = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-3)
    return np.where(h > 0, h, 0.2 * h)


BUILT = {"epsilon": (Leaky(0.2, Norm(1e-5)), "epsilon"), "slope": (Leaky(0.01, Norm(1e-3)), "activation slope")}


@pytest.mark.parametrize("case", BUILT)
def test_attributes_of_what_was_built_are_tried_and_put_back(case: str) -> None:
    built, name = BUILT[case]
    before = built.negative_slope, built.inner.epsilon
    (failure,) = crossnn.compare_ports(two(plain, built), {"x": X}, []).failures
    assert failure.cause is not None
    assert failure.cause.name == name
    assert f"instead of {before[case == 'epsilon']!r}" in failure.cause.says
    assert (built.negative_slope, built.inner.epsilon) == before


def test_an_attribute_of_another_class_is_called_by_its_own_name() -> None:
    class Penalty:
        def __init__(self) -> None:
            self.beta = 2.0

        def __call__(self, x: Any) -> Any:
            return np.tanh(x).sum() + self.beta * np.abs(x).sum()

    (failure,) = crossnn.compare_ports(two(lambda x: np.tanh(x).sum() + np.abs(x).sum(), Penalty()), [X], []).failures
    assert failure.cause is not None
    assert failure.cause.name == "setting beta"


def test_an_attribute_that_raises_is_put_back() -> None:
    class Broken(Norm):
        def __call__(self, x: Any) -> Any:
            if self.epsilon != 1e-5:
                raise ValueError("never")
            return super().__call__(x)

    broken = Broken(1e-5)
    crossnn.compare_ports(two(lambda x: np.arctan(x), broken), {"x": X}, [])
    assert broken.epsilon == 1e-5


def test_attributes_of_a_torch_module(require: Callable[[str], None]) -> None:
    require("torch")
    torch: Any = importlib.import_module("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4, eps=1e-2, dtype=torch.float32))

    def right(p: Any, x: Any) -> Any:
        h = x @ p["0"]["kernel"] + p["0"]["bias"]
        h = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-5)
        return h * p["1"]["weight"] + p["1"]["bias"]

    params = {"0": {"kernel": (3, 4), "bias": (4,)}, "1": {"weight": (4,), "bias": (4,)}}
    report = crossnn.compare_ports({"numpy": right, "torch": module}, {"x": X}, params=params)
    (failure,) = report.failures
    assert failure.cause is not None
    assert failure.cause.name == "epsilon"
    assert "eps of LayerNorm is 1e-05 instead of 0.01" in failure.cause.says
    assert module[1].eps == 1e-2


def test_attributes_of_a_keras_layer_that_computes_in_float32(require: Callable[[str], None]) -> None:
    require("tensorflow")
    keras: Any = importlib.import_module("keras")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, name="fc"), keras.layers.ELU(alpha=0.5)])

    def right(p: Any, x: Any) -> Any:
        h = x @ p["fc"]["kernel"] + p["fc"]["bias"]
        return np.where(h > 0, h, np.expm1(np.minimum(h, 0)))

    params = {"fc": {"kernel": (3, 4), "bias": (4,)}}
    (failure,) = crossnn.compare_ports({"numpy": right, "tensorflow": model}, {"x": X}, params=params).failures
    assert failure.cause is not None
    assert failure.cause.name == "activation slope"
    assert model.layers[-1].alpha == 0.5


# Nothing is called what it is not -----------------------------------------------------------------------------------

UNKNOWN: dict[str, tuple[Any, Any, Any, Any]] = {
    "another function": (np.tanh, np.arctan, [X], None),
    "a factor of 4/3 that is no variance": (lambda x: x.sum() / 3, lambda x: x.sum() / 4 + 0 * x[0, 0], [X], None),
    "a ratio of two sums": (
        lambda x, mask: (x * mask).sum() / mask.sum(), lambda x, mask: (x * mask).sum() / 12,
        {"x": X, "mask": (X > 0) * 1.0}, None,
    ),
}  # fmt: skip
NEVER = {"biased variance", "Nesterov momentum", "decoupled weight decay", "RMS norm or layer norm", "attention scale"}


@pytest.mark.parametrize("case", UNKNOWN)
def test_nothing_has_a_name_that_it_is_not(case: str) -> None:
    first, second, inputs, params = UNKNOWN[case]
    (failure,) = crossnn.compare_ports(two(first, second), inputs, [], params=params).failures
    assert failure.cause is None or failure.cause.name not in NEVER


# Classes of a user's own --------------------------------------------------------------------------------------------


class Smooth:
    """A port that is an object."""

    def __call__(self, x: Any) -> Any:
        return self.bent(np.sqrt(np.mean(x**2, axis=-1)))

    def bent(self, x: Any) -> Any:
        return np.log10(x) * np.exp(-x)


def smooth(x: Any) -> Any:
    size = np.sqrt(np.mean(x**2, axis=-1))
    return np.log2(size) / np.exp(size)


def test_the_methods_of_an_object_are_edited_and_put_back() -> None:
    before = Smooth.bent
    (failure,) = crossnn.compare_ports(
        {"port": ("numpy", smooth), "hidden": ("numpy", Smooth())}, {"x": X}, []
    ).failures
    assert failure.cause is not None
    assert failure.cause.name == "base of the logarithm"
    assert Smooth.bent is before


def test_the_forward_of_a_torch_module_is_edited(require: Callable[[str], None]) -> None:
    require("torch")
    nets: Any = importlib.import_module("own_torch_module")
    module = nets.TwiceBiased()
    before = nets.TwiceBiased.forward

    def right(p: Any, x: Any) -> Any:
        return np.tanh(x @ p["hidden"]["kernel"] + p["hidden"]["bias"])

    params = {"hidden": {"kernel": (3, 4), "bias": (4,)}}
    (failure,) = crossnn.compare_ports({"numpy": right, "torch": module}, {"x": X}, params=params).failures
    assert failure.cause is not None
    assert failure.cause.name == "bias twice"
    assert "of TwiceBiased reads" in failure.cause.says
    assert nets.TwiceBiased.forward is before
