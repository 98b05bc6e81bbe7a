"""Compiled NumPy functions: recorded, planned and compiled once per signature of shapes and types.

The first call with a signature runs the function on symbols in place of all tensors and numbers of its arguments; what
that records becomes planned source. Every later call only compares shapes and types (guard.py), so numbers such
as a learning rate may change from call to call at no cost. What the caller gives away is overwritten by the results.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.errors import FormulaError
from crossnn.formula.graph import Graph, Node, constant, leaves, map_tree
from crossnn.formula.planned.algebra import prepared
from crossnn.formula.planned.guard import Guard
from crossnn.formula.planned.source import plan

Function = Callable[..., Any]
Tree = Any


class Compiled:
    """A function that is recorded, planned and compiled once per signature; then only the planned source runs."""

    def __init__(self, f: Function, dtype: str, donated: int = 0) -> None:
        functools.update_wrapper(self, f)
        self.f = f
        self.name = name if (name := getattr(f, "__name__", "")).isidentifier() else "function"
        self.dtype = dtype
        self.donated = donated
        self.plans: dict[tuple[Any, ...], tuple[Callable[..., Any], Guard]] = {}
        self._planned: Callable[..., Any] | None = None
        self._guard: Callable[..., bool] = lambda *arguments: False
        self._quiet = contextvars.copy_context()  # to run in it costs a fifth of entering np.errstate at each call
        self._quiet.run(np.seterr, all="ignore")

    def __call__(self, *arguments: Tree) -> Tree:
        given: Sequence[Tree] = arguments if self._guard(*arguments) else self._prepared(arguments)
        return self._quiet.run(self._planned, *given)  # type: ignore[arg-type]

    def _prepared(self, arguments: Sequence[Tree]) -> Sequence[Tree]:
        """Choose the plan for these arguments, or make it; the arguments, none of which will be overwritten wrongly."""
        key: list[Any] = []
        _signature(arguments, key)
        signature = tuple(key)
        if signature not in self.plans:
            self.plans[signature] = self._plan(arguments), Guard(arguments, self.donated)
        self._planned, guard = self.plans[signature]
        self._guard = guard.fits
        return guard.separated(arguments) if self.donated else arguments

    @property
    def source(self) -> str:
        """The text of the plan that ran last."""
        if self._planned is None:
            raise FormulaError(f"{self.name} has not been called yet, and its source depends on the shapes it gets")
        return self._planned.__doc__ or ""

    def _plan(self, arguments: Sequence[Tree]) -> Callable[..., Any]:
        tape: list[Node] = []
        kinds: list[Any] = []

        def symbolic(tree: Tree, path: str) -> Tree:
            if isinstance(tree, Mapping):
                return {key: symbolic(inner, f"{path}.{key}".lstrip(".")) for key, inner in tree.items()}
            if isinstance(tree, tuple | list):
                return tuple(symbolic(inner, f"{path}.{index}".lstrip(".")) for index, inner in enumerate(tree))
            kinds.append(tree.dtype if hasattr(tree, "dtype") else type(tree))
            return Node(tape, "input", shape=np.shape(tree), name=path)

        names = _parameters(self.f, len(arguments))
        inputs = {
            name: symbolic(tree, "" if isinstance(tree, Mapping) else name)
            for name, tree in zip(names, arguments, strict=True)
        }
        result = self.f(*inputs.values())
        anchor = tape[0] if tape else constant(tape, 0.0)
        graph = prepared(Graph(inputs, map_tree(anchor.lift, result), tuple(tape)))
        known = dict(zip(map(id, leaves(graph.arguments)), kinds, strict=True))
        return plan(graph, known, self.dtype, self.name, self.donated)


def _signature(tree: Tree, key: list[Any]) -> None:
    """What a plan depends on: structure, shapes and types, as one flat list."""
    kind = type(tree)
    if kind is np.ndarray:
        key += (tree.shape, tree.dtype)
    elif kind is dict:
        for name, inner in tree.items():
            key.append(name)
            _signature(inner, key)
        key.append(None)
    elif kind is tuple or kind is list:
        key.append(len(tree))
        for inner in tree:
            _signature(inner, key)
    elif isinstance(tree, np.generic | np.ndarray):
        key += (tree.shape, tree.dtype)
    elif kind in (int, float, bool):
        key.append(kind)
    else:
        raise FormulaError(f"compiled numpy functions take arrays, numbers, dictionaries and tuples, not {tree!r}")


def _parameters(f: Function, count: int) -> list[str]:
    """The names of the positional arguments that are passed; those of `*rest` are numbered."""
    names: list[str] = []
    for parameter in inspect.signature(f).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            names += [f"{parameter.name}{index}" for index in range(count - len(names))]
        else:
            names.append(parameter.name)
    return names[:count]
