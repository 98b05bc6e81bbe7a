"""Edits of whole numbers: one more, one less; what that is called depends on what they count."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import partial

from crossnn.causes.keywords import ALONG, constant
from crossnn.causes.source_places import Edit, Parents, calls_around, hint_of, last_name


def counts(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Whole numbers one larger or smaller; both ends of a range."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        cause = _count_cause(node, parents)
        if cause is None:
            return
        yield from (Edit(cause, number, constant(one)) for one in (node.value - 1, node.value + 1))
    if isinstance(node, ast.Call) and last_name(node.func) in ("range", "arange") and len(node.args) > 1:
        yield from (Edit("off-by-one step", number, partial(_shifted, by)) for by in (ast.Sub(), ast.Add()))


def _count_cause(node: ast.Constant, parents: Parents) -> str | None:
    """What a whole number counts; None for axes, which have their own table."""
    around, hint = parents.get(id(node)), hint_of(node, parents)
    if isinstance(around, ast.UnaryOp):
        around = parents.get(id(around))
    calls = " ".join(calls_around(node, parents)) + hint
    if any(word in hint for word in ("axis", "axes", "dim")):
        return None
    match around:
        case ast.Call() if any(part in last_name(around.func).lower() for part in ALONG):
            return None
        case ast.BinOp(op=ast.Pow()) | ast.Call(func=ast.Attribute(attr="pow")):
            return "another function" if around.left is not node else "constant"  # type: ignore[union-attr]
        case ast.BinOp(op=ast.Mult() | ast.Div() | ast.FloorDiv()):
            return "factor"
        case ast.BinOp(op=ast.Sub(), left=ast.Constant()):
            return "constant"
        case ast.BinOp(op=ast.Add() | ast.Sub()) if not any(
            isinstance(one, ast.Name) for one in (around.left, around.right)
        ):
            if not _counting(around, parents):
                return "constant"
        case ast.Compare():
            return "off-by-one step" if any(isinstance(one, ast.BinOp) for one in ast.walk(around)) else "mask"
        case ast.keyword() if not any(word in hint for word in ("k", "diagonal", "offset", "start", "step", "pad")):
            return "constant"
    return "padding" if any(word in calls for word in ("pad", "conv", "pool")) else "off-by-one step"


def _counting(node: ast.AST, parents: Parents) -> bool:
    """Whether a calculation is an index, the end of a range, or a power."""
    up: ast.AST | None = node
    while up is not None and not isinstance(up, ast.stmt):
        around = parents.get(id(up))
        if isinstance(around, ast.Subscript | ast.Slice) and getattr(around, "value", None) is not up:
            return True
        if isinstance(around, ast.Call) and last_name(around.func) in ("range", "arange", "eye", "tril", "triu"):
            return True
        if isinstance(around, ast.BinOp) and isinstance(around.op, ast.Pow) and around.right is up:
            return True
        up = around
    return False


def _shifted(by: ast.operator, call: ast.Call) -> ast.AST:
    ends = [ast.BinOp(end, by, ast.Constant(1)) for end in call.args[:2]]
    return ast.Call(call.func, [*ends, *call.args[2:]], call.keywords)
