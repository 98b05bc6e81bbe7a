"""Recording and simplifying: each pass does its job and changes no bit of any value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crossnn.errors import FormulaError
from crossnn.formula.cost import cost
from crossnn.formula.derive import gradient_graph, gradients
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Graph, Node, constant, record, topological
from crossnn.formula.listing import counts, listing, pass_report
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import PASSES, simplify

Arrays = dict[str, Any]


def graph_of(text: str, arguments: Arrays, **hyper: float) -> Graph:
    formula = parse(text)

    def function(**names: Node) -> Node:
        tape = next(iter(names.values())).tape
        constants = {name: constant(tape, value, name=name) for name, value in hyper.items()}
        return record(formula, {**constants, **names}, tape)

    return Graph.trace(function, {name: np.shape(value) for name, value in arguments.items()})


def run(graph: Graph, arguments: Arrays) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        result = evaluate(graph, NUMPY, arguments, lambda node: node.options["value"])
    values = result if isinstance(result, tuple) else (result,)
    return [np.asarray(np.broadcast_to(v, n.shape)) for v, n in zip(values, graph.results, strict=True)]


def with_gradients(graph: Graph) -> Graph:
    """Value and derivative together: derivative graphs are where the passes have most to do."""
    value = graph.result
    seed = GRAPH["broadcast"](constant(value.tape, 1.0, "1"), shape=value.shape)
    found = gradients(value, list(graph.arguments.values()), seed)
    return Graph(graph.arguments, (value, *found), tuple(value.tape))


SPECIAL = np.array([-np.inf, -700.0, -1.5, -0.0, 0.0, 5e-324, 0.3, 1.0, 750.0, np.inf, np.nan])
M, N = np.linspace(-2, 3, 6).reshape(2, 3), np.linspace(-1, 1, 6).reshape(3, 2)

TABLE: list[tuple[str, Arrays]] = [
    ("x*1 + 1*x - 0 + x/1 - x**1", {"x": SPECIAL}),
    ("x + 0", {"x": SPECIAL}),
    ("0 - x", {"x": SPECIAL}),
    ("x*0", {"x": SPECIAL}),
    ("--x", {"x": SPECIAL}),
    ("x + -y", {"x": SPECIAL, "y": SPECIAL[::-1].copy()}),
    ("-x + y", {"x": SPECIAL, "y": SPECIAL[::-1].copy()}),
    ("(x + 1) - 1", {"x": SPECIAL}),
    ("x*3/3", {"x": SPECIAL}),
    ("log1p(exp(-abs(x))) + (x + abs(x))/2", {"x": SPECIAL}),
    ("exp((x - abs(x))/2)/(1 + exp(-abs(x)))", {"x": SPECIAL}),
    ("where(x > 0, x, alpha*expm1(where(x > 0, 0, x)))", {"x": SPECIAL}),
    ("(1 - alpha)*x + alpha*x**2", {"x": SPECIAL}),
    ("exp(x - max(x, axis=-1, keepdims=True))/sum(exp(x - max(x, axis=-1, keepdims=True)), axis=-1)", {"x": M[0]}),
    ("mean((x @ y - 1)**2, axis=0) + sum(x)", {"x": M, "y": N}),
    ("reshape(reshape(x, shape=(6,)), shape=(2, 3)) + flatten(x)", {"x": M}),
    ("broadcast(x, shape=(2, 3)) + y", {"x": M[0], "y": M}),
    ("broadcast(2, shape=(2, 3))*3 - x", {"x": M}),
    ("2**3*x + sqrt(2)*x - 1/3", {"x": SPECIAL}),
]


@pytest.mark.parametrize(("text", "arguments"), TABLE, ids=[row[0] for row in TABLE])
@pytest.mark.parametrize("step", [*PASSES.values(), simplify], ids=[*PASSES, "all"])
def test_no_pass_changes_a_bit(step: Callable[[Graph], Graph], text: str, arguments: Arrays) -> None:
    graph = with_gradients(graph_of(text, arguments, **({"alpha": 0.25} if "alpha" in text else {})))
    after = step(graph)
    assert [node.shape for node in after.results] == [node.shape for node in graph.results]
    for before, now in zip(run(graph, arguments), run(after, arguments), strict=True):
        same = (before.astype(float).view(np.int64) == now.astype(float).view(np.int64)) | (
            np.isnan(before) & np.isnan(now)
        )
        assert same.all(), f"{before} became {now}"


def operations(graph: Graph) -> list[str]:
    return [node.operation for node in graph.nodes if node.operation not in ("input", "constant")]


def numbers(graph: Graph) -> list[float]:
    return [node.options["value"] for node in graph.nodes if node.operation == "constant"]


JOBS = [  # pass, formula, the primitives that are left
    ("fold constants", "x + 2*3", ["add"]),
    ("fold constants", "sqrt(4)/exp(0) - x", ["subtract"]),
    ("fold constants", "x + 1/0", ["divide", "add"]),
    ("fold constants", "x + sqrt(-1)", ["sqrt", "add"]),
    ("exact algebra", "x*1", []),
    ("exact algebra", "x/1 - 0", []),
    ("exact algebra", "x**1", []),
    ("exact algebra", "x + -y", ["negative", "subtract"]),
    ("exact algebra", "x + 0", ["add"]),  # -0.0 + 0 is +0.0
    ("exact algebra", "x*0", ["multiply"]),  # not for infinities
    ("exact algebra", "0*x + (x - x)", ["multiply", "subtract", "add"]),
    ("merge common sub-expressions", "exp(x) + exp(x)", ["exp", "add"]),
    ("merge common sub-expressions", "(x + y)*(x + y) - (y + x)", ["add", "multiply", "add", "subtract"]),
    ("merge common sub-expressions", "sum(x, axis=0) + sum(x)", ["sum", "sum", "add"]),
]


@pytest.mark.parametrize(("name", "text", "left"), JOBS, ids=[f"{name}: {text}" for name, text, _ in JOBS])
def test_each_pass_does_its_job_and_no_more(name: str, text: str, left: list[str]) -> None:
    graph = graph_of(text, {"x": np.zeros(3), **({"y": np.zeros(3)} if "y" in text else {})})
    after = PASSES[name](graph)
    assert operations(after) == left


def test_folding_computes_the_number() -> None:
    graph = PASSES["fold constants"](graph_of("x**(2*3 - 1)", {"x": 0.0}))
    assert numbers(graph)[-1] == 5.0


def test_named_hyper_parameters_fold_only_where_their_name_is_kept() -> None:
    graph = simplify(graph_of("alpha*x", {"x": 0.0}, alpha=1.0))
    assert operations(graph) == ["multiply"], "x*alpha is shown as such, even if alpha is 1"


def test_explicit_broadcasts_disappear_where_the_user_broadcasts_anyway() -> None:
    graph = graph_of("broadcast(x, shape=(2, 3)) + y", {"x": np.zeros(3), "y": np.zeros((2, 3))})
    assert operations(simplify(graph)) == ["add"]
    stays = graph_of("broadcast(x, shape=(2, 3))*y", {"x": np.zeros(3), "y": np.zeros(3)})
    assert "broadcast" in operations(simplify(stays))


def test_dead_code_goes_and_arguments_stay() -> None:
    def function(x: Node, y: Node, unused: Node) -> Node:
        GRAPH["exp"](y)
        return x + 1.0

    graph = Graph.trace(function, {"x": (), "y": (2,), "unused": (3,)})
    after = PASSES["remove dead code"](graph)
    assert operations(graph) == ["exp", "add"]
    assert operations(after) == ["add"]
    assert list(after.arguments) == ["x", "y", "unused"]
    assert [node.shape for node in after.arguments.values()] == [(), (2,), (3,)]


def test_nodes_are_recorded_in_the_order_of_computation() -> None:
    graph = graph_of("exp(x) + log(y)*2", {"x": 0.0, "y": 1.0})
    assert [node.operation for node in graph.nodes] == ["input", "input", "exp", "log", "constant", "multiply", "add"]
    for after in (graph, simplify(with_gradients(graph))):
        position = {id(node): number for number, node in enumerate(after.nodes)}
        assert all(position[id(child)] < position[id(node)] for node in after.nodes for child in node.inputs)


def test_depth_is_no_limit() -> None:
    def function(x: Node) -> Node:
        for _ in range(20_000):
            x = x + 1.0
        return GRAPH["sum"](x)

    graph = gradient_graph(Graph.trace(function, {"x": ()}), "x")
    assert len(topological(graph.results)) > 40_000
    assert run(simplify(graph), {"x": np.array(0.5)})[0] == 20_000.5


REFUSED: list[tuple[Callable[[Node, Node], Any], str]] = [
    (lambda x, m: x if x > 0 else m, "cannot take an if"),
    (lambda x, m: x + np.zeros(3), "pass it as an argument"),
    (lambda x, m: x @ m, "both must be matrices"),
    (lambda x, m: x + GRAPH["transpose"](m), r"\(3,\) and \(3, 2\) do not fit|do not fit"),
    (lambda x, m: GRAPH["sum"](m, axis=2), "axis 2 does not exist"),
    (lambda x, m: GRAPH["reshape"](m, shape=(4,)), "cannot become"),
    (lambda x, m: GRAPH["reshape"](m, shape=(-1, -1)), "cannot become"),
    (lambda x, m: GRAPH["broadcast"](m, shape=(3,)), "does not stretch"),
    (lambda x, m: GRAPH["transpose"](x), "no two axes"),
    (lambda x, m: GRAPH["transpose"](m, axes=(0, 0)), "not a permutation"),
    (lambda x, m: GRAPH["exp"](1.0), "nothing to record"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED, ids=[row[1] for row in REFUSED])
def test_what_cannot_be_recorded_says_why(function: Callable[[Node, Node], Any], message: str) -> None:
    with pytest.raises(FormulaError, match=message):
        Graph.trace(function, {"x": (3,), "m": (2, 3)})


def test_listing_shows_one_numbered_line_a_node() -> None:
    def function(x: Node) -> Node:
        GRAPH["exp"](x)
        scaled = x * constant(x.tape, 0.5, name="alpha")
        scaled.name = "scaled"
        return GRAPH["sum"](scaled, axis=1)

    assert listing(Graph.trace(function, {"x": (128, 10)})).splitlines() == [
        "%0 = input x               float[128, 10]",
        "%1 = exp %0                float[128, 10]  unused",
        "%2 = constant 0.5 (alpha)",
        "%3 = multiply %0 %2        float[128, 10]  scaled",
        "%4 = sum %3 axis=1         float[128]",
        "return %4",
        "5 nodes: 1 input, 1 constant, 3 primitives (1 exp, 1 multiply, 1 sum); 1 unused",
    ]


def test_the_report_shows_every_pass_with_what_it_removed() -> None:
    graph = graph_of("exp(x*1) + exp(x) + 2*3", {"x": np.zeros(2)})
    report = pass_report(graph)
    assert report.startswith("as recorded\n%0 = input x")
    assert [name for name in PASSES if f"\n\n{name}: " in report] == list(PASSES)
    folding, algebra, _, merging, *_ = report.split("\n\n")[1:]
    assert "- %8 = multiply %6 %7" in folding
    assert "+ %8 = constant 6.0" in folding
    assert "- %2 = multiply %0 %1" in algebra
    assert "= exp %0" in merging
    assert report.endswith(counts(simplify(graph)))


COSTS: list[tuple[str, Arrays, float, int]] = [  # formula, arguments, operations, bytes in float64
    ("x + y", {"x": np.zeros(10), "y": np.zeros(10)}, 10, 240),
    ("x + 1", {"x": np.zeros(10)}, 10, 160),
    ("x*x", {"x": np.zeros(10)}, 10, 160),
    ("exp(x)", {"x": np.zeros(10)}, 100, 160),
    ("x @ y", {"x": np.zeros((2, 3)), "y": np.zeros((3, 4))}, 2 * 2 * 3 * 4, 8 * (6 + 12 + 8)),
    ("x @ y", {"x": np.zeros((5, 2, 3)), "y": np.zeros((3, 4))}, 5 * 48, 8 * (30 + 12 + 40)),
    ("sum(x)", {"x": np.zeros((4, 5))}, 20, 8 * 21),
    ("x > 0", {"x": np.zeros(10)}, 10, 90),
    ("transpose(x)", {"x": np.zeros((4, 5))}, 0, 0),
    ("broadcast(x, shape=(4, 5)) + y", {"x": np.zeros(5), "y": np.zeros((4, 5))}, 20, 8 * (5 + 20 + 20)),
    ("conv(x, k)", {"x": np.zeros((2, 5, 3)), "k": np.zeros((2, 3, 4))}, 2 * (2 * 4 * 4) * 6, 8 * (30 + 24 + 32)),
    (
        "conv(x, k, groups=3, padding='same', strides=2)",
        {"x": np.zeros((1, 5, 5, 3)), "k": np.zeros((3, 3, 1, 6))},
        2 * (3 * 3 * 6) * 9,
        8 * (75 + 54 + 54),
    ),
    (
        "conv_transposed(y, k, shape=(2, 5, 3))",
        {"y": np.zeros((2, 4, 4)), "k": np.zeros((2, 3, 4))},
        2 * (2 * 4 * 4) * 6,
        8 * (32 + 24 + 30),
    ),
    ("slice(x, axis=1, start=1, stop=3) + 1", {"x": np.zeros((4, 5))}, 8, 8 * (8 + 8)),
    ("exp(x) + 0*x", {"x": np.zeros(1)}, 12, 16 + 16 + 24),
]


@pytest.mark.parametrize(("text", "arguments", "flops", "moved"), COSTS, ids=[row[0] for row in COSTS])
def test_cost_is_counted_by_hand(text: str, arguments: Arrays, flops: float, moved: int) -> None:
    total = cost(graph_of(text, arguments))
    assert (total.flops, total.bytes) == (flops, moved)
    assert sum(one.flops for one in total.nodes) == flops


def test_half_the_itemsize_is_half_the_bytes() -> None:
    graph = graph_of("exp(x)*x", {"x": np.zeros(8)})
    assert cost(graph, 4).bytes * 2 == cost(graph, 8).bytes
    assert cost(graph, 4).intensity == 2 * cost(graph, 8).intensity
    assert cost(graph).of(graph.result).flops == 8
    assert cost(graph).of(graph.arguments["x"]).bytes == 0
