"""Functions that take the place of several nodes, and operands that are overwritten: only where that is the same."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from crossnn.adapter import Adapter
from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Optimizer
from crossnn.catalogue.updates import initial_state, update_graph
from crossnn.formula.evaluate import replay
from crossnn.formula.fused import MATCHES, fused
from crossnn.formula.grammar import parse
from crossnn.formula.graph import Graph, leaves, map_tree, record
from crossnn.formula.overwrite import overwritten
from crossnn.formula.simplify import simplify
from crossnn.formula.source import OPERATORS, compile_graph, to_source
from crossnn.parity.compute import function_of, kept_tensors, kernels_of, meaning_of

Start = Callable[..., Adapter]
CATALOGUE = load_catalogue()
OPTIMIZERS = [row for row in CATALOGUE.of_kind("optimizer") if isinstance(row, Optimizer)]
IMAGES, MATRIX = {"x": (2, 7, 5, 3)}, {"x": (4, 3)}
ABOVE = "(x - stop_gradient(max(x, axis=-1, keepdims=True)))"
RELU = "where(x > 0, x, 0)"
LOG_SOFTMAX = f"{ABOVE} - log(sum(exp({ABOVE}), axis=-1, keepdims=True))"
IN_PLACE = {"add": "{}.add_({})", "subtract": "{}.sub_({})", "multiply": "{}.mul_({})"}
MODES = [("torch", "eager"), ("tensorflow", "graph"), ("jax", "eager"), ("jax", "jit")]
SLOW = [("torch", "compiled"), ("tensorflow", "eager"), ("tensorflow", "xla")]
EVERY = [*MODES, *(pytest.param(*one, marks=pytest.mark.slow) for one in SLOW)]


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def graph_of(text: str, shapes: Mapping[str, tuple[int, ...]]) -> Graph:
    formula = parse(text)
    return Graph.trace(lambda **names: record(formula, names, next(iter(names.values())).tape), shapes)


def found(graph: Graph) -> list[str]:
    return [node.operation for node in fused(simplify(graph), MATCHES).live() if node.operation in MATCHES]


@pytest.mark.parametrize(
    ("text", "shapes", "names"),
    [
        (f"max(windows({RELU}, size=2, strides=2, fill='lowest'), axis=(3, 4))", IMAGES, ["rectified", "max_pool"]),
        (f"max(windows({RELU}, size=2, strides=2), axis=(3, 4))", IMAGES, ["rectified", "max_pool"]),
        ("max(windows(x, size=2, strides=2, fill='lowest'), axis=(3, 4))", IMAGES, []),  # ties share the gradient
        (f"max(windows({RELU} + 1, size=2, strides=2), axis=(3, 4))", IMAGES, ["rectified"]),
        (f"max(windows({RELU}, size=2, padding='same'), axis=(3, 4))", IMAGES, ["rectified"]),  # zeros may win
        (f"max(windows({RELU}, size=2, fill='lowest'), axis=3)", IMAGES, ["rectified"]),
        (f"max(windows({RELU}, size=2, fill='lowest'), axis=(3, 4), keepdims=True)", IMAGES, ["rectified"]),
        ("min(windows(x, size=2), axis=(3, 4))", IMAGES, []),
        ("max(windows(x, size=2), axis=(3, 4)) + sum(windows(x, size=2))", IMAGES, []),  # needed twice
        ("where(x > 0, x, 0)", MATRIX, ["rectified"]),
        ("where(x >= 0, x, 0)", MATRIX, []),
        ("where(x > 0, x, 0.1)", MATRIX, []),
        ("where(x > 0, y, 0)", {**MATRIX, "y": (4, 3)}, []),
        ("x @ k + b", {**MATRIX, "k": (3, 2), "b": (2,)}, ["affine"]),
        ("x @ k + b", {**MATRIX, "k": (3, 2), "b": (4, 2)}, []),
        ("x @ k + b", {"x": (2, 4, 3), "k": (3, 2), "b": (2,)}, ["biased"]),
        (LOG_SOFTMAX, MATRIX, ["log_softmax"]),
        (LOG_SOFTMAX.replace("axis=-1", "axis=0"), MATRIX, []),
        ("x + 0.1*y", {**MATRIX, "y": (4, 3)}, ["add_scaled"]),
        ("0.1*y*y + x", {**MATRIX, "y": (4, 3)}, []),
        ("x + 0.1*y**2", {**MATRIX, "y": (4, 3)}, ["add_product"]),
        ("x - y/(y + 1)", {**MATRIX, "y": (4, 3)}, ["subtract_quotient"]),
        ("x - y/2", {**MATRIX, "y": (4, 3)}, []),
    ],
)  # fmt: skip
def test_only_what_means_the_same_is_replaced(text: str, shapes: Mapping[str, Any], names: list[str]) -> None:
    assert found(graph_of(text, shapes)) == names
    assert fused(graph_of(text, shapes), {}).results[0].operation not in MATCHES


def test_nothing_is_replaced_for_a_meaning_without_it() -> None:
    assert "max(windows(" in to_source(graph_of("max(windows(x, size=2), axis=(3, 4))", IMAGES), "f", OPERATORS)


def both(adapter: Adapter, mode: str, graph: Graph, *arguments: Any) -> list[Any]:
    """Value and gradient with the functions of a mode, and without."""
    plain = compile_graph(simplify(graph), "f", adapter.primitives, adapter.spelling, adapter.namespace)
    with_all = function_of(graph, "f", adapter, mode)
    offered = [adapter.spelling.get(name, name) for name in MATCHES if name in meaning_of(adapter, mode)]
    assert any(name in (with_all.__doc__ or "") for name in offered)
    given = map_tree(adapter.tensor, arguments)
    return [
        map_tree(adapter.array, adapter.compile(adapter.value_and_grad(one), mode)(*given)) for one in (plain, with_all)
    ]


def scalar(text: str, shapes: Mapping[str, tuple[int, ...]], *, of: tuple[str, ...]) -> Graph:
    """(params, data) -> the sum of the squares of a formula; `of` are the params."""
    inner = graph_of(text, shapes)

    def function(params: Any, data: Any) -> Any:
        named = {name: (params if name in of else data)[name] for name in inner.arguments}
        tape = next(leaves(params)).tape
        y = replay(inner, named, tape)
        return (y * y).apply("sum", (y * y,), {})

    params, data = ({name: s for name, s in shapes.items() if (name in of) is wanted} for wanted in (True, False))
    return Graph.trace(function, {"params": params, "data": data})


@pytest.mark.parametrize(("name", "mode"), EVERY)
@pytest.mark.parametrize(
    ("rank", "options"),
    [
        (1, "size=2, strides=2"),
        (2, "size=2, strides=2"),
        (2, "size=3, strides=2, padding='same'"),
        (2, "size=(3, 1), strides=1, padding='same'"),
        (2, "size=2, strides=1, dilation=2"),
        (3, "size=2, strides=2, padding='same'"),
    ],
)
def test_pooling_by_the_framework_is_the_formula(adapter: Start, name: str, mode: str, rank: int, options: str) -> None:
    """Behind a rectifier, which makes ties of zeros: of equal maxima a framework's kernel may give the gradient to the
    first, and the rectifier lets none of it through."""
    shape = (2, *(7, 5, 6)[:rank], 3)
    axes = tuple(range(1 + rank, 1 + 2 * rank))
    graph = scalar(f"max(windows({RELU}, {options}, fill='lowest'), axis={axes})", {"x": shape}, of=("x",))
    plain, ours = both(adapter(name), mode, graph, {"x": drawn(*shape)}, {})
    for one, other in zip(leaves(plain), leaves(ours), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("name", "mode"), MODES[:2])
@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("where(x > 0, x, 0)", MATRIX),
        ("x @ k + b", {**MATRIX, "k": (3, 2), "b": (2,)}),
        ("conv(x, k, padding='same') + b", {"x": (2, 5, 4, 3), "k": (3, 3, 3, 2), "b": (2,)}),
        (LOG_SOFTMAX, MATRIX),
    ],
)
def test_functions_of_a_framework_are_the_formula(
    adapter: Start, name: str, mode: str, text: str, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    graph = scalar(text, shapes, of=tuple(shapes))
    values = {name: drawn(*shape, seed=seed) for seed, (name, shape) in enumerate(shapes.items())}
    plain, ours = both(adapter(name), mode, graph, values, {})
    for one, other in zip(leaves(plain), leaves(ours), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("text", "given_away", "printed"),
    [
        ("x*y + 1", (), "return (x*y).add_(1)"),
        ("x*y + 1", ("x",), "x.mul_(y).add_(1); return x"),
        ("y*x + 1", ("x",), "x.mul_(y).add_(1); return x"),
        ("y - x", ("x",), "return y - x"),
        ("x*y + x", ("x",), "return (x*y).add_(x)"),
        ("x*y", ("x", "y"), "x.mul_(y); return x"),
        ("transpose(x) + 1", ("x",), "return transpose(x) + 1"),  # a view is no memory of its own
        ("stop_gradient(x) + 1", ("x",), "return stop_gradient(x) + 1"),
        ("x + 1", (), "return x + 1"),
    ],
)
def test_what_nothing_else_needs_is_overwritten(text: str, given_away: tuple[str, ...], printed: str) -> None:
    shapes = {name: (2, 2) for name in "xy" if name in text.replace("transpose", "")}
    source = to_source(graph_of(text, shapes), "f", OPERATORS, in_place=IN_PLACE, given_away=given_away)
    body = "; ".join(line.strip() for line in source.splitlines()[1:])
    assert printed == body


def test_a_smaller_operand_is_no_place() -> None:
    graph = graph_of("(x + 1)*y", {"x": (3,), "y": (2, 3)})
    assert "return x.add_(1)*y" in to_source(graph, "f", OPERATORS, in_place=IN_PLACE, given_away=("x",))


def test_results_that_share_memory_give_nothing_away() -> None:
    def twice(x: Any, y: Any) -> Any:
        return (x + y, y)

    graph = Graph.trace(twice, {"x": (2,), "y": (2,)})
    assert overwritten(graph, IN_PLACE, ("x", "y"))
    assert not overwritten(graph, IN_PLACE, ("x",)), "y is handed on, and is the caller's"
    same = Graph.trace(lambda x, y: (x + y,) * 2, {"x": (2,), "y": (2,)})
    assert not overwritten(same, IN_PLACE, ("x", "y"))


@pytest.mark.parametrize("row", OPTIMIZERS, ids=operator.attrgetter("name"))
def test_an_update_in_place_is_the_update(adapter: Start, row: Optimizer) -> None:
    backend = adapter("torch")
    hyper, knobs = settings(row, {})
    arrays = {"kernel": drawn(4, 3), "bias": drawn(3)}
    state = initial_state(row, hyper, arrays)
    graph = update_graph(row, {name: one.shape for name, one in arrays.items()}, hyper, knobs)
    gradients = [{name: drawn(*one.shape, seed=seed) for name, one in arrays.items()} for seed in range(3)]

    def run(given_away: tuple[str, ...] | None) -> list[Any]:
        update = function_of(graph, "update", backend, "eager", given_away)
        given = map_tree(backend.tensor, gradients)
        params, slots = map_tree(backend.tensor, (arrays, state))
        for number, one in enumerate(given, 1):
            lr, t = (backend.tensor(np.asarray(float(value))) for value in (0.01, number))
            params, slots = update(params, one, slots, lr, t)
        assert all(map(np.array_equal, leaves(map_tree(backend.array, given)), leaves(gradients)))
        return list(leaves(map_tree(backend.array, (params, slots))))

    right = run(None)
    for given_away in ((), ("params", "state")):
        for one, other in zip(right, run(given_away), strict=True):
            np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "mode"), [("tensorflow", "graph"), ("tensorflow", "xla"), ("jax", "jit"), ("torch", "eager")]
)
def test_what_is_given_away_comes_back_renewed(adapter: Start, name: str, mode: str) -> None:
    backend = adapter(name)

    def step(params: Any, count: Any, data: Any) -> Any:
        return data["x"] + count, {key: one * 2.0 + data["x"] for key, one in params.items()}, count + 1.0

    def run(**donated: int) -> list[Any]:
        function = backend.compile(step, mode, **donated)
        found = []
        for start in (0.0, 5.0):  # from new tensors again
            carried = map_tree(backend.tensor, ({"w": np.full(3, start)}, np.asarray(start)))
            for number in range(3):
                loss, *carried = function(*carried, {"x": backend.tensor(np.full(3, float(number)))})
                found += [backend.array(one) for one in leaves((loss, *carried))]
        return found

    for one, other in zip(run(), run(donated=2), strict=True):
        np.testing.assert_array_equal(one, other)


def test_kernels_are_what_is_only_multiplied_by(adapter: Start) -> None:
    graph = Graph.trace(
        lambda params, x: (
            (x @ params["k"] + params["b"])
            @ params["both"]
            @ params["both"].apply("transpose", (params["both"],), {"axes": None})
        ),
        {"params": {"k": (3, 2), "b": (2,), "both": (2, 4)}, "x": (5, 3)},
    )
    assert kernels_of(graph) == {"k"}
    k = drawn(3, 2)
    kept = kept_tensors(adapter("torch"), {"params": {"k": k, "b": k}, "m": ({"k": k},)}, {"k"})
    assert [one.stride() for one in leaves(kept)] == [(1, 3), (2, 1), (1, 3)]
    assert all(np.array_equal(adapter("torch").array(one), k) for one in leaves(kept))
