"""Learning rates at the joints of every schedule, by hand and beside the frameworks' own schedules; clipping by hand.

A schedule counts the steps already taken: 0 before the first. What torch calls `step()` has happened t times then, and
Keras's and optax's schedules are called with t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Clipping, Schedule
from crossnn.catalogue.updates import clip_gradients, learning_rates
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Graph
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.parity.check import check
from crossnn.runs.cell import Cell

COUNTS = np.arange(60.0)
ROWS = load_catalogue().of_kind("schedule")


def rates(name: str, counts: Any = COUNTS, **given: Any) -> np.ndarray:
    row = load_catalogue().find(name)
    assert isinstance(row, Schedule)
    return learning_rates(row, np.asarray(counts, float), *settings(row, given))


# By hand: (counts of steps taken, rates)
JOINTS: list[tuple[str, dict[str, Any], list[float], list[float]]] = [
    ("constant", {}, [0, 1, 1000], [0.1, 0.1, 0.1]),
    ("step_decay", {}, [0, 9, 10, 19, 20, 30], [0.1, 0.1, 0.05, 0.05, 0.025, 0.0125]),
    ("step_decay", {"period": 1, "gamma": 0.1}, [0, 1, 2], [0.1, 0.01, 0.001]),
    ("exponential_decay", {"gamma": 0.25}, [0, 5, 10, 20], [0.1, 0.05, 0.025, 0.00625]),
    ("exponential_decay", {"gamma": 0.25, "staircase": True}, [0, 9, 10, 19, 20], [0.1, 0.1, 0.025, 0.025, 0.00625]),
    ("inverse_time_decay", {}, [0, 10, 20, 60], [0.1, 0.1 / 1.5, 0.05, 0.025]),
    ("inverse_time_decay", {"staircase": True}, [0, 9, 10, 19, 20], [0.1, 0.1, 0.1 / 1.5, 0.1 / 1.5, 0.05]),
    ("polynomial_decay", {"end": 0.02}, [0, 10, 20, 21], [0.1, 0.02 + 0.08 / 4, 0.02, 0.02]),
    ("cosine_decay", {"end": 0.02}, [0, 10, 20, 21, 40], [0.1, 0.06, 0.02, 0.02, 0.02]),
    ("linear_warmup", {}, [0, 3, 4, 5, 100], [0.02, 0.08, 0.1, 0.1, 0.1]),
    ("linear_warmup", {"first": "zero"}, [0, 1, 4, 5, 100], [0.0, 0.02, 0.08, 0.1, 0.1]),
    ("warmup_cosine", {"end": 0.02}, [0, 3, 4, 14, 24, 25, 99], [0.02, 0.08, 0.1, 0.06, 0.02, 0.02, 0.02]),
    ("warmup_cosine", {"end": 0.02, "first": "zero"}, [0, 4, 5, 15, 25, 26], [0.0, 0.08, 0.1, 0.06, 0.02, 0.02]),
    ("one_cycle", {"start": 10, "end": 100}, [0, 9, 18, 25, 26], [0.01, 0.1, 0.01, 0.001, 0.001]),
    ("one_cycle", {"start": 10, "end": 100, "rise": 10}, [5, 15], [0.055, 0.055]),
    ("one_cycle", {"start": 10, "end": 100, "phases": "two", "rise": 5}, [0, 5, 15, 25], [0.01, 0.1, 0.0505, 0.001]),
    ("one_cycle", {"start": 10, "rise": 8, "anneal": "cosine"}, [0, 4, 8, 12, 16], [0.01, 0.055, 0.1, 0.055, 0.01]),
]


@pytest.mark.parametrize(("name", "given", "counts", "expected"), JOINTS, ids=lambda value: str(value))
def test_joints_by_hand(name: str, given: dict[str, Any], counts: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(rates(name, counts, **given), expected, rtol=1e-14, atol=1e-16)


def test_every_schedule_has_joints_by_hand() -> None:
    assert {row.name for row in ROWS} == {name for name, *_ in JOINTS}


# Beside the frameworks


def of_torch(make: Callable[[Any, Any], Any], count: int) -> np.ndarray:
    """The rates of torch's scheduler: read before every step, `scheduler.step()` between two."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.9)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(count - 1):  # a cycle refuses to go on after its last step
        optimizer.step()
        scheduler.step()
        found.append(optimizer.param_groups[0]["lr"])
    return np.array(found)


