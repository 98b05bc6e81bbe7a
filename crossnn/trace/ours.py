"""Our own graphs run imperatively in NumPy: primitive after primitive, in the order of recording.

Everything that was recorded runs, needed or not, as it does in any imperative program. Gradients come from the rules by
which NumPy's tape differentiates (crossnn/formula/derive.py), and every value on the way gets its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from crossnn.errors import FormulaError
from crossnn.formula.derive import Rules, backpropagate, rules
from crossnn.formula.graph import Graph, Node, leaves, map_tree, topological
from crossnn.formula.numpy_meaning import numpy_meaning
from crossnn.trace.executed import Executed, Log

Tree = Any


def run(
    graph: Graph, arguments: Mapping[str, Tree], dtype: str = "float64", cotangent: np.ndarray | None = None
) -> tuple[Tree, list[Executed]]:
    """The result, and every primitive as it ran. With a cotangent of the first result, gradients with respect to every
    value on which it depends and that depends on a floating-point argument."""
    order = topological([*leaves(graph.arguments), *graph.nodes, *graph.results])
    given = {
        id(node): value
        for name, tree in graph.arguments.items()
        for node, value in zip(leaves(tree), leaves(arguments[name]), strict=True)
    }
    with np.errstate(all="ignore"):
        _compute(order, given, dtype, {}, None)  # the first time costs more
        values: dict[int, Any] = {}
        log = Log(lambda node: np.array(values[id(node)]))
        _compute(order, given, dtype, values, log)
        gradients = {} if cotangent is None else _gradients(graph, values, dtype, cotangent)
    by_number = {log.places[key]: np.asarray(value) for key, value in gradients.items() if key in log.places}
    return map_tree(lambda node: values[id(node)], graph.result), log.finish(graph.results, by_number)


def _compute(
    order: Sequence[Node], given: Mapping[int, Any], dtype: str, values: dict[int, Any], log: Log | None
) -> None:
    """Fill in the value of each node. The log knows values by their nodes, which stand for the tensors here."""
    meaning = numpy_meaning(dtype)
    for node in order:
        if node.operation == "constant":
            values[id(node)] = node.options["value"]
        elif node.operation == "input":
            values[id(node)] = given[id(node)]
            if log is not None:
                log.argument(node.name, node)
        else:
            inputs = [values[id(child)] for child in node.inputs]
            compute = meaning[node.operation]
            begin = time.perf_counter()
            values[id(node)] = compute(*inputs, **node.options)
            seconds = time.perf_counter() - begin
            if log is not None:
                shown = [_constant(one) if one.operation == "constant" else log.key(one) for one in node.inputs]
                log.add(node.operation, shown, [node], seconds, name=node.name)


def _constant(node: Node) -> str:
    """A number as it was written; a hyper-parameter by its name too."""
    number = node.options["text"] or f"{node.options['value']:.6g}"
    return f"{node.name}={number}" if node.name else str(number)


def _gradients(graph: Graph, values: Mapping[int, Any], dtype: str, cotangent: np.ndarray) -> dict[int, Any]:
    result = graph.results[0]
    targets = [node for node in leaves(graph.arguments) if node.dtype == "float"]
    found: dict[int, Any] = {}

    def visit(node: Node, gradient: Any) -> None:
        found[id(node)] = gradient

    seed = np.asarray(cotangent, np.asarray(values[id(result)]).dtype)[()]
    meaning = numpy_meaning(dtype)
    backpropagate(result, targets, seed, _rules(dtype), meaning, read=lambda node: values[id(node)], visit=visit)
    reached = {id(node) for node in targets}
    for node in topological([result]):
        if any(id(child) in reached for child in node.inputs):
            reached.add(id(node))
    return {key: gradient for key, gradient in found.items() if key in reached}


@cache
def _rules(dtype: str) -> Rules:
    return rules(numpy_meaning(dtype))


def recorded(f: Callable[..., Tree], arguments: Sequence[Tree], names: Sequence[Tree]) -> Graph:
    """The graph of a function of trees of arrays, recorded by calling it with symbols that have these names."""
    tape: list[Node] = []

    def symbol(name: str, value: Any) -> Node:
        kind = np.asarray(value).dtype.kind
        return Node(tape, "input", shape=np.shape(value), dtype="index" if kind in "iu" else "float", name=name)

    called = leaves(list(names))
    inputs = map_tree(lambda value: symbol(next(called), value), list(arguments))
    if not tape:
        raise FormulaError("a function without arguments has nothing to be recorded with")
    result, anchor = f(*inputs), tape[0]
    given = {str(place): tree for place, tree in enumerate(inputs)}
    return Graph(given, map_tree(anchor.lift, result), tuple(tape))
