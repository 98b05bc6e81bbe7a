"""Causes that show when an activation of the catalogue stands where the source has another function.

A call, or an expression in one variable, is replaced by each activation, computed by the backend's own primitives.
"""

from __future__ import annotations

import ast
import copy
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from crossnn.catalogue.build import formula_graph, knob_choices, settings
from crossnn.catalogue.rows import Activation
from crossnn.causes.source_places import last_name, parents_of, replaced, shown_around
from crossnn.causes.sources import PORT, Source, sides
from crossnn.causes.suspect import Suspect, Trial
from crossnn.formula.source import compile_graph

SECONDS = 2.0
VALUES = {"alpha": (0.01, 0.2, 0.3, 0.1, 0.25), "beta": (1.0, 2.0)}
"""Settings that are tried beside the default ones."""
HELPER = "activation"
MODULES = ("np", "numpy", "math", "torch", "F", "nn", "jnp", "jax", "tf", "keras", "scipy", "special", "lax")
BENDING = ("relu", "elu", "gelu", "silu", "swish", "tanh", "soft", "mish", "sigmoid", "expit", "erf", "exp", "where",
           "clip", "clamp", "max", "min", "hard", "act", "sigm")  # fmt: skip
"""Parts of names of functions that activations are made of."""
MOST = 8
"""So many parts of one expression are tried as its variable."""


@functools.cache
def _graphs() -> Mapping[str, tuple[Any, str]]:
    """Every activation of numbers with all its conventions: how a message calls it -> graph, and the cause."""
    from crossnn.catalogue.load import load_catalogue

    found: dict[str, tuple[Any, str]] = {}
    for row in load_catalogue().of_kind("activation"):
        if not isinstance(row, Activation) or row.acts_on != "element" or row.name in ("identity", "heaviside"):
            continue
        hyper, _ = settings(row, {})
        for knobs in knob_choices(row):
            values = [{}, *({name: one} for name in hyper for one in VALUES.get(name, ()) if one != hyper[name])]
            for moved in values:
                shown = ", ".join(f"{key}={value}" for key, value in {**knobs, **moved}.items())
                graph = formula_graph(row, {"x": ()}, {**hyper, **moved}, knobs)
                found[f"{row.name}({shown})" if shown else row.name] = graph, row.name
    return found


def activations(suspect: Suspect) -> Iterator[Trial]:
    if suspect.actual is None:
        return
    for source, _, begins, holds in sides(suspect, quick=True):
        runner = suspect.runner if begins == PORT else suspect.right
        began = time.process_time()
        for number, node_at, text, argument, line, before in _places(source):
            helpers: dict[str, Any] = {}
            tree = copy.deepcopy(source.trees[number])
            nodes = list(ast.walk(tree))
            new = ast.Call(ast.Name(HELPER, ast.Load()), [copy.deepcopy(argument)], [])
            replaced(parents_of(tree)[id(nodes[node_at])], nodes[node_at], ast.copy_location(new, nodes[node_at]))
            function, space = source.space(number, tree, helpers)
            for shown, (graph, name) in _graphs().items():
                if time.process_time() - began > SECONDS:
                    break
                says = (
                    f"{begins} when `{text}`, line {line} of {source.trees[number].name}, is {shown} of "
                    f"`{ast.unparse(argument)}`"
                )
                compiled = partial(compile_graph, graph, name, runner.adapter.primitives)
                yield Trial(_cause(name, before), says, partial(_holds, holds, function, space, compiled))


def _holds(
    holds: Callable[..., bool], function: Callable[..., Any], space: dict[str, Any], compiled: Callable[[], Any]
) -> bool:
    space[HELPER] = compiled()
    return holds({}, function)


def _cause(name: str, before: str) -> str:
    """Two forms of one function, or two functions."""
    if "gelu" in name and any(part in before for part in ("gelu", "erf", "1.702", "0.044715")):
        return "approximate gelu"
    kin = ("leaky", "hard_sigmoid", "elu", "hard_swish", "sigmoid_slope", "isru", "celu", "selu")
    return "activation slope" if any(part in name for part in kin) and _alike(name, before) else "another activation"


def _alike(name: str, before: str) -> bool:
    words = [part for part in ("leaky", "sigmoid", "elu", "swish") if part in name]
    return any(word in before for word in words) or "clip" in before or "where" in before or "clamp" in before


def _places(source: Source) -> Iterator[tuple[int, int, str, ast.expr, int, str]]:
    """Calls and expressions with the one thing that they are functions of; whole expressions first."""
    own = {tree.name for tree in source.trees}
    for number, tree in enumerate(source.trees):
        parents = parents_of(tree)
        for at, node in enumerate(ast.walk(tree)):
            if isinstance(node, ast.BinOp | ast.Call) and _bent(node, own):
                for argument in _arguments(node):
                    before = ast.unparse(node).lower()
                    yield number, at, shown_around(node, parents, own=True), argument, node.lineno, before


def _bent(node: ast.BinOp | ast.Call, own: set[str]) -> bool:
    """Whether something in an expression may be an activation."""
    called = {last_name(one.func).lower() for one in ast.walk(node) if isinstance(one, ast.Call)}
    return bool(called & own) or any(part in name for name in called for part in BENDING)


def _arguments(node: ast.BinOp | ast.Call) -> Iterator[ast.expr]:
    """Parts of an expression that are all that it depends on, each at every place where it stands."""
    seen: set[str] = set()
    for one in ast.walk(node):
        text = ast.unparse(one) if isinstance(one, ast.expr) else ""
        if one is node or text in seen or not isinstance(one, ast.Name | ast.BinOp | ast.Call | ast.Subscript):
            continue
        seen.add(text)
        if not _variables(node, text) and _variables(one, "") and len(seen) <= MOST:
            yield one


def _variables(node: ast.AST, text: str) -> set[str]:
    """Names that stand for numbers, outside of expressions that read `text`."""
    if isinstance(node, ast.expr) and ast.unparse(node) == text:
        return set()
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return set() if node.value.id in MODULES else {node.value.id}
    if isinstance(node, ast.Name):
        return {node.id}
    inner = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
        inner = [*node.args, *node.keywords]
        if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
            inner.append(node.func.value)
    return set().union(*(_variables(one, text) for one in inner)) if inner else set()


def _is_module(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in MODULES
