"""Mistakes around the training loop: batches, draws, what is evaluated and when, running statistics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.network import assemble, draw_masks
from crossnn.experiment.task import Task
from crossnn.formula.graph import Node
from crossnn.power.mistakes import Change, Mistake
from crossnn.power.practice import (
    Practice,
    altered,
    gradient_graph,
    in_inference,
    in_training,
    with_gradient,
    with_row,
)


def batch_order(one: Practice) -> Iterator[Mistake]:
    """Not shuffled, shuffled once, taken from the end; inputs and targets shuffled apart. Where a step takes all
    samples, their order is no mistake."""
    task = one.problem
    if not isinstance(task, Task):
        return

    def ordered(order: Any) -> Change:
        return lambda one: replace(one, problem=altered(one.problem, order=order))

    if task.batches > 1:
        yield Mistake(
            "order", "shuffled", "as in the data", ordered(lambda problem, epoch: np.arange(len(task.data.x)))
        )
        if task.epochs > 1:
            yield Mistake(
                "order", "another in every epoch", "the first one", ordered(lambda problem, epoch: task.order(0))
            )
        yield Mistake(
            "order", "from the start", "from the end", ordered(lambda problem, epoch: task.order(epoch)[::-1])
        )

    def apart(problem: Any, epoch: int, number: int, order: np.ndarray) -> Any:
        return {**task.batch(epoch, number, order), "t": task.batch(epoch, number, np.roll(order, 1))["t"]}

    yield Mistake("batch", "inputs with their targets", "with those of the sample before", _batched(apart))


def _batched(batch: Any) -> Change:
    return lambda one: replace(one, problem=altered(one.problem, batch=batch))


def last_batch(one: Practice) -> Iterator[Mistake]:
    """The last batch is not full and is taken all the same; a full one is missed; the first is taken again."""
    task = one.problem
    if not isinstance(task, Task) or task.batch_size == len(task.data.x):
        return
    left, batches = len(task.data.x) % task.batch_size, task.batches
    if left:
        yield Mistake("batches", "the rest is left out", f"the last {left} are a batch", _with_partial)
    if batches > 1:
        missed = altered(task, batches=batches - 1)
        yield Mistake("batches", "all that are full", "without the last one", lambda one: replace(one, problem=missed))

        def first(problem: Any, epoch: int, number: int, order: np.ndarray) -> Any:
            return task.batch(epoch, 0, order)

        yield Mistake("batch", "the next samples", "the first samples again", _batched(first))


def _with_partial(one: Practice) -> Practice:
    task = one.problem
    assert isinstance(task, Task)
    left, batches = len(task.data.x) % task.batch_size, task.batches
    small = with_row(task, msgspec.structs.replace(task.row, batch_size=left))
    for name in ("plan", "shapes"):
        small.__dict__.pop(name, None)
    assert isinstance(small, Task)
    other = one.compiled(gradient_graph(small), "gradient")

    def batch(problem: Any, epoch: int, number: int, order: np.ndarray) -> Any:
        if number < batches:
            return task.batch(epoch, number, order)
        rest = order[batches * task.batch_size :]
        masks = draw_masks(small.plan, task.row.seed + task.seed, epoch * (batches + 1) + number)
        return {"x": task.data.x[rest], "t": task.data.t[rest], **masks}

    def gradient(params: Any, layers: Any, data: Any) -> Any:
        return (one.gradient if len(data["x"]) == task.batch_size else other)(params, layers, data)

    longer = altered(task, batch=batch, batches=batches + 1)
    rates = task.rule.rates(task.epochs * (batches + 1))
    return replace(one, gradient=gradient, problem=altered(longer, rates=rates))


def draws(one: Practice) -> Iterator[Mistake]:
    """Masks of dropout: one for all steps, the same in every epoch, that of the next step, another one on the way
    back."""
    task = one.problem
    if not isinstance(task, Task) or not task.plan.draws:
        return
    seed = task.row.seed + task.seed

    def masked(step: Any) -> Change:
        def batch(problem: Any, epoch: int, number: int, order: np.ndarray) -> Any:
            masks = draw_masks(task.plan, seed, step(epoch, number))
            return {**task.batch(epoch, number, order), **masks}

        return _batched(batch)

    def redrawn(one: Practice) -> Practice:
        count = [0]

        def gradient(params: Any, layers: Any, data: Any) -> Any:
            loss, _, changed = one.gradient(params, layers, data)
            count[0] += 1
            other = {**data, **draw_masks(task.plan, seed, 1000 + count[0])}
            return loss, one.gradient(params, layers, other)[1], changed

        return replace(one, gradient=gradient)

    batches = task.batches
    yield Mistake("mask", "drawn for every step", "the first one again", masked(lambda epoch, number: 0))
    if task.epochs > 1:
        yield Mistake("mask", "drawn for every epoch", "those of the first", masked(lambda epoch, number: number))
    yield Mistake("mask", "of this step", "of the next", masked(lambda epoch, number: epoch * batches + number + 1))
    yield Mistake("mask", "the same on the way back", "drawn again for the gradient", redrawn)


def training_mixed_up(one: Practice) -> Iterator[Mistake]:
    """Trained as in inference, or evaluated as in training; running statistics not carried, or never updated."""
    task = one.problem
    if not isinstance(task, Task):
        return
    if task.plan.draws or task.layers:
        yield Mistake("gradient", "in training", "in inference", lambda one: with_gradient(one, in_inference(task)))
        yield Mistake("evaluation", "in inference", "in training", _evaluated_in_training)
    if task.layers:

        def frozen(one: Practice) -> Practice:
            def gradient(params: Any, layers: Any, data: Any) -> Any:
                return (*one.gradient(params, layers, data)[:2], layers)

            return replace(one, gradient=gradient)

        yield Mistake("running statistics", "renewed in every step", "never renewed", frozen)
        yield Mistake("running statistics", "of the last step", "of the step before", _evaluated_with_old(layers=True))


def _evaluated_with_old(*, params: bool = False, layers: bool = False) -> Change:
    """What is held out is evaluated with the parameters, or the running statistics, that the last step began with."""

    def change(one: Practice) -> Practice:
        before: list[Any] = []

        def gradient(weights: Any, statistics: Any, data: Any) -> Any:
            before[:] = weights, statistics
            return one.gradient(weights, statistics, data)

        def evaluate(weights: Any, statistics: Any, data: Any) -> Any:
            assert one.evaluate is not None
            return one.evaluate(before[0] if params else weights, before[1] if layers else statistics, data)

        return replace(one, gradient=gradient, evaluate=evaluate)

    return change


def _evaluated_in_training(one: Practice) -> Practice:
    task = one.problem
    assert isinstance(task, Task)
    x = Node([], "input", shape=task.held_out["x"].shape, dtype="index" if task.network.tokens else "float", name="x")
    masks = draw_masks(assemble(task.network, task.catalogue, x), task.row.seed + task.seed, 0)
    ask = one.compiled(in_training(task, masks), "evaluation")
    return replace(one, evaluate=lambda params, layers, data: ask(params, layers, {**data, **masks}))


def evaluated_early(one: Practice) -> Iterator[Mistake]:
    """What is held out is evaluated before the last update; the loss of a step is that after its update, that of an
    epoch that of its last batch, or the sum."""
    problem = one.problem

    def after_update(one: Practice) -> Practice:
        def step(params: Any, state: Any, layers: Any, data: Any, lr: Any, t: Any) -> Any:
            _, params, state, changed = one.both(params, state, layers, data, lr, t)
            return one.gradient(params, layers, data)[0], params, state, changed

        return replace(one, step=step)

    def weighed(*weights: float) -> Change:
        def change(one: Practice) -> Practice:
            count = [0]

            def gradient(params: Any, layers: Any, data: Any) -> Any:
                loss, found, layers = one.gradient(params, layers, data)
                count[0] += 1
                return loss * weights[(count[0] - 1) % len(weights)], found, layers

            return replace(one, gradient=gradient)

        return change

    if one.evaluate is not None:
        yield Mistake("evaluation", "after the update", "before the last update", _evaluated_with_old(params=True))
    yield Mistake("loss", "before the update", "after the update", after_update)
    if problem.batches > 1:
        number = float(problem.batches)
        last = weighed(*[0.0] * (problem.batches - 1), number)
        yield Mistake("loss of an epoch", "the mean over its batches", "that of the last batch", last)
        yield Mistake("loss of an epoch", "the mean over its batches", "the sum", weighed(number))
