"""Shape rules: what shape a primitive returns, and what is wrong when shapes do not fit.

Shapes are tuples of whole numbers, known before anything runs; every rule raises FormulaError with both shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from crossnn.errors import FormulaError

Shape = tuple[int, ...]
Options = Mapping[str, Any]
ShapeRule = Callable[[str, Sequence[Shape], Options], Shape]


def broadcast(name: str, shapes: Sequence[Shape], options: Options = MappingProxyType({})) -> Shape:
    """NumPy broadcasting: trailing axes are aligned, an axis of length 1 stretches."""
    rank = max(map(len, shapes), default=0)
    result = []
    for axis in range(-rank, 0):
        lengths = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(lengths) > 1:
            raise FormulaError(
                f"{name}: shapes {' and '.join(map(str, shapes))} do not fit: aligned from the right, each pair of "
                "lengths must be equal or 1"
            )
        result.append(lengths.pop() if lengths else 1)
    return tuple(result)


def reduced_axes(name: str, shape: Shape, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """The axes that `axis=` names, counted from the left; None means all."""
    if axis is None:
        return tuple(range(len(shape)))
    listed = (axis,) if isinstance(axis, int) else tuple(axis)
    if any(not -len(shape) <= one < len(shape) for one in listed):
        raise FormulaError(f"{name}: axis {axis} does not exist in shape {shape}")
    return tuple(sorted({one % len(shape) for one in listed}))


def reduction(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Sum, mean, max ...: the named axes disappear, or stay with length 1 with keepdims."""
    (shape,) = shapes
    axes = reduced_axes(name, shape, options["axis"])
    if options.get("keepdims"):
        return tuple(1 if axis in axes else length for axis, length in enumerate(shape))
    return tuple(length for axis, length in enumerate(shape) if axis not in axes)


def matrix_product(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """`x @ y` of matrices, with NumPy's broadcasting over leading axes; vectors are written as one-row matrices."""
    left, right = shapes
    if len(left) < 2 or len(right) < 2 or left[-1] != right[-2]:
        raise FormulaError(
            f"{name}: shapes {left} @ {right} do not fit: both must be matrices and the last length of the first "
            "must equal the last but one of the second"
        )
    return (*broadcast(name, [left[:-2], right[:-2]]), left[-2], right[-1])


def permuted(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Transpose: the last two axes swap, or all axes follow `axes=`."""
    (shape,) = shapes
    axes = options["axes"]
    if axes is None:
        if len(shape) < 2:
            raise FormulaError(f"{name}: shape {shape} has no two axes to swap")
        return (*shape[:-2], shape[-1], shape[-2])
    if sorted(axes) != list(range(len(shape))):
        raise FormulaError(f"{name}: axes={axes} is not a permutation of the axes of shape {shape}")
    return tuple(shape[axis] for axis in axes)


def reshaped(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Reshape: `shape=` with at most one -1, which takes what is left."""
    (shape,), wanted = shapes, tuple(options["shape"])
    size, known = math.prod(shape), math.prod(length for length in wanted if length != -1)
    if wanted.count(-1) == 1 and known and size % known == 0:
        wanted = tuple(size // known if length == -1 else length for length in wanted)
    if wanted.count(-1) or math.prod(wanted) != size:
        raise FormulaError(f"{name}: shape {shape} ({size} numbers) cannot become {options['shape']}")
    return wanted


def stretched(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Broadcast to exactly `shape=`."""
    wanted = tuple(options["shape"])
    if broadcast(name, [shapes[0], wanted]) != wanted:
        raise FormulaError(f"{name}: shape {shapes[0]} does not stretch to {wanted}")
    return wanted


def flattened(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """All axes but the first become one."""
    (shape,) = shapes
    if not shape:
        raise FormulaError(f"{name}: a single number has no batch axis to keep")
    return (shape[0], math.prod(shape[1:]))
