"""What is decided before NumPy source is printed: the type of each value, and the order of the operations.

Arrays of a training step are larger than the processor's fast cache, so runs of elementwise operations on equally
shaped arrays become one *block* each: piece by piece, every operation of the run is done while the piece is in the
cache. This is what makes an Adam update cheaper than fourteen passes over memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from crossnn.formula.graph import Node
from crossnn.formula.numpy_meaning import BITS, REDUCTIONS, UFUNCS, Meaning
from crossnn.formula.planned.algebra import DOT
from crossnn.formula.planned.buffers import PIECE
from crossnn.formula.shapes import Shape

BLOCK_AT_LEAST = 2 * PIECE
"""Smaller arrays are in the cache anyway."""

Kind = Any
"""The type of a value: a NumPy dtype, or `float`, `int`, `bool` for a Python number, which takes any precision."""

ALIASES = ("transpose", "reshape", "flatten", "stop_gradient")
_AS_FIRST = frozenset(
    "broadcast ones_like erf erfc sigmoid slice pad flip iota take put windows overlap_add orthonormal largest "
    "rectified".split()
)


def is_host(kind: Kind) -> bool:
    """Python's own numbers are computed by Python."""
    return isinstance(kind, type)


def one_float(given: Sequence[Kind]) -> bool:
    """All of one floating-point type, and no numbers of Python's own."""
    return not any(map(is_host, given)) and len({*given}) == 1 and given[0] in BITS


def kinds(
    order: Sequence[Node], inputs: Mapping[int, Kind], working: np.dtype[Any], meaning: Meaning
) -> dict[int, Kind]:
    """The type of every node, by NumPy's own promotion rules."""
    known: dict[int, Kind] = {}
    for node in order:
        given = [known[id(child)] for child in node.inputs]
        known[id(node)] = inputs[id(node)] if node.operation == "input" else _kind(node, given, working, meaning)
    return known


def _kind(node: Node, given: Sequence[Kind], working: np.dtype[Any], meaning: Meaning) -> Kind:
    name = node.operation
    if name in ("broadcast", "reshape") and is_host(given[0]):
        return working
    if all(map(is_host, given)):
        return bool if node.dtype == "bool" else float
    given = [np.dtype(bool) if kind is bool else kind for kind in given]  # the only number that is not weak
    if node.dtype != "float":
        return np.dtype(bool if node.dtype == "bool" else np.intp)
    if name in UFUNCS:
        return UFUNCS[name].resolve_dtypes((*given, None))[-1]
    if name == "where":
        return working if is_host(given[1]) and is_host(given[2]) else np.add.resolve_dtypes((*given[1:], None))[-1]
    if name in ("sum", "mean", "iota") and given[0].kind != "f":
        return working
    if name in REDUCTIONS or name in ALIASES or name in _AS_FIRST:
        return given[0]
    if name == "share":
        return given[1]
    if name == DOT:
        found = UFUNCS["multiply"].resolve_dtypes((*given, None))[-1]
        return found if found.kind == "f" else working
    if name in ("conv", "conv_transposed", "conv_kernel", "concatenate"):
        return np.result_type(*given)
    if name == "one_hot":
        return given[1]
    pairs = zip(given, node.inputs, strict=True)
    samples = [1.0 if is_host(kind) else np.ones(child.shape, kind) for kind, child in pairs]
    return meaning[name](*samples, **node.options).dtype


class ImageBlock(list[Node]):
    """Operations that are done together for so many images at a time (images.py)."""

    def __init__(self, nodes: Sequence[Node], count: int) -> None:
        super().__init__(nodes)
        self.together = count


def schedule(order: Sequence[Node | ImageBlock]) -> list[list[Node]]:
    """The order in which to compute, as runs: one node, or a block of elementwise nodes of one shape.

    A block stays open until something needs it, and is then put where the last of its operands is known: as early as
    possible, while they are still in the cache."""
    flat: set[int] = set()  # values whose elements lie in memory in reading order
    runs: list[list[Node]] = []
    blocks: dict[Shape, list[Node]] = {}

    def close(shape: Shape) -> None:
        block = blocks.pop(shape)
        needed = {id(child) for node in block for child in node.inputs}
        at = max((place + 1 for place, run in enumerate(runs) if any(id(node) in needed for node in run)), default=0)
        runs[at:at] = [block] if len(block) > 2 else [[node] for node in block]

    for node in order:
        if isinstance(node, ImageBlock):
            needed = {id(child) for one in node for child in one.inputs}
            for shape in [shape for shape, block in blocks.items() if any(id(one) in needed for one in block)]:
                close(shape)
            runs.append(node)
            flat.update(map(id, node))
            continue
        if node.operation not in ALIASES or (node.operation != "transpose" and id(node.inputs[0]) in flat):
            flat.add(id(node))
        fits = (
            (node.operation in UFUNCS or node.operation == "where")
            and node.operation != "matmul"
            and prod(node.shape) >= BLOCK_AT_LEAST
            and all(child.shape == () or (child.shape == node.shape and id(child) in flat) for child in node.inputs)
        )
        children = {id(child) for child in node.inputs}
        for shape in [shape for shape, block in blocks.items() if any(id(one) in children for one in block)]:
            if not (fits and shape == node.shape):
                close(shape)
        if node.operation == "hits":  # while the images are still in the cache
            at = max(place for place, run in enumerate(runs) if any(id(one) in children for one in run))
            runs.insert(at + 1, [node])
        elif fits:
            blocks.setdefault(node.shape, []).append(node)
        else:
            runs.append([node])
    for shape in list(blocks):
        close(shape)
    return runs
