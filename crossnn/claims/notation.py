"""What slides write and the grammar of formulas does not: `X.T`, `max(x, 0)`, `ln`, `softmax`, `norm(w)`.

A sheet is typed in by a lecturer, so the usual names are understood and written out before a text is read. A text that
needs none of this stays as it is, letter by letter.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache

from crossnn.errors import FormulaError
from crossnn.formula.grammar import Formula, parse, parse_assignment
from crossnn.formula.limits import check_text, python_tree

FUNCTIONS: Mapping[str, str] = {
    "ln": "log(a)", "atan": "arctan(a)", "arctg": "arctan(a)", "tg": "tan(a)", "th": "tanh(a)", "sh": "sinh(a)",
    "ch": "cosh(a)", "sigma": "sigmoid(a)", "logistic": "sigmoid(a)", "relu": "maximum(a, 0)",
    "softplus": "log(1 + exp(a))", "step": "where(a >= 0, 1, 0)", "sgn": "sign(a)", "log2": "log(a)/log(2)",
    "log10": "log(a)/log(10)", "softmax": "exp(a)/sum(exp(a), axis=-1, keepdims=True)",
    "logsumexp": "log(sum(exp(a)))", "norm": "sqrt(sum(a**2))", "var": "mean((a - mean(a))**2)",
    "std": "sqrt(mean((a - mean(a))**2))", "dot": "sum(a*b)", "square": "a**2",
}  # fmt: skip
"""Name -> what it is, of its arguments a and b."""
PAIRS: Mapping[str, str] = {"max": "maximum", "min": "minimum", "maximum": "maximum", "minimum": "minimum"}
TRANSPOSED = "T"


class _Written(ast.NodeTransformer):
    """Every call of a slide's function as what it is."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return _call("transpose", node.value) if node.attr == TRANSPOSED else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Name):
            return node
        name, given = node.func.id, node.args
        if (
            name in PAIRS
            and len(given) > 1
            and not node.keywords
            and not any(isinstance(one, ast.Starred) for one in given)
        ):
            result = given[0]
            for other in given[1:]:
                result = _call(PAIRS[name], result, other)
            return result
        if name not in FUNCTIONS or node.keywords:
            return node
        wanted = "ab" if "b" in _names(FUNCTIONS[name]) else "a"
        if len(given) != len(wanted):
            raise FormulaError(f"{name} takes {len(wanted)} argument(s), got {len(given)}: {ast.unparse(node)!r}")
        values = dict(zip(wanted, given, strict=True))
        meant: ast.expr = _Filled(values).visit(ast.parse(FUNCTIONS[name], mode="eval").body)
        return meant


class _Filled(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.values.get(node.id, node)


def _names(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])


def read(text: str) -> Formula:
    """An expression of a sheet."""
    return parse(plain(text))


def read_line(text: str) -> Formula:
    """A line `name = expression` of a sheet."""
    return parse_assignment(plain(text))


@lru_cache(maxsize=1024)
def plain(text: str) -> str:
    """A text in the grammar of formulas; of an assignment, its right side."""
    check_text(text)
    head, body = _parted(text)
    try:
        tree = python_tree(body)
        written = _Written().visit(tree)
        changed = ast.unparse(ast.fix_missing_locations(written))
        if changed == ast.unparse(python_tree(body)):
            return text
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text  # the grammar will say what is wrong with it
    return f"{head}{changed}"


def _parted(text: str) -> tuple[str, str]:
    """`name = ` and what is assigned; nothing before an expression."""
    head, sign, body = text.partition("=")
    if sign and head.strip().isidentifier() and not body.startswith("="):
        return f"{head.strip()} = ", body
    return "", text
