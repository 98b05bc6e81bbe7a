"""One line of arithmetic, read safely.

Python's own parser does the reading, because a formula looks like Python; this module decides what of it is a
formula. Everything else (attribute access, subscripts, imports, lambdas, unknown calls ...) is refused with the
offending part, the formula and what is known. Nothing is ever `eval`ed, and text, nesting and size are bounded
before the parser sees them, so a hostile file is an error message, not code execution or a hang.

    formula    = expression                       "log1p(exp(-abs(x))) + maximum(x, 0)"
    assignment = name "=" formula                 "v = rho*v + (1 - rho)*g**2"
    expression = number | name | - expression | expression (+ - * / ** @ < <= > >= == !=) expression
               | primitive(expression, ..., option=static) | expression if knob else expression
    knob       = name | not name | name == "literal"
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from crossnn.errors import FormulaError, choices
from crossnn.formula.limits import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_PARENTHESES,
    check_name,
    check_number,
    check_power,
    check_text,
    python_tree,
    refusal,
    shorten,
)
from crossnn.formula.options import check_option
from crossnn.formula.primitives import PRIMITIVES

OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.Pow: "power",
    ast.MatMult: "matmul",
}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}

READ = 1024
"""So many formulas are kept once they are read: a row is recorded again for every case and seed."""

Knobs = Mapping[str, bool | str]


@dataclass(frozen=True)
class Formula:
    """A formula that has passed the grammar. `target` is the assigned name of an update line, else None."""

    text: str
    tree: ast.expr
    target: str | None = None

    @property
    def body(self) -> str:
        """The text that `tree` was read from: what stands right of the `=` of an update line."""
        return (self.text.split("=", 1)[1] if self.target else self.text).strip()

    @cached_property
    def names(self) -> frozenset[str]:
        """Free names: variables, parameters and knobs, without the primitives that are called and the settings that
        options name."""
        calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call)]
        apart = {id(call.func) for call in calls}
        apart |= {id(part) for call in calls for option in call.keywords for part in ast.walk(option.value)}
        return frozenset(
            node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name) and id(node) not in apart
        )


def parse(text: str) -> Formula:
    """Read one formula; raises FormulaError for anything outside the grammar."""
    check_text(text)
    return _formula(text)


def parse_assignment(text: str) -> Formula:
    """Read one update line, `name = formula`."""
    check_text(text)
    return _assignment(text)


@lru_cache(maxsize=READ)
def _formula(text: str) -> Formula:
    return Formula(text, _checked(text, _python_tree(text)))


@lru_cache(maxsize=READ)
def _assignment(text: str) -> Formula:
    match = re.match(r"\s*([A-Za-z_]\w*)\s*=(?!=)", text)
    if match is None:
        raise FormulaError(f"an update line must read 'name = formula', got {shorten(text)!r}")
    check_name(text, match.group(1))
    body = text[match.end() :]
    return Formula(text, _checked(body, _python_tree(body)), match.group(1))


def _python_tree(text: str) -> ast.expr:
    check_text(text)
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_PARENTHESES:
        raise FormulaError(
            f"formula too deep: {deepest} nested parentheses, at most {MAX_PARENTHESES}: {shorten(text)!r}"
        )
    try:
        return python_tree(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise FormulaError(f"formula cannot be read ({reason}): {shorten(text)!r}") from None


def _checked(text: str, tree: ast.expr) -> ast.expr:
    """Walk the whole tree once, iteratively, and refuse whatever the grammar does not name."""
    pending: list[tuple[ast.expr, int]] = [(tree, 1)]
    count = 0
    while pending:
        node, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise FormulaError(
                f"formula too large: more than {MAX_DEPTH} levels or {MAX_NODES} parts: {shorten(text)!r}"
            )
        pending.extend((child, depth + 1) for child in _children(text, node))
    return tree


def _children(text: str, node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.Constant(value=bool()):
            raise refusal(text, node, "True and False are only allowed as options, as in keepdims=True")
        case ast.Constant(value=int() | float() as value):
            check_number(text, node, value)
            return []
        case ast.Name(id=name):
            check_name(text, name)
            return []
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            return [node.operand]
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            check_power(text, node)
            return [left, right]
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            return [node.left, node.right]
        case ast.Compare(ops=[operation], comparators=[right]) if type(operation) in COMPARISONS:
            return [node.left, right]
        case ast.Compare():
            raise refusal(text, node, "one comparison at a time, such as x > 0")
        case ast.IfExp():
            _knob_name(text, node.test)
            return [node.body, node.orelse]
        case ast.Call(func=ast.Name(id=name)):
            return _call(text, node, name)
        case _:
            raise refusal(text, node, "a formula has numbers, names, + - * / ** @, comparisons and calls only")


def _call(text: str, node: ast.Call, name: str) -> list[ast.expr]:
    primitive = PRIMITIVES.get(name)
    if primitive is None:
        raise refusal(text, node, f"unknown primitive {name!r}; known primitives: {choices(PRIMITIVES)}")
    given = [option.arg or "**" for option in node.keywords]
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            raise refusal(text, argument, f"the arguments are written out one by one: {primitive.signature}")
    for position, option in enumerate(node.keywords):
        if option.arg not in primitive.options or option.arg in given[:position]:
            why = "twice" if option.arg in given[:position] else "that does not exist"
            allowed = choices(primitive.options) or "none"
            raise refusal(text, node, f"{name} is given an option {given[position]!r} {why}; its options: {allowed}")
        check_option(text, given[position], option.value)
    fits = bool(node.args) if primitive.variadic else len(node.args) == primitive.arity
    if not fits:
        wanted = "at least one" if primitive.variadic else primitive.arity
        raise refusal(text, node, f"{primitive.signature} takes {wanted} argument(s), got {len(node.args)}")
    return list(node.args)


def _knob_name(text: str, test: ast.expr) -> str:
    match test:
        case ast.Name(id=name):
            return name
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=name)):
            return name
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Eq()], comparators=[ast.Constant(value=str())]):
            return name
        case _:
            raise refusal(
                text, test, "the condition of 'a if knob else b' is a knob: name, not name, or name == \"choice\"; "
                "for a condition on values write where(condition, a, b)"
            )  # fmt: skip


def conditions(formula: Formula) -> list[tuple[str, str | None]]:
    """Every condition of an `a if knob else b`: the knob, and the choice that it is compared with, if any."""
    found: list[tuple[str, str | None]] = []
    for node in ast.walk(formula.tree):
        if isinstance(node, ast.IfExp):
            compared = node.test.comparators[0] if isinstance(node.test, ast.Compare) else None
            choice = compared.value if isinstance(compared, ast.Constant) else None
            found.append((_knob_name(formula.text, node.test), choice if isinstance(choice, str) else None))
    return found


def knob_condition(text: str, test: ast.expr, knobs: Knobs) -> bool:
    """Decide `a if knob else b` before anything runs: knobs are conventions, not data."""
    name = _knob_name(text, test)
    if name not in knobs:
        raise FormulaError(
            f"in formula {shorten(text)!r}: {name!r} is not a knob here; knobs: {choices(knobs) or 'none'}"
        )
    value = knobs[name]
    if isinstance(test, ast.Name):
        return bool(value)
    if isinstance(test, ast.UnaryOp):
        return not value
    return bool(value == ast.literal_eval(test.comparators[0]))  # type: ignore[attr-defined]
