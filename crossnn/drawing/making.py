"""What adapters share when they make views: names for tensors, keys that differ, stages that cannot be made.

Compilers print and name as they like, and change that from release to release; a picture that cannot be made must not
end what is going on.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossnn.drawing.view import View
from crossnn.formula.graph import leaves

Tree = Any


def attempt(engine: str, stage: str, make: Callable[[], View], public: bool = True) -> View:
    """The view that `make` makes; where that fails, one without vertices whose note says why."""
    try:
        return make()
    except Exception as error:  # a compiler may raise anything, and this one was not asked to compute
        reason = " ".join(str(error).split()) or "no reason given"
        short = reason if len(reason) <= 300 else f"{reason[:300]} ..."
        return View(engine, stage, (), (), public=public, note=f"not made: {type(error).__name__}: {short}")


def named(f: Callable[..., Any], arguments: Sequence[Tree]) -> tuple[Tree, ...]:
    """Trees like the arguments with a name in the place of each tensor: the key under which it is, or the name of the
    parameter; with the names on the way to it where two would be called alike."""
    heads = _parameters(f, len(arguments))
    short = tuple(_names(head, one, False) for head, one in zip(heads, arguments, strict=True))
    often = Counter(leaves(short))
    if max(often.values(), default=0) == 1:
        return short
    return tuple(_names(head, one, True) for head, one in zip(heads, arguments, strict=True))


def _names(path: str, tree: Tree, whole: bool) -> Tree:
    if isinstance(tree, Mapping):
        return {key: _names(f"{path}.{key}" if whole else str(key), inner, whole) for key, inner in tree.items()}
    if isinstance(tree, tuple | list):
        return tuple(_names(f"{path}.{place}", inner, whole) for place, inner in enumerate(tree))
    return path


def _parameters(f: Callable[..., Any], count: int) -> list[str]:
    """The names of the positional parameters; those of `*rest` are numbered."""
    names: list[str] = []
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for one in parameters:
        if one.kind is one.VAR_POSITIONAL:
            names += [f"{one.name}{place}" for place in range(count - len(names))]
        elif one.kind is not one.VAR_KEYWORD:
            names.append(one.name)
    names += [f"argument{place}" for place in range(len(names), count)]
    return names[:count]
