"""What a standalone file in NumPy may need: its parts, picked by name and written into it as they stand here.

Read as text by crossnn/standalone/library.py, never imported. `ABOUT` says how the generated functions are printed.
NumPy has no automatic differentiation: gradients are generated functions, by crossnn's own symbolic rules.
"""
# mypy: allow-untyped-defs, allow-untyped-calls
# No types: the generated functions, among which these stand, have none.

import math

import numpy as np

ABOUT = {
    "title": "NumPy",
    "packages": ["numpy"],
    "compiled": "",
    "mode": "eager",
    "operators": [],
    "names": {"slice": "part"},
    "direct": {"where": ["np.where", 1], "reshape": ["", -1], "argmax": ["", -1]},
    "placed": {},
}

erf = np.vectorize(math.erf, otypes=[float])

erfc = np.vectorize(math.erfc, otypes=[float])


def tensor(values):
    return np.asarray(values)


def show(name, value):
    """One line: the name, and each number with all the digits that it has."""
    print(name, *np.ravel(value).tolist(), flush=True)


def sigmoid(x):
    """1/(1 + exp(-x)), where exp is only taken of negative numbers."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def where(condition, x, y):
    """Of two whole numbers np.where makes integers."""
    return np.where(condition, np.float64(x), np.float64(y))


def reshape(x, shape):
    return x.reshape(shape)


def argmax(x, axis=-1):
    return np.argmax(x, axis=axis)


def stop_gradient(x):
    return x


def ones_like(x):
    return np.ones_like(x, dtype=float)


def transpose(x, axes=None):
    return x.swapaxes(-1, -2) if axes is None else x.transpose(axes)


def flatten(x):
    return x.reshape(len(x), -1)


def part(x, axis, start, stop):
    return x[(slice(None),) * (axis % x.ndim) + (slice(start, stop),)]


def pad(x, axis, before, after):
    """Zeros before and after along one axis."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return np.pad(x, widths)


def flip(x, axis=0):
    return np.flip(x, axis)


def concatenate(*parts, axis=-1):
    return np.concatenate(parts, axis)


def iota(x, axis=-1):
    """0, 1, 2 ... along an axis, in the shape of x."""
    shape = [1] * x.ndim
    shape[axis] = -1
    return np.broadcast_to(np.arange(float(x.shape[axis])).reshape(shape), x.shape)


def one_hot(i, like):
    return (np.asarray(i)[..., None] == np.arange(like.shape[-1])).astype(like.dtype)


def take(x, i):
    """The rows x[i]."""
    return x[np.asarray(i).astype(int)]


def put(y, i, shape):
    """Zeros of this shape, with y added at the rows i."""
    total = np.zeros(shape)
    np.add.at(total, np.asarray(i).astype(int), y)
    return total


def orthonormal(x):
    """Q of the QR decomposition whose R has a positive diagonal."""
    q, r = np.linalg.qr(x)
    return q * np.where(np.diagonal(r) < 0, -1.0, 1.0)


def each(length, rank):
    """A length for every axis."""
    return (length,) * rank if isinstance(length, int) else tuple(length)


def sides(space, size, strides, dilation, padding):
    """What padding adds before and after each axis of space; 'same' adds as much as ceil(length/stride) windows need,
    the odd one behind."""
    widths = []
    for length, extent, stride, gap in zip(space, size, strides, dilation, strict=True):
        needed = (-(-length // stride) - 1) * stride + (extent - 1) * gap + 1 - length if padding == "same" else 0
        widths.append((max(needed, 0) // 2, max(needed, 0) - max(needed, 0) // 2))
    return widths


def windows(x, size, strides=1, dilation=1, padding="valid", fill="zero"):
    """(batch, *space, channels) as (batch, *places, *size, channels): a view of the padded array."""
    rank = x.ndim - 2
    size, strides, dilation = (each(one, rank) for one in (size, strides, dilation))
    widths = ((0, 0), *sides(x.shape[1:-1], size, strides, dilation, padding), (0, 0))
    x = np.pad(x, widths, constant_values=-np.inf if fill == "lowest" else 0.0)
    reach = tuple((extent - 1) * gap + 1 for extent, gap in zip(size, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=tuple(range(1, rank + 1)))
    steps = (slice(None), *(slice(None, None, stride) for stride in strides), slice(None))
    gaps = tuple(slice(None, None, gap) for gap in dilation)
    return np.moveaxis(view[(*steps, *gaps)], rank + 1, -1)


def overlap_add(y, shape, size, strides=1, dilation=1, padding="valid"):
    """Every window added where it came from: the adjoint of `windows`."""
    rank = len(shape) - 2
    size, strides, dilation = (each(one, rank) for one in (size, strides, dilation))
    widths = sides(shape[1:-1], size, strides, dilation, padding)
    lengths = [before + length + after for (before, after), length in zip(widths, shape[1:-1], strict=True)]
    total = np.zeros((shape[0], *lengths, shape[-1]))
    for place in np.ndindex(*size):
        starts = [offset * gap for offset, gap in zip(place, dilation, strict=True)]
        ends = [start + (n - 1) * stride + 1 for start, n, stride in zip(starts, y.shape[1:], strides, strict=False)]
        space = tuple(map(slice, starts, ends, strides))
        total[(slice(None), *space)] += y[(*(slice(None),) * (rank + 1), *place)]
    inner = (slice(before, before + length) for (before, _), length in zip(widths, shape[1:-1], strict=True))
    return total[(slice(None), *inner)]


def patches(x, size, strides, dilation, groups, padding):
    """(positions, places in a window, groups, channels of a group), and the shape of all positions."""
    found = windows(x, size, strides, dilation, padding)
    positions = found.shape[: x.ndim - 1]
    return found.reshape(math.prod(positions), math.prod(size), groups, -1), positions


def conv(x, k, strides=1, dilation=1, groups=1, padding="valid"):
    """x is (batch, *space, channels) and k (*size, channels/groups, filters)."""
    rows, positions = patches(x, k.shape[:-2], strides, dilation, groups, padding)
    kernel = k.reshape(rows.shape[1], k.shape[-2], groups, -1)
    return np.einsum("psgc,scgf->pgf", rows, kernel, optimize=True).reshape(*positions, -1)


def conv_transposed(y, k, shape, strides=1, dilation=1, groups=1, padding="valid"):
    """The adjoint of a convolution in its input, which had this shape."""
    size = k.shape[:-2]
    kernel = k.reshape(math.prod(size), k.shape[-2], groups, -1)
    rows = np.einsum("pgf,scgf->psgc", y.reshape(-1, groups, kernel.shape[-1]), kernel, optimize=True)
    return overlap_add(rows.reshape(*y.shape[:-1], *size, -1), shape, size, strides, dilation, padding)


def conv_kernel(x, y, shape, strides=1, dilation=1, groups=1, padding="valid"):
    """The adjoint of a convolution in its kernel, which had this shape."""
    rows, _ = patches(x, shape[:-2], strides, dilation, groups, padding)
    return np.einsum("psgc,pgf->scgf", rows, y.reshape(len(rows), groups, -1), optimize=True).reshape(shape)
