"""Subjects of layers: what goes in, everything that is computed on the way, what comes out, and every gradient.

A layer is judged in training and, where another formula is used then, in inference; in all combinations of its knobs
and in the listed cases. Its inner values (`let.scores`, a gate at every step) come first, so that the first quantity to
depart says where the mistake is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.build import knob_choices, settings
from crossnn.catalogue.layers import example_shapes
from crossnn.catalogue.network import Assembly, drawn, record_layer
from crossnn.catalogue.rows import Layer
from crossnn.formula.graph import GRAPH, Graph, Node, shape_of, symbolic
from crossnn.parity import inputs
from crossnn.parity.full import full
from crossnn.parity.subject import Subject, shapes_of

SPREAD = (-2.0, 0.5)
"""Decades of the numbers that layers are given: all different, none so large that every gate is shut."""


def layer_subjects(row: Layer, seed: int) -> list[Subject]:
    """One subject for each combination of knobs and each listed case, with inputs and parameters that are all
    different; and once more in inference where that is another formula."""
    settings_of = [dict(knobs) for knobs in knob_choices(row)] + [dict(case) for case in row.cases]
    training = [True, False] if row.inference else [True]
    return [
        full(layer_subject(row, given, {**checked_sizes(row), **given}, seed, mode))
        for given in settings_of
        for mode in training
    ]


def layer_subject(
    row: Layer, given: Mapping[str, Any], chosen: Mapping[str, Any], seed: int, training: bool,
    lengths: Mapping[str, int | list[int]] | None = None,
) -> Subject:  # fmt: skip
    """The layer with the `chosen` settings, of which `given` are worth naming. With `lengths` of the dimensions of its
    input it is not watched: what it computes on its way is no quantity then."""
    generator = inputs.generator_for(row.name, seed)
    options, knobs = settings(row, chosen)
    table = {**options, **knobs, "inputs": row.inputs}
    shapes = example_shapes(row, options, lengths)
    drawn_inputs = {name: _layer_input(row, name, shape, options, generator) for name, shape in shapes.items()}

    plan = Assembly([], training)
    plan.outputs = symbolic(plan.tape, "", {name: shape_of(value) for name, value in drawn_inputs.items()})
    output = record_layer(plan, None, row, "", table)
    params = {name: value for name, value in drawn_inputs.items() if name not in row.domains}
    params.update({name: _uneven(generator, node.shape) for name, node in plan.params.items()})
    data = {name: value for name, value in drawn_inputs.items() if name in row.domains}
    data.update({name: positive(generator, node.shape) for name, node in plan.state.items()})
    data.update({name: inputs.single(drawn(plan.laws[name], n.shape, generator)) for name, n in plan.draws.items()})
    data["weights"] = inputs.cotangents(generator, output.shape)

    def record_one(params: Mapping[str, Node], data: Mapping[str, Node]) -> Assembly:
        given = {**params, **data}
        assembly = Assembly(
            given[row.inputs[0]].tape, training, params={name: params[name] for name in plan.params},
            state={name: data[name] for name in plan.state}, draws={name: data[name] for name in plan.draws},
            inner={} if lengths is None else None,
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


def positive(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Running statistics, among them variances."""
    return inputs.single(np.exp(generator.normal(0, 0.7, shape)))
