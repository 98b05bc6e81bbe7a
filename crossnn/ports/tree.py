"""Nested parameters and results by dotted names: `{"dense": {"kernel": W}}` is `{"dense.kernel": W}`."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Tree = Any


def children(tree: Tree) -> list[tuple[str, Any]] | None:
    """What dictionaries, lists, tuples and dataclasses hold, by name; None of a leaf."""
    if isinstance(tree, Mapping):
        return [(str(key), inner) for key, inner in tree.items()]
    if isinstance(tree, tuple | list):
        names = getattr(tree, "_fields", range(len(tree)))
        return [(str(key), inner) for key, inner in zip(names, tree, strict=True)]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [(one.name, getattr(tree, one.name)) for one in dataclasses.fields(tree)]
    return None


def rebuilt(tree: Tree, inner: Sequence[Any]) -> Tree:
    """The same with other children, in their order."""
    if isinstance(tree, Mapping):
        return dict(zip(tree, inner, strict=True))
    if isinstance(tree, tuple | list):
        return type(tree)(*inner) if hasattr(tree, "_fields") else type(tree)(inner)
    found = copy.copy(tree)
    for one, value in zip(dataclasses.fields(tree), inner, strict=True):
        object.__setattr__(found, one.name, value)
    return found


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf but None with its dotted name, in order."""
    inner = children(tree)
    if inner is not None:
        for key, one in inner:
            yield from leaves(one, f"{path}.{key}" if path else key)
    elif tree is not None:
        yield path, tree


def flat(tree: Tree) -> dict[str, Any]:
    """Every leaf by its dotted name, in order; a tree that is one leaf has the name ""."""
    return dict(leaves(tree))


def refilled(tree: Tree, values: Mapping[str, Any], path: str = "") -> Tree:
    """The same tree with other leaves, given by their names."""
    inner = children(tree)
    if inner is None:
        return values.get(path, tree)
    return rebuilt(tree, [refilled(one, values, f"{path}.{key}" if path else key) for key, one in inner])


def is_shape(value: Any) -> bool:
    """A tuple of whole numbers stands for an array of this shape, to be drawn."""
    return isinstance(value, tuple) and all(isinstance(one, int) and not isinstance(one, bool) for one in value)
