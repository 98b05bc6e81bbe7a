"""Optimizers against the papers: each row runs beside a plain loop that was written from the algorithm's box, on the
same gradients, and must take the same steps. Some have a second witness: a closed form of what the loop computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import numpy as np
import pytest

from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Optimizer
from crossnn.catalogue.updates import initial_state, slot_shape, update_graph
from crossnn.formula.evaluate import replay
from crossnn.formula.graph import Graph, Node
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.oracle import at_precision
from crossnn.formula.source import compile_graph

STEPS = 9
RATES = 0.05 * np.linspace(1.5, 0.5, STEPS)
_rng = np.random.default_rng(20)
VECTOR, MATRIX, TALL = _rng.normal(size=7), _rng.normal(size=(2, 3)), _rng.normal(size=(5, 2))
Settings = Mapping[str, Any]
Loop = Callable[[np.ndarray, list[np.ndarray], np.ndarray, Settings], np.ndarray]


def gradients(w: np.ndarray) -> list[np.ndarray]:
    """The same for the row and the loop: they need not belong to any function."""
    drawn = np.random.default_rng(7).normal(size=(STEPS, *w.shape)) * 10.0 ** np.linspace(-1, 0.5, STEPS).reshape(
        -1, *[1] * w.ndim
    )
    return list(drawn)


def by_row(name: str, w: np.ndarray, given: Settings, rates: np.ndarray = RATES) -> tuple[np.ndarray, dict[str, Any]]:
    """The parameters after all steps, and the state."""
    row = load_catalogue().find(name)
    assert isinstance(row, Optimizer)
    hyper, knobs = settings(row, given)
    update = compile_graph(update_graph(row, {"w": w.shape}, hyper, knobs), "update", NUMPY)
    params, state = {"w": w}, initial_state(row, hyper, {"w": w})
    for t, (g, lr) in enumerate(zip(gradients(w), rates, strict=True), start=1):
        with np.errstate(all="ignore"):
            params, state = update(params, {"w": g}, state, lr, float(t))
    return params["w"], {slot: tree["w"] for slot, tree in state.items()}


# The loops, each from the box that the row's source names; h are the settings of the row.


def adam(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    m = v = np.zeros_like(w)
    for t, g in enumerate(gs, start=1):
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        v = h["beta2"] * v + (1 - h["beta2"]) * g * g
        m_hat, v_hat = m / (1 - h["beta1"] ** t), v / (1 - h["beta2"] ** t)
        w = w - rates[t - 1] * m_hat / (np.sqrt(v_hat) + h["eps"])
    return w


def adamw(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    """With alpha = 1 and the learning rate as its schedule multiplier, or (unscaled) the other way round."""
    m = v = np.zeros_like(w)
    for t, g in enumerate(gs, start=1):
        if h["decay"] == "coupled":
            g = g + h["weight_decay"] * w
        alpha, eta = (rates[t - 1], 1.0) if h["decay"] == "unscaled" else (1.0, rates[t - 1])
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        v = h["beta2"] * v + (1 - h["beta2"]) * g * g
        step = alpha * (m / (1 - h["beta1"] ** t)) / (np.sqrt(v / (1 - h["beta2"] ** t)) + h["eps"])
        w = w - eta * (step + (0 if h["decay"] == "coupled" else h["weight_decay"] * w))
    return w


def amsgrad(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    m = v = v_hat = np.zeros_like(w)
    for t, g in enumerate(gs, start=1):
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        v = h["beta2"] * v + (1 - h["beta2"]) * g * g
        v_hat = np.maximum(v_hat, v)
        w = w - rates[t - 1] * m / np.sqrt(v_hat)
    return w


def adamax(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    m = u = np.zeros_like(w)
    for t, g in enumerate(gs, start=1):
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        u = np.maximum(h["beta2"] * u, np.abs(g))
        w = w - rates[t - 1] / (1 - h["beta1"] ** t) * m / u
    return w


def nadam(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    """Algorithm 8 of the report; products over the whole schedule instead of a running one."""
    mu = [h["beta1"] * (1 - 0.5 * 0.96 ** (i * h["momentum_decay"])) for i in range(1, STEPS + 2)]
    m = n = np.zeros_like(w)
    for t, g in enumerate(gs, start=1):
        g_hat = g / (1 - np.prod(mu[:t]))
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        m_hat = m / (1 - np.prod(mu[: t + 1]))
        n = h["beta2"] * n + (1 - h["beta2"]) * g * g
        n_hat = n / (1 - h["beta2"] ** t)
        m_bar = (1 - mu[t - 1]) * g_hat + mu[t] * m_hat
        w = w - rates[t - 1] * m_bar / (np.sqrt(n_hat) + h["eps"])
    return w


def radam(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    m = v = np.zeros_like(w)
    rho_inf = 2 / (1 - h["beta2"]) - 1
    for t, g in enumerate(gs, start=1):
        v = h["beta2"] * v + (1 - h["beta2"]) * g * g
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        m_hat = m / (1 - h["beta1"] ** t)
        rho = rho_inf - 2 * t * h["beta2"] ** t / (1 - h["beta2"] ** t)
        if rho > 4:
            length = np.sqrt((1 - h["beta2"] ** t) / v)
            r = np.sqrt(((rho - 4) * (rho - 2) * rho_inf) / ((rho_inf - 4) * (rho_inf - 2) * rho))
            w = w - rates[t - 1] * r * m_hat * length
        else:
            w = w - rates[t - 1] * m_hat
    return w


def adabelief(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    m = s = np.zeros_like(w)
    for t, g in enumerate(gs, start=1):
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        s = h["beta2"] * s + (1 - h["beta2"]) * (g - m) ** 2 + h["eps"]
        m_hat, s_hat = m / (1 - h["beta1"] ** t), s / (1 - h["beta2"] ** t)
        w = w - rates[t - 1] * m_hat / (np.sqrt(s_hat) + h["eps"])
    return w


def lion(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    m = np.zeros_like(w)
    for t, g in enumerate(gs):
        c = h["beta1"] * m + (1 - h["beta1"]) * g
        w = w - rates[t] * (np.sign(c) + h["weight_decay"] * w)
        m = h["beta2"] * m + (1 - h["beta2"]) * g
    return w


def lamb(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    m = v = np.zeros_like(w)
    for t, g in enumerate(gs, start=1):
        m = h["beta1"] * m + (1 - h["beta1"]) * g
        v = h["beta2"] * v + (1 - h["beta2"]) * g * g
        r = (m / (1 - h["beta1"] ** t)) / (np.sqrt(v / (1 - h["beta2"] ** t)) + h["eps"])
        u = r + h["weight_decay"] * w
        w = w - rates[t - 1] * np.linalg.norm(w) / np.linalg.norm(u) * u
    return w


def lars(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    v = np.zeros_like(w)
    for t, g in enumerate(gs):
        local = h["trust"] * np.linalg.norm(w) / (np.linalg.norm(g) + h["weight_decay"] * np.linalg.norm(w))
        v = h["rho"] * v + rates[t] * local * (g + h["weight_decay"] * w)
        w = w - v
    return w


def adadelta(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    squares = steps = np.zeros_like(w)
    for t, g in enumerate(gs):
        squares = h["rho"] * squares + (1 - h["rho"]) * g * g
        delta = -np.sqrt(steps + h["eps"]) / np.sqrt(squares + h["eps"]) * g
        steps = h["rho"] * steps + (1 - h["rho"]) * delta * delta
        w = w + rates[t] * delta
    return w


def adafactor(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    """Algorithm 4 for a matrix, 5 for a vector, with the relative step sizes of section 9."""
    r, c, v = np.zeros((len(w), 1)), np.zeros((1, w.shape[-1])), np.zeros_like(w)
    for t, g in enumerate(gs, start=1):
        rms = np.sqrt(np.mean(w**2))
        alpha = max(h["eps2"], rms) * min(rates[t - 1], 1 / np.sqrt(t))
        beta = 1 - t ** -h["decay"]
        if w.ndim == 2:
            r = beta * r + (1 - beta) * np.sum(g**2 + h["eps1"], axis=1, keepdims=True)
            c = beta * c + (1 - beta) * np.sum(g**2 + h["eps1"], axis=0, keepdims=True)
            v = (r @ c) / np.sum(r)
        else:
            v = beta * v + (1 - beta) * (g**2 + h["eps1"])
        u = g / np.sqrt(v)
        w = w - alpha * u / max(1, np.sqrt(np.mean(u**2)) / h["clip"])
    return w


def muon(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    """By singular values, which the iteration maps one by one: no product of matrices but the decomposition."""
    b = np.zeros_like(w)
    for t, g in enumerate(gs):
        b = h["mu"] * b + g
        x = g + h["mu"] * b if h["momentum"] == "nesterov" else b
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        s = s / (np.linalg.norm(x) + h["eps"])
        for _ in range(5):
            s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
        rows, columns = w.shape
        scale = {"none": 1.0, "original": max(1, columns / rows) ** 0.5, "rms": 0.2 * max(rows, columns) ** 0.5}
        w = w - rates[t] * h["weight_decay"] * w - rates[t] * scale[h["scale"]] * (u * s) @ vh
    return w


def rprop(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    """Element by element, as the pseudocode is written: with weight backtracking."""
    w = w.copy()
    for i in range(w.size):
        delta, change, before = h["lr"], 0.0, 0.0
        for g in gs:
            slope = g[i]
            if before * slope > 0:
                delta = min(delta * h["eta_plus"], h["step_max"])
                change = -np.sign(slope) * delta
                before = slope
            elif before * slope < 0:
                delta = max(delta * h["eta_minus"], h["step_min"])
                change = -change
                before = 0.0
            else:
                change = -np.sign(slope) * delta
                before = slope
            w[i] += change
    return w


def ftrl(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    """Where w minimises what the algorithm is derived from: the linear terms, a parabola around every earlier point,
    and the penalties. The parabolas' weights are such that they add up to (beta + sqrt(n))/lr."""
    lr = rates[0]  # one for all steps, as in the derivation
    points, sigmas, total, n = [w], [], np.zeros_like(w), np.zeros_like(w)
    for g in gs:
        sigmas.append((np.sqrt(n + g**2) - np.sqrt(n)) / lr)
        n, total = n + g**2, total + g
        centre = sum(s * p for s, p in zip(sigmas, points, strict=True)) - total
        curvature = sum(sigmas) + h["beta"] / lr + h["l2"]
        points.append(np.sign(centre) * np.maximum(np.abs(centre) - h["l1"], 0) / curvature)
    return points[-1]


