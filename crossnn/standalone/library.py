"""Parts of Python files, picked by name: what a standalone file needs is copied out of them as it stands there.

The parts of a framework lie beside its adapter (`torch_adapter.py`, `torch_standalone.py`), those of data and initial
numbers in this package. The files are read as text: nothing of a framework is imported here.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from crossnn.errors import BackendError
from crossnn.registry import find

ABOUT = "ABOUT"
"""The table of a framework's file that says how generated functions are printed; it is not copied."""


@dataclass(frozen=True)
class Part:
    """A definition, and the global names that it uses."""

    text: str
    names: frozenset[str]


@dataclass(frozen=True)
class Library:
    """A file taken apart: definitions by name in their order, imports by the name they bind, and statements that are
    executed behind the imports. `about` is its table of that name."""

    parts: Mapping[str, Part]
    imports: Mapping[str, str]
    statements: Sequence[Part] = ()
    about: Mapping[str, Any] = field(default_factory=dict)


def library(text: str) -> Library:
    """Take a file apart."""
    parts: dict[str, Part] = {}
    imports: dict[str, str] = {}
    statements: list[Part] = []
    about: Mapping[str, Any] = {}
    lines = text.splitlines()
    for node in ast.parse(text).body:
        source = "\n".join(lines[_begin(node) - 1 : node.end_lineno])
        match node:
            case ast.Import() | ast.ImportFrom():
                imports.update(_imports(node))
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                parts[name] = Part(source, frozenset(global_names(node)))
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == ABOUT:
                about = ast.literal_eval(value)
            case ast.Assign(targets=[ast.Name(id=name)]):
                parts[name] = Part(source, frozenset(global_names(node)))
            case ast.Expr(value=ast.Call()):
                statements.append(Part(source, frozenset(global_names(node))))
    return Library(parts, imports, statements, about)


def _begin(node: Any) -> int:
    """The first line of a definition, its decorators included."""
    return int(min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]))


def _imports(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """The bound name -> the import that binds it alone."""
    found = {}
    for alias in node.names:
        text = ast.unparse(
            ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], node.level)
        )
        found[alias.asname or alias.name.split(".")[0]] = text
    return found


def global_names(tree: ast.AST) -> set[str]:
    """The names that a definition uses and does not bind itself."""
    used, bound = set(), set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name):
                bound.add(name)
            case ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) if node is not tree:
                bound.add(name)
    # A decorator or a default is outside the function, and may be called like one of its names.
    return (used - bound | _outside(tree)) - set(dir(builtins))


def _outside(tree: ast.AST) -> set[str]:
    if not isinstance(tree, ast.FunctionDef):
        return set()
    return {node.id for one in tree.decorator_list for node in ast.walk(one) if isinstance(node, ast.Name)}


def names_in(text: str) -> set[str]:
    """The global names that a text uses and does not define."""
    nodes = ast.parse(text).body
    return set().union(*map(global_names, nodes)) if nodes else set()


def import_lines(wanted: Mapping[str, str]) -> list[str]:
    """Imports as they are written: the standard library first, `import` before `from`, by name."""
    texts = sorted(set(wanted.values()), key=lambda text: (text.startswith("from"), text.lower()))
    own = [text for text in texts if text.split()[1].split(".")[0] in sys.stdlib_module_names]
    others = [text for text in texts if text not in own]
    return [*own, *([""] if own and others else []), *others]


@cache
def file_library(path: Path) -> Library:
    """The library that a file is."""
    return library(path.read_text("utf-8"))


def backend_library(name: str) -> Library:
    """What lies beside the adapter of this backend; BackendError where nothing does."""
    module = find(name).path.partition(":")[0]
    beside = f"{module.removesuffix('_adapter')}_standalone"
    try:
        spec = importlib.util.find_spec(beside) if module.endswith("_adapter") else None
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise BackendError(
            f"backend {name!r} writes no standalone code: there is no {beside.split('.')[-1]}.py beside its adapter "
            f"({module}); backends that do: numpy, torch, tensorflow, jax"
        )
    found = file_library(Path(spec.origin))
    if not found.about:
        raise BackendError(f"backend {name!r}: {beside}.py has no table {ABOUT}, which says how functions are printed")
    return found


def numbers_library() -> Library:
    """What trainings draw."""
    return file_library(Path(__file__).with_name("numbers.py"))
