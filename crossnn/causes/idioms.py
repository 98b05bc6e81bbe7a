"""Edits of what has a name of its own: means over a mask, layer norm or RMS norm, the scale of attention, the side of a
padding, halves or pairs; update rules (updates.py). Few places fit, so they are tried before everything else."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Sequence
from typing import Any

from crossnn.causes.rewrites import reset_gates
from crossnn.causes.source_places import Edit, Parents, function_around, last_name, put, same
from crossnn.causes.updates import UPDATES

SUMS = {"mean": "sum", "reduce_mean": "reduce_sum"}
JOINED = ("concat", "concatenate", "cat")
HEADS = (2, 3, 4, 8)


def _masked_means(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """sum(a*m)/sum(m) becomes mean(a*m), and the reverse."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        one, by = node.left, node.right
        for mean, total in SUMS.items():
            if all(isinstance(each, ast.Call) and last_name(each.func) == total for each in (one, by)):
                yield put("reduction", number, _renamed(one, mean))
    if isinstance(node, ast.Call) and last_name(node.func) in SUMS:
        total, of = SUMS[last_name(node.func)], _subject(node)
        if isinstance(of, ast.BinOp) and isinstance(of.op, ast.Mult):
            for mask in (of.right, of.left):
                counted = _renamed(_on(node, mask), total)
                yield put("reduction", number, ast.BinOp(_renamed(node, total), ast.Div(), counted))


def _renamed(call: Any, name: str) -> ast.expr:
    new: ast.Call = copy.deepcopy(call)
    if isinstance(new.func, ast.Attribute):
        new.func.attr = name
    elif isinstance(new.func, ast.Name):
        new.func.id = name
    return new


MODULES = ("np", "numpy", "torch", "F", "jnp", "jax", "tf", "keras", "math", "ops")


def _is_function(call: ast.Call) -> bool:
    """np.mean(x), not x.mean()."""
    root: ast.expr = call.func
    while isinstance(root, ast.Attribute):
        root = root.value
    return isinstance(call.func, ast.Name) or (isinstance(root, ast.Name) and root.id in MODULES)


def _subject(call: ast.Call) -> ast.expr | None:
    if _is_function(call):
        return call.args[0] if call.args else None
    return call.func.value if isinstance(call.func, ast.Attribute) else None


def _on(call: ast.Call, subject: ast.expr) -> ast.Call:
    """The same call of something else."""
    new = copy.deepcopy(call)
    if _is_function(new):
        new.args[0] = copy.deepcopy(subject)
    elif isinstance(new.func, ast.Attribute):
        new.func.value = copy.deepcopy(subject)
    return new


