"""The phases of each kind of specification, as works.

An experiment is timed on its own data, with its own loss and optimizer; a layer, a loss, an activation or a network on
drawn numbers; an optimizer on the parameters of a dense layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from crossnn.adapter import Adapter
from crossnn.catalogue.build import settings
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Experiment, Optimizer, Row
from crossnn.catalogue.updates import initial_state, update_graph
from crossnn.errors import SpecError, choices
from crossnn.experiment.task import Task
from crossnn.formula.evaluate import replay
from crossnn.formula.fingerprint import differentiated, simplified
from crossnn.formula.graph import Graph, leaves, map_tree
from crossnn.parity.compute import function_of
from crossnn.parity.inputs import generator_for, single
from crossnn.runs.cell import Cell, Timed
from crossnn.timing.subjects import subject_of
from crossnn.timing.work import TURNS, Work, bfloat16, computed, differentiated_by_backend
from crossnn.training.train import plain_step

PHASES: Mapping[str, tuple[str, ...]] = {
    "experiment": ("forward", "gradient", "update", "step", "inference"),
    "network": ("forward", "gradient", "inference"),
    "layer": ("forward", "gradient", "inference"),
    "loss": ("forward", "gradient"),
    "activation": ("forward", "gradient"),
    "optimizer": ("update",),
}
"""Kind -> the phases that it has. forward: the loss, or the output, in training; gradient: that and all gradients;
update: the optimizer alone; step: a whole training step; inference: the prediction after training."""
NATIVE = ("activation", "loss", "layer", "optimizer")
"""Kinds of which frameworks have implementations of their own."""


def check_timed(row: Row) -> tuple[str, ...]:
    """The phases of a row; SpecError with the kinds that have any."""
    if row.kind not in PHASES:
        raise SpecError(f"{row.name!r} is a {row.kind}, which is not timed; timed are: {choices(PHASES)}")
    return PHASES[row.kind]


def work_of(cell: Cell) -> Work:
    """The work of a cell."""
    assert cell.timed is not None
    catalogue = load_catalogue(cell.files)
    row, timed = catalogue.find(cell.spec), cell.timed
    if timed.phase not in check_timed(row):
        raise SpecError(f"{row.name!r} is a {row.kind}: it has no phase {timed.phase!r}; {choices(PHASES[row.kind])}")
    if isinstance(row, Experiment):
        found = _experiment(row, catalogue, timed, cell.seed)
    elif isinstance(row, Optimizer):
        found = _optimizer(row, timed, cell.seed)
    else:
        found = _subject(row, catalogue, timed, cell.seed)
    return _shortened(found) if cell.dtype == "bfloat16" else found


def _shortened(work: Work) -> Work:
    """With inputs that bfloat16 holds."""
    kept: dict[int, Any] = {}

    def short(array: Any) -> Any:
        if id(array) not in kept:
            kept[id(array)] = (array, bfloat16(array))
        return kept[id(array)][1]

    carried, turns, given = (map_tree(short, tree) for tree in (work.carried, tuple(work.turns), dict(work.given)))
    return dataclasses.replace(work, carried=carried, turns=turns, given=given)


def _experiment(row: Experiment, catalogue: Catalogue, timed: Timed, seed: int) -> Work:
    """A training step of an experiment, or a part of it, on its own data."""
    changed = msgspec.structs.replace(
        row, batch_size=timed.batch, samples=TURNS * timed.batch, held_out=0.0, input=list(timed.shape) or row.input
    )
    task = Task(changed, catalogue, seed)
    if task.batches < 1:
        raise SpecError(f"{row.name}: {len(task.data.x)} samples, fewer than a batch of {timed.batch}")
    order = task.order(0)
    params, state, layers = (map_tree(single, tree) for tree in (task.params, task.state, task.layers))
    batches = [map_tree(_short, task.batch(0, number % task.batches, order)) for number in range(TURNS)]
    turns = [(params, *([layers] if layers else []), batch) for batch in batches]
    lr = single([task.rates[0]])[0]
    loss = ("loss", "statistics") if layers else "loss"
    match timed.phase:
        case "forward":
            whole = task.objective
            return Work(
                row, timed.phase, computed(whole, "objective"), turns, loss, whole, _by_name(whole, turns[0]), task=task
            )
        case "gradient":
            whole, make = _gradient_of(task.objective), differentiated_by_backend(task.objective)
            return Work(
                row, timed.phase, make, turns, (loss, "gradient"), whole, _by_name(whole, turns[0]), task=task
            )  # fmt: skip
        case "inference":
            whole = task.prediction
            turns = [(params, layers, {"x": batch["x"]}) for batch in batches]
            return Work(
                row, timed.phase, computed(whole, "prediction"), turns, "prediction", whole, _by_name(whole, turns[0]),
                task=task,
            )  # fmt: skip
        case "update":
            generator = generator_for(row.name, seed, "gradients")
            gradients = [map_tree(lambda one: _drawn(generator, one.shape), params) for _ in range(TURNS)]
            return _update(row, task.update, params, state, gradients, lr)
    t = np.float64(1.0)
    given = {"params": params, "state": state, "layers": layers, "data": batches[0], "lr": lr, "t": t}
    carried = (params, state, layers, t)
    return Work(
        row, timed.phase, lambda adapter, mode: _given_away(adapter, _step(task, adapter, mode), mode, len(carried)),
        [(batch, lr) for batch in batches], ("loss", "update", "state", "statistics"), task.step, given,
        carried=carried, first=1, task=task,
    )  # fmt: skip


def _step(task: Task, adapter: Adapter, mode: str) -> Callable[..., Any]:
    """(params, state, layers, t, data, lr) -> (loss, params, state, layers, t): what a training loop calls, the count
    of steps carried on the device like everything else."""
    plain = plain_step(task, adapter, mode, given_away=True)
    counts = _counts(task.update)

    def step(params: Any, state: Any, layers: Any, t: Any, data: Any, lr: Any) -> Any:
        return (*plain(params, state, layers, data, lr, t), t + 1.0 if counts else t)

    return step


def _counts(update: Graph) -> bool:
    """Whether an update looks at the count of steps; nobody keeps one for SGD."""
    count = update.arguments["t"]
    return any(node is count for node in update.live())


def _given_away(adapter: Adapter, function: Callable[..., Any], mode: str, carried: int) -> Callable[..., Any]:
    """Compiled; what is carried is given away where the backend can make use of that, as in any training loop."""
    if adapter.donates:
        return adapter.compile(function, mode, carried)
    return adapter.compile(function, mode)


def _update(
    row: Row, update: Graph, params: Any, state: Any, gradients: Sequence[Any], lr: Any,
    chosen: Mapping[str, Any] | None = None,
) -> Work:  # fmt: skip
    """An optimizer alone, given gradients."""

    def make(adapter: Adapter, mode: str) -> Callable[..., Any]:
        function = function_of(update, "update", adapter, mode, ("params", "state"))
        counts = _counts(update)

        def one(params: Any, state: Any, t: Any, gradients: Any, lr: Any) -> Any:
            return (*function(params, gradients, state, lr, t), t + 1.0 if counts else t)

        return _given_away(adapter, one, mode, 3)

    t = np.float64(1.0)
    given = {"params": params, "gradients": gradients[0], "state": state, "lr": lr, "t": t}
    return Work(
        row, "update", make, [(one, lr) for one in gradients], ("update", "state"), update, given,
        carried=(params, state, t), settings=chosen,
    )  # fmt: skip


def _optimizer(row: Optimizer, timed: Timed, seed: int) -> Work:
    """An optimizer on kernel and bias of a dense layer, or on one parameter of the given shape."""
    hyper, knobs = settings(row, dict(timed.settings))
    generator = generator_for(row.name, seed)
    shapes = {"w": timed.shape} if timed.shape else {"kernel": (512, 512), "bias": (512,)}
    params = {name: _drawn(generator, one) for name, one in shapes.items()}
    state = map_tree(single, initial_state(row, hyper, params))
    gradients = [{name: _drawn(generator, one) for name, one in shapes.items()} for _ in range(TURNS)]
    update = simplified(update_graph(row, shapes, hyper, knobs))
    return _update(row, update, params, state, gradients, single([hyper["lr"]])[0], {**hyper, **knobs})


def _subject(row: Row, catalogue: Catalogue, timed: Timed, seed: int) -> Work:
    """A layer, a loss, an activation or a network: its output, or the gradient of that."""
    subjects = [
        subject_of(
            row, catalogue, timed.batch, timed.shape, dict(timed.settings), seed * TURNS + turn,
            timed.phase != "inference",
        )
        for turn in range(TURNS)
    ]  # fmt: skip
    subject = subjects[0]
    turns = [(one.params, one.data) for one in subjects]
    if timed.phase == "gradient":
        if subject.scalar is None or not subject.params:
            raise SpecError(f"{row.name!r} has no gradient: nothing in it is differentiated")
        whole, make = _gradient_of(subject.scalar), differentiated_by_backend(subject.scalar)
        return Work(
            row, timed.phase, make, turns, ("value", "gradient"), whole, _by_name(whole, turns[0]),
            settings=subject.settings, subject=subject,
        )  # fmt: skip
    whole = subject.forward
    return Work(
        row, timed.phase, computed(whole, "forward"), turns, "", whole, _by_name(whole, turns[0]),
        settings=subject.settings, subject=subject,
    )  # fmt: skip


def _gradient_of(objective: Graph) -> Graph:
    """(value, gradients by the names of params); a value that comes with new running statistics keeps them."""
    if len(objective.results) == 1:
        return differentiated(simplified(objective), "params")

    def function(**arguments: Any) -> Any:
        tape = next(leaves(arguments)).tape
        value, statistics = replay(objective, arguments, tape)
        own = differentiated(Graph(arguments, value, tuple(tape)), "params").result[1]
        return (value, statistics), own

    return Graph.trace(function, map_tree(lambda node: node.shape, dict(objective.arguments)))


def _by_name(graph: Graph, values: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(graph.arguments, values, strict=True))


def _short(array: np.ndarray) -> np.ndarray:
    return array if array.dtype.kind in "iu" else single(array)


def _drawn(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return single(0.1 * generator.normal(size=shape))
