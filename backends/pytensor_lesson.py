"""PyTensor, the heir of Theano, in the lesson: graphs before and after rewriting, gradients as formulas, safe numbers.

It is no backend of the catalogue: it has no imperative mode to compare with, and only the symbolic step of the lesson
asks for it. Functions run by PyTensor's Python linker: all rewrites, and no compiler that takes minutes.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from crossnn.drawing.view import Vertex, View
from crossnn.formula.grammar import parse
from crossnn.formula.graph import Graph, record
from crossnn.formula.source import OPERATORS, compile_graph
from crossnn.lesson.programs import EXPRESSIONS, GRADIENTS, POINTS, chain, chain_arguments, expression_graph

pytensor: Any = importlib.import_module("pytensor")
pt: Any = importlib.import_module("pytensor.tensor")
MODE: Any = importlib.import_module("pytensor.compile.mode").Mode(linker="py", optimizer="fast_run")

PRIMITIVES: Mapping[str, Any] = {
    **OPERATORS,
    "exp": pt.exp,
    "log": pt.log,
    "sqrt": pt.sqrt,
    "tanh": pt.tanh,
    "sum": lambda x, axis=None, keepdims=False: pt.sum(x, axis=axis, keepdims=keepdims),
}


def report() -> dict[str, Any]:
    """Everything that the step shows."""
    with np.errstate(all="ignore"):
        return {
            "versions": {"pytensor": str(pytensor.__version__)},
            "views": [asdict(one) for one in chain_views()],
            "gradients": [_gradient(text) for text in GRADIENTS],
            "expressions": [_expression(number) for number in range(len(EXPRESSIONS))],
        }


def chain_views() -> list[View]:
    a, b = pt.vector("a", dtype="float64"), pt.vector("b", dtype="float64")
    result = chain(PRIMITIVES, a, b)
    function = pytensor.function([a, b], result, mode=MODE)
    function(*chain_arguments())
    dead = "what no result needs is not in its graphs at all"
    return [
        _view("as written", [a, b], [result], dead),
        _view("rewritten", function.maker.fgraph.inputs, function.maker.fgraph.outputs, ""),
    ]


def _view(stage: str, inputs: Sequence[Any], outputs: Sequence[Any], note: str) -> View:
    reader = _Reader()
    for one in inputs:
        reader.keys[one] = reader.put("input", (), "input", one.name or "")
    results = tuple(reader.read(one) for one in outputs)
    text = str(pytensor.dprint(list(outputs), file="str"))
    return View("pytensor", stage, tuple(reader.vertices), tuple(dict.fromkeys(results)), text, True, note)


class _Reader:
    """Walks from the results to the inputs; a Composite becomes a fused vertex that holds what it is made of."""

    def __init__(self) -> None:
        self.vertices: list[Vertex] = []
        self.keys: dict[Any, str] = {}

    def put(self, operation: str, inputs: tuple[str, ...], kind: Any, name: str = "", within: str = "") -> str:
        key = f"%{len(self.vertices)}"
        self.vertices.append(Vertex(key, operation, inputs, kind, name, "", within))
        return key

    def read(self, variable: Any, within: str = "") -> str:
        if variable in self.keys:
            return self.keys[variable]
        apply = variable.owner
        if apply is None:
            data = getattr(variable, "data", None)
            name = f"{float(data):g}" if data is not None and np.size(data) == 1 else variable.name or ""
            found = self.put("constant", (), "constant", name, within)
        elif type(apply.op).__name__ == "DimShuffle":  # how a number meets a vector: nothing is computed
            found = self.read(apply.inputs[0], within)
        else:
            found = self._apply(apply, within)
        self.keys[variable] = found
        return found

    def _apply(self, apply: Any, within: str) -> str:
        inputs = tuple(self.read(one, within) for one in apply.inputs)
        scalar: Any = getattr(apply.op, "scalar_op", None)
        if type(scalar).__name__ != "Composite":
            return self.put(str(scalar or apply.op).lower(), inputs, "operation", within=within)
        key = self.put(str(scalar), (), "fused")
        self.keys.update(zip(scalar.fgraph.inputs, inputs, strict=True))
        return self.read(scalar.fgraph.outputs[0], key)


def _gradient(text: str) -> dict[str, Any]:
    """The gradient of a formula of x: the graph that comes out as text, and its numbers."""
    x = pt.vector("x", dtype="float64")
    graph = Graph.trace(lambda x: record(parse(text), {"x": x}, x.tape), {"x": (len(POINTS),)})
    value = compile_graph(graph, "formula", PRIMITIVES)(x)
    function = pytensor.function([x], pytensor.grad(value, x), mode=MODE)
    return {
        "formula": text,
        "printed": _printed(function),
        "values": [float(one) for one in function(np.array(POINTS))],
    }


def _expression(number: int) -> dict[str, Any]:
    one = EXPRESSIONS[number]
    x = pt.vector("x", dtype="float64")
    value = compile_graph(expression_graph(one), "expression", PRIMITIVES)(x)
    function = pytensor.function([x], value, mode=MODE)
    numbers = [repr(float(found)) for found in np.ravel(function(np.array(one.x)))]
    return {"value": numbers, "printed": _printed(function)}


def _printed(function: Any) -> str:
    """A small compiled graph on one line: Mul([2.], x)."""
    tree = str(pytensor.dprint(function, file="str", id_type="")).split("Inner graphs:")[0].strip()
    lines = [re.sub(r" \d+$", "", line) for line in tree.splitlines()]
    names = [line.lstrip(" │├└─") for line in lines]
    levels = [max(0, len(line) - len(name) - 1) // 3 for line, name in zip(lines, names, strict=True)]
    found = ""
    for name, level, following in zip(names, levels, [*levels[1:], 0], strict=True):
        deeper = following - level
        found += name + ("(" if deeper > 0 else ")" * -deeper + (", " if following else ""))
    return found
