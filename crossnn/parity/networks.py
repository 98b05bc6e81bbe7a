"""Subjects of networks: every layer's output and every layer's gradient, in order.

A probe (zeros added to a layer's output) makes the gradient with respect to that layer an ordinary gradient, so that
any backend, eager or compiled, shows its backward pass without hooks. The quantities are ordered as the computation
meets them: forward from the first layer, the loss, backward from the last layer, then the parameters. The first that
departs is where the mistake is; what follows only carries it on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import (
    Assembly,
    assemble,
    draw_masks,
    initial_layer_state,
    initial_parameters,
)
from crossnn.catalogue.rows import Layer, Network
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.parity import inputs
from crossnn.parity.layers import new_state, positive
from crossnn.parity.subject import Arrays, Subject, shapes_of

BATCH = 3


def network_subjects(row: Network, catalogue: Catalogue, seed: int) -> list[Subject]:
    """A network in training, its outputs weighted at random, so that no gradient vanishes by symmetry; and in
    inference, where that is another computation."""
    generator = inputs.generator_for(row.name, seed)
    found = []
    for training in (True, False):
        plan = planned(row, catalogue, BATCH, training)
        if not training and not differs_in_inference(row, catalogue):
            continue
        data = {
            "x": network_input(row, plan.x.shape, generator), **layer_state(plan, seed, generator),
            **draw_masks(plan, seed, 0), "weights": inputs.cotangents(generator, plan.prediction.shape),
        }  # fmt: skip

        def objective(assembly: Assembly, data: Mapping[str, Node]) -> Node:
            return GRAPH["sum"](data["weights"] * assembly.prediction)

        found.append(probed(row, catalogue, plan, seed, data, objective).subject)
    return found


def differs_in_inference(row: Network, catalogue: Catalogue) -> bool:
    rows = (catalogue.rows.get(str(layer.get("layer"))) for layer in row.layers)
    return any(isinstance(one, Layer) and bool(one.inference) for one in rows)


def network_input(row: Network, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Tokens where the network reads tokens, else numbers around 1 that are all different."""
    if row.tokens:
        return generator.integers(row.tokens, size=shape)
    return inputs.single(generator.normal(size=shape) * 10.0 ** generator.uniform(-1, 0.5, shape))


def layer_state(plan: Assembly, seed: int, generator: np.random.Generator) -> Arrays:
    """Running statistics away from where they start, so that a network which ignores them shows."""
    started = initial_layer_state(plan, seed)
    return {name: inputs.single(value + positive(generator, value.shape)) for name, value in started.items()}


def planned(row: Network, catalogue: Catalogue, batch: int, training: bool = True) -> Assembly:
    """The network recorded once, to learn its shapes."""
    x = Node([], "input", shape=(batch, *row.input), dtype="index" if row.tokens else "float", name="x")
    return assemble(row, catalogue, x, training=training)


Objective = Callable[[Assembly, Mapping[str, Node]], Node]


@dataclass(frozen=True)
class Probed:
    """A subject with a probe at every layer, the function that it differentiates, and the names of its parameters."""

    subject: Subject
    scalar: Callable[[Any, Any], Node]
    trained: list[str]


def probed(
    row: Network,
    catalogue: Catalogue,
    plan: Assembly,
    seed: int,
    data: Arrays,
    objective: Objective,
    loss: bool = False,
) -> Probed:
    """The network with initial parameters and probes, differentiated by `objective`; `loss` makes that a quantity."""
    weights = {name: inputs.single(value) for name, value in initial_parameters(plan, seed).items()}
    generator = inputs.generator_for(row.name, seed, "bias")
    for name, value in weights.items():  # a bias of zeros would hide a bias that is not added
        if not np.any(value):
            weights[name] = inputs.single(0.1 * generator.normal(size=value.shape))
    probes = {f"probe/{name}": np.zeros(plan.outputs[name].shape) for name in plan.layers}
    params = {**weights, **probes}

    def assembled(params: Mapping[str, Node], data: Mapping[str, Node]) -> Assembly:
        given = {name: params[f"probe/{name}"] for name in plan.layers}
        masks = {name: data[name] for name in plan.draws}
        statistics = {name: data[name] for name in plan.state}
        return assemble(
            row,
            catalogue,
            data["x"],
            training=plan.training,
            probes=given,
            params=params,
            state=statistics,
            draws=masks,
        )

    def forward(params: Any, data: Any) -> Any:
        assembly = assembled(params, data)
        values = {f"forward/{name}": assembly.outputs[name] for name in plan.layers}
        return {**values, **({"loss": objective(assembly, data)} if loss else {}), **new_state(assembly)}

    def scalar(params: Any, data: Any) -> Node:
        return objective(assembled(params, data), data)

    backward = {f"probe/{name}": f"backward/{name}" for name in plan.layers}
    shapes = shapes_of(params, data)
    order = (
        *(f"forward/{name}" for name in plan.layers),
        *(["loss"] if loss else []),
        *(f"state.{name}" for name in plan.new_state),
        *(f"backward/{name}" for name in reversed(plan.layers)),
        *(f"gradient/{name}" for name in reversed(plan.params)),
    )
    case = "training step" if loss else "default" if plan.training else "inference"
    subject = Subject(
        case, {}, Graph.trace(forward, shapes), params, data,
        Graph.trace(scalar, shapes), gradient_names=backward, order=order,
    )  # fmt: skip
    return Probed(subject, scalar, list(weights))