TORCH: list[tuple[str, dict[str, Any], Callable[[Any, Any], Any], int]] = [
    ("step_decay", {}, lambda s, o: s.StepLR(o, step_size=10, gamma=0.5), 60),
    ("exponential_decay", {"period": 1}, lambda s, o: s.ExponentialLR(o, gamma=0.9), 60),
    ("polynomial_decay", {"end": 0.0}, lambda s, o: s.PolynomialLR(o, total_iters=20, power=2), 60),
    ("cosine_decay", {}, lambda s, o: s.CosineAnnealingLR(o, T_max=20, eta_min=1e-3), 21),
    ("linear_warmup", {}, lambda s, o: s.LinearLR(o, start_factor=1 / 5, end_factor=1.0, total_iters=4), 60),
    (
        "one_cycle", {"phases": "two", "anneal": "cosine", "rise": 7, "steps": 24, "end": 25e4},
        lambda s, o: s.OneCycleLR(o, max_lr=0.1, total_steps=25, pct_start=8 / 25), 25,
    ),
    (
        "one_cycle", {"phases": "three", "rise": 9, "steps": 24, "end": 25e4},
        lambda s, o: s.OneCycleLR(
            o, max_lr=0.1, total_steps=25, pct_start=10 / 25, anneal_strategy="linear", three_phase=True
        ), 25,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "make", "count"), TORCH, ids=[f"{row[0]}-{row[3]}" for row in TORCH])
def test_beside_torch(name: str, given: dict[str, Any], make: Callable[[Any, Any], Any], count: int) -> None:
    """torch derives many rates from the one before, so that rounding adds up."""
    np.testing.assert_allclose(rates(name, COUNTS[:count], **given), of_torch(make, count), rtol=1e-12, atol=1e-16)


KERAS: list[tuple[str, dict[str, Any], Callable[[Any], Any]]] = [
    ("exponential_decay", {}, lambda s: s.ExponentialDecay(0.1, 10, 0.9)),
    ("exponential_decay", {"staircase": True}, lambda s: s.ExponentialDecay(0.1, 10, 0.9, staircase=True)),
    ("inverse_time_decay", {}, lambda s: s.InverseTimeDecay(0.1, 10, 0.5)),
    ("inverse_time_decay", {"staircase": True}, lambda s: s.InverseTimeDecay(0.1, 10, 0.5, staircase=True)),
    ("polynomial_decay", {}, lambda s: s.PolynomialDecay(0.1, 20, end_learning_rate=1e-4, power=2.0)),
    ("cosine_decay", {}, lambda s: s.CosineDecay(0.1, 20, alpha=0.01)),
    (
        "warmup_cosine", {"first": "zero"},
        lambda s: s.CosineDecay(0.0, 20, alpha=0.01, warmup_target=0.1, warmup_steps=5),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "make"), KERAS, ids=[f"{row[0]}-{row[1]}" for row in KERAS])
