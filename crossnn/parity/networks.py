"""Subjects of layers, networks and experiments: every layer's output and every layer's gradient, in order.

A probe (zeros added to a layer's output) makes the gradient with respect to that layer an ordinary gradient, so that
any backend, eager or compiled, shows its backward pass without hooks. The quantities are ordered as the computation
meets them: forward from the first layer, the loss, backward from the last layer, the parameters from the last layer,
the update. The first that departs is where the mistake is; what follows only carries it on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.catalogue.build import batch_loss, initial_state, knob_choices, settings, update_graph
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import Assembly, add_regularizers, assemble, draw_masks, initial_parameters, record_layer
from crossnn.catalogue.rows import Experiment, Formulated, Layer, Loss, Network, Optimizer, Regularizer
from crossnn.errors import SpecError
from crossnn.formula.derive import gradients
from crossnn.formula.evaluate import replay
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.parity import inputs
from crossnn.parity.subject import Arrays, Subject

Rule = tuple[Optimizer, dict[str, float], dict[str, Any]]
"""An optimizer with its hyper-parameters and knobs."""

BATCH = 3
_SIZES = {"units": 6.0, "rate": 0.3}


def layer_subjects(row: Layer, seed: int) -> list[Subject]:
    """One subject for each combination of knobs, with inputs and parameters that are all different."""
    return [_layer_subject(row, dict(knobs), seed) for knobs in knob_choices(row)]


def _layer_subject(row: Layer, knobs: dict[str, Any], seed: int) -> Subject:
    generator = inputs.generator_for(row.name, seed)
    shape = (4, 5) if row.input else (4, 3, 2)
    options = {name: _SIZES.get(name, value) for name, value in row.options.items()}
    hyper, _ = settings(row, options)

    def record_one(params: Mapping[str, Node], data: Mapping[str, Node]) -> Assembly:
        x = params[row.inputs[0]]
        assembly = Assembly(x.tape, params={k: v for k, v in params.items() if k not in row.inputs}, draws=dict(data))
        assembly.outputs = {name: params[name] for name in row.inputs}
        assembly.outputs["out"] = record_layer(assembly, None, row, "", {**options, **knobs, "inputs": row.inputs})
        return assembly

    plan = Assembly([])
    plan.outputs = {name: Node(plan.tape, "input", shape=shape, name=name) for name in row.inputs}
    output = record_layer(plan, None, row, "", {**options, **knobs, "inputs": row.inputs})
    params = {name: _uneven(generator, shape) for name in row.inputs}
    params.update({name: _uneven(generator, node.shape) for name, node in plan.params.items()})
    masks = {name: (generator.random(node.shape) < 0.6).astype(np.float64) for name, node in plan.draws.items()}
    data = {**masks, "weights": inputs.cotangents(generator, output.shape)}

    def forward(params: Any, data: Any) -> Any:
        return {"value": record_one(params, data).outputs["out"]}

    def scalar(params: Any, data: Any) -> Node:
        return GRAPH["sum"](data["weights"] * record_one(params, data).outputs["out"])

    case = " ".join(f"{key}={value}" for key, value in knobs.items()) or "default"
    shapes = _shapes(params, data)
    return Subject(
        case, {**hyper, **knobs}, Graph.trace(forward, shapes), params, data, Graph.trace(scalar, shapes),
        native_quantity="value",
    )  # fmt: skip


def _uneven(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return inputs.single(generator.normal(size=shape) * 10.0 ** generator.uniform(-2, 1, shape))


def _shapes(params: Arrays, data: Arrays) -> dict[str, dict[str, tuple[int, ...]]]:
    return {"params": {k: v.shape for k, v in params.items()}, "data": {k: v.shape for k, v in data.items()}}


def network_subject(row: Network, catalogue: Catalogue, seed: int) -> Subject:
    """A network in training, its outputs weighted at random, so that no gradient vanishes by symmetry."""
    generator = inputs.generator_for(row.name, seed)
    plan = _plan(row, catalogue)
    x = inputs.single(generator.normal(size=plan.x.shape) * 10.0 ** generator.uniform(-1, 0.5, plan.x.shape))
    data = {"x": x, **_masks(plan, seed), "weights": inputs.cotangents(generator, plan.prediction.shape)}
    return _subject(
        row, catalogue, plan, seed, data, lambda assembly, data: GRAPH["sum"](data["weights"] * assembly.prediction)
    )


def experiment_subject(
    row: Experiment, catalogue: Catalogue, x: np.ndarray, t: np.ndarray, seed: int, rule: Rule
) -> Subject:
    """The first training step of an experiment on a few samples: forward, loss, backward, gradients and update."""
    network, loss = parts(row, catalogue)
    plan = _plan(network, catalogue, len(x))
    data = {"x": inputs.single(x), "t": inputs.single(t), **_masks(plan, seed)}
    hyper, knobs = settings(loss, {})

    def objective(assembly: Assembly, data: Mapping[str, Node]) -> Node:
        value = batch_loss(loss, assembly.prediction, data["t"], hyper, knobs)
        return add_regularizers(value, regularizers(row, catalogue), assembly.params)

    return _subject(network, catalogue, plan, seed, data, objective, rule)


def parts(row: Experiment, catalogue: Catalogue) -> tuple[Network, Loss]:
    """The network and the loss that an experiment names."""
    network, loss = catalogue.find(row.network), catalogue.find(row.loss)
    if not isinstance(network, Network) or not isinstance(loss, Loss):
        raise SpecError(f"{row.file}: [{row.name}]: network and loss must name rows of those kinds")
    return network, loss


def optimizer_of(row: Experiment, catalogue: Catalogue) -> tuple[Optimizer, dict[str, float], dict[str, Any]]:
    """The optimizer that an experiment names, with its hyper-parameters and knobs set."""
    optimizer = catalogue.find(str(row.optimizer.get("use", "")))
    if not isinstance(optimizer, Optimizer):
        raise SpecError(f"{row.file}: [{row.name}]: optimizer.use must name an optimizer")
    return optimizer, *settings(optimizer, {key: value for key, value in row.optimizer.items() if key != "use"})


def regularizers(row: Experiment, catalogue: Catalogue) -> list[tuple[Formulated, dict[str, Any], str]]:
    """(regularizer, settings, parameter slot) for each of an experiment's regularizers."""
    terms: list[tuple[Formulated, dict[str, Any], str]] = []
    for term in row.regularizers:
        found = catalogue.find(str(term.get("use", "")))
        if not isinstance(found, Regularizer):
            raise SpecError(f"{row.file}: [{row.name}]: regularizers.use must name a regularizer")
        given = {key: value for key, value in term.items() if key not in ("use", "on")}
        terms.append((found, given, str(term.get("on", "kernel"))))
    return terms


