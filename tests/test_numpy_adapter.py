"""The NumPy backend: its two modes agree, its plans share memory, and nobody's arrays are overwritten."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from crossnn.errors import BackendError, FormulaError
from crossnn.formula.derive import gradient_graph
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Graph, Node, leaves, record
from crossnn.formula.numpy_meaning import NUMPY, numpy_meaning
from crossnn.formula.planned import buffers, memory, plan
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.source import compile_graph
from crossnn.registry import load

FORMULAS = [
    "sum(x*y)",
    "mean(where(x > 0, x, 0))",
    "sum(where(x > 0, 0, y*x))",
    "sum(where(x < y, x*y, y**3))",
    "sum(where(x < y, 1, x) + where(y < 0, 1, 0)*x)",
    "sum(exp(x)*log(1 + exp(y)))",
    "mean(sqrt(abs(x)) + tanh(y) - x/(2 + y**2))",
    "sum(max(x, axis=0) - min(y, axis=1))",
    "mean(log(sum(exp(x - stop_gradient(max(x, axis=-1, keepdims=True))), axis=-1)))",
    "sum(transpose(x) @ y)",
    "sum(transpose(x @ transpose(y))*3)",
    "sum((x @ transpose(y))**0.5)",
    "sum(erf(x)*maximum(x, y) + minimum(x, 0.5))",
    "sum(reshape(x, shape=(-1,))*flatten(reshape(y, shape=(1, -1))))",
    "sum(x*broadcast(sum(y, axis=0), shape=(4, 4)))",
    "mean(y*2)",
    "sum(sign(x) + x**-1 + sqrt(2)*y)",
    "sum(max(x*y))",
    "sum(where(x*y > 0, x*y, 0)*exp(where(y > 0, y, 0)))",
    "sum((x + max(y, axis=0))*where(y > 0, y, 0)/sum(x*x))",
]

SIZES = {"small": 4, "block": 384}


@pytest.fixture(params=["float64", "float32"])
def adapter(request: pytest.FixtureRequest) -> Any:
    started = load("numpy")
    started.start("cpu", request.param, 1)
    return started


def function(adapter: Any, text: str, size: int) -> Callable[..., Any]:
    """A formula as the core makes it: recorded once, printed over the adapter's primitives."""
    text = text.replace("(4, 4)", f"({size}, {size})")
    graph = Graph.trace(
        lambda x, y: record(parse(text), {"x": x, "y": y}, x.tape), {"x": (size, size), "y": (size, size)}
    )
    compiled = compile_graph(graph, "formula", adapter.primitives, adapter.spelling, adapter.namespace)
    return lambda params, y: compiled(x=params["x"], y=y)


