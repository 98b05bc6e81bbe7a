"""Recurrent layers: the order of the gates, the number of biases, where the reset gate acts, which axis is time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossnn.adapter import OwnLayer
from crossnn.conventions.formula import layer_value
from crossnn.conventions.found import AGREES, Found, relative
from crossnn.conventions.own import FEATURES, UNITS, numbers, of_layer, only, refilled

LENGTH, BATCH = 4, 2
LSTM, GRU = ("i", "f", "g", "o"), ("u", "r", "n")
"""The gates in the order of our formulas: input, forget, new content, output; update, reset, new content."""


@dataclass(frozen=True)
class Lying:
    """The weights of a framework as (features, gates*units), its biases apart, and its result for the last step."""

    kernel: np.ndarray
    recurrent: np.ndarray
    biases: list[np.ndarray]
    last: np.ndarray
    said: str


def _lying(own: OwnLayer, gates: int) -> Lying:
    weights = refilled(own)
    width = gates * UNITS
    kernel, recurrent = (
        next(name for name in only(weights, 2) if {*weights[name].shape} == {length, width})
        for length in (FEATURES, UNITS)
    )
    transposed = weights[kernel].shape == (width, FEATURES)
    biases = [
        row for name, value in weights.items() if name not in (kernel, recurrent) for row in value.reshape(-1, width)
    ]
    x = numbers(BATCH, LENGTH, FEATURES)
    batch_first = own.run(x)
    shapes = ((BATCH, UNITS), (BATCH, LENGTH, UNITS))
    sensible = batch_first.shape in shapes and relative(own.run(x[1:])[0], batch_first[1]) < AGREES
    result = batch_first if sensible else own.run(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    every = result.ndim == 3
    said = (
        f"{len(biases)} bias{'es, added' if len(biases) > 1 else ''}; kernel "
        f"{'(gates*units, features)' if transposed else '(features, gates*units)'}; "
        f"{'batch' if sensible else 'time'} first; {'every step' if every else 'the last step'} returned"
    )
    turned = [weights[name].T if transposed else weights[name] for name in (kernel, recurrent)]
    return Lying(turned[0], turned[1], biases, result[:, -1] if every else result, said)


def _ordered(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """The gates of the last axis in another order."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[place] for place in order], axis=-1)


@of_layer(features=FEATURES, units=UNITS)
def lstm(own: OwnLayer, spec: str) -> Found:
    found = _lying(own, len(LSTM))
    bias = np.sum(found.biases, axis=0)

    def value(order: Sequence[int]) -> np.ndarray:
        arrays = {"kernel": found.kernel, "recurrent_kernel": found.recurrent, "bias": bias}
        slots = {name: _ordered(array, order) for name, array in arrays.items()}
        return layer_value(spec, {"units": UNITS}, {"x": numbers(BATCH, LENGTH, FEATURES)}, slots)[0]

    orders = list(itertools.permutations(range(len(LSTM))))
    best = min(orders, key=lambda order: relative(found.last, value(order)))
    said = ", ".join(LSTM[best.index(place)] for place in range(len(LSTM)))
    return Found(f"{said}; {found.said}", f"all {len(orders)} orders tried", {},
                 relative(found.last, value(best)), relative(value(orders[0]), found.last))  # fmt: skip


@of_layer(features=FEATURES, units=UNITS)
def gru(own: OwnLayer, spec: str) -> Found:
    found = _lying(own, len(GRU))

    def value(order: Sequence[int], after: bool) -> np.ndarray:
        own_bias = found.biases[0]
        second = found.biases[1] if len(found.biases) > 1 else np.zeros_like(own_bias)
        arrays: Mapping[str, np.ndarray] = {
            "kernel": found.kernel, "recurrent_kernel": found.recurrent,
            **({"bias": own_bias, "recurrent_bias": second} if after else {"bias": own_bias + second}),
        }  # fmt: skip
        slots = {name: _ordered(array, order) for name, array in arrays.items()}
        given = {"units": UNITS, "reset_after": after}
        return layer_value(spec, given, {"x": numbers(BATCH, LENGTH, FEATURES)}, slots)[0]

    ways = [*itertools.product(itertools.permutations(range(len(GRU))), (True, False))]
    order, after = min(ways, key=lambda way: relative(found.last, value(*way)))
    said = ", ".join(GRU[order.index(place)] for place in range(len(GRU)))
    where = "after" if after else "before"
    return Found(
        f"{said}; reset {where} the product; {found.said}", f"all {len(ways)} ways tried", {"reset_after": after},
        relative(found.last, value(order, after)), relative(value((0, 1, 2), True), found.last),
    )  # fmt: skip
