"""Causes that show when one place of a port's source is edited, as cause_edits.py proposes.

The edited function is compiled and called in memory, with the names that the original sees; so are those functions and
classes of the same module that it names. No file is changed. `causes=False` turns all of this off.
"""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

from crossnn.ports.cause_edits import edits
from crossnn.ports.causes import Suspect, Trial
from crossnn.ports.source_places import Definition, applied

LATE = annotations.compiler_flag
"""Annotations are not evaluated."""


@dataclass(frozen=True)
class Source:
    """Functions and classes of a module that name each other, the first the port; parsed, with the names they see."""

    trees: tuple[Definition, ...]
    lines: tuple[int, ...]
    names: Mapping[str, Any]

    def built(self, number: int, changed: Definition) -> Callable[..., Any]:
        space = dict(self.names)
        for place, tree in reversed(list(enumerate(self.trees))):
            module = ast.Module([changed if place == number else tree], [])
            exec(compile(ast.fix_missing_locations(module), "<edited>", "exec", LATE, True), space)
        function: Callable[..., Any] = space[self.trees[0].name]
        return function


def left_out(suspect: Suspect) -> Iterator[Trial]:
    """Factors that one has and the other has not; last, as this also mends what only has too few digits."""
    yield from edited(suspect, operands=True)


def edited(suspect: Suspect, operands: bool = False) -> Iterator[Trial]:
    """The source of the port first, then that of the reference."""
    here, there = source_of(suspect.runner.port.function), source_of(suspect.right.port.function)
    for source, other, name, holds in (
        (here, there, "it agrees", suspect.mends),
        (there, here, "the reference agrees with it", suspect.spoils),
    ):
        if source is None:
            continue
        known = constants(other)
        for number, tree in enumerate(source.trees):
            for edit in edits(tree, known, operands):
                changed = copy.deepcopy(tree)
                before, after, line = applied(changed, edit)
                if before == after:
                    continue
                places = f" (and {len(edit.also)} more)" if edit.also else ""
                where = f"line {source.lines[number] + line - 1}{places} of {tree.name}"
                says = f"{name} when {where} reads `{after}` instead of `{before}`"
                yield Trial(edit.cause, says, partial(_tried, source, number, changed, holds))


def _tried(source: Source, number: int, changed: Definition, holds: Callable[..., bool]) -> bool:
    return holds({}, source.built(number, changed))


def source_of(function: Callable[..., Any]) -> Source | None:
    """None for what is no Python function with a readable source."""
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType):
        return None
    found: dict[str, FunctionType | type] = {}
    pending: list[FunctionType | type] = [function]
    names = dict(function.__globals__)
    names.update(inspect.getclosurevars(function).nonlocals)
    trees, lines = [], []
    while pending:
        one = pending.pop(0)
        tree = _parsed(one)
        if one.__name__ in found or tree is None:
            continue
        found[one.__name__] = one
        trees.append(tree)
        lines.append(inspect.getsourcelines(one)[1])
        called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        near = [names[name] for name in sorted(called) if isinstance(names.get(name), FunctionType | type)]
        pending += [each for each in near if each.__module__ == function.__module__]
    return Source(tuple(trees), tuple(lines), names) if trees and found.get(function.__name__) is function else None


def _parsed(one: FunctionType | type) -> Definition | None:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None
    if isinstance(tree, ast.FunctionDef):
        tree.decorator_list, tree.returns = [], None
    return tree if isinstance(tree, Definition) else None


def constants(source: Source | None) -> list[float]:
    found = [node.value for tree in (source.trees if source else ()) for node in ast.walk(tree)
             if isinstance(node, ast.Constant) and isinstance(node.value, int | float)]  # fmt: skip
    return list(dict.fromkeys(float(one) for one in found if not isinstance(one, bool)))
