"""Subjects of layers and networks: every layer's output and every layer's gradient, in order.

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

from crossnn.catalogue.build import knob_choices, settings
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import Assembly, assemble, draw_masks, initial_parameters, record_layer
from crossnn.catalogue.rows import Layer, Network
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.parity import inputs
from crossnn.parity.subject import Arrays, Subject, shapes_of

BATCH = 3
_SIZES = {"units": 6.0, "rate": 0.3}


def layer_subjects(row: Layer, seed: int) -> list[Subject]:
    """One subject for each combination of knobs, with inputs and parameters that are all different."""
    return [_layer_subject(row, dict(knobs), seed) for knobs in knob_choices(row)]


def _layer_subject(row: Layer, knobs: dict[str, Any], seed: int) -> Subject:
    generator = inputs.generator_for(row.name, seed)
    shape = (4, 5) if row.input else (4, 3, 2)
    options = {name: _SIZES.get(name, value) for name, value in row.options.items()}
    hyper, _ = settings(row, options)

    def record_one(params: Mapping[str, Node], data: Mapping[str, Node]) -> Assembly:
        x = params[row.inputs[0]]
        assembly = Assembly(x.tape, params={k: v for k, v in params.items() if k not in row.inputs}, draws=dict(data))
        assembly.outputs = {name: params[name] for name in row.inputs}
        assembly.outputs["out"] = record_layer(assembly, None, row, "", {**options, **knobs, "inputs": row.inputs})
        return assembly

    plan = Assembly([])
    plan.outputs = {name: Node(plan.tape, "input", shape=shape, name=name) for name in row.inputs}
    output = record_layer(plan, None, row, "", {**options, **knobs, "inputs": row.inputs})
    params = {name: _uneven(generator, shape) for name in row.inputs}
    params.update({name: _uneven(generator, node.shape) for name, node in plan.params.items()})
    masks = {name: (generator.random(node.shape) < 0.6).astype(np.float64) for name, node in plan.draws.items()}
    data = {**masks, "weights": inputs.cotangents(generator, output.shape)}

    def forward(params: Any, data: Any) -> Any:
        return {"value": record_one(params, data).outputs["out"]}

    def scalar(params: Any, data: Any) -> Node:
        return GRAPH["sum"](data["weights"] * record_one(params, data).outputs["out"])

    case = " ".join(f"{key}={value}" for key, value in knobs.items()) or "default"
    shapes = shapes_of(params, data)
    return Subject(
        case, {**hyper, **knobs}, Graph.trace(forward, shapes), params, data, Graph.trace(scalar, shapes),
        native_quantity="value",
    )  # fmt: skip


def _uneven(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return inputs.single(generator.normal(size=shape) * 10.0 ** generator.uniform(-2, 1, shape))


def network_subject(row: Network, catalogue: Catalogue, seed: int) -> Subject:
    """A network in training, its outputs weighted at random, so that no gradient vanishes by symmetry."""
    generator = inputs.generator_for(row.name, seed)
    plan = planned(row, catalogue, BATCH)
    x = inputs.single(generator.normal(size=plan.x.shape) * 10.0 ** generator.uniform(-1, 0.5, plan.x.shape))
    masks = draw_masks(plan, seed, 0)
    data = {"x": x, **masks, "weights": inputs.cotangents(generator, plan.prediction.shape)}

    def objective(assembly: Assembly, data: Mapping[str, Node]) -> Node:
        return GRAPH["sum"](data["weights"] * assembly.prediction)

    return probed(row, catalogue, plan, seed, data, objective).subject


def planned(row: Network, catalogue: Catalogue, batch: int) -> Assembly:
    """The network recorded once, to learn its shapes."""
    return assemble(row, catalogue, Node([], "input", shape=(batch, *row.input), name="x"))


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
        return assemble(row, catalogue, data["x"], probes=given, params=params, draws=masks)

    def forward(params: Any, data: Any) -> Any:
        assembly = assembled(params, data)
        values = {f"forward/{name}": assembly.outputs[name] for name in plan.layers}
        return {**values, "loss": objective(assembly, data)} if loss else values

    def scalar(params: Any, data: Any) -> Node:
        return objective(assembled(params, data), data)

    backward = {f"probe/{name}": f"backward/{name}" for name in plan.layers}
    shapes = shapes_of(params, data)
    order = (
        *(f"forward/{name}" for name in plan.layers),
        *(["loss"] if loss else []),
        *(f"backward/{name}" for name in reversed(plan.layers)),
        *(f"gradient/{name}" for name in reversed(plan.params)),
    )
    subject = Subject(
        "training step" if loss else "default", {}, Graph.trace(forward, shapes), params, data,
        Graph.trace(scalar, shapes), gradient_names=backward, order=order,
    )  # fmt: skip
    return Probed(subject, scalar, list(weights))
