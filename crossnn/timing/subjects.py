"""Layers, losses, activations and networks at the sizes at which they are timed, with inputs of ordinary size.

Parity looks for mistakes with few hostile numbers. A clock wants many ordinary ones: of one magnitude, since a
processor is slow with the tiniest numbers, and none of them zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.layers import REST
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import Assembly, assemble, draw_masks, initial_parameters
from crossnn.catalogue.rows import Activation, Domain, Layer, Loss, Network, Row
from crossnn.errors import SpecError
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.formula.shapes import Shape
from crossnn.parity import inputs
from crossnn.parity.layers import layer_subject, new_state
from crossnn.parity.networks import layer_state, planned
from crossnn.parity.subject import Subject, shapes_of

FEATURES = 256
LENGTHS: Mapping[str, int | list[int]] = {
    "length": 32, "keys": 32, "depth": 8, "height": 28, "width": 28, "channels": 16, "features": FEATURES, REST: [],
}  # fmt: skip
"""The lengths of a layer's dimensions where no shape is asked for."""
OPTIONS: Mapping[str, Any] = {"units": FEATURES, "filters": 32}
"""Options whose defaults are too small to be timed."""


def subject_of(
    row: Row, catalogue: Catalogue, batch: int, shape: Shape, given: Mapping[str, Any], seed: int, training: bool
) -> Subject:
    """The subject of a row at this batch size; `shape` is that of one sample, () the usual one. `seed` draws its
    numbers."""
    match row:
        case Layer():
            known = {name: value for name, value in OPTIONS.items() if name in row.options}
            lengths = layer_lengths(row, batch, shape)
            return layer_subject(row, {}, {**known, **given}, seed, training, lengths)
        case Network():
            network = msgspec.structs.replace(row, input=list(shape)) if shape else row
            return _network(network, catalogue, batch, seed, training)
        case Activation() | Loss():
            return _function(row, (batch, *(shape or (FEATURES,))), given, seed)
    raise SpecError(f"{row.name!r} is a {row.kind}, which has no subject to be timed")


def layer_lengths(row: Layer, batch: int, shape: Shape) -> dict[str, int | list[int]]:
    """The length of each dimension of a layer's inputs; a `shape` is that of a sample of the first one."""
    pattern = list((row.input[row.inputs[0]] if isinstance(row.input, dict) else row.input) or ["batch", REST])
    found: dict[str, int | list[int]] = {**LENGTHS, "batch": batch}
    if pattern[-1] == "channels":
        found[REST] = [28, 28]
    elif pattern[-1] == REST:  # where the settings are a shape themselves, they fit the shape of the checks
        found[REST] = [3, 2] if any(isinstance(one, list) for one in row.options.values()) else [FEATURES]
    if shape:
        named = [name for name in pattern[1:] if name != REST]
        many = len(shape) - len(named)
        if many < 0 or (many and REST not in pattern):
            raise SpecError(f"{row.name}: a sample of shape {shape} does not fit {pattern[1:]}")
        left = list(shape)
        for name in pattern[1:]:
            found[name] = [left.pop(0) for _ in range(many)] if name == REST else left.pop(0)
    return found


def _function(row: Activation | Loss, shape: Shape, given: Mapping[str, Any], seed: int) -> Subject:
    """An activation, weighted so that it has a gradient; or the mean of a loss over the batch."""
    hyper, knobs = settings(row, given)
    generator = inputs.generator_for(row.name, seed)
    names: dict[str, Domain] = {"x": "real"}
    if isinstance(row, Loss):
        names = {"y": row.prediction, **(row.inputs or {"t": row.target})}
    drawn = {name: _ordinary(generator, domain, shape) for name, domain in names.items()}
    data = {name: drawn.pop(name) for name in ("t",) if name in drawn}
    if isinstance(row, Activation):
        halved = record_shape(row, shape, hyper, knobs)
        data["weights"] = inputs.cotangents(generator, halved)

    def value(params: Any, data: Any) -> Node:
        scope = {**params, **{name: node for name, node in data.items() if name != "weights"}}
        found = record_row(row, row.formula, scope, next(iter(scope.values())).tape, hyper, knobs)
        return GRAPH["mean"](found) if isinstance(row, Loss) else found

    def scalar(params: Any, data: Any) -> Node:
        return GRAPH["sum"](data["weights"] * value(params, data)) if "weights" in data else value(params, data)

    shapes = shapes_of(drawn, data)
    reduced = {"reduction": "mean", "weights": ""} if isinstance(row, Loss) else {}
    quantity = "mean" if isinstance(row, Loss) else "value"
    return Subject(
        "timed", {**hyper, **knobs, **reduced},
        Graph.trace(lambda params, data: {quantity: value(params, data)}, shapes), drawn, data,
        Graph.trace(scalar, shapes), calls={quantity: tuple(names)},
    )  # fmt: skip


def record_shape(row: Activation, shape: Shape, hyper: Mapping[str, float], knobs: Mapping[str, Any]) -> Shape:
    """The shape of an activation's result."""
    x = Node([], "input", shape=shape, name="x")
    return record_row(row, row.formula, {"x": x}, x.tape, hyper, knobs).shape


def _ordinary(generator: np.random.Generator, domain: Domain, shape: Shape) -> np.ndarray:
    """Numbers of a domain as a training meets them."""
    match domain:
        case "real":
            return inputs.single(generator.normal(size=shape))
        case "nonnegative":
            return inputs.single(np.exp(generator.normal(size=shape)))
        case "probability":
            return inputs.single(generator.uniform(0.02, 0.98, shape))
    return inputs.domain(generator, domain, shape)


def _network(row: Network, catalogue: Catalogue, batch: int, seed: int, training: bool) -> Subject:
    """A network whose outputs are weighted, so that every parameter has a gradient."""
    plan = planned(row, catalogue, batch, training)
    generator = inputs.generator_for(row.name, seed)
    x = generator.integers(row.tokens, size=plan.x.shape) if row.tokens else _ordinary(generator, "real", plan.x.shape)
    params = {name: inputs.single(value) for name, value in initial_parameters(plan, 0).items()}
    data = {
        "x": x, **layer_state(plan, seed, generator), **draw_masks(plan, seed, 0),
        "weights": inputs.cotangents(generator, plan.prediction.shape),
    }  # fmt: skip

    def assembled(params: Any, data: Any) -> Assembly:
        draws = {name: data[name] for name in plan.draws}
        statistics = {name: data[name] for name in plan.state}
        return assemble(row, catalogue, data["x"], training=training, params=params, state=statistics, draws=draws)

    def forward(params: Any, data: Any) -> dict[str, Node]:
        found = assembled(params, data)
        return {"value": found.prediction, **new_state(found)}

    def scalar(params: Any, data: Any) -> Node:
        return GRAPH["sum"](data["weights"] * assembled(params, data).prediction)

    shapes = shapes_of(params, data)
    return Subject("timed", {}, Graph.trace(forward, shapes), params, data, Graph.trace(scalar, shapes))
