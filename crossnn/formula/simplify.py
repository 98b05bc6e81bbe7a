"""Graph passes: constant folding, exact algebra, common sub-expressions, dead code.

Each pass is a function Graph -> Graph that can be run and shown alone; `simplify` runs them in order. Every pass
keeps each rounding of the original: only identities that hold bit for bit in floating point are used (`x*1`, `x**1`,
`x - 0`), never re-association, so the simplified graph computes what the formula says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from crossnn.formula.graph import Graph, Node, constant, map_tree
from crossnn.formula.primitives import PRIMITIVES

Rewrite = Callable[[Node, tuple[Any, ...]], Node | None]

_FOLDED: Mapping[str, Callable[..., float]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "power": lambda x, y: x**y,
    "negative": lambda x: -x,
    "abs": abs,
    "maximum": max,
    "minimum": min,
    **{name: getattr(math, name) for name in "exp expm1 log log1p sqrt sin cos tan sinh cosh tanh erf".split()},
    "arctan": math.atan,
}


def rebuilt(graph: Graph, rewrite: Rewrite, nodes: tuple[Node, ...] | None = None) -> Graph:
    """Copy the graph node by node; `rewrite` may put another node in a node's place."""
    tape: list[Node] = []
    copied: dict[int, Node] = {}
    for node in graph.nodes if nodes is None else nodes:
        begin = len(tape)
        inputs = tuple(copied[id(child)] for child in node.inputs)
        replacement = rewrite(node, inputs)
        if replacement is None:
            replacement = Node(tape, node.operation, inputs, node.options, node.shape, node.dtype, node.name)
        elif replacement.tape is not tape:
            replacement.tape = tape
            tape.append(replacement)
        for made in tape[begin:]:
            made.step = node.step
        copied[id(node)] = replacement

    def place(node: Node) -> Node:
        if id(node) not in copied:  # an argument that nothing uses
            copied[id(node)] = Node(tape, node.operation, (), node.options, node.shape, node.dtype, node.name)
        return copied[id(node)]

    return Graph(map_tree(place, graph.arguments), map_tree(place, graph.result), tuple(tape))


