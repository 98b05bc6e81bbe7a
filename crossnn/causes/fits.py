"""Causes that show when one number in a source is solved for: a constant, or a factor, summand or exponent that is
missing somewhere.

The number is found by Newton's method on all results together, and counts only if everything then agrees to within
rounding and it is a number that somebody would write. One number cannot make many results right by chance.
"""

from __future__ import annotations

import ast
import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from crossnn.causes.names import Site, named
from crossnn.causes.nice_numbers import Nice
from crossnn.causes.ratios import explained
from crossnn.causes.source_places import calls_around, hint_of, parents_of, replaced, shown_around
from crossnn.causes.sources import PORT, Source, constants, sides
from crossnn.causes.suspect import Suspect, Trial

FITTED = "fitted_number"
SECONDS = 2.5
"""For one source."""
STEPS = 8
ACTIVATIONS = ("relu", "elu", "gelu", "sigmoid", "tanh", "swish", "silu", "where", "maximum", "minimum", "clip",
               "clamp", "softplus", "mish", "expit", "erf", "slope", "alpha")  # fmt: skip
LOGARITHMS = (math.log(2), 1 / math.log(2), math.log(10), 1 / math.log(10))
Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Place:
    """One number to be found: the changed function, where the number is read from, its value as things are."""

    function: Callable[..., Any]
    space: dict[str, Any]
    start: float
    cause: Callable[[float], str]
    says: Callable[[float], str]


def numbers(suspect: Suspect) -> Iterator[Trial]:
    """Constants that have another value."""
    yield from _fitted(suspect, _constants)


def insertions(suspect: Suspect) -> Iterator[Trial]:
    """Factors, exponents and summands that are missing at some place."""
    yield from _fitted(suspect, _inserted)


def _fitted(suspect: Suspect, places: Callable[[Suspect, Source, str], Iterator[Place]]) -> Iterator[Trial]:
    if suspect.actual is None:
        return
    for source, other, begins, holds in sides(suspect, quick=True):
        port = begins == PORT
        run, target = (suspect.bad, suspect.expected) if port else (suspect.good, suspect.actual)
        nice, began = Nice(suspect, constants(other)), time.process_time()
        for place in places(suspect, source, begins):
            if time.process_time() - began > SECONDS:
                break
            for value in _solutions(place, run, target, nice):
                place.space[FITTED] = value
                yield Trial(place.cause(value), place.says(value), partial(_holds, holds, place, value))


def _holds(holds: Callable[..., bool], place: Place, value: float) -> bool:
    place.space[FITTED] = value
    return holds({}, place.function)


def _constants(suspect: Suspect, source: Source, begins: str) -> Iterator[Place]:
    for number, tree in enumerate(source.trees):
        nodes = list(ast.walk(tree))
        parents = parents_of(tree)
        for at, node in enumerate(nodes):
            if not isinstance(node, ast.Constant) or type(node.value) not in (float, int):
                continue
            value: Any = node.value
            calls = " ".join(calls_around(node, parents))
            if isinstance(value, int) and not _arithmetic(node, parents):
                continue
            alike = [
                place for place, one in enumerate(nodes)
                if isinstance(one, ast.Constant) and type(one.value) is type(value) and one.value == value
            ]  # fmt: skip
            port = begins == PORT
            hint, around = hint_of(node, parents), parents.get(id(node))
            added = isinstance(around, ast.BinOp) and isinstance(around.op, ast.Add | ast.Sub)
            before = shown_around(node, parents)
            others = [
                place for place, one in enumerate(nodes)
                if isinstance(one, ast.Constant) and type(one.value) is float and abs(1 - one.value - value) < 1e-12
            ] if isinstance(value, float) and 0 < value < 1 and value != 0.5 else []  # fmt: skip
            groups = [(at,)] + ([tuple(alike)] if len(alike) > 1 and alike[0] == at else [])
            if others and alike[0] == at:
                groups += [(*alike, *others)]
            for chosen in groups:
                changed = copy.deepcopy(tree)
                for one in sorted(chosen, reverse=True):
                    fitted: ast.expr = ast.Name(FITTED, ast.Load())
                    _put(changed, one, ast.BinOp(ast.Constant(1), ast.Sub(), fitted) if one in others else fitted)
                function, space = source.space(number, changed, {FITTED: float(value)})
                line = source.lines[number] + node.lineno - 1
                several = f" (and {len(chosen) - 1} more)" if len(chosen) > 1 else ""

                def says(new: float, value: float = value, line: int = line, before: str = before,
                         name: str = tree.name, several: str = several) -> str:  # fmt: skip
                    return f"{begins} when {value!r} in `{before}`, line {line}{several} of {name}, is {new:.10g}"

                yield Place(
                    function,
                    space,
                    float(value),
                    partial(_named, node, parents, port, partial(_cause, float(value), calls, hint, added)),
                    says,
                )


def _named(node: ast.AST, parents: Mapping[int, ast.AST], port: bool, cause: Callable[[float], str], new: float) -> str:
    return named(cause(new), Site(node, ast.Constant(new), parents, port))


def _arithmetic(node: ast.AST, parents: Mapping[int, ast.AST]) -> bool:
    """Whether a whole number is a part of a calculation with other numbers, not an index, axis or length."""
    around = parents.get(id(node))
    if isinstance(around, ast.UnaryOp):
        around = parents.get(id(around))
    if not isinstance(around, ast.BinOp):
        return False
    up: ast.AST | None = around
    while up is not None and not isinstance(up, ast.stmt):
        if isinstance(up, ast.Subscript | ast.Slice):
            return False
        up = parents.get(id(up))
    return True


