"""Which operations compiled NumPy does for a few images at a time, so that what one makes the next finds in the cache.

Convolutions, pooling and what happens to every pixel between them need no other image. They are collected into blocks,
each of which runs over pieces of the batch; sums over the batch add up from piece to piece and are known afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

import numpy as np

from crossnn.formula.graph import Node
from crossnn.formula.numpy_meaning import UFUNCS
from crossnn.formula.planned.plan import BLOCK_AT_LEAST, ImageBlock
from crossnn.formula.shapes import reduced_axes

AT_A_TIME = 3 << 18
"""Bytes of the largest value of a block: a few of them fit a core's second cache."""

_PARTED = {"conv": 1, "conv_transposed": 1, "conv_kernel": 2, "largest": 1, "hits": 2, "share": 2, "sum": 1}
"""How many of the first operands are images."""


def parted(node: Node) -> list[Node]:
    """The operands of which an operation needs the images that it is working on; of others it needs all."""
    if node.operation in _PARTED:
        return list(node.inputs[: _PARTED[node.operation]])
    return [child for child in node.inputs if child.shape == node.shape]


def repeated(node: Node) -> list[Node]:
    """The operands of an elementwise operation that have a value for each channel."""
    if node.operation in _PARTED:
        return []
    return [child for child in node.inputs if child.shape == node.shape[-1:]]


def accumulates(node: Node) -> bool:
    """A sum over the batch."""
    return node.operation in ("sum", "conv_kernel")


def in_image_blocks(order: Sequence[Node], slides: Callable[[Node], bool]) -> list[Node | ImageBlock]:
    """The operations in another order, in which those that can be done image by image stand together. `slides` says
    whether there is a tool for a window."""
    found: list[Node | ImageBlock] = []
    rest = list(order)
    while rest:
        members = _members(rest, slides)
        count = _count(members)
        if not count:
            return [*found, *rest]
        inside = {id(node) for node in members}
        before: set[int] = set()
        for node in reversed(rest):
            if id(node) in inside or id(node) in before:
                before.update(id(child) for child in node.inputs if id(child) not in inside)
        found += [node for node in rest if id(node) in before]
        found.append(ImageBlock(members, count))
        rest = [node for node in rest if id(node) not in before and id(node) not in inside]
    return found


def _members(order: Sequence[Node], slides: Callable[[Node], bool]) -> list[Node]:
    """All that can be done in one run over the images, beginning with the first window that slides."""
    members: list[Node] = []
    usable: set[int] = set()
    later: set[int] = set()  # known only after the block
    for node in order:
        parts = {id(child) for child in parted(node)}
        others = {id(child) for child in node.inputs} - parts
        fits = _fits(node, slides) and not (parts & later) and not (others & (usable | later))
        if fits and members:
            batch = parted(members[0])[0].shape[0]
            fits = all(child.shape[0] == batch for child in parted(node))
            fits = fits and (not accumulates(node) or bool(parts & usable))
        elif fits:
            fits = node.operation in _PARTED and not accumulates(node)
        if fits:
            members.append(node)
            (later if accumulates(node) else usable).add(id(node))
            if node.operation == "hits" and any(one is node.inputs[1] for one in members):
                members.insert(members.index(node.inputs[1]) + 1, members.pop())  # while the images are in the cache
        elif any(id(child) in usable or id(child) in later for child in node.inputs):
            later.add(id(node))
    return members


def _fits(node: Node, slides: Callable[[Node], bool]) -> bool:
    if node.operation == "sum":
        (x,) = node.inputs
        axes = reduced_axes("sum", x.shape, node.options["axis"]) if x.shape else ()
        return len(x.shape) > 2 and axes == tuple(range(len(x.shape) - 1)) and not node.options["keepdims"]
    if node.operation in _PARTED:
        return slides(node)
    if (
        (node.operation not in UFUNCS and node.operation not in ("where", "rectified"))
        or node.operation == "matmul"
        or len(node.shape) < 3
    ):
        return False
    narrow = [child for child in node.inputs if child.shape != node.shape]
    flat = all(len(child.shape) < len(node.shape) for child in narrow)
    return (
        flat and len(narrow) < len(node.inputs) and (node.operation != "where" or not any(one.shape for one in narrow))
    )


def _count(members: Sequence[Node]) -> int:
    """How many images at a time: an equal part of the batch, or 0 if a block is not worth it."""
    values = [node.shape for node in members if not accumulates(node) and node.dtype == "float"]
    if len(members) < 2 or max(map(prod, values)) < BLOCK_AT_LEAST:
        return 0
    batch = values[0][0]
    most = AT_A_TIME // (4 * max(prod(shape) // batch for shape in values))
    count = max(n for n in range(1, batch + 1) if batch % n == 0 and (n <= most or n == 1))
    return count if count < batch and 4 * count >= min(most, batch) else 0


def images(total: int, count: int, *buffers: np.ndarray) -> list[tuple[object, ...]]:
    """What a block runs over: slices of so many images, each with the memory for what only the block needs."""
    return [(slice(start, start + count), *buffers) for start in range(0, total, count)]
