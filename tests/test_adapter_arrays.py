"""Functions, indices, slices and what `value_and_grad` hands through: every framework, mode and precision.

Each row of the table is a primitive as a formula calls it, and its definition element by element, in Python numbers.
Gradients are central differences of the definitions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crossnn.adapter import Adapter
from crossnn.formula.graph import map_tree

Start = Callable[..., Adapter]
Arrays = dict[str, np.ndarray]

MODES = {
    "numpy": ("eager", "compiled"),
    "torch": ("eager", "compiled"),
    "tensorflow": ("eager", "graph", "xla"),
    "jax": ("eager", "jit"),
}
SLOWLY = pytest.mark.slow
PRECISIONS = [
    *((name, "eager", dtype) for name in ("numpy", "torch", "tensorflow") for dtype in ("float64", "float32")),
    *(("numpy", "compiled", dtype) for dtype in ("float64", "float32")),
    ("tensorflow", "graph", "float64"),
    ("tensorflow", "eager", "bfloat16"),
    ("torch", "eager", "bfloat16"),
    ("jax", "jit", "float64"),
    ("jax", "jit", "float32"),
    ("jax", "jit", "bfloat16"),
    pytest.param("torch", "compiled", "float64", marks=SLOWLY),
    pytest.param("tensorflow", "xla", "float32", marks=SLOWLY),
]
TOLERANCE = {"float64": 1e-12, "float32": 1e-5, "bfloat16": 3e-2}
STEP = 1e-5

_rng = np.random.default_rng(3)
DATA: Arrays = {  # numbers that bfloat16 has
    name: np.round(16 * _rng.normal(size=shape)) / 16
    for name, shape in [("x", (4, 3)), ("y", (4, 2)), ("z", (2, 2, 3))]
}
FIXED: Arrays = {
    "rows": np.array([2, 0, 2, 2, 3]),
    "grid": np.array([[1, 1, 3], [0, 1, 2]]),
    "counted": np.array([2.0, 0.0, 1.0]),
    "two": np.array([1, 0]),
    "pairs": np.array([[4, 1], [1, 4]]),
}


def each(function: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    return np.array([function(one) for one in x.ravel()]).reshape(x.shape)


def added(y: np.ndarray, i: np.ndarray, length: int) -> np.ndarray:
    result = np.zeros((length, *y.shape[i.ndim :]))
    for at in np.ndindex(i.shape):
        result[i[at]] += y[at]
    return result


def orthonormal(x: np.ndarray) -> np.ndarray:
    """Gram and Schmidt, column by column."""
    columns: list[np.ndarray] = []
    for column in x.T:
        rest = column - sum((column @ one * one for one in columns), np.zeros(len(column)))
        columns.append(rest / np.sqrt(rest @ rest))
    return np.array(columns).T


def picked(label: str, v: Arrays) -> np.ndarray:
    return np.array([[float(one == k) for k in range(3)] for one in v[label]])


Row = tuple[Callable[[Any, Any], Any], Callable[[Arrays], np.ndarray]]
ROWS: dict[str, Row] = {
    "sigmoid": (lambda do, v: do["sigmoid"](v["x"]), lambda v: each(lambda a: 1 / (1 + math.exp(-a)), v["x"])),
    "erfc": (lambda do, v: do["erfc"](v["x"]), lambda v: each(math.erfc, v["x"])),
    "floor": (lambda do, v: do["floor"](v["x"] * 3), lambda v: each(lambda a: float(math.floor(3 * a)), DATA["x"])),
    "iota": (lambda do, v: do["iota"](v["x"]), lambda v: np.array([[0.0, 1.0, 2.0]] * 4)),
    "iota of an axis": (lambda do, v: do["iota"](v["z"], axis=1), lambda v: np.array([[[0.0] * 3, [1.0] * 3]] * 2)),
    "iota of indices": (lambda do, v: do["iota"](v["rows"], axis=0), lambda v: np.array([0.0, 1.0, 2.0, 3.0, 4.0])),
    "one_hot": (lambda do, v: do["one_hot"](v["rows"], v["x"]), lambda v: picked("rows", v)),
    "one_hot of floats": (lambda do, v: do["one_hot"](v["counted"], v["z"]), lambda v: picked("counted", v)),
    "one_hot where equal": (
        lambda do, v: do["where"](do["equal"](v["rows"], do["iota"](v["rows"])), 1, 0),
        lambda v: np.array([float(one == k) for k, one in enumerate(v["rows"])]),
    ),
    "take": (lambda do, v: do["take"](v["x"], v["rows"]), lambda v: np.array([v["x"][i] for i in v["rows"]])),
    "take of a grid": (
        lambda do, v: do["take"](v["y"], v["grid"]), lambda v: np.array([[v["y"][i] for i in row] for row in v["grid"]])
    ),
    "take of counted": (
        lambda do, v: do["take"](v["x"], v["counted"]), lambda v: np.array([v["x"][int(i)] for i in v["counted"]])
    ),
    "take of volumes": (lambda do, v: do["take"](v["z"], v["two"]), lambda v: np.array([v["z"][1], v["z"][0]])),
    "put": (
        lambda do, v: do["put"](do["take"](v["x"], v["rows"]), v["rows"], shape=(4, 3)),
        lambda v: added(np.array([v["x"][i] for i in v["rows"]]), v["rows"], 4),
    ),
    "put of a grid": (
        lambda do, v: do["put"](v["z"], v["pairs"], shape=(5, 3)), lambda v: added(v["z"], v["pairs"], 5)
    ),
    "slice": (lambda do, v: do["slice"](v["x"], axis=0, start=0, stop=2), lambda v: np.array([v["x"][0], v["x"][1]])),
    "slice of an axis": (
        lambda do, v: do["slice"](v["z"], axis=-1, start=1, stop=3),
        lambda v: np.array([[row[1:] for row in matrix] for matrix in v["z"]]),
    ),
    "pad": (
        lambda do, v: do["pad"](v["y"], axis=0, before=1, after=2),
        lambda v: np.array([[0, 0], *v["y"].tolist(), [0, 0], [0, 0]]),
    ),
    "pad of an axis": (
        lambda do, v: do["pad"](v["z"], axis=-2, before=0, after=1),
        lambda v: np.array([[*m.tolist(), [0, 0, 0]] for m in v["z"]]),
    ),
    "flip": (lambda do, v: do["flip"](v["x"]), lambda v: np.array([v["x"][3 - i] for i in range(4)])),
    "flip of an axis": (
        lambda do, v: do["flip"](v["x"], axis=-1), lambda v: np.array([[c, b, a] for a, b, c in v["x"]])
    ),
    "concatenate": (
        lambda do, v: do["concatenate"](v["x"], v["y"], v["x"]),
        lambda v: np.array([[*a, *b, *a] for a, b in zip(v["x"], v["y"], strict=True)]),
    ),
    "concatenate of one": (lambda do, v: do["concatenate"](v["y"]), lambda v: v["y"]),
    "concatenate of an axis": (
        lambda do, v: do["concatenate"](v["x"], v["x"], axis=0), lambda v: np.array([*v["x"], *v["x"]])
    ),
    "orthonormal": (lambda do, v: do["orthonormal"](v["x"]), lambda v: orthonormal(DATA["x"])),
    "orthonormal of a square": (
        lambda do, v: do["orthonormal"](do["slice"](v["x"], axis=0, start=0, stop=3)),
        lambda v: orthonormal(DATA["x"][:3]),
    ),
}  # fmt: skip


@functools.cache
def expected() -> tuple[Arrays, Arrays, Arrays]:
    """Values, the seeds that weight them, and the gradients of the weighted sum."""
    values = {label: definition({**DATA, **FIXED}) for label, (_, definition) in ROWS.items()}
    seeds = {label: np.random.default_rng(len(label)).normal(size=one.shape) for label, one in values.items()}

    def total(key: str, place: tuple[int, ...], step: float) -> float:
        moved = DATA[key].copy()
        moved[place] += step
        v = {**DATA, **FIXED, key: moved}
        return sum(float(np.sum(seeds[label] * definition(v))) for label, (_, definition) in ROWS.items())

    slopes = {key: np.zeros_like(one) for key, one in DATA.items()}
    for key, slope in slopes.items():
        for place in np.ndindex(slope.shape):
            slope[place] = (total(key, place, STEP) - total(key, place, -STEP)) / (2 * STEP)
    return values, seeds, slopes


@pytest.mark.parametrize(("name", "mode", "dtype"), PRECISIONS)
def test_values_and_gradients_are_those_of_the_definitions(adapter: Start, name: str, mode: str, dtype: str) -> None:
    backend = adapter(name, dtype)
    values, seeds, slopes = expected()

    def f(params: Any, fixed: Any, seeds: Any) -> Any:
        do, v = backend.primitives, {**params, **fixed}
        found = {label: call(do, v) for label, (call, _) in ROWS.items()}
        parts = [do["sum"](one * seeds[label]) for label, one in found.items()]
        return functools.reduce(lambda x, y: x + y, parts), found

    given = [map_tree(backend.tensor, tree) for tree in (DATA, FIXED, seeds)]
    (number, found), gradients = backend.compile(backend.value_and_grad(f, aux=True), mode)(*given)
    for label, one in values.items():
        compare(backend.array(found[label]), one, dtype, TOLERANCE[dtype], label)
    total = np.array(sum(float(np.sum(seeds[label] * one)) for label, one in values.items()))
    compare(backend.array(number), total, dtype, TOLERANCE[dtype], "sum")
    for key, slope in slopes.items():
        compare(backend.array(gradients[key]), slope, dtype, max(TOLERANCE[dtype], 1e-9), key)


def compare(found: np.ndarray, expected: np.ndarray, dtype: str, tolerance: float, label: str) -> None:
    """bfloat16 comes out of an adapter as float32."""
    assert (found.shape, str(found.dtype)) == (expected.shape, dtype.replace("bfloat16", "float32")), label
    scale = np.max(np.abs(expected), initial=1.0)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale, err_msg=label)


@pytest.mark.parametrize(("dtype", "far"), [("float64", (26.0, 700.0)), ("float32", (9.0, 85.0))])
@pytest.mark.parametrize("name", MODES)
def test_tails_keep_their_digits(adapter: Start, name: str, dtype: str, far: tuple[float, float]) -> None:
    """1 - erf(x) is 0 where erfc(x) is 1e-38; the exponent x**2 of XLA's erfc is rounded before exp is taken of it."""
    backend = adapter(name, dtype)
    for primitive, end, definition in [
        ("erfc", far[0], math.erfc),
        ("sigmoid", far[1], lambda a: 1 / (1 + math.exp(-a))),
    ]:
        x = np.linspace(-end, end, 41).astype(dtype)
        found = backend.array(backend.primitives[primitive](backend.tensor(x)))
        np.testing.assert_allclose(found, each(definition, x.astype(float)), rtol=TOLERANCE[dtype], err_msg=primitive)


@pytest.mark.parametrize(("name", "mode"), [(name, mode) for name, modes in MODES.items() for mode in modes])
def test_a_tree_is_handed_through(adapter: Start, name: str, mode: str) -> None:
    """As running statistics are: nested, with an input among them, and without an effect on the gradient."""
    backend = adapter(name)
    w, x = np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 7.0])

    def f(params: Any, x: Any) -> Any:
        total = backend.primitives["sum"](params["w"] * x)
        return total, {"mean": {"new": params["w"] * 0.5 + x, "old": x}, "pair": (params["w"], total * params["w"])}

    run = backend.compile(backend.value_and_grad(f, aux=True), mode)
    (number, tree), slopes = run({"w": backend.tensor(w)}, backend.tensor(x))
    assert backend.array(number) == 41
    assert set(slopes) == {"w"}
    for found, one in [
        (slopes["w"], x), (tree["mean"]["new"], w / 2 + x), (tree["mean"]["old"], x), (tree["pair"][0], w),
        (tree["pair"][1], 41 * w),
    ]:  # fmt: skip
        assert not getattr(found, "requires_grad", False)  # torch would keep the whole computation with it
        array = backend.array(found)
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, one)
