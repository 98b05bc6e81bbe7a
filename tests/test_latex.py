"""LaTeX as a lecture prints it: parentheses exactly where leaving them out would change the meaning."""

from __future__ import annotations

import re
from typing import Any

import pytest

from crossnn.catalogue.build import default_knobs
from crossnn.catalogue.example import SHOWABLE
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Activation, Layer, Loss, Row
from crossnn.cli.printed import latex_lines, row_symbols
from crossnn.formula.grammar import parse, parse_assignment
from crossnn.formula.graph import Graph, Node, constant, record
from crossnn.formula.latex import distinct_symbols, graph_latex, latex, name_latex
from crossnn.formula.primitives import PRIMITIVES

TABLE = [
    ("x + y - 1", r"x + y - 1"),
    ("x - (y - 1)", r"x - \left(y - 1\right)"),
    ("x - (y + 1)", r"x - \left(y + 1\right)"),
    ("x + -y", r"x + \left(-y\right)"),
    ("x - -y", r"x - \left(-y\right)"),
    ("-(x + y)", r"-\left(x + y\right)"),
    ("-x*y", r"-x \, y"),
    ("-2*x*y", r"-2 \, x \, y"),
    ("x*(-2*y)", r"x \, \left(-2 \, y\right)"),
    ("x + (-2)*y", r"x + \left(-2 \, y\right)"),
    ("-(-2*x)", r"-\left(-2 \, x\right)"),
    ("-x @ y", r"-x \, y"),
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
    ("exp(-x)", r"\mathrm{e}^{-x}"),
    ("exp(x)**2", r"\left(\mathrm{e}^{x}\right)^{2}"),
    ("exp(-2*e) + e**2/2", r"\mathrm{e}^{-2 \, e} + \frac{e^{2}}{2}"),
    ("expm1(x)*alpha", r"\left(\mathrm{e}^{x} - 1\right) \, \alpha"),
    ("log1p(exp(x))", r"\ln\left(1 + \mathrm{e}^{x}\right)"),
    ("log1p(-x)", r"\ln\left(1 - x\right)"),
    ("log1p(-2*x)", r"\ln\left(1 - 2 \, x\right)"),
    ("sqrt(v + eps)", r"\sqrt{v + \varepsilon}"),
    ("tanh(x)**2", r"\tanh\left(x\right)^{2}"),
    ("maximum(x, 0)", r"\max\left(x, 0\right)"),
    ("sum(x)", r"\sum x"),
    ("sum((y - t)**2)", r"\sum \left(y - t\right)^{2}"),
    ("sum(y - t)", r"\sum \left(y - t\right)"),
    ("2*sum(x)", r"2 \, \sum x"),
    ("sum(x)*2", r"\left(\sum x\right) \cdot 2"),
    ("2*sum(x)*y", r"\left(2 \, \sum x\right) \, y"),
    ("-sum(x)", r"-\sum x"),
    ("-sum(x)*y", r"\left(-\sum x\right) \, y"),
    ("-2*sum(x)*y", r"\left(-2 \, \sum x\right) \, y"),
    ("y - -sum(x)", r"y - \left(-\sum x\right)"),
    ("sum(x, axis=0)", r"\sum_{\text{axis } 0} x"),
    ("sum(x, axis=-1, keepdims=True)", r"\sum_{\text{last axis}} x"),
    ("mean(x)", r"\operatorname{mean}\left(x\right)"),
    ("mean(x, axis=0)", r"\operatorname{mean}_{\text{axis } 0}\left(x\right)"),
    ("max(x, axis=0)*min(x)", r"\left(\max_{\text{axis } 0} x\right) \, \min x"),
    ("iota(x, axis=0) - iota(x, axis=1)", r"i_{\text{axis } 0} - i_{\text{axis } 1}"),
    ("flip(x, axis=0)", r"\operatorname{flip}_{\text{axis } 0}\left(x\right)"),
    ("slice(x, axis=0, start=0, stop=2)", r"x_{0:2}"),
    ("slice(W1 + x, axis=0, start=0, stop=2)", r"\left(W_{1} + x\right)_{0:2}"),
    ("slice(W1, axis=0, start=0, stop=2)", r"{W_{1}}_{0:2}"),
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
    ("text", "expected"),
    [
        ("max(x, axis=(3, 4))", r"\max_{\text{axes } 3, 4} x"),
        ("sum(x, axis=leading)", r"\sum_{\text{all axes but the last}} x"),
        ("mean(x, axis=spatial)", r"\operatorname{mean}_{\text{spatial axes}}\left(x\right)"),
        ("sum(x, axis=(0, order))", r"\sum_{\text{axes } (0, \mathrm{order})} x"),
        ("transpose(x, axes=(0, order))", r"\operatorname{transpose}_{(0, \mathrm{order})}\left(x\right)"),
        ("slice(x, axis=-1, start=0, stop=features//2)", r"x_{0:\lfloor \mathrm{features} / 2 \rfloor}"),
        ("slice(x, axis=1, start=2*units, stop=3*units)", r"x_{2 \, \mathrm{units}:3 \, \mathrm{units}}"),
        ("slice(x, axis=1, start=a - 1, stop=(a + 1)//(2*b))", r"x_{a - 1:\lfloor \left(a + 1\right) / "
         r"\left(2 \, b\right) \rfloor}"),
        ("sum(reshape(x, shape=n*m), axis=0)", r"\sum_{\text{axis } 0} x"),
        ("take(x + y, i)", r"\left(x + y\right)_{i}"),
        ("conv(x, k)*y", r"\left(x \star k\right) \, y"),
        ("conv(x + y, k) + b", r"\left(x + y\right) \star k + b"),
    ],
)  # fmt: skip
def test_settings_in_options(text: str, expected: str) -> None:
    assert latex(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x", "x"),
        ("alpha", r"\alpha"),
        ("lam", r"\lambda"),
        ("lambd", r"\lambda"),
        ("Gamma", r"\Gamma"),
        ("Alpha", r"\mathrm{Alpha}"),
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


@pytest.mark.parametrize(
    ("names", "taken", "expected"),
    [
        ("lr eta", "", [r"\eta", r"\mathrm{eta}"]),
        ("eta lr", "", [r"\eta", r"\mathrm{lr}"]),
        ("lam lambd x", "", [r"\lambda", r"\mathrm{lambd}", "x"]),
        ("beta1 beta_1 beta", "", [r"\beta_{1}", r"\mathrm{beta\_1}", r"\beta"]),
        ("lr lr", "", [r"\eta"]),
        ("m v", "m", [r"\mathrm{m}", "v"]),
        ("e", "", ["e"]),
        ("e_ e", "", ["e", r"\mathrm{e}'"]),
    ],
)
def test_two_names_never_share_a_symbol(names: str, taken: str, expected: list[str]) -> None:
    assert list(distinct_symbols(names.split(), taken.split()).values()) == expected


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


# Rows: what their names, axes and arguments make of a formula. The expected lines are written by hand.

CATALOGUE = load_catalogue()

NORMALISED = r"\left(x\right) = \frac{x - m}{\sqrt{v + \varepsilon}} \, \gamma + \beta"

LINES: list[tuple[str, dict[str, Any], list[str]]] = [
    # names
    (
        "asgd", {},
        [
            r"\mathrm{eta} \leftarrow \frac{\eta}{\left(1 + \lambda \, \eta \, \left(t - 1\right)\right)^{\alpha}}",
            r"w \leftarrow w - \lambda \, \mathrm{eta} \, w - \mathrm{eta} \, g",
        ],
    ),
    ("constant", {}, [r"\eta_{t} = \eta"]),
    ("exponential_decay", {}, [r"\eta_{t} = \eta \, \gamma^{\frac{t}{\mathrm{period}}}"]),
    ("non_negative", {}, [r"w \leftarrow \max\left(w, 0\right)"]),
    ("huber", {}, ["e = y - t", r"a = \left|e\right|"]),
    ("poisson_log", {}, [r"\ell(y, t) = \mathrm{e}^{y} - t \, y"]),
    ("quick_gelu", {}, [r"f(x) = \frac{x}{1 + \mathrm{e}^{-1.702 \, x}} = x \, \sigma\left(1.702 \, x\right)"]),
    # axes
    ("sinusoidal_positions", {}, [r"k \leftarrow i_{\mathrm{features}}"]),
    (
        "self_attention", {"causal": True},
        [
            r"\mathrm{seen} \leftarrow \begin{cases} \mathrm{scores} & \text{if } i_{\text{axis } -2} \ge "
            r"i_{\text{last axis}} \\ -2^{100} & \text{otherwise} \end{cases}",
        ],
    ),
    (
        "layer_norm", {},
        [
            r"m \leftarrow \operatorname{mean}_{\mathrm{channels}}\left(x\right)",
            r"v \leftarrow \operatorname{mean}_{\mathrm{channels}}\left(\left(x - m\right)^{2}\right)",
            r"\operatorname{layer\_norm}" + NORMALISED,
        ],
    ),
    (
        "instance_norm", {},
        [
            r"m \leftarrow \operatorname{mean}_{\mathrm{spatial}}\left(x\right)",
            r"v \leftarrow \operatorname{mean}_{\mathrm{spatial}}\left(\left(x - m\right)^{2}\right)",
            r"\operatorname{instance\_norm}" + NORMALISED,
        ],
    ),
    (
        "group_norm", {},
        [
            r"m \leftarrow \operatorname{mean}_{\mathrm{spatial}, \lfloor \mathrm{channels} / \mathrm{groups} \rfloor}"
            r"\left(\mathrm{grouped}\right)",
        ],
    ),
    (
        "batch_norm", {},
        [
            r"m \leftarrow \operatorname{mean}_{\mathrm{batch}, \mathrm{spatial}}\left(x\right)",
            r"v \leftarrow \operatorname{mean}_{\mathrm{batch}, \mathrm{spatial}}\left(\left(x - c\right)^{2}\right)",
        ],
    ),
    ("global_max_pool", {}, [r"\operatorname{global\_max\_pool}\left(x\right) = \max_{\mathrm{spatial}} x"]),
    (
        "max_pool2d", {},
        [r"\operatorname{max\_pool2d}\left(x\right) = \max_{\mathrm{window}} \operatorname{windows}\left(x\right)"],
    ),
    (
        "flip_time", {},
        [r"\operatorname{flip\_time}\left(x\right) = \operatorname{flip}_{\mathrm{length}}\left(x\right)"],
    ),
    ("unit_norm", {}, [r"w \leftarrow \frac{w}{\sqrt{\sum_{\text{all axes but the last}} w^{2}} + \varepsilon}"]),
    (
        "adafactor", {"moments": "means"},
        [
            r"r \leftarrow \left(1 - \mathrm{fresh}\right) \, r + \mathrm{fresh} \, "
            r"\operatorname{mean}_{\mathrm{columns}}\left(s\right)",
            r"c \leftarrow \left(1 - \mathrm{fresh}\right) \, c + \mathrm{fresh} \, "
            r"\operatorname{mean}_{\mathrm{rows}}\left(s\right)",
        ],
    ),
    (
        "softmax", {},
        [
            r"f(x) = \frac{\mathrm{e}^{x}}{\sum_{\text{last axis}} \mathrm{e}^{x}} = "
            r"\frac{\mathrm{powers}}{\sum_{\text{last axis}} \mathrm{powers}}",
        ],
    ),
    # derivatives: one sample's, or with the 1/n of the mean that the formula itself takes
    ("sigmoid", {}, [r"f'(x) = f \, \left(1 - f\right)"]),
    ("mse", {}, [r"\frac{\partial \ell}{\partial y} = 2 \, \left(y - t\right)"]),
    (
        "rmse", {},
        [
            r"\ell(y, t) = \sqrt{\operatorname{mean}\left(\left(y - t\right)^{2}\right)}",
            r"n \, \frac{\partial \ell}{\partial y} = \frac{y - t}{\ell}, \quad n = \text{number of elements of } y",
        ],
    ),
    ("squared_hinge", {}, [r"\frac{\partial \ell}{\partial y} = -2 \, t \, \max\left(1 - t \, y, 0\right)"]),
    # arguments and places
    (
        "triplet", {"distance": "squared"},
        [
            r"\ell(y, \mathrm{positive}, \mathrm{negative}) = "
            r"\max\left(\mathrm{near} - \mathrm{far} + \mathrm{margin}, 0\right)",
        ],
    ),
    (
        "glu", {},
        [
            r"a = x_{0:\lfloor \mathrm{features} / 2 \rfloor}",
            r"b = x_{\lfloor \mathrm{features} / 2 \rfloor:\mathrm{features}}",
        ],
    ),
    (
        "lstm", {},
        [
            r"i \leftarrow \sigma\left(z_{0:\mathrm{units}}\right)",
            r"f \leftarrow \sigma\left(z_{\mathrm{units}:2 \, \mathrm{units}}\right)",
            r"g \leftarrow \tanh\left(z_{2 \, \mathrm{units}:3 \, \mathrm{units}}\right)",
            r"c \leftarrow f \odot c + i \odot g",
            r"h \leftarrow o \odot \tanh\left(c\right)",
        ],
    ),
    ("gru", {"reset_after": True}, [r"h \leftarrow u \odot h + \left(1 - u\right) \odot n"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "knobs", "expected"), LINES, ids=[row[0] for row in LINES])
def test_a_row_prints_as_in_a_lecture(name: str, knobs: dict[str, Any], expected: list[str]) -> None:
    row = CATALOGUE.find(name)
    printed = latex_lines(row, {**default_knobs(row), **knobs})
    assert [line for line in expected if line not in printed] == []


OWN: list[tuple[Row, list[str]]] = [
    (
        Activation(name="a", formula="f*x", let=["f = x**2"], derivative="3*f"),
        [r"\mathrm{f} = x^{2}", r"f(x) = \mathrm{f} \, x", r"f'(x) = 3 \, \mathrm{f}"],
    ),
    (
        Loss(name="a", acts_on="vector", formula="mean(sum((y - t)**2, axis=-1))", derivative="2*(y - t)"),
        [
            r"\ell(y, t) = \operatorname{mean}\left(\sum_{\text{last axis}} \left(y - t\right)^{2}\right)",
            r"n \, \frac{\partial \ell}{\partial y} = 2 \, \left(y - t\right), \quad n = \text{number of samples}",
        ],
    ),
    (
        Layer(name="a", input=["batch", "length", "channels"], let=["s = mean(x, axis=(0, 1))"],
              formula="sum(s, axis=0) + sum(x - s, axis=1)"),
        [
            r"s \leftarrow \operatorname{mean}_{\mathrm{batch}, \mathrm{length}}\left(x\right)",
            r"\operatorname{a}\left(x\right) = \sum_{\mathrm{channels}} s + \sum_{\mathrm{length}} \left(x - s\right)",
        ],
    ),
    (
        Layer(name="a", input=["batch", "...", "channels"],
              formula="sum(x, axis=1) + sum(mean(x, axis=0), axis=-1) + sum(reshape(x, shape=(-1, channels)), axis=0)"),
        [
            r"\operatorname{a}\left(x\right) = \sum_{\text{axis } 1} x + \sum_{\mathrm{channels}} "
            r"\operatorname{mean}_{\mathrm{batch}}\left(x\right) + \sum_{\text{axis } 0} x",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("row", "expected"), OWN)
def test_a_row_of_a_user_prints_what_is_true(row: Row, expected: list[str]) -> None:
    """A name that is the row's symbol; a mean of the batch in the formula; axes that are left, unknown or ambiguous."""
    assert latex_lines(row, {}) == expected


def test_no_two_normalisations_print_alike() -> None:
    names = ("layer_norm", "instance_norm", "group_norm", "batch_norm")
    printed = ["\n".join(latex_lines(row, default_knobs(row))) for row in map(CATALOGUE.find, names)]
    means = {tuple(re.findall(r"mean\}_\{.*?\}\\left", text)) for text in printed}
    assert len(means) == len(names)
    assert () not in means


SHOWN = [row for row in CATALOGUE.rows.values() if row.kind in SHOWABLE]


@pytest.mark.parametrize("row", SHOWN, ids=lambda row: row.name)
def test_within_a_row_no_two_names_share_a_symbol(row: Row) -> None:
    """Every name that its formulas use has one; `f` is the value of the row, which its head prints too."""
    symbols = row_symbols(row)
    lines = [line for key in ("let", "step", "update") for line in getattr(row, key, [])]
    formulas = [*map(parse_assignment, lines), *(parse(text) for _, text in row.texts())]
    used = set[str]().union(*(one.names for one in formulas)) - getattr(row, "knobs", {}).keys()
    assert used <= symbols.keys()
    assert len(set(symbols.values())) == len(symbols)
    assert r"\mathrm{e}" not in symbols.values()
