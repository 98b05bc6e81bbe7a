"""Training steps as a careful author writes them in NumPy: the yardstick for what crossnn generates.

The networks are computed as specified: layer by layer, all outputs, kernels in the documented layout. No step makes an
array: every result goes into memory made beforehand, and whatever is larger than a core's second cache is worked
through in pieces. Whoever computes something else can be faster: with bias and ReLU after the pooling, only the outputs
that pooling looks at, and the first convolution in four parts, time-cnn took 11.0 ms where it takes 13.1 here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Arrays = Mapping[str, np.ndarray]
BATCH, CLASSES = 64, 10
SGD_RATE, RATE, BETA1, BETA2, EPS = 0.01, 1e-3, 0.9, 0.999, 1e-8
PIECE, IMAGES = 32768, 8  # elements of each of Adam's arrays, and images, that are worked on together


def _empty(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.empty(shape, dtype)


class _Step:
    """What the three networks share: parameters in one flat array, the last layer with its loss, and the update."""

    def __init__(self, params: Arrays, batches: Sequence[Arrays]) -> None:
        self.start = np.concatenate([array.ravel() for array in params.values()])
        self.flat, self.flat_gradient = np.empty_like(self.start), np.empty_like(self.start)
        ends = np.cumsum([array.size for array in params.values()])[:-1]
        self.w, self.g = (
            {name: part.reshape(params[name].shape) for name, part in zip(params, np.split(whole, ends), strict=True)}
            for whole in (self.flat, self.flat_gradient)
        )
        self.x, self.t = ([np.ascontiguousarray(batch[name]) for batch in batches] for name in ("x", "t"))
        self.ones = np.ones(BATCH, np.float32)
        self.y, self.error, self.row, self.total = (_empty(BATCH, n) for n in (CLASSES, CLASSES, 1, 1))
        self.reset()

    def reset(self) -> None:
        self.flat[:] = self.start

    def wait(self, result: Any) -> None:
        """NumPy has computed when it returns."""

    def read(self, result: Any) -> dict[str, np.ndarray]:
        return {"loss": np.asarray(result), **{name: array.copy() for name, array in self.w.items()}}

    def own(self, name: str) -> tuple[np.ndarray, ...]:
        """The parameters of a layer and their gradients."""
        return tuple(arrays[f"{name}.{one}"] for one in ("kernel", "bias") for arrays in (self.w, self.g))

    def head(self, x: np.ndarray, t: np.ndarray) -> np.float32:
        """The last layer and the loss; leaves the gradients, that of the logits in ``error``."""
        y, error, row, total = self.y, self.error, self.row, self.total
        np.add(np.matmul(x, self.w["logits.kernel"], out=y), self.w["logits.bias"], out=y)
        np.maximum.reduce(y, axis=1, keepdims=True, out=row)
        np.exp(np.subtract(y, row, out=y), out=error)
        np.matmul(error, self.ones[:CLASSES, None], out=total)
        np.log(total, out=row)
        np.subtract(np.divide(error, total, out=error), t, out=error)
        np.multiply(error, np.float32(1 / BATCH), out=error)
        np.matmul(x.T, error, out=self.g["logits.kernel"])
        np.matmul(self.ones, error, out=self.g["logits.bias"])
        return np.float32((np.add.reduce(row, axis=None) - np.vdot(t, y)) / BATCH)


class _Softmax(_Step):
    """time-softmax: one dense layer, SGD."""

    def step(self, number: int) -> np.float32:
        loss = self.head(self.x[number], self.t[number])
        gradient = self.flat_gradient
        np.subtract(self.flat, np.multiply(gradient, np.float32(SGD_RATE), out=gradient), out=self.flat)
        return loss


class _Adam(_Step):
    """Adam, a piece of all parameters at a time."""

    def __init__(self, params: Arrays, batches: Sequence[Arrays]) -> None:
        size = sum(array.size for array in params.values())
        self.m, self.v, spare = _empty(size), _empty(size), _empty(PIECE)
        super().__init__(params, batches)
        arrays = self.flat, self.flat_gradient, self.m, self.v
        self.pieces = [(*(a[i : i + PIECE] for a in arrays), spare[: size - i]) for i in range(0, size, PIECE)]

    def reset(self) -> None:
        super().reset()
        self.m[:] = self.v[:] = self.count = 0

    def update(self) -> None:
        self.count += 1
        beta1, rest1, beta2, rest2 = (np.float32(one) for one in (BETA1, 1 - BETA1, BETA2, 1 - BETA2))
        spread = math.sqrt(1 - BETA2**self.count)
        rate, eps = np.float32(RATE * spread / (1 - BETA1**self.count)), np.float32(EPS * spread)
        for w, g, m, v, spare in self.pieces:
            np.multiply(np.multiply(g, g, out=spare), rest2, out=spare)
            np.add(np.multiply(v, beta2, out=v), spare, out=v)
            np.add(np.multiply(m, beta1, out=m), np.multiply(g, rest1, out=g), out=m)
            np.divide(m, np.add(np.sqrt(v, out=spare), eps, out=spare), out=spare)
            np.subtract(w, np.multiply(spare, rate, out=spare), out=w)


class _Dense:
    """A hidden dense layer with ReLU."""

    def __init__(self, step: _Step, name: str) -> None:
        self.kernel, self.kernel_gradient, self.bias, self.bias_gradient = step.own(name)
        inputs, units = self.kernel.shape
        self.ones, self.zeros = step.ones, np.zeros((BATCH, units), np.float32)
        self.y, self.gradient, self.down = _empty(BATCH, units), _empty(BATCH, units), _empty(BATCH, inputs)
        self.positive = _empty(BATCH, units, dtype=bool)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        np.add(np.matmul(x, self.kernel, out=self.y), self.bias, out=self.y)
        np.greater(self.y, 0, out=self.positive)
        np.maximum(self.y, self.zeros, out=self.y)
        return self.y

    def backward(self, gradient: np.ndarray) -> None:
        np.multiply(gradient, self.positive, out=gradient)
        np.matmul(self.x.T, gradient, out=self.kernel_gradient)
        np.matmul(self.ones, gradient, out=self.bias_gradient)


class _Mlp(_Adam):
    """time-mlp: two hidden layers."""

    def __init__(self, params: Arrays, batches: Sequence[Arrays]) -> None:
        super().__init__(params, batches)
        self.hidden1, self.hidden2 = (_Dense(self, name) for name in ("hidden1", "hidden2"))

    def step(self, number: int) -> np.float32:
        first, second = self.hidden1, self.hidden2
        loss = self.head(second.forward(first.forward(self.x[number])), self.t[number])
        second.backward(np.matmul(self.error, self.w["logits.kernel"].T, out=second.gradient))
        first.backward(np.matmul(second.gradient, second.kernel.T, out=second.down))
        self.update()
        return loss


class _Pooled:
    """A 3 x 3 convolution with bias and ReLU, and the largest of each 2 x 2, for a few images at a time. Of equals, the
    second gets the gradient. Windows are copied again on the way back, which is quicker than to fetch the copy."""

    def __init__(self, step: _Step, name: str, side: int, pooled: np.ndarray) -> None:
        self.kernel, self.kernel_gradient, self.bias, self.bias_gradient = step.own(name)
        self.side, channels, filters = side, *self.kernel.shape[2:]
        n, out, half, rows = IMAGES, side - 2, (side - 2) // 2, IMAGES * (side - 2) ** 2
        self.columns = _empty(3, 3, n, out, out) if channels == 1 else _empty(n, out, out, 3, 3 * channels)
        self.matrix = self.columns.reshape(9, -1).T if channels == 1 else self.columns.reshape(rows, -1)
        self.y, self.ones, self.zeros = _empty(rows, filters), np.ones(rows, np.float32), _empty(out, out, filters)
        self.zeros.fill(0)
        self.product, self.total, self.spread = _empty(9 * channels, filters), _empty(filters), self.zeros.copy()
        self.pixels, self.positive = self.y.reshape(n, out, out, filters), _empty(BATCH, out, out, filters, dtype=bool)
        self.upper, self.lower = (self.pixels[:, one : 2 * half : 2, : 2 * half] for one in (0, 1))
        self.larger, self.above = _empty(n, half, 2 * half, filters), _empty(BATCH, half, 2 * half, filters, dtype=bool)
        self.left, self.right = self.larger[:, :, ::2], self.larger[:, :, 1::2]
        self.before, self.shifted = _empty(*pooled.shape, dtype=bool), _empty(rows, channels)
        self.pooled, self.gradient = pooled, np.empty_like(pooled)
        self.kernels = self.kernel.reshape(-1, filters), self.kernel_gradient.reshape(-1, filters)

    def copy(self, windows: np.ndarray) -> np.ndarray:
        """All windows of these images, as a matrix."""
        planes = len(self.product) == 9  # one channel: a plane of pixels for each place makes long runs to copy
        np.copyto(self.columns, windows.transpose(3, 4, 0, 1, 2) if planes else windows)
        return self.matrix

    def forward(self, windows: np.ndarray, piece: slice) -> None:
        larger, pixels = self.larger, self.pixels
        np.matmul(self.copy(windows[piece]), self.kernels[0], out=self.y)
        np.add(pixels, self.spread, out=pixels)  # a bias in every pixel: long runs to add
        np.greater(pixels, 0, out=self.positive[piece])
        np.maximum(pixels, self.zeros, out=pixels)
        np.greater(self.upper, self.lower, out=self.above[piece])
        np.maximum(self.upper, self.lower, out=larger)
        np.greater(self.left, self.right, out=self.before[piece])
        np.maximum(self.left, self.right, out=self.pooled[piece])

    def backward(self, windows: np.ndarray, piece: slice) -> None:
        """Adds the gradients of kernel and bias; that of the pooled images is given, and stays, in `gradient`."""
        gradient, larger, y = self.gradient[piece], self.larger, self.y
        if self.side % 2 == 1:  # a row and a column are in no pooling window
            y.fill(0)
        np.multiply(gradient, self.before[piece], out=self.left)
        np.subtract(gradient, self.left, out=self.right)
        np.multiply(larger, self.above[piece], out=self.upper)
        np.subtract(larger, self.upper, out=self.lower)
        np.multiply(self.pixels, self.positive[piece], out=self.pixels)
        np.add(self.kernels[1], np.matmul(self.copy(windows[piece]).T, y, out=self.product), out=self.kernels[1])
        np.add(self.bias_gradient, np.matmul(self.ones, y, out=self.total), out=self.bias_gradient)

    def descend(self, down: np.ndarray) -> None:
        """The gradient of the images, after `backward`."""
        down.fill(0)
        out = self.side - 2
        for row, column in np.ndindex(3, 3):
            np.matmul(self.y, self.kernel[row, column].T, out=self.shifted)
            place = down[:, row : row + out, column : column + out]
            np.add(place, self.shifted.reshape(-1, out, out, down.shape[-1]), out=place)


def _windows(x: np.ndarray) -> np.ndarray:
    """Every 3 x 3 pixels of all images, a view: (images, rows, columns, 3, 3 * channels)."""
    width = x.shape[-1]
    return sliding_window_view(x.reshape(*x.shape[:2], -1), (3, 3 * width), (1, 2))[:, :, ::width]


class _Cnn(_Adam):
    """time-cnn: two convolutions with pooling, and a hidden layer."""

    def __init__(self, params: Arrays, batches: Sequence[Arrays]) -> None:
        super().__init__(params, batches)
        self.first = _Pooled(self, "conv1", 28, _empty(BATCH, 13, 13, 32))
        self.second = _Pooled(self, "conv2", 13, _empty(BATCH, 5, 5, 64))
        self.hidden = _Dense(self, "hidden")
        self.second.gradient = self.hidden.down.reshape(BATCH, 5, 5, 64)
        self.outer, self.inner = [_windows(x) for x in self.x], _windows(self.first.pooled)
        self.images = [slice(i, i + IMAGES) for i in range(0, BATCH, IMAGES)]

    def step(self, number: int) -> np.float32:
        first, second, hidden, outer, inner = self.first, self.second, self.hidden, self.outer[number], self.inner
        for layer in (first, second):
            layer.spread[:] = layer.bias
            layer.kernel_gradient[:] = layer.bias_gradient[:] = 0
        for piece in self.images:
            first.forward(outer, piece)
            second.forward(inner, piece)
        loss = self.head(hidden.forward(second.pooled.reshape(BATCH, -1)), self.t[number])
        hidden.backward(np.matmul(self.error, self.w["logits.kernel"].T, out=hidden.gradient))
        np.matmul(hidden.gradient, hidden.kernel.T, out=hidden.down)
        for piece in reversed(self.images):
            second.backward(inner, piece)
            second.descend(first.gradient[piece])
            first.backward(outer, piece)
        self.update()
        return loss


def ways(case: str, mode: str, params: Arrays, batches: Sequence[Arrays]) -> dict[str, _Step]:
    """The one hand-written step; it counts as compiled, for crossnn's compiled NumPy is what it is compared with."""
    networks = {"time-softmax": _Softmax, "time-mlp": _Mlp, "time-cnn": _Cnn}
    return {"in place": networks[case](params, batches)} if mode == "compiled" else {}
