"""Edits of update rules: Nesterov's momentum or plain one, a state that is taken before its update, weight decay that
is decoupled or a part of the gradient."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from crossnn.causes.source_places import Edit, Parents, function_around, put, same


def _assignments(root: ast.AST) -> Iterator[tuple[ast.expr, ast.expr, ast.Assign]]:
    for one in ast.walk(root):
        if isinstance(one, ast.Assign) and len(one.targets) == 1:
            target, value = one.targets[0], one.value
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
                yield from ((a, b, one) for a, b in zip(target.elts, value.elts, strict=True))
            else:
                yield target, value, one


def _nesterov(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Behind v = c*v + g, what takes v takes c*v + g once more; and the reverse."""
    if not isinstance(node, ast.BinOp | ast.Name | ast.Attribute) or isinstance(getattr(node, "ctx", None), ast.Store):
        return
    for velocity, update, statement in _assignments(function_around(node, parents)):
        if not _decays(velocity, update) or _within(node, statement, parents):
            continue
        if _is_update(node, update) and node.lineno < statement.lineno:
            yield from _stale(node, statement, parents)
        if node.lineno <= statement.lineno or not _added(node, parents):
            continue
        if _is_update(node, update):
            yield put("Nesterov momentum", number, _loaded(velocity))
        elif same(node, velocity):
            yield put("Nesterov momentum", number, copy.deepcopy(update))


def _is_update(node: ast.AST, update: ast.expr) -> bool:
    """c*v + g, or g + c*v."""
    if same(node, update):
        return True
    return isinstance(update, ast.BinOp) and isinstance(update.op, ast.Add) and same(
        node, ast.BinOp(update.right, update.op, update.left)
    )  # fmt: skip


def _stale(node: ast.AST, update: ast.Assign, parents: Parents) -> Iterator[Edit]:
    """What takes the new state stands right before the update: the two change places."""
    while not isinstance(node, ast.stmt):
        node = parents[id(node)]
    body = getattr(parents.get(id(node)), "body", None)
    if isinstance(body, list) and node in body and body[body.index(node) + 1 : body.index(node) + 2] == [update]:
        first, second, before = node, update, ast.dump(node)
        places = {id(one): place for place, one in enumerate(ast.walk(_root(node, parents)))}
        swap = partial(_swapped, before, first, second)
        yield Edit("order of steps", places[id(first)], swap, (places[id(second)],), single=True)


def _swapped(before: str, first: ast.stmt, second: ast.stmt, node: Any) -> ast.AST:
    return second if ast.dump(node) == before else first


def _root(node: ast.AST, parents: Parents) -> ast.AST:
    while id(node) in parents:
        node = parents[id(node)]
    return node


def _decays(velocity: ast.expr, update: ast.expr) -> bool:
    """c*v + g, with v itself a factor."""
    if not isinstance(update, ast.BinOp) or not isinstance(update.op, ast.Add | ast.Sub):
        return False
    for side in (update.left, update.right):
        if isinstance(side, ast.BinOp) and isinstance(side.op, ast.Mult):
            for share, of in ((side.left, side.right), (side.right, side.left)):
                if same(of, velocity) and isinstance(share, ast.Constant | ast.Name | ast.Attribute):
                    return True
    return False


def _loaded(target: ast.expr) -> ast.expr:
    new = copy.deepcopy(target)
    new.ctx = ast.Load()  # type: ignore[attr-defined]
    return new


def _within(node: ast.AST, statement: ast.AST, parents: Parents) -> bool:
    while id(node) in parents:
        node = parents[id(node)]
        if node is statement:
            return True
    return False


def _added(node: ast.AST, parents: Parents) -> bool:
    up = parents.get(id(node))
    while up is not None and not isinstance(up, ast.stmt):
        if isinstance(up, ast.BinOp) and isinstance(up.op, ast.Add | ast.Sub):
            return True
        up = parents.get(id(up))
    return False


def _decay(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """w = w*(1 - rate*decay) is left out, and decay*w is added to the gradient: coupled, as in plain Adam."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return
    weight, body = node.targets[0], getattr(parents.get(id(node)), "body", [])
    product = _shrinks(weight, node.value)
    if product is None or not isinstance(body, list) or node not in body:
        return
    for gradient in body[: body.index(node)]:
        if _is_gradient(gradient):
            for decay in (product.left, product.right):
                added = ast.BinOp(gradient.value, ast.Add(), ast.BinOp(decay, ast.Mult(), _loaded(weight)))
                yield _both(node, ast.Pass(), gradient, ast.Assign(gradient.targets, added), parents)


def _coupled(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """decay*w is left out of the gradient, and rate*decay*w taken from the weight beside the step: decoupled."""
    body = getattr(parents.get(id(node)), "body", [])
    if not _is_gradient(node) or not isinstance(body, list) or node not in body:
        return
    assert isinstance(node, ast.Assign)
    added = node.value
    if not isinstance(added, ast.BinOp) or not isinstance(added.op, ast.Add):
        return
    for rest, term in ((added.left, added.right), (added.right, added.left)):
        for step in body[body.index(node) + 1 :]:
            if not isinstance(step, ast.Assign) or not isinstance(step.value, ast.BinOp) or len(step.targets) != 1:
                continue
            weight, rate = step.targets[0], step.value.right
            decays = isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult)
            decays = decays and any(same(one, weight) for one in (term.left, term.right))  # type: ignore[attr-defined]
            if not decays or not isinstance(step.value.op, ast.Sub) or not same(step.value.left, weight):
                continue
            while isinstance(rate, ast.BinOp) and isinstance(rate.op, ast.Mult | ast.Div):
                rate = rate.left
            less = ast.BinOp(step.value, ast.Sub(), ast.BinOp(rate, ast.Mult(), term))
            yield _both(node, ast.Assign(node.targets, rest), step, ast.Assign(step.targets, less), parents)


def _is_gradient(node: Any) -> bool:
    assigned = isinstance(node, ast.Assign) and len(node.targets) == 1
    return assigned and ast.unparse(node.targets[0]).lower().startswith(("g", "dw", "dp"))


def _both(one: ast.stmt, new: ast.stmt, other: ast.stmt, with_it: ast.stmt, parents: Parents) -> Edit:
    """Two statements become two others."""
    places = {id(each): place for place, each in enumerate(ast.walk(_root(one, parents)))}
    before = ast.dump(one)

    def instead(node: Any) -> ast.AST:
        return new if ast.dump(node) == before else with_it

    return Edit("decoupled weight decay", places[id(one)], instead, (places[id(other)],), single=True)


def _shrinks(weight: ast.expr, value: ast.expr) -> ast.BinOp | None:
    """rate*decay of w*(1 - rate*decay) and of w - rate*decay*w."""
    match value:
        case ast.BinOp(left=kept, op=ast.Mult(), right=ast.BinOp(ast.Constant(value=1), ast.Sub(), share)):
            whole = True
        case ast.BinOp(left=kept, op=ast.Sub(), right=ast.BinOp(share, ast.Mult(), of)):
            whole = same(of, kept)
        case _:
            return None
    product = isinstance(share, ast.BinOp) and isinstance(share.op, ast.Mult)
    return share if whole and product and same(kept, weight) else None  # type: ignore[return-value]


UPDATES = (_nesterov, _decay, _coupled)
