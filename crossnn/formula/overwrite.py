"""Which operands a computation may overwrite with its result, where tensors are computed one after the other.

Memory for every new tensor is half of what an optimizer costs that computes without a compiler: a pass over memory that
the caches no longer hold. An operand may go where nothing else needs it: a value that was computed for this operation
alone, or an argument that the caller gives away. A function that is differentiated keeps its operands for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from crossnn.formula.fused import ELEMENTWISE
from crossnn.formula.graph import Graph, Node, leaves
from crossnn.formula.primitives import PRIMITIVES

_COMMUTES = ("add", "multiply")


def overwritten(graph: Graph, in_place: Collection[str], given_away: Collection[str]) -> dict[int, int]:
    """Identity of a node -> number of the operand in whose place its result may be put, for the operations of which
    that can be said. `given_away` are names of arguments."""
    live = graph.live()
    uses = Counter(id(child) for node in live for child in node.inputs)
    uses.update(map(id, graph.results))
    free = {id(node) for node in live if _new(node)} | _given(graph, given_away)
    free = {one for one in free if uses[one] == 1}

    def place(node: Node) -> int | None:
        positions = range(len(node.inputs) if node.operation in _COMMUTES else 1)
        return next((at for at in positions if id(node.inputs[at]) in free and _fits(node.inputs[at], node)), None)

    found = {id(node): place(node) for node in live if node.operation in in_place}
    return {key: at for key, at in found.items() if at is not None}


def _fits(operand: Node, node: Node) -> bool:
    return operand.shape == node.shape != () and operand.dtype == node.dtype == "float"


def _new(node: Node) -> bool:
    """Whether a value has memory of its own; a view has that of what it shows."""
    if node.operation in PRIMITIVES:
        return PRIMITIVES[node.operation].elementwise and node.operation != "stop_gradient"
    return node.operation in ELEMENTWISE


def _given(graph: Graph, names: Collection[str]) -> set[int]:
    """Arguments that are given away. None are where a result shares its memory with another or with what was not given
    away: handed to the next call, each would overwrite the other."""
    given = {id(one) for name, tree in graph.arguments.items() if name in names for one in leaves(tree)}
    results = [one for one in graph.results if one.operation != "constant"]
    own = len({id(one) for one in results}) == len(results)
    return given if own and all(_new(one) or id(one) in given for one in results) else set()
