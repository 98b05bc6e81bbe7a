"""Causes that show when parameters are laid out otherwise, or inputs: axes, blocks of gates, rows and columns."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial

import numpy as np

from crossnn.causes.suspect import Suspect, Trial
from crossnn.ports.layouts import reordered
from crossnn.ports.port import is_array

GATES = {4: ("i", "f", "g", "o"), 3: ("r", "z", "n"), 2: ("1st", "2nd")}
"""How many blocks a recurrent layer has, and how they are called if the reference has PyTorch's order."""


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
            for block in range(count) if count < 4 else ():
                changed = {name: _minus(one, one.shape.index(size), block, count) for name, one in concerned.items()}
                says = (
                    f"it agrees when block {block + 1} of {count} of {', '.join(map(repr, concerned))} has the other "
                    "sign: where this gate is g, the reference has 1 - g"
                )
                yield Trial("swapped gates", says, partial(suspect.mends, changed))


def _minus(array: np.ndarray, axis: int, block: int, count: int) -> np.ndarray:
    parts = np.split(array, count, axis)
    parts[block] = -parts[block]
    return np.concatenate(parts, axis)


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
            time = axis == 1 and image.ndim == 3
            kind = "read from the end" if time else "as RGB and BGR are"
            says = f"it agrees when {name!r} is turned round along axis {axis}, {kind}"
            cause = "direction" if time else "channel order"
            yield Trial(cause, says, partial(suspect.mends, {name: np.flip(image, axis).copy()}))
        for order in itertools.permutations(range(1, image.ndim)):
            if order != tuple(range(1, image.ndim)):
                says = f"it agrees when the axes of {name!r} are put in the order {(0, *order)}"
                yield Trial("channel order", says, partial(suspect.mends, {name: image.transpose(0, *order).copy()}))
                read = image.transpose(0, *order).reshape(image.shape)
                says = (
                    f"it agrees when the axes of {name!r} are put in the order {(0, *order)} and its numbers read in "
                    f"the shape {image.shape} again: a reshape where a transpose is meant"
                )
                yield Trial("channel order", says, partial(suspect.mends, {name: read}))
    yield from _columns(suspect)


def _columns(suspect: Suspect) -> Iterator[Trial]:
    """Columns that are read as a x b x c where b x a x c is meant, such as heads of an attention: of one matrix, of all
    that have so many, of all but one."""
    matrices = suspect.arrays(2)
    for length in sorted({one.shape[1] for one in matrices.values()}):
        group = [name for name, one in matrices.items() if one.shape[1] == length]
        vectors = [name for name, one in suspect.arrays(1).items() if len(one) == length]
        sets = [tuple(group), *itertools.combinations(group, len(group) - 1), *((one,) for one in group)]
        chosen = dict.fromkeys((*one, *more) for one in sets if one for more in ((), tuple(vectors)))
        ways = [(a, b) for a in range(2, length) if length % a == 0
                for b in range(2, length // a + 1) if (length // a) % b == 0]  # fmt: skip
        for a, b in ways[:8]:
            order = np.arange(length).reshape(a, b, -1).swapaxes(0, 1).reshape(-1)
            for names in list(chosen)[:12]:
                changed = {name: suspect.values[name][..., order] for name in names}
                says = (
                    f"it agrees when the columns of {', '.join(map(repr, names))}, read as {a} x {b}"
                    f"{f' x {length // a // b}' if a * b < length else ''}, have the first two exchanged"
                )
                yield Trial("channel order", says, partial(suspect.mends, changed))
