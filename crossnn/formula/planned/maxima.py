"""Pooling of compiled NumPy: maxima and their gradient from slices of the images, without an array of windows."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from crossnn.formula.numpy_meaning import BITS
from crossnn.formula.planned.buffers import buffer
from crossnn.formula.planned.sliding import Sliding
from crossnn.formula.shapes import Lengths, Shape


class Pooling(Sliding):
    """The maximum of every window, where it is found, and how its gradient is shared.

    Maxima are found axis after axis, first between whole rows of pixels. The gradient goes in equal shares to all
    elements of a window that equal its maximum, so these are counted."""

    def __init__(
        self, shape: Shape, size: Lengths, dtype: str,
        strides: Lengths = 1, dilation: Lengths = 1, padding: str = "valid", fill: str = "zero",
    ) -> None:  # fmt: skip
        lowest = -np.inf if fill == "lowest" else 0.0
        super().__init__("windows", shape, size, dtype, strides, dilation, padding, lowest)
        w, self.bits = self.window, BITS[self.dtype]
        self.count = images = self.few(prod(self.outer) * self.dtype.itemsize)
        reach = [(size - 1) * gap + 1 for size, gap in zip(w.size, w.dilation, strict=True)]
        self.apart = all(stride >= one for stride, one in zip(w.strides, reach, strict=True))
        self.covering = self.apart and all(n * m == k for n, m, k in zip(w.out, w.size, self.outer, strict=False))
        self.axes: list[tuple[np.ndarray, list[tuple[Any, ...]]]] = []  # the maxima along them, and of what
        for axis, (gap, steps, stride) in enumerate(zip(w.dilation, w.out, w.strides, strict=True)):
            starts = range(0, gap * w.size[axis], gap)
            slices: list[tuple[Any, ...]] = [(..., slice(at, at + (steps - 1) * stride + 1, stride)) for at in starts]
            behind = (slice(None),) * (len(w.size) - axis)
            room = buffer((images, *w.out[: axis + 1], *self.outer[axis + 1 :]), dtype)
            self.axes.append((room, [(*one, *behind) for one in slices]))
        share = (images, *w.out, self.channels)
        self.equal = buffer(share, "uint8" if prod(w.size) < 256 else "uint32")
        self.portion, self.piece = buffer(share, dtype), buffer(share, dtype)

    def largest(self, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The maxima."""
        for part in self.parts(x):
            values = self.whole(x[part])
            for number, (room, places) in enumerate(self.axes, 1):
                found = out[part] if number == len(self.axes) else room[: len(values)]
                first, *others = [values[place] for place in places]
                if not others:
                    np.copyto(found, first)
                for other in others:
                    first = np.maximum(first, other, out=found)
                values = found
        return out

    def hits(self, x: np.ndarray, largest: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Which elements of each window equal its maximum: (images, places in the window, ...)."""
        for part in self.parts(x):
            images, most, found = self.whole(x[part]), largest[part], out[part]
            for number, place in enumerate(self.places):
                np.equal(images[place], most, out=found[:, number])
        return out

    def share(self, hits: np.ndarray, gradient: np.ndarray, out: np.ndarray) -> np.ndarray:
        """The gradient of the images."""
        for part in self.parts(hits):
            hit = hits[part].view(np.uint8)
            equal, portion, piece = (one[: len(hit)] for one in (self.equal, self.portion, self.piece))
            np.copyto(equal, hit[:, 0])
            for number in range(1, len(self.places)):
                np.add(equal, hit[:, number], out=equal)
            np.divide(gradient[part], equal, out=portion)
            total = self.frame(len(hit)) if self.padded else out[part]
            if not self.covering:
                total.fill(0)
            shares, totals = portion.view(self.bits), total.view(self.bits)
            for number, place in enumerate(self.places):  # on the bits: what is no maximum gets 0, whatever a share is
                if self.apart:
                    np.multiply(shares, hit[:, number], out=totals[place])
                else:
                    np.multiply(shares, hit[:, number], out=piece.view(self.bits))
                    np.add(total[place], piece, out=total[place])
            if self.padded:
                np.copyto(out[part], total[self.inner])
                total.fill(self.fill)
        return out
