"""Shapes on slides: two sides in one shape, and vectors multiplied as NumPy multiplies them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossnn.errors import ShapeError
from crossnn.formula.graph import GRAPH, Node
from crossnn.formula.shapes import Shape


def fitted(left: Node, right: Node) -> tuple[Node, Node]:
    """Both sides in one shape: axes of length 1 do not count, but a row is no column; a number stands for all
    elements."""
    one, other = (tuple(length for length in node.shape if length != 1) for node in (left, right))
    if left.shape == right.shape or not one or not other:
        wide = left.shape if len(left.shape) >= len(right.shape) and one else right.shape if other else left.shape
        return _wide(left, wide, one), _wide(right, wide, other)
    if one != other or len(left.shape) == len(right.shape) == 2:
        raise ShapeError(f"the shapes {left.shape} and {right.shape} do not fit: they cannot be equal")
    return left, GRAPH["reshape"](right, shape=left.shape)


def _wide(node: Node, shape: Shape, long: Shape) -> Node:
    if node.shape == shape:
        return node
    if long:
        return GRAPH["reshape"](node, shape=shape)
    single = GRAPH["reshape"](node, shape=()) if node.shape else node
    return GRAPH["broadcast"](single, shape=shape) if shape else single


def _matmul(x: Any, y: Any, **options: Any) -> Node:
    """As NumPy multiplies: a vector on the left is a row, one on the right a column."""
    left = GRAPH["reshape"](x, shape=(1, *x.shape)) if len(x.shape) == 1 else x
    right = GRAPH["reshape"](y, shape=(*y.shape, 1)) if len(y.shape) == 1 else y
    product = GRAPH["matmul"](left, right, **options)
    shape = product.shape
    if len(y.shape) == 1:
        shape = shape[:-1]
    if len(x.shape) == 1:
        shape = (*shape[:-2], *shape[-1:]) if len(y.shape) > 1 else shape[:-1]
    return GRAPH["reshape"](product, shape=shape)


def _transpose(x: Any, **options: Any) -> Node:
    return x if len(x.shape) == 1 else GRAPH["transpose"](x, **options)


NUMPY_VECTORS: Mapping[str, Any] = {**GRAPH, "matmul": _matmul, "transpose": _transpose}
