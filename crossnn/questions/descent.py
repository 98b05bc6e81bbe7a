"""Descent on quadratics and on Rosenbrock's function, by the update rules of the catalogue.

The update rule works element by element, so that all starts and all learning rates of a question are one parameter of
many rows, and one call is a step of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.catalogue.build import settings
from crossnn.catalogue.rows import Optimizer
from crossnn.catalogue.updates import initial_state, update_graph
from crossnn.errors import SpecError, unknown
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.questions.ask import Ask
from crossnn.questions.rule import Case

LOST = 1e12
"""What is so large has left, and does not come back."""
NEVER = np.inf
ARRIVED = 0.9
"""A learning rate is the better, the sooner so large a share of the starts has arrived."""

Array = np.ndarray


@dataclass(frozen=True)
class Path:
    """What descents went through: the steps until the objective was below the target, the length of the path until
    then, and where they ended."""

    steps: Array
    length: Array
    w: Array


def descend(
    ask: Ask, optimizer: str, rates: Array, w: Array, objective: Callable[[Array], tuple[Array, Array]], target: Any,
    most: int,
) -> Path:  # fmt: skip
    """Walk from every row of `w` at once, with a learning rate for each (of a shape that fits that of `w`), until the
    objective, which comes with its gradient, is below the target everywhere, or for `most` steps."""
    row = ask.catalogue.find(optimizer)
    if not isinstance(row, Optimizer) or row.acts_on != "element":
        known = [one.name for one in ask.catalogue.of_kind("optimizer")]
        raise SpecError(unknown("optimizer of single elements", optimizer, known))
    hyper, knobs = settings(row, {})
    update = compile_graph(simplify(update_graph(row, {"w": w.shape}, hyper, knobs)), "update", NUMPY)
    params, state = {"w": w}, initial_state(row, {**hyper, "lr": 1.0}, {"w": w})
    steps, length = np.full(w.shape[:-1], NEVER), np.zeros(w.shape[:-1])
    with np.errstate(all="ignore"):
        value, gradient = objective(w)
        steps[value < target] = 0
        for t in range(1, most + 1):
            before = params["w"]
            params, state = update(params, {"w": gradient}, state, rates, float(t))
            going = np.isinf(steps)
            moved = np.sqrt(np.sum((params["w"] - before) ** 2, axis=-1))
            length[going] += moved[going]
            value, gradient = objective(params["w"])
            steps[going & (value < target)] = t
            if not np.any(np.isinf(steps) & (value < LOST)):
                break
    return Path(steps, length, params["w"])


def learning_rates(ask: Ask) -> Iterator[Case]:
    """Plain descent on quadratics of largest curvature 1 and smallest 1/kappa, in random directions, from random
    starts. rate: in units of 1 over the largest curvature. change: the distance to the minimum after all steps, where
    it was 1. steps: until the objective is the target's share of what it was."""
    given = ask.settings
    rates, size = np.array(given["rates"], np.float64), given["dimensions"]
    curvatures = np.geomspace(1.0, 1 / given["kappa"], size) if size > 1 else np.ones(1)
    matrices, starts = [], []
    for seed in ask.seeds:
        generator = np.random.default_rng([seed, 19])
        turn = np.linalg.qr(generator.normal(size=(size, size)))[0]
        matrices.append(turn @ np.diag(curvatures) @ turn.T)
        start = generator.normal(size=size)
        starts.append(start / np.linalg.norm(start))
    objective = quadratic(np.array(matrices)[None])
    w = np.broadcast_to(np.array(starts), (len(rates), len(starts), size)).copy()
    target = given["target"] * objective(w)[0]
    found = descend(ask, "sgd", rates[:, None, None], w, objective, target, given["steps"])
    with np.errstate(all="ignore"):
        change = np.nan_to_num(np.linalg.norm(found.w, axis=-1), nan=NEVER)
    for place, rate in enumerate(given["rates"]):
        for number, seed in enumerate(ask.seeds):
            numbers = {
                "change": change[place, number], "steps": found.steps[place, number],
                "fewest_steps": found.steps[:, number].min(),
            }  # fmt: skip
            yield Case({"rate": rate}, seed, numbers)


def quadratic(matrices: Array) -> Callable[[Array], tuple[Array, Array]]:
    """w.H w/2 and its gradient, with a matrix for each row of w, as far as these broadcast."""

    def objective(w: Array) -> tuple[Array, Array]:
        gradient = np.einsum("...ij,...j->...i", matrices, w)
        return np.sum(w * gradient, axis=-1) / 2, gradient

    return objective


def rosenbrock(w: Array) -> tuple[Array, Array]:
    """(1 - x)**2 + 100 (y - x**2)**2 and its gradient."""
    x, y = w[..., 0], w[..., 1]
    gap = y - x**2
    gradient = np.stack([-2 * (1 - x) - 400 * x * gap, 200 * gap], axis=-1)
    return (1 - x) ** 2 + 100 * gap**2, gradient


def curvature_ratio(matrix: Array) -> float:
    """The condition number of a symmetric matrix: its largest eigenvalue over its smallest."""
    values = np.linalg.eigvalsh(matrix)
    return float(values[-1] / values[0])


