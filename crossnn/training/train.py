"""The training loop: the same batches, masks and steps for every backend and mode, timed as it runs.

A step is one function of (params, state, data, lr, t), compiled whole where the mode compiles: gradient and update
together, as hand-written code would have it. The curve is judged afterwards, against the reference curve.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Experiment
from crossnn.errors import SpecError, UnavailableError
from crossnn.experiment.task import Task
from crossnn.formula.graph import map_tree
from crossnn.parity.compute import function_of, started
from crossnn.runs.cell import ORACLE, Cell, Record, Training
from crossnn.training.reference import reference_curve
from crossnn.training.verdict import not_run


def train(cell: Cell) -> list[Record | Training]:
    """Train one experiment; a pure function of the cell, but for the seconds."""
    catalogue = load_catalogue(cell.files)
    row = catalogue.find(cell.spec)
    if not isinstance(row, Experiment):
        raise SpecError(f"{cell.spec!r} is a {row.kind}, not an experiment")
    task = Task(row, catalogue, cell.seed)
    if cell.backend == ORACLE:
        return [reference_curve(cell, task)]
    try:
        adapter, facts = started(cell.backend, cell.device, cell.dtype, cell.threads)
    except UnavailableError as error:
        return [not_run(cell, row.sha, str(error))]
    return [_run(cell, task, adapter, dataclasses.asdict(facts))]


def step_function(task: Task, adapter: Adapter, mode: str) -> Callable[..., Any]:
    """(params, state, data, lr, t) -> (loss, params, state), in the backend's mode."""
    objective = adapter.value_and_grad(function_of(task.objective, "objective", adapter))
    update = function_of(task.update, "update", adapter)

    def step(params: Any, state: Any, data: Any, lr: Any, t: Any) -> Any:
        loss, gradients = objective(params, data)
        params, state = update(params, gradients, state, lr, t)
        return loss, params, state

    return adapter.compile(step, mode)


def _run(cell: Cell, task: Task, adapter: Adapter, facts: dict[str, Any]) -> Training:
    mode = cell.mode or adapter.modes[0]
    step = step_function(task, adapter, mode)
    evaluate = adapter.compile(function_of(task.evaluation, "evaluation", adapter), mode)
    tensor = adapter.tensor
    params, state = map_tree(tensor, task.params), map_tree(tensor, task.state)
    lr = tensor(np.array(task.optimizer[1]["lr"]))
    held_out = {"x": tensor(task.data.held_out_x), "t": tensor(task.data.held_out_t)}
    curve: list[float] = []
    evaluations: dict[str, list[float]] = {}
    step_seconds: list[float] = []
    first = 0.0
    count = 0
    began = time.perf_counter()
    for epoch in range(task.row.epochs):
        order, losses = task.order(epoch), []
        batches = [map_tree(tensor, task.batch(epoch, number, order)) for number in range(task.batches)]
        for data in batches:
            count += 1
            t = tensor(np.array(float(count)))
            start = time.perf_counter()
            loss, params, state = step(params, state, data, lr, t)
            adapter.wait((loss, params, state))
            seconds = time.perf_counter() - start
            if count == 1:
                first = seconds
            else:
                step_seconds.append(seconds)
            losses.append(float(adapter.array(loss)))
        curve.append(float(np.mean(losses)))
        for name, value in evaluate(params, held_out).items():
            evaluations.setdefault(name, []).append(float(adapter.array(value)))
    return Training(
        spec=cell.spec, backend=cell.backend, mode=mode, dtype=cell.dtype, device=cell.device, seed=cell.seed,
        spec_sha=task.row.sha, loss=_finite(curve), held_out_loss=_finite(evaluations.pop("loss")),
        metrics={name: _finite(values) for name, values in evaluations.items()},
        first_step_seconds=first, step_seconds=float(np.median(step_seconds)) if step_seconds else first,
        seconds=time.perf_counter() - began, steps=count, facts=facts,
    )  # fmt: skip


def _finite(values: list[float]) -> tuple[float | None, ...]:
    return tuple(value if math.isfinite(value) else None for value in values)
