"""Causes that show when inputs or parameters are changed: the port then agrees with the reference, or the reference,
changed, with the port."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from crossnn.causes.suspect import Suspect, Trial
from crossnn.ports.port import is_array

MOST = 4


def step(suspect: Suspect) -> Iterator[Trial]:
    """Whole numbers among the inputs may be counts of steps."""
    for name, value in suspect.inputs.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if whole or (is_array(value) and value.dtype.kind in "iu"):
            for shift in (1, -1):
                now = f" = {int(value) + shift}" if np.size(value) == 1 else ""
                says = f"it agrees when it is given {name} {'+' if shift > 0 else '-'} 1{now}"
                yield Trial("off-by-one step", says, partial(suspect.mends, {name: value + shift}))


def unused(suspect: Suspect) -> Iterator[Trial]:
    """Parameters that the port leaves out, or takes with the other sign."""
    vectors = suspect.arrays(1)
    for count in range(1, min(len(vectors), 3) + 1):
        for names in itertools.combinations(vectors, count):
            shown = ", ".join(map(repr, names))
            zeros = {name: np.zeros_like(vectors[name]) for name in names}
            ones = {name: np.ones_like(vectors[name]) for name in names}
            minus = {name: -vectors[name] for name in names}
            for cause, value, changed in (("missing bias", 0, zeros), ("missing scale", 1, ones)):
                says = f"the reference agrees with it when {shown} is {value}"
                yield Trial(cause, says, partial(suspect.spoils, changed))
            yield Trial("sign", f"it agrees when {shown} has the other sign", partial(suspect.mends, minus))
    for name, one in suspect.arrays(0, 2, 3, 4).items():
        says = f"it agrees when {name!r} has the other sign"
        yield Trial("sign", says, partial(suspect.mends, {name: -one}))


def exchanged(suspect: Suspect) -> Iterator[Trial]:
    arrays = {name: one for name, one in suspect.values.items() if is_array(one)}
    for one, other in itertools.combinations(arrays, 2):
        if arrays[one].shape == arrays[other].shape:
            says = f"it agrees when {one!r} and {other!r} change places"
            yield Trial("swapped arguments", says, partial(suspect.mends, {one: arrays[other], other: arrays[one]}))


def statistics(suspect: Suspect) -> Iterator[Trial]:
    """Statistics of the batch in the place of running ones."""
    vectors = suspect.arrays(1)
    for name, x in suspect.inputs.items():
        if not (is_array(x) and x.dtype.kind == "f" and x.ndim >= 2):
            continue
        for axis in {1, x.ndim - 1}:
            others = tuple(place for place in range(x.ndim) if place != axis)
            mean, variance = x.mean(others), x.var(others)
            fitting = [one for one, vector in vectors.items() if vector.shape == mean.shape]
            for first, second in itertools.permutations(fitting[: MOST + 2], 2):
                changed = {first: mean, second: variance}
                says = f"when {first!r} and {second!r} are mean and variance of the batch {name!r}"
                yield Trial(
                    "training or inference",
                    f"the reference agrees with it {says}: the port computes as in training",
                    partial(suspect.spoils, changed),
                )
                yield Trial(
                    "training or inference",
                    f"it agrees {says}: the reference computes as in training",
                    partial(suspect.mends, changed),
                )


def padding(suspect: Suspect) -> Iterator[Trial]:
    """Zeros around an input: then the result of one is a part of the other's."""
    for name, one in suspect.inputs.items():
        if not (is_array(one) and one.dtype.kind == "f" and one.ndim >= 3):
            continue
        for last in (True, False):  # channels last, channels first
            spatial = range(1, one.ndim - 1) if last else range(2, one.ndim)
            if _pointwise(suspect, name, one, spatial):
                continue
            for before, after in itertools.product(range(MOST), repeat=2):
                widths = [(before, after) if axis in spatial else (0, 0) for axis in range(one.ndim)]
                changed = {name: np.pad(one, widths)}
                cause = (
                    "off-by-one step" if one.ndim == 3 and before + after == 1 and not _slides(suspect) else "padding"
                )
                around = f"{before} zeros before and {after} behind {name!r} along each axis of space"
                says = f"with {around} its result contains the reference's"
                yield Trial(cause, says, partial(_contains, suspect, changed, False))
                says = f"with {around} the reference's result contains this one"
                yield Trial(cause, says, partial(_contains, suspect, changed, True))


def _slides(suspect: Suspect) -> bool:
    """Whether a window slides over something in one of the sources; so it is where none can be read."""
    from crossnn.causes.source_places import names_in
    from crossnn.causes.sources import source_of

    sources = [source_of(one) for one in (suspect.runner, suspect.right)]
    words = {word.lower() for one in sources if one is not None for tree in one.trees for word in names_in(tree)}
    return None in sources or any(part in word for word in words for part in ("conv", "pool", "pad", "window"))


def centred(suspect: Suspect) -> Iterator[Trial]:
    """A mean that is not subtracted, or a length that is not divided by, before everything else."""
    for name, x in suspect.inputs.items():
        if not (is_array(x) and x.dtype.kind == "f" and x.ndim >= 2):
            continue
        for axis in (-1, 0, 1):
            less = x - x.mean(axis, keepdims=True)
            root = np.sqrt(np.square(x).mean(axis, keepdims=True))
            for what, changed in (
                ("its mean is subtracted", less),
                ("it is divided by its root mean square", x / root),
            ):
                says = f"it agrees when of {name!r}, along axis {axis}, before everything, {what}"
                yield Trial("missing step", says, partial(_felt_by_port, suspect, {name: changed}))


def _felt_by_port(suspect: Suspect, changes: dict[str, Any]) -> bool:
    """Here the reference may well not feel the change: that the port does is the mistake."""
    return suspect.agree(suspect.bad(changes), suspect.expected)


def _pointwise(suspect: Suspect, name: str, one: np.ndarray, spatial: range) -> bool:
    """Whether a place of the input is felt at the same place of the result only: then there is no padding."""
    departing = suspect.departing
    if departing is None:
        return True
    middle = tuple(one.shape[axis] // 2 if axis in spatial else slice(None) for axis in range(one.ndim))
    moved = one.copy()
    moved[middle] += 1
    expected = suspect.expected[departing]
    felt = ~suspect.close(departing, suspect.good({name: moved})[departing], expected)
    if not np.any(felt) or any(axis >= felt.ndim or felt.shape[axis] != one.shape[axis] for axis in spatial):
        return False
    felt[middle] = False
    return not np.any(felt)


def _contains(suspect: Suspect, changed: dict[str, Any], good: bool) -> bool:
    name = suspect.departing
    if name is None or suspect.actual is None:
        return False
    wide = (suspect.good(changed) if good else suspect.bad(changed))[name]
    return any(True for _ in places(suspect, name, wide, suspect.actual[name] if good else suspect.expected[name]))


def places(suspect: Suspect, name: str, wide: np.ndarray, narrow: np.ndarray) -> Iterator[tuple[int, ...]]:
    """Where `narrow` is a part of `wide`."""
    if wide.ndim != narrow.ndim or not narrow.size or any(a < b for a, b in zip(wide.shape, narrow.shape, strict=True)):
        return
    room = [range(a - b + 1) for a, b in zip(wide.shape, narrow.shape, strict=True)]
    for corner in itertools.islice(itertools.product(*room), 200):
        part = wide[tuple(slice(at, at + length) for at, length in zip(corner, narrow.shape, strict=True))]
        if np.all(suspect.close(name, part, narrow)):
            yield corner
