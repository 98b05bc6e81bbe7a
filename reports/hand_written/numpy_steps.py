"""Training steps as a very careful author writes them in NumPy: the yardstick for what crossnn generates.

No step makes an array: every result goes into memory made beforehand, and whatever is larger than a core's second
cache is worked through in pieces that fit it. Three changes of order keep the mathematics and save the time:

- the kernel of the last layer and the targets lie transposed, so that the sums of the softmax run down columns;
- a convolution's bias and ReLU come after the pooling, on a quarter of the elements (both are monotone, so the pooled
  values are the same), and what the pooling never looks at is never computed;
- Adam keeps m/(1 - beta1) and v/(1 - beta2), which need no scaling of the gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Arrays = Mapping[str, np.ndarray]
BATCH, CLASSES = 64, 10
RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
SGD_RATE = 0.01
PIECE = 32768  # elements of each of Adam's arrays, which then stay in the second cache
IMAGES = 8  # images that go through the convolutions together


def _empty(*shape: int, dtype: Any = np.float32) -> np.ndarray:
    return np.empty(shape, dtype)


def _turned(arrays: Arrays) -> dict[str, np.ndarray]:
    """To our layout or back: the last kernel is (out, in) here and (in, out) in crossnn."""
    return {name: array.T if name == "logits.kernel" else array for name, array in arrays.items()}


class _Step:
    """What the three networks share: parameters in one flat array, the last layer with its loss, and the update."""

    def __init__(self, params: Arrays, batches: Sequence[Arrays]) -> None:
        turned = _turned(params)
        self.start = np.concatenate([array.ravel() for array in turned.values()])
        self.flat, self.flat_gradient = np.empty_like(self.start), np.empty_like(self.start)
        self.w: dict[str, np.ndarray] = {}
        self.g: dict[str, np.ndarray] = {}
        offset = 0
        for name, array in turned.items():
            piece = slice(offset, offset + array.size)
            self.w[name], self.g[name] = (a[piece].reshape(array.shape) for a in (self.flat, self.flat_gradient))
            offset += array.size
        self.x = [np.ascontiguousarray(batch["x"]) for batch in batches]
        self.t = [np.ascontiguousarray(batch["t"].T) for batch in batches]
        self.ones = np.ones(BATCH, np.float32)
        self.y, self.error = _empty(CLASSES, BATCH), _empty(CLASSES, BATCH)
        self.row, self.total = _empty(BATCH), _empty(BATCH)
        self.reset()

    def reset(self) -> None:
        self.flat[:] = self.start

    def wait(self, result: Any) -> None:
        """NumPy returns when it has computed."""

    def read(self, result: Any) -> dict[str, np.ndarray]:
        return {"loss": np.asarray(result), **{name: array.copy() for name, array in _turned(self.w).items()}}

    def head(self, x: np.ndarray, t: np.ndarray, scale: float) -> float:
        """The last layer and the loss; leaves ``scale`` times the gradients, that of the logits in ``self.error``."""
        y, error, row, total = self.y, self.error, self.row, self.total
        np.matmul(self.w["logits.kernel"], x.T, out=y)
        np.add(y, self.w["logits.bias"][:, None], out=y)
        np.maximum.reduce(y, axis=0, out=row)
        np.subtract(y, row, out=y)
        np.exp(y, out=error)
        np.add.reduce(error, axis=0, out=total)
        np.log(total, out=row)
        np.divide(error, total, out=error)
        np.subtract(error, t, out=error)
        np.multiply(error, np.float32(scale / BATCH), out=error)
        np.matmul(error, x, out=self.g["logits.kernel"])
        np.matmul(error, self.ones, out=self.g["logits.bias"])
        return float(np.add.reduce(row) - np.vdot(t, y)) / BATCH


class _Softmax(_Step):
    """time-softmax: one dense layer, SGD."""

    def step(self, number: int) -> float:
        loss = self.head(self.x[number], self.t[number], SGD_RATE)
        np.subtract(self.flat, self.flat_gradient, out=self.flat)
        return loss


class _Adam(_Step):
    """What the two networks trained by Adam share."""

    def __init__(self, params: Arrays, batches: Sequence[Arrays]) -> None:
        size = sum(array.size for array in params.values())
        self.m, self.v, spare = _empty(size), _empty(size), _empty(PIECE)
        super().__init__(params, batches)
        arrays = self.flat, self.flat_gradient, self.m, self.v
        starts = range(0, size, PIECE)
        self.pieces = [(*(a[i : i + PIECE] for a in arrays), spare[: min(PIECE, size - i)]) for i in starts]

    def reset(self) -> None:
        super().reset()
        self.m[:] = self.v[:] = self.count = 0

    def update(self) -> None:
        self.count += 1
        spread = math.sqrt((1 - BETA2) / (1 - BETA2**self.count))
        rate = np.float32(RATE * (1 - BETA1) / (1 - BETA1**self.count) / spread)
        eps, beta1, beta2 = np.float32(EPS / spread), np.float32(BETA1), np.float32(BETA2)
        for w, g, m, v, spare in self.pieces:
            np.multiply(m, beta1, out=m)
            np.add(m, g, out=m)
            np.multiply(v, beta2, out=v)
            np.multiply(g, g, out=g)
            np.add(v, g, out=v)
            np.sqrt(v, out=spare)
            np.add(spare, eps, out=spare)
            np.divide(m, spare, out=spare)
            np.multiply(spare, rate, out=spare)
            np.subtract(w, spare, out=w)


class _Dense:
    """A hidden dense layer with ReLU."""

    def __init__(self, step: _Step, name: str) -> None:
        self.kernel, self.bias = step.w[name + ".kernel"], step.w[name + ".bias"]
        self.kernel_gradient, self.bias_gradient = step.g[name + ".kernel"], step.g[name + ".bias"]
        self.ones = step.ones
        inputs, units = self.kernel.shape
        self.y, self.gradient, self.down = _empty(BATCH, units), _empty(BATCH, units), _empty(BATCH, inputs)
        self.positive = _empty(BATCH, units, dtype=bool)

    def forward(self, x: np.ndarray) -> np.ndarray:
        self.x = x
        np.matmul(x, self.kernel, out=self.y)
        np.add(self.y, self.bias, out=self.y)
        np.greater(self.y, 0, out=self.positive)
        np.maximum(self.y, 0, out=self.y)
        return self.y

    def backward(self, gradient: np.ndarray) -> None:
        np.multiply(gradient, self.positive, out=gradient)
        np.matmul(self.x.T, gradient, out=self.kernel_gradient)
        np.matmul(self.ones, gradient, out=self.bias_gradient)

    def descend(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient of the layer's input, after ``backward``."""
        return np.matmul(gradient, self.kernel.T, out=self.down)


