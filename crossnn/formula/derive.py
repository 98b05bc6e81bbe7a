"""Reverse-mode differentiation: one algorithm for recorded graphs and for tapes of computed values.

Walk the nodes from the result back to the inputs, and at each primitive apply its derivative rule to the cotangent.
With symbolic nodes the rules record more graph: symbolic differentiation. With computed values (the NumPy tape) the
same rules compute numbers: imperative differentiation. `read` is the only difference: it says what a rule is given.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from crossnn.formula.graph import GRAPH, Graph, Node, constant, leaves, map_tree, topological
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.shapes import Shape, reduced_axes

Meaning = Mapping[str, Callable[..., Any]]
Rule = Callable[..., Any]
Rules = Mapping[tuple[str, int], Rule]


class _Operators(ast.NodeTransformer):
    """`==` and `!=` become calls: identity must keep its meaning on nodes. So do numbers with a point: the oracle
    reads their text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        written = ast.get_source_segment(self.text, node)
        if not isinstance(node.value, float) or written is None:
            return node
        return ast.Call(ast.Name("written", ast.Load()), [ast.Constant(written), ast.Name("g", ast.Load())], [])

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ops[0], ast.Eq | ast.NotEq):
            name = "equal" if isinstance(node.ops[0], ast.Eq) else "not_equal"
            return ast.Call(ast.Name(name, ast.Load()), [node.left, *node.comparators], [])
        return node


def rules(meaning: Meaning) -> Rules:
    """The derivative rules compiled for a meaning: (primitive, argument number) -> rule(g, out, *inputs, **options).
    Where arguments are any number, (primitive, -1) -> rule(g, out, position, *inputs, **options)."""
    table = {}
    for primitive in PRIMITIVES.values():
        if primitive.variadic:
            table[primitive.name, -1] = _rule(primitive.name, primitive.derivative["*inputs"], meaning)
            continue
        for position, argument in enumerate(primitive.arguments):
            if argument in primitive.derivative:
                table[primitive.name, position] = _rule(primitive.name, primitive.derivative[argument], meaning)
    return table


def _rule(name: str, text: str, meaning: Meaning) -> Rule:
    primitive = PRIMITIVES[name]
    body = ast.unparse(ast.fix_missing_locations(_Operators(text).visit(ast.parse(text, mode="eval"))))
    position = ["position"] if primitive.variadic else []
    head = ", ".join(["g", "out", *position, *primitive.arguments, *primitive.options])
    helpers = {
        **meaning,
        "shape_of": lambda tensor: tuple(tensor.shape),
        "count": lambda tensor, axis: max(  # of no elements each gets nothing, and 1/0 is an error to Python
            math.prod(tensor.shape[i] for i in reduced_axes(name, tuple(tensor.shape), axis)), 1
        ),
        "inverse": lambda axes: None if axes is None else tuple(sorted(range(len(axes)), key=axes.__getitem__)),
        "begin": lambda tensors, axis, position: sum(one.shape[axis] for one in tensors[:position]),
        "written": lambda text, g: constant(g.tape, float(text), text) if isinstance(g, Node) else float(text),
        "spread": lambda value, x, axis, keepdims: _spread(meaning, value, tuple(x.shape), axis, keepdims),
    }
    # The text comes from our own table, never from a specification.
    return eval(compile(f"lambda {head}: {body}", f"<derivative of {name}>", "eval"), helpers)  # type: ignore[no-any-return]


def _spread(meaning: Meaning, value: Any, shape: Shape, axis: int | tuple[int, ...] | None, keepdims: bool) -> Any:
    """Undo a reduction's loss of shape: put the reduced axes back and repeat along them."""
    if not keepdims and value.shape:
        axes = reduced_axes("spread", shape, axis)
        kept = tuple(1 if i in axes else length for i, length in enumerate(shape))
        value = meaning["reshape"](value, shape=kept)
    return meaning["broadcast"](value, shape=shape)


def unbroadcast(meaning: Meaning, cotangent: Any, shape: Shape) -> Any:
    """The adjoint of broadcasting: sum over every axis along which a value was repeated."""
    current = tuple(cotangent.shape)
    if current == shape:
        return cotangent
    extra = len(current) - len(shape)
    axes = tuple(i for i, length in enumerate(current) if i < extra or (shape[i - extra] == 1 and length != 1))
    summed = meaning["sum"](cotangent, axis=axes, keepdims=False) if axes else cotangent
    return summed if tuple(summed.shape) == shape else meaning["reshape"](summed, shape=shape)


def backpropagate(
    result: Node,
    wrt: Sequence[Node],
    seed: Any,
    table: Rules,
    meaning: Meaning,
    read: Callable[[Any], Any] = lambda node: node,
    visit: Callable[[Node, Any], None] | None = None,
) -> list[Any]:
    """Cotangents of `wrt`, given `seed` for `result`; None where no gradient flows. `visit` sees each as it is met."""
    order = topological([result])
    needed = {id(node) for node in wrt}
    for node in order:
        if any(id(child) in needed for child in node.inputs):
            needed.add(id(node))
    cotangents: dict[int, Any] = {id(result): seed}
    wanted = {id(node) for node in wrt}
    for node in reversed(order):
        key = id(node)
        if key not in cotangents:
            continue
        g = cotangents[key] if key in wanted else cotangents.pop(key)
        if visit is not None:
            visit(node, g)
        if key not in needed:
            continue
        values = None
        for position, child in enumerate(node.inputs):
            rule = _rule_of(table, node, position) if id(child) in needed else None
            if rule is None:
                continue
            if values is None:
                values = [read(one) for one in node.inputs]
            share = rule(g, read(node), *values, **node.options)
            share = unbroadcast(meaning, share, child.shape)
            known = cotangents.get(id(child))
            cotangents[id(child)] = share if known is None else known + share
    return [cotangents.get(id(node)) for node in wrt]


def _rule_of(table: Rules, node: Node, position: int) -> Rule | None:
    if PRIMITIVES.get(node.operation) is not None and PRIMITIVES[node.operation].variadic:
        rule = table[node.operation, -1]
        return lambda g, out, *inputs, **options: rule(g, out, position, *inputs, **options)
    return table.get((node.operation, position))


@cache
def _graph_rules() -> Rules:
    return rules(GRAPH)


def gradients(result: Node, wrt: Sequence[Node], seed: Node | None = None) -> list[Node]:
    """Symbolic gradients: new nodes on the same tape. Without a seed the result must be a single number."""
    start = constant(result.tape, 1.0, "1") if seed is None else seed
    found = backpropagate(result, wrt, start, _graph_rules(), GRAPH)
    return [_zeros(result.tape, node) if g is None else g for g, node in zip(found, wrt, strict=True)]


def _zeros(tape: list[Node], like: Node) -> Node:
    return GRAPH["broadcast"](constant(tape, 0.0, "0"), shape=like.shape)


def gradient_graph(graph: Graph, wrt: str) -> Graph:
    """The graph that returns (value, gradient tree with the structure of argument `wrt`)."""
    (value,) = graph.results
    targets = list(leaves(graph.arguments[wrt]))
    found = iter(gradients(value, targets))
    return Graph(graph.arguments, (value, map_tree(lambda _: next(found), graph.arguments[wrt])), tuple(value.tape))
