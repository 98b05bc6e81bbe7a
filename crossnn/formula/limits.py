"""The limits of formulas: what text, names, numbers and powers may be, before and apart from their grammar.

Each check raises FormulaError with the part at fault and what is allowed. Bounds come first: nothing here or later
takes long, whatever the text.
"""

from __future__ import annotations

import ast
import keyword
import re
import warnings

from crossnn.errors import FormulaError

MAX_CHARACTERS = 2000
MAX_PARENTHESES = 40
MAX_DEPTH = 80
MAX_NODES = 1000
MAX_ELEMENTS = 10**8
MAX_AXES = 16
MAX_LENGTH = 10**6
MAX_STEPS = 512
"""So many steps of a recurrent layer are recorded, one after the other, and judged one by one."""


def python_tree(text: str) -> ast.expr:
    """The text as Python reads an expression, never evaluated. What Python would warn about, such as `1if x else 2`, is
    an error like others: SyntaxError, ValueError, MemoryError or RecursionError."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ast.parse(text.strip(), mode="eval").body


def check_text(text: object) -> None:
    """Refuse what is not a short line of plain characters. Python folds look-alike letters into one name and skips
    comments: what is shown would not be what runs."""
    if not isinstance(text, str):
        raise FormulaError(f"a formula is text in quotes, got {shorten(repr(text))} ({type(text).__name__})")
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(f"formula too long: {len(text)} characters, at most {MAX_CHARACTERS}: {shorten(text)!r}")
    odd = re.search(r"[^\n\t\x20-\x7e]|[#\\\\]", text)
    if odd is not None:
        raise FormulaError(
            f"in formula {shorten(text)!r}, at {odd.group()!r} (character {odd.start() + 1}): a formula has plain "
            "ASCII letters, digits and operators only, and no comment"
        )


def check_name(text: str, name: str) -> None:
    if name.startswith("_") or keyword.iskeyword(name):
        raise FormulaError(
            f"in formula {shorten(text)!r}, at {name!r}: a name begins with a letter and is no Python keyword"
        )


def check_number(text: str, node: ast.expr, value: float) -> None:
    """A number as everyone writes it: the oracle reads the same text with its own precision."""
    written = ast.get_source_segment(text.strip(), node) or repr(value)
    if not abs(value) <= 1e300:
        raise refusal(text, node, "a number must be finite and at most 1e300 in size")
    if not re.fullmatch(r"[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?", written):
        raise refusal(text, node, "a number is written in decimal digits, such as 1e-3")
    if abs(value) < 1e-300 and re.search("[1-9]", written.lower().split("e")[0]):
        raise refusal(text, node, "a number other than zero must be at least 1e-300 in size")


def check_power(text: str, node: ast.BinOp) -> None:
    """`9**9**9` has 370 million digits: refuse powers of plain numbers that no float can hold."""
    try:
        value = plain_number(node)
    except OverflowError:
        raise refusal(text, node, "this power of numbers is larger than 1e300") from None
    if value is not None and not abs(value) <= 1e300:
        raise refusal(text, node, "this power of numbers is larger than 1e300")


def plain_number(node: ast.expr, depth: int = 0) -> float | None:
    """The value of an expression of numbers alone, in floating point; None where a name takes part."""
    if depth > MAX_DEPTH:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp):
        inner = plain_number(node.operand, depth + 1)
        return -inner if inner is not None and isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        left, right = plain_number(node.left, depth + 1), plain_number(node.right, depth + 1)
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


def shorten(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:100]}... ({len(text)} characters)"


def refusal(text: str, node: ast.expr, why: str) -> FormulaError:
    part = ast.get_source_segment(text.strip(), node) or ast.unparse(node)
    return FormulaError(f"in formula {shorten(text)!r}, at {shorten(part)!r}: {why}")
