"""Generated source: it computes what the graph says, bit for bit, and a specification cannot smuggle code into it."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Graph, Node, constant, record
from crossnn.formula.simplify import simplify
from crossnn.formula.source import OPERATORS, compile_graph, identifier, to_source

CALLS: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs,
    "exp": np.exp,
    "maximum": np.maximum,
    "where": lambda c, x, y: np.asarray(np.where(c, x, y), dtype=np.float64),  # of two plain numbers too
    "sum": lambda x, axis=None, keepdims=False: np.sum(x, axis=axis, keepdims=keepdims),
    "transpose": lambda x, axes=None: np.swapaxes(x, -1, -2) if axes is None else np.transpose(x, axes),
    "equal": np.equal,
    "tanh": np.tanh,
    "mean": lambda x, axis=None, keepdims=False: np.mean(x, axis=axis, keepdims=keepdims),
}
MEANING = {**OPERATORS, **CALLS}
SPELLING = {name: f"np.{name}" for name in CALLS}


def graph_of(text: str, shapes: Mapping[str, tuple[int, ...]] | None = None, **hyper: float) -> Graph:
    formula = parse(text)
    wanted = shapes or dict.fromkeys(sorted(formula.names - set(hyper)), ()) or {"x": ()}

    def function(**names: Node) -> Node:
        tape = next(iter(names.values())).tape
        constants = {name: constant(tape, value, name=name) for name, value in hyper.items()}
        return record(formula, {**constants, **names}, tape)

    return Graph.trace(function, wanted)


def interpret(graph: Graph, arguments: Mapping[str, Any]) -> Any:
    return evaluate(graph, MEANING, arguments, lambda node: node.options["value"])


def same(one: Any, other: Any) -> bool:
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    both_nan = np.isnan(a) & np.isnan(b)
    return a.shape == b.shape and bool(np.all(both_nan | (a.view(np.int64) == b.view(np.int64))))


X = np.array([-2.5, -0.0, 0.0, 0.3, 7.0])
M = np.arange(6.0).reshape(2, 3) - 2.5

TEXTS: list[tuple[str, dict[str, Any]]] = [
    ("x - (x - 1) - 2*(x + 3)", {"x": X}),
    ("-x**2 + (-x)**2 - (-(x + 1))*x", {"x": X}),
    ("2**-x/(3/(x + 10)/2)", {"x": X}),
    ("(x + 10)**2**0.5 + ((x + 10)**2)**0.5", {"x": X}),
    ("where(x > 0, x, -x*exp(x))", {"x": X}),
    ("where(x == 0, 1, 2) + (x + 1)/2 + (x + 1)/2", {"x": X}),
    ("x - -x", {"x": X}),
    ("-3 - -2*x", {"x": X}),
    ("(x @ y) * 2 @ transpose(y) + x", {"x": M, "y": M.T @ M}),
    ("sum(x, axis=-1, keepdims=True)*maximum(x, 0)", {"x": M}),
    ("transpose(x, axes=(1, 0)) @ x", {"x": M}),
]


@pytest.mark.parametrize(("text", "arguments"), TEXTS, ids=[row[0] for row in TEXTS])
@pytest.mark.parametrize("spelled", [False, True], ids=["plain", "spelled"])
def test_source_computes_what_the_graph_says(text: str, arguments: dict[str, Any], spelled: bool) -> None:
    graph = graph_of(text, {name: value.shape for name, value in arguments.items()})
    more = {"spelling": SPELLING, "namespace": {"np": np}} if spelled else {}
    function = compile_graph(graph, "f", MEANING, **more)  # type: ignore[arg-type]
    assert same(function(**arguments), interpret(graph, arguments))
    assert ("np." in str(function.__doc__)) == (spelled and any(name in text for name in CALLS))


READABLE = [
    ("x - (x - 1)", "x - (x - 1)"),
    ("(x*y)*2/(x*y*2)", "x*y*2/(x*y*2)"),
    ("x/(y*2)", "x/(y*2)"),
    ("(-x)**2", "(-x)**2"),
    ("-(x**2)", "-x**2"),
    ("(x**y)**2", "(x**y)**2"),
    ("x**(y**2)", "x**y**2"),
    ("2**-x", "2**(-x)"),
    ("(x > y)*2", "(x > y)*2"),
    ("exp(-(x + y))", "exp(-(x + y))"),
    ("sum(x, axis=0, keepdims=False)", "sum(x, axis=0)"),
    ("1.0*x + 10.0", "1*x + 10"),
]


@pytest.mark.parametrize(("text", "line"), READABLE, ids=[row[0] for row in READABLE])
def test_parentheses_stand_only_where_they_are_needed(text: str, line: str) -> None:
    shapes = {"x": (3,), "y": (3,)} if "y" in text else {"x": (3,)}
    assert to_source(graph_of(text, shapes), "f", MEANING).splitlines()[-1] == f"    return {line}"


def test_a_value_used_twice_gets_a_name_of_its_own() -> None:
    def function(x: Node) -> Node:
        e = GRAPH["exp"](x)
        return e / (1 + e)

    text = to_source(Graph.trace(function, {"x": ()}), "sigmoid", MEANING)
    assert text == "def sigmoid(x):\n    e = exp(x)\n    return e/(1 + e)\n"


def test_hyper_parameters_stand_at_the_top_by_name() -> None:
    text = to_source(graph_of("alpha*x + alpha", alpha=0.01), "f", MEANING)
    assert text == "alpha = 0.01\n\ndef f(x):\n    return alpha*x + alpha\n"


@pytest.mark.parametrize("value", [-0.5, -2.0, 0.0, -0.0, 1e300, 5e-324, math.inf, -math.inf, math.nan, 0.1])
@pytest.mark.parametrize("name", ["alpha", "mean", "f", "x y", "lambda", ""])
def test_any_constant_under_any_name_is_itself(value: float, name: str) -> None:
    def function(x: Node) -> Node:
        return GRAPH["mean"](x) + constant(x.tape, value, name=name) * 1.0 + constant(x.tape, value, name=name) ** 1.0

    graph = Graph.trace(function, {"x": (2,)})
    expected = 1.5 + value * 1.0 + value**1.0
    assert same(compile_graph(graph, "f", MEANING)(np.array([1.0, 2.0])), expected)


def test_two_constants_of_one_name_stay_apart() -> None:
    def function(x: Node) -> Node:
        return x * constant(x.tape, 2.0, name="rate") + constant(x.tape, -3.0, name="rate") ** 2.0

    assert compile_graph(Graph.trace(function, {"x": ()}), "f", MEANING)(10.0) == 29.0


EVIL = [
    'a"]',
    "a'] + evil['",
    'x"] or evil("',
    "a\\",
    "a\nevil()",
    "é",
    "{evil()}",
    "a b",
    "",
    "lambda",
    "exp",
    "params",
]


@pytest.mark.parametrize("name", EVIL, ids=ascii)
def test_names_from_a_file_stay_names(name: str) -> None:
    def function(params: dict[str, Node], x: Node) -> dict[str, Node]:
        params[name].name = name
        value = GRAPH["exp"](params[name] * x)
        value.name = name
        return {name: value + value, "y": params["y"]}

    graph = Graph.trace(function, {"params": {name: (), "y": ()}, "x": ()})
    text = to_source(graph, name, MEANING)
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)}
    assert calls == {"exp"}
    assert "evil" not in {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    result = compile_graph(graph, name, MEANING)({name: 2.0, "y": 5.0}, 0.5)
    assert result == {name: 2 * np.exp(1.0), "y": 5.0}


@pytest.mark.parametrize("name", [*EVIL, "1x", "__class__", "\uff58"], ids=ascii)
def test_identifiers_are_plain_names(name: str) -> None:
    assert identifier(name).isidentifier()
    assert identifier(name).isascii()
    assert not identifier(name).startswith("_")


def test_a_function_named_like_a_primitive_does_not_call_itself() -> None:
    assert compile_graph(graph_of("tanh(x)"), "tanh", MEANING)(0.5) == np.tanh(0.5)


@pytest.mark.parametrize("text", ["exp(x)", "sum(where(x > 0, abs(x), 2**x))", "abs(x) - sum(x)"])
def test_generated_code_names_nothing_but_its_meaning(text: str) -> None:
    """The builtins are there for the frameworks below; the text itself never reaches one."""
    code = compile_graph(graph_of(text), "f", MEANING).__code__
    assert set(code.co_names) <= set(MEANING)
    assert set(code.co_freevars) == set()


def test_trees_of_arguments_and_results_are_kept() -> None:
    def function(params: dict[str, Node], data: Node) -> Any:
        return {"loss": params["w"] * data}, (params["b"], -params["w"])

    graph = Graph.trace(function, {"params": {"w": (), "b": ()}, "data": ()})
    assert compile_graph(graph, "f", MEANING)({"w": 2.0, "b": 3.0}, 5.0) == ({"loss": 10.0}, (3.0, -2.0))


GATES = "slice({z}, axis=1, start=0, stop=1)*slice({z}, axis={axis}, start=1, stop={stop})"


@pytest.mark.parametrize(
    ("axis", "stop", "lines"), [(1, 3, ["z = x + x", "z_parts = np.split(z, (1, 2), 1)"]), (1, 2, [])]
)
def test_slices_that_are_all_of_an_axis_are_cut_at_once(axis: int, stop: int, lines: list[str]) -> None:
    meaning: Mapping[str, Callable[..., Any]] = {
        **MEANING,
        "slice": lambda x, axis, start, stop: np.take(x, range(start, stop), axis),
        "split": lambda x, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], axis),
    }
    graph = graph_of(GATES.format(z="(x + x)", axis=axis, stop=stop), {"x": (2, 3)})
    graph = simplify(graph)
    next(node for node in graph.nodes if node.operation == "add").name = "z"
    text = to_source(graph, "f", meaning, {"split": "np.split"})
    assert all(f"    {line}\n" in text for line in lines)
    assert ("split" in text) == bool(lines)
    assert same(compile_graph(graph, "f", meaning)(x=M), 2 * M[:, :1] * 2 * M[:, 1:stop])
    assert "split" not in to_source(graph, "f", MEANING)


_NUMBERS = st.floats(min_value=0.125, max_value=8.0, width=16).map(lambda value: repr(float(value)))
_LEAVES = st.one_of(st.sampled_from(["x", "y", "lr"]), _NUMBERS)


def _grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(st.sampled_from("+-*/"), pair).map(lambda one: f"({one[1][0]}) {one[0]} ({one[1][1]})"),
        pair.map(lambda one: f"abs({one[0]})**({one[1]})"),
        inner.map(lambda one: f"-({one})"),
        inner.map(lambda one: f"(-({one}))**2"),
        inner.map(lambda one: f"2**-({one})"),
        pair.map(lambda one: f"where({one[0]} > 0, {one[0]}, {one[1]})"),
        pair.map(lambda one: f"maximum({one[0]}, {one[1]})*2"),
    )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.recursive(_LEAVES, _grow, max_leaves=12))
def test_any_expression_survives_the_way_to_source_and_back(text: str) -> None:
    values = {"x": np.float64(0.75), "y": np.float64(-1.5)}
    graph = graph_of(text, {"x": (), "y": ()}, lr=-0.25)
    with np.errstate(all="ignore"):
        try:
            expected = eval(text, {"__builtins__": {}}, {**MEANING, **values, "lr": -0.25})
        except (OverflowError, ZeroDivisionError):  # Python's own numbers raise where NumPy's give inf
            return
        if not isinstance(expected, complex):
            assert same(compile_graph(graph, "f", MEANING)(**values), expected)
