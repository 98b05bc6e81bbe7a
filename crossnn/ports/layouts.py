"""Layouts: how one port keeps a parameter that another keeps with other axes or another order of blocks.

`"transpose"` exchanges the last two axes; `"HWIO->OIHW"` says what each axis becomes; `"ifgo->ifog"` the order of
blocks along every axis that they divide (lower-case letters: gates); a tuple of functions (there, back) does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.errors import CrossnnError

Array = np.ndarray


@dataclass(frozen=True)
class Layout:
    """What is done to a parameter before a port sees it, and to its gradient afterwards."""

    text: str
    forward: Callable[[Array], Array]
    backward: Callable[[Array], Array]


def layout(what: Any, name: str) -> Layout:
    """A layout from what a user wrote for the parameter of this name."""
    match what:
        case Layout():
            return what
        case (there, back) if callable(there) and callable(back):
            return Layout("own functions", there, back)
        case "transpose":
            return Layout("transpose", lambda one: np.swapaxes(one, -1, -2), lambda one: np.swapaxes(one, -1, -2))
        case str() if "->" in what:
            before, _, after = (part.strip() for part in what.partition("->"))
            if sorted(before) == sorted(after) and len(set(before)) == len(before):
                order = [before.index(letter) for letter in after]
                return blocks(what, order) if before.islower() else axes(what, order)
    raise CrossnnError(
        f"layout of {name!r} is {what!r}; allowed are 'transpose', axes such as 'HWIO->OIHW', gates such as "
        "'ifgo->ifog', or a pair of functions (there, back)"
    )


def axes(text: str, order: list[int]) -> Layout:
    back = [order.index(axis) for axis in range(len(order))]
    return Layout(text, lambda one: np.transpose(one, order), lambda one: np.transpose(one, back))


def blocks(text: str, order: list[int]) -> Layout:
    """Blocks along the last axis, in another order."""
    back = [order.index(place) for place in range(len(order))]
    return Layout(text, lambda one: reordered(one, -1, order), lambda one: reordered(one, -1, back))


def reordered(array: Array, axis: int, order: list[int]) -> Array:
    """The blocks of an axis, as many as `order` has, in this order."""
    parts = np.split(array, len(order), axis)
    return np.concatenate([parts[place] for place in order], axis)


def of_port(
    layouts: Mapping[str, Mapping[str, Any]], port: str, backend: str, names: Mapping[str, Any]
) -> dict[str, Layout]:
    """The layouts of one port; `{"dense.kernel": {"torch": "transpose"}}`, by its own name or its backend's."""
    found = {}
    for name, by_port in layouts.items():
        if name not in names:
            raise CrossnnError(f"layouts: there is no parameter {name!r}; known: {', '.join(map(str, names))}")
        for key in (port, backend):
            if key in by_port:
                found[name] = layout(by_port[key], name)
                break
    return found
