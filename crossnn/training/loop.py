"""The training loop: the same batches, draws and rates for whoever computes, timed as it runs.

A `Machine` is a backend in one mode, or the NumPy that makes the reference: functions of tensors, and how arrays go
in and come out. What was learned is evaluated after every epoch, in inference; without an epoch, once as it starts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crossnn.experiment.problem import Problem
from crossnn.experiment.study import PARAM, StudyTask
from crossnn.formula.graph import map_tree
from crossnn.runs.cell import Numbers


@dataclass(frozen=True)
class Machine:
    """step(params, state, layers, data, lr, t) -> (loss, params, state, layers); evaluate and answer take
    (params, layers, data)."""

    step: Callable[..., Any]
    evaluate: Callable[..., Any] | None
    answer: Callable[..., Any] | None
    tensor: Callable[[np.ndarray], Any]
    array: Callable[[Any], np.ndarray]
    wait: Callable[[Any], None]


@dataclass
class Walk:
    """What a training went through: a loss an epoch, evaluations by name, the ending, the seconds of every step."""

    loss: list[float] = field(default_factory=list)
    evaluations: dict[str, list[float]] = field(default_factory=dict)
    ending: np.ndarray = field(default_factory=lambda: np.zeros(0))
    params: dict[str, np.ndarray] = field(default_factory=dict)
    layers: dict[str, np.ndarray] = field(default_factory=dict)
    step_seconds: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        return len(self.step_seconds)


def walk(problem: Problem, machine: Machine) -> Walk:
    """Train from the first step to the last."""
    found = Walk()
    tensor = machine.tensor
    params, state, layers = (map_tree(tensor, tree) for tree in (problem.params, problem.state, problem.layers))
    held_out = map_tree(tensor, problem.held_out)
    path = []
    began = time.perf_counter()

    def evaluate() -> None:
        if machine.evaluate is not None:
            for name, value in machine.evaluate(params, layers, held_out).items():
                found.evaluations.setdefault(name, []).append(float(machine.array(value)))

    for epoch in range(problem.epochs):
        order, losses = problem.order(epoch), []
        for number in range(problem.batches):
            count = found.steps
            data = map_tree(tensor, problem.batch(epoch, number, order))
            lr, t = tensor(np.array(problem.rates[count])), tensor(np.array(float(count + 1)))
            start = time.perf_counter()
            loss, params, state, layers = machine.step(params, state, layers, data, lr, t)
            machine.wait((loss, params, state, layers))
            found.step_seconds.append(time.perf_counter() - start)
            losses.append(float(machine.array(loss)))
            if isinstance(problem, StudyTask):
                path.append(machine.array(params[PARAM]))
        found.loss.append(float(np.mean(losses)))
        evaluate()
    if not problem.epochs:
        evaluate()
    found.params, found.layers = (map_tree(machine.array, tree) for tree in (params, layers))
    if isinstance(problem, StudyTask):
        found.ending = np.stack(path if problem.whole_path else path[-1:])
    elif machine.answer is not None and problem.ending is not None:
        found.ending = machine.array(machine.answer(params, layers, map_tree(tensor, problem.ending.data or {})))
    found.seconds = time.perf_counter() - began
    return found


def numbers(values: Sequence[float] | np.ndarray) -> Numbers:
    """For a record: what is not finite becomes null."""
    return tuple(float(value) if math.isfinite(value) else None for value in np.ravel(values))


def measures(problem: Problem, params: dict[str, np.ndarray]) -> dict[str, Numbers]:
    """What is said of the parameters that a study arrived at: the objective there, and the distance to the minimum."""
    if not isinstance(problem, StudyTask):
        return {}
    return {name: numbers([value]) for name, value in problem.measures(params).items()}
