"""How a framework names and lays out the parameters of a layer: rules that go there and come back, bit by bit.

A rule renames arrays, transposes them, reorders their gates, joins or splits them; it never computes. So what was saved
for a framework and read again is what it was, to the last bit. A framework's table is data, in
`backends/*_exchange.py`, and needs nothing of the framework itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]
Change = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""There and back."""


@dataclass(frozen=True)
class Rule:
    """A layer's arrays by our slots -> by the framework's names, and back. Each takes those that are given: parameters,
    statistics, or what an optimizer keeps of some of them."""

    there: Callable[[Arrays, Settings], dict[str, np.ndarray]]
    back: Callable[[Arrays, Settings], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Layout:
    """A framework's layout. `optimizers`: row -> our slot -> (its name there, sign); `slots` says how the name of a
    state array is put together from that of the optimizer's slot and that of the parameter."""

    name: str
    layers: Mapping[str, Rule]
    separator: str = "."
    optimizers: Mapping[str, Mapping[str, tuple[str, int]]] = field(default_factory=dict)


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _turned(array: np.ndarray) -> np.ndarray:
    return array.T


SAME: Change = (_same, _same)
TRANSPOSED: Change = (_turned, _turned)
FILTERS_FIRST: Change = (
    lambda kernel: np.moveaxis(kernel, (-1, -2), (0, 1)),
    lambda kernel: np.moveaxis(kernel, (0, 1), (-1, -2)),
)
"""(space..., channels, filters) as (filters, channels, space...)."""


def gates(order: Sequence[int], then: Change = SAME) -> Change:
    """Blocks of the last axis in another order: theirs at place k is ours at `order[k]`."""
    back = [int(place) for place in np.argsort(order)]

    def ordered(array: np.ndarray, places: Sequence[int]) -> np.ndarray:
        parts = np.split(array, len(places), axis=-1)
        return np.concatenate([parts[place] for place in places], axis=-1)

    return (lambda array: then[0](ordered(array, order)), lambda array: ordered(then[1](array), back))


def renamed(**slots: tuple[str, Change]) -> Rule:
    """Each slot under another name, changed."""

    def there(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
        return {slots[slot][0]: slots[slot][1][0](array) for slot, array in arrays.items()}

    def back(arrays: Arrays, settings: Settings) -> dict[str, np.ndarray]:
        return {slot: change[1](arrays[name]) for slot, (name, change) in slots.items() if name in arrays}

    return Rule(there, back)


KEPT = Rule(lambda arrays, settings: dict(arrays), lambda arrays, settings: dict(arrays))
"""Names and layout of ours."""