def sgdw(w: np.ndarray, gs: list[np.ndarray], rates: np.ndarray, h: Settings) -> np.ndarray:
    """Algorithm 1 of Loshchilov and Hutter 2019 with alpha = 1 and the learning rate as its schedule multiplier."""
    m = np.zeros_like(w)
    for eta, g in zip(rates, gs, strict=True):
        m = h["rho"] * m + eta * g
        w = w - m - eta * h["weight_decay"] * w
    return w


CASES: list[tuple[str, Loop, np.ndarray, dict[str, Any]]] = [
    ("momentum", sgdw, VECTOR, {"form": "inside", "decay": "before", "weight_decay": 0.3}),
    ("adam", adam, VECTOR, {}),
    ("adam", adam, VECTOR, {"beta1": 0.7, "beta2": 0.9, "eps": 0.1}),
    *(("adamw", adamw, VECTOR, {"decay": decay, "weight_decay": 0.3}) for decay in ("before", "unscaled", "coupled")),
    ("amsgrad", amsgrad, VECTOR, {"eps": 0.0, "beta2": 0.6}),
    ("adamax", adamax, VECTOR, {"eps": 0.0, "beta2": 0.6}),
    ("nadam", nadam, VECTOR, {}),
    ("nadam", nadam, VECTOR, {"momentum_decay": 0.5, "beta1": 0.7}),
    ("radam", radam, VECTOR, {"eps": 0.0}),
    ("radam", radam, VECTOR, {"eps": 0.0, "beta2": 0.9}),
    ("adabelief", adabelief, VECTOR, {"eps": 1e-3}),
    ("lion", lion, VECTOR, {"weight_decay": 0.3, "beta2": 0.8}),
    ("lamb", lamb, VECTOR, {"weight_decay": 0.3}),
    ("lamb", lamb, MATRIX, {}),
    ("lars", lars, VECTOR, {"weight_decay": 0.3}),
    ("adadelta", adadelta, VECTOR, {}),
    *(("adafactor", adafactor, w, {"clip": clip}) for w in (MATRIX, TALL, VECTOR) for clip in (1.0, 0.6)),
    *(
        ("muon", muon, w, {"momentum": momentum, "scale": scale, "weight_decay": 0.2})
        for w, momentum, scale in ((MATRIX, "plain", "none"), (MATRIX, "nesterov", "original"), (TALL, "plain", "rms"))
    ),
    ("rprop", rprop, VECTOR, {}),
    ("rprop", rprop, VECTOR, {"step_max": 0.11, "step_min": 0.06, "lr": 0.1}),
    ("ftrl", ftrl, VECTOR, {"l1": 0.4, "l2": 0.2}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "loop", "w", "given"), CASES, ids=[f"{case[0]}-{place}" for place, case in enumerate(CASES)]
)
def test_takes_the_steps_of_the_paper(name: str, loop: Loop, w: np.ndarray, given: dict[str, Any]) -> None:
    hyper, knobs = settings(load_catalogue().find(name), given)
    rates = np.full(STEPS, RATES[0]) if name == "ftrl" else RATES
    found, _ = by_row(name, w, given, rates)
    expected = loop(w, gradients(w), rates, {**hyper, **knobs})
    assert not np.allclose(expected, w, rtol=1e-3)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_the_average_of_asgd_is_that_of_all_points() -> None:
    """Without decay: the mean of w after each step, from step t0 on."""
    path = VECTOR - np.cumsum(np.reshape(RATES, (-1, 1)) * gradients(VECTOR), axis=0)
    _, state = by_row("asgd", VECTOR, {"lambd": 0.0})
    np.testing.assert_allclose(state["average"], path.mean(axis=0), rtol=1e-12)
    _, state = by_row("asgd", VECTOR, {"lambd": 0.0, "t0": 3.0})
    np.testing.assert_allclose(state["average"], path[3:].mean(axis=0), rtol=1e-12)


