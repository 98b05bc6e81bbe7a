"""Edits of what is computed: masks and dropout, reset gates, calls that are left out or others, operands that are
exchanged, axes, directions."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from crossnn.causes.axes import axes
from crossnn.causes.keywords import constant
from crossnn.causes.source_places import Edit, Parents, calls_around, hint_of, inlined, last_name, names_in, put

PRODUCTS = ("matmul", "dot", "linear", "mm")
OTHERS: Sequence[tuple[str, Sequence[str]]] = (
    ("reduction", ("mean", "sum", "max", "min", "amax", "amin")),
    ("reduction", ("reduce_mean", "reduce_sum", "reduce_max", "reduce_min")),
    ("mask", ("tril", "triu")),
    ("another function", ("minimum", "maximum")),
    ("another function", ("argmin", "argmax")),
    ("another function", ("floor", "ceil", "round", "rint")),
    ("base of the logarithm", ("log", "log2", "log10")),
    ("another function", ("log", "log1p")),
    ("another function", ("sin", "cos")),
    ("another function", ("exp", "expm1", "exp2")),
    ("another function", ("abs", "square", "sqrt", "rsqrt")),
    ("another function", ("softmax", "log_softmax")),
    ("pooling", ("max_pool1d", "avg_pool1d")),
    ("pooling", ("max_pool2d", "avg_pool2d")),
    ("RMS norm or layer norm", ("layer_norm", "rms_norm")),
    ("RMS norm or layer norm", ("LayerNorm", "RMSNorm")),
    ("decoupled weight decay", ("Adam", "AdamW")),
    ("decoupled weight decay", ("adam", "adamw")),
    ("initial state", ("zeros", "ones")),
    ("initial state", ("zeros_like", "ones_like")),
)
"""Functions of which one may stand where another is meant; what that mistake is called."""
TURNED: Mapping[type[ast.cmpop], Sequence[type[ast.cmpop]]] = {
    ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE), ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE),
}  # fmt: skip
LEFT_OUT: Sequence[tuple[str, Sequence[str]]] = (
    ("training or inference", ("drop", "noise")),
    ("float32 constant", ("float", "half", "astype")),
    ("another activation", ("relu", "elu", "gelu", "silu", "swish", "tanh", "softplus", "mish", "softsign")),
    ("channel order", ("transpose", "permute", "swapaxes", "movedim", "moveaxis")),
    ("direction", ("flip", "reverse", "fliplr", "flipud")),
    ("detached", ("detach", "stop_gradient")),
    ("mask", ("tril", "triu", "mask")),
    ("another function", ("sqrt", "square", "abs", "exp", "log", "clip", "clamp", "minimum", "maximum")),
)
"""A part of a function's name, and what it is called if leaving it out mends a port; "missing step" for others."""


