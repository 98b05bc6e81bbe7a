"""Leaving out what no pooling looks at changes no result, and leaves out as much as can be counted by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossnn.formula.cost import cost
from crossnn.formula.cropped import cropped
from crossnn.formula.derive import gradients
from crossnn.formula.grammar import parse
from crossnn.formula.graph import Graph, Node, record
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph

POOL = 'max(windows({}, size=2, strides=2, fill="lowest"), axis=(3, 4))'
SHAPES = {"x": (2, 9, 9, 1), "k": (3, 3, 1, 4), "b": (4,), "q": (2, 2, 4, 5)}
RELU = "maximum(conv(x, k) + b, 0)"

CASES: dict[str, tuple[str, tuple[int, ...] | None]] = {
    "the last row of a convolution": (POOL.format(RELU), (2, 8, 8, 1)),
    "through two poolings": (POOL.format(f"conv({POOL.format(RELU)}, q)"), (2, 8, 8, 1)),
    "all is needed": ("max(windows(conv(x, k), size=3, strides=2), axis=(3, 4))", None),
    "padding": ("max(windows(conv(x, k), size=2, strides=2, padding=\"same\", fill=\"lowest\"), axis=(3, 4))", None),
    "a mean of windows": ("mean(windows(conv(x, k), size=3, strides=3), axis=(3, 4))", (2, 8, 8, 1)),
    "a convolution in steps": ("conv(conv(x, k), q, strides=3)", (2, 7, 7, 1)),
    "windows far apart": ("max(windows(conv(x, k), size=2, strides=4, dilation=2), axis=(3, 4))", (2, 9, 9, 1)),
    "a reduction that needs all": ("sum(conv(x, k), axis=(1, 2))", None),
}  # fmt: skip
"""Text, and how much of the input is needed; None where all of everything is."""


def graph_of(*texts: str) -> Graph:
    tape: list[Node] = []
    used = set().union(*(parse(text).names for text in texts))
    names = {name: Node(tape, "input", shape=shape, name=name) for name, shape in SHAPES.items() if name in used}
    results = tuple(record(parse(text), names, tape) for text in texts)
    return simplify(Graph(names, results, tuple(tape)))


def values(graph: Graph) -> tuple[Any, ...]:
    drawn = {name: np.random.default_rng(len(name)).normal(size=node.shape) for name, node in graph.arguments.items()}
    found: tuple[Any, ...] = compile_graph(graph, "f", NUMPY)(*drawn.values())
    return found


def with_gradients(graph: Graph) -> Graph:
    total = graph.results[0].apply("sum", (graph.results[0],), {})
    targets = list(graph.arguments.values())
    return Graph(graph.arguments, (*graph.results, *gradients(total, targets)), tuple(total.tape))


@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients_stay(case: str) -> None:
    text, _ = CASES[case]
    for one, other in zip(
        values(with_gradients(cropped(graph_of(text)))), values(with_gradients(graph_of(text))), strict=True
    ):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("case", CASES)
def test_as_much_is_left_out_as_can_be_counted(case: str) -> None:
    text, needed = CASES[case]
    graph = graph_of(text)
    found = cropped(graph)
    if needed is None or needed == SHAPES["x"]:
        assert found is graph
        return
    (whole,) = found.arguments.values() if len(found.arguments) == 1 else [found.arguments["x"]]
    ends = [node for node in found.live() if any(child is whole for child in node.inputs)]
    shape = list(whole.shape)
    while ends and ends[0].operation == "slice":
        shape[ends[0].options["axis"]] = ends[0].options["stop"]
        ends = [node for node in found.live() if any(child is ends[0] for child in node.inputs)]
    assert tuple(shape) == needed
    assert cost(found).flops < cost(graph).flops


def test_what_is_a_result_itself_is_needed_whole() -> None:
    graph = graph_of(POOL.format("conv(x, k)"), "conv(x, k)")
    assert cropped(graph) is graph


def test_a_value_that_is_needed_twice_is_made_once_and_cut_where_less_is_needed() -> None:
    graph = graph_of(POOL.format("conv(x, k)"), "sum(conv(x, k))")
    found = cropped(graph)
    assert sum(node.operation == "conv" for node in found.live()) == 1
    for one, other in zip(values(found), values(graph), strict=True):
        np.testing.assert_array_equal(one, other)
