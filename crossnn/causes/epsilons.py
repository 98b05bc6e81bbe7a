"""Edits of the place of epsilon, and of the corrections 1 - b**t of averages that start at 0."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from crossnn.causes.keywords import constant
from crossnn.causes.source_places import Edit, Parents, last_name, put


def _is_small(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, float) and 0 < node.value <= 1e-2
    return "eps" in last_name(node)


def epsilons(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """sqrt(x + eps) becomes sqrt(x) + eps, and the reverse."""
    half = ast.Constant(0.5)
    if isinstance(node, ast.Call) and "sqrt" in last_name(node.func):
        inside = node.args[0] if node.args else getattr(node.func, "value", None)
        if isinstance(inside, ast.BinOp) and isinstance(inside.op, ast.Add) and _is_small(inside.right):
            root = ast.BinOp(ast.BinOp(inside.left, ast.Pow(), half), ast.Add(), inside.right)
            one = ast.BinOp(ast.Constant(1.0), ast.Div(), root) if "rsqrt" in last_name(node.func) else root
            yield Edit("epsilon", number, lambda _: one)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and _is_small(node.right):
        square = ast.BinOp(ast.BinOp(node.left, ast.Pow(), ast.Constant(2)), ast.Add(), node.right)
        yield Edit("epsilon", number, lambda _: ast.BinOp(square, ast.Pow(), half))
        yield Edit("epsilon", number, lambda _: node.left)
        for correction in _corrections(node, parents):
            for way, power in ((ast.Mult(), 0.5), (ast.Div(), 0.5), (ast.Mult(), 1.0), (ast.Div(), 1.0)):
                part = ast.BinOp(correction, ast.Pow(), ast.Constant(power))
                yield put("epsilon", number, ast.BinOp(node.left, ast.Add(), ast.BinOp(node.right, way, part)))


def bias_corrections(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """1 - b**t becomes 1; all of them first."""
    if _is_correction(node):
        root: ast.AST = node
        while id(root) in parents:
            root = parents[id(root)]
        others = tuple(place for place, one in enumerate(ast.walk(root)) if _is_correction(one) and one is not node)
        if others and number < others[0]:
            yield Edit("bias correction", number, constant(1.0), others)
        yield put("bias correction", number, ast.Constant(1.0))


def _is_correction(one: ast.AST) -> bool:
    return (
        isinstance(one, ast.BinOp) and isinstance(one.op, ast.Sub) and isinstance(one.left, ast.Constant)
        and one.left.value == 1 and isinstance(one.right, ast.BinOp) and isinstance(one.right.op, ast.Pow)
    )  # fmt: skip


def _corrections(node: ast.AST, parents: Parents) -> Iterator[ast.expr]:
    """1 - b**t of the function around, and names of it: what an epsilon beside an uncorrected root is off by."""
    root = node
    while id(root) in parents and not isinstance(root, ast.FunctionDef):
        root = parents[id(root)]
    found = {ast.unparse(one): one for one in ast.walk(root) if isinstance(one, ast.BinOp) and _is_correction(one)}
    yield from found.values()
