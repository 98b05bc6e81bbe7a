"""Algebra that only compiled NumPy does: operations that cost a call, or a pass over memory, and need not be there.

Negations are pulled through products and sums until they meet another one or turn an addition into a subtraction, which
no rounding notices. A number made from all elements is made at once, and so in another order than written: the mean of
sums is one sum, the sum of products one dot product. Numbers that an array is multiplied with or divided by, one after
the other, meet first: `lr*(m/d)` is `(lr/d)*m`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod

from crossnn.formula.graph import Graph, Node, constant, map_tree
from crossnn.formula.numpy_meaning import is_zero
from crossnn.formula.simplify import simplify

DOT = "dot"
"""What stands for sum(x*y) over all elements."""
DOT_AT_MOST = 1 << 16
"""Elements: of more, a sum that NumPy adds up pairwise is more accurate than a dot product of the matrix library."""

MANY = 4096
"""Elements: to divide fewer by a number is no work."""

_LINEAR = frozenset("sum mean reshape flatten transpose broadcast slice pad flip overlap_add".split())
_BILINEAR = frozenset("multiply divide matmul conv conv_transposed conv_kernel".split())


def prepared(graph: Graph) -> Graph:
    """The simplified graph as NumPy computes it with fewest calls."""
    graph = simplify(simplify(graph))
    positive = _rewritten(graph, _Negations())
    if _negated(positive) < _negated(graph):
        graph = simplify(positive)
    for _ in range(3):  # each number meets the next
        graph = _rewritten(graph, _Scales(graph))
    graph = simplify(_rewritten(graph, _reciprocal))
    return _rewritten(graph, _Totals(graph))


class _Negations:
    """Says of each value what it is the opposite of, and makes the opposite only where that is asked for."""

    def __init__(self) -> None:
        self.opposite: dict[int, Node] = {}  # the node whose opposite this one stands for

    def __call__(self, node: Node, inputs: tuple[Node, ...], make: Callable[..., Node]) -> Node:
        plain = tuple(self.opposite.get(id(one), one) for one in inputs)
        signs = tuple(id(one) in self.opposite for one in inputs)
        match node.operation:
            case "negative":
                return plain[0] if signs[0] else self.stand_in(plain[0], make)
            case name if not any(signs):
                return make(node, name, inputs)
            case name if name in _LINEAR:
                return self.stand_in(make(node, name, plain), make)
            case name if name in _BILINEAR:
                found = make(node, name, plain)
                return found if all(signs) else self.stand_in(found, make)
            case "add" | "subtract":
                second = signs[1] != (node.operation == "subtract")
                if signs[0] and second:
                    return self.stand_in(make(node, "add", plain), make)
                if signs[0]:
                    return make(node, "subtract", plain[::-1])
                return make(node, "subtract" if second else "add", plain)
            case "where" if not signs[0] and all(
                sign or _zero(one) for sign, one in zip(signs[1:], inputs[1:], strict=True)
            ):
                return self.stand_in(make(node, "where", plain), make)
            case "power" if _is(inputs[1], 2.0):
                return make(node, "power", plain)
        return make(node, node.operation, inputs)

    def stand_in(self, node: Node, make: Callable[..., Node]) -> Node:
        found = make(node, "negative", (node,))
        self.opposite[id(found)] = node
        return found


class _Once:
    """Knows which new nodes only one other needs."""

    def __init__(self, graph: Graph) -> None:
        self.uses = Counter(id(child) for node in graph.live() for child in node.inputs)
        self.uses.update(id(node) for node in graph.results)
        self.once: set[int] = set()

    def __call__(self, node: Node, inputs: tuple[Node, ...], make: Callable[..., Node]) -> Node:
        found = self.rule(node, inputs, make)
        if self.uses[id(node)] == 1:
            self.once.add(id(found))
        return found

    def rule(self, node: Node, inputs: tuple[Node, ...], make: Callable[..., Node]) -> Node:
        raise NotImplementedError


class _Scales(_Once):
    """An array times or through one number after another."""

    def rule(self, node: Node, inputs: tuple[Node, ...], make: Callable[..., Node]) -> Node:
        outer = self.scaled(node.operation, inputs)
        inner = self.scaled(outer[0].operation, outer[0].inputs) if outer and id(outer[0]) in self.once else None
        if outer is None or inner is None:
            return make(node, node.operation, inputs)
        (_, first, up), (x, second, down) = outer, inner
        if up and down:
            return make(node, "multiply", (make(first, "multiply", (first, second), {}), x))
        if up or down:
            above, below = (first, second) if up else (second, first)
            return make(node, "multiply", (make(first, "divide", (above, below), {}), x))
        return make(node, "divide", (x, make(first, "multiply", (first, second), {})))

    def scaled(self, operation: str, inputs: Sequence[Node]) -> tuple[Node, Node, bool] | None:
        """(array, number, whether it is multiplied)"""
        if operation not in ("multiply", "divide") or len(inputs) != 2:
            return None
        x, y = inputs
        if operation == "multiply" and x.shape == () != y.shape:
            return y, x, True
        return (x, y, operation == "multiply") if y.shape == () != x.shape else None


def _reciprocal(node: Node, inputs: tuple[Node, ...], make: Callable[..., Node]) -> Node:
    """Dividing many elements takes longer than multiplying them."""
    if node.operation != "divide" or inputs[1].shape != () or prod(node.shape) < MANY or inputs[0].shape == ():
        return make(node, node.operation, inputs)
    number = inputs[1]
    return make(node, "multiply", (make(number, "divide", (constant(number.tape, 1.0, "1"), number)), inputs[0]))


class _Totals(_Once):
    """Numbers made from all elements."""

    def rule(self, node: Node, inputs: tuple[Node, ...], make: Callable[..., Node]) -> Node:
        if (
            node.operation not in ("sum", "mean")
            or node.shape != ()
            or inputs[0].shape == ()
            or node.options["keepdims"]
        ):
            return make(node, node.operation, inputs)
        (x,) = inputs
        count = prod(x.shape)
        negative = False
        while id(x) in self.once and x.operation in ("sum", "negative", "reshape") and prod(x.inputs[0].shape):
            negative ^= x.operation == "negative"
            (x,) = x.inputs
        if x is inputs[0] and not self.product(x):
            return make(node, node.operation, inputs)
        whole = (
            make(node, DOT, x.inputs, {})
            if self.product(x)
            else make(node, "sum", (x,), {"axis": None, "keepdims": False})
        )
        if negative:
            whole = make(whole, "negative", (whole,))
        if node.operation == "sum":
            return whole
        return make(node, "divide", (whole, constant(whole.tape, float(count), str(count))), {})

    def product(self, x: Node) -> bool:
        """Elementwise, of equally long arrays, and needed for nothing else."""
        same = x.operation == "multiply" and all(one.shape == x.shape for one in x.inputs)
        return same and id(x) in self.once and 0 < prod(x.shape) <= DOT_AT_MOST


def _rewritten(graph: Graph, rule: Callable[..., Node]) -> Graph:
    """The graph with `rule(node, its new inputs, make)` in the place of each node."""
    tape: list[Node] = []
    copied: dict[int, Node] = {}

    def make(node: Node, operation: str, inputs: Sequence[Node], options: object = None) -> Node:
        given = options if isinstance(options, dict) else node.options if operation == node.operation else {}
        return Node(
            tape, operation, tuple(inputs), given, node.shape, node.dtype, node.name if operation != "negative" else ""
        )

    for node in [*(one for one in graph.nodes if one.operation == "input"), *graph.live()]:
        if id(node) not in copied:
            copied[id(node)] = rule(node, tuple(copied[id(child)] for child in node.inputs), make)

    def place(node: Node) -> Node:
        return copied[id(node)]

    return Graph(map_tree(place, graph.arguments), map_tree(place, graph.result), tuple(tape))


def _negated(graph: Graph) -> int:
    """The elements that are negated."""
    return sum(prod(node.shape) for node in graph.live() if node.operation == "negative")


def _is(node: Node, value: float) -> bool:
    return node.operation == "constant" and node.options["value"] == value


def _zero(node: Node) -> bool:
    return node.operation == "constant" and is_zero(node.options["value"])
