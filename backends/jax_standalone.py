"""What a standalone file in JAX may need: its parts, picked by name and written into it as they stand here.

Read as text by crossnn/standalone/library.py, never imported. `ABOUT` says how the generated functions are printed.
"""
# mypy: allow-untyped-defs, allow-untyped-calls
# No types: the generated functions, among which these stand, have none.

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)

ABOUT = {
    "title": "JAX",
    "packages": ["jax", "numpy"],
    "compiled": "jax.jit",
    "mode": "jit",
    "operators": [],
    "names": {"slice": "part"},
    "direct": {"where": ["jnp.where", 1], "broadcast": ["jnp.broadcast_to", 0]},
    "placed": {"rectified": "jax.nn.relu", "log_softmax": "jax.nn.log_softmax"},
}


def tensor(values):
    return jnp.asarray(np.asarray(values))


def show(name, value):
    """One line: the name, and each number with all the digits that it has."""
    print(name, *np.ravel(value).tolist(), flush=True)


def gradients(f, g, *inputs):
    """The gradients of sum(g*f(*inputs)) in each of the inputs."""
    _, pull = jax.vjp(f, *inputs)
    return pull(g)


def value_and_gradients(f, params, *data):
    """f(params, *data), and its gradient in each parameter."""
    return jax.value_and_grad(f)(params, *data)


def value_statistics_and_gradients(f, params, *data):
    """Of f(params, *data) = (value, statistics): both, and the gradient of the value in each parameter."""
    (value, statistics), found = jax.value_and_grad(f, has_aux=True)(params, *data)
    return value, statistics, found


def where(condition, x, y):
    """Of two plain numbers jnp.where makes integers, or floats that give way to any other type."""
    return jnp.where(condition, jnp.asarray(x, float), jnp.asarray(y, float))


def broadcast(x, shape):
    return jnp.broadcast_to(jnp.asarray(x, float), shape)


def iota(x, axis=-1):
    """0, 1, 2 ... along an axis, in the shape of x."""
    return jax.lax.broadcasted_iota(float, x.shape, axis % x.ndim)


def argmax(x, axis=-1):
    return jnp.argmax(x, axis=axis)


def transpose(x, axes=None):
    return jnp.matrix_transpose(x) if axes is None else jnp.transpose(x, axes)


def flatten(x):
    return jnp.reshape(x, (x.shape[0], -1))


def part(x, axis, start, stop):
    return jax.lax.slice_in_dim(x, start, stop, axis=axis)


def pad(x, axis, before, after):
    """Zeros before and after along one axis."""
    widths = [(0, 0)] * x.ndim
    widths[axis] = (before, after)
    return jnp.pad(x, widths)


def flip(x, axis=0):
    return jnp.flip(x, axis)


def concatenate(*parts, axis=-1):
    return jnp.concatenate(parts, axis)


def one_hot(i, like):
    return (i[..., None] == jnp.arange(like.shape[-1])).astype(like.dtype)


def take(x, i):
    """The rows x[i]."""
    return x[i.astype(int)]


def put(y, i, shape):
    """Zeros of this shape, with y added at the rows i."""
    return jnp.zeros(shape, y.dtype).at[i.astype(int)].add(y)


def orthonormal(x):
    """Q of the QR decomposition whose R has a positive diagonal."""
    q, r = jnp.linalg.qr(jax.lax.stop_gradient(x))
    return jnp.where(jnp.diagonal(r) < 0, -q, q)


def loop(step, carried, sequences):
    """`step` for every place of axis 1 of the sequences, as jax.lax.scan repeats it; what was carried last, and what
    the steps collected."""
    parts = tuple(jnp.expand_dims(jnp.swapaxes(one, 0, 1), 2) for one in sequences)
    carried, collected = jax.lax.scan(step, carried, parts)
    return carried, tuple(jnp.swapaxes(one, 0, 1).reshape(one.shape[1], -1, *one.shape[3:]) for one in collected)


def each(length, rank):
    """A length for every axis."""
    return (length,) * rank if isinstance(length, int) else tuple(length)


def sides(x, size, strides, dilation, padding):
    """What padding adds before and after each axis of space; 'same' adds as much as ceil(length/stride) windows need,
    the odd one behind."""
    widths = []
    for length, extent, stride, gap in zip(x.shape[1:-1], size, strides, dilation, strict=True):
        needed = (-(-length // stride) - 1) * stride + (extent - 1) * gap + 1 - length if padding == "same" else 0
        widths.append((max(needed, 0) // 2, max(needed, 0) - max(needed, 0) // 2))
    return widths


def windows(x, size, strides=1, dilation=1, padding="valid", fill="zero"):
    """(batch, *space, channels) as (batch, *places, *size, channels): strided slices, one for each place in a window,
    axis by axis."""
    rank = x.ndim - 2
    size, strides, dilation = (each(one, rank) for one in (size, strides, dilation))
    widths = ((0, 0), *sides(x, size, strides, dilation, padding), (0, 0))
    x = jnp.pad(x, widths, constant_values=-jnp.inf if fill == "lowest" else 0.0)
    for axis, (extent, stride, gap) in enumerate(zip(size, strides, dilation, strict=True), 1):
        last = (x.shape[axis] - (extent - 1) * gap - 1) // stride * stride + 1
        starts = range(0, extent * gap, gap)
        x = jnp.stack([jax.lax.slice_in_dim(x, start, start + last, stride, axis) for start in starts], -2)
    return x


def conv(x, k, strides=1, dilation=1, groups=1, padding="valid"):
    """x is (batch, *space, channels) and k (*size, channels/groups, filters)."""
    rank = x.ndim - 2
    strides, dilation = each(strides, rank), each(dilation, rank)
    space = "DHW"[3 - rank :]
    return jax.lax.conv_general_dilated(
        x, k, strides, sides(x, k.shape[:-2], strides, dilation, padding), rhs_dilation=dilation,
        dimension_numbers=(f"N{space}C", f"{space}IO", f"N{space}C"), feature_group_count=groups,
    )  # fmt: skip


def conv_transposed(y, k, shape, strides=1, dilation=1, groups=1, padding="valid"):
    """The adjoint of a convolution in its input, which had this shape."""
    like = jax.ShapeDtypeStruct(shape, y.dtype)
    return jax.linear_transpose(lambda x: conv(x, k, strides, dilation, groups, padding), like)(y)[0]
