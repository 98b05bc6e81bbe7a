"""Edits of the order: names and keys that stand for others, statements that are left out or exchanged."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from crossnn.causes.rewrites import shrunk
from crossnn.causes.source_places import Edit, Parents, put

NEAR = 3
"""Statements that stand so near are exchanged."""


def _keys(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """params["wq"] becomes params["wk"]."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        root = _function_around(node, parents)
        keys = {
            one.slice.value: None
            for one in ast.walk(root)
            if isinstance(one, ast.Subscript)
            and isinstance(one.slice, ast.Constant)
            and isinstance(one.slice.value, str)
            and ast.unparse(one.value) == ast.unparse(node.value)
        }
        for key in keys:
            if key != node.slice.value:
                new = ast.Subscript(node.value, ast.Constant(key), node.ctx)
                yield put("swapped arguments", number, new)


def _function_around(node: ast.AST, parents: Parents) -> ast.AST:
    root = node
    while id(root) in parents and not isinstance(root, ast.FunctionDef):
        root = parents[id(root)]
    return root


def _names(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """A variable becomes another one of the same function."""
    around = parents.get(id(node))
    if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
        return
    if (isinstance(around, ast.Call) and around.func is node) or isinstance(around, ast.Attribute):
        return
    root = _function_around(node, parents)
    stored = {one.id for one in ast.walk(root) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    given = {one.arg for one in ast.walk(root) if isinstance(one, ast.arg)}
    lists = {
        target.id for one in ast.walk(root) if isinstance(one, ast.Assign) and isinstance(one.value, ast.List)
        for target in one.targets if isinstance(target, ast.Name)
    }  # fmt: skip
    stored -= lists  # a list that is put into itself would never end
    if node.id not in stored | given:
        return
    for other in sorted((stored | given) - {node.id}):
        cause = "swapped arguments" if {node.id, other} <= given else "another variable"
        yield put(cause, number, ast.Name(other, ast.Load()))


def _statements(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """A statement is left out, or changes places with one that follows."""
    around = parents.get(id(node))
    body = getattr(around, "body", None)
    if any(isinstance(one, ast.While) for one in _around(node, parents)):
        return  # it might never end
    if not isinstance(node, ast.stmt) or not isinstance(body, list) or node not in body:
        return
    *_, root = _around(node, parents)
    numbers = {id(one): place for place, one in enumerate(ast.walk(root))}
    place = body.index(node)
    for other in itertools.islice(body, place + 1, place + 1 + NEAR):
        if not isinstance(other, ast.Return) and not isinstance(node, ast.Return):
            new = partial(_exchanged, ast.dump(node), node, other)
            yield Edit("order of steps", number, new, (numbers[id(other)],))
    if isinstance(node, ast.Assign | ast.AugAssign | ast.If):
        yield Edit("missing step", number, lambda _: ast.Pass())


def _around(node: ast.AST, parents: Parents) -> Iterator[ast.AST]:
    while id(node) in parents:
        node = parents[id(node)]
        yield node


def _inside_out(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """f(a + b) becomes f(a) + b, and the reverse; so with products."""
    if any(isinstance(one, ast.Name) and one.id in ("math", "range", "len", "int") for one in ast.walk(node)):
        return
    if isinstance(node, ast.Call) and node.args and isinstance(inner := node.args[0], ast.BinOp):
        for kept, other in ((inner.left, inner.right), (inner.right, inner.left)):
            call = ast.Call(node.func, [kept, *node.args[1:]], node.keywords)
            yield put("order of steps", number, ast.BinOp(call, inner.op, other))
    if isinstance(node, ast.BinOp):
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(one, ast.Call) and one.args and not isinstance(one.args[0], ast.Constant):
                argument = ast.BinOp(one.args[0], node.op, other)
                yield put("order of steps", number, ast.Call(one.func, [argument, *one.args[1:]], one.keywords))


def _exchanged(first: str, one: ast.stmt, other: ast.stmt, node: Any) -> ast.AST:
    return other if ast.dump(node) == first else one


ORDER = (_inside_out, _keys, _statements, _names, shrunk)
