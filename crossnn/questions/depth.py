"""Gradients by layer: how much of the loss's gradient arrives at the first layer of a deep network, before any step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from crossnn.catalogue.build import batch_loss, settings
from crossnn.catalogue.network import Assembly, assemble, initial_layer_state, initial_parameters
from crossnn.catalogue.rows import Loss, Network
from crossnn.errors import SpecError
from crossnn.experiment.data import load_data
from crossnn.formula.derive import gradients
from crossnn.formula.graph import Graph, Node, map_tree, shape_of
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.questions.ask import Ask
from crossnn.questions.rule import Case

LOSS = "categorical_crossentropy_logits"
NORMALISED = "_batch_norm"
PIXELS = 64


def deep(name: str, depth: int, width: int, initializer: str) -> Network:
    """A network of `depth` hidden layers; `sigmoid_batch_norm` is normalised before its sigmoids."""
    activation = name.removesuffix(NORMALISED)
    layers: list[dict[str, Any]] = []
    for number in range(1, depth + 1):
        layers.append({"layer": "dense", "name": f"hidden{number}", "units": width, "kernel": initializer})
        if name.endswith(NORMALISED):
            layers.append({"layer": "batch_norm", "name": f"norm{number}"})
        layers.append({"layer": activation, "name": f"bend{number}"})
    layers.append({"layer": "dense", "name": "logits", "units": 10})
    return Network(name=f"{name}-{depth}", file="questions", input=[PIXELS], layers=layers)


def gradient_flow(ask: Ask) -> Iterator[Case]:
    """On the digits, right after initialisation: the root mean square gradient of the first hidden layer's kernel over
    that of the last one's, for each network."""
    given = ask.settings
    samples = {seed: _samples(seed, given["batch"]) for seed in ask.seeds}
    for initializer in given["initializers"]:
        for depth in given["depths"]:
            found: dict[int, dict[str, float]] = {seed: {} for seed in ask.seeds}
            for name in given["networks"]:
                network = deep(name, depth, given["width"], initializer)
                for seed, norms in kernel_gradients(ask, network, samples).items():
                    found[seed][name] = norms["hidden1"] / norms[f"hidden{depth}"] if norms["hidden1"] else 0.0
            for seed, numbers in found.items():
                yield Case({"depth": depth, "initializer": initializer}, seed, numbers)


def _samples(seed: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    data = load_data("digits", seed, 0.2, (PIXELS,), target="one_hot")
    return data.x[:batch], data.t[:batch]


def kernel_gradients(
    ask: Ask, network: Network, samples: dict[int, tuple[np.ndarray, np.ndarray]]
) -> dict[int, dict[str, float]]:
    """Seed -> layer -> the root mean square gradient of its kernel. Parameters are drawn by the seed."""
    loss = ask.catalogue.find(LOSS)
    assert isinstance(loss, Loss)
    x, t = next(iter(samples.values()))
    try:
        plan = assemble(network, ask.catalogue, Node([], "input", shape=x.shape, name="x"))
    except SpecError as error:
        raise SpecError(f"questions: {error}") from None

    def function(params: Any, state: Any, x: Node, t: Node) -> dict[str, Node]:
        own: Assembly = assemble(network, ask.catalogue, x, params=params, state=state)
        value = batch_loss(loss, own.prediction, t, *settings(loss, {}))
        kernels = {name: node for name, node in params.items() if name.endswith(".kernel")}
        return dict(zip(kernels, gradients(value, list(kernels.values())), strict=True))

    shapes = {
        name: map_tree(lambda node: node.shape, dict(tree))
        for name, tree in (("params", plan.params), ("state", plan.state))
    }
    graph = Graph.trace(function, {**shapes, "x": shape_of(x), "t": shape_of(t)})
    compute = compile_graph(simplify(graph), "kernel_gradients", NUMPY)
    found = {}
    for seed, (inputs, targets) in samples.items():
        params, state = initial_parameters(plan, seed), initial_layer_state(plan, seed)
        values = compute(params, state, inputs, targets)
        found[seed] = {name.removesuffix(".kernel"): float(np.sqrt(np.mean(one**2))) for name, one in values.items()}
    return found
