"""The reference curve of an experiment, and how far legitimate rounding may carry another curve from it.

Training amplifies rounding: two correct backends drift apart, step by step. How far is measured, not guessed: the
whole training is repeated under the noise interpreter, and the spread of the loss after each epoch, in units of one
roundoff, is the noise scale of the curve. The noise is small here (2**-40), since a trajectory must stay close enough
for the spread to be proportional to it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crossnn.experiment.task import Task
from crossnn.formula.graph import map_tree
from crossnn.formula.noise import noisy_meaning
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph
from crossnn.runs.cell import Cell, Training

EPSILON = 2.0**-40
RUNS = 6


def reference_curve(cell: Cell, task: Task) -> Training:
    """NumPy's float64 loss after each epoch, and the noise scale of each."""
    began = time.perf_counter()
    with np.errstate(all="ignore"):
        quiet, seconds = _curve(task, NUMPY)
        spread = np.zeros(len(quiet))
        for run in range(RUNS):
            noisy, _ = _curve(task, noisy_meaning(np.random.default_rng([cell.seed, run]), EPSILON))
            spread = np.hypot(spread, noisy - quiet)
    noise = spread / (np.sqrt(RUNS) * EPSILON)
    nothing = tuple(None for _ in quiet)
    return Training(
        spec=cell.spec, backend=cell.backend, mode=cell.mode, dtype="float64", device="cpu", seed=cell.seed,
        spec_sha=task.row.sha, loss=tuple(map(float, quiet)), held_out_loss=nothing, metrics={},
        noise=tuple(map(float, noise)), first_step_seconds=seconds, step_seconds=seconds,
        seconds=time.perf_counter() - began, steps=task.batches * task.row.epochs,
    )  # fmt: skip


def _curve(task: Task, meaning: Mapping[str, Callable[..., Any]]) -> tuple[np.ndarray, float]:
    step = compile_graph(task.step, "step", meaning)
    params, state = map_tree(np.array, task.params), map_tree(np.array, task.state)
    lr = np.float64(task.optimizer[1]["lr"])
    curve = []
    count = 0
    began = time.perf_counter()
    for epoch in range(task.row.epochs):
        order, losses = task.order(epoch), []
        for number in range(task.batches):
            count += 1
            loss, params, state = step(params, state, task.batch(epoch, number, order), lr, np.float64(count))
            losses.append(float(loss))
        curve.append(np.mean(losses))
    return np.array(curve), (time.perf_counter() - began) / max(count, 1)
