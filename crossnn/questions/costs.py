"""Costs: plain Python against NumPy, gradients against values, what is compiled against what runs as it is called."""

from __future__ import annotations

import math
import operator
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.catalogue.network import assemble, initial_parameters
from crossnn.catalogue.rows import Network
from crossnn.errors import UnavailableError
from crossnn.formula.cost import cost
from crossnn.formula.fingerprint import differentiated, simplified
from crossnn.formula.graph import GRAPH, Graph, Node, map_tree
from crossnn.parity.compute import function_of, meaning_of
from crossnn.questions.ask import Ask
from crossnn.questions.clock import rounds
from crossnn.questions.rule import Case

SPREAD = 3
"""Primitives of one link of a chain: a product, a sum, a hyperbolic tangent."""


def python_lists(ask: Ask) -> Iterator[Case]:
    """The same numbers as lists, one by one, and as arrays, all at once: seconds of each."""
    for size in ask.settings["sizes"]:
        x = np.random.default_rng([size, 31]).uniform(0.1, 1.0, size)
        y, numbers, others = x[::-1].copy(), x.tolist(), x[::-1].tolist()
        pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "add": (lambda: [a + b for a, b in zip(numbers, others, strict=True)], lambda: x + y),  # noqa: B023
            "dot": (lambda: sum(map(operator.mul, numbers, others)), lambda: x @ y),  # noqa: B023
            "exp": (lambda: [math.exp(a) for a in numbers], lambda: np.exp(x)),  # noqa: B023
        }
        for name in ask.settings["operations"]:
            python, numpy = pairs[name]
            yield from timed_cases(ask, {"size": size, "operation": name}, {"python": python, "numpy": numpy})


def timed_cases(
    ask: Ask, at: dict[str, float | str], contenders: dict[str, Callable[[], Any]], **more: float
) -> Iterator[Case]:
    """A case for every round."""
    found = rounds(contenders, len(ask.seeds))
    for place, seed in enumerate(ask.seeds):
        yield Case(at, seed, {**{name: values[place] for name, values in found.items()}, **more})


def gradient_cost(ask: Ask) -> Iterator[Case]:
    """A perceptron of tanh layers: seconds of its mean square, and of that with all gradients."""
    adapter = ask.adapter
    for depth in ask.settings["depths"]:
        for width in ask.settings["widths"]:
            graph, params, x = _perceptron(ask, depth, width)
            for mode in ask.modes:
                function = function_of(graph, "value", adapter, mode)
                tensors, data = map_tree(adapter.tensor, params), adapter.tensor(x)
                value = adapter.compile(function, mode)
                gradient = adapter.compile(adapter.value_and_grad(function), mode)
                contenders = {
                    "value": call_of(adapter, value, tensors, data),
                    "gradient": call_of(adapter, gradient, tensors, data),
                }
                yield from timed_cases(ask, {"mode": mode, "depth": depth, "width": width}, contenders)


def gradient_operations(ask: Ask) -> Iterator[Case]:
    """The same in floating-point operations, counted in the graph."""
    for depth in ask.settings["depths"]:
        for width in ask.settings["widths"]:
            graph = simplified(_perceptron(ask, depth, width)[0])
            numbers = {"value": cost(graph).flops, "gradient": cost(differentiated(graph, "params")).flops}
            yield Case({"depth": depth, "width": width}, ask.seeds[0], numbers)


def _perceptron(ask: Ask, depth: int, width: int) -> tuple[Graph, dict[str, np.ndarray], np.ndarray]:
    layers: list[dict[str, Any]] = []
    for number in range(depth):
        layers += [
            {"layer": "dense", "name": f"hidden{number}", "units": width},
            {"layer": "tanh", "name": f"bend{number}"},
        ]
    network = Network(name="perceptron", file="questions", input=[width], layers=layers)
    shape = (ask.settings["batch"], width)
    plan = assemble(network, ask.catalogue, Node([], "input", shape=shape, name="x"))

    def function(params: Any, x: Node) -> Node:
        return GRAPH["mean"](assemble(network, ask.catalogue, x, params=params).prediction ** 2)

    graph = Graph.trace(function, {"params": {name: node.shape for name, node in plan.params.items()}, "x": shape})
    return graph, initial_parameters(plan, 0), np.random.default_rng(37).normal(size=shape)


