"""Nested parameters and results by dotted names: `{"dense": {"kernel": W}}` is `{"dense.kernel": W}`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Tree = Any


def flat(tree: Tree) -> dict[str, Any]:
    """Every leaf by its dotted name, in order; a tree that is one leaf has the name ""."""
    return dict(_leaves(tree, ""))


def _leaves(tree: Tree, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(tree, Mapping):
        for key, inner in tree.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, tuple | list):
        names = getattr(tree, "_fields", range(len(tree)))
        for key, inner in zip(names, tree, strict=True):
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif tree is not None:
        yield path, tree


def refilled(tree: Tree, values: Mapping[str, Any], path: str = "") -> Tree:
    """The same tree with other leaves, given by their names."""
    if isinstance(tree, Mapping):
        return {key: refilled(inner, values, f"{path}.{key}" if path else str(key)) for key, inner in tree.items()}
    if isinstance(tree, tuple | list):
        names = getattr(tree, "_fields", range(len(tree)))
        inner = [refilled(one, values, f"{path}.{key}" if path else str(key))
                 for key, one in zip(names, tree, strict=True)]  # fmt: skip
        return type(tree)(*inner) if hasattr(tree, "_fields") else type(tree)(inner)
    return values.get(path, tree)


def is_shape(value: Any) -> bool:
    """A tuple of whole numbers stands for an array of this shape, to be drawn."""
    return isinstance(value, tuple) and all(isinstance(one, int) and not isinstance(one, bool) for one in value)
