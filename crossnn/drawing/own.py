"""Our own symbolic graphs as views: as recorded, and after each simplification pass."""

from __future__ import annotations

from collections.abc import Mapping

from crossnn.drawing.view import Vertex, View
from crossnn.formula.graph import Graph, Node
from crossnn.formula.listing import listing
from crossnn.formula.simplify import PASSES

ENGINE = "crossnn"


def view_of(graph: Graph, stage: str) -> View:
    """Every recorded node, used or not, in recording order."""
    keys = {id(node): f"%{place}" for place, node in enumerate(graph.nodes)}
    return View(
        ENGINE,
        stage,
        tuple(_vertex(node, keys) for node in graph.nodes),
        tuple(dict.fromkeys(keys[id(node)] for node in graph.results)),
        listing(graph),
    )


def passes(graph: Graph) -> list[View]:
    """The graph as recorded, dead ends included, and after each pass, as `simplify` runs them: all of them twice, the
    second time only those that still find something."""
    views = [view_of(graph, "as recorded")]
    for turn in (1, 2):
        for name, step in PASSES.items():
            after = step(graph)
            view = view_of(after, name if turn == 1 else f"{name}, again")
            if turn == 1 or view.vertices != views[-1].vertices:
                views.append(view)
            graph = after
    return views


def _vertex(node: Node, keys: Mapping[int, str]) -> Vertex:
    shape = str(list(node.shape)) if node.shape else ""
    inputs = tuple(keys[id(child)] for child in node.inputs)
    if node.operation == "input":
        return Vertex(keys[id(node)], "input", (), "input", node.name, shape)
    if node.operation == "constant":
        return Vertex(keys[id(node)], "constant", (), "constant", node.name or _number(node))
    return Vertex(keys[id(node)], node.operation, inputs, "operation", node.name, shape)


def _number(node: Node) -> str:
    text = str(node.options["text"] or repr(node.options["value"]))
    return text[:-2] if text.endswith(".0") else text