def call_of(adapter: Adapter, function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """One call, and the wait for what it computes."""

    def call() -> Any:
        found = function(*arguments)
        adapter.wait(found)
        return found

    return call


def _chain(adapter: Adapter, mode: str, operations: int) -> Callable[..., Any]:
    """The mean of tanh(a*x + b), again and again: so many primitives before the mean, each on all elements."""
    meaning = meaning_of(adapter, mode)
    tanh, mean = meaning["tanh"], meaning["mean"]
    links = max(1, operations // SPREAD)

    def chain(params: Any) -> Any:
        x = params["x"]
        for _ in range(links):
            x = tanh(params["a"] * x + params["b"])
        return mean(x)

    return chain


def _inputs(adapter: Adapter, elements: int) -> dict[str, Any]:
    x = np.random.default_rng([elements, 41]).normal(size=elements)
    return map_tree(adapter.tensor, {"x": x, "a": np.array(1.1), "b": np.array(0.1)})  # type: ignore[no-any-return]


def symbolic_cost(ask: Ask) -> Iterator[Case]:
    """One chain with its gradient: seconds where every primitive runs as it is called, and where the whole was compiled
    before. first_call: seconds of the first compiled call. break_even: after so many calls that is repaid."""
    adapter, first = ask.adapter, ask.adapter.modes[0]
    for elements in ask.settings["elements"]:
        for operations in ask.settings["operations"]:
            given = _inputs(adapter, elements)
            for mode in _later(ask):
                eager = adapter.compile(adapter.value_and_grad(_chain(adapter, first, operations)), first)
                compiled = adapter.compile(adapter.value_and_grad(_chain(adapter, mode, operations)), mode)
                symbolic = call_of(adapter, compiled, given)
                began = time.perf_counter()
                symbolic()
                once = time.perf_counter() - began
                at: dict[str, float | str] = {"mode": mode, "elements": elements, "operations": operations}
                contenders = {"eager": call_of(adapter, eager, given), "symbolic": symbolic}
                for case in timed_cases(ask, at, contenders, first_call=once):
                    saved = case.numbers["eager"] - case.numbers["symbolic"]
                    even = once / saved if saved > 0 else math.inf
                    yield Case(at, case.seed, {**case.numbers, "break_even": even})


def _later(ask: Ask) -> list[str]:
    """The modes that compile; UnavailableError where a backend has none of those asked for."""
    found = [mode for mode in ask.modes if mode != ask.adapter.modes[0]]
    if not found:
        raise UnavailableError(
            f"{ask.adapter.name}: no mode that compiles was asked for, to compare with the eager one"
        )
    return found


def working_memory(ask: Ask) -> Iterator[Case]:
    """The most bytes that NumPy holds at a time while the chain and its gradient are computed, its inputs apart, as
    Python's allocator counts them; in the second call, when what is kept between calls is there."""
    adapter = ask.adapter
    for elements in ask.settings["elements"]:
        for operations in ask.settings["operations"]:
            given = _inputs(adapter, elements)
            found = {}
            for mode in (adapter.modes[0], *_later(ask)):
                function = adapter.compile(adapter.value_and_grad(_chain(adapter, mode, operations)), mode)
                tracemalloc.start()  # before the first call, so that what stays is counted
                try:
                    function(given)
                    tracemalloc.reset_peak()
                    function(given)
                    found[mode] = float(tracemalloc.get_traced_memory()[1])
                finally:
                    tracemalloc.stop()
            for mode in _later(ask):
                at: dict[str, float | str] = {"mode": mode, "elements": elements, "operations": operations}
                yield Case(at, ask.seeds[0], {"eager": found[adapter.modes[0]], "symbolic": found[mode]})
