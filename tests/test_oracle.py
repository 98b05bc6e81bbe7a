"""The oracle decides by agreement of two precisions; here it is held against mpmath directly and against difference
quotients, which know nothing of derivative rules."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import mpmath
import numpy as np
import pytest

from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Network
from crossnn.formula.derive import gradient_graph
from crossnn.formula.grammar import parse
from crossnn.formula.graph import Graph, Node, constant, record
from crossnn.formula.oracle import Exact, OracleError, at_precision, exact, oracle_meaning
from crossnn.formula.precise import ExponentError, Precise
from crossnn.formula.primitives import PRIMITIVES
from crossnn.parity.networks import network_subjects
from crossnn.parity.subject import Subject


def trace(text: str, **arguments: Any) -> tuple[Graph, dict[str, np.ndarray]]:
    given = {name: np.asarray(value, np.float64) for name, value in arguments.items()}

    def function(**names: Node) -> Node:
        return record(parse(text), names, next(iter(names.values())).tape)

    return Graph.trace(function, {name: value.shape for name, value in given.items()}), given


def truth(text: str, **arguments: Any) -> Exact:
    graph, given = trace(text, **arguments)
    return exact(graph, given)[0]


def independent(function: Any, x: float) -> tuple[float, float]:
    """The same number by mpmath alone at 800 digits, as two doubles."""
    with mpmath.workdps(800):
        value = function(mpmath.mpf(x))
        return float(value), float(value - mpmath.mpf(float(value)))


@pytest.mark.parametrize(
    ("text", "function", "x"),
    [
        ("log(1 + exp(x))", lambda x: mpmath.log(1 + mpmath.exp(x)), -700.0),
        ("log(1 + exp(x))", lambda x: mpmath.log(1 + mpmath.exp(x)), -40.0),
        ("log(1 + exp(x))", lambda x: mpmath.log(1 + mpmath.exp(x)), 700.0),
        ("(1 + x) - 1", lambda x: x, 1e-300),
        ("(exp(x) - exp(-x))/(exp(x) + exp(-x))", mpmath.tanh, 1e-9),
        ("exp(x) - 1 - x", lambda x: mpmath.exp(x) - 1 - x, 1e-60),
        ("erf(x)", mpmath.erf, 5.0),
        ("sin(x)", mpmath.sin, 1e22),
        ("0.1*x", lambda x: x / 10, 3.0),
        ("x*pi", lambda x: x * mpmath.pi, 2.0),
        ("x**0.5", mpmath.sqrt, 2.0),
        ("tanh(x) - 1", lambda x: mpmath.tanh(x) - 1, 300.0),
    ],
)
def test_digits_hold_where_fifty_would_not(text: str, function: Any, x: float) -> None:
    found = truth(text, x=x)
    hi, lo = independent(function, x)
    assert float(found.hi) == hi
    assert float(found.lo) == pytest.approx(lo, rel=1e-7, abs=1e-30 * abs(hi))


def test_fifty_digits_would_not_do() -> None:
    """Why precision is doubled: at 50 and at 100 digits the definition of softplus is zero at -700."""
    graph, given = trace("log(1 + exp(x))", x=-700.0)
    for digits in (50, 100, 200):
        assert at_precision(graph, given, digits) == 0
    assert at_precision(graph, given, 400) > 0
    assert at_precision(graph, given, 100, disturbed=True) != 0


def test_a_term_that_is_absorbed_at_every_level_is_missed() -> None:
    """The slope of mish at -700 is (1 + x)*exp(x) to 300 digits; without 1 two levels agree on x*exp(x)."""
    graph, given = trace("x*tanh(log(1 + exp(x)))", x=-700.0)
    _, slope = exact(gradient_graph(graph, "x"), given)
    assert float(slope.hi) == float(-699 * mpmath.exp(-700))


def test_true_zeros_stay() -> None:
    found = truth("x - x + 0*exp(x) + where(x > 5, x, 0)*tanh(x)", x=[-700.0, -1.0, 0.0, 3.3])
    assert not np.any(found.hi)
    assert not np.any(found.lo)


def test_what_no_precision_decides_is_refused() -> None:
    """The value is 1; below 2171 digits the exponential is absorbed, and 0 it would be."""
    with pytest.raises(OracleError, match="1600 digits"):
        truth("((1 + exp(-x)) - 1)*exp(x)", x=5000.0)
    assert not truth("log(1 + exp(x))", x=-23000.0).hi  # below every double: zero for all purposes


def test_written_numbers_are_text_and_hyper_parameters_binary() -> None:
    def function(x: Node) -> tuple[Node, Node]:
        return x * constant(x.tape, 0.1, "0.1"), x * constant(x.tape, 0.1, name="alpha")

    written, binary = exact(Graph.trace(function, {"x": ()}), {"x": np.float64(1.0)})
    with mpmath.workdps(60):
        tenth = mpmath.mpf(1) / 10
        assert float(written.lo) == float(tenth - mpmath.mpf(0.1))
    assert float(binary.hi) == 0.1
    assert float(binary.lo) == 0.0


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("log(exp(exp(x)))", 25.0, mpmath.exp),
        ("exp(-x)*exp(x)", 1e12, lambda x: mpmath.mpf(1)),
        ("sqrt(exp(-x))**2*exp(x)", 3e9, lambda x: mpmath.mpf(1)),
    ],
)
def test_exponents_have_no_end(text: str, x: float, expected: Any) -> None:
    """These leave the exponents of MPFR, which would make infinities and zeros of them."""
    found, (hi, lo) = truth(text, x=x), independent(expected, x)
    assert float(found.hi) == hi
    assert float(found.lo) == pytest.approx(lo, rel=1e-7)
    with pytest.raises(ExponentError):
        at_precision(*trace(text, x=x), 50)


@pytest.mark.parametrize("name", [one.name for one in PRIMITIVES.values() if one.elementwise and one.dtype == "float"])
def test_both_kinds_of_numbers_mean_the_same(name: str) -> None:
    """MPFR and mpmath know nothing of each other."""
    generator, arity = np.random.default_rng(9), PRIMITIVES[name].arity
    special = [0.0, 1.0, -1.0, 2.0, -3.0, 0.5, 1e-9, 700.0, -700.0, np.inf, -np.inf, np.nan]
    drawn = generator.normal(size=20) * 10.0 ** generator.uniform(-6, 3, 20)
    pairs = np.array(list(itertools.product([*special, *drawn], repeat=arity))).T
    inputs = [pairs[0] > 0, *pairs[1:]] if name == "where" else list(pairs)

    def found(context: Any) -> Any:
        with np.errstate(all="ignore"):
            given = [one if one.dtype == bool else context.zero + one.astype(object) for one in inputs]
            return oracle_meaning(context)[name](*given)

    with Precise(50) as context:
        fast = [str(one) for one in found(context)]
    unbounded = mpmath.MPContext()
    unbounded.dps = 50
    slow = found(unbounded)
    with mpmath.workdps(60):
        for number, (one, other) in enumerate(zip(map(mpmath.mpf, fast), slow, strict=True)):
            same = one == other or (mpmath.isnan(one) and mpmath.isnan(other))
            assert same or abs(one - other) <= mpmath.mpf(10) ** -48 * abs(other), (pairs.T[number], one, other)


def test_an_angle_that_no_one_can_reduce_is_refused() -> None:
    assert np.isnan(truth("sin(x)", x=np.inf).hi)
    with pytest.raises(OracleError, match="30,000 digits"):
        truth("cos(exp(x))", x=1e6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("exp(x)", np.inf),
        ("exp(-x)", 0.0),
        ("tanh(x)", 1.0),
        ("tanh(-x)", -1.0),
        ("sinh(-x)", -np.inf),
        ("cosh(x)", np.inf),
        ("expm1(-x)", -1.0),
        ("1/exp(x)", 0.0),
        ("exp(exp(x))", np.inf),
    ],
)
def test_hopeless_exponents_do_not_hang(text: str, expected: float) -> None:
    began = time.perf_counter()
    assert float(truth(text, x=1e20).hi) == expected
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("1/x", 0.0, np.inf),
        ("-1/x", 0.0, -np.inf),
        ("x/x", 0.0, np.nan),
        ("log(x)", 0.0, -np.inf),
        ("log(x)", -1.0, np.nan),
        ("log1p(x)", -1.0, -np.inf),
        ("sqrt(x)", -1.0, np.nan),
        ("x**0", 0.0, 1.0),
        ("x**(-1)", 0.0, np.inf),
        ("x**0.5", -1.0, np.nan),
        ("maximum(x/x, 1)", 0.0, np.nan),
    ],
)
def test_edges_are_those_of_ieee(text: str, x: float, expected: float) -> None:
    assert np.array_equal(truth(text, x=x).hi, np.array(expected), equal_nan=True)


def _objective(subject: Subject, name: str, index: tuple[int, ...], step: float) -> Any:
    """The network's scalar at 60 digits, with one coordinate of one parameter moved, which must be exact in binary."""
    assert subject.scalar is not None
    moved = subject.params[name].copy()
    moved[index] += step
    assert moved[index] - subject.params[name][index] == step
    return at_precision(subject.scalar, {"params": {**subject.params, name: moved}, "data": subject.data}, 60)


