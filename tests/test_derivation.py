"""Derivations line by line: every line, every rule and every last line, against central differences and the oracle.

Central differences of the formulas are independent of the rules; the texts of lines and rules are read again by the
grammar, so that what is shown is what is tested.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import gmpy2
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from crossnn.catalogue.build import knob_choices
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.cli import main
from crossnn.cli.claimed import agreement
from crossnn.cli.numbers import DIFFERENTIATED, Plain, default_numbers, plain
from crossnn.errors import FormulaError
from crossnn.formula.derivation import MOST, Derivation, derive, steps
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import parse, parse_assignment
from crossnn.formula.graph import Graph, Node, constant, record
from crossnn.formula.inline import lines
from crossnn.formula.oracle import oracle_meaning
from crossnn.formula.precise import Precise
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.simplify import simplify
from crossnn.formula.stated import Rule, rule_of
from crossnn.formula.substitution import number, number_latex, put_numbers

DIGITS, STEP, CLOSE = 60, gmpy2.mpfr("1e-20"), 1e-14
PROBES = 8
"""At so many elements of an argument a slope is measured."""
ROWS = [row for row in load_catalogue().rows.values() if row.kind in DIFFERENTIATED]


@pytest.fixture
def mp() -> Iterator[Any]:
    with Precise(DIGITS) as context, np.errstate(all="ignore"):
        yield context


def lift(mp: Any, values: Any) -> Any:
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return array
    return np.asarray(np.frompyfunc(mp.mpf, 1, 1)(array.astype(object)), dtype=object)


def run(mp: Any, graph: Graph, arguments: Mapping[str, Any]) -> Any:
    def value(node: Node) -> Any:
        text = node.options["text"]
        return +mp.pi if text == "pi" else mp.mpf(text or node.options["value"])

    return evaluate(graph, oracle_meaning(mp), arguments, value)


def read(mp: Any, text: str, known: Mapping[str, Any]) -> Any:
    """The value of a text, read by the grammar."""
    tape: list[Node] = []
    names = {}
    for name, value in known.items():
        shape = np.shape(value)
        kind = getattr(value, "dtype", np.dtype(object)).kind
        names[name] = Node(tape, "input", shape=shape, dtype="index" if kind == "i" else "float", name=name)
    formula = parse(text)
    result = record(formula, names, tape)
    used = {name: names[name] for name in formula.names if name in names}
    return run(mp, Graph(used, result, tuple(tape)), {name: known[name] for name in used})


def drawn(mp: Any, one: Plain) -> dict[str, Any]:
    """Numbers away from kinks: small and all different, labels as they are."""
    generator = np.random.default_rng(5)
    plain_numbers = default_numbers(one)
    return {
        name: value if value.dtype.kind == "i" else lift(mp, generator.uniform(0.2, 0.8, value.shape))
        for name, value in plain_numbers.items()
    }


def central(function: Callable[[Any], Any], x: Any, weights: Any, found: Any) -> bool:
    """Whether `found` is the slope of sum(weights*function(x)): by central differences, at some elements of x."""
    places = list(np.ndindex(np.shape(x)))
    found = np.broadcast_to(np.asarray(found, dtype=object), np.shape(x))
    for index in places[:: 1 + len(places) // PROBES]:
        ends = []
        for side in (1, -1):
            moved = np.array(x, dtype=object)
            moved[index] = moved[index] + side * STEP
            ends.append(np.sum(weights * function(moved)))
        expected = (ends[0] - ends[1]) / (2 * STEP)
        if not abs(found[index] - expected) <= CLOSE * max(1, abs(expected)):
            return False
    return True


def near(found: Any, expected: Any) -> bool:
    wide = np.asarray(expected, dtype=object)
    pairs = zip(np.broadcast_to(found, wide.shape).flat, wide.flat, strict=True)
    return all(abs(one - other) <= CLOSE * max(1, abs(other)) for one, other in pairs)


def with_one(mp: Any, graph: Graph, given: Mapping[str, Any], name: str, x: Any) -> Any:
    return run(mp, graph, {**given, name: x})


def stated(mp: Any, rule: Rule, known: Mapping[str, Any], x: Any) -> Any:
    return read(mp, rule.of, {**known, rule.by: x})


def derivations(row: Row) -> list[tuple[Plain, Derivation]]:
    """In every convention; none where the layer is too long to be derived line by line."""
    found = []
    for knobs in knob_choices(row):
        one = plain(row, knobs)
        try:
            found.append((one, derive(one.graph, one.wrt, one.arriving)))
        except FormulaError:
            assert row.kind == "layer"
            assert len(simplify(one.graph).live()) > MOST
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_derivation_is_right_line_by_line(row: Row, mp: Any) -> None:
    for one, found in derivations(row):
        known = drawn(mp, one)
        weights: Any = mp.one
        if one.arriving:
            weights = lift(mp, np.random.default_rng(6).uniform(-1, 1, one.graph.result.shape))
            known[one.arriving] = weights
        # every line, by its graph and by its text
        for step in (*found.values, *found.slopes):
            value = run(mp, step.graph, {name: known[name] for name in step.graph.arguments})
            again = read(mp, step.text.split(" = ", 1)[1], {**settings_of(mp, one), **known})
            assert np.array_equal(np.broadcast_to(again, np.shape(value)), value), step.text
            known[step.name] = value
        given = {name: known[name] for name in one.graph.arguments}
        # forwards: the last value is that of the formula
        if found.values:
            assert near(known[found.values[-1].name], run(mp, one.graph, given))
        # backwards and put together: the slope by central differences, which know no rule
        final = run(mp, found.result, {name: known[name] for name in found.result.arguments})
        printed = last_lines(mp, found, {**settings_of(mp, one), **known})
        for name, slope in found.names.items():
            function = partial(with_one, mp, one.graph, given, name)
            chained = known.get(slope, mp.zero)
            assert central(function, known[name], weights, chained), f"{row.name}: {slope} of the chain rule"
            assert near(final[name], np.broadcast_to(chained, np.shape(known[name]))), f"{row.name}: {slope} tidied up"
            assert near(printed[slope], final[name]), f"{row.name}: {slope} as printed"


def settings_of(mp: Any, one: Plain) -> dict[str, Any]:
    """The hyper-parameters that occur, which lines call by their names."""
    return {node.name: mp.mpf(node.options["value"]) for node in one.graph.nodes
            if node.operation == "constant" and node.name}  # fmt: skip


def last_lines(mp: Any, found: Derivation, known: Mapping[str, Any]) -> dict[str, Any]:
    """The derivative as it is printed, line after line."""
    hyper = {node.name for node in found.result.live() if node.operation == "constant" and node.name}
    values = {name: known[name] for name in (*found.result.arguments, *hyper)}
    for line in lines(found.result, found.names):
        values[str(parse_assignment(line).target)] = read(mp, line.split(" = ", 1)[1], values)
    return values


ELEMENTWISE = [
    (primitive.name, position)
    for primitive in PRIMITIVES.values()
    if primitive.elementwise and not primitive.variadic
    for position, argument in enumerate(primitive.arguments)
    if argument in primitive.derivative
]


@pytest.mark.parametrize(("name", "position"), ELEMENTWISE, ids=[f"{n}-{p}" for n, p in ELEMENTWISE])
def test_a_stated_rule_is_right(name: str, position: int, mp: Any) -> None:
    """Both sides of `d(log(u))/du: g/u` as they are written, in 60 digits: nothing of derive.py takes part."""
    rule = rule_of(name, position)
    for u, z, c in ((0.37, 0.81, 1.0), (0.92, 0.15, -1.0)):
        known = {"u": lift(mp, u), "z": lift(mp, z), "c": np.asarray(c > 0), "g": lift(mp, -1.7)}
        known = {key: value for key, value in known.items() if key in parse(rule.of).names | parse(rule.text).names}
        found = read(mp, rule.text, known)
        given = known.get("g", mp.zero)
        assert central(partial(stated, mp, rule, known), known[rule.by], given, found), str(rule)


@pytest.mark.parametrize(
    ("name", "position", "text"),
    [
        ("log", 0, "d(log(u))/du: g/u"),
        ("multiply", 1, "d(u*z)/dz: g*u"),
        ("divide", 1, "d(u/z)/dz: -g*(u/z)/z"),
        ("tanh", 0, "d(tanh(u))/du: g*(1 - tanh(u)**2)"),
        ("matmul", 0, "d(u @ z)/du: g @ transpose(z)"),
        ("where", 1, "d(where(c, u, z))/du: where(c, g, 0)"),
        ("erf", 0, "d(erf(u))/du: 2/sqrt(pi)*g*exp(-u**2)"),
    ],
)
def test_a_rule_reads_like_a_blackboard(name: str, position: int, text: str) -> None:
    assert str(rule_of(name, position)) == text


def test_the_constant_of_erf_is_what_it_is_printed_as(mp: Any) -> None:
    written = PRIMITIVES["erf"].derivative["x"].split("*")[0]
    assert abs(mp.mpf(written) - 2 / mp.sqrt(mp.pi)) < 1e-58


def test_a_value_used_twice_adds_its_shares() -> None:
    def function(x: Node) -> Node:
        return x.apply("exp", (x,), {}) * x

    found = derive(Graph.trace(function, {"x": ()}), ["x"])
    texts = {step.name: step.text.split(" = ", 1)[1] for step in found.slopes}
    assert texts == {"g2": "1", "g_x_1": "g2*v1", "g1": "g2*x", "g_x_2": "g1*v1", "g_x": "g_x_1 + g_x_2"} or (
        texts == {"g2": "1", "g_x_1": "g2*v1", "g1": "g2*x", "g_x_2": "g1*v1", "g_x": "g_x_2 + g_x_1"}
    )


def test_what_depends_on_nothing_has_the_slope_zero() -> None:
    row = load_catalogue().find("heaviside")
    one = plain(row, {})
    found = derive(one.graph, one.wrt)
    assert not [step for step in found.slopes if step.name == "g_x"]
    assert lines(found.result, found.names)[-1] == "g_x = 0"


@pytest.mark.parametrize(
    ("value", "text", "tex"),
    [
        (0.5, "0.5", "0.5"),
        (-1e-9, "-1e-09", "-1 \\cdot 10^{-9}"),
        (np.float64("inf"), "inf", "\\infty"),
        (np.bool_(True), "true", "\\text{true}"),
        (1 / 3, "0.3333333", "0.3333333"),
        ([1.0, -2.0], "[1, -2]", "\\begin{pmatrix} 1 & -2 \\end{pmatrix}"),
        ([[1.0], [2.0]], "[[1], [2]]", "\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}"),
        (np.zeros((5, 4)), "[0, 0, 0, 0, ...] (5 x 4)", "5\\times 4 \\text{ numbers}"),
    ],
)
def test_how_numbers_are_printed(value: Any, text: str, tex: str) -> None:
    assert number(value) == text
    assert number_latex(value) == tex


def test_numbers_stand_in_the_place_of_names() -> None:
    tape: list[Node] = []
    x = Node(tape, "input", name="x")
    y = constant(tape, 2.0, "2") * x - x**2
    done, names = steps(Graph({"x": x}, y, tuple(tape)))
    found, known = put_numbers(done, {"x": np.float64(-3.0)})
    assert [one.text for one in found] == [
        "v1 = 2*x = 2*(-3) = -6",
        "v2 = x**2 = (-3)**2 = 9",
        "v3 = v1 - v2 = (-6) - 9 = -15",
    ]
    assert names == ["v3"]
    assert float(known["v3"]) == -15
    assert found[1].latex == "v_{2} = x^{2} = \\left(-3\\right)^{2} = 9"


def show(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_shown(row: Row) -> None:
    if not derivations(row):
        assert "too many" in show(row.name, "--derivation", code=2)
        return
    text = show(row.name, "--derivation", "--numbers")
    assert "chain rule, backwards" in text
    assert "step by step" in show(row.name, "--numbers")
    for options in (["--derivation"], ["--numbers"], ["--derivation", "--numbers"]):
        for line in show(row.name, "--latex", *options).splitlines():
            assert line.count("{") == line.count("}")
            assert len(re.findall(r"\\left\b", line)) == len(re.findall(r"\\right\b", line))


def test_softplus_at_a_half() -> None:
    text = show("softplus", "--derivation", "--at", "x=0.5")
    value, slope = np.log1p(np.exp(0.5)), 1 / (1 + np.exp(-0.5))
    assert f"= {value:.7g}\n" in text
    assert float(text.rsplit("g_x = ", 1)[1].split()[0]) == pytest.approx(slope, rel=1e-15)
    assert text.endswith("as claimed\n  1/(1 + exp(-x))\n  equal to the derived one, to 25 digits, at 6 points\n")
    assert "d(log1p(u))/du: g/(1 + u)" in text


def test_a_wrong_claim_is_noticed() -> None:
    row = load_catalogue().find("tanh")
    one = plain(row, {})
    derived = derive(one.graph, one.wrt).stages[0].graph
    assert agreement(one, derived) == "equal to the derived one, to 25 digits, at 6 points"
    wrong = replace(one, row=msgspec.structs.replace(row, derivative="1 - tanh(x)"))
    slope, claimed = 1 / np.cosh(-3.1) ** 2, 1 - np.tanh(-3.1)
    said = agreement(wrong, derived)
    assert said.startswith("differs at x = -3.1: derived ")
    assert [float(part.strip(",")) for part in said.split()[6::2]] == pytest.approx([slope, claimed], rel=1e-12)


@pytest.mark.parametrize("name", ["l1", "l2", "l1_l2"])
def test_claims_of_regularizers_are_compared_too(name: str) -> None:
    one = plain(load_catalogue().find(name), {})
    assert agreement(one, derive(one.graph, one.wrt).stages[0].graph).endswith("at 6 points")


def test_optimizers_and_schedules_have_numbers_too() -> None:
    text = show("momentum", "--numbers", "--at", "w=1", "--at", "g=2", "--at", "lr=0.1")
    assert "result" in text
    assert "w = " in text.rsplit("result", 1)[1]
    assert "step by step" in show("cosine_decay", "--numbers")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["softplus", "--at", "x"], "write NAME=NUMBER"),
        (["softplus", "--at", "x=one"], "'one' is no number"),
        (["softplus", "--at", "x=nan"], "not finite"),
        (["softplus", "--at", "y=1"], "argument of softplus"),
        (["softmax", "--at", "x=1,2,3"], "3 numbers for"),
        (["sgd", "--derivation"], "never differentiated"),
        (["mlp", "--derivation"], "no formula of its own"),
        (["sparse_categorical_crossentropy", "--at", "t=0.5"], "whole number"),
        (["sparse_categorical_crossentropy", "--at", "t=7"], "a label is a whole number from 0 to 2"),
    ],
)
def test_show_refuses(arguments: list[str], message: str) -> None:
    assert message in show(*arguments, code=2)