def fold_constants(graph: Graph) -> Graph:
    """Primitives of plain numbers become numbers; `-0.1` keeps its text, since the binary number is another. Arithmetic
    that names a hyper-parameter stays readable."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node | None:
        function = _FOLDED.get(node.operation)
        if function is None or any(child.operation != "constant" or child.name for child in inputs):
            return None
        try:
            value = function(*(child.options["value"] for child in inputs))
        except (ArithmeticError, ValueError):
            return None
        if isinstance(value, complex):
            return None
        written = inputs[0].options["text"] if node.operation == "negative" else ""
        return constant([], value, f"-{written}" if written and written[0] != "-" else "", node.name)

    return rebuilt(graph, rewrite)


def merge_common(graph: Graph) -> Graph:
    """Equal primitives of equal inputs are computed once."""
    seen: dict[Any, Node] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node | None:
        if node.operation == "input":
            return None
        key: tuple[Any, ...] = (
            node.operation,
            tuple(map(id, inputs)),
            tuple(sorted((k, repr(v)) for k, v in node.options.items())),
        )
        if node.operation == "constant":
            key = (*key, node.name)
        if key in seen:
            if node.name and not seen[key].name:
                seen[key].name = node.name
            return seen[key]
        copy = Node([], node.operation, inputs, node.options, node.shape, node.dtype, node.name)
        seen[key] = copy
        return copy

    return rebuilt(graph, rewrite)


def remove_dead(graph: Graph) -> Graph:
    """Keep only the arguments and what the result needs, in the order of recording."""
    needed = {id(node) for node in graph.live()}
    kept = tuple(node for node in graph.nodes if id(node) in needed or node.operation == "input")
    return rebuilt(graph, lambda node, inputs: None, kept)


def _is(node: Node, value: float) -> bool:
    return node.operation == "constant" and not node.name and node.options["value"] == value


def _neutral(node: Node, inputs: tuple[Node, ...]) -> Node | None:
    """The input that this node merely repeats, by an identity that is exact in floating point."""
    match node.operation, inputs:
        case "multiply", (x, one) if _is(one, 1.0):
            return x
        case "multiply", (one, x) if _is(one, 1.0):
            return x
        case (("divide" | "power"), (x, one)) if _is(one, 1.0):
            return x
        case "subtract", (x, zero) if _is(zero, 0.0):
            return x
        case "negative", (Node(operation="negative") as inner,):
            return inner.inputs[0]  # type: ignore[no-any-return]
        case (("reshape" | "broadcast"), (x,)) if x.shape == node.shape:
            return x
        case "reshape", (Node(operation="reshape") as inner,) if inner.inputs[0].shape == node.shape:
            return inner.inputs[0]  # type: ignore[no-any-return]
    return None


def _filled(node: Node) -> Node | None:
    """The constant that fills this node, if all its elements are one plain number."""
    inner = node.inputs[0] if node.operation == "broadcast" else node
    return inner if inner.operation == "constant" else None


def _combine(node: Node, inputs: tuple[Node, ...]) -> Node | None:
    """`x + (-y)` is `x - y`, `-1*x` is `-x`; arithmetic on arrays of one repeated number happens once, on that."""
    tape = inputs[0].tape if inputs else []
    opposite = {"add": "subtract", "subtract": "add"}.get(node.operation)
    if opposite and inputs[1].operation == "negative":
        return Node(tape, opposite, (inputs[0], *inputs[1].inputs), {}, node.shape, node.dtype, node.name)
    if node.operation == "multiply" and any(_is(one, -1.0) for one in inputs):
        other = inputs[0] if _is(inputs[1], -1.0) else inputs[1]
        if other.shape == node.shape:
            return Node(tape, "negative", (other,), {}, node.shape, node.dtype, node.name)
    numbers = tuple(fill for fill in map(_filled, inputs) if fill is not None)
    if len(numbers) == len(inputs) and any(child.operation == "broadcast" for child in inputs):
        if node.operation in ("reshape", "broadcast"):
            return Node(tape, "broadcast", numbers, {"shape": node.shape}, node.shape, node.dtype, node.name)
        if PRIMITIVES[node.operation].elementwise and node.operation in _FOLDED:
            number = Node(tape, node.operation, numbers, node.options)
            return Node(tape, "broadcast", (number,), {"shape": node.shape}, node.shape, node.dtype, node.name)
    return None


def exact_algebra(graph: Graph) -> Graph:
    """`x*1`, `x/1`, `x**1`, `x - 0`, `--x`, `x + (-y)`, needless reshapes: removed where not a bit changes."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node | None:
        kept = _neutral(node, inputs)
        return kept if kept is not None and kept.shape == node.shape else _combine(node, inputs)

    return rebuilt(graph, rewrite)


def imply_broadcasts(graph: Graph) -> Graph:
    """An explicit repetition disappears where its user would repeat the value anyway."""

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node | None:
        primitive = PRIMITIVES.get(node.operation)
        if primitive is None or not primitive.elementwise or len(inputs) < 2:
            return None
        trimmed = list(inputs)
        for position, child in enumerate(inputs):
            if child.operation == "broadcast":
                attempt = [*trimmed[:position], child.inputs[0], *trimmed[position + 1 :]]
                if primitive.shape(node.operation, [one.shape for one in attempt], node.options) == node.shape:
                    trimmed = attempt
        if trimmed == list(inputs):
            return None
        return Node([], node.operation, tuple(trimmed), node.options, node.shape, node.dtype, node.name)

    return rebuilt(graph, rewrite)


PASSES: Mapping[str, Callable[[Graph], Graph]] = {
    "fold constants": fold_constants,
    "exact algebra": exact_algebra,
    "imply broadcasts": imply_broadcasts,
    "merge common sub-expressions": merge_common,
    "remove dead code": remove_dead,
}
"""The passes in the order in which `simplify` runs them."""


def simplify(graph: Graph) -> Graph:
    """All passes, twice: folding and algebra open new chances for each other."""
    for _ in range(2):
        for step in PASSES.values():
            graph = step(graph)
    return graph
