"""What no pooling looks at need not be computed: a window that moves in steps of 2 over 11 outputs leaves out the last.

Each value is asked, from the results backwards, how far it is needed along each axis; elementwise operations ask as
much of their operands, windows and convolutions as far as they reach. Then the graph is made again with as much. Every
result stays what it is, to the last bit that its own arithmetic gives; the gradient of what is left out is zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.shapes import Shape, reduced_axes
from crossnn.formula.simplify import rebuilt

_REDUCTIONS = ("max", "min", "sum", "mean")


def cropped(graph: Graph) -> Graph:
    """The graph without outputs of windows and convolutions that nothing needs; itself, where all are needed."""
    needed = _needed(graph)
    if all(needed[id(node)] == node.shape for node in graph.live()):
        return graph

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node | None:
        if id(node) not in needed or node.operation in ("input", "constant") or not node.inputs:
            return None
        wanted = [one.shape for one in node.inputs]
        if _handled(node):
            wanted = _asked(node, needed[id(node)])
        parts = [_first(one, length) for one, length in zip(inputs, wanted, strict=True)]
        made = GRAPH[node.operation](*parts, **node.options) if _handled(node) else None
        if made is None:
            if all(part is one for part, one in zip(parts, inputs, strict=True)):
                return None
            made = Node(parts[0].tape, node.operation, tuple(parts), node.options, node.shape, node.dtype)
        made.name = node.name
        return made

    return rebuilt(graph, rewrite)


def _needed(graph: Graph) -> dict[int, Shape]:
    """How much of each value is needed, from the beginning of each axis."""
    live = graph.live()
    found: dict[int, Shape] = {id(node): (0,) * len(node.shape) for node in live}
    for node in graph.results:
        found[id(node)] = node.shape
    for node in reversed(live):
        if not _handled(node):
            found[id(node)] = node.shape
        for child, asked in zip(node.inputs, _asked(node, found[id(node)]), strict=True):
            found[id(child)] = tuple(map(max, found[id(child)], asked))
    for node in live:
        if node.operation in ("input", "constant"):
            found[id(node)] = node.shape
    return found


def _handled(node: Node) -> bool:
    """Whether an operation can give the beginning of its result from the beginning of its operands."""
    match node.operation:
        case "windows" | "conv":
            return bool(node.options["padding"] == "valid")
        case name if name in _REDUCTIONS:
            return node.inputs[0].operation == "windows" and not node.options["keepdims"]
        case name:
            return name in PRIMITIVES and PRIMITIVES[name].elementwise


def _asked(node: Node, needed: Shape) -> list[Shape]:
    """How much of each operand is needed for so much of the result."""
    shapes = [one.shape for one in node.inputs]
    if not _handled(node):
        return shapes
    match node.operation:
        case "conv":
            spatial = shapes[1][:-2]
            return [_reached(shapes[0], needed[1:-1], spatial, node.options), shapes[1]]
        case "windows":
            rank = len(shapes[0]) - 2
            size = _each(node.options["size"], rank)
            return [_reached(shapes[0], needed[1 : 1 + rank], size, node.options)]
        case name if name in _REDUCTIONS:
            gone = set(reduced_axes(name, shapes[0], node.options["axis"]))
            kept = iter(needed)
            return [tuple(length if axis in gone else next(kept) for axis, length in enumerate(shapes[0]))]
    return [_aligned(shape, needed) for shape in shapes]


def _reached(shape: Shape, needed: Sequence[int], size: Sequence[int], options: Any) -> Shape:
    """As far as windows of this size reach, of which so many are needed along each spatial axis."""
    strides, dilation = (_each(options[name], len(size)) for name in ("strides", "dilation"))
    spatial = (
        (count - 1) * stride + (length - 1) * step + 1
        for count, length, stride, step in zip(needed, size, strides, dilation, strict=True)
    )
    return (shape[0], *map(min, shape[1:-1], spatial), shape[-1])


def _aligned(shape: Shape, needed: Shape) -> Shape:
    """Of an operand that is broadcast: as much as of the result, but for axes that are stretched."""
    last = needed[len(needed) - len(shape) :]
    return tuple(min(length, wanted) for length, wanted in zip(shape, last, strict=True))


def _each(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _first(node: Node, shape: Shape) -> Node:
    """The beginning of a value, where it is longer than is wanted."""
    for axis, (length, wanted) in enumerate(zip(node.shape, shape, strict=True)):
        if wanted < length:
            node = GRAPH["slice"](node, axis=axis, start=0, stop=wanted)
    return node