def reset_gates(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """r * (h @ U + b) becomes (r * h) @ U + b, and the reverse."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        for gate, other in ((node.left, node.right), (node.right, node.left)):
            whole = inlined(other, node, parents)
            for place, one in enumerate(ast.walk(whole)):
                if _left(one) is not None:
                    yield put("reset gate", number, _inside(gate, whole, place))
    first = _left(node)
    if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mult):
        for gate, state in ((first.left, first.right), (first.right, first.left)):
            product = copy.deepcopy(node)
            _set_left(product, state)
            yield put("reset gate", number, ast.BinOp(gate, ast.Mult(), product))  # type: ignore[arg-type]


def _left(node: ast.AST) -> ast.expr | None:
    """h of h @ U and of matmul(h, U)."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        return node.left
    return node.args[0] if isinstance(node, ast.Call) and last_name(node.func) in PRODUCTS and node.args else None


def _set_left(node: Any, new: ast.expr) -> None:
    if isinstance(node, ast.BinOp):
        node.left = new
    else:
        node.args[0] = new


def _inside(gate: ast.expr, whole: ast.expr, place: int) -> ast.expr:
    new = copy.deepcopy(whole)
    product = list(ast.walk(new))[place]
    left = _left(product)
    assert left is not None
    _set_left(product, ast.BinOp(gate, ast.Mult(), left))
    return new


def _masks(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """A condition that is turned round, or takes equal numbers in; a where with one of its values only."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for other in TURNED.get(type(node.ops[0]), ()):
            strict = type(node.ops[0]) in (ast.Gt, ast.Lt) and other in (ast.GtE, ast.LtE)
            strict |= type(node.ops[0]) in (ast.GtE, ast.LtE) and other in (ast.Gt, ast.Lt) and (
                other.__name__[0] == type(node.ops[0]).__name__[0]
            )  # fmt: skip
            new = ast.Compare(node.left, [other()], node.comparators)
            yield put("off-by-one step" if strict else "mask", number, new)
    if isinstance(node, ast.Call) and last_name(node.func) == "where" and len(node.args) == 3:
        condition, first, second = node.args
        yield put("mask", number, ast.Call(node.func, [condition, second, first], node.keywords))
        yield put("mask", number, first)
        yield put("mask", number, second)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Invert | ast.Not):
        yield put("mask", number, node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and any("mask" in one for one in names_in(node)):
        yield put("mask", number, node.right)


def _other_calls(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        for cause, group in OTHERS:
            for other in group if name in group else ():
                if other != name:
                    yield Edit(cause, number, partial(_called, other))


def _called(other: str, call: Any) -> ast.AST:
    func = (
        ast.Attribute(call.func.value, other, ast.Load())
        if isinstance(call.func, ast.Attribute)
        else ast.Name(other, ast.Load())
    )
    return ast.Call(func, call.args, call.keywords)


def _calls_left_out(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if not isinstance(node, ast.Call):
        return
    name = last_name(node.func).lower()
    cause = next((cause for cause, parts in LEFT_OUT if any(part in name for part in parts)), "missing step")
    for place in dict.fromkeys((0, len(node.args) - 1)) if "drop" in name else (0,):
        if node.args and not isinstance(node.args[place], ast.Constant):
            yield Edit(cause, number, partial(_argument, place))
    if isinstance(node.func, ast.Attribute):
        yield Edit(cause, number, lambda call: call.func.value)


def _argument(place: int, call: Any) -> ast.AST:
    argument: ast.AST = call.args[place]
    return argument


def _terms(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """A summand is left out."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        for kept, other in ((node.left, node.right), (node.right, node.left)):
            if kept is node.right and isinstance(node.op, ast.Sub):
                continue
            bias = any(part in word.lower() for word in words_in(other) for part in ("bias", "beta"))
            cause = "missing bias" if bias and len(words_in(other)) <= 2 else "missing term"
            yield put(cause, number, kept)


def shrunk(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Only a part of a sum is left, two levels down."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        for side in (node.left, node.right):
            for part in ast.iter_child_nodes(side):
                if isinstance(part, ast.expr) and not isinstance(part, ast.Constant):
                    yield put("missing term", number, part)


def _negated(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """The other sign of a name, a call, or a calculation."""
    around = parents.get(id(node))
    if isinstance(around, ast.Attribute | ast.Subscript | ast.keyword | ast.arguments):
        return
    if isinstance(around, ast.Call) and around.func is node:
        return
    if isinstance(node, ast.Call | ast.BinOp) or (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)):
        yield Edit("sign", number, lambda one: ast.UnaryOp(ast.USub(), one))


def words_in(node: ast.AST) -> set[str]:
    """Names, and keys of parameters."""
    keys = {one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return names_in(node) | keys


def _directions(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Loops from the end; slices with a step of -1."""
    around = parents.get(id(node))
    if isinstance(around, ast.For) and around.iter is node and isinstance(node, ast.expr):
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if name == "reversed" and isinstance(node, ast.Call):
            yield put("direction", number, node.args[0])
        else:
            listed = ast.Call(ast.Name("list", ast.Load()), [node], [])
            yield put("direction", number, ast.Call(ast.Name("reversed", ast.Load()), [listed], []))
    if isinstance(node, ast.Subscript):
        for one in ast.walk(node.slice):
            if isinstance(one, ast.Slice) and one.step is not None and ast.unparse(one.step) == "-1":
                yield put("direction", number, node.value)


def _exchanged(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Operands, arguments, the values of a pair, the targets of an assignment in another order."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub | ast.Div | ast.MatMult | ast.Pow):
        cause = "sign" if isinstance(node.op, ast.Sub) else "swapped arguments"
        yield put(cause, number, ast.BinOp(node.right, node.op, node.left))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield put("factor", number, ast.BinOp(node.left, ast.Mult(), node.right))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield put("factor", number, ast.BinOp(node.left, ast.Div(), node.right))
        yield put("factor", number, ast.BinOp(node.right, ast.Div(), node.left))
    if isinstance(node, ast.Call) and len(node.args) > 1:
        first, second, *rest = node.args
        turned = ast.Call(node.func, [second, first, *rest], node.keywords)
        yield put("swapped arguments", number, turned)
    if isinstance(node, ast.Tuple | ast.List) and 2 <= len(node.elts) <= 4:
        around = parents.get(id(node))
        target = isinstance(node.ctx, ast.Store)
        calls = " ".join(calls_around(node, parents)) + hint_of(node, parents)
        padding = any(part in calls for part in ("pad", "conv", "pool"))
        cause = "swapped gates" if target else "padding" if padding else "swapped arguments"
        if target or not isinstance(around, ast.Subscript):
            for order in list(itertools.permutations(node.elts))[1:]:
                yield put(cause, number, type(node)(list(order), node.ctx))


def _slices(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """[1:] becomes [:-1], and the reverse."""
    if isinstance(node, ast.Slice) and node.step is None:
        lower = ast.unparse(node.lower) if node.lower is not None else ""
        upper = ast.unparse(node.upper) if node.upper is not None else ""
        if lower == "1" and not upper:
            yield Edit("off-by-one step", number, lambda _: ast.Slice(None, ast.Constant(-1), None))
        if upper == "-1" and not lower:
            yield Edit("off-by-one step", number, lambda _: ast.Slice(ast.Constant(1), None, None))


def _settings(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Stride and dilation of convolutions and pools; True and False that are given by place or by name."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        hint = hint_of(node, parents)
        named = {
            "nesterov": "Nesterov momentum",
            "bias": "missing bias",
            "keepdim": "axis",
            "keepdims": "axis",
            "reverse": "direction",
        }
        cause = next((cause for part, cause in named.items() if part in hint), "another setting")
        yield Edit(cause, number, constant(not node.value))


REWRITES = (
    _masks, axes, _directions, _settings, _slices, _calls_left_out, _other_calls, _terms,
    _negated, _exchanged,
)  # fmt: skip
