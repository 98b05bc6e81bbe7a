"""What a standalone file in TensorFlow may need: its parts, picked by name and written into it as they stand here.

Read as text by crossnn/standalone/library.py, never imported. `ABOUT` says how the generated functions are printed.
"""
# mypy: allow-untyped-defs, allow-untyped-calls
# No types: the generated functions, among which these stand, have none.

import numpy as np
import tensorflow as tf

ABOUT = {
    "title": "TensorFlow",
    "packages": ["tensorflow", "numpy"],
    "compiled": "tf.function(autograph=False)",
    "mode": "graph",
    "operators": ["power"],
    "names": {"slice": "part"},
    "direct": {"where": ["tf.where", 0], "maximum": ["tf.maximum", 0], "minimum": ["tf.minimum", 0]},
    "placed": {"rectified": "tf.nn.relu", "log_softmax": "tf.nn.log_softmax"},
}


def tensor(values):
    return tf.constant(np.asarray(values))


def show(name, value):
    """One line: the name, and each number with all the digits that it has."""
    print(name, *np.ravel(value).tolist(), flush=True)


def gradients(f, g, *inputs):
    """The gradients of sum(g*f(*inputs)) in each of the inputs."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = f(*inputs)
    found = tape.gradient(value, inputs, output_gradients=g, unconnected_gradients="zero")
    return [tf.convert_to_tensor(one) for one in found]


def value_and_gradients(f, params, *data):
    """f(params, *data), and its gradient in each parameter."""
    with tf.GradientTape() as tape:
        tape.watch(params)
        value = f(params, *data)
    found = tape.gradient(value, params, unconnected_gradients="zero")
    return value, {name: tf.convert_to_tensor(g) for name, g in found.items()}


def value_statistics_and_gradients(f, params, *data):
    """Of f(params, *data) = (value, statistics): both, and the gradient of the value in each parameter."""
    with tf.GradientTape() as tape:
        tape.watch(params)
        value, statistics = f(params, *data)
    found = tape.gradient(value, params, unconnected_gradients="zero")
    return value, statistics, {name: tf.convert_to_tensor(g) for name, g in found.items()}


def number(x):
    """Numbers as float64: TensorFlow would make float32 of plain ones, and lets whole ones meet no others."""
    return tf.constant(x, tf.float64) if isinstance(x, int | float) else tf.cast(x, tf.float64)


def where(condition, x, y):
    return tf.where(condition, number(x), number(y))


def maximum(x, y):
    return tf.maximum(number(x), number(y))


def minimum(x, y):
    return tf.minimum(number(x), number(y))


def equal(x, y):
    return tf.equal(number(x), number(y))


def not_equal(x, y):
    return tf.not_equal(number(x), number(y))


def broadcast(x, shape):
    return tf.broadcast_to(number(x), shape)


def iota(x, axis=-1):
    """0, 1, 2 ... along an axis, in the shape of x."""
    shape = [1] * len(x.shape)
    shape[axis] = -1
    return tf.broadcast_to(tf.reshape(tf.range(x.shape[axis], dtype=tf.float64), shape), x.shape)


def argmax(x, axis=-1):
    return tf.argmax(tf.reshape(x, [-1]) if axis is None else x, axis or 0)


def transpose(x, axes=None):
    return tf.linalg.matrix_transpose(x) if axes is None else tf.transpose(x, axes)


def flatten(x):
    return tf.reshape(x, (x.shape[0], -1))


def part(x, axis, start, stop):
    return x[(*(slice(None),) * (axis % len(x.shape)), slice(start, stop))]


def pad(x, axis, before, after):
    """Zeros before and after along one axis."""
    widths = [(0, 0)] * len(x.shape)
    widths[axis] = (before, after)
    return tf.pad(x, widths)


def flip(x, axis=0):
    return tf.reverse(x, (axis,))


def concatenate(*parts, axis=-1):
    return tf.concat(parts, axis)


def one_hot(i, like):
    """tf.one_hot takes no floats, which counted indices are."""
    i = tf.expand_dims(i, -1)
    return tf.cast(tf.equal(i, tf.cast(tf.range(like.shape[-1]), i.dtype)), like.dtype)


def take(x, i):
    """The rows x[i]."""
    return tf.gather(x, tf.cast(i, tf.int32))


def put(y, i, shape):
    """Zeros of this shape, with y added at the rows i."""
    return tf.scatter_nd(tf.expand_dims(tf.cast(i, tf.int32), -1), y, shape)


def orthonormal(x):
    """Q of the QR decomposition whose R has a positive diagonal."""
    q, r = tf.linalg.qr(tf.stop_gradient(x))
    return tf.where(tf.linalg.diag_part(r) < 0, -q, q)


def each(length, rank):
    """A length for every axis."""
    return (length,) * rank if isinstance(length, int) else tuple(length)


def windows(x, size, strides=1, dilation=1, padding="valid", fill="zero"):
    """(batch, *space, channels) as (batch, *places, *size, channels): strided slices, one for each place in a window,
    axis by axis. Padding 'same' adds as much as ceil(length/stride) windows need, the odd one behind."""
    rank = len(x.shape) - 2
    size, strides, dilation = (each(one, rank) for one in (size, strides, dilation))
    if padding == "same":
        sides = [(0, 0)] * (rank + 2)
        for axis, (extent, stride, gap) in enumerate(zip(size, strides, dilation, strict=True), 1):
            length = x.shape[axis]
            missing = max((-(-length // stride) - 1) * stride + (extent - 1) * gap + 1 - length, 0)
            sides[axis] = (missing // 2, missing - missing // 2)
        x = tf.pad(x, sides, constant_values=number(float("-inf") if fill == "lowest" else 0.0))
    for axis, (extent, stride, gap) in enumerate(zip(size, strides, dilation, strict=True), 1):
        last = (x.shape[axis] - (extent - 1) * gap - 1) // stride * stride + 1
        every = (slice(None),) * axis
        parts = [x[(*every, slice(place * gap, place * gap + last, stride))] for place in range(extent)]
        x = tf.stack(parts, len(x.shape) - 1)
    return x


def conv(x, k, strides=1, dilation=1, groups=1, padding="valid"):
    """x is (batch, *space, channels) and k (*size, channels/groups, filters). On a CPU TensorFlow has no gradient of
    groups in float64: they are taken apart."""
    rank = len(x.shape) - 2
    options = each(strides, rank), padding.upper(), f"N{'DHW'[3 - rank :]}C", each(dilation, rank)
    pairs = zip(tf.split(x, groups, -1), tf.split(k, groups, -1), strict=True)
    return tf.concat([tf.nn.convolution(one, kernel, *options) for one, kernel in pairs], -1)


def conv_transposed(y, k, shape, strides=1, dilation=1, groups=1, padding="valid"):
    """The adjoint of a convolution in its input, which had this shape."""
    if groups == 1 and dilation in (1, (1,) * (len(shape) - 2)):
        space = "DHW"[5 - len(shape) :]
        return tf.nn.conv_transpose(y, k, shape, each(strides, len(space)), padding.upper(), f"N{space}C")
    with tf.GradientTape() as tape:
        x = tf.zeros(shape, y.dtype)
        tape.watch(x)
        value = conv(x, k, strides, dilation, groups, padding)
    return tape.gradient(value, x, output_gradients=y)
