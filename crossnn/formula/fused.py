"""Several nodes for which a framework has one function: where a meaning has that function, it takes their place.

A meaning may have these besides the primitives. Each is what its formula says, but for what is told here:

max_pool(x, size, strides, dilation, padding)   max(windows(x, ..., fill='lowest'), axis of the windows), x rectified
    Windows need not be written down. Of equal maxima a framework may give the gradient to one, where the formula shares
    it; most are zeros, for which it goes no further when x comes from where(x > 0, x, 0). Elsewhere, and where a check
    looks between the two, the formula is computed as it stands.
rectified(x)                                    where(x > 0, x, 0)
    What is not a number may stay so.
affine(x, k, b)                                 x @ k + b, of matrices and a row
conv_biased(x, k, b, strides, dilation, groups, padding)    conv(x, k, ...) + b, b along the last axis
biased(y, b)                                    y + b, b along the last axis of y
log_softmax(x)                                  x - log(sum(exp(x))) along the last axis, x less its largest before
    The gradient may be that of the result, to rounding.
add_scaled(x, y, c)                             x + c*y, c a plain number
add_product(x, y, z, c)                         x + c*(y*z)
subtract_quotient(x, y, z)                      x - y/z

Nodes between that something else needs, too, stay as they are, and so does what they belong to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossnn.formula.graph import Graph, Node
from crossnn.formula.simplify import rebuilt

Found = tuple[tuple[Node, ...], Mapping[str, Any]]
"""Arguments and options of the one function."""
Match = Callable[[Node, tuple[Node, ...], Callable[[Node], bool]], Found | None]
"""(a node, its arguments in the new graph, whether nothing else needs one of those) -> what takes the node's place."""

PLACED = {"strides": 1, "dilation": 1, "groups": 1, "padding": "valid"}
"""Defaults of what slides over space."""


def fused(graph: Graph, names: Mapping[str, Any]) -> Graph:
    """The graph with the functions of these names in the places of what they compute; others are not looked for."""
    wanted = [(name, match) for name, match in MATCHES.items() if name in names]
    if not wanted:
        return graph
    live = graph.live()
    uses = Counter(id(child) for node in live for child in node.inputs)
    uses.update(map(id, graph.results))
    number: dict[int, int] = {}

    def rewrite(node: Node, inputs: tuple[Node, ...]) -> Node | None:
        number.update((id(new), uses[id(old)]) for old, new in zip(node.inputs, inputs, strict=True))
        for name, match in wanted:
            found = match(node, inputs, lambda one: number[id(one)] == 1)
            if found is not None:
                return Node([], name, found[0], found[1], node.shape, node.dtype, node.name)
        return None

    return rebuilt(graph, rewrite)


def _is(node: Node, value: float) -> bool:
    return node.operation == "constant" and node.options["value"] == value


def _max_pool(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    if node.operation != "max" or inputs[0].operation != "windows" or not alone(inputs[0]) or node.options["keepdims"]:
        return None
    (stacked,) = inputs
    if not _from_relu(stacked.inputs[0]):
        return None
    rank = (len(stacked.shape) - 2) // 2
    axis, options = node.options["axis"], dict(stacked.options)
    named = {one % len(stacked.shape) for one in ((axis,) if isinstance(axis, int) else axis or ())}
    # Zeros around the array may be larger than all of a window; lowest values are not.
    if named != set(range(1 + rank, 1 + 2 * rank)) or (options.pop("fill") == "zero" and options["padding"] == "same"):
        return None
    return stacked.inputs, options


def _from_relu(node: Node) -> bool:
    return node.operation == "rectified" or _rectified(node, node.inputs, lambda _: True) is not None


def _rectified(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    match node.operation, inputs:
        case "where", (Node(operation="greater", inputs=(x, zero)) as above, y, other):
            if x is y and _is(zero, 0) and _is(other, 0) and alone(above):
                return (x,), {}
    return None


def _affine(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    match node.operation, inputs:
        case "add", (Node(operation="matmul", inputs=(x, k)) as product, b):
            if len(x.shape) == len(k.shape) == 2 and b.shape == k.shape[1:] and alone(product):
                return (x, k, b), {}
    return None


def _conv_biased(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    if inputs and inputs[0].operation == "conv" and alone(inputs[0]) and _biased(node, inputs, alone):
        return (*inputs[0].inputs, inputs[1]), inputs[0].options
    return None


def _biased(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    if node.operation != "add" or len(inputs[0].shape) < 2 or inputs[1].shape != inputs[0].shape[-1:]:
        return None
    return inputs, {}


def _log_softmax(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    """z - log(sum(exp(z))), z = x - stop_gradient(max(x)): z is needed twice, everything else once."""
    if node.operation != "subtract":
        return None
    z, total = inputs[0], _chain(inputs[1], ("log", "sum", "exp"), alone)
    if total is None or total[-1].inputs[0] is not z or z.operation != "subtract":
        return None
    top = _chain(z.inputs[1], ("stop_gradient", "max"), alone)
    if top is None or top[-1].inputs[0] is not z.inputs[0] or not _last(total[1]) or not _last(top[1]):
        return None
    return z.inputs[:1], {}


def _chain(node: Node, operations: Sequence[str], alone: Callable[[Node], bool]) -> list[Node] | None:
    """These operations, each of what the next one gives, and none of them needed elsewhere."""
    found: list[Node] = []
    for operation in operations:
        node = found[-1].inputs[0] if found else node
        if node.operation != operation or not alone(node):
            return None
        found.append(node)
    return found


def _last(node: Node) -> bool:
    return node.options["axis"] in (-1, (-1,)) and bool(node.options["keepdims"])


def _add_scaled(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    for x, scaled in (inputs, inputs[::-1]) if node.operation == "add" else ():
        match scaled:
            case Node(operation="multiply", inputs=(c, y)) if _plain(c) and alone(scaled) and _alike(node, x, y):
                return (x, y, c), {}
    return None


def _add_product(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    found = _add_scaled(node, inputs, alone)
    if found is None:
        return None
    (x, product, c), _ = found
    match product:
        case Node(operation="power", inputs=(y, two)) if _is(two, 2) and alone(product):
            return (x, y, y, c), {}
        case Node(operation="multiply", inputs=(y, z)) if alone(product) and _alike(node, y, z):
            return (x, y, z, c), {}
    return None


def _subtract_quotient(node: Node, inputs: tuple[Node, ...], alone: Callable[[Node], bool]) -> Found | None:
    match node.operation, inputs:
        case "subtract", (x, Node(operation="divide", inputs=(y, z)) as quotient):
            if alone(quotient) and _alike(node, x, y, z):
                return (x, y, z), {}
    return None


def _alike(node: Node, *others: Node) -> bool:
    return all(one.shape == node.shape and one.dtype == "float" and one.operation != "constant" for one in others)


def _plain(node: Node) -> bool:
    """Whether this is a number before anything is computed: arithmetic of constants."""
    return node.operation == "constant" or (node.operation in _ARITHMETIC and all(map(_plain, node.inputs)))


_ARITHMETIC = ("add", "subtract", "multiply", "divide", "power", "negative")
MATCHES: Mapping[str, Match] = {
    "max_pool": _max_pool,
    "rectified": _rectified,
    "affine": _affine,
    "conv_biased": _conv_biased,
    "biased": _biased,
    "log_softmax": _log_softmax,
    "add_product": _add_product,
    "add_scaled": _add_scaled,
    "subtract_quotient": _subtract_quotient,
}
ELEMENTWISE = ("rectified", "biased", "add_product", "add_scaled", "subtract_quotient")
"""Those that compute each element from the elements in its place."""
