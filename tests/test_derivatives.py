"""Every derivative rule against central differences in 60-digit arithmetic.

The rules are applied by the same code as for gradients (recorded, then evaluated by the oracle's meaning), with a
cotangent of random numbers: `sum()` as cotangent makes the gradient of softmax 1e-17, and a test that cannot fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import pytest

from crossnn.formula.derive import gradients
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Graph, Node, record
from crossnn.formula.oracle import oracle_meaning
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.simplify import simplify

DIGITS = 60
STEP = mpmath.mpf(10) ** -20
CLOSE = mpmath.mpf(10) ** -30  # the truncation error of the difference, step**2, times the third derivative


@dataclass(frozen=True)
class Row:
    """A formula, the shapes of its inputs, and where the inputs may lie."""

    formula: str
    shapes: Mapping[str, tuple[int, ...]]
    low: float = -2.0
    high: float = 2.0
    fixed: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        shapes = " ".join(f"{name}{list(shape)}" for name, shape in self.shapes.items()).replace(" ", "")
        return f"{self.formula} {shapes}"


Shapes = Mapping[str, tuple[int, ...]]
V: Shapes = {"x": (3,)}
M: Shapes = {"x": (2, 3)}
XY: Shapes = {"x": (2, 3), "y": (2, 3)}
STRETCH: list[Shapes] = [
    {"x": (2, 3), "y": (3,)},
    {"x": (2, 1), "y": (1, 3)},
    {"x": (), "y": (2, 2)},
    {"x": (2, 1, 3), "y": (2, 1)},
]
T3: Shapes = {"x": (2, 3, 2)}
TWICE = "where(iota(y, axis=0) > 1, 1, 2)"
"""Indices 2, 2, 1, 1: some rows are taken twice, some never."""
CONVOLUTIONS: list[tuple[Shapes, str]] = [
    ({"x": (2, 4, 2), "y": (2, 2, 3)}, ""),
    ({"x": (1, 5, 2), "y": (3, 2, 1)}, "strides=2, padding='same'"),
    ({"x": (1, 5, 4), "y": (2, 2, 2)}, "dilation=2, groups=2"),
    ({"x": (1, 3, 4, 2), "y": (2, 3, 2, 2)}, "strides=(1, 2), padding='same'"),
    ({"x": (1, 3, 3, 2), "y": (2, 2, 1, 2)}, "groups=2"),
    ({"x": (1, 2, 3, 2, 1), "y": (2, 2, 1, 1, 2)}, "strides=(1, 2, 1), padding='same'"),
]
AXES: list[tuple[Shapes, str]] = [
    (V, ""),
    (M, ""),
    (M, "keepdims=True"),
    (M, "axis=0"),
    (M, "axis=-1"),
    (M, "axis=-1, keepdims=True"),
    (T3, "axis=1"),
    (T3, "axis=(0, 2)"),
    (T3, "axis=(0, -1), keepdims=True"),
    ({"x": ()}, ""),
    ({"x": (1, 3)}, "axis=0"),
]

ROWS = [
    *(Row(f"x {sign} y", shapes) for sign in "+-*" for shapes in (XY, *STRETCH)),
    *(Row("x/y", shapes, 0.5, 2.0) for shapes in (XY, *STRETCH)),
    *(Row("x**y", shapes, 0.5, 2.0) for shapes in (XY, *STRETCH)),
    Row("x**2", V),
    Row("x**3", V),
    Row("x**-1.5", V, 0.5),
    Row("2**x", V),
    Row("-x", M),
    *(Row(f"{name}(x)", V) for name in "abs exp expm1 sin cos sinh cosh tanh arctan erf".split()),
    Row("tan(x)", V, -1.4, 1.4),
    Row("log(x)", V, 0.1),
    Row("log1p(x)", V, -0.9),
    Row("sqrt(x)", V, 0.1),
    *(Row(f"{name}(x, y)", shapes) for name in ("maximum", "minimum") for shapes in (XY, *STRETCH)),
    Row("where(x > 0, x**2, -3*x)", M),
    Row("where(x < y, x*y, x - y)", {"x": (2, 1), "y": (3,)}),
    Row("where(x > y, x, y)", {"x": (), "y": (3,)}),
    Row("x*ones_like(x)", V),
    *(
        Row(f"{name}(x, {options})" if options else f"{name}(x)", shapes)
        for name in ("sum", "mean", "max", "min")
        for shapes, options in AXES
    ),
    Row("x @ y", {"x": (2, 3), "y": (3, 4)}),
    Row("x @ y", {"x": (1, 1), "y": (1, 1)}),
    Row("x @ y", {"x": (2, 2, 3), "y": (2, 3, 2)}),
    Row("x @ y", {"x": (2, 2, 3), "y": (3, 2)}),
    Row("x @ y", {"x": (2, 3), "y": (2, 3, 2)}),
    Row("x @ y", {"x": (2, 1, 2, 3), "y": (3, 3, 2)}),
    Row("transpose(x)", M),
    Row("transpose(x)", T3),
    Row("transpose(x, axes=(2, 0, 1))", T3),
    Row("transpose(x, axes=(1, 2, 0))", T3),
    Row("reshape(x, shape=(3, 2))", M),
    Row("reshape(x, shape=(-1,))", T3),
    Row("flatten(x)", T3),
    Row("flatten(x)", V),
    Row("broadcast(x, shape=(2, 3))", V),
    Row("broadcast(x, shape=(4, 2, 3))", {"x": (2, 1)}),
    Row("broadcast(x, shape=(2, 2))", {"x": ()}),
    Row("erfc(x)", V),
    Row("sigmoid(x)", V),
    Row("slice(x, axis=1, start=1, stop=3)", M),
    Row("slice(x, axis=-1, start=0, stop=1)", T3),
    Row("pad(x, axis=0, before=1, after=2)", M),
    Row("pad(x, axis=-1, before=0, after=1)", M),
    Row("flip(x, axis=1)", T3),
    Row("concatenate(x, y, x, axis=1)", {"x": (2, 3), "y": (2, 1)}),
    Row("concatenate(x**2, axis=-1)", V),
    Row(f"take(x, {TWICE})", {"x": (3, 2), "y": (4,)}),
    Row(f"put(x, {TWICE}, shape=(3, 2))", {"x": (4, 2), "y": (4,)}),
    Row("iota(x, axis=1)*x", M),
    Row("one_hot(iota(y, axis=0), x)*x", {"x": (3, 3), "y": (3,)}),
    Row("windows(x, size=2)", {"x": (2, 4, 2)}),
    Row("windows(x, size=3, strides=2, padding='same')", {"x": (1, 5, 2)}),
    Row("windows(x, size=(2, 2), dilation=(1, 2))", {"x": (1, 3, 4, 1)}),
    Row(
        "max(windows(x, size=(2, 3), strides=(1, 2), padding='same', fill='lowest'), axis=(3, 4))", {"x": (1, 3, 4, 2)}
    ),
    Row("overlap_add(x, shape=(2, 4, 2), size=2)", {"x": (2, 3, 2, 2)}),
    Row("overlap_add(x, shape=(1, 5, 2), size=3, strides=2, padding='same')", {"x": (1, 3, 3, 2)}),
    *(Row(f"conv(x, y, {options})" if options else "conv(x, y)", shapes) for shapes, options in CONVOLUTIONS),
    Row("conv_transposed(x, y, shape=(2, 4, 2))", {"x": (2, 3, 3), "y": (2, 2, 3)}),
    Row("conv_transposed(x, y, shape=(1, 5, 2), strides=2, padding='same')", {"x": (1, 3, 1), "y": (3, 2, 1)}),
    Row("conv_kernel(x, y, shape=(2, 2, 3))", {"x": (2, 4, 2), "y": (2, 3, 3)}),
    Row("conv_kernel(x, y, shape=(2, 1, 2), dilation=2, groups=2)", {"x": (1, 5, 2), "y": (1, 3, 2)}),
    # the same input on several ways, and chains through several rules
    Row("x*x + x", V),
    Row("(x - mean(x, axis=-1, keepdims=True))**2/sum(exp(x), axis=-1, keepdims=True)", M),
    Row("exp(x - max(x, axis=-1, keepdims=True))/sum(exp(x), axis=-1, keepdims=True)", M),
    Row("sum(tanh(x @ y)**2, axis=0)", {"x": (2, 3), "y": (3, 2)}),
]

FLAT = {  # primitives through which no gradient flows, by definition
    *(row.name for row in PRIMITIVES.values() if row.dtype != "float"),
    "sign",
    "floor",
    "ones_like",
    "stop_gradient",
    "iota",
    "one_hot",
    "orthonormal",
}

TIES = [  # formula, x, gradient of the sum: equal shares, the convention of all three frameworks
    ("max(x)", [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
    ("min(x)", [1.0, 1.0, 1.0], [1 / 3, 1 / 3, 1 / 3]),
    ("max(x, axis=-1)", [[2.0, 2.0], [0.0, 1.0]], [[0.5, 0.5], [0.0, 1.0]]),
    ("maximum(x, 0)", [-1.0, 0.0, 1.0], [0.0, 0.5, 1.0]),
    ("minimum(0, x)", [-1.0, 0.0, 1.0], [1.0, 0.5, 0.0]),
    ("maximum(x, x)", [2.0], [1.0]),
    ("abs(x)", [-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]),
    ("where(x > 0, x, 0)", [-1.0, 0.0, 1.0], [0.0, 0.0, 1.0]),
    ("sign(x)*2 + x", [-1.0, 0.5], [1.0, 1.0]),
    ("stop_gradient(x)*x", [3.0], [3.0]),
    ("ones_like(x)*x", [3.0], [1.0]),
]


@pytest.fixture(scope="module")
def mp() -> Any:
    context = mpmath.MPContext()
    context.dps = DIGITS
    return context


def pullback(row: Row) -> tuple[Graph, Graph]:
    """The formula, and its derivative in the direction of a cotangent `g`."""
    formula = parse(row.formula)
    value = Graph.trace(lambda **names: record(formula, names, next(iter(names.values())).tape), row.shapes)
    node: Node = value.result
    g = Node(node.tape, "input", shape=node.shape, name="g")
    back = gradients(node, list(value.arguments.values()), g)
    return value, Graph({**value.arguments, "g": g}, tuple(back), tuple(node.tape))


def draw(shapes: Mapping[str, tuple[int, ...]], low: float, high: float, mp: Any, seed: int = 7) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    lift = np.frompyfunc(mp.mpf, 1, 1)
    return {
        name: np.asarray(lift(generator.uniform(low, high, shape).astype(object)), dtype=object)
        for name, shape in shapes.items()
    }


def run(graph: Graph, arguments: Mapping[str, Any], mp: Any) -> Any:
    def number(node: Node) -> Any:
        return mp.mpf(node.options["text"] or node.options["value"])

    return evaluate(graph, oracle_meaning(mp), arguments, number)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_rule_is_the_central_difference(row: Row, mp: Any) -> None:
    value, back = pullback(row)
    inputs = draw(row.shapes, row.low, row.high, mp)
    g = draw({"g": value.result.shape}, -1.0, 1.0, mp, seed=11)["g"]
    found = run(back, {**inputs, "g": g}, mp)
    for name, gradient in zip(row.shapes, found, strict=True):
        assert np.shape(gradient) == row.shapes[name]
        for index in np.ndindex(row.shapes[name]):
            ends = []
            for side in (1, -1):
                moved = inputs[name].copy()
                moved[index] = moved[index] + side * STEP
                ends.append(np.sum(g * run(value, {**inputs, name: moved}, mp)))
            expected = (ends[0] - ends[1]) / (2 * STEP)
            got = np.asarray(gradient, dtype=object)[index]
            assert abs(got - expected) <= CLOSE * max(1, abs(expected)), (
                f"d/d{name}{list(index)}: {got}, not {expected}"
            )


@pytest.mark.parametrize("row", ROWS[::7], ids=str)
def test_simplified_derivatives_have_the_same_value(row: Row, mp: Any) -> None:
    value, back = pullback(row)
    inputs = {**draw(row.shapes, row.low, row.high, mp), **draw({"g": value.result.shape}, -1.0, 1.0, mp, seed=11)}
    for plain, simple in zip(run(back, inputs, mp), run(simplify(back), inputs, mp), strict=True):
        difference = np.asarray(np.broadcast_to(plain, np.shape(plain)) - simple, dtype=object)
        assert all(abs(one) <= 1e-14 for one in difference.flat)  # folded numbers, log(2), are float64


@pytest.mark.parametrize(("formula", "x", "expected"), TIES, ids=[row[0] for row in TIES])
def test_slopes_at_ties_and_kinks_follow_the_convention(formula: str, x: Any, expected: Any, mp: Any) -> None:
    at = np.array(x)
    value, back = pullback(Row(formula, {"x": at.shape}))
    g = np.full(value.result.shape, mp.mpf(1), dtype=object)
    (found,) = run(back, {"x": np.frompyfunc(mp.mpf, 1, 1)(at.astype(object)), "g": g}, mp)
    np.testing.assert_allclose(np.asarray(found, dtype=float), expected, rtol=1e-15)


def test_every_primitive_has_a_rule_tested_here() -> None:
    differentiated = set()
    for row in ROWS:
        value, _ = pullback(row)
        differentiated |= {node.operation for node in value.live()}
    ruled = {primitive.name for primitive in PRIMITIVES.values() if primitive.derivative}
    assert ruled <= differentiated | FLAT, f"add a row for {sorted(ruled - differentiated - FLAT)}"
    assert set(PRIMITIVES) - ruled == FLAT, "a primitive without a rule passes no gradient: say so in FLAT"


def test_rules_name_arguments_of_their_primitive() -> None:
    for primitive in PRIMITIVES.values():
        assert set(primitive.derivative) <= set(primitive.arguments), primitive.name


def test_a_gradient_of_nothing_is_zero() -> None:
    def function(x: Node, y: Node) -> Node:
        return GRAPH["sum"](x)

    graph = Graph.trace(function, {"x": (2,), "y": (3,)})
    of_x, of_y = gradients(graph.result, [graph.arguments["x"], graph.arguments["y"]])
    assert (of_x.shape, of_y.shape) == ((2,), (3,))
    assert (of_y.operation, of_y.inputs[0].options["value"]) == ("broadcast", 0.0)
