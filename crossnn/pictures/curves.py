"""An activation as two functions, value and slope, and how they are sampled where they bend or break."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.rows import Activation
from crossnn.errors import SpecError
from crossnn.formula.derive import gradients
from crossnn.formula.graph import Graph, Node
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.parity.properties import Jump, Properties, measure

BESIDE = 1e-9
"""How far before and behind a place its sides are."""

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Curves:
    """An elementwise activation as functions of NumPy arrays, and what was measured of it."""

    value: Function
    slope: Function
    found: Properties


def curves_of(row: Activation, given: Mapping[str, Any] | None = None) -> Curves:
    """The curves with the `given` settings; SpecError where it has none, MeasureError where nothing can be measured."""
    if row.acts_on != "element":
        raise SpecError(f"{row.name} works on whole vectors: it is no curve that could be drawn")
    x = Node([], "input", name="x")
    value = record_row(row, row.formula, {"x": x}, x.tape, *settings(row, given or {}))
    (slope,) = gradients(value, [x])
    return Curves(_function(x, value), _function(x, slope), measure(row, given))


def _function(variable: Node, node: Node) -> Function:
    compiled = compile_graph(simplify(Graph({"x": variable}, node, tuple(node.tape))), "curve", NUMPY)

    def function(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.broadcast_to(np.asarray(compiled(x), np.float64), x.shape)

    return function


def sides(function: Function, at: float) -> tuple[float, float]:
    """The values a little before and behind a place."""
    step = BESIDE * max(1.0, abs(at))
    before, behind = function(np.array([at - step, at + step])).tolist()
    return before, behind


def here(function: Function, at: float) -> float:
    return float(function(np.array([at]))[0])


def sampled(low: float, high: float, count: int, jumps: Sequence[Jump]) -> np.ndarray:
    """Places at equal distances, and both sides of all that bends or breaks."""
    beside = [jump.at + side * BESIDE * max(1.0, abs(jump.at)) for jump in jumps for side in (-1, 1)]
    return np.unique([*np.linspace(low, high, count), *beside])


def broken(
    function: Function, places: np.ndarray, jumps: Sequence[Jump], order: int
) -> Iterator[tuple[float | None, float | None]]:
    """The points of a curve, with a gap where the derivative of this order, or a lower one, jumps."""
    cuts = {jump.at for jump in jumps if jump.order <= order}
    last = -math.inf
    for x, y in zip(places.tolist(), function(places).tolist(), strict=True):
        if any(last < cut <= x for cut in cuts):
            yield None, None
        if x not in cuts:
            yield x, y
        last = x
