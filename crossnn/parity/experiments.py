"""Subjects of experiments: the first training step, on a few samples of the experiment's own data and masks.

Forward, loss, backward and gradients as for any network, then the optimizer's state and update: a backend computes
those from its own gradients, the oracle from the whole step as one graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.catalogue.build import update_graph
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import Assembly, draw_masks
from crossnn.catalogue.rows import Experiment
from crossnn.experiment.task import Rule, Task, first_state, objective_of, parts, record_step
from crossnn.formula.graph import Graph, Node
from crossnn.parity import inputs
from crossnn.parity.networks import planned, probed
from crossnn.parity.subject import Subject, shapes_of

SAMPLES = 3


def first_step(row: Experiment, catalogue: Catalogue, seed: int) -> Subject:
    """Forward, loss, backward, gradients, state and update of an experiment's first step."""
    task = Task(row, catalogue, seed)
    network, _ = parts(row, catalogue)
    x, t = inputs.single(task.data.x[:SAMPLES]), inputs.single(task.data.t[:SAMPLES])
    plan = planned(network, catalogue, len(x))
    own_seed = row.seed + seed
    data = {"x": x, "t": t, **draw_masks(plan, own_seed, 0)}

    def objective(assembly: Assembly, data: Mapping[str, Node]) -> Node:
        return objective_of(row, catalogue, assembly, data["t"])

    found = probed(network, catalogue, plan, own_seed, data, objective, loss=True)
    return with_update(found.subject, task.optimizer, found.trained, found.scalar)


def with_update(subject: Subject, rule: Rule, trained: list[str], scalar: Any) -> Subject:
    """Add the optimizer's first update of the trained parameters, and its state after it."""
    optimizer, hyper, knobs = rule
    shapes = {name: subject.params[name].shape for name in trained}
    update = update_graph(optimizer, shapes, hyper, knobs)
    state = first_state(rule, shapes)
    rest = {"state": state, "lr": np.float64(hyper["lr"]), "t": np.float64(1.0)}

    def step(params: Any, data: Any, state: Any, lr: Node, t: Node) -> dict[str, Node]:
        weights = {name: params[name] for name in trained}
        return update_quantities(*record_step(update, scalar(params, data), weights, state, lr, t))

    whole = Graph.trace(
        step, {**shapes_of(subject.params, subject.data), "state": dict.fromkeys(state, shapes), "lr": (), "t": ()}
    )
    order = (*subject.order, *whole.result)
    return replace(subject, update=update, step=whole, rest=rest, order=order)


def update_quantities(params: Any, state: Any) -> dict[str, Any]:
    """The results of an update by quantity, state slots first: they are computed first."""
    slots = {f"state.{slot}/{name}": value for slot, tree in state.items() for name, value in tree.items()}
    return {**slots, **{f"update/{name}": value for name, value in params.items()}}
