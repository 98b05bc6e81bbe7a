"""A user's own code: functions, modules, optimizers and what makes them are identified; altered copies are none."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from crossnn.adapter import Adapter
from crossnn.cli import main
from crossnn.identify import own
from crossnn.identify.own_source import backend_of
from crossnn.identify.result import Identified
from crossnn.identify.search import identify

Adapters = Callable[..., Adapter]

# With NumPy --------------------------------------------------------------------------------------------------------


def numpy_identified(function: Callable[..., Any], kind: str = "") -> Identified:
    from crossnn import registry

    opened = own.opened("mine:function", function, kind, np.asarray, lambda value: np.array(value, float))
    return identify(registry.started("numpy"), opened)


def adam_like(**changed: Any) -> Callable[..., Any]:
    """Adam as its paper prints it, with parts exchanged."""
    b1, b2, eps = changed.get("b1", 0.9), changed.get("b2", 0.999), 1e-6
    mean = changed.get("mean", lambda m, g: b1 * m + (1 - b1) * g)
    square = changed.get("square", lambda v, g: b2 * v + (1 - b2) * g * g)
    count = changed.get("count", lambda t: t)
    first = changed.get("first", lambda m, t: m / (1 - b1**t))
    second = changed.get("second", lambda v, t: v / (1 - b2**t))
    step = changed.get("step", lambda m, v: m / (np.sqrt(v) + eps))

    def adam(
        w: np.ndarray, g: np.ndarray, state: Any, t: int, lr: float = 0.01, beta1: float = 0.9, beta2: float = 0.999,
        eps: float = 1e-6,
    ) -> Any:  # fmt: skip
        m, v = (state["m"], state["v"]) if state else (np.zeros_like(w), np.zeros_like(w))
        m, v = mean(m, g), square(v, g)
        return w - lr * step(first(m, count(t)), second(v, count(t))), {"m": m, "v": v}

    return adam


def test_own_adam() -> None:
    found = numpy_identified(adam_like())
    assert (found.matched, found.spec, found.verdict) == (True, "adam", "EQUAL")
    assert found.settings["eps_place"] == "outside"
    assert found.slots == {"m": "m", "v": "v"}


SINGLE = float(np.float32(0.9))
ALTERED: dict[str, tuple[dict[str, Any], int, str]] = {
    "epsilon added to v": ({"second": lambda v, t: v / (1 - 0.999**t) + 1e-4, }, 1, "update"),
    "epsilon subtracted": ({"step": lambda m, v: m / (np.sqrt(v) - 1e-6)}, 1, "update"),
    "a stale count of steps": ({"count": lambda t: max(1, t - 1)}, 2, "update"),
    "counting from 2": ({"count": lambda t: t + 1}, 1, "update"),
    "m not corrected": ({"first": lambda m, t: m}, 1, "update"),
    "v not corrected": ({"second": lambda v, t: v}, 1, "update"),
    "corrected with the other beta": ({"first": lambda m, t: m / (1 - 0.999**t)}, 1, "update"),
    "a float32 constant in m": ({"mean": lambda m, g: SINGLE * m + (1 - SINGLE) * g}, 1, "state.m"),
    "a float32 constant in the correction": ({"first": lambda m, t: m / (1 - SINGLE**t)}, 1, "update"),
    "the wrong sign": ({"step": lambda m, v: -m / (np.sqrt(v) + 1e-6)}, 1, "update"),
    "a little added to v": ({"square": lambda v, g: 0.999 * v + 0.001 * g * g + 1e-9}, 1, "state.v"),
    "no square root": ({"step": lambda m, v: m / (v + 1e-6)}, 1, "update"),
    "m without its factor": ({"mean": lambda m, g: 0.9 * m + g}, 1, "update"),
    "a cube root": ({"step": lambda m, v: m / (np.cbrt(v) + 1e-6)}, 1, "update"),
    "eight digits of g": ({"mean": lambda m, g: 0.9 * m + 0.1 * g * (1 + 1e-8)}, 1, "state.m"),
    "no small steps": ({"step": lambda m, v: np.where(abs(m) < 1e-5, 0, m / (np.sqrt(v) + 1e-6))}, 1, "update"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "step", "quantity"), ALTERED.values(), ids=ALTERED)
def test_altered_copies_of_adam_are_none(changed: dict[str, Any], step: int, quantity: str) -> None:
    found = numpy_identified(adam_like(**changed))
    assert not found.matched
    assert found.first is not None
    assert (found.first.step, found.first.quantity) == (step, f"free-running {quantity}")


def logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-x)))


FUNCTIONS: dict[str, tuple[Callable[..., Any], str, dict[str, Any]]] = {
    "softsign": (lambda x: x / (1 + abs(x)), "softsign", {}),
    "relu": (lambda x: (x > 0) * x, "relu", {}),
    "leaky relu": (lambda x, slope=0.2: np.where(x > 0, x, slope * x), "leaky_relu", {"alpha": 0.2}),
    "isru": (lambda x: x / np.sqrt(1 + 0.3 * x**2), "isru", {"alpha": 0.3}),
    "absolute error": (lambda y, t: np.mean(abs(y - t)), "mae", {}),
    "root of squares": (lambda y, t: np.sqrt(np.mean((y - t) ** 2)), "rmse", {}),
    "half squares": (lambda y, t: (y - t) ** 2 / 2, "half_squared_error", {}),
    "target first": (
        lambda t, y: np.where(abs(t - y) > 3, 3 * abs(t - y) - 4.5, (t - y) ** 2 / 2),
        "huber",
        {"delta": 3.0},
    ),
}


@pytest.mark.parametrize(("function", "spec", "settings"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_own_functions(function: Callable[..., Any], spec: str, settings: dict[str, Any]) -> None:
    found = numpy_identified(function)
    assert (found.matched, found.spec) == (True, spec)
    assert {name: found.settings[name] for name in settings} == settings


OTHERS: dict[str, tuple[Callable[..., Any], str]] = {
    "a short logistic": (lambda x: x * logistic(1.7 * x), "quick_gelu"),
    "single precision": (lambda x: x * np.float64(np.float32(0.1)) + np.where(x > 0, 0.9 * x, 0.0), "leaky_relu"),
    "a shifted step": (lambda x: np.where(x > 1e-3, x, 0.0), "relu"),
    "weighted squares": (lambda y, t: np.mean(1.1 * (y - t) ** 2), "mse"),
}


@pytest.mark.parametrize(("function", "near"), OTHERS.values(), ids=OTHERS)
def test_altered_functions_are_none(function: Callable[..., Any], near: str) -> None:
    found = numpy_identified(function)
    assert not found.matched
    assert found.first is not None
    assert found.spec == near
    factors = [note for note in found.notes if "times the nearest" in note]
    assert factors == (["it is 1.1 times the nearest everywhere"] if near == "mse" else [])


# With a framework --------------------------------------------------------------------------------------------------

TORCH = """
import torch

