"""A layer of the catalogue on arrays, by its formula: what frameworks' own layers are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from crossnn.catalogue.build import settings
from crossnn.catalogue.layers import Slots, record_formulas
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Layer
from crossnn.errors import SpecError
from crossnn.formula.graph import Graph, Node, shape_of
from crossnn.formula.numpy_meaning import numpy_meaning
from crossnn.formula.shapes import Shape
from crossnn.formula.source import compile_graph

Arrays = Mapping[str, np.ndarray]


def layer_value(
    name: str, given: Mapping[str, Any], inputs: Arrays, slots: Arrays, training: bool = True
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The value of a layer and its new running statistics, in float64. `slots` are its parameters and statistics;
    settings that are several numbers come as tuples."""
    shapes = tuple(sorted((key, shape_of(value)) for key, value in {**inputs, **slots}.items()))
    call = _compiled(name, tuple(sorted(given.items())), shapes, tuple(inputs), training)
    with np.errstate(all="ignore"):
        value, statistics = call(**inputs, **slots)
    return np.asarray(value), {key: np.asarray(one) for key, one in statistics.items()}


@lru_cache(maxsize=256)
def _compiled(
    name: str, given: tuple[tuple[str, Any], ...], shapes: tuple[tuple[str, Shape], ...], inputs: tuple[str, ...],
    training: bool,
) -> Any:  # fmt: skip
    row = load_catalogue().find(name)
    if not isinstance(row, Layer):
        raise SpecError(f"{name} is of kind {row.kind}, not a layer")
    options, knobs = settings(row, {key: list(one) if isinstance(one, tuple) else one for key, one in given})
    tape: list[Node] = []
    nodes = {key: Node(tape, "input", shape=shape, name=key) for key, shape in shapes}

    def slot(key: str, shape: Shape, _: object) -> Node:
        if key not in nodes or nodes[key].shape != shape:
            found = nodes[key].shape if key in nodes else "none"
            raise SpecError(f"{name}: {key} has shape {found} where {shape} is wanted")
        return nodes[key]

    slots = Slots(slot, slot, slot)
    value = record_formulas(row, {key: nodes[key] for key in inputs}, options, knobs, slots, training)
    return compile_graph(
        Graph(nodes, (value, slots.new_statistics), tuple(tape)), name, numpy_meaning("float64")
    )  # fmt: skip