def test_the_average_of_weights_is_a_weighted_sum() -> None:
    path = VECTOR - np.cumsum(np.reshape(RATES, (-1, 1)) * gradients(VECTOR), axis=0)
    shares = 0.2 * 0.8 ** np.arange(STEPS)[::-1]
    _, state = by_row("weight_ema", VECTOR, {"rho": 0.8})
    np.testing.assert_allclose(state["average"], shares @ path + 0.8**STEPS * VECTOR, rtol=1e-12)
    _, state = by_row("weight_ema", VECTOR, {"rho": 0.8, "start": "first"})
    np.testing.assert_allclose(state["average"], shares[1:] @ path[1:] + 0.8 ** (STEPS - 1) * path[0], rtol=1e-12)


# Nesterov's momentum, looking ahead and rearranged: one trajectory.

CURVATURES = (0.25, 1.0, 3.0)
LR, RHO = 0.125, 0.75  # binary numbers, as the curvatures: nothing depends on how they are read


def by_lecture(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """S0-18 on the sum of a*x**2/2: v = rho*v - lr*grad(x + rho*v), x = x + v. The points x, and those at which
    gradients are taken, in mpmath's numbers."""
    a = np.array([mpmath.mpf(one) for one in CURVATURES])
    x, v = np.array([mpmath.mpf(one) for one in (1, -2, 3)]), np.array([mpmath.mpf(0)] * 3)
    points, ahead = [x], [x]
    for _ in range(steps):
        v = mpmath.mpf(RHO) * v - mpmath.mpf(LR) * (a * (x + mpmath.mpf(RHO) * v))
        x = x + v
        points.append(x)
        ahead.append(x + mpmath.mpf(RHO) * v)
    return np.array(points), np.array(ahead)


def by_oracle(name: str, steps: int, **knobs: Any) -> dict[str, np.ndarray]:
    """The row on the same quadratic, its gradient taken at w: w and every slot after each step, as one exact graph."""
    row = load_catalogue().find(name)
    assert isinstance(row, Optimizer)
    hyper, chosen = settings(row, {"lr": LR, "rho": RHO, **knobs})
    update = update_graph(row, {"w": (3,)}, hyper, chosen)
    start = {slot: tree["w"] for slot, tree in initial_state(row, hyper, {"w": np.array([1.0, -2.0, 3.0])}).items()}

    def descend(w: Node, a: Node, lr: Node, state: Any) -> Any:
        path = [{"w": w, **state}]
        for t in range(1, steps + 1):
            slots = {slot: {"w": value} for slot, value in state.items()}
            given = {"params": {"w": w}, "gradients": {"w": a * w}, "state": slots, "lr": lr, "t": lr.lift(t)}
            params, slots = replay(update, given, w.tape)
            w, state = params["w"], {slot: tree["w"] for slot, tree in slots.items()}
            path.append({"w": w, **state})
        return tuple(path)

    graph = Graph.trace(descend, {"w": (3,), "a": (3,), "lr": (), "state": dict.fromkeys(start, (3,))})
    arguments = {"w": np.array([1.0, -2.0, 3.0]), "a": np.array(CURVATURES), "lr": np.array(LR), "state": start}
    path = at_precision(graph, arguments, 60)
    return {slot: np.array([point[slot] for point in path]) for slot in path[0]}


def test_nesterov_looking_ahead_is_nesterov_rearranged() -> None:
    with mpmath.workdps(60):
        points, ahead = by_lecture(30)
        looking = by_oracle("nesterov_lookahead", 30)
        assert np.max(np.abs(looking["x"] - points)) < 1e-50
        for path in (looking, by_oracle("nesterov", 30, form="inside"), by_oracle("nesterov", 30)):
            assert np.max(np.abs(path["w"] - ahead)) < 1e-50
        assert np.max(np.abs(points - ahead)) > 0.1


# Parameters that are no matrix, for optimizers of matrices.


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 2, 3, 5)])
def test_reduced_slots_have_one_number_a_line(shape: tuple[int, ...]) -> None:
    """One axis is a matrix of one row; a kernel is the matrix of its filters."""
    row = load_catalogue().find("adafactor")
    assert isinstance(row, Optimizer)
    matrix = (int(np.prod(shape[:-1])), shape[-1])
    slots = {"r": (matrix[0], 1), "c": (1, matrix[1])}
    assert {slot: slot_shape(row, slot, shape) for slot in row.state} == slots
    w = np.random.default_rng(3).normal(size=shape)
    found, state = by_row("adafactor", w, {})
    assert found.shape == shape
    assert {slot: value.shape for slot, value in state.items()} == slots
    hyper, _ = settings(row, {})
    expected = adafactor(w.reshape(matrix), [g.reshape(matrix) for g in gradients(w)], RATES, hyper)
    np.testing.assert_allclose(found.reshape(matrix), expected, rtol=1e-12)
