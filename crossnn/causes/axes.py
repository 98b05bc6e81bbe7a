"""Edits of the axes along which something is done: of one call, or of all that name the same."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from crossnn.causes.keywords import ALONG, AXES
from crossnn.causes.source_places import Edit, Parents, last_name


def axes(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Axes given by their place, pairs of axes, no axis."""
    if not isinstance(node, ast.Call) or not any(part in last_name(node.func).lower() for part in ALONG):
        return
    cause = "softmax axis" if "softmax" in last_name(node.func) else "axis"
    for place, one in enumerate(node.args):
        if _is_axis(one):
            same = _same_axis(node, parents)
            for axis in _other_axes(one):
                yield Edit(cause, number, partial(_with_argument, place, axis))
                if same:
                    yield Edit(cause, number, partial(_with_axis, axis), same, single=True)
    for keyword in node.keywords:
        if keyword.arg in ("axis", "dim", "axes", "dims") and _is_axis(keyword.value):
            same = _same_axis(node, parents)
            for axis in _other_axes(keyword.value):
                yield Edit(cause, number, partial(_with_keyword, keyword.arg, axis))
                if same:
                    yield Edit(cause, number, partial(_with_axis, axis), same, single=True)


def _axis_of(call: ast.AST) -> str | None:
    """The axis that a call names, as text."""
    if not isinstance(call, ast.Call) or not any(part in last_name(call.func).lower() for part in ALONG):
        return None
    named = [one.value for one in call.keywords if one.arg in ("axis", "dim")]
    return next((ast.unparse(one) for one in (*named, *call.args) if _is_axis(one)), None)


def _same_axis(node: ast.AST, parents: Parents) -> tuple[int, ...]:
    """All other calls that name the same axis, such as those of a mean and of a variance."""
    root = node
    while id(root) in parents:
        root = parents[id(root)]
    places = [place for place, one in enumerate(ast.walk(root)) if one is not node and _axis_of(one) == _axis_of(node)]
    nodes = list(ast.walk(root))
    return tuple(places) if places and nodes.index(node) < places[0] else ()


def _with_axis(new: ast.expr, call: Any) -> ast.AST:
    for place, one in enumerate(call.args):
        if _is_axis(one):
            return _with_argument(place, new, call)
    name = next(one.arg for one in call.keywords if one.arg in ("axis", "dim"))
    return _with_keyword(name, new, call)


def _with_argument(place: int, new: ast.expr, call: Any) -> ast.AST:
    return ast.Call(call.func, [*call.args[:place], new, *call.args[place + 1 :]], call.keywords)


def _with_keyword(name: str, new: ast.expr, call: Any) -> ast.AST:
    keywords = [ast.keyword(name, new) if one.arg == name else one for one in call.keywords]
    return ast.Call(call.func, call.args, keywords)


def _is_axis(one: ast.expr) -> bool:
    if isinstance(one, ast.Tuple | ast.List):
        return all(_is_axis(each) for each in one.elts)
    one = one.operand if isinstance(one, ast.UnaryOp) else one
    return isinstance(one, ast.Constant) and type(one.value) is int and abs(one.value) < 5


def _other_axes(one: ast.expr) -> Iterator[ast.expr]:
    pairs = itertools.combinations(range(4), 2)
    for axes in (*AXES, *pairs, (1, 2, 3), (0, 1, 2), (0, 2, 3)):
        new = ast.parse(repr(axes), mode="eval").body
        if ast.unparse(new) != ast.unparse(one):
            yield new
