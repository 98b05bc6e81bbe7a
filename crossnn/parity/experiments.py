"""Subjects of trainings: the first step, of an experiment on a few samples of its own data and draws, or of a study.

Forward, loss, running statistics, backward and gradients as for any network, then the optimizer's state and update: a
backend computes those from its own gradients, the oracle from the whole step as one graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import Assembly, draw_masks
from crossnn.catalogue.rows import Experiment, Study
from crossnn.experiment.rule import Rule, record_step
from crossnn.experiment.study import StudyTask
from crossnn.experiment.task import Task, objective_of
from crossnn.formula.graph import Graph, Node, map_tree
from crossnn.parity import inputs
from crossnn.parity.networks import layer_state, planned, probed
from crossnn.parity.subject import Subject, shapes_of

SAMPLES = 3


def first_step(row: Experiment, catalogue: Catalogue, seed: int) -> Subject:
    """Forward, loss, backward, gradients, state and update of an experiment's first step."""
    task = Task(row, catalogue, seed)
    x, t = (_short(array[:SAMPLES]) for array in (task.data.x, task.data.t))
    plan = planned(task.network, catalogue, len(x))
    own_seed = row.seed + seed
    statistics = layer_state(plan, own_seed, inputs.generator_for(row.name, seed, "statistics"))
    data = {"x": x, "t": t, **statistics, **draw_masks(plan, own_seed, 0)}

    def objective(assembly: Assembly, data: Mapping[str, Node]) -> Node:
        return objective_of(row, catalogue, assembly, data["t"])

    found = probed(task.network, catalogue, plan, own_seed, data, objective, loss=True)
    return with_update(found.subject, task.rule, found.trained, found.scalar)


def study_step(row: Study, catalogue: Catalogue, seed: int) -> Subject:
    """Objective, gradient, state and update of a study's first step."""
    task = StudyTask(row, catalogue, seed)
    params, data = task.params, task.batch(0, 0, task.order(0))

    def scalar(params: Any, data: Any) -> Node:
        return task.record_objective(params, {}, data)[0]

    def forward(params: Any, data: Any) -> dict[str, Node]:
        return {"objective": scalar(params, data)}

    shapes = shapes_of(params, data)
    subject = Subject(
        "first step", {}, Graph.trace(forward, shapes), params, data, Graph.trace(scalar, shapes),
        order=("objective", "gradient/w"),
    )  # fmt: skip
    return with_update(subject, task.rule, list(params), scalar)


def _short(array: np.ndarray) -> np.ndarray:
    """Numbers that every dtype holds; indices stay whole."""
    return array if array.dtype.kind in "iu" else inputs.single(array)


def with_update(subject: Subject, rule: Rule, trained: list[str], scalar: Any) -> Subject:
    """Add the first update of the trained parameters, and the optimizer's state after it."""
    weights = {name: subject.params[name] for name in trained}
    update = rule.update(map_tree(np.shape, weights))
    state = rule.start(weights)
    rest = {"state": state, "lr": np.float64(rule.rates(1)[0]), "t": np.float64(1.0)}

    def step(params: Any, data: Any, state: Any, lr: Node, t: Node) -> dict[str, Node]:
        weights = {name: params[name] for name in trained}
        return update_quantities(*record_step(update, scalar(params, data), weights, state, lr, t))

    whole = Graph.trace(
        step, {**shapes_of(subject.params, subject.data), "state": map_tree(np.shape, state), "lr": (), "t": ()}
    )
    order = (*subject.order, *whole.result)
    return replace(subject, update=update, step=whole, rest=rest, order=order)


def update_quantities(params: Any, state: Any) -> dict[str, Any]:
    """The results of an update by quantity, state slots first: they are computed first."""
    slots = {f"state.{slot}/{name}": value for slot, tree in state.items() for name, value in tree.items()}
    return {**slots, **{f"update/{name}": value for name, value in params.items()}}