def _centred(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """x / sqrt(mean(x**2)) becomes the same of x - mean(x)."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div | ast.Mult):
        return
    if not any(isinstance(one, ast.Call) and "sqrt" in last_name(one.func) for one in ast.walk(node)):
        return
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and last_name(call.func) in SUMS:
            x = _squared(_subject(call))
            if x is not None:
                centred = ast.BinOp(copy.deepcopy(x), ast.Sub(), _on(call, x))
                new = _Instead(ast.unparse(x), centred).visit(copy.deepcopy(node))
                yield put("RMS norm or layer norm", number, new)


def _squared(node: ast.AST | None) -> ast.expr | None:
    """x of x**2, x*x, square(x), x.square(), x.pow(2)."""
    match node:
        case ast.BinOp(left=x, op=ast.Pow(), right=ast.Constant(value=2)):
            return x
        case ast.BinOp(left=x, op=ast.Mult(), right=other) if same(x, other):
            return x
        case ast.Call() if last_name(node.func) in ("square", "pow"):
            return _subject(node)
    return None


class _Instead(ast.NodeTransformer):
    def __init__(self, text: str, new: ast.expr) -> None:
        self.text, self.new = text, new

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.expr) and ast.unparse(node) == self.text:
            return copy.deepcopy(self.new)
        return self.generic_visit(node)


def _attention_scales(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """sqrt(width) of one head or of all, where something is given to a softmax."""
    width: ast.expr | None = None
    if isinstance(node, ast.Call) and last_name(node.func) == "sqrt" and node.args:
        width = node.args[0]
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and ast.unparse(node.right) in ("0.5", "-0.5"):
        width = node.left
    if not isinstance(width, ast.Name | ast.Subscript | ast.Attribute | ast.Constant):
        return
    if "softmax" not in ast.unparse(function_around(node, parents)):
        return
    for heads in HEADS:
        for by in (ast.Mult(), ast.Div()):
            new = ast.BinOp(copy.deepcopy(width), by, ast.Constant(heads))
            yield put("attention scale", number, _Instead(ast.unparse(width), new).visit(copy.deepcopy(node)))


def _sides(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Padding at both ends, before, or behind only: as much in all."""
    if not isinstance(node, ast.Call):
        return
    called = last_name(node.func).lower()
    if "pad" in called or "conv" in called or "pool" in called or "window" in called:
        for way in ("before", "behind", "both"):
            moved = _Moved(way)
            new = copy.deepcopy(node)
            new.args = [new.args[0], *(moved.visit(one) for one in new.args[1:])] if new.args else []
            new.keywords = [ast.keyword(one.arg, moved.visit(one.value)) if "pad" in str(one.arg) else one
                            for one in new.keywords]  # fmt: skip
            if moved.found and not same(new, node):
                yield Edit("padding", number, lambda _, new=new: new, single=True)  # type: ignore[misc]
    width = next((one.value for one in node.keywords if one.arg == "padding"), None)
    if "conv1d" in called and width is not None and not isinstance(width, ast.Tuple | ast.List):
        twice = ast.BinOp(ast.Constant(2), ast.Mult(), width)
        kept = [ast.keyword("padding", twice) if one.arg == "padding" else one for one in node.keywords]
        cut = ast.Slice(None, ast.UnaryOp(ast.USub(), twice), None)
        whole = ast.Call(node.func, node.args, kept)
        ends = ast.Tuple([ast.Constant(...), cut], ast.Load())
        yield Edit("padding", number, lambda _: ast.Subscript(whole, ends, ast.Load()))


class _Moved(ast.NodeTransformer):
    """Every pair of widths, and pairs in a row, that are not 0 and 0."""

    def __init__(self, way: str) -> None:
        self.way, self.found = way, False

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, ast.Tuple | ast.List):
            return node
        if any(isinstance(one, ast.Tuple | ast.List) for one in node.elts):
            return type(node)([self.visit(one) for one in node.elts], ast.Load())
        if len(node.elts) % 2 or not node.elts:
            return node
        new: list[ast.expr] = []
        for first, second in zip(node.elts[::2], node.elts[1::2], strict=True):
            new += self._pair(first, second)
        return type(node)(new, ast.Load())

    def _pair(self, first: ast.expr, second: ast.expr) -> list[ast.expr]:
        zero: ast.expr = ast.Constant(0)
        if same(first, zero) and same(second, zero):
            return [first, second]
        self.found = True
        total = second if same(first, zero) else first if same(second, zero) else ast.BinOp(first, ast.Add(), second)
        half = ast.BinOp(total, ast.FloorDiv(), ast.Constant(2))
        ways: dict[str, list[ast.expr]] = {
            "before": [total, zero],
            "behind": [zero, total],
            "both": [half, ast.BinOp(total, ast.Sub(), half)],
        }
        return ways[self.way]


def _pairs(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Parts one after the other become parts whose elements take turns along the last axis; and the reverse."""
    if not isinstance(node, ast.Call):
        return
    root = node.func.value if isinstance(node.func, ast.Attribute) else None
    if last_name(node.func) in JOINED and isinstance(root, ast.Name) and node.args:
        parts = node.args[0]
        if isinstance(parts, ast.Tuple | ast.List) and len(parts.elts) > 1 and _axis(node) == "-1":
            yield put("channel order", number, _interleaved(root, parts))
    if last_name(node.func) in ("reshape", "flatten") and isinstance(inner := _subject(node), ast.Call):
        base = inner.func.value if isinstance(inner.func, ast.Attribute) else None
        if last_name(inner.func) == "stack" and isinstance(base, ast.Name) and _axis(inner) == "-1":
            joined = ast.Attribute(base, "concat" if base.id == "tf" else "concatenate", ast.Load())
            yield put("channel order", number, ast.Call(joined, [inner.args[0], ast.Constant(-1)], []))


def _axis(call: ast.Call) -> str:
    named = [one.value for one in call.keywords if one.arg in ("axis", "dim")]
    return ast.unparse((named or call.args[1:] or [ast.Constant(0)])[0])


def _interleaved(root: ast.Name, parts: ast.Tuple | ast.List) -> ast.expr:
    shape = ast.parse(f"(*({ast.unparse(parts.elts[0])}).shape[:-1], -1)", mode="eval").body
    stacked = ast.Call(ast.Attribute(root, "stack", ast.Load()), [parts, ast.Constant(-1)], [])
    return ast.Call(ast.Attribute(root, "reshape", ast.Load()), [stacked, shape], [])


IDIOMS = (reset_gates, *UPDATES, _masked_means, _centred, _attention_scales, _sides, _pairs)
