"""Run a graph under any meaning, node by node.

For meanings in which interpretation costs nothing next to the arithmetic (arbitrary precision, noise, traces).
Everything that must be fast is compiled by source.py instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossnn.formula.graph import GRAPH, Graph, Node, constant, map_tree

Meaning = Mapping[str, Callable[..., Any]]


def evaluate(
    graph: Graph,
    meaning: Meaning,
    arguments: Mapping[str, Any],
    number: Callable[[Node], Any],
    after: Callable[[Node, list[Any], Any], Any] | None = None,
) -> Any:
    """The result tree of `graph`. `number` gives the value of a constant node; `after(node, inputs, value)` may
    replace each computed value."""

    def compute(node: Node, inputs: list[Any]) -> Any:
        value = meaning[node.operation](*inputs, **node.options)
        return value if after is None else after(node, inputs, value)

    return walk(graph, arguments, number, compute)


def walk(
    graph: Graph,
    arguments: Mapping[str, Any],
    number: Callable[[Node], Any],
    compute: Callable[[Node, list[Any]], Any],
) -> Any:
    """The same with `compute(node, inputs)` for every primitive. A value is kept until its last use only."""
    values: dict[int, Any] = {}

    def bind(tree: Any, given: Any) -> None:
        if isinstance(tree, Mapping):
            for key, inner in tree.items():
                bind(inner, given[key])
        elif isinstance(tree, tuple):
            for inner, one in zip(tree, given, strict=True):
                bind(inner, one)
        else:
            values[id(tree)] = given

    for name, tree in graph.arguments.items():
        bind(tree, arguments[name])
    live = graph.live()
    uses = Counter(id(child) for node in live for child in node.inputs)
    uses.update(map(id, graph.results))
    for node in live:
        if node.operation == "constant":
            values[id(node)] = number(node)
        elif node.operation != "input":
            values[id(node)] = compute(node, [values[id(child)] for child in node.inputs])
            _forget(node.inputs, values, uses)
    return map_tree(lambda node: values[id(node)], graph.result)


def _forget(nodes: Sequence[Node], values: dict[int, Any], uses: Counter[int]) -> None:
    for node in nodes:
        uses[id(node)] -= 1
        if not uses[id(node)]:
            del values[id(node)]


def replay(graph: Graph, arguments: Mapping[str, Any], tape: list[Node]) -> Any:
    """Record the graph again, on other nodes: how one recorded function calls another."""

    def number(node: Node) -> Node:
        return constant(tape, node.options["value"], node.options["text"], node.name)

    return evaluate(graph, GRAPH, arguments, number)
