"""Places in a parsed function: what stands around them, which say the same, and how one is changed."""

from __future__ import annotations

import ast
import copy
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
    single: bool = False
    """Whether the same is never done at places that say the same."""


def put(cause: str, number: int, new: ast.AST) -> Edit:
    """One place becomes `new`."""
    return Edit(cause, number, lambda _: new, single=True)


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


def parents_of(tree: ast.AST) -> dict[int, ast.AST]:
    return {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def last_name(node: ast.AST) -> str:
    """The last name of `torch.nn.functional.gelu`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def names_in(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} | {
        one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)
    }


def same(one: ast.AST, other: ast.AST) -> bool:
    """Whether both read the same."""
    return ast.unparse(one) == ast.unparse(other)


def function_around(node: ast.AST, parents: Parents) -> ast.AST:
    """The innermost function; the whole, where there is none."""
    while id(node) in parents and not isinstance(node, ast.FunctionDef):
        node = parents[id(node)]
    return node


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


def inlined(one: ast.expr, node: ast.AST, parents: Parents) -> ast.expr:
    """A copy of an expression near `node`; where it is a name, or a part of one, what was assigned to that name."""
    assigned = _assigned(node, parents)
    new = copy.deepcopy(one)
    for _ in range(3):
        if isinstance(new, ast.Name) and new.id in assigned:
            new = copy.deepcopy(assigned[new.id])
        elif isinstance(new, ast.Subscript) and isinstance(new.value, ast.Name) and new.value.id in assigned:
            new = ast.Subscript(copy.deepcopy(assigned[new.value.id]), new.slice, ast.Load())
        else:
            break
    return new


def _assigned(node: ast.AST, parents: Parents) -> dict[str, ast.expr]:
    """What the names of the function around have been given before this line."""
    root, line = node, getattr(node, "lineno", 0)
    while id(root) in parents and not isinstance(root, ast.FunctionDef):
        root = parents[id(root)]
    found: dict[str, ast.expr] = {}
    for one in ast.walk(root):
        if not isinstance(one, ast.Assign) or one.lineno > line or len(one.targets) != 1:
            continue
        target, value = one.targets[0], one.value
        if isinstance(target, ast.Name):
            found[target.id] = value
        elif isinstance(target, ast.Tuple):
            for place, each in enumerate(target.elts):
                if isinstance(each, ast.Name) and isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
                    found[each.id] = value.elts[place]
                elif isinstance(each, ast.Name) and isinstance(value, ast.Call):
                    found[each.id] = ast.Subscript(value, ast.Constant(place), ast.Load())
    return found


def applied(tree: Definition, edit: Edit) -> tuple[str, str, int]:
    """Edit in place; what the smallest part around it was and has become, and its line."""
    nodes = list(ast.walk(tree))
    parents = parents_of(tree)
    node = nodes[edit.node]
    shown = node if isinstance(node, ast.stmt) else _around(node, parents)
    line = getattr(node, "lineno", getattr(shown, "lineno", 1))
    before = _short(shown)
    for place in (edit.node, *edit.also):
        replaced(parents[id(nodes[place])], nodes[place], ast.copy_location(edit.new(nodes[place]), nodes[place]))
    if isinstance(node, ast.Call | ast.BinOp | ast.stmt):
        return _short(node), _short(edit.new(node)), line
    return before, _short(shown), line


def _around(node: ast.AST, parents: Parents) -> ast.AST:
    """The smallest part around a node that says something."""
    shown: ast.AST = parents[id(node)]
    while isinstance(shown, ast.keyword | ast.arguments) or (
        not isinstance(shown, ast.stmt) and len(ast.unparse(shown)) < 12
    ):
        shown = parents[id(shown)]
    return shown


def shown_around(node: ast.AST, parents: Parents, own: bool = False) -> str:
    """It as text; or the node's own text."""
    return _short(node if own else _around(node, parents))


def replaced(parent: ast.AST, node: ast.AST, new: ast.AST) -> None:
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
