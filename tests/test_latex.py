"""LaTeX as a lecture prints it: parentheses exactly where leaving them out would change the meaning."""

from __future__ import annotations

import re

import pytest

from crossnn.formula.grammar import parse, parse_assignment
from crossnn.formula.graph import Graph, Node, constant, record
from crossnn.formula.latex import graph_latex, latex, name_latex
from crossnn.formula.primitives import PRIMITIVES

TABLE = [
    ("x + y - 1", r"x + y - 1"),
    ("x - (y - 1)", r"x - \left(y - 1\right)"),
    ("x - (y + 1)", r"x - \left(y + 1\right)"),
    ("x + -y", r"x + \left(-y\right)"),
    ("x - -y", r"x - \left(-y\right)"),
    ("-(x + y)", r"-\left(x + y\right)"),
    ("-x*y", r"\left(-x\right) \, y"),
    ("x*-y", r"x \, \left(-y\right)"),
    ("2*x", r"2 \, x"),
    ("x*2", r"x \cdot 2"),
    ("(x + 1)*(y - 1)", r"\left(x + 1\right) \, \left(y - 1\right)"),
    ("x/y", r"\frac{x}{y}"),
    ("(x + abs(x))/2", r"\frac{x + \left|x\right|}{2}"),
    ("x/y*2", r"\frac{x}{y} \cdot 2"),
    ("(x/y)**2", r"\left(\frac{x}{y}\right)^{2}"),
    ("x**2", r"x^{2}"),
    ("-x**2", r"-x^{2}"),
    ("(-x)**2", r"\left(-x\right)^{2}"),
    ("x**-2", r"x^{-2}"),
    ("x**y**2", r"x^{y^{2}}"),
    ("(x**y)**2", r"\left(x^{y}\right)^{2}"),
    ("(x*y)**2", r"\left(x \, y\right)^{2}"),
    ("2**(x + 1)", r"2^{x + 1}"),
    ("exp(-x)", r"e^{-x}"),
    ("exp(x)**2", r"\left(e^{x}\right)^{2}"),
    ("expm1(x)*alpha", r"\left(e^{x} - 1\right) \, \alpha"),
    ("log1p(exp(x))", r"\ln\left(1 + e^{x}\right)"),
    ("log1p(-x)", r"\ln\left(1 - x\right)"),
    ("sqrt(v + eps)", r"\sqrt{v + \varepsilon}"),
    ("tanh(x)**2", r"\tanh\left(x\right)^{2}"),
    ("maximum(x, 0)", r"\max\left(x, 0\right)"),
    ("sum(x)", r"\sum x"),
    ("sum((y - t)**2)", r"\sum \left(y - t\right)^{2}"),
    ("sum(y - t)", r"\sum \left(y - t\right)"),
    ("2*sum(x)", r"2 \, \sum x"),
    ("sum(x)*2", r"\left(\sum x\right) \cdot 2"),
    ("2*sum(x)*y", r"\left(2 \, \sum x\right) \, y"),
    ("sum(x, axis=0)", r"\sum_{\text{axis } 0} x"),
    ("sum(x, axis=-1, keepdims=True)", r"\sum x"),
    ("mean(x)", r"\operatorname{mean}\left(x\right)"),
    ("x @ W1 + b", r"x \, W_{1} + b"),
    ("transpose(x) @ g", r"x^\top \, g"),
    ("transpose(x + y)", r"\left(x + y\right)^\top"),
    ("flatten(x)", r"\operatorname{flatten}\left(x\right)"),
    ("reshape(x + y, shape=(2, 3))*2", r"\left(x + y\right) \cdot 2"),
    ("x > 0", r"x > 0"),
    ("where(x > 0, x, alpha*x)", r"\begin{cases} x & \text{if } x > 0 \\ \alpha \, x & \text{otherwise} \end{cases}"),
    (
        "where(x > 0, x, where(x < -1, y, 0))",
        r"\begin{cases} x & \text{if } x > 0 \\ y & \text{if } x < -1 \\ 0 & \text{otherwise} \end{cases}",
    ),
    (
        "where(x > 0, where(y > 0, 1, 2), 3)",
        r"\begin{cases} \begin{cases} 1 & \text{if } y > 0 \\ 2 & \text{otherwise} \end{cases} & \text{if } x > 0 "
        r"\\ 3 & \text{otherwise} \end{cases}",
    ),
    (
        "where(x > 0, 1, where(y > 0, 1, 2) + where(y > 1, 3, 4))",
        r"\begin{cases} 1 & \text{if } x > 0 \\ \left(\begin{cases} 1 & \text{if } y > 0 \\ 2 & \text{otherwise} "
        r"\end{cases}\right) + \left(\begin{cases} 3 & \text{if } y > 1 \\ 4 & \text{otherwise} \end{cases}\right) & "
        r"\text{otherwise} \end{cases}",
    ),
    (
        "2*where(x > 0, x, 0)",
        r"2 \, \left(\begin{cases} x & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}\right)",
    ),
    ("lr*beta1**t", r"\eta \, \beta_{1}^{t}"),
    ("1e-3*x", r"10^{-3} \, x"),
    ("1.5e-7", r"1.5 \cdot 10^{-7}"),
    ("2.50*x", r"2.50 \, x"),
    ("2*pi", r"2 \, \pi"),
    ("x if fast else y", r"\begin{cases} x & \text{if } \text{fast} \\ y & \text{otherwise} \end{cases}"),
    (
        'x if place == "inside" else y',
        r"\begin{cases} x & \text{if } \text{place} = \text{inside} \\ y & \text{otherwise} \end{cases}",
    ),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[row[0] for row in TABLE])