class _Mlp(_Adam):
    """time-mlp: two hidden layers."""

    def __init__(self, params: Arrays, batches: Sequence[Arrays]) -> None:
        super().__init__(params, batches)
        self.hidden1, self.hidden2 = _Dense(self, "hidden1"), _Dense(self, "hidden2")

    def step(self, number: int) -> float:
        first, second = self.hidden1, self.hidden2
        loss = self.head(second.forward(first.forward(self.x[number])), self.t[number], 1.0)
        gradient = np.matmul(self.error.T, self.w["logits.kernel"], out=second.gradient)
        second.backward(gradient)
        first.backward(second.descend(gradient))
        self.update()
        return loss


class _Images:
    """What the way back needs of a few images that went through the convolutions."""

    def __init__(self, flat: np.ndarray, flat_gradient: np.ndarray) -> None:
        n = len(flat)
        self.planes = _empty(4, 4, n, 13, 13)  # every second pixel, from each of the 16 starts
        self.rows = [self.planes[a : a + 3].reshape(12, -1) for a in (0, 1)]
        self.upper, self.lower, self.top, self.positive = (_empty(n * 169, 32, dtype=bool) for _ in range(4))
        self.columns = _empty(n, 10, 10, 3, 96)
        self.matrix = self.columns.reshape(-1, 288)
        self.above, self.left = _empty(n, 5, 640, dtype=bool), _empty(n, 5, 5, 64, dtype=bool)
        self.flat, self.flat_gradient = flat.reshape(n, 5, 5, 64), flat_gradient.reshape(n, 5, 5, 64)