class Heavy(torch.optim.Optimizer):
    def __init__(self, params, lr=0.02, beta=0.8):
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                v = self.state[p].setdefault("v", torch.zeros_like(p))
                v.mul_(group["beta"]).add_(p.grad)
                p.sub_(group["lr"] * v)

def makes(params, lr=0.03):
    return torch.optim.Adam(params, lr=lr, betas=(0.8, 0.99))

def makes_too(weights):
    return torch.optim.RMSprop(weights, lr=0.02, alpha=0.95)

def swish(x):
    return x * torch.sigmoid(x)

def leaky(x, slope=0.2):
    return torch.where(x > 0, x, slope * x)

class Leaky(torch.nn.Module):
    def __init__(self, size=0.7):
        super().__init__()
        self.size = size

    def forward(self, x):
        return torch.where(x > 0, x, self.size * x)

def squares(y, t):
    return ((y - t) ** 2).mean()

def step(w, g, state, t, lr=0.1, rho=0.7):
    v = g if state is None else rho * state + g
    return w - lr * v, v
"""
KERAS = """
import keras

class Heavy(keras.optimizers.Optimizer):
    def __init__(self, learning_rate=0.01, rho=0.8, **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.rho = rho

    def build(self, variables):
        if not self.built:
            super().build(variables)
            self.velocity = [self.add_variable_from_reference(one, "velocity") for one in variables]

    def update_step(self, gradient, variable, learning_rate):
        v = self.velocity[self._get_variable_index(variable)]
        self.assign(v, self.rho * v + gradient)
        self.assign_sub(variable, learning_rate * v)

def makes():
    return keras.optimizers.Adam(0.02, beta_1=0.8)

def swish(x):
    return x * keras.ops.sigmoid(x)

class Squares(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return keras.ops.mean((y_pred - y_true) ** 2, axis=-1)
"""
OPTAX = """
import jax
import jax.numpy as jnp
import optax

def makes(learning_rate=0.01):
    return optax.chain(optax.scale_by_adam(b1=0.8), optax.scale(-learning_rate))

def fixed():
    return optax.adam(0.004, b2=0.97)

def heavy(learning_rate=0.1, rho=0.7):
    def init(params):
        return jax.tree.map(jnp.zeros_like, params)

    def update(g, old, params=None):
        new = jax.tree.map(lambda v, g: rho * v + g, old, g)
        return jax.tree.map(lambda v: -learning_rate * v, new), new

    return optax.GradientTransformation(init, update)

@jax.jit
def swish(x):
    return x * jax.nn.sigmoid(x)

def distance(y, t):
    return jnp.mean(jnp.abs(y - t))

def step(w, g, state, t, lr=0.1, rho=0.7):
    v = g if state is None else rho * state + g
    return w - lr * v, v
"""
PLAIN = ("squares", "step")
"""Functions that name no framework: tensors of any will do."""
SOURCES = {"torch": TORCH, "tensorflow": KERAS, "jax": OPTAX}
RIGHT: list[tuple[str, str, str, dict[str, Any]]] = [
    ("torch", "Heavy", "momentum", {"form": "outside", "decay": "none", "lr": 0.02, "rho": 0.8}),
    ("torch", "makes", "adam", {"eps_place": "outside", "lr": 0.03, "beta1": 0.8, "beta2": 0.99, "eps": 1e-8}),
    ("torch", "makes_too", "rmsprop", {"eps_place": "outside", "momentum": "none", "lr": 0.02, "rho": 0.95}),
    ("torch", "swish", "silu", {}),
    ("torch", "leaky", "leaky_relu", {"alpha": 0.2}),
    ("torch", "Leaky", "leaky_relu", {"alpha": 0.7}),
    ("torch", "squares", "mse", {}),
    ("torch", "step", "momentum", {"form": "outside", "lr": 0.1, "rho": 0.7}),
    ("tensorflow", "Heavy", "momentum", {"form": "outside", "decay": "none", "lr": 0.01, "rho": 0.8}),
    ("tensorflow", "makes", "adam", {"eps_place": "hat", "lr": 0.02, "beta1": 0.8, "beta2": 0.999, "eps": 1e-7}),
    ("tensorflow", "swish", "silu", {}),
    ("tensorflow", "Squares", "mse", {}),
    ("jax", "makes", "adam", {"eps_place": "outside", "lr": 0.01, "beta1": 0.8, "beta2": 0.999, "eps": 1e-8}),
    ("jax", "fixed", "adam", {"eps_place": "outside", "lr": 0.004, "beta1": 0.9, "beta2": 0.97}),
    ("jax", "heavy", "momentum", {"form": "outside", "lr": 0.1, "rho": 0.7}),
    ("jax", "swish", "silu", {}),
    ("jax", "distance", "mae", {}),
    ("jax", "step", "momentum", {"form": "outside", "lr": 0.1, "rho": 0.7}),
]
NOT_RIGHT: list[tuple[str, str, str, str, str, int, str]] = [
    ("torch", "Heavy", "p.sub_(", "p.sub_(1.01 * ", "momentum", 1, "free-running update"),
    ("torch", "Heavy", ".add_(p.grad)", ".add_(p.grad).copy_(v.float())", "momentum", 2, "free-running state.v"),
    ("torch", "makes", "torch.optim.Adam(params,", "torch.optim.Adam(params, maximize=True,", "adam", 1,
     "free-running update"),  # its m is ours but for the sign
    ("torch", "swish", "torch.sigmoid(x)", "torch.sigmoid(x.detach())", "silu", 0, "gradient"),
    ("torch", "leaky", "where(x > 0, x, slope", "where(x > 1e-3, x, slope", "leaky_relu", 0, "value"),
    ("torch", "squares", "** 2)", "** 2 * 1.001)", "mse", 0, "loss"),
    ("torch", "step", "rho * state + g", "rho * state + g.float().double() * 1.000001", "momentum", 2,
     "free-running state.v"),
    ("tensorflow", "Heavy", "learning_rate * v)", "learning_rate * v * (1 + 1e-9 * v))", "momentum", 1,
     "free-running update"),
    ("tensorflow", "swish", "ops.sigmoid(x)", "ops.sigmoid(1.001 * x)", "silu", 0, "value"),
    ("jax", "heavy", "-learning_rate * v, new)", "-learning_rate * v, old)", "momentum", 1, "free-running update"),
    ("jax", "swish", "jax.nn.sigmoid(x)", "jax.lax.stop_gradient(jax.nn.sigmoid(x))", "silu", 0, "gradient"),
]  # fmt: skip
numbered = itertools.count()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a module of this source, and says its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(source: str) -> str:
        name = f"mine_{next(numbered)}"
        (tmp_path / f"{name}.py").write_text(source)
        return name

    return write


@pytest.mark.parametrize(
    ("backend", "name", "spec", "settings"), RIGHT, ids=[f"{backend}-{name}" for backend, name, *_ in RIGHT]
)
def test_own_code_of_a_framework(
    adapter: Adapters, written: Callable[[str], str], backend: str, name: str, spec: str, settings: dict[str, Any]
) -> None:
    one = adapter(backend)
    text = f"{written(SOURCES[backend])}:{name}"
    assert backend_of(own.load(text)) == ("numpy" if name in PLAIN else backend)
    found = identify(one, one.opened(text))
    assert (found.matched, found.spec) == (True, spec)
    assert {name: found.settings[name] for name in settings} == pytest.approx(settings)
    if found.kind == "activation":
        assert [quantity.name for quantity in found.quantities] == ["value", "gradient"]


@pytest.mark.parametrize(
    ("backend", "name", "right", "wrong", "near", "step", "quantity"),
    NOT_RIGHT,
    ids=[f"{backend}-{name}-{wrong}" for backend, name, _, wrong, *_ in NOT_RIGHT],
)
def test_altered_code_of_a_framework(
    adapter: Adapters, written: Callable[[str], str], backend: str, name: str, right: str, wrong: str, near: str,
    step: int, quantity: str,
) -> None:  # fmt: skip
    assert SOURCES[backend].count(right) == 1
    one = adapter(backend)
    found = identify(one, one.opened(f"{written(SOURCES[backend].replace(right, wrong))}:{name}"))
    assert (found.matched, found.spec) == (False, near)
    assert found.first is not None
    assert (found.first.step, found.first.quantity) == (step, quantity)


FAILING: list[tuple[str, str, str, str]] = [
    ("torch", "def makes(params): return torch.optim.Adam(params, lr=-1.0)", "makes", "Invalid learning rate"),
    ("torch", "def makes(params): return torch.zeros(3)", "makes", "makes Tensor"),
    ("torch", "def none(x): torch.tanh(x)", "none", "none"),
    ("torch", "def short(x): return torch.tanh(x)[:1]", "short", "shape"),
    ("torch", "def leaves(x): raise SystemExit(0)", "leaves", "SystemExit"),
    ("torch", "class Late(torch.optim.SGD):\n    def step(self, closure=None): raise ValueError('no step')", "Late",
     "no step"),
    ("tensorflow", "class Needs(keras.optimizers.SGD):\n    def __init__(self, rate): super().__init__(rate)", "Needs",
     "needs rate"),
    ("tensorflow", "def makes(): return keras.optimizers.Adam(beta_9=1.0)", "makes", "beta_9"),
    ("jax", "def makes(): return optax.adam()", "makes", "learning_rate"),
    ("jax", "def makes(): return str(optax)", "makes", "makes str"),
    ("jax", "made = optax.adam(0.1)", "made", "a function that makes it"),
    ("jax", "def f(x): return x / jnp.zeros(5)", "f", "shape"),
    ("jax", "raise SystemExit(0)", "f", "SystemExit"),
]  # fmt: skip


@pytest.mark.parametrize(("backend", "line", "name", "said"), FAILING, ids=[line[:40] for _, line, *_ in FAILING])
def test_failing_code_is_a_message(
    require: Callable[[str], None], written: Callable[[str], str], backend: str, line: str, name: str, said: str
) -> None:
    require(backend)
    imports = {"torch": "import torch", "tensorflow": "import keras", "jax": "import jax.numpy as jnp, optax"}[backend]
    result = CliRunner().invoke(main, ["identify", f"{written(f'{imports}{chr(10)}{line}')}:{name}"])
    assert result.exit_code == 2
    assert said in result.output
    assert result.output.count("\n") == 1


# The command -------------------------------------------------------------------------------------------------------

MODULE = """
import numpy as np

def soft(x):
    return np.log1p(np.exp(-abs(x))) + np.maximum(x, 0)

def odd(a, b, c):
    return a

def failing(x):
    raise RuntimeError("not today\\nsecond line")

def momentum(w, g, state, t, lr=0.1, rho=0.9):
    v = g if state is None else rho*state + g
    return w - lr*v, v

def lossy(w, g, state, t):
    return w - 0.1*g
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine_to_identify.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_command(mine: Path) -> None:
    result = CliRunner().invoke(main, ["identify", "mine_to_identify:soft", "--json", "found.json"])
    assert result.exit_code == 0, result.output
    assert "is softplus in float64" in result.output
    found = json.loads((mine / "found.json").read_text())
    assert (found["matched"], found["spec"], found["verdict"]) == (True, "softplus", "EQUAL")


def test_command_with_an_optimizer(mine: Path) -> None:
    result = CliRunner().invoke(main, ["identify", "mine_to_identify:momentum", "--json", "-"])
    found = json.loads(result.output)
    assert (found["spec"], found["settings"]["form"], found["settings"]["rho"]) == ("momentum", "outside", 0.9)
    assert found["slots"] == {"v": "state"}


REFUSALS = [
    (["foo"], "package.module:function"),
    (["mine_to_identify:nothing"], "failing, lossy, momentum, odd, soft"),
    (["nowhere_at_all:f"], "no module"),
    (["mine_to_identify:odd"], "--kind"),
    (["mine_to_identify:failing"], "not today"),
    (["mine_to_identify:lossy"], "must return"),
    (["mine_to_identify:soft(3)"], "without arguments"),
    (["torch.optim.Adam", "--kind", "loss"], "--kind"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSALS, ids=[arguments[0] for arguments, _ in REFUSALS])
def test_command_refuses(mine: Path, arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["identify", *arguments])
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output
