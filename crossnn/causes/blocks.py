"""Causes that show when the elements along one axis of an input or of a result are put in another order.

Channels read as blocks x depth, pairs that stand side by side or in two halves, a direction, a shift by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from crossnn.causes.outputs import departing, pattern
from crossnn.causes.suspect import Suspect, Trial
from crossnn.ports.port import is_array

MOST = 64
"""Axes that are longer are not tried."""


def blocks(suspect: Suspect) -> Iterator[Trial]:
    images = {name: one for name, one in suspect.inputs.items() if is_array(one) and one.ndim and one.dtype.kind == "f"}
    yield from _results(suspect)
    for name, image in images.items():
        if image.ndim > 1:
            says = f"it agrees when the first two axes of {name!r} are exchanged, and back in the result"
            yield Trial("axis", says, partial(_turned, suspect, name))
        for axis, length in enumerate(image.shape):
            for says, order in _orders(length):
                changed = np.take(image, order, axis)
                cause = "direction" if "end" in says else "channel order"
                text = f"it agrees when axis {axis} of {name!r} is {says}"
                yield Trial(cause, text, partial(suspect.mends, {name: changed}))
                if cause != "direction":  # there and back again is a mask of the other triangle too
                    yield Trial(cause, f"{text}, and back in the result", partial(_both, suspect, name, axis, order))


def _both(suspect: Suspect, name: str, axis: int, order: np.ndarray) -> bool:
    """The result with the order undone, where it has that axis."""
    of = suspect.departing
    if of is None:
        return False
    vectors = {one: array[order] for one, array in suspect.arrays(1).items() if len(array) == len(order)}
    found = suspect.bad({**vectors, name: np.take(suspect.values[name], order, axis)})[of]
    expected = suspect.expected[of]
    if found.shape != expected.shape or found.ndim <= axis or found.shape[axis] != len(order):
        return False
    back = np.take(found, np.argsort(order), axis)
    return bool(np.all(suspect.close(of, back, expected))) and not np.all(suspect.close(of, found, expected))


def _turned(suspect: Suspect, name: str) -> bool:
    of = suspect.departing
    if of is None:
        return False
    found, expected = suspect.bad({name: suspect.values[name].swapaxes(0, 1).copy()})[of], suspect.expected[of]
    if found.ndim < 2 or found.swapaxes(0, 1).shape != expected.shape:
        return False
    return bool(np.all(suspect.close(of, found.swapaxes(0, 1), expected)))


def _orders(length: int) -> Iterator[tuple[str, np.ndarray]]:
    if not 2 <= length <= MOST:
        return
    places = np.arange(length)
    yield "read from its end", places[::-1]
    for a in range(2, length):
        if length % a:
            continue
        if a < length:
            yield f"read as {a} x {length // a} and the two are exchanged", places.reshape(a, -1).T.reshape(-1)
        for b in range(2, length // a):
            if (length // a) % b == 0:
                shown = f"read as {a} x {b} x {length // a // b} and the "
                yield f"{shown}first two are exchanged", places.reshape(a, b, -1).swapaxes(0, 1).reshape(-1)
                yield f"{shown}last two are exchanged", places.reshape(a, b, -1).swapaxes(1, 2).reshape(-1)


def _results(suspect: Suspect) -> Iterator[Trial]:
    """Results, and what was added to an input, in another order along one axis."""
    name, actual, expected = departing(suspect)
    if actual.shape != expected.shape:
        return
    added = [("", np.zeros(()))]
    added += [(f" less {given!r}", one) for given, one in suspect.inputs.items()
              if is_array(one) and one.shape == expected.shape and one.dtype.kind == "f"]  # fmt: skip
    for of, base in added:
        for axis, length in enumerate(expected.shape):
            for says, order in _orders(length):
                moved = np.take(actual - base, order, axis) + base
                cause = "direction" if "end" in says else "channel order"
                text = f"it agrees when axis {axis} of its result {name!r}{of} is {says}"
                yield from pattern(cause, text, bool(np.all(suspect.close(name, moved, expected))))
                for other in range(axis + 1, expected.ndim):
                    if expected.shape[other] == length:
                        both = np.take(moved, order, other)
                        text = f"it agrees when axes {axis} and {other} of its result {name!r} are {says}"
                        yield from pattern(cause, text, not of and bool(np.all(suspect.close(name, both, expected))))
            if length > 2:
                for shift in (1, -1):
                    kept = slice(1, None) if shift > 0 else slice(None, -1)
                    moved = np.moveaxis(np.roll(actual - base, shift, axis) + base, axis, 0)[kept]
                    wanted = np.moveaxis(expected, axis, 0)[kept]
                    text = f"its result {name!r}{of} is the reference's, shifted by one along axis {axis}"
                    same = moved.size > 3 and bool(np.all(suspect.close(name, moved, wanted)))
                    yield from pattern("off-by-one step", text, same)
