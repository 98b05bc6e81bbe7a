"""One line of arithmetic, read safely.

Python's own parser does the reading, because a formula looks like Python; this module decides what of it is a
formula. Everything else (attribute access, subscripts, imports, lambdas, unknown calls ...) is refused with the
offending part, the formula and what is known. Nothing is ever `eval`ed, and text, nesting and size are bounded
before the parser sees them, so a hostile file is an error message, not code execution or a hang.

    formula    = expression                       "log1p(exp(-abs(x))) + (x + abs(x))/2"
    assignment = name "=" formula                 "v = rho*v + (1 - rho)*g**2"
    expression = number | name | - expression | expression (+ - * / ** @ < <= > >= == !=) expression
               | primitive(expression, ..., option=literal) | expression if knob else expression
    knob       = name | not name | name == "literal"
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

from crossnn.errors import FormulaError, choices
from crossnn.formula.primitives import PRIMITIVES

MAX_CHARACTERS = 2000
MAX_PARENTHESES = 40
MAX_DEPTH = 80
MAX_NODES = 1000
MAX_ELEMENTS = 10**8

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

    @property
    def names(self) -> frozenset[str]:
        """Free names: variables, parameters and knobs, without the primitives that are called."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        return frozenset(
            node.id for node in ast.walk(self.tree) if isinstance(node, ast.Name) and id(node) not in called
        )


def parse(text: str) -> Formula:
    """Read one formula; raises FormulaError for anything outside the grammar."""
    return Formula(text, _checked(text, _python_tree(text)))


def parse_assignment(text: str) -> Formula:
    """Read one update line, `name = formula`."""
    _check_text(text)
    match = re.match(r"\s*([A-Za-z_]\w*)\s*=(?!=)", text)
    if match is None:
        raise FormulaError(f"an update line must read 'name = formula', got {_shorten(text)!r}")
    _check_name(text, match.group(1))
    body = text[match.end() :]
    return Formula(text, _checked(body, _python_tree(body)), match.group(1))


