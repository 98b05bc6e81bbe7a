"""The source of somebody's function, parsed, with what it names; changed ones are compiled and called in memory.

Those functions and classes of the same module that it names belong to it. No file is changed.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import Any

from crossnn.causes.source_places import Definition
from crossnn.causes.suspect import Suspect
from crossnn.ports.port import NUMPY, Runner

LATE = annotations.compiler_flag
"""Annotations are not evaluated."""


@dataclass(frozen=True)
class Source:
    """Functions and classes of a module that name each other, the first the port; parsed, with the names they see."""

    trees: tuple[Definition, ...]
    lines: tuple[int, ...]
    names: Mapping[str, Any]

    def built(self, number: int, changed: Definition, helpers: Mapping[str, Any] | None = None) -> Callable[..., Any]:
        return self.space(number, changed, helpers or {})[0]

    def space(
        self, number: int, changed: Definition, helpers: Mapping[str, Any]
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        """The function, and the names that it sees, which may be changed."""
        space = {**self.names, **helpers}
        for place, tree in reversed(list(enumerate(self.trees))):
            module = ast.Module([changed if place == number else tree], [])
            exec(compile(ast.fix_missing_locations(module), "<edited>", "exec", LATE, True), space)
        function: Callable[..., Any] = space[self.trees[0].name]
        return function, space


PORT, REFERENCE = "it agrees", "the reference agrees with it"
"""How a message begins where the port is changed, or the reference."""
Side = tuple[Source, Source | None, str, Callable[..., bool]]


def sides(suspect: Suspect, quick: bool = False) -> Iterator[Side]:
    """The port's source, then the reference's (NumPy's first, if that is asked for): each with the other one, how a
    message begins, and what must hold."""
    found = list(_sides(suspect))
    if quick:
        found.sort(key=lambda one: (suspect.right if one[2] != PORT else suspect.runner).port.backend != NUMPY)
    yield from found


def _sides(suspect: Suspect) -> Iterator[Side]:
    here, there = source_of(suspect.runner), source_of(suspect.right)
    if here is not None:
        yield here, there, PORT, suspect.mends
    if there is not None and not suspect.only_gradient:
        yield there, here, REFERENCE, suspect.spoils


def source_of(runner: Runner) -> Source | None:
    """None for what is no Python function and no object of a user's class with a readable source."""
    function = inspect.unwrap(runner.port.function)
    if not isinstance(function, FunctionType) or str(function.__module__).startswith("crossnn."):
        return _of_objects(runner.port.function)
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


@dataclass(frozen=True)
class Methods(Source):
    """The classes of the objects that a port is, such as a user's torch.nn.Module: while an edited one runs, its
    methods stand in the place of the class's own."""

    classes: tuple[type, ...]
    port: Callable[..., Any]

    def space(
        self, number: int, changed: Definition, helpers: Mapping[str, Any]
    ) -> tuple[Callable[..., Any], dict[str, Any]]:
        own = self.classes[number]
        space = {**vars(sys.modules[own.__module__]), **helpers}
        exec(compile(ast.fix_missing_locations(ast.Module([changed], [])), "<edited>", "exec", LATE, True), space)
        new = {
            name: one for name, one in vars(space[own.__name__]).items()
            if isinstance(one, FunctionType) and name in vars(own) and "__class__" not in one.__code__.co_freevars
        }  # fmt: skip
        space[own.__name__] = own

        @functools.wraps(self.port)
        def run(*given: Any, **named: Any) -> Any:
            kept = {name: vars(own)[name] for name in new}
            try:
                for name, one in new.items():
                    setattr(own, name, one)
                return self.port(*given, **named)
            finally:
                for name, one in kept.items():
                    setattr(own, name, one)

        return run, space


def _of_objects(function: Callable[..., Any]) -> Source | None:
    """The classes of a user's own objects behind a port, as far as they have a source."""
    from crossnn.causes.objects import objects_behind

    found: dict[type, ast.ClassDef] = {}
    for one in objects_behind(function):
        own = type(one)
        if own not in found and _is_own(own) and isinstance(tree := _parsed(own), ast.ClassDef):
            tree.decorator_list = []
            tree.body = [each for each in tree.body if not isinstance(each, ast.FunctionDef) or each.name != "__init__"]
            found[own] = tree
    lines = tuple(inspect.getsourcelines(own)[1] for own in found)
    return Methods(tuple(found.values()), lines, {}, tuple(found), function) if found else None


def _is_own(own: type) -> bool:
    """Not of a library, of Python, of crossnn or of its backends."""
    root = own.__module__.partition(".")[0]
    if root in ("crossnn", "backends") or root in sys.stdlib_module_names or "<locals>" in own.__qualname__:
        return False
    try:
        return not {"site-packages", "dist-packages"} & set(Path(inspect.getfile(own)).parts)
    except (OSError, TypeError):
        return False


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
