"""Causes that show when inputs or parameters are changed: the port then agrees with the reference, or the reference,
changed, with the port."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from crossnn.ports.causes import Suspect, Trial
from crossnn.ports.layouts import reordered
from crossnn.ports.port import is_array

GATES = {4: ("i", "f", "g", "o"), 3: ("r", "z", "n"), 2: ("1st", "2nd")}
"""How many blocks a recurrent layer has, and how they are called if the reference has PyTorch's order."""
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


def transposed(suspect: Suspect) -> Iterator[Trial]:
    """Kernels with axes exchanged, or turned round; each, then all matrices together."""
    matrices = suspect.arrays(2)
    for name, one in matrices.items():
        says = f"it agrees when {name!r} is transposed before it is passed"
        yield Trial("transposed kernel", says, partial(suspect.mends, {name: one.T.copy()}))
    if len(matrices) > 1:
        together = {name: one.T.copy() for name, one in matrices.items()}
        says = f"it agrees when {', '.join(map(repr, matrices))} are transposed"
        yield Trial("transposed kernel", says, partial(suspect.mends, together))
    for name, one in suspect.arrays(3, 4, 5).items():
        for order in list(itertools.permutations(range(one.ndim)))[1:]:
            says = f"it agrees when the axes of {name!r} are put in the order {order}"
            changed = {name: np.transpose(one, order).copy()}
            cause = "transposed kernel" if name in suspect.parameters else "channel order"
            yield Trial(cause, says, partial(suspect.mends, changed))
        turned = {name: np.flip(one, tuple(range(one.ndim - 2))).copy()}
        says = f"it agrees when {name!r} is turned round in space: a convolution, where the other correlates"
        yield Trial("flipped kernel", says, partial(suspect.mends, turned))


def gates(suspect: Suspect) -> Iterator[Trial]:
    """Blocks along the axes of one length, in another order, in all parameters that have this length."""
    arrays = suspect.arrays(1, 2)
    for size in sorted({length for one in arrays.values() for length in one.shape}, reverse=True):
        for count in (4, 3, 2):
            concerned = {name: one for name, one in arrays.items() if size in one.shape}
            if size % count or size == count or len(concerned) < 2:
                continue
            for order in list(itertools.permutations(range(count)))[1:]:
                changed = {name: reordered(one, one.shape.index(size), list(order)) for name, one in concerned.items()}
                letters = ", ".join(GATES[count][place] for place in order)
                says = (
                    f"it agrees when the {count} blocks of {', '.join(map(repr, concerned))} are put in the order "
                    f"{tuple(one + 1 for one in order)} (it reads {letters} where the reference reads "
                    f"{', '.join(GATES[count])})"
                )
                yield Trial("swapped gates", says, partial(suspect.mends, changed))


def channel_order(suspect: Suspect) -> Iterator[Trial]:
    """Rows of a kernel behind a flattening; axes of an input; channels turned round."""
    images = {name: one for name, one in suspect.inputs.items() if is_array(one) and one.ndim in (3, 4, 5)}
    for name, kernel in suspect.arrays(2).items():
        for of, image in images.items():
            lengths = image.shape[1:]
            if int(np.prod(lengths)) != len(kernel):
                continue
            for order in list(itertools.permutations(range(len(lengths))))[1:]:
                rows = np.arange(len(kernel)).reshape(lengths).transpose(order).reshape(-1)
                says = f"it agrees when the rows of {name!r} are those of {of!r} flattened with axes {order}"
                yield Trial("channel order", says, partial(suspect.mends, {name: kernel[rows]}))
                yield Trial("channel order", says, partial(suspect.mends, {name: kernel[np.argsort(rows)]}))
        for factor in (one for one in range(2, len(kernel)) if len(kernel) % one == 0):
            rows = np.arange(len(kernel)).reshape(factor, -1).T.reshape(-1)
            says = (
                f"it agrees when the {len(kernel)} rows of {name!r} are read as {factor} x {len(kernel) // factor} and "
                "exchanged: flattened with channels first in one, last in the other"
            )
            yield Trial("channel order", says, partial(suspect.mends, {name: kernel[rows]}))
    for name, image in images.items():
        for axis in (-1, 1):
            says = f"it agrees when {name!r} is turned round along axis {axis}, as RGB and BGR are"
            yield Trial("channel order", says, partial(suspect.mends, {name: np.flip(image, axis).copy()}))
        for order in itertools.permutations(range(1, image.ndim)):
            if order != tuple(range(1, image.ndim)):
                says = f"it agrees when the axes of {name!r} are put in the order {(0, *order)}"
                yield Trial("channel order", says, partial(suspect.mends, {name: image.transpose(0, *order).copy()}))


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


def logits(suspect: Suspect) -> Iterator[Trial]:
    """Probabilities where logits are meant, or the reverse; a softmax that is taken twice."""

    def softmax(z: np.ndarray) -> np.ndarray:
        e = np.exp(z - z.max(-1, keepdims=True))
        return np.asarray(e / e.sum(-1, keepdims=True))

    steps: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "softmax": softmax,
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "log": np.log,
        "log(p/(1 - p))": lambda p: np.log(p / (1 - p)),
        "log_softmax": lambda z: np.log(softmax(z)),
        "exp": np.exp,
    }
    for name, one in suspect.inputs.items():
        if not (is_array(one) and one.dtype.kind == "f" and one.ndim):
            continue
        for way, function in steps.items():
            with np.errstate(all="ignore"):
                changed = function(one)
            if not np.all(np.isfinite(changed)):
                continue
            says = f"it agrees when {name!r} goes through {way} before"
            yield Trial("from logits", says, partial(suspect.mends, {name: changed}))
            says = f"the reference agrees with it when {name!r} goes through {way} before"
            yield Trial("from logits", says, partial(suspect.spoils, {name: changed}))


def smoothing(suspect: Suspect) -> Iterator[Trial]:
    """Labels mixed with equal shares of all classes. A loss is linear in its labels: the share can be computed."""
    for name, one in suspect.inputs.items():
        if not (is_array(one) and one.ndim and one.dtype.kind == "f") or np.any(one < 0) or np.any(one > 1):
            continue
        classes = one.shape[-1] if one.ndim > 1 else 2
        for way, good in (("it", False), ("the reference", True)):

            def holds(name: str = name, one: np.ndarray = one, classes: int = classes, good: bool = good) -> bool:
                for share in (0.1, 0.05, 0.2, 0.01, 0.15, 0.3):
                    mixed = {name: one * (1 - share) + share / classes}
                    if (suspect.spoils if good else suspect.mends)(mixed):
                        return True
                return False

            of = "the port smooths" if good else "only the reference smooths"
            says = f"{way} agrees when {name!r} is mixed with equal shares of {classes} classes: {of} its labels"
            yield Trial("label smoothing", says, holds)


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
            for before, after in itertools.product(range(MOST), repeat=2):
                widths = [(before, after) if axis in spatial else (0, 0) for axis in range(one.ndim)]
                changed = {name: np.pad(one, widths)}
                around = f"{before} zeros before and {after} behind {name!r} along each axis of space"
                says = f"with {around} its result contains the reference's"
                yield Trial("padding", says, partial(_contains, suspect, changed, False))
                says = f"with {around} the reference's result contains this one"
                yield Trial("padding", says, partial(_contains, suspect, changed, True))


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
