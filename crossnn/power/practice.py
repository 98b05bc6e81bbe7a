"""A training in pieces, so that each can be done wrongly: the data of a step, gradient, update, evaluation.

The pieces are compiled for one meaning of the primitives: NumPy's, or the oracle's, in which the same training runs
with any number of digits. A training is shortened before: a few batches, one of them not full, and a few epochs.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.build import batch_loss, settings
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.network import assemble
from crossnn.catalogue.rows import Experiment, Study, Trained
from crossnn.experiment.problem import Problem
from crossnn.experiment.rule import Arrays
from crossnn.experiment.task import Task, objective_of
from crossnn.formula.cost import cost
from crossnn.formula.derive import gradients
from crossnn.formula.graph import Graph, Node, map_tree, shape_of
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.oracle import at_precision
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.training.loop import Machine, walk
from crossnn.training.train import problem_of

EPOCHS, BATCHES, STEPS = 3, 3, 12
"""Of a shortened training: epochs, at least so many full batches in each, and the steps of a study."""
SAMPLES = 24
"""At least so many are in those batches."""

Function = Callable[..., Any]
Compile = Callable[[Graph, str], Function]


@dataclass(frozen=True)
class Practice:
    """How a problem is trained. gradient: (params, layers, data) -> (loss, gradients, layers). update: (params,
    gradients, state, lr, t) -> (params, state). evaluate and answer: of (params, layers, data). A `step` of its own
    stands for gradient and update."""

    problem: Problem
    compiled: Compile
    gradient: Function
    update: Function
    evaluate: Function | None
    answer: Function | None
    array: Callable[[Any], np.ndarray] = np.asarray
    step: Function | None = None

    def machine(self) -> Machine:
        """What the training loop asks for."""
        return Machine(self.step or self.both, self.evaluate, self.answer, np.array, self.array, lambda _: None)

    def both(self, params: Any, state: Any, layers: Any, data: Any, lr: Any, t: Any) -> Any:
        """One step: the gradient, then the update."""
        loss, found, layers = self.gradient(params, layers, data)
        params, state = self.update(params, found, state, lr, t)
        return loss, params, state, layers


def shortened(row: Trained, catalogue: Catalogue, seed: int) -> Problem:
    """A few steps of a training, by the same rule, on the same kind of data. The outcome of a whole training, where
    one is known, is not awaited; the closed form of a study's path is."""
    if isinstance(row, Study):
        return problem_of(msgspec.structs.replace(row, steps=min(row.steps, STEPS)), catalogue, seed)
    assert isinstance(row, Experiment)
    samples, size = row.samples, row.batch_size
    if size != "full":
        train = max(BATCHES, math.ceil(SAMPLES / size)) * size + size // 2
        samples = math.ceil(train / (1 - row.held_out))
    few = msgspec.structs.replace(row, epochs=min(row.epochs, EPOCHS), samples=samples, closed_form="")
    return problem_of(_clipped(few, catalogue, seed) if row.clip else few, catalogue, seed)


def _clipped(row: Experiment, catalogue: Catalogue, seed: int) -> Experiment:
    """With a limit that half of the gradients keep: otherwise clipping would not show, or nothing beside it."""
    one = practice_of(problem_of(msgspec.structs.replace(row, clip={}), catalogue, seed))
    sizes: list[float] = []

    def gradient(params: Any, layers: Any, data: Any) -> Any:
        loss, found, layers = one.gradient(params, layers, data)
        norms = [float(np.linalg.norm(g)) for g in found.values()]
        sizes.extend(norms if row.clip["use"] != "clip_by_global_norm" else [float(np.linalg.norm(norms))])
        return loss, found, layers

    walk(one.problem, replace(one, gradient=gradient).machine())
    return msgspec.structs.replace(row, clip={**row.clip, "limit": float(np.median(sizes))})


def practice_of(
    problem: Problem, compiled: Compile | None = None, array: Callable[[Any], Any] = np.asarray
) -> Practice:
    """The training as it should be, computed by NumPy or by what `compiled` makes of graphs."""
    made = compiled or _by_numpy
    found = gradient_graph(problem)
    ending, evaluation = problem.ending.graph if problem.ending else None, problem.evaluation
    return Practice(
        problem, made, made(found, "gradient"), made(problem.update, "update"),
        made(evaluation, "evaluation") if evaluation else None, made(ending, "answer") if ending else None, array,
    )  # fmt: skip


def gradient_graph(problem: Problem, record: Function | None = None) -> Graph:
    """(params, layers, data) -> (loss, gradients, running statistics); `record` says what is minimised."""
    objective = record or problem.record_objective

    def function(params: Any, layers: Any, data: Any) -> Any:
        loss, changed = objective(params, layers, data)
        found = dict(zip(params, gradients(loss, list(params.values())), strict=True))
        return loss, found, changed

    return simplify(Graph.trace(function, {name: problem.shapes[name] for name in ("params", "layers", "data")}))


def in_inference(task: Task) -> Graph:
    """The gradient graph of a network that takes its training for inference."""

    def record(params: Any, layers: Any, data: Any) -> tuple[Node, Any]:
        found = assemble(task.network, task.catalogue, data["x"], training=False, params=params, state=layers)
        return objective_of(task.row, task.catalogue, found, data["t"]), layers

    return gradient_graph(task, record)


def in_training(task: Task, masks: Arrays) -> Graph:
    """The evaluation graph of a network that takes its inference for training; `masks` are among the data."""

    def function(params: Any, layers: Any, data: Any) -> dict[str, Node]:
        draws = {name: data[name] for name in masks}
        found = assemble(task.network, task.catalogue, data["x"], params=params, state=layers, draws=draws)
        return {"loss": batch_loss(task.loss, found.prediction, data["t"], *settings(task.loss, {}))}

    shapes = {name: task.shapes[name] for name in ("params", "layers")}
    return simplify(Graph.trace(function, {**shapes, "data": map_tree(shape_of, {**task.held_out, **masks})}))


def altered(problem: Problem, **fields: Any) -> Problem:
    """The same problem with other methods or properties; a method takes the problem first."""
    found = copy.copy(problem)
    for name in fields:
        found.__dict__.pop(name, None)  # what is remembered under this name
    found.__class__ = type(type(problem).__name__, (type(problem),), fields)
    return found


def with_row(problem: Problem, row: Trained) -> Problem:
    """The same problem by another row, whose data, network and batches are the same."""
    found = copy.copy(problem)
    found.row = row
    for name in ("rule", "rates", "objective", "update", "step"):
        found.__dict__.pop(name, None)
    return found


def with_update(one: Practice, problem: Problem) -> Practice:
    """The same training with the update rule of another problem."""
    return replace(one, update=one.compiled(problem.update, "update"))


def with_gradient(one: Practice, graph: Graph) -> Practice:
    """The same training with another gradient."""
    return replace(one, gradient=one.compiled(graph, "gradient"))


def oracle_compiler(context: Any, digits: int) -> Compile:
    """Graphs as functions of numbers with so many digits; the context is entered."""

    def compiled(graph: Graph, name: str) -> Function:
        names = list(graph.arguments)
        return lambda *given: at_precision(graph, dict(zip(names, given, strict=True)), digits, context=context)

    return compiled


def operations(problem: Problem) -> float:
    """How many operations the whole training takes."""
    evaluation = cost(problem.evaluation).flops if problem.evaluation else 0.0
    return problem.epochs * (problem.batches * cost(problem.step).flops + evaluation)


def _by_numpy(graph: Graph, name: str) -> Function:
    return compile_graph(graph, name, NUMPY)
