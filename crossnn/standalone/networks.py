"""Standalone files of networks and layers: what they say of a few numbers, and the gradient in each parameter.

A network is untrained and in inference, a layer in training. The elements of the result are multiplied by different
weights before they are added up, so that no gradient vanishes by symmetry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.catalogue.example import example
from crossnn.catalogue.layers import checked_law
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import Assembly, assemble, initial_layer_state, initial_parameters
from crossnn.catalogue.rows import Layer, Network
from crossnn.formula.evaluate import replay
from crossnn.formula.graph import GRAPH, Graph, Node, map_tree, shape_of
from crossnn.formula.shapes import Shape
from crossnn.standalone.dialect import Dialect, Function, own_name
from crossnn.standalone.draft import Draft, literal, quoted
from crossnn.standalone.initial import initial_parameters_text
from crossnn.standalone.library import numbers_library
from crossnn.standalone.numbers import spread
from crossnn.standalone.said import said_of
from crossnn.standalone.trainings import with_gradients

Arrays = dict[str, np.ndarray]

BATCH, SEED = 3, 0
FEW = 120
"""So many numbers of an array are written down; more are made by a formula."""
STEPS = (37, 29, 41, 23, 43, 19, 47, 31)
"""Of `spread`: another one for each array, so that no two are alike."""
SAMPLES, WEIGHTS = 37, 29


@dataclass(frozen=True)
class Weighted:
    """(params, data) -> (the sum of the results times data["weights"], {"output": the results}), at numbers."""

    graph: Graph
    params: Arrays
    data: Arrays
    plan: Assembly | None = None


def _made(shape: Shape, step: int) -> np.ndarray:
    """What the same function gives in the file."""
    found: np.ndarray = spread(shape, step)  # type: ignore[no-untyped-call]
    return found


def network_case(row: Network, catalogue: Catalogue) -> Weighted:
    """A network with initial parameters, on three samples."""
    dtype, shape = "index" if row.tokens else "float", (BATCH, *row.input)
    plan = assemble(row, catalogue, Node([], "input", shape=shape, dtype=dtype, name="x"), training=False)
    samples = np.reshape(np.arange(np.prod(shape)) * 7 % row.tokens, shape) if row.tokens else _made(shape, SAMPLES)
    params, state = initial_parameters(plan, SEED), initial_layer_state(plan, SEED)
    data = {"x": samples, "weights": _made(plan.prediction.shape, WEIGHTS), **state}

    def function(params: Any, data: Any) -> Node:
        statistics = {name: data[name] for name in state}
        return assemble(row, catalogue, data["x"], training=False, params=params, state=statistics).prediction

    return Weighted(_weighted(function, params, data), params, data, plan)


def layer_case(row: Layer, given: Mapping[str, Any]) -> Weighted:
    """A layer of the lengths with which it is shown, in training."""
    one = example(row, given)
    arrays = {
        name: _argument(row, name, node, one.hyper, STEPS[place % len(STEPS)])
        for place, (name, node) in enumerate(one.graph.arguments.items())
    }
    params = {name: arrays[name] for name in one.wrt}
    data = {name: value for name, value in arrays.items() if name not in params}
    data["weights"] = _made(one.graph.result.shape, WEIGHTS)

    def function(params: Any, data: Any) -> Node:
        both = {**params, **data}
        found: Node = replay(one.graph, {name: both[name] for name in arrays}, data["weights"].tape)
        return found

    return Weighted(_weighted(function, params, data), params, data)


def _argument(row: Layer, name: str, node: Node, hyper: Mapping[str, Any], step: int) -> np.ndarray:
    """Numbers for an input, a parameter, a running statistic (above zero) or a draw (by its law)."""
    if node.dtype == "index":
        return np.reshape(np.arange(np.prod(node.shape)) % 2, node.shape)
    values = _made(node.shape, step)
    if name in row.state:
        return np.asarray(np.abs(values) + 0.5)
    if name in row.draws:
        law = checked_law(row.law(name), {key: one for key, one in hyper.items() if isinstance(one, int | float)})
        share = (values + 2) / 4
        return np.where(values > -0.5, 1.0, 0.0) if law.keep is not None else law.low + (law.high - law.low) * share
    return values


def _weighted(function: Any, params: Arrays, data: Arrays) -> Graph:
    def weighted(params: Any, data: Any) -> Any:
        y = function(params, data)
        return GRAPH["sum"](data["weights"] * y), {"output": y}

    return Graph.trace(weighted, map_tree(shape_of, {"params": params, "data": data}))


def network_draft(row: Network, catalogue: Catalogue, dialect: Dialect) -> Draft:
    """The standalone file of a network."""
    case = network_case(row, catalogue)
    assert case.plan is not None
    start = initial_parameters_text(case.plan, case.params)
    return _draft(row, {}, dialect, case, "untrained, in inference", start.functions, start.text)


def layer_draft(row: Layer, given: Mapping[str, Any], dialect: Dialect) -> Draft:
    """The standalone file of a layer."""
    case = layer_case(row, given)
    texts = [f"        {quoted(name)}: np.array({_array(value, 8)})," for name, value in case.params.items()]
    head = ["def initial_parameters():", '    """Inputs too: in all of them there are gradients."""', "    return {"]
    return _draft(row, given, dialect, case, "in training", (), "\n".join([*head, *texts, "    }"]))


def _draft(
    row: Network | Layer, given: Mapping[str, Any], dialect: Dialect, case: Weighted, how: str,
    further: Sequence[Function], start: str,
) -> Draft:  # fmt: skip
    name = own_name(row)
    if dialect.differentiates:
        own = dialect.function(case.graph, name)
        found = f"value_statistics_and_gradients({own.name}, params, batch)"
    else:
        own = dialect.function(with_gradients(case.graph), f"{name}_and_gradients")
        found = f"{own.name}(params, batch)"
    lines = [
        "params = {name: tensor(w) for name, w in initial_parameters().items()}",
        "batch = {",
        *(f"    {quoted(key)}: tensor({_array(value, 8)})," for key, value in case.data.items()),
        "}",
        f"value, results, gradients_of = {found}",
        'show("output", results["output"])',
        'show("sum", value)',
        "for name in params:",
        '    show(f"gradient/{name}", gradients_of[name])',
    ]
    main = "\n".join(["def main():", *(f"    {line}" for line in lines)])
    return Draft(
        f"{row.name} ({row.kind}) in {dialect.title}: {how}, in float64.", said_of(row, given), dialect,
        [own, *further], f"{start}\n\n\n{main}", {"SEED": str(SEED)}, (numbers_library(),),
        "Prints the output, the sum of its elements times `weights`, and the gradient of that in each parameter, one "
        "line each: the name, and all numbers with all their digits.",
    )  # fmt: skip


def _array(value: np.ndarray, indent: int) -> str:
    """The numbers of an array, or the formula by which they are made."""
    if value.size <= FEW:
        return literal(value, indent)
    for step in STEPS:
        if np.array_equal(value, _made(value.shape, step)):
            return f"spread({value.shape}, {step})"
    same = np.all(value == value.flat[0])
    return f"np.full({value.shape}, {float(value.flat[0])!r})" if same else literal(value, indent)
