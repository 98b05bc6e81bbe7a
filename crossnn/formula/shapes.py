"""Shape rules: what shape a primitive returns, and what is wrong when shapes do not fit.

Shapes are tuples of whole numbers, known before anything runs; every rule raises ShapeError with both shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from crossnn.errors import ShapeError

Shape = tuple[int, ...]
Options = Mapping[str, Any]
Lengths = int | tuple[int, ...]
"""One length for all spatial axes, or one for each."""
ShapeRule = Callable[[str, Sequence[Shape], Options], Shape]


def broadcast(name: str, shapes: Sequence[Shape], options: Options = MappingProxyType({})) -> Shape:
    """NumPy broadcasting: trailing axes are aligned, an axis of length 1 stretches."""
    rank = max(map(len, shapes), default=0)
    result = []
    for axis in range(-rank, 0):
        lengths = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(lengths) > 1:
            raise ShapeError(
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
    if not listed:  # to NumPy nothing then meets, to torch everything
        raise ShapeError(f"{name}: axis=() names no axis of shape {shape}; without axis= all of them meet")
    if any(not -len(shape) <= one < len(shape) for one in listed):
        raise ShapeError(f"{name}: axis {axis} does not exist in shape {shape}")
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
        raise ShapeError(
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
            raise ShapeError(f"{name}: shape {shape} has no two axes to swap")
        return (*shape[:-2], shape[-1], shape[-2])
    if sorted(axes) != list(range(len(shape))):
        raise ShapeError(f"{name}: axes={axes} is not a permutation of the axes of shape {shape}")
    return tuple(shape[axis] for axis in axes)


def reshaped(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Reshape: `shape=` with at most one -1, which takes what is left."""
    (shape,), wanted = shapes, tuple(options["shape"])
    size, known = math.prod(shape), math.prod(length for length in wanted if length != -1)
    if wanted.count(-1) == 1 and known and size % known == 0:
        wanted = tuple(size // known if length == -1 else length for length in wanted)
    if wanted.count(-1) or math.prod(wanted) != size:
        raise ShapeError(f"{name}: shape {shape} ({size} numbers) cannot become {options['shape']}")
    return wanted


def stretched(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Broadcast to exactly `shape=`."""
    wanted = tuple(options["shape"])
    if broadcast(name, [shapes[0], wanted]) != wanted:
        raise ShapeError(f"{name}: shape {shapes[0]} does not stretch to {wanted}")
    return wanted


def flattened(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """All axes but the first become one."""
    (shape,) = shapes
    if not shape:
        raise ShapeError(f"{name}: a single number has no batch axis to keep")
    return (shape[0], math.prod(shape[1:]))


def one_axis(name: str, shape: Shape, axis: int) -> int:
    """The axis counted from the left."""
    return reduced_axes(name, shape, axis)[0]


def _given(name: str, options: Options, *wanted: str) -> None:
    """Options without a default, which is written ()."""
    missing = [key for key in wanted if options[key] == ()]
    if missing:
        raise ShapeError(f"{name}: {', '.join(f'{key}=' for key in missing)} must be given")


def sliced(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Part of one axis, from `start` up to but without `stop`."""
    (shape,) = shapes
    _given(name, options, "axis", "start", "stop")
    axis, start, stop = one_axis(name, shape, options["axis"]), options["start"], options["stop"]
    if not 0 <= start < stop <= shape[axis]:
        raise ShapeError(f"{name}: {start} to {stop} is no part of axis {axis} of shape {shape}")
    return (*shape[:axis], stop - start, *shape[axis + 1 :])


def padded(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """One axis made longer by `before` and `after`."""
    (shape,) = shapes
    _given(name, options, "axis", "before", "after")
    axis, before, after = one_axis(name, shape, options["axis"]), options["before"], options["after"]
    if before < 0 or after < 0:
        raise ShapeError(f"{name}: before={before}, after={after}; whole numbers from 0")
    return (*shape[:axis], before + shape[axis] + after, *shape[axis + 1 :])


def along(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """The shape stays; `axis` must be one of it."""
    one_axis(name, shapes[0], options["axis"])
    return shapes[0]


def joined(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Arrays one after the other along `axis`; all other lengths are equal."""
    axis = one_axis(name, shapes[0], options["axis"])
    rests = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}
    if len(rests) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise ShapeError(f"{name}: shapes {' and '.join(map(str, shapes))} differ in more than axis {axis}")
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def labelled(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """One number a class, for each index."""
    indices, like = shapes
    if not like:
        raise ShapeError(f"{name}: the second argument is a single number; its last axis counts the classes")
    return (*indices, like[-1])


def taken(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """Rows of the first argument, one for each index."""
    table, indices = shapes
    if not table:
        raise ShapeError(f"{name}: a single number has no rows to take")
    return (*indices, *table[1:])


def given(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """What `shape=` says."""
    return tuple(options["shape"])


def tall(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """A matrix with at least as many rows as columns."""
    (shape,) = shapes
    if len(shape) != 2 or shape[0] < shape[1]:
        raise ShapeError(f"{name}: shape {shape} is no matrix with at least as many rows as columns")
    return shape


@dataclass(frozen=True)
class Window:
    """A window that slides over the spatial axes, one number an axis: what convolution and pooling share.

    Padding `same` is TensorFlow's: ceil(length/stride) results, the odd zero at the end."""

    size: Shape
    strides: Shape
    dilation: Shape
    before: Shape
    after: Shape
    out: Shape


def window(
    name: str,
    spatial: Sequence[int],
    size: Lengths,
    strides: Lengths = 1,
    dilation: Lengths = 1,
    padding: str = "valid",
) -> Window:
    """Where a window of this size stands on these lengths."""

    def each(key: str, value: Any) -> Shape:
        numbers = (value,) * len(spatial) if isinstance(value, int) else tuple(value)
        if len(numbers) != len(spatial) or any(number < 1 for number in numbers):
            raise ShapeError(f"{name}: {key}={value}; one whole number from 1, or one for each of {tuple(spatial)}")
        return numbers

    sizes, steps_of, gaps = each("size", size), each("strides", strides), each("dilation", dilation)
    if padding not in ("valid", "same"):
        raise ShapeError(f"{name}: padding={padding!r}; allowed: valid, same")
    before, after, out = [], [], []
    for length, extent, stride, gap in zip(spatial, sizes, steps_of, gaps, strict=True):
        reach = (extent - 1) * gap + 1
        steps = -(-length // stride) if padding == "same" else (length - reach) // stride + 1
        if steps < 1:
            raise ShapeError(
                f"{name}: a window of {reach} does not fit into {length} (axes {tuple(spatial)}, size {sizes})"
            )
        missing = max((steps - 1) * stride + reach - length, 0) if padding == "same" else 0
        before.append(missing // 2)
        after.append(missing - missing // 2)
        out.append(steps)
    return Window(sizes, steps_of, gaps, tuple(before), tuple(after), tuple(out))


def _placed(options: Options) -> dict[str, Any]:
    """The options that say where a window stands."""
    return {key: options[key] for key in ("strides", "dilation", "padding")}


def _spatial(name: str, shape: Shape) -> Shape:
    if not 3 <= len(shape) <= 5:
        raise ShapeError(f"{name}: shape {shape}; (batch, one to three spatial axes, channels) is wanted")
    return shape[1:-1]


def windowed(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """(N, *spatial, C) becomes (N, *out, *size, C)."""
    (shape,) = shapes
    _given(name, options, "size")
    found = window(name, _spatial(name, shape), options["size"], **_placed(options))
    return (shape[0], *found.out, *found.size, shape[-1])


def overlapped(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """The shape from which windows of this shape were cut."""
    wanted = tuple(options["shape"])
    if windowed(name, [wanted], options) != shapes[0]:
        raise ShapeError(f"{name}: windows of shape {shapes[0]} are not those of shape {wanted}")
    return wanted


def convolved(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """(N, *spatial, C) with a kernel (*size, C/groups, F) becomes (N, *out, F)."""
    x, kernel = shapes
    spatial, groups = _spatial(name, x), options["groups"]
    if len(kernel) != len(x) or groups < 1 or kernel[-2] * groups != x[-1] or kernel[-1] % groups:
        raise ShapeError(
            f"{name}: input {x}, kernel {kernel}, groups={groups} do not fit: a kernel is (*size, channels/groups, "
            "filters), with filters a multiple of groups"
        )
    return (x[0], *window(name, spatial, kernel[:-2], **_placed(options)).out, kernel[-1])


def convolution_input(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """The shape whose convolution with this kernel has the first argument's shape."""
    wanted = tuple(options["shape"])
    if convolved(name, [wanted, shapes[1]], options) != shapes[0]:
        raise ShapeError(f"{name}: {wanted} convolved with {shapes[1]} does not give {shapes[0]}")
    return wanted


def convolution_kernel(name: str, shapes: Sequence[Shape], options: Options) -> Shape:
    """The shape of the kernel with which the first argument becomes the second."""
    wanted = tuple(options["shape"])
    if convolved(name, [shapes[0], wanted], options) != shapes[1]:
        raise ShapeError(f"{name}: {shapes[0]} convolved with {wanted} does not give {shapes[1]}")
    return wanted
