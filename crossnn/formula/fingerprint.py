"""A digest of all that a graph says, by which what was derived from one graph serves every graph that says the same.

The same row at another seed is recorded again, node by node the same: only the numbers differ that go in. Simplifying,
differentiating and printing it a second time would give what there is already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from crossnn.formula.derive import gradient_graph
from crossnn.formula.evaluate import replay
from crossnn.formula.graph import Graph, Node, map_tree, topological
from crossnn.formula.simplify import merge_common, simplify

KEPT = 256
"""So many derived graphs are kept; a row of many cases has some dozens."""


def fingerprint(graph: Graph) -> str:
    """Equal for graphs that were recorded alike: the same operations on the same inputs, by the same names."""
    known = vars(graph)
    if "fingerprint" not in known:  # graphs do not change
        known["fingerprint"] = _digest(graph)
    return str(known["fingerprint"])


def _digest(graph: Graph) -> str:
    places: dict[int, int] = {}
    said: list[Any] = []

    def tell(node: Node) -> None:
        inputs = [places[id(child)] for child in node.inputs]
        options = sorted((key, repr(value)) for key, value in node.options.items())
        said.append((node.operation, inputs, options, node.shape, node.dtype, node.name))
        places[id(node)] = len(places)

    def tree(branch: Any) -> Any:
        if isinstance(branch, Mapping):
            return [(key, tree(inner)) for key, inner in branch.items()]
        if isinstance(branch, tuple | list):
            return tuple(tree(inner) for inner in branch)
        for node in topological([branch]) if id(branch) not in places else ():
            if id(node) not in places:
                tell(node)
        return places[id(branch)]

    for node in graph.nodes:
        tell(node)
    said += [tree(graph.arguments), tree(graph.result)]
    return hashlib.sha256(repr(said).encode()).hexdigest()


class Alike:
    """A graph that equals every other with its fingerprint: the key of caches."""

    __slots__ = ("graph",)

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __hash__(self) -> int:
        return hash(fingerprint(self.graph))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Alike) and fingerprint(self.graph) == fingerprint(other.graph)


def simplified(graph: Graph) -> Graph:
    """`simplify(graph)`, or what that gave for a graph alike."""
    return _simplified(Alike(graph))


def differentiated(graph: Graph, wrt: str) -> Graph:
    """`gradient_graph(graph, wrt)`, or what that gave for a graph alike."""
    return _differentiated(Alike(graph), wrt)


def joined(*graphs: Graph) -> Graph:
    """One graph with the results of all, a tuple, in which what they have in common is computed once. Arguments of the
    same name are the same argument."""
    return _joined(tuple(map(Alike, graphs)))


@lru_cache(maxsize=KEPT)
def _joined(keys: tuple[Alike, ...]) -> Graph:
    tape: list[Node] = []
    arguments: dict[str, Any] = {}

    def renew(node: Node) -> Node:
        return Node(tape, "input", shape=node.shape, dtype=node.dtype, name=node.name)

    for key in keys:
        for name, tree in key.graph.arguments.items():
            if name not in arguments:
                arguments[name] = map_tree(renew, tree)
    results = tuple(replay(key.graph, arguments, tape) for key in keys)
    return merge_common(Graph(arguments, results, tuple(tape)))


@lru_cache(maxsize=KEPT)
def _simplified(key: Alike) -> Graph:
    return simplify(key.graph)


@lru_cache(maxsize=KEPT)
def _differentiated(key: Alike, wrt: str) -> Graph:
    return gradient_graph(key.graph, wrt)
