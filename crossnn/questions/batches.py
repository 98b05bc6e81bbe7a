"""Batches: all samples a step, some, or one: what a step costs, an epoch, and the way to a loss."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from crossnn.catalogue.rows import Experiment
from crossnn.experiment.task import Task
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph
from crossnn.questions.ask import Ask
from crossnn.questions.rule import Case
from crossnn.questions.trainings import TUNING, at_rate, experiment, training_loss
from crossnn.training.train import step_function

LOOKS = 16
"""The loss of all samples is looked at after every step at first, later after about one in so many of those done."""


@dataclass(frozen=True)
class Run:
    """Seconds of a step; steps until the loss was reached, infinite where it was not; the loss after some epochs."""

    seconds: float
    steps: float
    loss: float


class Runner:
    """Descent with batches of one size, compiled once."""

    def __init__(self, ask: Ask, row: Experiment) -> None:
        self.ask, self.row = ask, row
        task = Task(row, ask.catalogue, 0)
        self.batches = task.batches
        self.step = step_function(task, ask.adapter, ask.fastest)
        self.loss = compile_graph(training_loss(task), "training_loss", NUMPY)

    def run(self, seed: int, rate: float) -> Run:
        """Until the loss of all samples is below the target, and for the epochs at least. Only the steps are timed."""
        given = self.ask.settings
        task = Task(at_rate(self.row, rate), self.ask.catalogue, seed)
        params, state = task.params, task.state
        wanted, reached, after = given["epochs"] * self.batches, math.inf, math.nan
        seconds: list[float] = []
        lr, order = np.array(rate), task.order(0)
        everything = {"x": task.data.x, "t": task.data.t}
        with np.errstate(all="ignore"):
            for number in range(max(wanted, given["steps"])):
                epoch, place = divmod(number, self.batches)
                if not place:
                    order = task.order(epoch)
                batch = task.batch(epoch, place, order)
                began = time.perf_counter()
                _, params, state, _ = self.step(params, state, {}, batch, lr, np.array(number + 1.0))
                seconds.append(time.perf_counter() - began)
                done = number + 1
                if done != wanted and done % max(1, done // LOOKS):
                    continue
                value = float(self.loss(params, {}, everything))
                if value <= given["target"] and math.isinf(reached):
                    reached = done
                if done == wanted:
                    after = value
                if done >= wanted and (math.isfinite(reached) or not math.isfinite(value)):
                    break
        return Run(float(np.median(seconds)), reached, after)

    def best_rate(self) -> float:
        """The rate that reaches the loss in the fewest steps, at a seed that is not measured."""
        rates: list[float] = self.ask.settings["rates"]
        found = {rate: self.run(TUNING, rate) for rate in rates}
        return min(rates, key=lambda rate: (found[rate].steps, found[rate].loss))


def batch_sizes(ask: Ask) -> Iterator[Case]:
    """One experiment with all samples in a batch (full), some (mini), or one (single), each at the learning rate that
    is the best for it at another seed. update and epoch: seconds of one; target: seconds of the steps until the loss of
    all samples is below the target; loss: that after the epochs."""
    given = ask.settings
    base = experiment(ask.catalogue, given["experiment"])
    for samples in given["samples"]:
        sizes: dict[str, int | Literal["full"]] = {"full": "full", "mini": given["mini"], "single": 1}
        runners = {
            way: Runner(ask, msgspec.structs.replace(base, samples=samples, batch_size=size, metrics=[]))
            for way, size in sizes.items()
        }
        rates = {way: runner.best_rate() for way, runner in runners.items()}
        for seed in ask.seeds:
            numbers: dict[str, float] = {}
            for way, runner in runners.items():
                found = runner.run(seed, rates[way])
                numbers[f"{way}_update"] = found.seconds
                numbers[f"{way}_epoch"] = found.seconds * runner.batches
                numbers[f"{way}_target"] = found.seconds * found.steps
                numbers[f"{way}_loss"] = found.loss
            yield Case({"samples": samples}, seed, numbers)
