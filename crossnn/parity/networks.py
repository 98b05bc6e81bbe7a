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
from crossnn.catalogue.layers import example_shapes
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import (
    Assembly,
    assemble,
    draw_masks,
    drawn,
    initial_layer_state,
    initial_parameters,
    record_layer,
)
from crossnn.catalogue.rows import Layer, Network
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.parity import inputs
from crossnn.parity.subject import Arrays, Subject, shapes_of

BATCH = 3
SPREAD = (-2.0, 0.5)
"""Decades of the numbers that layers are given: all different, none so large that every gate is shut."""


def layer_subjects(row: Layer, seed: int) -> list[Subject]:
    """One subject for each combination of knobs and each listed case, with inputs and parameters that are all
    different; and once more in inference where that is another formula."""
    settings_of = [dict(knobs) for knobs in knob_choices(row)] + [dict(case) for case in row.cases]
    training = [True, False] if row.inference else [True]
    return [_layer_subject(row, given, seed, mode) for given in settings_of for mode in training]


def _layer_subject(row: Layer, given: dict[str, Any], seed: int, training: bool) -> Subject:
    generator = inputs.generator_for(row.name, seed)
    options, knobs = settings(row, {**checked_sizes(row), **given})
    table = {**options, **knobs, "inputs": row.inputs}
    shapes = example_shapes(row, options)
    drawn_inputs = {name: _layer_input(row, name, shape, options, generator) for name, shape in shapes.items()}

    plan = Assembly([], training)
    plan.outputs = {
        name: Node(plan.tape, "input", shape=value.shape, dtype=dtype_of(value), name=name)
        for name, value in drawn_inputs.items()
    }
    output = record_layer(plan, None, row, "", table)
    params = {name: value for name, value in drawn_inputs.items() if name not in row.domains}
    params.update({name: _uneven(generator, node.shape) for name, node in plan.params.items()})
    data = {name: value for name, value in drawn_inputs.items() if name in row.domains}
    data.update({name: _positive(generator, node.shape) for name, node in plan.state.items()})
    data.update({name: inputs.single(drawn(plan.laws[name], n.shape, generator)) for name, n in plan.draws.items()})
    data["weights"] = inputs.cotangents(generator, output.shape)

    def record_one(params: Mapping[str, Node], data: Mapping[str, Node]) -> Assembly:
        given = {**params, **data}
        assembly = Assembly(
            given[row.inputs[0]].tape, training, params={name: params[name] for name in plan.params},
            state={name: data[name] for name in plan.state}, draws={name: data[name] for name in plan.draws},
            inner={},
        )  # fmt: skip
        assembly.outputs = {name: given[name] for name in row.inputs}
        assembly.outputs["out"] = record_layer(assembly, None, row, "", table)
        return assembly

    def forward(params: Any, data: Any) -> Any:
        assembly = record_one(params, data)
        return {**(assembly.inner or {}), "value": assembly.prediction, **new_state(assembly)}

    def scalar(params: Any, data: Any) -> Node:
        return GRAPH["sum"](data["weights"] * record_one(params, data).outputs["out"])

    case = " ".join(f"{key}={value}" for key, value in given.items()) or "default"
    shapes_given = shapes_of(params, data)
    return Subject(
        case if training else f"{case} inference", {**options, **knobs, "training": training},
        Graph.trace(forward, shapes_given), params, data, Graph.trace(scalar, shapes_given), native_quantity="value",
        inputs=tuple(row.inputs),
    )  # fmt: skip


def checked_sizes(row: Layer) -> dict[str, Any]:
    """Options that would be too large to check at their defaults, or to hide something at them."""
    return {name: value for name, value in {"units": 3, "rate": 0.3, **row.sizes}.items() if name in row.options}


def dtype_of(array: np.ndarray) -> str:
    return "index" if array.dtype.kind in "iu" else "float"


def new_state(assembly: Assembly) -> dict[str, Node]:
    """The running statistics after a step, by quantity."""
    return {f"state.{path}": node for path, node in assembly.new_state.items()}


def _layer_input(
    row: Layer, name: str, shape: tuple[int, ...], options: Mapping[str, Any], generator: np.random.Generator
) -> np.ndarray:
    """Real numbers; indices below the option that `domains` names; or 0 and 1, with a 1 first in each row."""
    domain = row.domains.get(name)
    if domain is None:
        return _uneven(generator, shape)
    if domain == "binary":
        mask = (generator.random(shape) < 0.5).astype(np.float64)
        mask[..., 0] = 1.0
        return mask
    return generator.integers(int(options[domain]), size=shape)


def _uneven(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return inputs.single(generator.normal(size=shape) * 10.0 ** generator.uniform(*SPREAD, shape))


def _positive(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Running statistics, among them variances."""
    return inputs.single(np.exp(generator.normal(0, 0.7, shape)))


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
    return {name: inputs.single(value + _positive(generator, value.shape)) for name, value in started.items()}


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
