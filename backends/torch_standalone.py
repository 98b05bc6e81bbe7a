"""What a standalone file in PyTorch may need: its parts, picked by name and written into it as they stand here.

Read as text by crossnn/standalone/library.py, never imported. `ABOUT` says how the generated functions are printed.
"""
# mypy: allow-untyped-defs, allow-untyped-calls
# No types: the generated functions, among which these stand, have none.

import numpy as np
import torch

ABOUT = {
    "title": "PyTorch",
    "packages": ["torch", "numpy"],
    "compiled": "",
    "mode": "eager",
    "operators": [],
    "names": {"slice": "part"},
    "direct": {
        "where": ["torch.where", 1],
        "maximum": ["torch.maximum", 0],
        "minimum": ["torch.minimum", 0],
        "mean": ["torch.mean", 0],
    },
    "placed": {"rectified": "torch.relu", "log_softmax": "log_softmax"},
}


def tensor(values):
    return torch.as_tensor(np.asarray(values))


def show(name, value):
    """One line: the name, and each number with all the digits that it has."""
    print(name, *np.ravel(torch.as_tensor(value).detach()).tolist(), flush=True)


def slopes(value, inputs, g=None):
    """The gradients of sum(g*value) in each of the inputs; zeros where none flows, as through a step."""
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in inputs]
    return torch.autograd.grad(value, inputs, g, allow_unused=True, materialize_grads=True)


def gradients(f, g, *inputs):
    """The gradients of sum(g*f(*inputs)) in each of the inputs."""
    points = [x.detach().requires_grad_() for x in inputs]
    return slopes(f(*points), points, g)


def value_and_gradients(f, params, *data):
    """f(params, *data), and its gradient in each parameter."""
    params = {name: w.detach().requires_grad_() for name, w in params.items()}
    value = f(params, *data)
    found = slopes(value, list(params.values()))
    return value.detach(), dict(zip(params, found, strict=True))


def value_statistics_and_gradients(f, params, *data):
    """Of f(params, *data) = (value, statistics): both, and the gradient of the value in each parameter."""
    params = {name: w.detach().requires_grad_() for name, w in params.items()}
    value, statistics = f(params, *data)
    found = slopes(value, list(params.values()))
    statistics = {name: x.detach() for name, x in statistics.items()}
    return value.detach(), statistics, dict(zip(params, found, strict=True))


def number(x):
    """Plain numbers as float64; torch would make integers, or its default floats."""
    return torch.tensor(x, dtype=torch.float64) if isinstance(x, int | float) else x


def where(condition, x, y):
    return torch.where(condition, number(x), number(y))


def maximum(x, y):
    return torch.maximum(number(x), number(y))


def minimum(x, y):
    return torch.minimum(number(x), number(y))


def equal(x, y):
    return x == y


def not_equal(x, y):
    return x != y


def broadcast(x, shape):
    return torch.broadcast_to(number(x), shape)


def iota(x, axis=-1):
    """0, 1, 2 ... along an axis, in the shape of x."""
    shape = [1] * x.dim()
    shape[axis] = -1
    return torch.arange(x.shape[axis], dtype=torch.float64).reshape(shape).expand(x.shape)


def argmax(x, axis=-1):
    return torch.argmax(x, dim=axis)


def transpose(x, axes=None):
    return x.mT if axes is None else x.permute(axes)


def flatten(x):
    return x.reshape(x.shape[0], -1)


def part(x, axis, start, stop):
    return x.narrow(axis, start, stop - start)


def pad(x, axis, before, after):
    """Zeros before and after along one axis; torch counts axes from the last one."""
    behind = -1 - axis if axis < 0 else x.dim() - 1 - axis
    return torch.nn.functional.pad(x, (0, 0) * behind + (before, after))


def flip(x, axis=0):
    return torch.flip(x, (axis,))


def concatenate(*parts, axis=-1):
    return torch.cat(parts, axis)


def one_hot(i, like):
    return (i.unsqueeze(-1) == torch.arange(like.shape[-1])).to(like.dtype)


def take(x, i):
    """The rows x[i]."""
    return x[i.long()]


def put(y, i, shape):
    """Zeros of this shape, with y added at the rows i."""
    return y.new_zeros(shape).index_put((i.long(),), y, accumulate=True)


def log_softmax(x):
    return torch.log_softmax(x, -1)


def orthonormal(x):
    """Q of the QR decomposition whose R has a positive diagonal."""
    q, r = torch.linalg.qr(x.detach())
    return torch.where(torch.diagonal(r) < 0, -q, q)


def each(length, rank):
    """A length for every axis."""
    return (length,) * rank if isinstance(length, int) else tuple(length)


def padded(x, size, strides, dilation, value=0.0):
    """What padding 'same' adds: as much as ceil(length/stride) windows need, the odd one behind. torch counts axes
    from the last one."""
    widths = [0, 0]
    for length, extent, stride, gap in reversed(list(zip(x.shape[1:-1], size, strides, dilation, strict=True))):
        missing = max((-(-length // stride) - 1) * stride + (extent - 1) * gap + 1 - length, 0)
        widths += [missing // 2, missing - missing // 2]
    return torch.nn.functional.pad(x, widths, value=value)


def windows(x, size, strides=1, dilation=1, padding="valid", fill="zero"):
    """(batch, *space, channels) as (batch, *places, *size, channels): strided slices, one for each place in a window,
    axis by axis."""
    rank = x.dim() - 2
    size, strides, dilation = (each(one, rank) for one in (size, strides, dilation))
    if padding == "same":
        x = padded(x, size, strides, dilation, -torch.inf if fill == "lowest" else 0.0)
    for axis, (extent, stride, gap) in enumerate(zip(size, strides, dilation, strict=True), 1):
        last = (x.shape[axis] - (extent - 1) * gap - 1) // stride * stride + 1
        every = (slice(None),) * axis
        parts = [x[(*every, slice(place * gap, place * gap + last, stride))] for place in range(extent)]
        x = torch.stack(parts, -2)
    return x


def conv(x, k, strides=1, dilation=1, groups=1, padding="valid"):
    """x is (batch, *space, channels) and k (*size, channels/groups, filters); torch has the channels first."""
    rank = x.dim() - 2
    strides, dilation = each(strides, rank), each(dilation, rank)
    if padding == "same":
        x = padded(x, k.shape[:-2], strides, dilation)
    function = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[rank - 1]
    y = function(x.movedim(-1, 1), k.movedim((-1, -2), (0, 1)), None, strides, 0, dilation, groups)
    return y.movedim(1, -1)


def conv_transposed(y, k, shape, strides=1, dilation=1, groups=1, padding="valid"):
    """The adjoint of a convolution in its input, which had this shape."""
    _, pull = torch.func.vjp(lambda x: conv(x, k, strides, dilation, groups, padding), y.new_zeros(shape))
    return pull(y)[0]
