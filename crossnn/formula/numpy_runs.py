"""NumPy on many runs of a computation at once: every array has one more axis in front, which counts the runs.

That axis has length 1 where a value is the same in all runs. Operations that can carry the axis along do so by the
table below; for any other primitive the runs are computed one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.formula import numpy_arrays as arrays
from crossnn.formula.graph import Node
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.shapes import reduced_axes

Arrays = Sequence[np.ndarray]
Carried = Callable[[Node, str, Arrays], Any]


def compute(node: Node, operation: str, inputs: Arrays) -> np.ndarray:
    """`operation` with the options and shapes of `node`, on all runs."""
    carried = _elementwise if PRIMITIVES[operation].elementwise else CARRIED.get(operation, one_by_one)
    return np.asarray(carried(node, operation, inputs))


def one_by_one(node: Node, operation: str, inputs: Arrays) -> Any:
    """The runs after each other."""
    function, options = NUMPY[operation], node.options
    return np.stack([function(*run, **options) for run in each_run(inputs)])


def each_run(inputs: Arrays) -> list[list[Any]]:
    """The inputs of every run."""
    count = max(map(len, inputs))
    return [[one[run if len(one) > 1 else 0] for one in inputs] for run in range(count)]


def _aligned(inputs: Arrays, rank: int) -> list[np.ndarray]:
    """Axes of length 1 behind the axis of runs, so that all have this rank without it."""
    return [one.reshape(len(one), *(1,) * (rank + 1 - one.ndim), *one.shape[1:]) for one in inputs]


def _elementwise(node: Node, operation: str, inputs: Arrays) -> Any:
    return NUMPY[operation](*_aligned(inputs, max(one.ndim for one in inputs) - 1))


def _matmul(node: Node, operation: str, inputs: Arrays) -> Any:
    return np.matmul(*_aligned(inputs, max(one.ndim for one in inputs) - 1))


def _reduced(node: Node, operation: str, inputs: Arrays) -> Any:
    (x,) = inputs
    axes = tuple(axis + 1 for axis in reduced_axes(operation, x.shape[1:], node.options["axis"]))
    return NUMPY[operation](x, axis=axes, keepdims=node.options["keepdims"])


def _transposed(node: Node, operation: str, inputs: Arrays) -> Any:
    (x,), axes = inputs, node.options["axes"]
    return x.swapaxes(-1, -2) if axes is None else x.transpose(0, *(axis + 1 for axis in axes))


def _reshaped(node: Node, operation: str, inputs: Arrays) -> Any:
    return inputs[0].reshape(len(inputs[0]), *node.shape)


def _stretched(node: Node, operation: str, inputs: Arrays) -> Any:
    (x,) = _aligned(inputs, len(node.shape))
    return np.broadcast_to(x, (len(x), *node.shape))


def _along(node: Node, operation: str, inputs: Arrays) -> Any:
    """An operation along one axis, of inputs with equally many runs."""
    count = max(map(len, inputs))
    same = [np.broadcast_to(one, (count, *one.shape[1:])) for one in inputs]
    axis = node.options["axis"] % (same[0].ndim - 1) + 1
    return NUMPY[operation](*same, **{**node.options, "axis": axis})


def _taken(node: Node, operation: str, inputs: Arrays) -> Any:
    x, places = inputs
    return x[:, arrays.whole(places[0])] if len(places) == 1 else one_by_one(node, operation, inputs)


def _folded(node: Node, operation: str, inputs: Arrays) -> Any:
    """The runs as a part of the batch, where everything but the first input is the same in all of them."""
    x, *rest = inputs
    if any(len(one) > 1 for one in rest):
        return one_by_one(node, operation, inputs)
    options = dict(node.options)
    if "shape" in options:
        batch, *others = options["shape"]
        options["shape"] = (len(x) * batch, *others)
    found = NUMPY[operation](x.reshape(-1, *x.shape[2:]), *(one[0] for one in rest), **options)
    return found.reshape(len(x), -1, *found.shape[1:])


CARRIED: Mapping[str, Carried] = {
    **dict.fromkeys(("sum", "mean", "max", "min"), _reduced),
    **dict.fromkeys(("slice", "pad", "flip", "concatenate", "iota"), _along),
    **dict.fromkeys(("windows", "overlap_add", "conv", "conv_transposed"), _folded),
    **dict.fromkeys(("reshape", "flatten"), _reshaped),
    "one_hot": lambda node, operation, inputs: NUMPY[operation](*inputs),
    "matmul": _matmul,
    "transpose": _transposed,
    "broadcast": _stretched,
    "take": _taken,
}
"""The primitives, apart from the elementwise ones, that carry the axis of runs along."""
