"""What is traced: the graph of a row with numbers to run it on, drawn from a seed or given.

Numbers are few and short, so that a reader can follow them. Functions take any shape that is given; layers, networks
and optimizers keep theirs, and a single number fills it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.build import formula_graph
from crossnn.catalogue.example import SHOWABLE, Example, example
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Formulated, Layer, Loss, Network, Optimizer, Row
from crossnn.catalogue.updates import initial_state
from crossnn.catalogue.validate import check_values
from crossnn.errors import FormulaError, SpecError, UnknownNameError, choices, unknown
from crossnn.formula.fingerprint import simplified
from crossnn.formula.graph import Graph, Indices, Node
from crossnn.formula.shapes import Shape
from crossnn.parity.inputs import generator_for
from crossnn.parity.layers import checked_sizes, layer_subject
from crossnn.parity.subject import Subject
from crossnn.timing.subjects import subject_of
from crossnn.trace.numbers import classes, drawn, filled, short, whole

TRACED = (*SHOWABLE, "network")
DIFFERENTIATED = ("activation", "loss", "regularizer", "layer", "network")
BATCH = 2
MOST = 1_000_000
"""A value with more numbers is nothing to look at."""

Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Traced:
    """The simplified graph that runs, its arguments, and the weights of the result of whose sum gradients are taken;
    None where the row is never differentiated."""

    row: Row
    graph: Graph
    arguments: Mapping[str, Any]
    weights: np.ndarray | None


def traced(row: Row, catalogue: Catalogue, given: Mapping[str, Any], inputs: Inputs, seed: int) -> Traced:
    """The row with the `given` settings on these inputs; those that are not given are drawn."""
    generator = generator_for(row.name, seed, "trace")
    match row:
        case Formulated():
            graph, arguments = _formulated(row, given, inputs, generator)
        case Layer():
            graph, arguments = _subject(
                layer_subject(row, given, {**checked_sizes(row), **given}, seed, True), inputs, row.name
            )
        case Network():
            if given:
                raise UnknownNameError(unknown(f"setting of {row.name}", next(iter(given)), []))
            graph, arguments = _subject(subject_of(row, catalogue, BATCH, (), {}, seed, True), inputs, row.name)
        case Optimizer():
            one = example(row, given)
            check_values(msgspec.structs.replace(row, params=dict(one.hyper)))
            graph, arguments = _optimizer(one, row, inputs, generator)
        case _:
            raise SpecError(f"{row.name} ({row.kind}) is not traced; kinds that are: {choices(TRACED)}")
    simple = simplified(graph)
    largest = max(prod(node.shape) for node in simple.nodes)
    if largest > MOST:
        raise SpecError(
            f"{row.name}: a value of {largest:,} numbers; traces show at most {MOST:,}: choose smaller settings"
        )
    weights = _weights(row, simple.results[0], generator) if row.kind in DIFFERENTIATED else None
    return Traced(row, simple, arguments, weights)


def _weights(row: Row, result: Node, generator: np.random.Generator) -> np.ndarray:
    """Ones where elements never meet or the result is a number; else uneven, since the sum of a softmax is 1, and the
    gradient of that is 0."""
    meets = isinstance(row, Layer | Network) or getattr(row, "acts_on", "") == "vector"
    if not meets or result.shape == () or isinstance(row, Loss):
        return np.ones(result.shape)
    return short(generator.uniform(0.5, 2, result.shape))


def _formulated(
    row: Formulated, given: Mapping[str, Any], inputs: Inputs, generator: np.random.Generator
) -> tuple[Graph, dict[str, Any]]:
    one = example(row, given)
    check_values(msgspec.structs.replace(row, params=dict(one.hyper)))
    usual: dict[str, Shape] = {name: node.shape for name, node in one.graph.arguments.items()}
    _check_names(row.name, inputs, usual)
    indices = [name for name, node in one.graph.arguments.items() if node.dtype == "index"]
    shapes = _shapes(usual, inputs, indices)
    arguments: dict[str, Any] = {}
    for name, shape in shapes.items():
        if name not in inputs:
            arguments[name] = drawn(row, name, shapes, generator, name in indices)
        elif name in indices:
            arguments[name] = whole(name, inputs[name], classes(shapes))
        else:
            arguments[name] = inputs[name]
        shapes[name] = Indices(shape) if name in indices else shape
    try:
        return formula_graph(row, shapes, one.hyper, one.knobs), arguments
    except FormulaError as error:
        said = ", ".join(f"{name}: {shape}" for name, shape in shapes.items())
        raise SpecError(f"{row.name} of inputs of these shapes ({said}): {error}") from error


def _shapes(usual: Mapping[str, Shape], inputs: Inputs, indices: Sequence[str]) -> dict[str, Shape]:
    """What is not given follows what is, where both usually have the same shape; labels tell the number of rows."""
    shape = next(iter(usual.values()))
    given = [array.shape for name, array in inputs.items() if name not in indices and usual[name] == shape]
    labels = [array.shape for name, array in inputs.items() if name in indices]
    follows = max(given, key=len) if given else (*labels[0], shape[-1]) if labels else shape
    found = {name: follows if one == shape else one for name, one in usual.items()}
    found.update(dict.fromkeys(indices, follows[:-1]))
    found.update({name: array.shape for name, array in inputs.items()})
    return found


def _subject(subject: Subject, inputs: Inputs, name: str) -> tuple[Graph, dict[str, Any]]:
    """The output of a layer or a network, of its inputs and parameters."""
    shapes = {**subject.params, **subject.data}
    known = {key: array.shape for key, array in shapes.items() if key != "weights"}
    _check_names(name, inputs, known)
    changed = {key: filled(key, inputs[key], shapes[key]) for key in inputs}
    arguments = {
        "params": {key: changed.get(key, array) for key, array in subject.params.items()},
        "data": {key: changed.get(key, array) for key, array in subject.data.items() if key != "weights"},
    }
    forward, weights = subject.forward, subject.forward.arguments["data"].get("weights")
    nodes = tuple(node for node in forward.nodes if node is not weights)
    given = {
        "params": forward.arguments["params"],
        "data": {key: node for key, node in forward.arguments["data"].items() if node is not weights},
    }
    return Graph(given, forward.result["value"], nodes), arguments


def _optimizer(
    one: Example, row: Optimizer, inputs: Inputs, generator: np.random.Generator
) -> tuple[Graph, dict[str, Any]]:
    """One step from the first state, the first of all steps."""
    nodes = one.graph.arguments
    _check_names(row.name, inputs, {name: node.shape for name, node in nodes.items()})
    values = {name: short(generator.normal(size=nodes[name].shape)) for name in ("w", "g")}
    values = {**values, "lr": np.array(one.hyper["lr"]), "t": np.array(1.0)}
    values.update({name: filled(name, inputs[name], values[name]) for name in values if name in inputs})
    state = initial_state(row, one.hyper, {"w": values["w"]})
    values.update({slot: np.asarray(tree["w"]) for slot, tree in state.items()})
    values.update({name: filled(name, inputs[name], values[name]) for name in state if name in inputs})
    return one.graph, {name: values[name] for name in nodes}


def _check_names(what: str, inputs: Inputs, known: Mapping[str, Shape]) -> None:
    for name in inputs:
        if name not in known:
            raise UnknownNameError(unknown(f"input of {what}", name, known))
