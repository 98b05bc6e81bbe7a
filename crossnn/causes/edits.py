"""What is edited in a port's source, and what the mistake is called if that mends it.

Keywords and constants (keywords.py), the place of epsilon, a mean for a sum, shares that change places, a sign, a
transpose, a call or a factor that is left out, a count.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from crossnn.causes.counts import counts
from crossnn.causes.dropout import dropout
from crossnn.causes.epsilons import bias_corrections, epsilons
from crossnn.causes.keywords import constant, keywords, named_constants
from crossnn.causes.source_places import (
    Definition,
    Edit,
    Parents,
    alike,
    calls_around,
    last_name,
    names_in,
    parents_of,
)

REDUCTIONS = {"mean": "sum", "sum": "mean", "reduce_mean": "reduce_sum", "reduce_sum": "reduce_mean"}
TO_PROBABILITIES = ("softmax", "log_softmax", "sigmoid", "log_sigmoid", "logsigmoid", "expit")
SQUASHING = ("sigmoid", "expit", "tanh", "softplus", "erf")
KEEPING = ("mask", "keep", "drop")
"""Names of what dropout multiplies by."""


Table = Callable[[int, ast.AST, Parents, Sequence[float]], Iterator[Edit]]


def edits(tree: Definition, known: Sequence[float], tables: Sequence[Table]) -> Iterator[Edit]:
    """Every change of these tables, in their order. `known`: the constants of the other port."""
    nodes = list(ast.walk(tree))
    parents = parents_of(tree)
    for table in tables:
        for number, node in enumerate(nodes):
            like = tuple(alike(nodes, number))
            for edit in table(number, node, parents, known):
                yield edit
                if like and number < like[0] and not edit.single:
                    yield replace(edit, also=like)


def _reductions(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if isinstance(node, ast.Attribute) and node.attr in REDUCTIONS:
        yield Edit("reduction", number, lambda one: ast.Attribute(one.value, REDUCTIONS[one.attr], ast.Load()))


def _signs(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield Edit("sign", number, lambda one: ast.BinOp(one.left, other, one.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield Edit("sign", number, lambda one: one.operand)


def _transposes(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        yield Edit("transposed kernel", number, lambda one: one.value)
    parent = parents.get(id(node))
    if isinstance(node, ast.expr) and isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.MatMult):
        yield Edit("transposed kernel", number, lambda one: ast.Attribute(one, "T", ast.Load()))


def _probabilities(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """A softmax or sigmoid is left out."""
    if isinstance(node, ast.Call) and last_name(node.func) in TO_PROBABILITIES:
        yield Edit("from logits", number, _operand)


def _operand(call: ast.Call) -> ast.AST:
    """z of softmax(z), F.softmax(z, -1) and z.softmax(-1)."""
    first = call.args[0] if call.args else None
    if first is not None and not isinstance(first, ast.Constant | ast.UnaryOp):
        return first
    return call.func.value if isinstance(call.func, ast.Attribute) else call


def _blends(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """z*a + (1 - z)*b becomes z*b + (1 - z)*a; so does lerp."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = node.left, node.right
        if not (isinstance(left, ast.BinOp) and isinstance(right, ast.BinOp)):
            return
        if not (isinstance(left.op, ast.Mult) and isinstance(right.op, ast.Mult)):
            return
        for one, two in ((a, b) for a in (0, 1) for b in (0, 1)):
            share, kept = (left.left, left.right)[:: 1 - 2 * one]
            rest, other = (right.left, right.right)[:: 1 - 2 * two]
            if _complements(share, rest):
                turned = ast.BinOp(ast.BinOp(share, ast.Mult(), other), ast.Add(), ast.BinOp(rest, ast.Mult(), kept))
                yield Edit(_blend_cause(share, rest), number, partial(_instead, turned))
    elif isinstance(node, ast.Call) and last_name(node.func) == "lerp" and len(node.args) == 3:
        yield Edit(_blend_cause(node.args[2], node.args[2]), number, _turned)


def _turned(call: ast.Call) -> ast.AST:
    first, second, *rest = call.args
    return ast.Call(call.func, [second, first, *rest], call.keywords)


def _complements(one: ast.AST, other: ast.AST) -> bool:
    """z and 1 - z, in either order."""
    if isinstance(one, ast.Constant) and isinstance(other, ast.Constant):
        return type(one.value) is type(other.value) is float and abs(one.value + other.value - 1) < 1e-12
    return f"1 - {ast.unparse(one)}" == ast.unparse(other) or f"1 - {ast.unparse(other)}" == ast.unparse(one)


def _blend_cause(one: ast.AST, other: ast.AST) -> str:
    """Shares that are numbers, or named after one, belong to an average; others are gates."""
    words = names_in(one) | names_in(other)
    number = isinstance(one, ast.Constant) or any(part in word for word in words for part in ("momentum", "decay"))
    return "batch-norm momentum" if number else "swapped gates"


def _factors(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """A constant factor is left out; any product is doubled or halved."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        cause = _factor_cause(number, node, parents)
        if isinstance(node.right, ast.Constant):
            yield Edit(cause, number, lambda one: one.left)
        if isinstance(node.left, ast.Constant) and isinstance(node.op, ast.Mult):
            yield Edit(cause, number, lambda one: one.right)
        for factor in (2.0, 0.5):
            yield Edit("factor", number, partial(_times, factor))


def _factor_cause(number: int, node: ast.BinOp, parents: Parents) -> str:
    around = parents.get(id(node))
    if isinstance(around, ast.Call) and last_name(around.func) in SQUASHING:
        return "activation slope"
    if any(part in word.lower() for word in names_in(node) for part in KEEPING):
        return "training or inference"
    return "factor"


def _operands(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """A factor or a divisor that is no constant is left out. In inference, one that says how much was kept."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        sides = [(node.right, node.left)] if isinstance(node.op, ast.Div) else [
            (node.right, node.left), (node.left, node.right)
        ]  # fmt: skip
        for left_out, kept in sides:
            if not isinstance(left_out, ast.Constant):
                one_minus = isinstance(left_out, ast.BinOp) and isinstance(left_out.op, ast.Sub)
                rate = one_minus and any("rate" in word or word == "p" for word in names_in(left_out))
                cause = "training or inference" if rate else _factor_cause(number, node, parents)
                yield Edit(cause, number, partial(_instead, kept))


def _instead(new: ast.expr, _: Any) -> ast.AST:
    return new


def _times(factor: float, one: Any) -> ast.AST:
    return ast.BinOp(ast.Constant(factor), ast.Mult(), one)


def _other_constants(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Any number becomes one that the other port has."""
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        squashed = any(name in SQUASHING for name in calls_around(node, parents))
        cause = "activation slope" if squashed else "constant"
        near = [one for one in known if one != node.value and 1e-3 * abs(node.value) < abs(one) < 1e3 * abs(node.value)]
        yield from (Edit(cause, number, constant(one)) for one in near)


def _kept_shares(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Of these only what dropout multiplies by."""
    yield from (one for one in _operands(number, node, parents, known) if one.cause == "training or inference")


TELLING: Sequence[Table] = (
    keywords, dropout, epsilons, named_constants, _reductions, _probabilities, _blends,
    bias_corrections, _signs, _transposes, _factors, counts,
    _kept_shares,
    _other_constants,
)  # fmt: skip
OPERANDS: Sequence[Table] = (_operands,)