def test_a_formula_prints_as_in_a_lecture(text: str, expected: str) -> None:
    assert latex(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x", "x"),
        ("alpha", r"\alpha"),
        ("lam", r"\lambda"),
        ("eps", r"\varepsilon"),
        ("lr", r"\eta"),
        ("beta1", r"\beta_{1}"),
        ("w12", "w_{12}"),
        ("W_h", "W_{h}"),
        ("W1_h", "W_{1, h}"),
        ("y_hat", r"\hat{y}"),
        ("fan_in", r"n_{\mathrm{in}}"),
        ("delta", r"\delta"),
        ("mean", r"\mathrm{mean}"),
        ("initial_accumulator", r"\mathrm{initial}_{\mathrm{accumulator}}"),
        ("hidden.kernel", r"\mathrm{hidden.kernel}"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert name_latex(name) == expected


def test_an_update_line_has_an_arrow_and_knobs_choose() -> None:
    line = parse_assignment("w = w - lr*g/(sqrt(v + eps) if inside else sqrt(v) + eps)")
    assert latex(line, {"inside": True}) == r"w \leftarrow w - \frac{\eta \, g}{\sqrt{v + \varepsilon}}"
    assert latex(line, {"inside": False}) == r"w \leftarrow w - \frac{\eta \, g}{\sqrt{v} + \varepsilon}"


@pytest.mark.parametrize(
    "text", [text for text, _ in TABLE if not re.search(" if |pi|reshape|^[^a-z]*e?[^a-z]*$", text)]
)
def test_the_graph_of_a_formula_prints_like_its_text(text: str) -> None:
    formula = parse(text)
    names = sorted(formula.names)
    shape = (2, 2) if re.search("flatten|transpose|@|axis=0", text) else (2,)

    def function(**scope: Node) -> Node:
        return record(formula, scope, next(iter(scope.values())).tape)

    (line,) = graph_latex(Graph.trace(function, dict.fromkeys(names, shape)))
    assert line == latex(text)


def test_a_graph_names_what_the_author_named_and_what_is_used_twice() -> None:
    def function(x: Node) -> Node:
        alpha = constant(x.tape, 0.01, name="alpha")
        e = record(parse("tanh(x) + tanh(2*x)/(1 + x**2)"), {"x": x}, x.tape)
        named = x * alpha
        named.name = "z"
        return e * e + named

    lines = graph_latex(Graph.trace(function, {"x": ()}), ["f"])
    assert lines == [
        r"u_{1} = \tanh\left(x\right) + \frac{\tanh\left(2 \, x\right)}{1 + x^{2}}",
        r"z = x \, \alpha",
        r"f = u_{1} \, u_{1} + z",
    ]


def test_a_long_chain_of_shared_values_stays_short() -> None:
    def function(x: Node) -> Node:
        for _ in range(200):
            x = x * x + 1.0
        return x

    assert sum(map(len, graph_latex(Graph.trace(function, {"x": ()})))) < 50_000


@pytest.mark.parametrize("name", PRIMITIVES)
def test_every_primitive_prints_with_balanced_braces(name: str) -> None:
    arguments = ", ".join(f"{argument.lstrip('*')}1 + 1" for argument in PRIMITIVES[name].arguments)
    options = {"transpose": ", axes=(1, 0)", "slice": ", start=0, stop=2"}.get(name, "")
    text = latex(f"{name}({arguments}{options})")
    assert text.count("{") == text.count("}")
    assert text.count("\\left") == text.count("\\right")
    assert text.count("\\begin{cases}") == text.count("\\end{cases}")
    if name not in ("ones_like", "iota"):  # which print their value
        assert "_{1}" in text