def _put(tree: ast.AST, place: int, new: ast.expr) -> None:
    node = list(ast.walk(tree))[place]
    replaced(parents_of(tree)[id(node)], node, ast.copy_location(new, node))


def _cause(old: float, calls: str, hint: str, added: bool, new: float) -> str:
    if any(part in calls for part in ("bernoulli", "dropout", "uniform")) or "drop" in hint:
        return "training or inference"
    if "eps" in hint or 0 < max(abs(old), abs(new)) <= 1.1e-2:
        return "epsilon"
    if "smooth" in hint:
        return "label smoothing"
    if "momentum" in hint or "decay" in hint:
        return "batch-norm momentum"
    bent = ("clip", "clamp", "sigmoid", "tanh") if added else ACTIVATIONS
    if any(part in f"{calls} {hint}".lower() for part in bent):
        return "activation slope"
    if old and abs(new / old + 1) < 1e-12:
        return "sign"
    if old and any(abs(abs(new / old) * factor - 1) < 1e-9 for factor in LOGARITHMS):
        return "base of the logarithm"
    if old and any(abs(new / old / factor - 1) < 1e-12 for factor in (2, 0.5, 4, 0.25)):
        return "factor"
    return "constant"


def _inserted(suspect: Suspect, source: Source, begins: str) -> Iterator[Place]:
    number_name = ast.Name(FITTED, ast.Load())
    for way, start in ((ast.Mult, 1.0), (ast.Pow, 1.0), (ast.Add, 0.0)):
        for number, tree in enumerate(source.trees):
            parents = parents_of(tree)
            for at, node in enumerate(list(ast.walk(tree))):
                if not _whole(node, parents):
                    continue
                assert isinstance(node, ast.expr)
                changed = copy.deepcopy(tree)
                same = list(ast.walk(changed))[at]
                assert isinstance(same, ast.expr)
                _put(changed, at, ast.BinOp(copy.deepcopy(same), way(), number_name))
                function, space = source.space(number, changed, {FITTED: start})
                line = source.lines[number] + node.lineno - 1
                text = shown_around(node, parents, own=True)

                def says(new: float, text: str = text, line: int = line, name: str = tree.name, way: Any = way) -> str:
                    word = {ast.Mult: "times", ast.Pow: "to the power", ast.Add: "plus"}[way]
                    meaning = explained(suspect, 1 / new) if way is ast.Mult and new else None
                    also = f" ({meaning[1].removeprefix('it is ')})" if meaning and meaning[0] != "factor" else ""
                    return f"{begins} when `{text}`, line {line} of {name}, is taken {word} {new:.10g}{also}"

                yield Place(
                    function,
                    space,
                    start,
                    partial(_named, node, parents, begins == PORT, partial(_inserted_cause, suspect, way)),
                    says,
                )


def _whole(node: ast.AST, parents: Mapping[int, ast.AST]) -> bool:
    """Calculations, calls and names that hold numbers, and are no index or option."""
    if not isinstance(node, ast.BinOp | ast.Call | ast.Name | ast.Subscript | ast.Attribute):
        return False
    if isinstance(node, ast.Name | ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return False
    around = parents.get(id(node))
    if isinstance(around, ast.Attribute | ast.Subscript | ast.Slice | ast.keyword | ast.arguments | ast.For):
        return False
    return not (isinstance(around, ast.Call) and around.func is node)


def _inserted_cause(suspect: Suspect, way: type[ast.operator], new: float) -> str:
    if way is ast.Mult:
        meaning = explained(suspect, 1 / new) if new else None
        return meaning[0] if meaning else "factor"
    if way is ast.Add:
        return "epsilon" if abs(new) <= 1e-2 else "constant"
    return "another function"


def _solutions(place: Place, run: Callable[..., Outputs], target: Outputs, nice: Nice) -> Iterator[float]:
    """Numbers that somebody would write, near the one that makes all results right; none where there is none."""

    def results(value: float) -> np.ndarray:
        place.space[FITTED] = value
        found = run({}, place.function)
        if set(found) != set(target) or any(found[name].shape != one.shape for name, one in target.items()):
            raise ValueError("other results")
        return np.concatenate([found[name].reshape(-1) for name in target])

    try:
        wanted = np.concatenate([one.reshape(-1) for one in target.values()])
        known = np.isfinite(wanted)
        wanted, value = wanted[known], place.start
        at = results(value)[known]
        first = float(np.linalg.norm(wanted - at))
        if first < 1e-10 * float(np.linalg.norm(wanted)):
            return  # digits that are lost, which many numbers would bring back
        step, error = 0.0, first
        for count in range(STEPS):
            width = (abs(value) or 1.0) * 1e-5
            slope = (results(value + width)[known] - at) / width
            size = float(np.sum(slope * slope))
            if not size or not math.isfinite(size):
                return
            step = float(np.sum(slope * (wanted - at)) / size)
            after = results(value + step)[known]
            now = float(np.linalg.norm(wanted - after))
            if count == 0 and not now < 0.9 * error:
                step /= 4
                after = results(value + step)[known]
                now = float(np.linalg.norm(wanted - after))
            if not now < (0.95 if count < 2 else 0.5) * error:
                break
            value, at, error = value + step, after, now
            if error < 1e-13 * float(np.linalg.norm(wanted)) or abs(step) < 1e-12 * abs(value):
                break
        if error > 1e-4 * first or value == place.start:
            return
    except Exception:
        return
    yield from nice.near(value, place.start, max(abs(step), 1e-6 * abs(value), 1e-9 * (abs(place.start) or 1)))
