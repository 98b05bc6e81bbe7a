"""Finds maxima over windows in a graph, and their gradients, so that compiled NumPy need not make the windows.

As formulas say it, pooling cuts every window out, takes the maximum over its axes, compares all elements with it, and
puts shares of the gradient back where the windows came from: nine passes over arrays of windows. Three operations that
exist only here stand for them in a plan: `largest(x)`, `hits(x, largest)` and `share(hits, gradient)`, which
maxima.py computes from slices of the images. A fourth, `rectified(x)`, is ReLU without its mask, which pooling
afterwards makes needless.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from crossnn.formula.graph import Graph, Node, leaves, map_tree
from crossnn.formula.numpy_meaning import numpy_meaning
from crossnn.formula.planned.plan import Kind, is_host, kinds, one_float
from crossnn.formula.shapes import reduced_axes

POOLING = ("largest", "hits", "share")
RECTIFIED = "rectified"
LONG = 256
"""Elements of an example from which on this one pays."""

_SAME = ("size", "strides", "dilation", "padding")


def pooled(graph: Graph, types: Mapping[int, Kind], dtype: str) -> tuple[Graph, dict[int, Kind]]:
    """The graph with these operations wherever what they stand for is found in one precision; and the types of its
    inputs, by the nodes that are now theirs."""
    live = graph.live()
    known = kinds(live, types, np.dtype(dtype), numpy_meaning(dtype))

    def fits(*nodes: Node) -> bool:
        given = [known[id(node)] for node in nodes]
        return one_float([np.dtype(dtype) if is_host(kind) else kind for kind in given])  # a number takes any precision

    gradients = {id(node): found for node in live if node.operation == "overlap_add" and (found := _gradient(node))}
    tape: list[Node] = []
    made: dict[Any, Node] = {}
    copied: dict[int, Node] = {}

    def one(operation: str, inputs: tuple[Node, ...], windows: Node, shape: Any, dtype: str = "float") -> Node:
        key = (operation, *map(id, inputs))
        if key not in made:
            options = {**windows.options, "of": windows.inputs[0].shape}
            made[key] = Node(tape, operation, inputs, options, shape, dtype)
        return made[key]

    def largest(node: Node) -> Node:
        windows = node.inputs[0]
        return one("largest", (copied[id(windows.inputs[0])],), windows, node.shape)

    for node in live:
        if node.operation == "input":
            copy = Node(tape, "input", (), node.options, node.shape, node.dtype, node.name)
        elif _maximum(node) and fits(node.inputs[0]):
            copy = largest(node)
            copy.name = node.name
        elif id(node) in gradients and fits(node, gradients[id(node)][0].inputs[0], gradients[id(node)][1]):
            maximum, gradient = gradients[id(node)]
            windows, x = maximum.inputs[0], copied[id(maximum.inputs[0].inputs[0])]
            shape = (node.shape[0], _places(windows), *maximum.shape[1:])
            hits = one("hits", (x, largest(maximum)), windows, shape, "bool")
            given = copied[id(gradient)]
            if given.shape == ():
                given = Node(tape, "broadcast", (given,), {"shape": maximum.shape}, maximum.shape)
            elif given.shape != maximum.shape:
                given = Node(tape, "reshape", (given,), {"shape": maximum.shape}, maximum.shape)
            copy = one("share", (hits, given), windows, node.shape)
        elif (masked := _masked(node)) is not None and copied[id(masked)].operation == "share":
            maximum, nothing = gradients[id(masked)][0], copied[id(node.inputs[2])]
            top, (hits, given) = largest(maximum), copied[id(masked)].inputs
            above = Node(tape, "greater", (top, nothing), {}, top.shape, "bool")
            given = Node(tape, "where", (above, given, nothing), {}, top.shape)
            copy = Node(tape, "share", (hits, given), copied[id(masked)].options, node.shape)
        elif _rectifies(node) and prod(node.shape[1:]) >= LONG and fits(node, node.inputs[1]):
            copy = Node(tape, RECTIFIED, (copied[id(node.inputs[1])],), {}, node.shape, node.dtype, node.name)
        else:
            inputs = tuple(copied[id(child)] for child in node.inputs)
            copy = Node(tape, node.operation, inputs, node.options, node.shape, node.dtype, node.name)
        copied[id(node)] = copy

    def place(node: Node) -> Node:
        if id(node) not in copied:  # an argument that nothing uses
            copied[id(node)] = Node(tape, node.operation, (), node.options, node.shape, node.dtype, node.name)
        return copied[id(node)]

    made_graph = Graph(map_tree(place, graph.arguments), map_tree(place, graph.result), tuple(tape))
    return made_graph, {id(copied[id(one)]): types[id(one)] for one in leaves(graph.arguments)}


def _places(windows: Node) -> int:
    """How many elements a window has."""
    return prod(windows.shape[len(windows.shape) // 2 : -1])


def _rectifies(node: Node) -> bool:
    """where(x > 0, x, 0), which is fmax(x, 0): nan is not above 0 either."""
    if node.operation != "where":
        return False
    c, x, zero = node.inputs
    same = c.operation == "greater" and c.inputs[0] is x and x.shape == node.shape
    return same and _is(c.inputs[1], 0.0) and _is(zero, 0.0)


def _masked(node: Node) -> Node | None:
    """The gradient of pooling after rectification, which this masks as the rectification did. Where a maximum is
    above 0, so are all elements that equal it; where it is 0, none is: the gradients of maxima may be masked instead.
    """
    match node:
        case Node(operation="where", inputs=(c, Node(operation="overlap_add") as found, zero)) if _is(zero, 0.0):
            hit = found.inputs[0].inputs[0] if found.inputs[0].operation == "where" else zero
            windows = hit.inputs[0] if hit.operation == "equal" else zero
            x = windows.inputs[0] if windows.operation == "windows" else zero
            return found if _rectifies(x) and x.inputs[0] is c else None
    return None


def _axes(windows: Node) -> tuple[int, ...]:
    """The axes of a window's elements: (N, *out, *size, C)."""
    spatial = (len(windows.shape) - 2) // 2
    return tuple(range(1 + spatial, 1 + 2 * spatial))


