"""Convolution, windows and indices in every framework, mode and precision, against sums written out as loops.

The definitions here are slow and share nothing with ours, not even the rule of padding. Convolution and its adjoints
are one sum over (place in the input, place in the kernel, place in the output): what is summed over says which of the
three it is, so that the gradients are known too. Other gradients are central differences of the definition.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from crossnn.adapter import Adapter
from crossnn.formula.graph import map_tree

Start = Callable[..., Adapter]
Index = tuple[int, ...]
Arrays = dict[str, np.ndarray]

TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 5e-2}
# label: lengths of the input, its channels, filters, size of the window, options
CONVOLUTIONS: dict[str, tuple[Index, int, int, Index, dict[str, Any]]] = {
    "row": ((6,), 2, 3, (3,), {}),
    "row, strides, dilation, groups": ((7,), 4, 4, (3,), {"strides": 2, "dilation": 2, "groups": 2, "padding": "same"}),
    "strides beyond the window": ((8,), 2, 2, (2,), {"strides": 3}),
    "image, odd zero at the end": ((5, 6), 2, 3, (2, 3), {"strides": (2, 1), "padding": "same"}),
    "depthwise, dilation": ((5, 4), 3, 6, (2, 2), {"dilation": (1, 2), "groups": 3}),
    "depthwise, strides": ((5, 4), 3, 3, (3, 3), {"strides": 2, "groups": 3, "padding": "same"}),
    "depthwise, unequal strides": ((4, 5), 2, 2, (2, 2), {"strides": (1, 2), "groups": 2, "padding": "same"}),
    "volume, strides, groups": ((5, 3, 4), 4, 2, (2, 1, 2), {"strides": (2, 1, 2), "groups": 2}),
    "volume, dilation": ((5, 3, 3), 1, 2, (2, 2, 1), {"dilation": 2, "padding": "same"}),
}

QUICK = [
    *((name, "eager", dtype) for name in ("numpy", "torch", "tensorflow") for dtype in ("float64", "float32")),
    *(("jax", "jit", dtype) for dtype in ("float64", "float32")),
    ("numpy", "compiled", "float64"),
    ("tensorflow", "graph", "float64"),
    ("torch", "eager", "bfloat16"),
]
LONG = [
    ("jax", "eager", "float64", "image, odd zero at the end"),
    ("torch", "compiled", "float64", "row, strides, dilation, groups"),
    ("tensorflow", "xla", "float64", "row, strides, dilation, groups"),
    ("tensorflow", "xla", "float32", "depthwise, strides"),
]
CASES = [
    *((*start, label) for start in QUICK for label in CONVOLUTIONS),
    *(pytest.param(*row, marks=pytest.mark.slow) for row in LONG),
]


def meets(length: int, size: int, strides: int, dilation: int, padding: str) -> Iterator[tuple[int, int, int]]:
    """(position of the window, place in the window, place in the input), one axis; outside the input is padding."""
    reach = (size - 1) * dilation + 1
    out = math.ceil(length / strides) if padding == "same" else math.ceil((length - reach + 1) / strides)
    total = max((out - 1) * strides + reach - length, 0) if padding == "same" else 0
    for o, p in itertools.product(range(out), range(size)):
        yield o, p, o * strides + p * dilation - total // 2


def all_meets(spatial: Index, size: Index, options: dict[str, Any]) -> list[tuple[Index, Index, Index]]:
    """The same in all axes at once."""
    every = {key: options.get(key, 1) for key in ("strides", "dilation")}
    strides, dilation = (one if isinstance(one, tuple) else (one,) * len(size) for one in every.values())
    padding = options.get("padding", "valid")
    axes = [meets(*lengths, padding) for lengths in zip(spatial, size, strides, dilation, strict=True)]
    return [tuple(zip(*each, strict=True)) for each in itertools.product(*axes)]  # type: ignore[misc]


def inside(place: Index, spatial: Index) -> bool:
    return all(0 <= one < length for one, length in zip(place, spatial, strict=True))


class Convolution:
    """One row of the table: its numbers, and the three sums over the same terms."""

    def __init__(self, label: str) -> None:
        spatial, channels, filters, size, options = CONVOLUTIONS[label]
        self.options, self.size = options, size
        groups, rng = options.get("groups", 1), np.random.default_rng(len(label))
        steps = all_meets(spatial, size, options)
        out = tuple(max(axis) + 1 for axis in zip(*(position for position, _, _ in steps), strict=True))
        self.shapes = {
            "x": (2, *spatial, channels), "k": (*size, channels // groups, filters), "y": (2, *out, filters)
        }  # fmt: skip
        self.terms = [
            ((n, *place, f // (filters // groups) * (channels // groups) + c), (*at, c, f), (n, *position, f))
            for n, (position, at, place), c, f in itertools.product(
                range(2), steps, range(channels // groups), range(filters)
            )
            if inside(place, spatial)
        ]
        self.patches = [((n, *o, *p, c), (n, *i, c)) for n, (o, p, i), c in itertools.product(
            range(2), steps, range(channels))]  # fmt: skip
        self.patch_shape = (2, *out, *size, channels)
        shapes = {**self.shapes, **{f"{key} seed": shape for key, shape in self.shapes.items()}}
        self.data = {key: rng.normal(size=shape) for key, shape in shapes.items()}
        self.data |= {key: rng.normal(size=self.patch_shape) for key in ("w", "w seed")}

    def total(self, target: str, **factors: np.ndarray) -> np.ndarray:
        """Sum over the terms of the product of both factors, collected at the places of `target`."""
        result = np.zeros(self.shapes[target])
        for places in self.terms:
            at = dict(zip("xky", places, strict=True))
            result[at[target]] += math.prod(array[at[key]] for key, array in factors.items())
        return result

    def windows(self, x: np.ndarray, fill: float) -> np.ndarray:
        result = np.empty(self.patch_shape)
        for at, place in self.patches:
            result[at] = x[place] if inside(place[1:-1], x.shape[1:-1]) else fill
        return result

    def overlap_add(self, w: np.ndarray) -> np.ndarray:
        result = np.zeros(self.shapes["x"])
        for at, place in self.patches:
            if inside(place[1:-1], result.shape[1:-1]):
                result[place] += w[at]
        return result

    def expected(self) -> tuple[Arrays, Arrays]:
        """Values, and the gradients of their sum weighted with the seeds."""
        x, k, y, w = (self.data[key] for key in "xkyw")
        u = {key: self.data[f"{key} seed"] for key in "xkyw"}
        values = {
            "conv": self.total("y", x=x, k=k), "conv_transposed": self.total("x", y=y, k=k),
            "conv_kernel": self.total("k", x=x, y=y), "windows": self.windows(x, 0), "overlap_add": self.overlap_add(w),
            "lowest": self.windows(x, -np.inf),
        }  # fmt: skip
        slopes = {
            "x": self.total("x", y=u["y"], k=k) + self.total("x", y=y, k=u["k"]) + self.overlap_add(u["w"]),
            "k": self.total("k", x=x, y=u["y"]) + self.total("k", x=u["x"], y=y),
            "y": self.total("y", x=u["x"], k=k) + self.total("y", x=x, k=u["k"]),
            "w": self.windows(u["x"], 0),
        }
        return values, slopes

    def computed(self, backend: Adapter, params: Any, seeds: Any) -> tuple[Any, Any]:
        do, (x, k, y, w) = backend.primitives, (params[key] for key in "xkyw")
        sliding = {"size": self.size, **{key: one for key, one in self.options.items() if key != "groups"}}
        values = {
            "conv": do["conv"](x, k, **self.options),
            "conv_transposed": do["conv_transposed"](y, k, shape=self.shapes["x"], **self.options),
            "conv_kernel": do["conv_kernel"](x, y, shape=self.shapes["k"], **self.options),
            "windows": do["windows"](x, **sliding),
            "overlap_add": do["overlap_add"](w, shape=self.shapes["x"], **sliding),
        }
        weights = dict(zip(values, ("y seed", "x seed", "k seed", "w seed", "x seed"), strict=True))
        number = functools.reduce(
            lambda total, key: total + do["sum"](values[key] * seeds[weights[key]]), values, do["sum"](x * 0)
        )
        return number, {**values, "lowest": do["windows"](x, **sliding, fill="lowest")}


@functools.cache
def convolution(label: str) -> tuple[Convolution, Arrays, Arrays]:
    row = Convolution(label)
    return row, *row.expected()


def judge(backend: Adapter, label: str, mode: str, dtype: str) -> None:
    row, values, slopes = convolution(label)
    params = {key: row.data[key] for key in "xkyw"}
    seeds = {key: one for key, one in row.data.items() if key not in params}

    def f(params: Any, seeds: Any) -> Any:
        return row.computed(backend, params, seeds)

    run = backend.compile(backend.value_and_grad(f, aux=True), mode)
    (_, found), gradients = run(map_tree(backend.tensor, params), map_tree(backend.tensor, seeds))
    for key, one in values.items():
        compare(backend.array(found[key]), one, dtype, key)
    for key, one in slopes.items():
        compare(backend.array(gradients[key]), one, dtype, f"gradient in {key}")


def compare(found: np.ndarray, expected: np.ndarray, dtype: str, label: str) -> None:
    assert (found.shape, str(found.dtype)) == (expected.shape, "float32" if dtype == "bfloat16" else dtype), label
    scale = np.max(np.abs(expected[np.isfinite(expected)]), initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[dtype] * scale, err_msg=label)


@pytest.mark.parametrize(("name", "mode", "dtype", "label"), CASES)
def test_convolution_and_its_adjoints(adapter: Start, name: str, mode: str, dtype: str, label: str) -> None:
    judge(adapter(name, dtype), label, mode, dtype)
