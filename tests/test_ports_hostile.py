"""Hostile use of `assert_parity`: nothing of it may pass by accident or end in a traceback.

Complex numbers, nothing to compare, ports that write into what they are given, random references, plain numbers, `wrt`
in every form, and bad arguments.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
import sys
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import crossnn
from crossnn.ports.tree import flat, refilled

X = np.linspace(-3, 3, 7)
LONG = np.random.default_rng(0).uniform(0, 1, 4000)
Ports = dict[str, Any]
Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass(frozen=True)
class State:
    value: Any
    slope: Any


def two(first: Callable[..., Any], second: Callable[..., Any]) -> Ports:
    return {"right": ("numpy", first), "port": ("numpy", second)}


def _next(x: Any) -> Any:
    """Another result at each call."""
    _CALLS.append(1)
    return x + 1e-9 * len(_CALLS)


_CALLS: list[int] = []


# What agrees --------------------------------------------------------------------------------------------------------

AGREE: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any]] = {
    "a complex result": (lambda x: np.exp(1j * x), lambda x: np.cos(x) + 1j * np.sin(x), {"x": X}),
    "a complex input": (lambda z: z * z, lambda z: z.real**2 - z.imag**2 + 2j * z.real * z.imag, {"z": X + 0.3j}),
    "a Fourier transform": (np.fft.fft, lambda x: np.conj(np.fft.ifft(np.conj(x))) * len(x), [X]),
    "a port that writes into its input": (lambda x: np.multiply(x, 2, out=x), lambda x: x * 2, {"x": X}),
    "a port that writes into whole numbers": (lambda i: np.add(i, 1, out=i), lambda i: i + 1, {"i": np.arange(3)}),
    "a port that empties its input": (lambda d: d.pop("a") * 2, lambda d: d["a"] + d["a"], [{"a": X}]),
    "results that are copies": (lambda x: (x, x * 2), lambda x: (x, x + x), {"x": X}),
    "sums over copies": (lambda x: np.broadcast_to(x, (9, 7)).copy(), lambda x: np.stack([x] * 9), {"x": X}),
    "dataclasses": (lambda s: State(s.value * s.slope, s.value), lambda s: State(s.slope * s.value, s.value * 1),
                    {"s": State(X, X + 1)}),
    "named tuples": (lambda p: Pair(p.left * p.right, X), lambda p: Pair(p.right * p.left, X), [Pair(X, X + 1)]),
    "keys that are numbers": (np.tanh, np.tanh, {0: X}),
    "keywords only": (lambda **k: k["x"] - k["y"], lambda x, y: -(y - x), {"x": X, "y": X * X}),
    "a keyword among arguments": (lambda x, **k: x - k["y"], lambda x, y: -(y - x), {"x": X, "y": X * X}),
    "objects that are numbers": (lambda x: np.frompyfunc(lambda one: one * one, 1, 1)(x), np.square, {"x": X}),
    "NaN": (np.sqrt, lambda x: np.power(x, 0.5), {"x": X}),
    "infinities": (lambda x: 1 / x, lambda x: np.divide(1, x), {"x": np.array([0.0, 1.0])}),
    "no inputs": (lambda: np.ones(3), lambda: np.full(3, 1.0), ()),
    "a single number": (np.exp, lambda x: np.exp(x / 2) ** 2, {"x": np.array(1.5)}),
    "a shape of nothing": (np.exp, lambda x: np.exp(x / 2) ** 2, {"x": ()}),
    "a long sum of positive numbers, term after term": (np.sum, lambda x: np.cumsum(x)[-1], [LONG]),
    "a product of positive numbers, term after term": (np.dot, lambda x, y: np.cumsum(x * y)[-1], [LONG, LONG[::-1]]),
    "an empty tensor beside another": (lambda x, y: (x * 2, y), lambda x, y: (x + x, y), [np.zeros((0, 3)), X]),
}  # fmt: skip


@pytest.mark.parametrize("case", AGREE)
def test_what_agrees_passes(case: str) -> None:
    first, second, inputs = AGREE[case]
    before = [np.array(one) for one in flat(inputs).values()]
    report = crossnn.compare_ports(two(first, second), inputs)
    assert not report.failures, report.message()
    assert all(np.array_equal(one, now) for one, now in zip(before, flat(inputs).values(), strict=True))


# What departs -------------------------------------------------------------------------------------------------------

DEPART: dict[str, tuple[Callable[..., Any], Callable[..., Any], Any, str, str]] = {
    "a conjugate": (lambda z: z * z, lambda z: np.conj(z * z), {"z": X + 1j}, "output 'output (imaginary part)'",
                    "everything has the other sign"),
    "a conjugate of real numbers": (lambda x: np.exp(1j * x), lambda x: np.exp(-1j * x), {"x": X},
                                    "output 'output (imaginary part)'", "sign (tried)"),
    "the real part alone": (lambda x: np.exp(1j * x), np.cos, {"x": X}, "output 'output'",
                            "real numbers, where the reference's are complex"),
    "complex where real is right": (np.cos, lambda x: np.exp(1j * x), {"x": X}, "output 'output'",
                                    "complex numbers, where the reference's are real"),
    "nothing": (np.tanh, lambda x: None, {"x": X}, "output 'output'", "missing; this port returns nothing"),
    "one result more": (lambda x: (x, None), lambda x: (x, x), {"x": X}, "output 'output 1'",
                        "the reference has output 0 only"),
    "a column": (lambda x: x, lambda x: x[:, None], {"x": X}, "output 'output'", "shape (7, 1) where (7,) is right"),
    "one number in brackets": (np.sum, lambda x: x.sum()[None], {"x": X}, "output 'output'", "shape (1,) where ()"),
    "whole numbers beyond 2**53": (lambda x: np.array([2**53 + 1]), lambda x: np.array([2**53]), {"x": X},
                                   "output 'output'", "expected  9007199254740993"),
    "whole numbers": (np.argsort, lambda x: np.argsort(-x), {"x": X}, "output 'output'", "r         unbounded (64 is"),
    "truth values": (lambda x: x > 0, lambda x: x >= 0, {"x": X}, "output 'output'", "expected  0.0"),
    "a text": (np.tanh, lambda x: "tanh", {"x": X}, "call", "'output' is of type str, which holds no numbers"),
    "a generator": (np.tanh, lambda x: (one for one in x), {"x": X}, "call", "'output' is of type generator"),
    "an end of the process": (np.tanh, lambda x: sys.exit(3), {"x": X}, "call",
                              "it would end the process: sys.exit(3)"),
    "random numbers": (np.tanh, lambda x: _next(np.tanh(x)), {"x": X}, "output 'output'",
                       "two calls with the same arguments differ"),
    "masked elements": (np.tanh, lambda x: np.ma.array(x, mask=x > 0), {"x": X}, "call", "has masked elements"),
    "NaN in one of them": (np.abs, np.sqrt, {"x": X}, "output 'output'", "r         unbounded (64 is the limit)"),
}  # fmt: skip


@pytest.mark.parametrize("case", DEPART)
def test_what_departs_is_found_and_described(case: str) -> None:
    first, second, inputs, quantity, says = DEPART[case]
    report = crossnn.compare_ports(two(first, second), inputs, dtypes="float64")
    (failure,) = report.failures
    assert failure.first.quantity == quantity
    assert says in report.message()
    assert "1e+308" not in report.message()
    assert "1e+308" not in report.to_markdown()


# What is refused ----------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, Any, dict[str, Any], str]] = {
    "None of both": (two(lambda x: None, lambda x: None), [X], {}, "the reference 'right' returns nothing"),
    "None as input": (two(lambda x: x, lambda x: x), {"x": None}, {}, "the reference 'right' returns nothing"),
    "empty containers": (two(lambda x: {}, lambda x: ()), [X], {}, "the reference 'right' returns nothing"),
    "empty tensors": (two(np.tanh, np.tanh), [np.zeros((0, 3))], {}, "nothing of port 'port' was compared: output"),
    "a random reference": (two(_next, lambda x: x), [X], {}, "gives other results when it is called again"),
    "a text": (two(lambda x: "a", lambda x: "b"), [X], {}, "'output' is of type str, which holds no numbers"),
    "an array of texts": (two(lambda x: np.array(["a"]), np.tanh), [X], {}, "which holds no numbers"),
    "sys.exit": (two(lambda x: sys.exit(0), np.tanh), [X], {}, r"it would end the process: sys.exit\(0\)"),
    "inputs None": (two(np.tanh, np.tanh), None, {}, "inputs is None; give a dictionary"),
    "inputs None beside params": (two(np.tanh, np.tanh), None, {"params": {"w": X}}, "inputs is None"),
    "inputs an array": (two(np.tanh, np.tanh), X, {}, "inputs is of type ndarray; give a dictionary"),
    "inputs a shape": (two(np.tanh, np.tanh), (2, 3), {}, r"inputs is \(2, 3\); give a dictionary"),
    "inputs a generator": (two(np.tanh, np.tanh), (X for _ in range(1)), {}, "inputs is of type generator"),
    "objects": (two(np.tanh, np.tanh), [np.array([object()])], {}, "'input 0' is of type ndarray and holds objects"),
    "a function as input": (two(np.tanh, np.tanh), {"f": np.tanh}, {}, "'f' is of type ufunc and holds objects"),
    "dates": (two(np.tanh, np.tanh), {"x": np.array(["2020-01-01"], "M8[D]")}, {}, "elements of type datetime64"),
    "masked": (two(np.tanh, np.tanh), {"x": np.ma.array(X, mask=X > 0)}, {}, "'x' has masked elements"),
    "beyond float32": (two(np.tanh, np.tanh), {"x": np.array([1e300])}, {}, "'x' holds 1e.300, more than float32 can"),
    "a negative shape": (two(np.tanh, np.tanh), {"x": (-3, 4)}, {}, r"inputs.x has the shape \(-3, 4\)"),
    "a huge shape": (two(np.tanh, np.tanh), {"x": (10**9, 10**9)}, {}, "cannot be drawn"),
    "one name twice": (two(np.tanh, np.tanh), {"x": X}, {"params": {"x": X}}, "params and inputs both have 'x'"),
    "one dotted name twice": (two(np.tanh, np.tanh), {"a.b": X, "a": {"b": X}}, {}, "the same dotted name 'a.b'"),
    "ports a list": ([np.tanh, np.tanh], [X], {}, "ports is of type list; give {'numpy': f, 'torch': g}"),
    "no ports": ({}, [X], {}, "0 ports given; parity needs two"),
    "a backend that is a number": ({1: np.tanh, "numpy": np.tanh}, [X], {}, "unknown backend '1'"),
    "dtypes a wrong text": (two(np.tanh, np.tanh), [X], {"dtypes": "float"}, "unknown dtype 'float'"),
    "no dtypes": (two(np.tanh, np.tanh), [X], {"dtypes": []}, "dtypes is empty"),
    "dtypes of NumPy": (two(np.tanh, np.tanh), [X], {"dtypes": [np.float32]}, "dtypes holds <class 'numpy.float32'>"),
    "seeds a text": (two(np.tanh, np.tanh), [X], {"seeds": "3"}, "seeds is '3'"),
    "reference a number": (two(np.tanh, np.tanh), [X], {"reference": 0}, "unknown port '0'"),
    "layouts a list": (two(np.tanh, np.tanh), [X], {"layouts": ["x"]}, "layouts is"),
    "too few stages": (two(lambda x: (x, x), lambda x: (x, x)), [X], {"stages": ["a"]},
                       r"stages names 1 \(a\), and port 'right' returns 2 results"),
    "too many stages": (two(np.tanh, np.tanh), [X], {"stages": ["a", "b"]}, "port 'right' returns one result"),
    "a stage twice": (two(np.tanh, np.tanh), [X], {"stages": ["a", "a"]}, "stages names a result twice"),
    "a place beyond the last": (two(np.tanh, np.tanh), {"x": X}, {"wrt": [3]},
                                "wrt holds the place 3, but there is 1 input: x"),
    "a place before the first": (two(np.tanh, np.tanh), {"x": X}, {"wrt": -2}, "wrt holds the place -2"),
    "wrt True": (two(np.tanh, np.tanh), {"x": X}, {"wrt": True}, "wrt holds True; give names"),
    "wrt an object": (two(np.tanh, np.tanh), {"x": X}, {"wrt": 1.5}, "wrt is 1.5; give names"),
    "wrt complex": (two(np.conj, np.conj), {"z": X + 1j}, {"wrt": "z"}, "wrt names 'z', which holds complex numbers"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_compared_is_refused(case: str) -> None:
    ports, inputs, arguments, message = REFUSED[case]
    with pytest.raises(crossnn.CrossnnError, match=message) as refusal:
        crossnn.assert_parity(ports, inputs, **arguments)
    assert not isinstance(refusal.value, AssertionError)


# What gradients are taken of ----------------------------------------------------------------------------------------

LIST, NAMED, NESTED = [X, X + 1], {"p": X, "q": X + 1}, {"p": {"u": X, "v": X}, "q": X + 1}
WRT: dict[str, tuple[Any, Any, list[str]]] = {
    "all": (LIST, None, ["input 0", "input 1"]),
    "none": (LIST, [], []),
    "place": (LIST, 0, ["input 0"]),
    "places": (LIST, (0, 1), ["input 0", "input 1"]),
    "the last place": (LIST, [-1], ["input 1"]),
    "a place of NumPy": (LIST, np.array([1]), ["input 1"]),
    "a place as text": (LIST, ["1"], ["input 1"]),
    "its own name": (LIST, "input 1", ["input 1"]),
    "the name of an argument": (LIST, ["b"], ["input 1"]),
    "one twice": (LIST, ["b", 1], ["input 1"]),
    "a place among names": (NAMED, 1, ["q"]),
    "a name": (NAMED, "q", ["q"]),
    "a name of an argument among names": (NAMED, "a", ["p"]),
    "all under a name": (NESTED, ["p"], ["p.u", "p.v"]),
    "all under a place": (NESTED, 0, ["p.u", "p.v"]),
    "a number": ({"p": 1.5, "q": X}, "p", ["p"]),
    "a number of NumPy": ({"p": np.float64(1.5), "q": X}, "p", ["p"]),
    "an array of one number": ({"p": np.array(1.5), "q": X}, "p", ["p"]),
}


@pytest.mark.parametrize("case", WRT)
def test_gradients_are_taken_of_what_is_named(case: str) -> None:
    inputs, wrt, expected = WRT[case]

    def right(a: Any, b: Any) -> Any:
        return (a["u"] * a["v"] if isinstance(a, dict) else a) * b

    report = crossnn.compare_ports(two(right, lambda a, b: right(a, b)), inputs, wrt, dtypes="float64")
    assert not report.failures, report.message()
    found = [one.quantity for one in report.compared if one.quantity.startswith("gradient")]
    assert found == [f"gradient of {name!r}" for name in expected]


# With a framework ---------------------------------------------------------------------------------------------------


@pytest.fixture
def torch(require: Callable[[str], None]) -> Any:
    require("torch")
    return importlib.import_module("torch")


def test_complex_results_and_their_gradients(torch: Any) -> None:
    right: Ports = {"torch": lambda x: torch.exp(1j * x), "numpy": lambda x: np.exp(1j * x)}
    for reference in right:
        report = crossnn.compare_ports(right, {"x": X}, reference=reference)
        assert not report.failures, report.message()
        assert {one.quantity for one in report.compared} >= {"output 'output (real part)'", "gradient of 'x'"}
    wrong = {**right, "torch": lambda x: torch.exp(-1j * x).conj().conj()}
    (failure,) = crossnn.compare_ports(wrong, {"x": X}).failures
    assert failure.first.quantity == "output 'output (imaginary part)'"


def test_a_gradient_through_a_conjugate_is_judged(torch: Any) -> None:
    """Values agree; the gradient of one of them is detached in the imaginary part."""

    def port(x: Any) -> Any:
        return torch.complex(x * x, (x * x * x).detach() + 0 * x)

    ports = {"numpy": lambda x: x * x + 1j * x**3, "torch": port}
    (failure,) = crossnn.compare_ports(ports, {"x": X}).failures
    assert failure.first.quantity == "gradient of 'x'"


def test_a_fourier_transform_agrees_in_both_dtypes(torch: Any) -> None:
    ports = {"torch": torch.fft.fft, "numpy": np.fft.fft}
    for reference in ports:
        report = crossnn.compare_ports(ports, [X], reference=reference)
        assert not report.failures, report.message()
        assert {one.dtype for one in report.compared} == {"float64", "float32"}


@pytest.mark.parametrize("value", [np.array(1.5), np.float64(1.5), 1.5])
@pytest.mark.parametrize("reference", ["torch", "numpy"])
def test_a_single_number_is_a_tensor(torch: Any, reference: str, value: Any) -> None:
    report = crossnn.compare_ports({"torch": torch.exp, "numpy": np.exp}, {"a": value}, "a", reference=reference)
    assert not report.failures, report.message()
    assert "gradient of 'a'" in {one.quantity for one in report.compared}


def test_a_detached_reference_is_described(torch: Any) -> None:
    ports = {"torch": lambda x: (x * x).detach(), "numpy": lambda x: x * x}
    report = crossnn.compare_ports(ports, {"x": X}, reference="torch")
    assert "the reference 'torch' has no gradient with respect to 'x': it is 0 everywhere" in report.message()


def test_a_random_reference_is_named(torch: Any) -> None:
    ports = {"torch": lambda x: x + torch.rand(7, dtype=x.dtype), "numpy": lambda x: x}
    with pytest.raises(crossnn.CrossnnError, match=r"'torch' gives other results when .* then "):
        crossnn.compare_ports(ports, {"x": X}, reference="torch")


def test_a_function_beside_a_model_is_told_what_it_is_given(torch: Any) -> None:
    model = torch.nn.Linear(3, 2)
    says = "'torch' is a model, so its parameters (weight, bias) are the first argument of every port: write f"
    with pytest.raises(crossnn.CrossnnError, match=re.escape(says)):
        crossnn.compare_ports({"torch": model, "numpy": lambda x: x}, {"x": np.ones((2, 3))})
    report = crossnn.compare_ports({"torch": model, "numpy": lambda x: x}, {"x": np.ones((2, 3))}, reference="torch")
    assert says in report.message()


def test_nan_raises_no_warning_of_ours(torch: Any) -> None:
    ports = {"one": ("torch", torch.sqrt), "other": ("torch", lambda x: x**0.5)}
    assert not crossnn.compare_ports(ports, {"x": X}).failures
    worse = {"one": ("torch", torch.log), "other": ("torch", lambda x: 1 / (x * 0))}
    assert crossnn.compare_ports(worse, {"x": np.array([0.0, 1.0, 800.0])}).failures


def test_a_model_that_is_never_compared_is_no_success(require: Callable[[str], None]) -> None:
    require("tensorflow")
    layer = importlib.import_module("keras").layers.Dense(2)
    layer.build((None, 3))
    ports = {"numpy": lambda params, x: x @ params["kernel"] + params["bias"], "tensorflow": layer}
    with pytest.raises(crossnn.CrossnnError, match=r"nothing of port 'tensorflow' .*built for float32"):
        crossnn.compare_ports(ports, {"x": X[:3]}, params={"kernel": (3, 2), "bias": (2,)}, dtypes="float64")


# The parts ----------------------------------------------------------------------------------------------------------


def test_trees_of_dataclasses_have_dotted_names() -> None:
    tree = {"s": State(1, [2, None])}
    assert flat(tree) == {"s.value": 1, "s.slope.0": 2}
    assert refilled(tree, {"s.value": 3}) == {"s": State(3, [2, None])}
