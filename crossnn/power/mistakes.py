"""Mistakes in the training loop: a right gradient and a right update, put together wrongly.

One function makes the mistakes of one kind. Each yields only what this training has: none of a state where nothing is
remembered, none of a step count that the optimizer does not read. Mistakes in what is drawn and in what is evaluated
are in mislaid.py, those in penalties and settings in penalties.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossnn.formula.graph import Graph, leaves, map_tree
from crossnn.power.practice import Practice, altered

Change = Callable[[Practice], Practice]
"""A training made wrong."""


@dataclass(frozen=True)
class Mistake:
    """Where, what is right and what is done, and how to do it."""

    place: str
    original: str
    mutant: str
    change: Change


Kind = Callable[[Practice], Iterator[Mistake]]


def uses(graph: Graph, name: str) -> bool:
    """Whether the result depends on an argument."""
    wanted = {id(node) for node in leaves(graph.arguments[name])}
    return any(id(node) in wanted for node in graph.live())


def stale_parameters(one: Practice) -> Iterator[Mistake]:
    """The gradient is that of other parameters than those that are moved."""

    def earlier(one: Practice) -> Practice:
        before: list[Any] = []

        def gradient(params: Any, layers: Any, data: Any) -> Any:
            before.append(params)
            return one.gradient(before[-2] if len(before) > 1 else params, layers, data)

        return replace(one, gradient=gradient)

    def late(one: Practice) -> Practice:
        before: list[Any] = []

        def gradient(params: Any, layers: Any, data: Any) -> Any:
            loss, found, layers = one.gradient(params, layers, data)
            before.append(found)
            return loss, before[-2] if len(before) > 1 else found, layers

        return replace(one, gradient=gradient)

    def one_by_one(one: Practice) -> Practice:
        def step(params: Any, state: Any, layers: Any, data: Any, lr: Any, t: Any) -> Any:
            loss, found, changed = one.gradient(params, layers, data)
            moved, new_state = one.update(params, found, state, lr, t)
            first = next(iter(params))
            _, other, _ = one.gradient({**params, first: moved[first]}, layers, data)
            moved, new_state = one.update(params, {**other, first: found[first]}, state, lr, t)
            return loss, moved, new_state, changed

        return replace(one, step=step)

    yield Mistake("gradient", "at the parameters now", "at those of the step before", earlier)
    yield Mistake("update", "by the gradient of this step", "by that of the step before", late)
    if len(one.problem.params) > 1:
        yield Mistake("update", "all parameters at once", "the others after the first has moved", one_by_one)


def gradient_kept(one: Practice) -> Iterator[Mistake]:
    """Gradients are not set to zero between steps."""

    def summed(one: Practice) -> Practice:
        total: dict[str, Any] = {}

        def gradient(params: Any, layers: Any, data: Any) -> Any:
            loss, found, layers = one.gradient(params, layers, data)
            for path, g in found.items():
                total[path] = total[path] + g if path in total else g
            return loss, dict(total), layers

        return replace(one, gradient=gradient)

    yield Mistake("gradient", "of this step", "added to those before", summed)


def gradient_wrong(one: Practice) -> Iterator[Mistake]:
    """Uphill; rounded to float32 on the way; of one parameter lost; of two that look alike exchanged."""

    def by(function: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
        def change(one: Practice) -> Practice:
            def gradient(params: Any, layers: Any, data: Any) -> Any:
                loss, found, layers = one.gradient(params, layers, data)
                return loss, function(found), layers

            return replace(one, gradient=gradient)

        return change

    names = list(one.problem.params)
    yield Mistake("gradient", "downhill", "uphill", by(lambda found: map_tree(np.negative, found)))
    yield Mistake("gradient", "float64", "rounded to float32", by(lambda found: map_tree(_to_float32, found)))
    for name in dict.fromkeys([names[0], names[-1]]) if len(names) > 1 else []:
        yield Mistake(name, "trained", "left as it is", by(lambda found, name=name: {**found, name: 0 * found[name]}))  # type: ignore[misc]
    shapes = {name: array.shape for name, array in one.problem.params.items()}
    twins = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :] if shapes[a] == shapes[b]][:1]
    for a, b in twins:
        turned = by(lambda found, a=a, b=b: {**found, a: found[b], b: found[a]})  # type: ignore[misc]
        yield Mistake(f"{a}, {b}", "each its own gradient", "exchanged", turned)


def loss_reduction(one: Practice) -> Iterator[Mistake]:
    """The gradient is that of the sum over the batch, or the mean over one sample less; the loss is shown as it is."""
    samples = len(next(iter(one.problem.batch(0, 0, one.problem.order(0)).values()), np.zeros(0))) or 1

    def times(factor: float) -> Change:
        def change(one: Practice) -> Practice:
            def gradient(params: Any, layers: Any, data: Any) -> Any:
                loss, found, layers = one.gradient(params, layers, data)
                return loss, map_tree(lambda g: g * factor, found), layers

            return replace(one, gradient=gradient)

        return change

    if samples > 1 and hasattr(one.problem, "loss"):
        yield Mistake("gradient", "of the mean", "of the sum", times(float(samples)))
        yield Mistake("gradient", f"sum/{samples}", f"sum/{samples - 1}", times(samples / (samples - 1)))


def step_count(one: Practice) -> Iterator[Mistake]:
    """What the optimizer reads as the number of the step."""
    if not uses(one.problem.update, "t"):
        return
    batches = one.problem.batches

    def by(function: Callable[[Any], Any]) -> Change:
        def change(one: Practice) -> Practice:
            def update(params: Any, found: Any, state: Any, lr: Any, t: Any) -> Any:
                return one.update(params, found, state, lr, function(t))

            return replace(one, update=update)

        return change

    yield Mistake("update", "t", "t - 1", by(lambda t: t - 1))
    yield Mistake("update", "t", "t + 1", by(lambda t: t + 1))
    yield Mistake("update", "t", "1", by(np.ones_like))
    if batches > 1:
        yield Mistake("update", "t", "the epoch", by(lambda t: np.ceil(t / batches)))


def learning_rate(one: Practice) -> Iterator[Mistake]:
    """Another entry of the schedule, or too few digits."""
    rates, batches = one.problem.rates, one.problem.batches
    steps, longer = len(rates), one.problem.rule.rates(len(rates) + 1)
    others = {
        "the rate of the next step": longer[1:],
        "the rate of the step before": np.concatenate([rates[:1], rates[:-1]]),
        "counted in epochs": rates[np.arange(steps) // batches],
        "the same in every step": np.full(steps, rates[0]),
        "rounded to float32": rates.astype(np.float32).astype(np.float64),
        "wrong by 1e-8": rates * (1 + 1e-8),
    }
    for name, other in others.items():
        if not np.array_equal(other, rates):
            change: Change = lambda one, other=other: replace(one, problem=altered(one.problem, rates=other))  # type: ignore[misc]  # noqa: E731
            yield Mistake("learning rate", "that of this step", name, change)


def optimizer_state(one: Practice) -> Iterator[Mistake]:
    """What the optimizer remembers is lost between steps or epochs, or starts as something else."""
    if not one.problem.state:
        return
    batches = one.problem.batches

    def lost_every(steps: int) -> Change:
        def change(one: Practice) -> Practice:
            count = [0]

            def update(params: Any, found: Any, state: Any, lr: Any, t: Any) -> Any:
                fresh = count[0] % steps == 0
                count[0] += 1
                return one.update(params, found, one.problem.state if fresh else state, lr, t)

            return replace(one, update=update)

        return change

    def started(function: Callable[[np.ndarray], Any]) -> Change:
        state = map_tree(function, one.problem.state)
        return lambda one: replace(one, problem=altered(one.problem, state=state))

    yield Mistake("state", "carried from step to step", "new in every step", lost_every(1))
    if batches > 1 and one.problem.epochs > 1:
        yield Mistake("state", "carried from epoch to epoch", "new in every epoch", lost_every(batches))
    zero = not any(np.any(array) for array in leaves(one.problem.state))
    start = started(np.ones_like) if zero else started(np.zeros_like)
    yield Mistake("state", "starts as the row says", "starts as 1" if zero else "starts as 0", start)


def _to_float32(array: Any) -> Any:
    """Rounded, in whatever numbers the array has."""
    array = np.asarray(array)
    return array.astype(np.float32).astype(np.float64) if array.dtype.kind == "f" else _rounded(array)


def _rounded(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64).astype(np.float32).astype(np.float64).astype(object)
