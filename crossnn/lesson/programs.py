"""The programs of the lesson: the lecture's chain, the two-layer network, the sweep, and programs with bugs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Graph, record

LENGTH = 10
Primitives = Mapping[str, Callable[..., Any]]


def lecture(p: Primitives, a: Any, b: Any) -> Any:
    """d = b*a + 1."""
    return p["add"](p["multiply"](b, a), 1.0)


def chain(p: Primitives, a: Any, b: Any) -> Any:
    """The lecture's d with one operation that nobody uses and one that is computed twice."""
    c = p["multiply"](b, a)
    again = p["multiply"](b, a)
    d = p["add"](c, 1.0)
    e = p["add"](again, 1.0)
    p["exp"](a)
    return p["subtract"](p["add"](d, e), e)


CHAIN_TEXT = """\
c     = b*a
again = b*a          # {again}
d     = c + 1
e     = again + 1
dead  = exp(a)       # {dead}
return d + e - e"""
CHAIN_OPERATIONS = 7


def recorded(program: Callable[[Primitives, Any, Any], Any]) -> Graph:
    """A program of a and b as a graph of ours."""
    return Graph.trace(lambda a, b: program(GRAPH, a, b), {"a": (LENGTH,), "b": (LENGTH,)})


def chain_arguments() -> tuple[np.ndarray, np.ndarray]:
    """The lecture's own: a of ones, b of twos."""
    return np.ones(LENGTH), np.full(LENGTH, 2.0)


NETWORK = "sum((y - tanh(X @ W1) @ W2)**2)/2"
HAND = {
    "W1": "transpose(X) @ (((tanh(X @ W1) @ W2 - y) @ transpose(W2))*(1 - tanh(X @ W1)**2))",
    "W2": "transpose(tanh(X @ W1)) @ (tanh(X @ W1) @ W2 - y)",
}
"""The gradient, derived by hand."""

Arrays = dict[str, np.ndarray]


def network_arguments() -> tuple[Arrays, Arrays]:
    """(params, data) of the two-layer network."""
    draw = np.random.default_rng(3).normal
    return {"W1": draw(size=(3, 4)), "W2": draw(size=(4, 2))}, {"X": draw(size=(5, 3)), "y": draw(size=(5, 2))}


def network_graph(*texts: str) -> Graph:
    """Formulas of the network's variables as a function of (params, data); one alone gives a number, not a tuple."""
    params, data = network_arguments()
    shapes = {"params": {k: v.shape for k, v in params.items()}, "data": {k: v.shape for k, v in data.items()}}

    def function(params: Any, data: Any) -> Any:
        names = {**params, **data}
        tape = names["X"].tape
        found = tuple(record(parse(text), names, tape) for text in texts)
        return found if len(found) > 1 else found[0]

    return Graph.trace(function, shapes)


SIZES = (10, 1_000, 100_000, 1_000_000)
LENGTHS = (2, 20)


def long_chain(operations: int) -> Callable[[Any, Any], Any]:
    """The sweep: d <- d*a and d <- d + 1 in turn, so many operations in all."""

    def run(d: Any, a: Any) -> Any:
        for _ in range(operations // 2):
            d = d * a
            d = d + 1.0
        return d

    return run


@dataclass(frozen=True)
class Expression:
    formula: str
    x: tuple[float, ...]


EXPRESSIONS = (
    Expression("(x + 1e20) - 1e20", (1.0,)),
    Expression("x - ((x + 1e20) - 1e20)", (1.0,)),
    Expression("log(1 + exp(x))", (-40.0,)),
    Expression("log(1 + exp(x))", (1000.0,)),
    Expression("log(1 + x)", (1e-20,)),
    Expression("exp(x) - 1", (1e-20,)),
    Expression("sqrt(x*x)", (1e200,)),
    Expression("x*x/x", (1e200,)),
    Expression("x*x/x", (0.0,)),
    Expression("log(1/(1 + exp(-x)))", (-1000.0,)),
    Expression("log(exp(x)/sum(exp(x)))", (1000.0, 0.0)),
)


GRADIENTS = ("sum(x**2)", "sum(1/(1 + exp(-x)))", "sum(log(1 + exp(x)))", "sum(tanh(x))")
"""Functions of x whose gradient PyTensor derives, at POINTS."""
POINTS = (-40.0, -1.0, 0.5, 3.0, 40.0)


def expression_graph(one: Expression) -> Graph:
    def function(x: Any) -> Any:
        return record(parse(one.formula), {"x": x}, x.tape)

    return Graph.trace(function, {"x": (len(one.x),)})


@dataclass(frozen=True)
class Bug:
    """A program with `{...}` where frameworks are spelled differently; `line` is the guilty one, counted from 1."""

    code: str
    line: int
    arguments: tuple[np.ndarray, ...]


BUGS: Mapping[str, Bug] = {
    "shape": Bug(
        "def model(x, w):\n    h = x*2.0\n    h = h + 1.0\n    return h @ w\n",
        4,
        (np.ones((2, 3)), np.ones((2, 3))),
    ),
    "index": Bug("def model(x, i):\n    x = x*2.0\n    return {pick}\n", 3, (np.arange(5.0), np.array([7]))),
    "log": Bug("def model(x):\n    h = x - 3.0\n    return {log}\n", 3, (np.array([1.0, 5.0]),)),
    "branch": Bug(
        "def model(x):\n    h = x*2.0\n    if {total} > 0.0:\n        return h\n    return h - 1.0\n",
        3,
        (np.array([1.0, 5.0]),),
    ),
}
BRANCHES: Mapping[str, str] = {
    "if": "def program(x):\n    if {total} > 0.0:\n        return x*2.0\n    return x - 1.0\n",
    "while": "def program(x):\n    while {total} > 1.0:\n        x = x/2.0\n    return x\n",
}
"""Programs whose path the data decides; BRANCH_VALUES are their first results for BRANCH_POINTS."""
BRANCH_POINTS = (3.0, -3.0)
BRANCH_VALUES: Mapping[str, tuple[float, float]] = {"if": (6.0, -4.0), "while": (0.75, -3.0)}
