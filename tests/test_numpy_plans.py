"""What compiled NumPy does beside the plain meaning: tools for windows, algebra, arguments that are overwritten."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from crossnn.formula.derive import gradient_graph
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Graph, Node, leaves, map_tree, record
from crossnn.formula.numpy_meaning import numpy_meaning
from crossnn.formula.numpy_windows import conv, conv_kernel, conv_transposed, overlap_add, windows
from crossnn.formula.planned import buffers, images, memory, plan, pooling, sliding
from crossnn.formula.planned.algebra import prepared
from crossnn.formula.planned.compiled import Compiled
from crossnn.formula.planned.maxima import Pooling
from crossnn.formula.planned.sliding import Convolution
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.registry import load

DRAWN = range(40)


@pytest.fixture(params=["float64", "float32"])
def adapter(request: pytest.FixtureRequest) -> Any:
    started = load("numpy")
    started.start("cpu", request.param, 1)
    return started


def drawn_window(draw: np.random.Generator, channels: int) -> tuple[tuple[int, ...], dict[str, Any], Any]:
    """(shape of the images, options, size of the window), for one to three axes."""
    rank = int(draw.integers(1, 4))
    size = tuple(int(one) for one in draw.integers(1, 4, rank))
    strides = tuple(int(one) for one in draw.integers(1, 4, rank))
    dilation = tuple(int(one) for one in draw.integers(1, 3, rank))
    least = [(one - 1) * gap + 1 for one, gap in zip(size, dilation, strict=True)]
    lengths = tuple(int(one + draw.integers(0, 6)) for one in least)
    padding = ("valid", "same")[draw.integers(2)]
    options = {"strides": strides, "dilation": dilation, "padding": padding}
    return (int(draw.integers(1, 6)), *lengths, channels), options, size


@pytest.mark.parametrize("seed", DRAWN)
def test_convolutions_in_memory_that_is_there(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(seed)
    monkeypatch.setattr(sliding, "CACHED", int(draw.choice([1, 2000, 1 << 20])))
    shape, options, size = drawn_window(draw, int(draw.integers(1, 4)))
    kernel = (*size, shape[-1], int(draw.integers(1, 5)))
    tool = Convolution(shape, kernel, "float64", **options)
    for _ in range(2):  # memory is used again
        images = int(draw.integers(1, shape[0] + 1))  # and not always all of it
        x, k = draw.normal(size=(images, *shape[1:])), draw.normal(size=kernel)
        x = np.asfortranarray(x) if draw.integers(2) else x
        y = draw.normal(size=conv(x, k, **options).shape)
        np.testing.assert_allclose(tool.forward(x, k, np.empty(y.shape)), conv(x, k, **options), atol=1e-12)
        wanted = conv_transposed(y, k, x.shape, **options)
        np.testing.assert_allclose(tool.input(y, k, np.empty(x.shape)), wanted, atol=1e-12)
        wanted = conv_kernel(x, y, kernel, **options)
        np.testing.assert_allclose(tool.kernel(x, y, np.empty(kernel)), wanted, atol=1e-12)
        np.testing.assert_allclose(tool.kernel(x, y, np.ones(kernel), add=True), wanted + 1, atol=1e-12)


@pytest.mark.parametrize("seed", DRAWN)
def test_pooling_shares_among_equals(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(seed)
    monkeypatch.setattr(sliding, "CACHED", int(draw.choice([1, 2000, 1 << 20])))
    shape, options, size = drawn_window(draw, int(draw.integers(1, 4)))
    fill = ("lowest", "zero")[draw.integers(2)]
    tool = Pooling(shape, size, "float64", **options, fill=fill)
    axes = tuple(range(len(size) + 1, 2 * len(size) + 1))
    for _ in range(2):
        x = draw.integers(-2, 3, shape) / 2  # many are equal
        x[draw.random(shape) < 0.02] = np.nan
        cut = windows(x, size, **options, fill=fill)
        most = cut.max(axis=axes)
        np.testing.assert_array_equal(tool.largest(x, np.empty(most.shape)), most)
        g = draw.normal(size=most.shape)
        hit = cut == np.expand_dims(most, axes)
        with np.errstate(all="ignore"):
            shares = np.where(hit, np.expand_dims(g, axes) / hit.sum(axis=axes, keepdims=True), 0)
            places = hit[0, ..., 0].size // most[0, ..., 0].size
            hits = tool.hits(x, most, np.empty((shape[0], places, *most.shape[1:]), bool))
            found = tool.share(hits, g, np.empty(shape))
        np.testing.assert_allclose(found, overlap_add(shares, shape, size, **options), atol=1e-12)


POOLED = "sum(max(windows(x*2, size=(2, 2), strides={strides}, padding={padding}, fill='lowest'), axis=(3, 4))*y{more})"


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [(2, 2), (1, 2), (3, 1)])
@pytest.mark.parametrize(
    "more",
    ["", "*2 + exp(min(windows(x*2, size=(2, 2), strides={strides}, padding={padding}, fill='lowest'), axis=(3, 4)))"],
)
def test_pooling_in_a_formula_is_found(adapter: Any, padding: str, strides: tuple[int, int], more: str) -> None:
    text = POOLED.replace("{more}", more).format(strides=strides, padding=repr(padding))
    draw = np.random.default_rng(1)
    x = adapter.tensor(draw.integers(-2, 3, (3, 7, 6, 2)) / 2)
    most = windows(x, (2, 2), strides, 1, padding, "lowest").max(axis=(3, 4))
    y = adapter.tensor(draw.normal(size=most.shape))
    traced = Graph.trace(lambda x, y: record(parse(text), {"x": x, "y": y}, x.tape), {"x": x.shape, "y": y.shape})
    graph = simplify(gradient_graph(traced, "x"))
    plain = compile_graph(graph, "plain", numpy_meaning(adapter.dtype))
    compiled = Compiled(
        compile_graph(graph, "f", adapter.primitives, adapter.spelling, adapter.namespace), adapter.dtype
    )
    for wanted, found in zip(plain(x, y), compiled(x, y), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert ".share(" in compiled.source
    assert (" = windows(" in compiled.source) == bool(more)


FORMULAS = [
    "sum(-x*y - -(x/y) + -(-x - y))",
    "mean(-sum(x*-y, axis=-1))",
    "sum(sum(x*y, axis=0, keepdims=True))",
    "mean(-reshape(sum(x, axis=1), shape=(5, 1)))",
    "sum(where(x > 0, -x, 0) - (-y)**2 + -x @ transpose(-y) @ x)",
    "sum(x/sum(y)/7*x*3/(y*y + 1))",
    "sum(exp(-x)*(-x))",
    "mean(x > y)",
    "sum((x > 0)*(y > 0))",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_algebra_keeps_the_value(adapter: Any, text: str) -> None:
    draw = np.random.default_rng(2)
    x, y = (adapter.tensor(draw.normal(size=(5, 5))) for _ in range(2))
    traced = Graph.trace(lambda x, y: record(parse(text), {"x": x, "y": y}, x.tape), {"x": x.shape, "y": y.shape})
    graph = simplify(gradient_graph(traced, "x"))
    wanted = compile_graph(graph, "plain", numpy_meaning(adapter.dtype))(x, y)
    found = Compiled(compile_graph(graph, "f", adapter.primitives, adapter.spelling, adapter.namespace), adapter.dtype)(
        x, y
    )
    unit = 200 * np.finfo(adapter.dtype).eps
    for one, other in zip(wanted, found, strict=True):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        np.testing.assert_allclose(one, other, rtol=unit, atol=unit * np.abs(one).max())


def test_negations_meet() -> None:
    graph = Graph.trace(lambda x, y: x + GRAPH["sum"](-x * y, axis=0) / y, {"x": (3, 3), "y": (3, 3)})
    assert not any(node.operation == "negative" for node in prepared(graph).live())


def drawn_network(call: Any, seed: int, params: Any, x: Any) -> tuple[Any, Any]:
    """A mean over a network of convolutions, pooling and operations on pixels; and its output."""
    draw = np.random.default_rng(seed)
    start = x
    for number in range(draw.integers(2, 6)):
        strides, padding = int(draw.integers(1, 3)), ("valid", "same")[draw.integers(2)]
        match draw.integers(7):
            case 0 | 1:
                x = call["conv"](x, params[f"kernel{number % 2}"], strides=strides, padding="same")
                x = x + params["bias"]
            case 2:
                x = call["where"](x > 0, x, 0)
            case 3 | 4 if min(x.shape[1:3]) > 2:
                cut = call["windows"](x, size=(2, 2), strides=strides, padding=padding, fill="lowest")
                x = call["max"](cut, axis=(3, 4))
            case 5:
                x = (x - call["mean"](x, axis=(0, 1, 2))) * params["bias"]  # this waits for the whole batch
            case _:
                x = call["tanh"](x) + (start if start.shape == x.shape else 0.5) * x
    return call["mean"](x * x), x


def value_gradient_and_output(differentiated: Any, drawn: Any, params: Any, x: Any) -> Any:
    return differentiated(params, x), drawn(params, x)[1]


@pytest.mark.parametrize("seed", range(60))
def test_networks_in_blocks_of_images(adapter: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(seed + 1000)
    for module in (buffers, memory):
        monkeypatch.setattr(module, "PIECE", 60)
    for planning in (plan, images):
        monkeypatch.setattr(planning, "BLOCK_AT_LEAST", 100)
    monkeypatch.setattr(memory, "_SMALL", 0)
    monkeypatch.setattr(images, "AT_A_TIME", int(draw.choice([300, 1500, 4000])))
    monkeypatch.setattr(pooling, "LONG", 4)
    params = {
        "kernel0": adapter.tensor(draw.normal(0, 0.3, (3, 3, 4, 4))),
        "kernel1": adapter.tensor(draw.normal(0, 0.5, (1, 2, 4, 4))),
        "bias": adapter.tensor(draw.normal(size=4)),
    }
    x = adapter.tensor(np.round(draw.normal(size=(int(draw.choice([1, 4, 6, 7])), 8, 7, 4)), 1))
    drawn = partial(drawn_network, adapter.primitives, seed)
    differentiated = adapter.value_and_grad(lambda params, x: drawn(params, x)[0])
    everything = partial(value_gradient_and_output, differentiated, drawn)
    wanted = adapter.compile(everything, "eager")(params, x)
    compiled = adapter.compile(everything, "compiled")
    unit = 2000 * float(np.finfo(adapter.dtype).eps)
    for _ in range(2):
        found = compiled(params, x)
        for one, other in zip(leaves(wanted), leaves(found), strict=True):
            atol = unit * float(np.max(np.abs(one)))
            np.testing.assert_allclose(other, one, rtol=unit, atol=atol, err_msg=compiled.source)


def test_blocks_of_images_are_made(adapter: Any) -> None:
    draw = np.random.default_rng(5)
    params = {"kernel0": adapter.tensor(draw.normal(size=(3, 3, 4, 4))), "bias": adapter.tensor(np.ones(4))}
    call = adapter.primitives

    def loss(params: Any, x: Any) -> Any:
        y = call["conv"](x, params["kernel0"]) + params["bias"]
        y = call["where"](y > 0, y, 0)
        return call["mean"](call["max"](call["windows"](y, size=(2, 2), strides=2, fill="lowest"), axis=(3, 4)))

    compiled = adapter.compile(adapter.value_and_grad(loss), "compiled")
    x = adapter.tensor(draw.normal(size=(60, 34, 34, 4)))
    value, gradient = compiled(params, x)
    wanted = adapter.value_and_grad(loss)(params, x)
    assert value == pytest.approx(wanted[0], rel=1e-5)
    for name in params:
        np.testing.assert_allclose(gradient[name], wanted[1][name], rtol=1e-3)
    assert compiled.source.count("= images(60, ") == 1
    assert compiled.source.count(" for part") == 1  # the gradient needs no other image either


def swap(state: Any, x: Any) -> Any:
    """Each result needs what another result would overwrite."""
    a, b = state
    return (b + x, a * 2), x.apply("sum", (a * b,), {}) if isinstance(x, Node) else np.sum(a * b)


def large_swap(state: Any, x: Any) -> Any:
    a, b = state
    return (b * 2 + x - 1, a * 3 - b + x), a


CASES = {"small": (swap, (3, 4)), "block": (large_swap, (300, 300))}


@pytest.mark.parametrize("case", CASES)
def test_donated_arguments_change_nothing(adapter: Any, case: str) -> None:
    function, shape = CASES[case]
    draw = np.random.default_rng(3)
    start = tuple(adapter.tensor(draw.normal(size=shape)) for _ in range(2))
    batches = [adapter.tensor(draw.normal(size=shape)) for _ in range(5)]
    plain, donated = adapter.compile(function, "compiled"), adapter.compile(function, "compiled", 1)
    first, second = start, map_tree(np.array, start)
    for batch in batches:
        first, one = plain(first, batch)
        second, other = donated(second, batch)
        for a, b in zip(leaves((first, one)), leaves((second, other)), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", CASES)
def test_donated_arguments_that_overlap_are_copied(adapter: Any, case: str) -> None:
    function, shape = CASES[case]
    draw = np.random.default_rng(4)
    plain, donated = adapter.compile(function, "compiled"), adapter.compile(function, "compiled", 1)
    a = adapter.tensor(draw.normal(size=shape))
    both = adapter.tensor(draw.normal(size=(2, *shape)))
    frozen = a.copy()
    frozen.flags.writeable = False
    for state, x in [
        ((a, a), a),
        ((both[0], both[1]), both[0]),
        ((both[0], both[1][:, ::-1]), a),
        ((frozen, a), frozen),
    ]:
        wanted = plain(map_tree(np.array, state), np.array(x))
        for one, other in zip(leaves(wanted), leaves(donated(state, x)), strict=True):
            np.testing.assert_array_equal(one, other)
    state = donated((a.copy(), a.copy()), a)[0]
    wanted = plain(map_tree(np.array, state), np.array(state[0].T if shape[0] == shape[1] else state[0]))
    found = donated(
        state, state[0].T if shape[0] == shape[1] else state[0]
    )  # the batch is a view of what is given away
    for one, other in zip(leaves(wanted), leaves(found), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not frozen.flags.writeable


def test_donated_arguments_are_overwritten(adapter: Any) -> None:
    compiled = adapter.compile(lambda state, x: {"w": state["w"] - 0.1 * x}, "compiled", 1)
    w = adapter.tensor(np.ones((4, 4)))
    found = compiled({"w": w}, adapter.tensor(np.ones((4, 4))))
    assert found["w"] is w
    assert "buffer" in compiled.source


def test_arguments_of_another_kind_are_noticed(adapter: Any) -> None:
    call = adapter.primitives
    compiled = adapter.compile(lambda p, x: call["sum"](p["a"] * x), "compiled")
    ones = adapter.tensor(np.ones(3))
    assert compiled({"a": ones}, 2.0) == 6
    assert compiled({"a": ones}, adapter.tensor(np.full(3, 2.0))) == 6
    assert compiled({"a": adapter.tensor(np.ones(4))}, 2.0) == 8
    assert compiled({"a": ones.astype(np.int64)}, 2.0) == 6
    assert compiled({"a": ones, "b": ones}, 2.0) == 6
    assert len(compiled.plans) == 5
