"""Edits that take dropout out: masks that are drawn, or are called one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from crossnn.causes.source_places import Edit, Parents, inlined, last_name, names_in, put

KEEPING = ("bernoulli", "binomial", "dropout", "rand", "uniform", "mask", "keep")
"""Names of what dropout multiplies by, or draws."""


def _drawn(one: ast.expr, node: ast.AST, parents: Parents) -> bool:
    words = {word.lower() for word in names_in(one) | names_in(inlined(one, node, parents))}
    return any(part in word for word in words for part in KEEPING)


def dropout(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """where(mask, h / keep, 0), h * mask / keep and h * mask become h, where the mask is drawn or called one."""
    cause, found = "training or inference", []
    if isinstance(node, ast.Call) and last_name(node.func) == "where" and len(node.args) == 3:
        found = [node.args[1]] if _drawn(node.args[0], node, parents) else []
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        for kept, other in ((node.left, node.right), (node.right, node.left)):
            found += [kept] if _drawn(other, node, parents) else []
            if isinstance(kept, ast.BinOp) and isinstance(kept.op, ast.Mult):
                found += [kept.left] if _drawn(kept.right, node, parents) else []
                found += [kept.right] if _drawn(kept.left, node, parents) else []
    for one in found:
        yield put(cause, number, one)
        if isinstance(one, ast.BinOp) and isinstance(one.op, ast.Div | ast.Mult):
            yield put(cause, number, one.left)
            yield put(cause, number, one.right)