def operands(adapter: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(size)
    return adapter.tensor(draw.normal(size=(size, size))), adapter.tensor(draw.normal(size=(size, size)))


def mlp(adapter: Any, sizes: tuple[int, ...], batch: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A training step with ReLU, softmax cross-entropy and Adam, and what it starts from."""
    call = adapter.primitives
    layers = len(sizes) - 1

    def loss(params: Any, x: Any, t: Any) -> Any:
        for n in range(layers):
            x = x @ params[f"{n}.kernel"] + params[f"{n}.bias"]
            x = call["where"](x > 0, x, 0) if n < layers - 1 else x
        largest = call["stop_gradient"](call["max"](x, axis=-1, keepdims=True))
        total = call["log"](call["sum"](call["exp"](x - largest), axis=-1, keepdims=True)) + largest
        return call["mean"](total - call["sum"](t * x, axis=-1, keepdims=True))

    differentiated = adapter.value_and_grad(loss)

    def step(params: Any, state: Any, x: Any, t: Any, count: Any) -> Any:
        value, gradients = differentiated(params, x, t)
        m = {key: 0.9 * state["m"][key] + 0.1 * g for key, g in gradients.items()}
        v = {key: 0.999 * state["v"][key] + 0.001 * g**2 for key, g in gradients.items()}
        w = {
            key: params[key] - 1e-3 * (m[key] / (1 - 0.9**count)) / (call["sqrt"](v[key] / (1 - 0.999**count)) + 1e-8)
            for key in params
        }
        return w, {"m": m, "v": v}, value

    draw = np.random.default_rng(0)
    params = {}
    for n, (left, right) in enumerate(pairwise(sizes)):
        params[f"{n}.kernel"] = adapter.tensor(draw.normal(0, left**-0.5, (left, right)))
        params[f"{n}.bias"] = adapter.tensor(np.zeros(right))
    state = {slot: {key: np.zeros_like(w) for key, w in params.items()} for slot in ("m", "v")}
    x = adapter.tensor(draw.normal(size=(batch, sizes[0])))
    t = adapter.tensor(np.eye(sizes[-1])[draw.integers(0, sizes[-1], batch)])
    return step, (params, state, x, t)


NETWORKS = {"small": ((6, 5, 4, 3), 7), "block": ((300, 260, 10), 256)}


def same(first: Any, second: Any) -> bool:
    return all(np.array_equal(a, b, equal_nan=True) for a, b in zip(leaves(first), leaves(second), strict=True))


def close(first: Any, second: Any, dtype: str) -> None:
    """Equal but for the order in which sums are added up, and numbers multiplied."""
    unit = 2000 * float(np.finfo(dtype).eps)
    for one, other in zip(leaves(first), leaves(second), strict=True):
        np.testing.assert_allclose(one, other, rtol=unit, atol=unit)


def test_every_primitive_has_a_meaning() -> None:
    assert set(NUMPY) == set(PRIMITIVES)
    assert set(load("numpy").primitives) == set(PRIMITIVES)


# erf is computed element by element and so slow: its small case shows everything.
CASES = [(text, size) for text in FORMULAS for size in SIZES if size != "block" or "erf" not in text]


@pytest.mark.parametrize(("text", "size"), CASES)
def test_eager_compiled_and_graph_agree(adapter: Any, text: str, size: str) -> None:
    formula = function(adapter, text, SIZES[size])
    x, y = operands(adapter, SIZES[size])
    differentiated = adapter.value_and_grad(formula)
    value, gradient = adapter.compile(differentiated, "eager")({"x": x}, y)
    compiled = adapter.compile(differentiated, "compiled")
    planned_value, planned_gradient = compiled({"x": x}, y)
    unit = np.finfo(adapter.dtype).eps
    scale = np.max(np.abs(gradient["x"][np.isfinite(gradient["x"])]), initial=1.0)
    np.testing.assert_allclose(planned_value, value, rtol=16 * unit, atol=16 * unit, err_msg=compiled.source)
    np.testing.assert_allclose(planned_gradient["x"], gradient["x"], rtol=16 * unit, atol=16 * unit * scale)
    for result in (value, planned_value, gradient["x"], planned_gradient["x"]):
        assert result.dtype == np.dtype(adapter.dtype)

    shape = x.shape
    text = text.replace("(4, 4)", str(shape))
    graph = gradient_graph(
        Graph.trace(lambda x, y: record(parse(text), {"x": x, "y": y}, x.tape), {"x": shape, "y": shape}), "x"
    )
    with np.errstate(all="ignore"):
        symbolic = compile_graph(graph, "gradient", numpy_meaning(adapter.dtype))(x=x, y=y)
    np.testing.assert_allclose(gradient["x"], symbolic[1], rtol=16 * unit, atol=16 * unit * scale)


@pytest.mark.parametrize("network", NETWORKS)
def test_training_steps_agree(adapter: Any, network: str) -> None:
    step, given = mlp(adapter, *NETWORKS[network])
    (params, state, x, t), eager, compiled = given, adapter.compile(step, "eager"), adapter.compile(step, "compiled")
    first = second = (params, state, None)
    for count in range(1, 6):
        first = eager(*first[:2], x, t, count)
        second = compiled(*second[:2], x, t, count)
        close(first, second, adapter.dtype)
    assert all(leaf.dtype == adapter.dtype for leaf in leaves(second))
    assert len(compiled.plans) == 1
    assert ("for part, " in compiled.source) == (network == "block")


@pytest.mark.parametrize("network", NETWORKS)
def test_results_that_are_held_stay_right_and_inputs_are_not_touched(adapter: Any, network: str) -> None:
    step, (params, state, x, t) = mlp(adapter, *NETWORKS[network])
    compiled = adapter.compile(step, "compiled")
    before = [leaf.copy() for leaf in leaves((params, state, x, t))]
    held: list[Any] = []
    copies: list[Any] = []
    now: Any = (params, state)
    for count in range(1, 8):
        result = compiled(*now, x, t, count)
        now = result[:2]
        held.append(result)
        copies.append([np.array(leaf) for leaf in leaves(result)])
    for result, copied in zip(held, copies, strict=True):
        assert same(result, tuple(copied))
    assert same(tuple(before), (params, state, x, t))


def test_a_view_of_a_result_holds_it_too(adapter: Any) -> None:
    call = adapter.primitives
    compiled = adapter.compile(lambda x: (x * 2, call["transpose"](x + 1)), "compiled")
    x = np.arange(6, dtype=adapter.dtype).reshape(2, 3)
    row, column = compiled(x)[0][0], compiled(x)[1][:, 1]
    for _ in range(5):
        compiled(x * 100)
    assert row.tolist() == [0, 2, 4]
    assert column.tolist() == [4, 5, 6]


def test_memory_is_shared_and_does_not_grow(adapter: Any) -> None:
    step, (params, state, x, t) = mlp(adapter, (40, 30, 20, 10), 16)
    compiled = adapter.compile(step, "compiled")
    for count in range(1, 6):
        params, state, _ = compiled(params, state, x, t, count)
    text = compiled.source
    operations = sum(
        f" = np.{name}" in line for line in text.splitlines() for name in ("m", "a", "s", "d", "e", "l", "g")
    )
    arrays = text.count("= buffer(") + text.count("= results(")
    assert arrays < operations / 2
    assert {line.split('"')[1] for line in text.splitlines() if "= buffer(" in line or "= results(" in line} <= {
        adapter.dtype,
        "bool",
    }
    gc.collect()
    tracemalloc.start()
    try:
        params, state, _ = compiled(params, state, x, t, 6)
        start = tracemalloc.get_traced_memory()[0]
        for count in range(7, 107):
            params, state, _ = compiled(params, state, x, t, count)
        grown = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    assert grown < 1000, f"{grown} bytes more after 100 steps"


def test_another_shape_or_type_is_planned_anew(adapter: Any) -> None:
    compiled = adapter.compile(lambda x, factor: x * factor + 1, "compiled")
    for shape in [(2,), (3, 2), (2,), ()]:
        np.testing.assert_array_equal(compiled(np.ones(shape, adapter.dtype), 2.0), np.full(shape, 3.0))
    assert len(compiled.plans) == 3
    compiled(np.ones(2, adapter.dtype), 5.0)
    assert len(compiled.plans) == 3
    compiled(np.ones(2, np.int64), 2.0)
    assert len(compiled.plans) == 4
    with pytest.raises(FormulaError, match="not 'text'"):
        compiled("text", 2.0)


def test_arrays_that_are_not_contiguous_are_understood(adapter: Any) -> None:
    call = adapter.primitives
    compiled = adapter.compile(lambda x, y: call["where"](x > y, x * 3 - y, 0) * 2 + 1, "compiled")
    x, y = operands(adapter, 384)
    np.testing.assert_array_equal(compiled(x.T, y), np.where(y < x.T, x.T * 3 - y, 0) * 2 + 1)
    np.testing.assert_array_equal(
        compiled(x[::2, ::2], y[::2, ::2].T), compiled(x[::2, ::2].copy(), y[::2, ::2].T.copy())
    )


def test_choices_are_exact_on_every_kind_of_number(adapter: Any) -> None:
    call = adapter.primitives
    x = adapter.tensor(np.array([-0.0, 0.0, np.nan, np.inf, -np.inf, -1.5, 2.5, 5e-324]))
    y = x[::-1].copy()
    chosen = adapter.compile(
        lambda x, y: tuple(
            call["where"](c, a, b) for c in (x > y, x < 0) for a in (x, 0, 7.0, -0.0) for b in (y, 0, -0.0, 2.5)
        ),
        "compiled",
    )(x, y)
    with np.errstate(invalid="ignore"):
        cases = [(c, a, b) for c in (x > y, x < 0) for a in (x, 0, 7.0, -0.0) for b in (y, 0, -0.0, 2.5)]
    bits = np.dtype(f"i{x.itemsize}")
    for (c, a, b), result in zip(cases, chosen, strict=True):
        wanted = np.where(c, np.asarray(a, x.dtype), np.asarray(b, x.dtype))
        np.testing.assert_array_equal(result.view(bits), wanted.view(bits), err_msg=f"{c} {a} {b}")
        np.testing.assert_array_equal(call["where"](c, a, b).view(bits), wanted.view(bits))


def test_numbers_do_not_widen_float32() -> None:
    table = numpy_meaning("float32")
    x = np.ones(3, np.float32)
    assert (table["sqrt"](2.0) * x).dtype == np.float32
    assert table["where"](x > 0, 1, 0).dtype == np.float32
    assert table["mean"](x > 0).dtype == np.float32
    assert table["where"](True, 1.5, 2.5) == 1.5
    assert table["erf"](x).dtype == np.float32


def test_parameters_that_take_no_part_get_zeros(adapter: Any) -> None:
    call = adapter.primitives
    differentiated = adapter.value_and_grad(lambda params, x: call["sum"](params["a"] * x))
    params = {"a": adapter.tensor(np.ones(3)), "b": adapter.tensor(np.ones((2, 2)))}
    for mode in adapter.modes:
        _, gradients = adapter.compile(differentiated, mode)(params, params["a"])
        np.testing.assert_array_equal(gradients["b"], np.zeros((2, 2)))
        assert gradients["b"].dtype == adapter.dtype
    constant = adapter.compile(adapter.value_and_grad(lambda params: 3.0), "compiled")(params)
    assert constant[0] == 3.0
    np.testing.assert_array_equal(constant[1]["a"], np.zeros(3))


def test_blocks_are_put_where_their_operands_are_known() -> None:
    def update(a: Node, b: Node) -> Any:
        first = a * 2 + b * 3 - 1
        return first @ b, GRAPH["sqrt"](first) * a + b

    graph = Graph.trace(update, {"a": (512, 512), "b": (512, 512)})
    runs = plan.schedule(graph.live())
    known: set[int] = set()
    for run in runs:
        for node in run:
            assert all(id(child) in known for child in node.inputs)
            known.add(id(node))
    assert [len(run) for run in runs if len(run) > 1] == [4, 3]


Build = Callable[[Any, Any, Any, Any, int, bool], Any]
ANYWHERE: list[Build] = [
    lambda call, a, b, c, axis, keep: a + b,
    lambda call, a, b, c, axis, keep: a * b,
    lambda call, a, b, c, axis, keep: a - b,
    lambda call, a, b, c, axis, keep: call["maximum"](a, b),
    lambda call, a, b, c, axis, keep: call["tanh"](a),
    lambda call, a, b, c, axis, keep: call["where"](a > b, c, 0.0),
    lambda call, a, b, c, axis, keep: call["where"](a > b, 0.0, c),
    lambda call, a, b, c, axis, keep: call["where"](a > b, c, a),
    lambda call, a, b, c, axis, keep: call["sqrt"](call["abs"](a) + 1) / (1 + a**2),
]
MATRICES: list[Build] = [
    lambda call, a, b, c, axis, keep: call["transpose"](a),
    lambda call, a, b, c, axis, keep: call["sum"](a, axis=axis, keepdims=keep),
    lambda call, a, b, c, axis, keep: call["mean"](a, axis=-1, keepdims=True),
    lambda call, a, b, c, axis, keep: call["max"](a, axis=axis, keepdims=keep),
    lambda call, a, b, c, axis, keep: call["tanh"](a @ call["transpose"](a)),
    lambda call, a, b, c, axis, keep: call["reshape"](call["reshape"](a, shape=(-1,)), shape=a.shape),
]


def program(call: Any, seed: int, params: Any, y: Any, s: Any) -> tuple[Any, Any]:
    """A function drawn from `seed`: one number made from its last values, and these."""
    draw = np.random.default_rng(seed)
    made = [params["a.b"], params["c"], y, s, 2.0, 0.5]
    for _ in range(draw.integers(3, 25)):
        a, b, c = (made[draw.integers(len(made))] for _ in range(3))
        fitting = ANYWHERE + MATRICES * (len(getattr(a, "shape", ())) == 2)
        build = fitting[draw.integers(len(fitting))]
        made.append(build(call, a, b, c, int(draw.integers(2)), bool(draw.integers(2))))
    last = made[6:][-4:]
    means = [call["mean"](value) if getattr(value, "shape", ()) else value for value in last]
    return sum(means, 0.0), tuple(last)


def first_of(drawn: Any, params: Any, y: Any, s: Any) -> Any:
    return drawn(params, y, s)[0]


def value_gradient_and_last(differentiated: Any, drawn: Any, params: Any, y: Any, s: Any) -> Any:
    return differentiated(params, y, s), drawn(params, y, s)[1]


@pytest.mark.parametrize("blocks", [False, True], ids=["without blocks", "in blocks of five"])
def test_drawn_programs_agree(adapter: Any, blocks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if blocks:
        for module in (buffers, memory):
            monkeypatch.setattr(module, "PIECE", 5)
        monkeypatch.setattr(plan, "BLOCK_AT_LEAST", 8)
        monkeypatch.setattr(memory, "_SMALL", 0)
    unit = 2000 * np.finfo(adapter.dtype).eps
    compared = 0
    for seed in range(120):
        draw = np.random.default_rng(seed)
        params = {"a.b": adapter.tensor(draw.normal(size=(4, 4))), "c": adapter.tensor(draw.normal(size=(1, 4)))}
        arguments = (params, adapter.tensor(draw.normal(size=(4, 4))), 0.7)
        drawn = partial(program, adapter.primitives, seed)
        differentiated = adapter.value_and_grad(partial(first_of, drawn))
        everything = partial(value_gradient_and_last, differentiated, drawn)
        try:
            eager = adapter.compile(everything, "eager")(*arguments)
        except ValueError as error:  # the drawn shapes do not fit
            assert "broadcast" in str(error)  # noqa: PT017
            continue
        compiled = adapter.compile(everything, "compiled")
        first = compiled(*arguments)
        copied = tuple(np.array(leaf) for leaf in leaves(first))
        again = compiled(*arguments)
        assert same(first, copied), compiled.source
        assert same(first, again), compiled.source
        for one, other in zip(leaves(eager), leaves(first), strict=True):
            assert (type(one), np.asarray(one).dtype) == (type(other), np.asarray(other).dtype), compiled.source
            np.testing.assert_allclose(one, other, rtol=unit, atol=unit, err_msg=compiled.source)
        compared += 1
    assert compared > 60


def test_what_numpy_cannot_do_is_said(adapter: Any) -> None:
    with pytest.raises(BackendError, match="cpu only"):
        adapter.start("gpu", "float32", 1)
    with pytest.raises(BackendError, match="float16"):
        adapter.start("cpu", "float16", 1)
    with pytest.raises(BackendError, match="eager, compiled"):
        adapter.compile(lambda x: x, "graph")
    with pytest.raises(FormulaError, match="not been called"):
        _ = adapter.compile(lambda x: x, "compiled").source
    assert adapter.native("activation", "relu", {}) is None