def test_beside_keras(name: str, given: dict[str, Any], make: Callable[[Any], Any]) -> None:
    """Keras computes rates in float32."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    schedule = make(keras.optimizers.schedules)
    np.testing.assert_allclose(rates(name, **given), [float(schedule(int(t))) for t in COUNTS], rtol=2e-5)


OPTAX: list[tuple[str, dict[str, Any], Callable[[Any], Any]]] = [
    ("exponential_decay", {}, lambda o: o.exponential_decay(0.1, 10, 0.9)),
    ("exponential_decay", {"staircase": True}, lambda o: o.exponential_decay(0.1, 10, 0.9, staircase=True)),
    ("step_decay", {}, lambda o: o.exponential_decay(0.1, 10, 0.5, staircase=True)),
    ("polynomial_decay", {}, lambda o: o.polynomial_schedule(0.1, 1e-4, 2, 20)),
    ("cosine_decay", {}, lambda o: o.cosine_decay_schedule(0.1, 20, alpha=0.01)),
    ("linear_warmup", {"first": "zero"}, lambda o: o.warmup_constant_schedule(0.0, 0.1, 5)),
    ("warmup_cosine", {"first": "zero"}, lambda o: o.warmup_cosine_decay_schedule(0.0, 0.1, 5, 25, 1e-3)),
]


@pytest.mark.parametrize(("name", "given", "make"), OPTAX, ids=[f"{row[0]}-{row[1]}" for row in OPTAX])
def test_beside_optax(name: str, given: dict[str, Any], make: Callable[[Any], Any]) -> None:
    optax = pytest.importorskip("optax", reason="optax is not installed")
    schedule = make(optax)
    np.testing.assert_allclose(rates(name, **given), [float(schedule(int(t))) for t in COUNTS], rtol=2e-5)


# Clipping

G = {"kernel": np.array([[3.0, 0.0], [0.0, -0.2]]), "bias": np.array([4.0])}
WHOLE = float(np.sqrt(9 + 0.04 + 16))


def clipped(name: str, **given: Any) -> dict[str, np.ndarray]:
    row = load_catalogue().find(name)
    assert isinstance(row, Clipping)
    hyper, knobs = settings(row, given)
    shapes = {key: array.shape for key, array in G.items()}
    graph = Graph.trace(lambda g: clip_gradients(row, g, hyper, knobs), {"g": shapes})
    found: dict[str, np.ndarray] = evaluate(graph, NUMPY, {"g": G}, lambda node: node.options["value"])
    return found


@pytest.mark.parametrize(
    ("name", "given", "kernel", "bias"),
    [
        ("clip_by_value", {"limit": 1.0}, [[1, 0], [0, -0.2]], [1]),
        ("clip_by_norm", {"limit": 3.5}, G["kernel"], [3.5]),
        ("clip_by_norm", {"limit": 1.0}, G["kernel"] / np.sqrt(9.04), [1]),
        ("clip_by_global_norm", {"limit": 5.1}, G["kernel"], G["bias"]),
        ("clip_by_global_norm", {"limit": 1.0}, G["kernel"] / WHOLE, G["bias"] / WHOLE),
        ("clip_by_global_norm", {"guarded": True}, G["kernel"] / (WHOLE + 1e-6), G["bias"] / (WHOLE + 1e-6)),
    ],
)  # fmt: skip
def test_clipping_by_hand(name: str, given: dict[str, Any], kernel: Any, bias: Any) -> None:
    found = clipped(name, **given)
    np.testing.assert_allclose(found["kernel"], kernel, rtol=1e-15)
    np.testing.assert_allclose(found["bias"], bias, rtol=1e-15)


def test_what_is_within_the_limit_passes_unchanged() -> None:
    for name in ("clip_by_value", "clip_by_norm", "clip_by_global_norm"):
        assert all(np.array_equal(found, G[key]) for key, found in clipped(name, limit=WHOLE + 1e-9).items())


def test_clipping_beside_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    for call, name, given in [
        (torch.nn.utils.clip_grad_norm_, "clip_by_global_norm", {"guarded": True, "limit": 0.7}),
        (torch.nn.utils.clip_grad_value_, "clip_by_value", {"limit": 0.7}),
    ]:
        parameters = {
            key: torch.nn.Parameter(torch.zeros(array.shape, dtype=torch.float64)) for key, array in G.items()
        }
        for key, parameter in parameters.items():
            parameter.grad = torch.tensor(G[key])
        call(parameters.values(), 0.7)
        for key, found in clipped(name, **given).items():
            np.testing.assert_allclose(found, parameters[key].grad.numpy(), rtol=1e-14)


# The specification itself


@pytest.mark.parametrize(
    "row", [row for row in ROWS if isinstance(row, Schedule) and row.definition], ids=lambda row: row.name
)
def test_formula_is_the_definition(row: Schedule) -> None:
    """A joint where half a step is added is the joint of the definition, for whole counts."""
    found = check(Cell(task="check", spec=row.name, backend="oracle", mode="exact"))
    assert {record.verdict for record in found} == {"EQUAL"}
    assert all(record.quantity == "formula = definition: value" for record in found)
