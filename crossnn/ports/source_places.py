"""Places in a parsed function: what stands around them, which say the same, and how one is changed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Definition = ast.FunctionDef | ast.ClassDef
Parents = Mapping[int, ast.AST]
"""The node around each, by the id of the inner one."""


@dataclass(frozen=True)
class Edit:
    """One changed place: `node` counts in the order of ast.walk, `new` makes what stands there instead. `also` are
    places that say the same and are changed with it."""

    cause: str
    node: int
    new: Callable[[Any], ast.AST]
    also: tuple[int, ...] = ()


def alike(nodes: Sequence[ast.AST], number: int) -> Iterator[int]:
    """Other places with the same constant, or a call of the same function."""
    for place, other in enumerate(nodes):
        if place == number:
            continue
        match nodes[number], other:
            case (ast.Constant(value=one), ast.Constant(value=two)) if type(one) is type(two) and one == two:
                yield place
            case (ast.Call(func=one), ast.Call(func=two)) if last_name(one) == last_name(two):
                yield place


def last_name(node: ast.AST) -> str:
    """The last name of `torch.nn.functional.gelu`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def names_in(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }


def calls_around(node: ast.AST, parents: Parents) -> Iterator[str]:
    """The names of all functions among whose arguments a node stands."""
    up = parents.get(id(node))
    while up is not None:
        if isinstance(up, ast.Call):
            yield last_name(up.func)
        up = parents.get(id(up))


def hint_of(node: ast.AST, parents: Parents) -> str:
    """How a constant is called: the keyword, the argument whose default it is, the name that is assigned."""
    up = parents.get(id(node))
    match up:
        case ast.keyword(arg=str() as name):
            return name
        case ast.arguments():
            named = dict(zip(map(id, reversed(up.defaults)), reversed(up.args), strict=False))
            named.update(zip(map(id, up.kw_defaults), up.kwonlyargs, strict=False))
            return named[id(node)].arg if id(node) in named else ""
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return ""


def applied(tree: Definition, edit: Edit) -> tuple[str, str, int]:
    """Edit in place; what the smallest part around it was and has become, and its line."""
    nodes = list(ast.walk(tree))
    parents = {id(child): node for node in nodes for child in ast.iter_child_nodes(node)}
    node = nodes[edit.node]
    shown: ast.AST = parents[id(node)]
    while isinstance(shown, ast.keyword | ast.arguments) or (
        not isinstance(shown, ast.stmt) and len(ast.unparse(shown)) < 12
    ):
        shown = parents[id(shown)]
    line = getattr(node, "lineno", getattr(shown, "lineno", 1))
    before = _short(shown)
    for place in (edit.node, *edit.also):
        _replace(parents[id(nodes[place])], nodes[place], ast.copy_location(edit.new(nodes[place]), nodes[place]))
    if isinstance(node, ast.Call | ast.BinOp):
        return _short(node), _short(edit.new(node)), line
    return before, _short(shown), line


def _replace(parent: ast.AST, node: ast.AST, new: ast.AST) -> None:
    for name, value in ast.iter_fields(parent):
        if value is node:
            setattr(parent, name, new)
        elif isinstance(value, list):
            value[:] = [new if one is node else one for one in value]


def _short(node: ast.AST) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}"
    if isinstance(node, ast.FunctionDef):
        node = ast.FunctionDef(node.name, node.args, [ast.Pass()], [], None)
        return ast.unparse(ast.fix_missing_locations(node)).splitlines()[0].rstrip(":")
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
