"""Causes that show when float32 is taken out of a port's source, or put into the reference's at one place."""

from __future__ import annotations

import ast
import copy
import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from crossnn.causes.edits import edits
from crossnn.causes.source_places import Edit, Parents, applied, last_name, put
from crossnn.causes.sources import PORT, sides
from crossnn.causes.suspect import Suspect, Trial
from crossnn.ports.port import NUMPY

NAME = "float32 constant"
ROUNDING = "in_float32"
SECONDS = 3.0
MAKING = ("tensor", "asarray", "array", "constant", "arange", "linspace", "zeros", "ones", "full", "convert_to_tensor",
          "eye", "as_tensor", "cast", "one_hot", "rand", "randn")  # fmt: skip


def rounded(suspect: Suspect) -> Iterator[Trial]:
    name = suspect.departing
    if name is None or suspect.actual is None or suspect.dtype != "float64":
        return
    actual, expected = suspect.actual[name], suspect.expected[name]
    if actual.shape != expected.shape:
        return
    size = float(np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected)))
    if not np.all(np.abs(actual - expected) <= 1e-4 * size, where=np.isfinite(expected)):
        return
    for source, _, begins, holds in sides(suspect):
        port, began = begins == PORT, time.process_time()
        if not port and suspect.right.port.backend != NUMPY:
            continue
        for number, tree in enumerate(source.trees):
            for edit in edits(tree, (), (_wider,) if port else (_narrower,)):
                if time.process_time() - began > SECONDS:
                    return
                changed = copy.deepcopy(tree)
                before, after, line = applied(changed, edit)
                says = (
                    f"{begins} when line {source.lines[number] + line - 1} of {tree.name} reads `{after}` instead of "
                    f"`{before}`"
                )
                helpers = {} if port else {ROUNDING: _in_float32}
                yield Trial(NAME, says, partial(_tried, source, number, changed, helpers, holds))


def _tried(source: Any, number: int, changed: Any, helpers: Any, holds: Any) -> bool:
    return bool(holds({}, source.built(number, changed, helpers)))


def _in_float32(value: Any) -> Any:
    """Rounded to float32, in the dtype that it had."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError("no floating-point number")
    found = array.astype(np.float32).astype(array.dtype)
    return found if isinstance(value, np.ndarray) else float(found)


def _wider(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """float32 becomes float64, float() double(); what makes an array makes one of float64; casts are left out."""
    if isinstance(node, ast.Attribute) and node.attr == "float32":
        yield Edit(NAME, number, lambda one: ast.Attribute(one.value, "float64", ast.Load()))
    if isinstance(node, ast.Constant) and node.value == "float32":
        yield Edit(NAME, number, lambda _: ast.Constant("float64"))
    if isinstance(node, ast.Call):
        called = last_name(node.func)
        if called == "float" and isinstance(node.func, ast.Attribute):
            yield Edit(NAME, number, lambda call: call.func.value)
        if called == "float32" and node.args:
            yield put(NAME, number, node.args[0])
        root: Any = node.func
        while isinstance(root, ast.Attribute):
            root = root.value
        if called in MAKING and isinstance(root, ast.Name) and root is not node.func:
            kept = [one for one in node.keywords if one.arg != "dtype"]
            dtype = ast.keyword("dtype", ast.Attribute(ast.Name(root.id, ast.Load()), "float64", ast.Load()))
            yield put(NAME, number, ast.Call(node.func, node.args, [*kept, dtype]))


def _narrower(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """One number, or one result, is rounded to float32."""
    around = parents.get(id(node))
    if isinstance(node, ast.Constant) and type(node.value) is not float:
        return
    if not isinstance(node, ast.Constant | ast.BinOp | ast.Call | ast.Name | ast.Attribute | ast.Subscript):
        return
    if isinstance(getattr(node, "ctx", None), ast.Store) or isinstance(around, ast.Attribute | ast.arguments):
        return
    if isinstance(around, ast.Call) and around.func is node:
        return
    yield put(NAME, number, ast.Call(ast.Name(ROUNDING, ast.Load()), [node], []))
