"""Equal steps as a loop: every recurrent layer becomes one, with the same bits; what only looks alike does not."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from crossnn.adapter import Adapter
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Layer, Network
from crossnn.formula.fingerprint import simplified
from crossnn.formula.graph import GRAPH, Graph, Node, leaves
from crossnn.formula.loops import LOOP, rolled
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph, to_source
from crossnn.parity.compute import function_of
from crossnn.parity.layers import layer_subjects
from crossnn.parity.networks import network_subjects

CATALOGUE = load_catalogue()
LAYERS = [row for row in CATALOGUE.of_kind("layer") if isinstance(row, Layer) and row.step]
NETWORKS = [
    row
    for row in CATALOGUE.of_kind("network")
    if isinstance(row, Network) and any(one.get("layer") in {layer.name for layer in LAYERS} for one in row.layers)
]


def in_order(step: Callable[..., Any], carried: Any, sequences: Any) -> Any:
    """A loop as Python runs it."""
    given = []
    for place in range(sequences[0].shape[1]):
        carried, collected = step(carried, tuple(one[:, place : place + 1] for one in sequences))
        given.append(collected)
    return carried, tuple(np.concatenate(parts, axis=1) for parts in zip(*given, strict=True))


MEANING: Mapping[str, Callable[..., Any]] = {**NUMPY, LOOP: in_order}


def loops(graph: Graph) -> int:
    return sum(node.operation == LOOP for node in graph.live())


def same(graph: Graph, **arguments: Any) -> None:
    """The rolled graph gives every bit that the flat one gives."""
    flat, short = (compile_graph(one, "f", MEANING)(**arguments) for one in (graph, rolled(graph)))
    for one, other in zip(leaves(flat), leaves(short), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("row", LAYERS, ids=operator.attrgetter("name"))
def test_a_recurrent_layer_is_one_loop_of_the_same_bits(row: Layer) -> None:
    for subject in layer_subjects(row, 3):
        assert subject.scalar is not None
        graph = simplified(subject.scalar)
        assert loops(rolled(graph)) == 1, subject.case
        same(graph, params=subject.params, data=subject.data)


@pytest.mark.parametrize("row", NETWORKS, ids=operator.attrgetter("name"))
def test_a_network_has_a_loop_for_each_recurrent_layer(row: Network) -> None:
    recurrent = sum(one.get("layer") in {layer.name for layer in LAYERS} for one in row.layers)
    subject = network_subjects(row, CATALOGUE, 3)[0]
    assert subject.scalar is not None
    for graph in (simplified(subject.scalar), simplified(subject.forward)):
        assert loops(rolled(graph)) == recurrent
        assert len(rolled(graph).live()) < len(graph.live()) / 1.5
        same(graph, params=subject.params, data=subject.data)


def test_layers_without_steps_stay_as_they_are() -> None:
    row = CATALOGUE.find("self_attention")
    assert isinstance(row, Layer)
    graph = simplified(layer_subjects(row, 3)[0].forward)
    assert rolled(graph) is graph


# Steps by hand: what is a loop, and what is none ----------------------------------------------------------------------

Body = Callable[[Node, Node, int], Node]


def recorded(body: Body, result: Callable[[list[Node]], Node], length: int = 6) -> Graph:
    """h = body(h, part, place) for each place of x, marked as a recurrent layer marks its steps."""

    def function(x: Node, k: Node) -> Node:
        h, every, loop = k, [], len(x.tape)
        for place in range(length):
            begin = len(x.tape)
            part = GRAPH["slice"](x, axis=1, start=place, stop=place + 1)
            h = body(h, part, place)
            every.append(h)
            for node in x.tape[begin:]:
                node.step = (loop, place)
        return result(every)

    return simplify(Graph.trace(function, {"x": (2, length), "k": (2, 1)}))


def last(every: list[Node]) -> Node:
    return every[-1]


def add(h: Node, part: Node, place: int) -> Node:
    return GRAPH["tanh"](h * 0.5 + part)


def first(part: Node) -> Node:
    return GRAPH["slice"](part.inputs[0], axis=1, start=0, stop=1)


HAND: Mapping[str, tuple[Body, Callable[[list[Node]], Node], int, int]] = {
    "the last value": (add, last, 6, 1),
    "all values": (add, lambda every: GRAPH["concatenate"](*every, axis=1), 6, 1),
    "all values and the last": (add, lambda every: GRAPH["concatenate"](*every, axis=1) * every[-1], 6, 1),
    "the fewest steps": (add, last, 4, 1),
    "too few steps": (add, last, 3, 0),
    "another number in each step": (lambda h, part, place: GRAPH["tanh"](h * (place + 2.0) + part), last, 6, 0),
    "another operation in one step": (
        lambda h, part, place: GRAPH["exp" if place == 4 else "tanh"](h + part),
        last,
        6,
        0,
    ),
    "a value from between": (add, lambda every: every[3] + every[-1], 6, 0),
    "all values but one": (add, lambda every: GRAPH["concatenate"](*every[:3], *every[4:], axis=1), 6, 0),
    "values in another order": (add, lambda every: GRAPH["concatenate"](*every[::-1], axis=1), 6, 0),
    "zeros of another sign": (lambda h, part, place: h * 0.5 + part / (0.0 if place % 2 else -0.0), last, 6, 0),
    "nothing carried": (lambda h, part, place: GRAPH["tanh"](part), lambda e: GRAPH["concatenate"](*e, axis=1), 6, 0),
    "the first part in every step": (lambda h, part, place: GRAPH["tanh"](h * first(part) + part), last, 6, 1),
    "the first part alone": (lambda h, part, place: GRAPH["tanh"](h * first(part)), last, 6, 0),
}


@pytest.mark.parametrize("name", HAND)
def test_steps_by_hand(name: str) -> None:
    body, result, length, wanted = HAND[name]
    graph = recorded(body, result, length)
    assert loops(rolled(graph)) == wanted
    generator = np.random.default_rng(1)
    with np.errstate(all="ignore"):
        same(graph, x=generator.normal(size=(2, length)), k=generator.normal(size=(2, 1)))


UNARY, BINARY = "tanh exp sigmoid abs negative".split(), "add multiply subtract maximum".split()


def random_steps(seed: int) -> tuple[Graph, dict[str, np.ndarray]]:
    """Steps of random operations on what is carried, parts of two sequences and outer values; now and then one step is
    another, or something else needs a value from between."""
    chance = random.Random(seed)
    length, carried, shape = chance.choice([4, 5, 7]), chance.choice([1, 2, 3]), (2, 1)
    known = [*(f"c{i}" for i in range(carried)), "p0", "p1", "k", "last"]
    lines = []
    for number in range(chance.randint(2, 8)):
        operation = chance.choice(UNARY if chance.random() < 0.4 else BINARY)
        lines.append((operation, chance.choices(known, k=1 if operation in UNARY else 2)))
        known.append(f"t{number}")
    after = [f"t{chance.randrange(len(lines))}" for _ in range(carried)]
    odd = chance.randrange(length) if chance.random() < 0.15 else None
    ending = chance.choice(["last", "all", "all and last", "between"])

    def function(x: Node, y: Node, k: Node) -> tuple[Node, ...]:
        loop, state, every = len(x.tape), [k] * carried, []
        for place in range(length):
            begin = len(x.tape)
            parts = [GRAPH["slice"](one, axis=1, start=place, stop=place + 1) for one in (x, y)]
            scope = {f"c{i}": one for i, one in enumerate(state)} | {"p0": parts[0], "p1": parts[1], "k": k}
            scope["last"] = GRAPH["slice"](x, axis=1, start=length, stop=length + 1)
            for number, (operation, names) in enumerate(lines):
                value = GRAPH[operation](*(scope[name] for name in names))
                scope[f"t{number}"] = value * 0.5 if place == odd and number == 0 else value
            state = [scope[name] for name in after]
            every.append(state)
            for node in x.tape[begin:]:
                node.step = (loop, place)
        joined = tuple(GRAPH["concatenate"](*one, axis=1) for one in zip(*every, strict=True))
        return {
            "last": tuple(state), "all": joined, "all and last": (joined[0] * state[-1], state[0]),
            "between": (every[length // 2][0] + state[0],),
        }[ending]  # fmt: skip

    drawn = np.random.default_rng(seed)
    shapes = {"x": (2, length + 1), "y": (2, length + 1), "k": shape}
    return simplify(Graph.trace(function, shapes)), {key: drawn.normal(size=one) for key, one in shapes.items()}


def test_random_steps_keep_every_bit() -> None:
    found = 0
    for seed in range(300):
        graph, arguments = random_steps(seed)
        found += loops(rolled(graph))
        with np.errstate(all="ignore"):
            same(graph, **arguments)
    assert found > 10


def test_a_loop_as_source() -> None:
    graph = recorded(add, last)
    assert to_source(rolled(graph), "f", MEANING) == (
        "def f(x, k):\n"
        "    def step(carried, parts):\n"
        "        (carried_2,) = carried\n"
        "        (x_2,) = parts\n"
        "        return ((tanh(carried_2*0.5 + x_2),), ())\n"
        "    ((last,), ()) = loop(step, (tanh(k*0.5 + slice(x, axis=1, start=0, stop=1)),), "
        "(slice(x, axis=1, start=1, stop=6),))\n"
        "    return last\n"
    )


@pytest.mark.parametrize(("backend", "mode"), [("jax", "jit"), ("tensorflow", "xla")])
def test_who_compiles_loops_computes_what_it_computes_step_by_step(
    backend: str, mode: str, adapter: Callable[..., Adapter]
) -> None:
    one = adapter(backend)
    assert mode in one.loops
    assert one.modes[0] not in one.loops
    for row in LAYERS:
        for subject in layer_subjects(row, 3)[:2]:
            assert subject.scalar is not None
            given = [
                {name: one.tensor(value) for name, value in tree.items()} for tree in (subject.params, subject.data)
            ]
            found = []
            for how in (one.modes[0], mode):
                function = function_of(subject.scalar, "objective", one, how)
                assert (LOOP in str(function.__doc__)) == (how == mode)
                value, gradients = one.compile(one.value_and_grad(function), how)(*given)
                found.append([one.array(value), *(one.array(gradients[name]) for name in subject.params)])
            for flat, short in zip(*found, strict=True):
                np.testing.assert_allclose(short, flat, rtol=1e-11, atol=1e-13)
