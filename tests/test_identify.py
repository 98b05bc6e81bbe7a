"""Calls are read and not evaluated; the formula behind each is found; altered copies are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.errors import BackendError
from crossnn.identify.calls import Call, flat, parse_call
from crossnn.identify.resolved import lines
from crossnn.identify.search import identify

Adapters = Callable[..., Adapter]


# Calls --------------------------------------------------------------------------------------------------------------

READ = [
    ("torch.optim.Adam", Call("torch.optim.Adam", called=False)),
    ("torch.optim.Adam(lr=-0.5, betas=(0.9, 0.99))", Call("torch.optim.Adam", (), {"lr": -0.5, "betas": (0.9, 0.99)})),
    ("optax.chain(optax.scale(-0.1))", Call("optax.chain", (Call("optax.scale", (-0.1,)),))),
    ("keras.optimizers.SGD(nesterov=True, weight_decay=None)",
     Call("keras.optimizers.SGD", (), {"nesterov": True, "weight_decay": None})),
]  # fmt: skip
REFUSED = [
    "__import__('os')", "torch._C.f()", "torch.optim.Adam(lr=2*3)", "torch.optim.Adam(*x)", "torch.optim.Adam(**x)",
    "f[0]", "lambda: 1", "f()()", "(yield)", "1", "", "f(x", "[torch.tanh]", "f'{x}'",
    "torch.optim.Adam(lr=x if y else z)", "f(" * 50 + ")" * 50, "a" * 3000,
]  # fmt: skip


@pytest.mark.parametrize(("text", "call"), READ, ids=[text for text, _ in READ])
def test_read(text: str, call: Call) -> None:
    assert parse_call(text) == call
    assert parse_call(str(call)) == call


@pytest.mark.parametrize("text", REFUSED, ids=[text[:30] or "nothing" for text in REFUSED])
def test_refused(text: str) -> None:
    with pytest.raises(BackendError):
        parse_call(text)


def test_flat_settings() -> None:
    inner = Call("optax.scale_by_adam", (), {"b1": 0.8})
    assert flat({"betas": (0.9, 0.99), "args[0]": inner, "lr": 0.1}) == {
        "betas[0]": 0.9, "betas[1]": 0.99, "scale_by_adam.b1": 0.8, "lr": 0.1,
    }  # fmt: skip


NOT_OPENED = [
    ("torch", "torch.load('file')", "torch"),
    ("torch", "torch.os.system('true')", "namespace"),
    ("torch", "torch.optim.lr_scheduler", "lr_scheduler"),
    ("torch", "torch.optim.Adam(rate=0.1)", "rate"),
    ("torch", "torch.optim.Adam(lr=-1.0)", "Invalid learning rate"),
    ("torch", "torch.optim.LBFGS()", "closure"),
    ("torch", "torch.optim.Adan", "did you mean"),
    ("torch", "torch.optim.Optimizer(defaults=None)", "torch.optim.Optimizer"),
    ("torch", "torch.nn.functional.elu(0.5)", "by name"),
    ("tensorflow", "keras.losses.deserialize('mse')", "deserialize"),
    ("tensorflow", "keras.optimizers.Adam(momentum=0.9)", "momentum"),
    ("jax", "optax.adam", "learning_rate"),
    ("jax", "jax.numpy.load('file')", "load"),
    ("numpy", "numpy.tanh", "module:function"),
]


@pytest.mark.parametrize(("backend", "call", "said"), NOT_OPENED, ids=[call for _, call, _ in NOT_OPENED])
def test_not_opened(adapter: Adapters, backend: str, call: str, said: str) -> None:
    with pytest.raises(BackendError, match=said):
        identify(adapter(backend), adapter(backend).opened(call))


# What frameworks have, by their documentation ----------------------------------------------------------------------

B = {"beta1": 0.9, "beta2": 0.999}
OPTIMIZERS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("torch", "torch.optim.SGD(lr=0.1)", "sgd", {"decay": "none", "lr": 0.1}),
    ("torch", "torch.optim.SGD(lr=0.1, weight_decay=0.01)", "sgd", {"decay": "coupled", "weight_decay": 0.01}),
    ("torch", "torch.optim.SGD(momentum=0.8)", "momentum", {"form": "outside", "decay": "none", "rho": 0.8}),
    ("torch", "torch.optim.SGD(momentum=0.9, nesterov=True)", "nesterov", {"form": "outside", "rho": 0.9}),
    ("torch", "torch.optim.Adagrad", "adagrad", {"eps_place": "outside", "eps": 1e-10, "initial_accumulator": 0.0}),
    ("torch", "torch.optim.Adadelta", "adadelta", {"rho": 0.9, "eps": 1e-6}),
    ("torch", "torch.optim.RMSprop", "rmsprop",
     {"eps_place": "outside", "centered": False, "momentum": "none", "rho": 0.99, "eps": 1e-8, "lr": 0.01}),
    ("torch", "torch.optim.RMSprop(centered=True, momentum=0.9)", "rmsprop",
     {"eps_place": "outside", "centered": True, "momentum": "outside", "mu": 0.9}),
    ("torch", "torch.optim.Rprop", "rprop",
     {"on_change": "wait", "eta_minus": 0.5, "eta_plus": 1.2, "step_min": 1e-6, "step_max": 50.0}),
    ("torch", "torch.optim.Adam", "adam", {"eps_place": "outside", "bias_correction": True, **B, "eps": 1e-8}),
    ("torch", "torch.optim.Adam(weight_decay=0.01)", "adamw", {"decay": "coupled", "weight_decay": 0.01}),
    ("torch", "torch.optim.Adam(amsgrad=True)", "amsgrad", {"correction": "after", **B}),
    ("torch", "torch.optim.AdamW", "adamw", {"decay": "before", "eps_place": "outside", "weight_decay": 0.01}),
    ("torch", "torch.optim.Adamax", "adamax", {"eps_place": "inside", **B}),
    ("torch", "torch.optim.NAdam(lr=0.01)", "nadam", {"schedule": "lookahead", "momentum_decay": 0.004, "lr": 0.01}),
    ("torch", "torch.optim.RAdam", "radam", {"eps_place": "hat", "threshold": 5.0}),
    ("torch", "torch.optim.ASGD", "asgd", {"rate": "previous", "lambd": 1e-4, "alpha": 0.75}),
    ("torch", "torch.optim.Adafactor", "adafactor",
     {"moments": "clamped_means", "relative_step": True, "eps2": 1e-3, "clip": 1.0, "decay": 0.8}),
    ("torch", "torch.optim.Muon", "muon", {"momentum": "nesterov", "scale": "original", "mu": 0.95}),
    ("tensorflow", "keras.optimizers.SGD", "sgd", {"decay": "none", "lr": 0.01}),
    ("tensorflow", "keras.optimizers.SGD(momentum=0.9)", "momentum", {"form": "inside", "rho": 0.9}),
    ("tensorflow", "keras.optimizers.SGD(momentum=0.9, nesterov=True)", "nesterov", {"form": "inside", "rho": 0.9}),
    ("tensorflow", "keras.optimizers.SGD(use_ema=True)", "weight_ema", {"start": "first", "rho": 0.99}),
    ("tensorflow", "keras.optimizers.Adagrad", "adagrad", {"eps_place": "inside", "initial_accumulator": 0.1}),
    ("tensorflow", "keras.optimizers.Adadelta", "adadelta", {"rho": 0.95, "eps": 1e-7}),
    ("tensorflow", "keras.optimizers.RMSprop", "rmsprop",
     {"eps_place": "inside", "centered": False, "momentum": "none", "rho": 0.9, "eps": 1e-7}),
    ("tensorflow", "keras.optimizers.RMSprop(momentum=0.8, centered=True)", "rmsprop",
     {"eps_place": "inside", "centered": True, "momentum": "inside", "mu": 0.8}),
    ("tensorflow", "keras.optimizers.Adam", "adam", {"eps_place": "hat", "bias_correction": True, **B, "eps": 1e-7}),
    ("tensorflow", "keras.optimizers.Adam(amsgrad=True)", "amsgrad", {"correction": "hat"}),
    ("tensorflow", "keras.optimizers.AdamW", "adamw", {"decay": "before", "eps_place": "hat", "weight_decay": 0.004}),
    ("tensorflow", "keras.optimizers.Adamax", "adamax", {"eps_place": "outside", "eps": 1e-7}),
    ("tensorflow", "keras.optimizers.Nadam", "nadam", {"schedule": "lookahead", "momentum_decay": 1.0}),
    ("tensorflow", "keras.optimizers.Lion", "lion", {"beta1": 0.9, "beta2": 0.99}),
    ("tensorflow", "keras.optimizers.Ftrl", "ftrl", {"beta": 0.0, "l1": 0.0, "l2": 0.0, "initial_accumulator": 0.1}),
    ("tensorflow", "keras.optimizers.Ftrl(l2_regularization_strength=0.01)", "ftrl", {"l2": 0.02}),
    ("tensorflow", "keras.optimizers.Lamb(weight_decay=0.01)", "lamb", {"decay": "before", "weight_decay": 0.01}),
    ("tensorflow", "keras.optimizers.Adafactor", "adafactor", {"moments": "means", "relative_step": True}),
    ("tensorflow", "keras.optimizers.Muon", "muon", {"momentum": "nesterov", "scale": "rms", "weight_decay": 0.004}),
    ("jax", "optax.sgd(0.1)", "sgd", {"lr": 0.1}),
    ("jax", "optax.sgd(0.1, momentum=0.9)", "momentum", {"form": "outside", "rho": 0.9}),
    ("jax", "optax.sgd(0.1, 0.9, nesterov=True)", "nesterov", {"form": "outside", "rho": 0.9}),
    ("jax", "optax.adagrad(0.1)", "adagrad", {"eps_place": "inside", "initial_accumulator": 0.1, "eps": 1e-7}),
    ("jax", "optax.adadelta(1.0)", "adadelta", {"rho": 0.9, "eps": 1e-6}),
    ("jax", "optax.rmsprop(0.01)", "rmsprop", {"eps_place": "inside", "centered": False, "momentum": "none"}),
    ("jax", "optax.rmsprop(0.01, eps_in_sqrt=False, momentum=0.9)", "rmsprop",
     {"eps_place": "outside", "momentum": "inside", "mu": 0.9}),
    ("jax", "optax.rprop(0.1)", "rprop", {"on_change": "wait"}),
    ("jax", "optax.adam(1e-3)", "adam", {"eps_place": "outside", "bias_correction": True, "eps": 1e-8}),
    ("jax", "optax.adam(1e-3, eps=0.0, eps_root=1e-8)", "adam", {"eps_place": "inside", "eps": 1e-8}),
    ("jax", "optax.chain(optax.scale_by_adam(b1=0.8), optax.scale(-0.01))", "adam", {"beta1": 0.8, "lr": 0.01}),
    ("jax", "optax.adamw(1e-3)", "adamw", {"decay": "before", "weight_decay": 1e-4}),
    ("jax", "optax.amsgrad(1e-3)", "amsgrad", {"correction": "before"}),
    ("jax", "optax.adamax(1e-3)", "adamax", {"eps_place": "inside"}),
    ("jax", "optax.nadam(1e-3)", "nadam", {"schedule": "never"}),
    ("jax", "optax.radam(1e-3)", "radam", {"eps_place": "outside", "threshold": 5.0}),
    ("jax", "optax.adabelief(1e-3)", "adabelief", {"eps": 1e-16}),
    ("jax", "optax.lion(1e-3)", "lion", {"beta2": 0.99, "weight_decay": 1e-3}),
    ("jax", "optax.lamb(1e-3, weight_decay=0.01)", "lamb", {"decay": "in_ratio", "weight_decay": 0.01}),
    ("jax", "optax.lars(1.0, weight_decay=0.01)", "lars", {"norm": "norm_of_sum", "trust": 0.001, "rho": 0.9}),
    ("jax", "optax.adafactor(0.01)", "adafactor", {"moments": "means", "decay": 0.8}),
    ("jax", "optax.contrib.muon(0.02)", "muon", {"momentum": "corrected", "scale": "original", "mu": 0.95}),
]  # fmt: skip
ACTIVATIONS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("torch", "torch.nn.functional.gelu", "gelu", {"approximate": "none"}),
    ("torch", "torch.nn.GELU(approximate='tanh')", "gelu", {"approximate": "tanh"}),
    ("torch", "torch.nn.functional.elu(alpha=0.5)", "elu", {"alpha": 0.5}),
    ("torch", "torch.nn.CELU(alpha=2.0)", "celu", {"alpha": 2.0}),
    ("torch", "torch.nn.functional.leaky_relu", "leaky_relu", {"alpha": 0.01}),
    ("torch", "torch.nn.functional.softplus", "softplus", {}),
    ("torch", "torch.nn.functional.hardsigmoid", "hard_sigmoid", {"slope": "sixth"}),
    ("torch", "torch.nn.functional.softshrink(lambd=0.3)", "softshrink", {"theta": 0.3}),
    ("torch", "torch.nn.Softmax(dim=-1)", "softmax", {}),
    ("torch", "torch.nn.functional.glu", "glu", {"gate": "sigmoid"}),
    ("torch", "torch.tanh", "tanh", {}),
    ("tensorflow", "keras.activations.gelu", "gelu", {"approximate": "none"}),
    ("tensorflow", "keras.activations.silu", "silu", {}),
    ("tensorflow", "keras.activations.leaky_relu", "leaky_relu", {"alpha": 0.2}),
    ("tensorflow", "keras.layers.LeakyReLU", "leaky_relu", {"alpha": 0.3}),
    ("tensorflow", "keras.activations.selu", "selu", {"scale": 1.0507009873554805}),
    ("tensorflow", "tf.nn.relu6", "relu6", {}),
    ("tensorflow", "keras.activations.hard_silu", "hard_swish", {}),
    ("jax", "jax.nn.gelu", "gelu", {"approximate": "tanh"}),
    ("jax", "jax.nn.silu", "silu", {}),
    ("jax", "jax.nn.squareplus", "squareplus", {"b": 4.0}),
    ("jax", "jax.nn.elu(alpha=2.0)", "elu", {"alpha": 2.0}),
    ("jax", "jax.nn.log_sigmoid", "log_sigmoid", {}),
    ("jax", "jax.numpy.tanh", "tanh", {}),
]
LOSSES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("torch", "torch.nn.MSELoss", "mse", {}),
    ("torch", "torch.nn.HuberLoss(delta=2.0)", "huber", {"delta": 2.0}),
    ("torch", "torch.nn.functional.smooth_l1_loss(beta=0.5)", "smooth_l1", {"beta": 0.5}),
    ("torch", "torch.nn.BCELoss", "binary_crossentropy", {"clip": "log"}),
    ("torch", "torch.nn.BCEWithLogitsLoss", "binary_crossentropy_logits", {}),
    ("torch", "torch.nn.CrossEntropyLoss(label_smoothing=0.1)", "smoothed_crossentropy_logits", {"smoothing": 0.1}),
    ("torch", "torch.nn.KLDivLoss(reduction='batchmean')", "kl_divergence", {"clip": "none"}),
    ("torch", "torch.nn.TripletMarginLoss(margin=0.5)", "triplet", {"distance": "shifted", "margin": 0.5}),
    ("tensorflow", "keras.losses.Huber(delta=2.0)", "huber", {"delta": 2.0}),
    ("tensorflow", "keras.losses.BinaryCrossentropy", "binary_crossentropy", {"clip": "ends", "eps": 1e-7}),
    ("tensorflow", "keras.losses.BinaryCrossentropy(from_logits=True)", "binary_crossentropy_logits", {}),
    ("tensorflow", "keras.losses.CategoricalCrossentropy", "categorical_crossentropy", {"clip": "ends"}),
    ("tensorflow", "keras.losses.CosineSimilarity", "cosine_similarity", {"form": "negative"}),
    ("tensorflow", "tf.nn.sigmoid_cross_entropy_with_logits", "binary_crossentropy_logits", {}),
    ("jax", "optax.losses.l2_loss", "half_squared_error", {}),
    ("jax", "optax.losses.huber_loss(delta=2.0)", "huber", {"delta": 2.0}),
    ("jax", "optax.losses.cosine_distance", "cosine_similarity", {"form": "distance"}),
    ("jax", "optax.losses.sigmoid_focal_loss(alpha=0.25)", "focal_logits", {"alpha": 0.25, "gamma": 2.0}),
    ("tensorflow", "keras.regularizers.L2(0.02)", "l2", {"halved": False, "rate": 0.02}),
]


@pytest.mark.parametrize(
    ("backend", "call", "spec", "settings"),
    [*OPTIMIZERS, *ACTIVATIONS, *LOSSES],
    ids=[call for _, call, *_ in [*OPTIMIZERS, *ACTIVATIONS, *LOSSES]],
)
def test_identified(adapter: Adapters, backend: str, call: str, spec: str, settings: dict[str, Any]) -> None:
    one = adapter(backend)
    found = identify(one, one.opened(call))
    assert (found.matched, found.spec, parse_call(found.call)) == (True, spec, parse_call(call))
    assert {name: found.settings[name] for name in settings} == pytest.approx(settings)
    assert not set(found.undetermined) & settings.keys() - {"eps1"}
    assert all(quantity.explained for quantity in found.quantities)


def test_nearest_is_what_a_function_computes_in_another_setting(adapter: Adapters) -> None:
    one = adapter("torch")
    found = identify(one, one.opened("torch.nn.functional.kl_div"))  # the mean over six classes too
    assert (found.matched, found.spec, found.settings["clip"]) == (False, "kl_divergence", "none")
    assert any(note.startswith("it is 0.1666666667 times the nearest at") for note in found.notes)


def test_equal_specifications_are_named(adapter: Adapters) -> None:
    one = adapter("torch")
    found = identify(one, one.opened("torch.optim.SGD"))
    assert [other.spec for other in found.others] == ["momentum", "nesterov", "weight_ema", "nesterov_lookahead"]
    assert all(other.settings["rho"] == 0 for other in found.others)


def test_lines_in_one_convention() -> None:
    from crossnn.catalogue.load import load_catalogue

    row = load_catalogue().find("rmsprop")
    assert lines(row, {"eps_place": "inside", "centered": False, "momentum": "none"}) == [
        "v = rho*v + (1 - rho)*g**2",
        "var = v",
        "d = g/sqrt(var + eps)",
        "w = w - lr*d",
    ]


def test_a_setting_that_the_numbers_do_not_have_is_no_candidate() -> None:
    """At its default epsilon of 2 the loss is another one; a relation that fits other numbers has no value here."""
    pytest.importorskip("optax")
    adapter = registry.started("jax")
    assert not identify(adapter, adapter.opened("optax.losses.poly_loss_cross_entropy")).matched
    found = identify(adapter, adapter.opened("optax.losses.poly_loss_cross_entropy(epsilon=0)"))
    assert (found.matched, found.spec) == (True, "categorical_crossentropy_logits")
