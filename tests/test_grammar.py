"""The grammar: what a formula is, and that everything else is one clear sentence, quickly."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from crossnn.errors import FormulaError
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import Formula, parse, parse_assignment
from crossnn.formula.graph import Graph, Node, record
from crossnn.formula.limits import MAX_CHARACTERS

VALUES = {"x": 0.75, "y": -1.25, "lr": 0.5, "w1": 3.0}
PYTHON = {
    **{name: getattr(math, name) for name in ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "erf", "cosh")},
    "abs": abs,
    "maximum": max,
    "where": lambda c, a, b: a if c else b,
}
SCALAR = {
    **PYTHON,
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "power": lambda a, b: a**b,
    "negative": lambda a: -a,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "greater": lambda a, b: a > b,
    "greater_equal": lambda a, b: a >= b,
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
}


def run(formula: Formula, knobs: dict[str, bool | str] | None = None) -> Any:
    def function(**names: Node) -> Node:
        return record(formula, names, names["x"].tape, knobs)

    graph = Graph.trace(function, dict.fromkeys(VALUES, ()))
    return evaluate(graph, SCALAR, VALUES, lambda node: node.options["value"])


ACCEPTED = [
    "x",
    "x + y",
    "x - y - lr",
    "x - (y - lr)",
    "x/y/lr",
    "x/(y/lr)",
    "2**x**2",
    "(2**x)**2",
    "-x**2",
    "(-x)**2",
    "x**-2",
    "--x",
    "+x",
    "x*-y",
    "1e-3*x + .5 - 5. + 1E+2",
    "  exp(x\n + y) ",
    "log1p(exp(-abs(x))) + (x + abs(x))/2",
    "where(x > 0, x, lr*expm1(x))",
    "where(x >= y, 1, 2) + where(x < y, 3, 4) + where(x <= y, 5, 6)",
    "where(x == y, 1, 2) + where(x != y, 3, 4)",
    "maximum(x, y) + erf(x)/cosh(y)",
    "w1*sqrt(x)",
    "(" * 39 + "x" + ")" * 39,
    "0." + "1" * 1000,
]


@pytest.mark.parametrize("text", ACCEPTED, ids=lambda text: text[:40])
def test_a_formula_means_what_python_means(text: str) -> None:
    expected = eval(text.strip().replace("\n", " "), {"__builtins__": {}}, {**PYTHON, **VALUES})
    assert run(parse(text)) == expected


def test_knobs_are_decided_before_anything_runs() -> None:
    text = "x if fast else y"
    assert run(parse(text), {"fast": True}) == 0.75
    assert run(parse(text), {"fast": False}) == -1.25
    assert run(parse("x if not fast else y"), {"fast": True}) == -1.25
    choice = parse('x if place == "inside" else y if place == "outside" else lr')
    assert [run(choice, {"place": place}) for place in ("inside", "outside", "hat")] == [0.75, -1.25, 0.5]


@pytest.mark.parametrize(
    ("text", "knobs", "part"),
    [("x if k else y", {}, "'k' is not a knob here; knobs: none"), ("x if k else y", {"fast": True}, "knobs: fast")],
)
def test_an_unknown_knob_names_the_known_ones(text: str, knobs: dict[str, bool | str], part: str) -> None:
    with pytest.raises(FormulaError, match=part):
        run(parse(text), knobs)


def test_an_assignment_has_a_target_and_a_body() -> None:
    line = parse_assignment(" v = rho*v + (1 - rho)*g**2 ")
    assert (line.target, line.body) == ("v", "rho*v + (1 - rho)*g**2")
    assert line.names == {"rho", "v", "g"}


def test_numbers_keep_the_text_in_which_they_were_written() -> None:
    def function(x: Node) -> Node:
        return record(parse_assignment("w = x*0.10"), {"x": x}, x.tape)

    graph = Graph.trace(function, {"x": ()})
    assert [node.options["text"] for node in graph.nodes if node.operation == "constant"] == ["0.10"]


def test_names_leave_out_primitives_that_are_called() -> None:
    assert parse("mean + mean(x) + exp(y)").names == {"mean", "x", "y"}


# text -> what the message must show
REFUSED: dict[Any, str] = {
    "": "cannot be read",
    "   ": "cannot be read",
    "x.y": "at 'x.y'",
    "x.__class__.__bases__": "__bases__",
    "().__class__": "().__class__",
    "__import__('os').system('true')": "__import__",
    "__import__('os')": "unknown primitive '__import__'",
    "eval('1')": "unknown primitive 'eval'",
    "print(x)": "known primitives: abs",
    "__class__": "a name begins with a letter",
    "__builtins__": "a name begins with a letter",
    "_x": "'_x'",
    "import os": "import os",
    "x; y": "x; y",
    "x = y": "x = y",
    "(y := x)": "y := x",
    "f'{x}'": "f'{x}'",
    "'text'": "'text'",
    "b'a'": "b'a'",
    "x + 'a'*10**9": "'a'",
    "[x for x in y]": "[x for x in y]",
    "(x for x in y)": "x for x in y",
    "{x: 1}": "{x: 1}",
    "{x}": "{x}",
    "[]": "[]",
    "()": "()",
    "x, y": "x, y",
    "...": "...",
    "None": "None",
    "True": "only allowed as options",
    "1j": "1j",
    "lambda x: x": "lambda",
    "await x": "await x",
    "yield x": "yield x",
    "*x": "*x",
    "x[0]": "x[0]",
    "x[0:1]": "x[0:1]",
    "x and y": "x and y",
    "not x": "not x",
    "~x": "~x",
    "x // y": "x // y",
    "x % y": "x % y",
    "x << 2": "x << 2",
    "x ^ y": "x ^ y",
    "x in y": "x in y",
    "x is y": "x is y",
    "x < y < 1": "one comparison at a time",
    "x if y > 0 else lr": "write where(condition, a, b)",
    "x if 'a' else y": "'a'",
    "x if k == 3 else y": "k == 3",
    "x if k != 'a' else y": "k !=",
    "1if k else x": "cannot be read",
    "9**9**9": "'9**9**9'",
    "9**9**9*x": "'9**9**9'",
    "10**400": "larger than 1e300",
    "10**+400": "larger than 1e300",
    "2**(500*2)": "larger than 1e300",
    "(9.0**300)**2": "larger than 1e300",
    "1e400": "at most 1e300",
    "1e301": "at most 1e300",
    "1" * 1999: "at most 1e300",
    "1e-301": "at least 1e-300",
    "0x10": "decimal digits",
    "0b1": "decimal digits",
    "1_000": "decimal digits",
    "1..2": "1..2",
    "exp()": "takes 1 argument(s), got 0",
    "exp(x, y)": "takes 1 argument(s), got 2",
    "exp(*x)": "written out one by one",
    "exp(**x)": "'**'",
    "exp(x=1)": "option 'x' that does not exist",
    "exp(x)(y)": "exp(x)(y)",
    "exp(x, axis=1)": "its options: none",
    "sum(x, axis=exp(y))": "an option is a literal",
    "sum(x, axis='a')": "axis is a whole number",
    "sum(x, axis=9**9**9)": "an option is a literal",
    "sum(x, axis=1e400)": "an option is a literal",
    "sum(x, axis=0.5)": "an option is a literal",
    "sum(x, axis=True)": "axis is a whole number",
    "sum(x, axis=" + "9" * 1500 + ")": "axis is larger",
    "sum(x, axis=0, axis=1)": "twice",
    "sum(x, keepdims=3)": "keepdims is True or False",
    "transpose(x, axes=(0, True))": "a tuple holds whole numbers only",
    "transpose(x, axes={0, 1})": "an option is a literal",
    "windows(x, size=0)": "size is a whole number from 1",
    "windows(x, size=2, padding='full')": "padding is same, valid",
    "slice(x, start=-1, stop=2)": "start is a whole number from 0",
    "slice(x, start=9*9999999999, stop=2)": "is larger than",
    "slice(x, start=1//0, stop=2)": "division by zero",
    "concatenate()": "at least one",
    "reshape(x, shape=2)": "shape is a tuple",
    "broadcast(x, shape=(1000000, 1000000))": "shape is larger",
    "(" * 10_000 + "x" + ")" * 10_000: "too long: 20001",
    "(" * 900 + "x" + ")" * 900: "900 nested parentheses",
    "exp(" * 41 + "x" + ")" * 41: "41 nested parentheses",
    "x" + " + x" * 2_500_000: "too long",
    "-" * 5000 + "x": "too long: 5001",
    "-" * 1900 + "x": "more than 80 levels",
    "x" + "+x" * 900: "more than 80 levels",
    "x**" * 600 + "x": "more than 80 levels",
    "x if k else " * 150 + "x": "more than 80 levels",
    "sum(x, axis=" + "-" * 1900 + "1)": "at most 60 parts",
    "where(" * 30 + "x" + ", x, x)" * 30 + " + x" * 100: "more than 80 levels",
    "x\0y": "'\\x00'",
    "x # harmless?": "'#'",
    "x\\\n+ y": "character 2",
    "x\r+ y": "'\\r'",
    "\ufeffx": "'\\ufeff'",
    "\uff58": "plain ASCII",  # a full-width x, which Python would read as x
    "\U0001d431": "plain ASCII",  # a mathematical bold x, likewise
    "x\u200by": "'\\u200b'",
    "x\u202ey": "'\\u202e'",
    "x\u00b2": "plain ASCII",
    "\ud800": "'\\ud800'",
    5: "got 5 (int)",
    1.5: "got 1.5 (float)",
    True: "got True (bool)",
    None: "(NoneType)",
    b"x": "(bytes)",
    ("x", "y"): "(tuple)",
}


@pytest.mark.parametrize(("text", "shown"), REFUSED.items(), ids=[ascii(text)[:30] for text in REFUSED])
def test_everything_else_is_one_sentence_in_no_time(text: Any, shown: str) -> None:
    start = time.perf_counter()
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert time.perf_counter() - start < 1.0
    message = str(caught.value)
    assert shown in message
    assert len(message) < 1500
    assert caught.value.exit_code == 2


def test_lists_and_tables_from_toml_are_refused_too() -> None:
    for value in (["x"], {"formula": "x"}):
        with pytest.raises(FormulaError, match="text in quotes"):
            parse(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("x", "name = formula"),
        ("x == y", "name = formula"),
        ("x.y = 1", "name = formula"),
        ("x[0] = 1", "name = formula"),
        ("x, y = 1", "name = formula"),
        ("x += 1", "name = formula"),
        ("lambda = x", "Python keyword"),
        ("__class__ = x", "begins with a letter"),
        ("w = ", "cannot be read"),
        ("w = v = x", "cannot be read"),
        ("w = w - lr*g.real", "at 'g.real'"),
        ("w = " + "x" * MAX_CHARACTERS, "too long"),
        (7, "text in quotes"),
    ],
)
def test_an_update_line_is_refused_with_the_part_at_fault(text: Any, shown: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_assignment(text)
    assert shown in str(caught.value)


def test_an_unknown_name_is_told_what_is_known() -> None:
    with pytest.raises(FormulaError, match=r"unknown name 'z'; known names: lr, pi, w1, x, y"):
        run(parse("x + z"))
