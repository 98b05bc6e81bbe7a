"""The graphs that crossnn makes of a function for NumPy, which has none of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.adapter import Function, Tree
from crossnn.drawing.making import attempt, named
from crossnn.drawing.own import view_of
from crossnn.drawing.view import Vertex, View
from crossnn.formula.graph import Graph
from crossnn.formula.planned.algebra import prepared
from crossnn.formula.planned.compiled import Compiled
from crossnn.formula.planned.plan import schedule
from crossnn.formula.simplify import simplify
from crossnn.trace.executed import Executed, view_of_run
from crossnn.trace.ours import recorded, run


def views(f: Function, arguments: Sequence[Tree], mode: str, dtype: str) -> Iterator[View]:
    """Eager: what ran. Compiled: what was recorded, the same simplified, and what the plan computes, with its text."""
    if mode == "eager":
        yield attempt("numpy", "executed", lambda: view_of_run("numpy", watched(f, arguments, dtype, None)[1]))
        return
    graphs: list[Graph] = []

    def graph() -> Graph:
        if not graphs:
            graphs.append(recorded(f, arguments, named(f, arguments)))
        return graphs[0]

    stages: dict[str, Callable[[], View]] = {
        "recorded": lambda: view_of(graph(), "recorded"),
        "simplified": lambda: view_of(simplify(graph()), "simplified"),
        "planned": lambda: _planned(f, arguments, graph(), dtype),
    }
    for stage, make in stages.items():
        yield replace(attempt("numpy", stage, make), engine="numpy")


def _planned(f: Function, arguments: Sequence[Tree], graph: Graph, dtype: str) -> View:
    compiled = Compiled(f, dtype)
    compiled(*arguments)
    return replace(_in_blocks(prepared(graph)), text=compiled.source)


def _in_blocks(graph: Graph) -> View:
    """Runs of elementwise operations on arrays larger than the cache are done together, piece by piece: one block."""
    view, live = view_of(graph, "planned"), graph.live()
    vertices = {id(node): vertex for node, vertex in zip(graph.nodes, view.vertices, strict=True)}
    block_of: dict[str, str] = {}
    ordered: list[Vertex] = []
    for number, together in enumerate(schedule(live)):
        members = [vertices[id(node)] for node in together]
        block = f"block {number}" if len(together) > 1 else ""
        block_of.update({one.key: block for one in members if block})
        inner = {one.key for one in members}
        if block:
            outer = [block_of.get(key, key) for one in members for key in one.inputs if key not in inner]
            ordered.append(Vertex(block, "block", tuple(dict.fromkeys(outer)), "fused", shape=members[-1].shape))
        for one in members:
            inputs = tuple(key if key in inner else block_of.get(key, key) for key in one.inputs)
            ordered.append(replace(one, inputs=inputs, within=block))
    unused = [one for one in view.vertices if one.kind == "input" and one.key not in {each.key for each in ordered}]
    results = tuple(dict.fromkeys(block_of.get(key, key) for key in view.results))
    return replace(view, vertices=(*unused, *ordered), results=results)


def watched(
    f: Function, arguments: Sequence[Tree], dtype: str, cotangent: np.ndarray | None
) -> tuple[Any, list[Executed]]:
    """What ran, as our own graph runs: recorded first, then primitive by primitive."""
    graph = recorded(f, arguments, named(f, arguments))
    return run(graph, dict(zip(graph.arguments, arguments, strict=True)), dtype, cotangent)