def normalisation(ask: Ask) -> Iterator[Case]:
    """Linear regression by descent on all samples, as the features are and normalised, each at the best constant rate,
    2 over the sum of the largest and the smallest curvature. ratio: of the largest feature to the smallest, which are
    as far from zero as they are large; correlation: of any two. detour: the length of the path over the distance."""
    given = ask.settings
    count, features = given["samples"], given["features"]
    for ratio in given["ratios"]:
        for correlation in given["correlations"]:
            designs, targets = [], []
            for seed in ask.seeds:
                generator = np.random.default_rng([seed, 23])
                own, common = generator.normal(size=(count, features)), generator.normal(size=(count, 1))
                plain = np.sqrt(1 - correlation) * own + np.sqrt(correlation) * common
                targets.append(plain @ generator.normal(size=features) + 0.1 * generator.normal(size=count))
                sizes = np.geomspace(1.0, ratio, features)
                designs.append(plain * sizes + sizes * (ratio > 1))
            raw = np.array(designs)
            normal = (raw - raw.mean(axis=1, keepdims=True)) / raw.std(axis=1, keepdims=True)
            found = {"raw": _regression(ask, raw, targets), "normalised": _regression(ask, normal, targets)}
            for place, seed in enumerate(ask.seeds):
                numbers = {
                    f"{what}_{name}": values[place]
                    for name, measured in found.items()
                    for what, values in zip(("kappa", "steps", "detour"), measured, strict=True)
                }
                yield Case({"ratio": ratio, "correlation": correlation}, seed, numbers)


def _regression(ask: Ask, x: Array, targets: list[Array]) -> tuple[Array, Array, Array]:
    """Condition number, steps and detour of each problem."""
    t = np.array(targets)
    design = np.concatenate([np.ones((*x.shape[:2], 1)), x], axis=-1)
    hessians = 2 * np.einsum("sni,snj->sij", design, design) / x.shape[1]
    best = np.array([np.linalg.lstsq(one, target, rcond=None)[0] for one, target in zip(design, t, strict=True)])
    values = np.linalg.eigvalsh(hessians)
    above = quadratic(hessians)  # the loss above its minimum is a quadratic of the distance to it
    start = -best
    rates = (2 / (values[:, -1] + values[:, 0]))[:, None]
    found = descend(ask, "sgd", rates, start, above, ask.settings["target"] * above(start)[0], ask.settings["steps"])
    return values[:, -1] / values[:, 0], found.steps, found.length / np.linalg.norm(start, axis=-1)


def tuned_optimizers(ask: Ask) -> Iterator[Case]:
    """Steps of each optimizer until the objective is below the target, at the learning rate that is the best for it on
    as many other starts. kappa: the largest curvature, 1, over the smallest; of Rosenbrock's function, at its minimum.
    An aligned quadratic is curved along the axes, a rotated one at 45 degrees to them; starts are at a distance of 1,
    and not near the directions of curvature, in which there is but one curvature to see."""
    given = ask.settings
    rates = _grid(given["lowest"], given["highest"], given["per_decade"])
    for surface in given["surfaces"]:
        for kappa in given["kappas"] if surface != "rosenbrock" else [curvature_ratio(_ROSENBROCK)]:
            objective, starts = _surface(surface, kappa, ask.seeds)
            w = np.broadcast_to(starts, (len(rates), *starts.shape)).copy()
            steps = {}
            for name in given["optimizers"]:
                found = descend(ask, name, rates[:, None, None], w, objective, given["target"], given["steps"]).steps
                tuning, measured = found[:, len(ask.seeds) :], found[:, : len(ask.seeds)]
                arrived = np.quantile(np.minimum(tuning, LOST), ARRIVED, axis=1)
                steps[name] = measured[int(np.argmin(arrived))]
            for place, seed in enumerate(ask.seeds):
                numbers = {name: float(values[place]) for name, values in steps.items()}
                yield Case({"surface": surface, "kappa": round(kappa, 4)}, seed, numbers)


def _grid(lowest: float, highest: float, per_decade: int) -> Array:
    return np.geomspace(lowest, highest, max(2, round(np.log10(highest / lowest) * per_decade) + 1))


def _surface(name: str, kappa: float, seeds: range) -> tuple[Callable[[Array], tuple[Array, Array]], Array]:
    """An objective with its gradient, and starts: one to measure for each seed, then as many to tune on."""
    generators = [np.random.default_rng([seed, 29, part]) for part in (0, 1) for seed in seeds]
    if name == "rosenbrock":
        return rosenbrock, np.array([generator.uniform([-2.0, -1.0], [2.0, 3.0]) for generator in generators])
    angles = np.array([np.pi / 2 * (generator.integers(4) + generator.uniform(0.2, 0.8)) for generator in generators])
    turn = np.eye(2) if name == "aligned" else np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)
    starts = np.stack([np.cos(angles), np.sin(angles)], axis=-1) @ turn.T
    return quadratic(turn @ np.diag([1.0, 1 / kappa]) @ turn.T), starts


_ROSENBROCK = np.array([[802.0, -400.0], [-400.0, 200.0]])
"""The second derivatives of Rosenbrock's function at its minimum."""