class _Cnn(_Adam):
    """time-cnn: the first convolution in four parts, one for each place in a pooling window.

    A part needs 3 x 4 of the planes, so its kernel has a fourth column, of zeros, on one side or the other. The second
    convolution copies its windows into a matrix; 10 of its 11 rows and columns reach a pooling window. The larger of
    two is found pair by pair, so that of equal values exactly one gets the gradient.
    """

    def __init__(self, params: Arrays, batches: Sequence[Arrays]) -> None:
        super().__init__(params, batches)
        self.hidden = _Dense(self, "hidden")
        self.flat_images, self.flat_positive = _empty(BATCH, 1600), _empty(BATCH, 1600, dtype=bool)
        pieces = [slice(i, i + IMAGES) for i in range(0, BATCH, IMAGES)]
        self.images = [_Images(self.flat_images[piece], self.hidden.down[piece]) for piece in pieces]
        windows = [sliding_window_view(x[..., 0], (4, 4), (1, 2))[:, ::2, ::2] for x in self.x]
        self.windows = [[w[piece].transpose(3, 4, 0, 1, 2) for piece in pieces] for w in windows]
        n, area = IMAGES, IMAGES * 169
        self.ones_rows, self.ones_flat = np.ones(area, np.float32), np.ones(BATCH * 25, np.float32)
        self.padded, self.padded_gradient = np.zeros((2, 3, 4, 32), np.float32), _empty(2, 12, 32)
        self.product1, self.product2, self.sum32 = _empty(12, 32), _empty(288, 64), _empty(32)
        self.parts, self.pair, self.pooled, self.part = _empty(4, area, 32), *(_empty(area, 32) for _ in range(3))
        self.pooled_images = self.pooled.reshape(n, 13, 13, 32)
        self.across = sliding_window_view(self.pooled.reshape(n, 13, 416), (3, 96), (1, 2))[:, :10, :320:32]
        self.full, self.half, self.shifted = _empty(n * 100, 64), _empty(n, 5, 640), _empty(n * 100, 32)

    def forward(self, a: _Images, windows: np.ndarray) -> None:
        parts, pair, pooled, half = self.parts, self.pair, self.pooled, self.half
        np.copyto(a.planes, windows)
        for place, part in enumerate(parts):
            np.matmul(a.rows[place // 2].T, self.padded[place % 2].reshape(12, 32), out=part)
        np.greater(parts[0], parts[1], out=a.upper)
        np.maximum(parts[0], parts[1], out=pooled)
        np.greater(parts[2], parts[3], out=a.lower)
        np.maximum(parts[2], parts[3], out=pair)
        np.greater(pooled, pair, out=a.top)
        np.maximum(pooled, pair, out=pooled)
        np.add(pooled, self.w["conv1.bias"], out=pooled)
        np.greater(pooled, 0, out=a.positive)
        np.maximum(pooled, 0, out=pooled)
        np.copyto(a.columns, self.across)
        rows = np.matmul(a.matrix, self.w["conv2.kernel"].reshape(288, 64), out=self.full).reshape(-1, 5, 2, 640)
        np.greater(rows[:, :, 0], rows[:, :, 1], out=a.above)
        np.maximum(rows[:, :, 0], rows[:, :, 1], out=half)
        pairs = half.reshape(-1, 5, 5, 2, 64)
        np.greater(pairs[:, :, :, 0], pairs[:, :, :, 1], out=a.left)
        np.maximum(pairs[:, :, :, 0], pairs[:, :, :, 1], out=a.flat)

    def backward(self, a: _Images) -> None:
        """Adds the gradients of these images to those of the convolutions."""
        half, full, pooled, pair, part = self.half, self.full, self.pooled, self.pair, self.part
        pairs, rows = half.reshape(-1, 5, 5, 2, 64), full.reshape(-1, 5, 2, 640)
        np.multiply(a.flat_gradient, a.left, out=pairs[:, :, :, 0])
        np.subtract(a.flat_gradient, pairs[:, :, :, 0], out=pairs[:, :, :, 1])
        np.multiply(half, a.above, out=rows[:, :, 0])
        np.subtract(half, rows[:, :, 0], out=rows[:, :, 1])
        self.add("conv2.kernel", np.matmul(a.matrix.T, full, out=self.product2))
        pooled.fill(0)
        for row, column in np.ndindex(3, 3):
            np.matmul(full, self.w["conv2.kernel"][row, column].T, out=self.shifted)
            place = self.pooled_images[:, row : row + 10, column : column + 10]
            np.add(place, self.shifted.reshape(-1, 10, 10, 32), out=place)
        np.multiply(pooled, a.positive, out=pooled)
        self.add("conv1.bias", np.matmul(self.ones_rows, pooled, out=self.sum32))
        left, right = self.padded_gradient
        np.multiply(pooled, a.top, out=pair)
        for planes, wins in zip(a.rows, (a.upper, a.lower), strict=True):
            np.multiply(pair, wins, out=part)
            np.add(left, np.matmul(planes, part, out=self.product1), out=left)
            np.subtract(pair, part, out=part)
            np.add(right, np.matmul(planes, part, out=self.product1), out=right)
            np.subtract(pooled, pair, out=pair)

    def add(self, name: str, part: np.ndarray) -> None:
        gradient = self.g[name].reshape(part.shape)
        np.add(gradient, part, out=gradient)

    def step(self, number: int) -> float:
        hidden, flat, positive = self.hidden, self.flat_images, self.flat_positive
        for side in (0, 1):
            self.padded[side, :, side : side + 3] = self.w["conv1.kernel"][:, :, 0]
        for images, windows in zip(self.images, self.windows[number], strict=True):
            self.forward(images, windows)
        channels = flat.reshape(-1, 64)
        np.add(channels, self.w["conv2.bias"], out=channels)
        np.greater(flat, 0, out=positive)
        np.maximum(flat, 0, out=flat)
        loss = self.head(hidden.forward(flat), self.t[number], 1.0)
        gradient = np.matmul(self.error.T, self.w["logits.kernel"], out=hidden.gradient)
        hidden.backward(gradient)
        down = hidden.descend(gradient)
        np.multiply(down, positive, out=down)
        np.matmul(self.ones_flat, down.reshape(-1, 64), out=self.g["conv2.bias"])
        for name in ("conv1.bias", "conv2.kernel"):
            self.g[name].fill(0)
        self.padded_gradient.fill(0)
        for images in reversed(self.images):
            self.backward(images)
        both = self.padded_gradient.reshape(2, 3, 4, 32)
        np.add(both[0, :, :3], both[1, :, 1:], out=self.g["conv1.kernel"][:, :, 0])
        self.update()
        return loss


def ways(case: str, mode: str, params: Arrays, batches: Sequence[Arrays]) -> dict[str, _Step]:
    """The one hand-written step; it counts as compiled, for crossnn's compiled NumPy is what it is compared with."""
    if mode != "compiled":
        return {}
    network = {"time-softmax": _Softmax, "time-mlp": _Mlp, "time-cnn": _Cnn}[case]
    return {"in place": network(params, batches)}