def _shorten(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"


def _check_text(text: object) -> None:
    """Refuse what is not a short line of plain characters. Python folds look-alike letters into one name and skips
    comments: what is shown would not be what runs."""
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text in quotes, got {_shorten(repr(text))} ({type(text).__name__})")
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(f"formula too long: {len(text)} characters, at most {MAX_CHARACTERS}: {_shorten(text)!r}")
    odd = re.search(r"[^\n\t\x20-\x7e]|[#\\\\]", text)
    if odd is not None:
        raise FormulaError(
            f"in formula {_shorten(text)!r}, at {odd.group()!r} (character {odd.start() + 1}): a formula has plain "
            "ASCII letters, digits and operators only, and no comment"
        )


def _check_name(text: str, name: str) -> None:
    if name.startswith("_") or keyword.iskeyword(name):
        raise FormulaError(
            f"in formula {_shorten(text)!r}, at {name!r}: a name begins with a letter and is no Python keyword"
        )


def _python_tree(text: str) -> ast.expr:
    _check_text(text)
    depth = deepest = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > MAX_PARENTHESES:
        raise FormulaError(
            f"formula too deep: {deepest} nested parentheses, at most {MAX_PARENTHESES}: {_shorten(text)!r}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # "1if x else 2" is only a warning to Python
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        raise FormulaError(f"formula cannot be read ({reason}): {_shorten(text)!r}") from None


def _checked(text: str, tree: ast.expr) -> ast.expr:
    """Walk the whole tree once, iteratively, and refuse whatever the grammar does not name."""
    pending: list[tuple[ast.expr, int]] = [(tree, 1)]
    count = 0
    while pending:
        node, depth = pending.pop()
        count += 1
        if depth > MAX_DEPTH or count > MAX_NODES:
            raise FormulaError(
                f"formula too large: more than {MAX_DEPTH} levels or {MAX_NODES} parts: {_shorten(text)!r}"
            )
        pending.extend((child, depth + 1) for child in _children(text, node))
    return tree


def _children(text: str, node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.Constant(value=bool()):
            raise _refusal(text, node, "True and False are only allowed as options, as in keepdims=True")
        case ast.Constant(value=int() | float() as value):
            _plain_decimal(text, node, value)
            return []
        case ast.Name(id=name):
            _check_name(text, name)
            return []
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            return [node.operand]
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            _bounded_power(text, node)
            return [left, right]
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            return [node.left, node.right]
        case ast.Compare(ops=[operation], comparators=[right]) if type(operation) in COMPARISONS:
            return [node.left, right]
        case ast.Compare():
            raise _refusal(text, node, "one comparison at a time, such as x > 0")
        case ast.IfExp():
            _knob_name(text, node.test)
            return [node.body, node.orelse]
        case ast.Call(func=ast.Name(id=name)):
            return _call(text, node, name)
        case _:
            raise _refusal(text, node, "a formula has numbers, names, + - * / ** @, comparisons and calls only")


def _call(text: str, node: ast.Call, name: str) -> list[ast.expr]:
    primitive = PRIMITIVES.get(name)
    if primitive is None:
        raise _refusal(text, node, f"unknown primitive {name!r}; known primitives: {choices(PRIMITIVES)}")
    given = [option.arg or "**" for option in node.keywords]
    for argument in node.args:
        if isinstance(argument, ast.Starred):
            raise _refusal(text, argument, f"the arguments are written out one by one: {primitive.signature}")
    for position, option in enumerate(node.keywords):
        if option.arg not in primitive.options or option.arg in given[:position]:
            why = "twice" if option.arg in given[:position] else "that does not exist"
            allowed = choices(primitive.options) or "none"
            raise _refusal(text, node, f"{name} is given an option {given[position]!r} {why}; its options: {allowed}")
        _check_option(text, given[position], option.value)
    if len(node.args) != primitive.arity:
        raise _refusal(text, node, f"{primitive.signature} takes {primitive.arity} argument(s), got {len(node.args)}")
    return list(node.args)


def _check_option(text: str, name: str, node: ast.expr) -> None:
    """Each option has one type: `axis` a whole number, several or None; `keepdims` True or False; `shape` a size."""
    value = literal(text, node)
    whole = isinstance(value, int) and not isinstance(value, bool)
    several = isinstance(value, tuple)
    numbers = value if isinstance(value, tuple) else (value,) if whole else ()
    match name:
        case "keepdims":
            right, wanted = isinstance(value, bool), "True or False"
        case "axis":
            right, wanted = whole or several or value is None, "a whole number, a tuple of them, or None"
        case "axes":
            right, wanted = several or value is None, "a tuple of whole numbers, or None"
        case _:
            right, wanted = several, "a tuple of whole numbers"
    if not right:
        raise _refusal(text, node, f"{name} is {wanted}")
    if any(abs(number) > MAX_ELEMENTS for number in numbers) or math.prod(numbers) > MAX_ELEMENTS:
        raise _refusal(text, node, f"{name} is larger than {MAX_ELEMENTS:,}")


def _plain_decimal(text: str, node: ast.expr, value: float) -> None:
    """A number as everyone writes it: the oracle reads the same text with its own precision."""
    written = ast.get_source_segment(text.strip(), node) or repr(value)
    if not abs(value) <= 1e300:
        raise _refusal(text, node, "a number must be finite and at most 1e300 in size")
    if not re.fullmatch(r"[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?", written):
        raise _refusal(text, node, "a number is written in decimal digits, such as 1e-3")
    if abs(value) < 1e-300 and re.search("[1-9]", written.lower().split("e")[0]):
        raise _refusal(text, node, "a number other than zero must be at least 1e-300 in size")


def _bounded_power(text: str, node: ast.BinOp) -> None:
    """`9**9**9` has 370 million digits: refuse powers of plain numbers that no float can hold."""
    try:
        value = _plain_number(node)
    except OverflowError:
        raise _refusal(text, node, "this power of numbers is larger than 1e300") from None
    if value is not None and not abs(value) <= 1e300:
        raise _refusal(text, node, "this power of numbers is larger than 1e300")


def _plain_number(node: ast.expr, depth: int = 0) -> float | None:
    """The value of an expression of numbers alone, in floating point; None where a name takes part."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp):
        inner = _plain_number(node.operand, depth + 1)
        return -inner if inner is not None and isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        left, right = _plain_number(node.left, depth + 1), _plain_number(node.right, depth + 1)
        if left is None or right is None:
            return None
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                return left / right if right else None
            case ast.Pow():
                value = left**right if left or right >= 0 else None
                return None if isinstance(value, complex) else value
    return None


def literal(text: str, node: ast.expr) -> object:
    """The value of an option: a number, True, False, None, or a tuple of whole numbers."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError, RecursionError):
        raise _refusal(text, node, "an option must be a literal such as -1, True or (0, 1)") from None
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple | list) and all(type(item) is int for item in value):
        return tuple(value)
    raise _refusal(text, node, "an option must be a literal such as -1, True or (0, 1)")


def _knob_name(text: str, test: ast.expr) -> str:
    match test:
        case ast.Name(id=name):
            return name
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=name)):
            return name
        case ast.Compare(left=ast.Name(id=name), ops=[ast.Eq()], comparators=[ast.Constant(value=str())]):
            return name
        case _:
            raise _refusal(
                text, test, "the condition of 'a if knob else b' is a knob: name, not name, or name == \"choice\"; "
                "for a condition on values write where(condition, a, b)"
            )  # fmt: skip


def knob_condition(text: str, test: ast.expr, knobs: Knobs) -> bool:
    """Decide `a if knob else b` before anything runs: knobs are conventions, not data."""
    name = _knob_name(text, test)
    if name not in knobs:
        raise FormulaError(
            f"in formula {_shorten(text)!r}: {name!r} is not a knob here; knobs: {choices(knobs) or 'none'}"
        )
    value = knobs[name]
    if isinstance(test, ast.Name):
        return bool(value)
    if isinstance(test, ast.UnaryOp):
        return not value
    return bool(value == ast.literal_eval(test.comparators[0]))  # type: ignore[attr-defined]


def _refusal(text: str, node: ast.expr, why: str) -> FormulaError:
    part = ast.get_source_segment(text.strip(), node) or ast.unparse(node)
    return FormulaError(f"in formula {_shorten(text)!r}, at {_shorten(part)!r}: {why}")