def _plan(row: Network, catalogue: Catalogue, batch: int = BATCH) -> Assembly:
    """The network recorded once, to learn its shapes."""
    return assemble(row, catalogue, Node([], "input", shape=(batch, *row.input), name="x"))


def _masks(plan: Assembly, seed: int) -> Arrays:
    return draw_masks(plan, seed, 0)


def _subject(
    row: Network,
    catalogue: Catalogue,
    plan: Assembly,
    seed: int,
    data: Arrays,
    objective: Any,
    rule: Rule | None = None,
) -> Subject:
    weights = {name: inputs.single(value) for name, value in initial_parameters(plan, seed).items()}
    generator = inputs.generator_for(row.name, seed, "bias")
    for name, value in weights.items():  # a bias of zeros would hide a bias that is not added
        if not np.any(value):
            weights[name] = inputs.single(0.1 * generator.normal(size=value.shape))
    probes = {f"probe/{name}": np.zeros(plan.outputs[name].shape) for name in plan.layers}
    params = {**weights, **probes}

    def assembled(params: Mapping[str, Node], data: Mapping[str, Node]) -> Assembly:
        given = {name: params[f"probe/{name}"] for name in plan.layers}
        masks = {name: data[name] for name in plan.draws}
        return assemble(row, catalogue, data["x"], probes=given, params=params, draws=masks)

    def forward(params: Any, data: Any) -> Any:
        assembly = assembled(params, data)
        values = {f"forward/{name}": assembly.outputs[name] for name in plan.layers}
        return {**values, "loss": objective(assembly, data)} if rule else values

    def scalar(params: Any, data: Any) -> Any:
        return objective(assembled(params, data), data)

    backward = {f"probe/{name}": f"backward/{name}" for name in plan.layers}
    shapes = _shapes(params, data)
    order = (
        *(f"forward/{name}" for name in plan.layers),
        *(["loss"] if rule else []),
        *(f"backward/{name}" for name in reversed(plan.layers)),
        *(f"gradient/{name}" for name in reversed(plan.params)),
    )
    subject = Subject(
        "training step" if rule else "default", {}, Graph.trace(forward, shapes), params, data,
        Graph.trace(scalar, shapes), gradient_names=backward, order=order,
    )  # fmt: skip
    return subject if rule is None else with_update(subject, rule, list(weights), scalar)


def with_update(subject: Subject, rule: Rule, trained: list[str], scalar: Any) -> Subject:
    """Add the optimizer's first update of the trained parameters, and its state after it."""
    optimizer, hyper, knobs = rule
    shapes = {name: subject.params[name].shape for name in trained}
    update = update_graph(optimizer, shapes, hyper, knobs)
    start = initial_state(optimizer, hyper)
    state = {slot: {name: np.full(shapes[name], start[slot]) for name in trained} for slot in start}
    rest = {"state": state, "lr": np.float64(hyper["lr"]), "t": np.float64(1.0)}

    def step(params: Any, data: Any, state: Any, lr: Node, t: Node) -> dict[str, Node]:
        loss = scalar(params, data)
        found = dict(zip(trained, gradients(loss, [params[name] for name in trained]), strict=True))
        weights = {name: params[name] for name in trained}
        arguments = {"params": weights, "gradients": found, "state": state, "lr": lr, "t": t}
        return update_quantities(*replay(update, arguments, lr.tape))

    whole = Graph.trace(
        step, {**_shapes(subject.params, subject.data), "state": dict.fromkeys(state, shapes), "lr": (), "t": ()}
    )
    order = (*subject.order, *whole.result)
    return replace(subject, update=update, step=whole, rest=rest, order=order)


def update_quantities(params: Any, state: Any) -> dict[str, Any]:
    """The results of an update by quantity, state slots first: they are computed first."""
    slots = {f"state.{slot}/{name}": value for slot, tree in state.items() for name, value in tree.items()}
    return {**slots, **{f"update/{name}": value for name, value in params.items()}}