SMALL = [
    row.name
    for row in load_catalogue().of_kind("network")
    if isinstance(row, Network) and math.prod(row.input) < 700  # the same networks for images of 28 x 28 take minutes
]


@pytest.mark.parametrize("network", SMALL)
def test_gradients_are_difference_quotients(network: str) -> None:
    """One coordinate of every third parameter or layer (small networks: of all), by Richardson's extrapolation."""
    row = load_catalogue().find(network)
    assert isinstance(row, Network)
    subject = network_subjects(row, load_catalogue(), 0)[0]
    assert subject.scalar is not None
    _, *found = exact(gradient_graph(subject.scalar, "params"), subject.arguments)
    gradients = dict(zip(subject.params, found, strict=True))
    generator = np.random.default_rng(1)
    names = list(gradients)[:: 1 if network in ("xor", "linear_regression") else 3]
    for name in names:
        gradient = gradients[name].hi
        index = tuple(int(generator.integers(length)) for length in gradient.shape)
        size = max(abs(float(subject.params[name][index])), 2.0**-4)
        step = float(2.0 ** (np.floor(np.log2(size)) - 20))
        near, far = (
            (_objective(subject, name, index, h) - _objective(subject, name, index, -h)) / (2 * h)
            for h in (step, 2 * step)
        )
        assert float((4 * near - far) / 3) == pytest.approx(gradient[index], rel=1e-14, abs=1e-18), (name, index)


def test_a_zero_next_to_a_power_of_a_negative_number_is_decided() -> None:
    """The slope of tanh(x**3) at -9 is below every double; its exponent 3 - 1 must stay whole when shaken."""
    graph, given = trace("sum(1 + tanh(x**3))", x=[-9.0, -15.0])
    tree = Graph({"params": {"x": graph.arguments["x"]}}, graph.result, graph.nodes)
    _, gradient = exact(gradient_graph(tree, "params"), {"params": given})
    assert not np.any(gradient.hi)
