"""Convolution and pooling of compiled NumPy: into memory that is there, a few images at a time.

Where numpy_windows.py makes an array for all patches of all images, the tools here copy the patches of a few images
into memory made once, which stays in the processor's cache until the matrix product has read it; whoever needs the
patches again copies them again, which takes less time than to fetch them from main memory. A tool belongs to one shape
of windows. `part` of its images may be given: any number up to those that it was made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from crossnn.formula.numpy_windows import places
from crossnn.formula.planned.buffers import buffer
from crossnn.formula.shapes import Lengths, Shape, window

CACHED = 5 << 18
"""Bytes of patches and outputs that are worked on at a time: about a core's second cache."""


class Sliding:
    """A window that slides over images of one shape, which may have to be padded first."""

    def __init__(
        self, name: str, shape: Shape, size: Lengths, dtype: str,
        strides: Lengths, dilation: Lengths, padding: str, fill: float = 0.0,
    ) -> None:  # fmt: skip
        self.window = w = window(name, shape[1:-1], size, strides, dilation, padding)
        self.images, self.channels, self.dtype = shape[0], shape[-1], np.dtype(dtype)
        lengths = [sum(three) for three in zip(w.before, shape[1:-1], w.after, strict=True)]
        self.outer, self.padded = (*lengths, shape[-1]), any(w.before) or any(w.after)
        self.inner = (slice(None), *(slice(b, b + n) for b, n in zip(w.before, shape[1:-1], strict=True)))
        self.fill, self.places = fill, [(slice(None), *places(place, w)) for place in np.ndindex(w.size)]
        self.count = shape[0]
        self.memory: dict[Any, Any] = {}

    def few(self, each: int) -> int:
        """How many images to work on at a time, if each takes so many bytes."""
        most = max(CACHED // each, 1)
        return -(-self.images // -(-self.images // most))

    def parts(self, x: np.ndarray) -> Iterator[slice]:
        """A few images at a time."""
        return (slice(start, start + self.count) for start in range(0, len(x), self.count))

    def frame(self, images: int) -> np.ndarray:
        """Memory for so many images with their padding, which is there already."""
        if "frame" not in self.memory:
            self.memory["frame"] = buffer((self.count, *self.outer), self.dtype.name)
            self.memory["frame"].fill(self.fill)
        framed: np.ndarray = self.memory["frame"][:images]
        return framed

    def whole(self, x: np.ndarray) -> np.ndarray:
        """The images with their padding."""
        if not self.padded:
            return x
        framed = self.frame(len(x))
        framed[self.inner] = x
        return framed


class Convolution(Sliding):
    """`conv` without groups, and its two adjoints, for one shape of images and of kernels."""

    def __init__(
        self, shape: Shape, kernel: Shape, dtype: str,
        strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid",
    ) -> None:  # fmt: skip
        super().__init__("conv", shape, kernel[:-2], dtype, strides, dilation, padding)
        w = self.window
        self.depth, self.filters, self.area = prod(kernel[:-1]), kernel[-1], prod(w.out)
        self.pixels = prod(w.size) == 1 and set(w.strides) == {1} and not self.padded  # an image is its own patches
        run = self.channels * (w.size[-1] if w.dilation[-1] == 1 else 1)
        self.planes = 2 * run <= w.out[-1]  # then it takes fewer long runs to copy all pixels for each place
        self.count = self.few(self.area * (self.depth + self.filters) * self.dtype.itemsize)
        self.product = buffer((self.depth, self.filters), dtype)

    def forward(self, x: np.ndarray, kernel: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The convolution."""
        matrix = kernel.reshape(self.depth, self.filters)
        for part in self.parts(x):
            np.matmul(self.patches(x[part]), matrix, out=out[part].reshape(-1, self.filters))
        return out

    def kernel(self, x: np.ndarray, y: np.ndarray, out: np.ndarray, add: bool = False) -> np.ndarray:
        """The gradient of the kernel, given that of the output; or this added to what is there."""
        matrix = out.reshape(self.depth, self.filters)
        for part in self.parts(x):
            found = self.product if add else matrix
            np.matmul(self.patches(x[part]).T, y[part].reshape(-1, self.filters), out=found)
            if add:
                np.add(matrix, found, out=matrix)
            add = True
        return out

    def input(self, y: np.ndarray, kernel: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The gradient of the images, given that of the output: a product for each place, added where it belongs."""
        if self.pixels:
            matrix = kernel.reshape(self.channels, self.filters).T
            np.matmul(y.reshape(-1, self.filters), matrix, out=out.reshape(-1, self.channels))
            return out
        if "shifted" not in self.memory:
            self.memory["shifted"] = buffer((self.count * self.area, self.channels), self.dtype.name)
        each = kernel.reshape(-1, self.channels, self.filters)
        for part in self.parts(y):
            total = self.frame(len(y[part])) if self.padded else out[part]
            total.fill(0)
            rows = y[part].reshape(-1, self.filters)
            product = self.memory["shifted"][: len(rows)]
            added = product.reshape(-1, *self.window.out, self.channels)
            for place, one in zip(self.places, each, strict=True):
                np.matmul(rows, one.T, out=product)
                there = total[place]
                np.add(there, added, out=there)
            if self.padded:
                np.copyto(out[part], total[self.inner])
                total.fill(0)
        return out

    def patches(self, x: np.ndarray) -> np.ndarray:
        """(positions, places in the window * channels), for a few images."""
        if self.pixels:
            return x.reshape(-1, self.depth)
        w, count, x = self.window, len(x), self.whole(x)
        if count not in self.memory:
            self.memory[count] = self.room(count)
        columns, matrix = self.memory[count]
        found: np.ndarray = matrix
        image, *spatial, channel = x.strides
        steps = (image, *(one * stride for one, stride in zip(spatial, w.strides, strict=True)))
        gaps = (*(one * gap for one, gap in zip(spatial, w.dilation, strict=True)), channel)
        np.copyto(columns, _seen(x, columns.shape, gaps + steps if self.planes else steps + gaps))
        return found

    def room(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Memory for the patches of so many images: as they are copied, and as a matrix."""
        first, second = (count, *self.window.out), (*self.window.size, self.channels)
        columns = buffer(second + first if self.planes else first + second, self.dtype.name)
        return columns, columns.reshape(self.depth, -1).T if self.planes else columns.reshape(-1, self.depth)


def _seen(x: np.ndarray, shape: Shape, strides: Shape) -> np.ndarray:
    """A view of any strides; the quick way needs memory without gaps."""
    if x.flags.c_contiguous:
        return np.ndarray(shape, x.dtype, x, 0, strides)
    return as_strided(x, shape, strides, writeable=False)
