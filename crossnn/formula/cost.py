"""What a graph costs at least: floating-point operations, and bytes read and written.

The model is one kernel a primitive: each reads its inputs and writes its result, once. Views (reshape, transpose,
broadcast) are free, numbers in the code cost no traffic. A fused program can move fewer bytes, never fewer operations;
the timings are set against both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crossnn.formula import shapes
from crossnn.formula.graph import Graph, Node
from crossnn.formula.primitives import PRIMITIVES

VIEWS = frozenset({"broadcast", "flatten", "reshape", "slice", "stop_gradient", "transpose"})
_ITEM_BYTES = {"bool": 1, "index": 8}


@dataclass(frozen=True)
class NodeCost:
    """One primitive's share."""

    node: Node
    flops: float
    bytes: int


@dataclass(frozen=True)
class Cost:
    """A graph's total, and where it comes from, in the order of computation."""

    nodes: tuple[NodeCost, ...]

    @property
    def flops(self) -> float:
        return sum(one.flops for one in self.nodes)

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.nodes)

    @property
    def intensity(self) -> float:
        """Operations per byte: below a machine's ratio of the two, memory is the limit."""
        return self.flops / self.bytes if self.bytes else math.inf

    def of(self, node: Node) -> NodeCost:
        """The share of one node; nothing for inputs, constants and what the result does not need."""
        return next((one for one in self.nodes if one.node is node), NodeCost(node, 0.0, 0))


_Work = Callable[[Node], float]
_WORK: Mapping[shapes.ShapeRule, _Work] = {
    shapes.reduction: lambda node: _size(node.inputs[0]),
    shapes.matrix_product: lambda node: 2.0 * _size(node) * node.inputs[0].shape[-1],
    shapes.convolved: lambda node: 2.0 * _size(node) * math.prod(node.inputs[1].shape[:-1]),
    shapes.convolution_input: lambda node: 2.0 * _size(node.inputs[0]) * math.prod(node.inputs[1].shape[:-1]),
    shapes.convolution_kernel: lambda node: 2.0 * _size(node.inputs[1]) * math.prod(node.shape[:-1]),
    shapes.overlapped: lambda node: _size(node.inputs[0]),
    shapes.given: lambda node: _size(node.inputs[0]),
    shapes.tall: lambda node: _size(node) * node.shape[-1],
}
"""Shape rule -> how often the primitive's own cost is paid; the size of the result where it is not listed."""


def cost(graph: Graph, itemsize: int = 8) -> Cost:
    """The cost of everything that the result needs; `itemsize` is the bytes of one floating-point number."""
    return Cost(tuple(_node_cost(node, itemsize) for node in graph.live() if node.operation in PRIMITIVES))


def _node_cost(node: Node, itemsize: int) -> NodeCost:
    if node.operation in VIEWS:
        return NodeCost(node, 0.0, 0)
    primitive = PRIMITIVES[node.operation]
    work = _WORK.get(primitive.shape, _size)(node)
    read = {id(child): child for child in node.inputs if _stored(child)}
    moved = _bytes(node, itemsize) + sum(_bytes(_storage(child), itemsize) for child in read.values())
    return NodeCost(node, primitive.flops * work, moved)


def _storage(node: Node) -> Node:
    """What lies in memory behind a view; of a slice no more than the slice is read."""
    while node.operation in VIEWS and node.operation != "slice":
        node = node.inputs[0]
    return node


def _stored(node: Node) -> bool:
    return _storage(node).operation != "constant"


def _size(node: Node) -> float:
    return math.prod(node.shape)


def _bytes(node: Node, itemsize: int) -> int:
    return int(_size(node)) * _ITEM_BYTES.get(node.dtype, itemsize)
