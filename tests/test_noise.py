"""The noise interpreter: exact steps make none, each rounded step its share, cancellation what is left of both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossnn.formula import noise as noise_module
from crossnn.formula.evaluate import evaluate, walk
from crossnn.formula.grammar import parse
from crossnn.formula.graph import Graph, Node, constant, record
from crossnn.formula.noise import noise_scales, noisy_meaning
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.numpy_runs import CARRIED, compute

UNIFORM = 1 / np.sqrt(3)
"""The root mean square of one uniform disturbance."""


def noise(text: str, dtype: str = "float64", runs: int = 400, seed: int = 0, **arguments: Any) -> np.ndarray:
    given = {name: np.asarray(value, np.float64) for name, value in arguments.items()}

    def function(**names: Node) -> Node:
        return record(parse(text), names, next(iter(names.values())).tape)

    graph = Graph.trace(function, {name: value.shape for name, value in given.items()})
    return noise_scales(graph, given, dtype, seed, runs)[0]


X = np.array([-3.7, -0.3, 0.0, 0.4, 5.1])


@pytest.mark.parametrize(
    "text",
    [
        "where(x > 0, x, 0)",
        "maximum(x, 0)",
        "abs(x)",
        "-x",
        "2*x",
        "x/4",
        "x*0.5 + 0",
        "0*x",
        "x - x",
        "max(x)",
        "min(x, axis=0, keepdims=True)",
        "sign(x)",
        "reshape(x, shape=(5, 1))",
        "transpose(reshape(x, shape=(5, 1)))",
        "stop_gradient(x)",
        "ones_like(x)",
        "argmax(x)",
    ],
)
def test_exact_computations_make_none(text: str) -> None:
    assert not np.any(noise(text, x=X))


def test_one_multiplication_makes_one_share() -> None:
    x, y = np.array([1.3, -2.7, 1e-9, 300.0]), np.array([0.7, 3.3, 1.9, 7e5])
    np.testing.assert_allclose(noise("x*y", x=x, y=y) / np.abs(x * y), UNIFORM, rtol=0.1)
    np.testing.assert_allclose(noise("x/y", x=x, y=y) / np.abs(x / y), UNIFORM, rtol=0.1)
    np.testing.assert_allclose(noise("exp(y)", y=y / 1e5) / np.exp(y / 1e5), UNIFORM, rtol=0.1)


def test_shares_add_up_as_squares() -> None:
    np.testing.assert_allclose(noise("x*x*x*x*x", x=[1.3]) / 1.3**5, 2 * UNIFORM, rtol=0.1)


def test_cancellation_leaves_the_noise_and_takes_the_value() -> None:
    """exp(x) - 1 near 0: the noise of exp stays, so its ratio to the value grows as 1/x; expm1 has none of that."""
    small = np.array([1e-2, 1e-4, 1e-8])
    relative = noise("exp(x) - 1", x=small) / np.expm1(small)
    np.testing.assert_allclose(relative * small, UNIFORM, rtol=0.15)
    np.testing.assert_allclose(noise("expm1(x)", x=small) / np.expm1(small), UNIFORM, rtol=0.1)


def test_conditioning_amplifies() -> None:
    """The rounding of x*1.1 reaches exp multiplied by its exponent."""
    x = np.array([1.3, 10.7, 101.1])
    relative = noise("exp(1.1*x)", x=x) / np.exp(1.1 * x)
    expected = UNIFORM * np.sqrt(1 + 2 * (1.1 * x) ** 2)  # 1.1 itself is rounded too
    np.testing.assert_allclose(relative, expected, rtol=0.15)


def test_steps_that_no_arithmetic_rounds_are_quiet() -> None:
    """The slope of softplus at -40 is (sign + 1)/2 - exp(x)/(1 + exp(x))*sign: 0 and a tiny number. The noise must be
    that of the tiny number."""
    slope = "(sign(x) + 1)/2 - exp(-abs(x))/(1 + exp(-abs(x)))*sign(x)"
    found = noise(slope, x=[-40.0])
    assert 0 < found[0] < 10 * np.exp(-40.0)


def test_a_product_of_matrices_has_the_root_of_squares() -> None:
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(5, 40)), generator.normal(size=(40, 4))
    expected = np.sqrt((x**2) @ (y**2)) * UNIFORM
    np.testing.assert_allclose(noise("x @ y", x=x, y=y), expected, rtol=0.15)


@pytest.mark.parametrize(("text", "count"), [("sum(x)", 1), ("mean(x)", 1000)])
def test_a_sum_has_the_root_of_squares_of_its_terms(text: str, count: int) -> None:
    x = np.random.default_rng(4).normal(size=1000)
    np.testing.assert_allclose(noise(text, x=x), UNIFORM * np.sqrt(np.sum(x**2)) / count, rtol=0.15)


def test_a_written_number_that_the_dtype_cannot_hold_is_noise() -> None:
    """0.1 is rounded everywhere; 0.5 nowhere; a hyper-parameter is a double already and rounded in float32 alone."""
    assert noise("x*0.1", x=[1.0])[0] > 0  # the constant alone: times 1 is exact
    assert noise("x*0.5", x=[3.0])[0] == 0
    assert noise("x + 16777217", x=[0.0])[0] == 0
    assert noise("x + 16777217", "float32", x=[0.0])[0] > 0
    assert noise("x + pi", x=[0.0])[0] > 0


def test_a_hyper_parameter_is_rounded_in_float32_alone() -> None:
    def function(x: Node) -> Node:
        return x * constant(x.tape, 0.1, name="alpha")

    graph = Graph.trace(function, {"x": (1,)})
    arguments = {"x": np.array([1.0])}
    assert not np.any(noise_scales(graph, arguments, "float64")[0])
    assert np.all(noise_scales(graph, arguments, "float32")[0] > 0)


def test_the_same_seed_measures_the_same() -> None:
    x = np.linspace(0.1, 3, 7)
    assert np.array_equal(noise("exp(x)*x", x=x, runs=12), noise("exp(x)*x", x=x, runs=12))
    assert not np.array_equal(noise("exp(x)*x", x=x, runs=12), noise("exp(x)*x", x=x, runs=12, seed=1))


def test_tiny_results_do_not_underflow_to_silence() -> None:
    relative = noise("exp(x)", x=[-700.0])[0] / np.exp(-700.0)
    assert relative == pytest.approx(UNIFORM, rel=0.1)


SHAPES = {"x": (4, 3), "y": (3,), "z": (2, 4, 3), "m": (3, 5), "a": (2, 6, 6, 2), "k": (3, 3, 2, 4), "g": (2, 3, 3, 4)}
STEPS = [
    "x + y", "y*z", "where(x > y, x, z)", "maximum(z, 0.5)", "x**2", "erf(y)", "sigmoid(z)", "ones_like(x)",
    "sum(z)", "sum(z, axis=1)", "mean(z, axis=(0, -1), keepdims=True)", "max(x, axis=0)", "min(x)", "argmax(x)",
    "argmax(z, axis=1)", "x @ m", "z @ m", "transpose(z)", "transpose(z, axes=(2, 0, 1))",
    "reshape(z, shape=(8, 3))", "reshape(z, shape=(-1, 6))", "flatten(z)", "broadcast(y, shape=(2, 4, 3))",
    "slice(z, axis=1, start=1, stop=3)", "slice(x, axis=-1, start=0, stop=2)", "pad(x, axis=0, before=1, after=2)",
    "flip(z, axis=2)", "concatenate(x, x, x)", "concatenate(x, reshape(y, shape=(1, 3)), axis=0)", "iota(z, axis=1)",
    "one_hot(argmax(x), y)", "take(x, argmax(x))", "take(m, argmax(transpose(x)))", "put(x, argmax(x), shape=(5, 3))",
    "windows(a, size=2)", "windows(a, size=(3, 2), strides=2, padding='same', fill='lowest')",
    "overlap_add(windows(a, size=3), shape=(2, 6, 6, 2), size=3)", "conv(a, k)",
    "conv(a, k, strides=2, padding='same')",
    "conv_transposed(g, k, shape=(2, 6, 6, 2), strides=2, padding='same')",
    "conv_kernel(a, g, shape=(3, 3, 2, 4), strides=2, padding='same')", "orthonormal(x)",
]  # fmt: skip
"""Every primitive for which runs are carried along, and some for which they are not."""


@pytest.mark.parametrize("text", STEPS)
@pytest.mark.parametrize("quiet", ["", "xk", "ym", "xyzmakg"], ids=lambda one: f"quiet-{one}")
def test_many_runs_at_once_are_the_runs_one_by_one(text: str, quiet: str) -> None:
    graph = Graph.trace(lambda **names: record(parse(text), names, names["x"].tape), SHAPES)
    generator = np.random.default_rng(6)
    given = {name: generator.normal(size=(1 if name in quiet else 3, *shape)) for name, shape in SHAPES.items()}
    together = walk(
        graph, given, lambda node: np.array([node.options["value"]]), lambda node, x: compute(node, node.operation, x)
    )
    assert len(together) in (1, 3)
    for run in range(3):
        own = {name: value[run if len(value) > 1 else 0] for name, value in given.items()}
        alone = evaluate(graph, NUMPY, own, lambda node: np.float64(node.options["value"]))
        np.testing.assert_allclose(together[run if len(together) > 1 else 0], alone, rtol=1e-13, atol=1e-13)


def test_every_primitive_that_carries_runs_is_tried() -> None:
    traced = [Graph.trace(lambda t=text, **names: record(parse(t), names, names["x"].tape), SHAPES) for text in STEPS]
    assert {node.operation for graph in traced for node in graph.live()} >= set(CARRIED)


def test_the_same_noise_however_many_runs_are_computed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six by six they are other random numbers, of the same size."""
    x = np.linspace(0.1, 3, 7)
    together = noise("exp(x)*x - x", x=x)
    monkeypatch.setattr(noise_module, "AT_ONCE", 6)
    np.testing.assert_allclose(noise("exp(x)*x - x", x=x), together, rtol=0.2)


def test_whole_trainings_are_disturbed_by_the_same_rules() -> None:
    generator = np.random.default_rng(5)
    noisy = noisy_meaning(generator, 2.0**-20)
    x = np.full(4000, 3.0)
    assert np.array_equal(noisy["maximum"](x, 0.0), x)
    spread = np.std(noisy["exp"](x) / np.exp(3.0) - 1) * 2**20
    assert spread == pytest.approx(UNIFORM, rel=0.1)
