"""The answers of a network of two inputs over a square of the plane, in which the samples lie: for pictures of where it
decides, and for nothing else; what is judged is the evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.catalogue.rows import Loss
from crossnn.experiment.problem import Problem
from crossnn.experiment.task import Task
from crossnn.formula.graph import Graph, Node, map_tree, shape_of
from crossnn.formula.simplify import simplify
from crossnn.runs.cell import Numbers, Plane

SIDE, DIGITS = 60, 6
"""An even number of points each way, so that no boundary through the middle is left to rounding."""
MARGIN = 0.18
MOST_SAMPLES = 300


@dataclass(frozen=True)
class Survey:
    """The plane, and how to ask: `graph` of (params, layers, data) answers at every point of the grid."""

    plane: Plane
    graph: Graph
    data: dict[str, np.ndarray]


def survey_of(problem: Problem) -> Survey | None:
    """The survey, where the network takes two numbers, gives one, and is trained on yes and no."""
    if not isinstance(problem, Task) or problem.network.tokens or problem.network.input != [2]:
        return None
    t = problem.data.t.reshape(len(problem.data.t), -1)
    kinds = np.unique(t)
    if t.shape[1] != 1 or len(kinds) != 2:
        return None
    x = np.concatenate([problem.data.x, problem.data.held_out_x])
    middle, half = (x.min(axis=0) + x.max(axis=0)) / 2, float((1 + 2 * MARGIN) * np.ptp(x, axis=0).max() / 2) or 1.0
    steps = np.linspace(-half, half, SIDE)
    across, up = np.meshgrid(middle[0] + steps, middle[1] + steps)
    data = {"x": np.stack([across.ravel(), up.ravel()], axis=1)}

    def function(params: Any, layers: Any, data: Any) -> Node:
        return problem.record_inference(params, layers, data["x"])

    shapes = {name: problem.shapes[name] for name in ("params", "layers")}
    graph = simplify(Graph.trace(function, {**shapes, "data": map_tree(shape_of, data)}))
    if graph.results[0].shape != (SIDE * SIDE, 1):
        return None
    samples = np.unique(np.hstack([problem.data.x, t == kinds[1]]), axis=0)
    plane = Plane(
        x=float(middle[0]), y=float(middle[1]), half=half, side=SIDE, level=_level(problem.loss, kinds),
        samples=tuple((round(a, 5), round(b, 5), int(yes)) for a, b, yes in _thinned(samples).tolist()),
    )  # fmt: skip
    return Survey(plane, graph, data)


def _level(loss: Loss, kinds: np.ndarray) -> float:
    """Between no and yes: of logits and of margins 0, else the middle of the two targets."""
    return 0.0 if loss.target == "binary" and loss.prediction == "real" else float(np.mean(kinds))


def _thinned(samples: np.ndarray) -> np.ndarray:
    """At most so many, spread over all."""
    if len(samples) <= MOST_SAMPLES:
        return samples
    found: np.ndarray = samples[np.linspace(0, len(samples) - 1, MOST_SAMPLES).astype(int)]
    return found


def surface(survey: Survey, ask: Callable[..., Any], params: Any, layers: Any) -> Numbers:
    """What a trained network says at every point; a picture needs no more digits. Null where it is no number."""
    found = np.asarray(ask(params, layers, survey.data), np.float64).ravel()
    return tuple(float(f"{one:.{DIGITS}g}") if np.isfinite(one) else None for one in found.tolist())