def _maximum(node: Node) -> bool:
    """The maximum of every window."""
    if node.operation != "max" or node.options["keepdims"] or node.inputs[0].operation != "windows":
        return False
    (windows,) = node.inputs
    return reduced_axes("max", windows.shape, node.options["axis"]) == _axes(windows)


def _gradient(node: Node) -> tuple[Node, Node] | None:
    """The maximum and its gradient, if what this `overlap_add` puts together is shared as derivatives say it:
    where(hit, gradient/number of hits, 0)."""
    match node.inputs[0]:
        case Node(operation="where", inputs=(hit, Node(operation="divide", inputs=(above, below)), zero)):
            pass
        case _:
            return None
    match hit:
        case Node(operation="equal", inputs=(Node(operation="windows") as windows, other)):
            maximum = _bare(other, windows)
        case _:
            return None
    if maximum is None or not _maximum(maximum) or maximum.inputs[0] is not windows or not _is(zero, 0.0):
        return None
    if windows.inputs[0].shape != node.shape or any(windows.options[key] != node.options[key] for key in _SAME):
        return None
    total, gradient = _bare(below, windows), above if above.shape == () else _bare(above, windows)
    if gradient is None or total is None or total.operation != "sum" or total.inputs[0].operation != "where":
        return None
    counted, one, nothing = total.inputs[0].inputs
    if counted is not hit or not (_is(one, 1.0) or one.operation == "ones_like") or not _is(nothing, 0.0):
        return None
    if reduced_axes("sum", windows.shape, total.options["axis"]) != _axes(windows):
        return None
    return maximum, gradient


def _bare(node: Node, windows: Node) -> Node | None:
    """The value that is repeated for all elements of a window: without its axes of length 1, if that is all."""
    axes = _axes(windows)
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(windows.shape))
    if node.operation == "broadcast" and node.shape == windows.shape:
        node = node.inputs[0]
    if node.shape != kept:
        return None
    while node.operation == "reshape":
        node = node.inputs[0]
    return node if prod(node.shape) == prod(kept) else None


def _is(node: Node, value: float) -> bool:
    return node.operation == "constant" and node.options["value"] == value


def tool(node: Node, dtype: str, images: int) -> tuple[str, str]:
    """How the tool for this convolution or pooling is made, once, and the call of it that computes the node; for so
    many images at a time, or for 0, all."""
    options = node.options
    match node.operation:
        case "conv":
            call, shapes = "forward", (node.inputs[0].shape, node.inputs[1].shape)
        case "conv_transposed":
            call, shapes = "input", (options["shape"], node.inputs[1].shape)
        case "conv_kernel":
            call, shapes = "kernel", (node.inputs[0].shape, options["shape"])
        case call:
            shapes = (options["of"], options["size"])
    shapes = ((images or shapes[0][0], *shapes[0][1:]), shapes[1])
    defaults = {"strides": 1, "dilation": 1, "padding": "valid", "fill": "zero"}
    shown = [
        f", {key}={options[key]!r}"
        for key, usual in defaults.items()
        if key in options and options[key] != usual and set(np.atleast_1d(options[key]).tolist()) != {usual}
    ]
    kind = "Pooling" if node.operation in POOLING else "Convolution"
    return f'{kind}({shapes[0]}, {shapes[1]}, "{dtype}"{"".join(shown)})', call
