"""Training a cell: an experiment or a study, by one backend in one mode, or by the reference.

A step is one function of (params, state, layers, data, lr, t), compiled whole where the mode compiles: gradient and
update together, as hand-written code would have it. What comes out is judged afterwards, against the reference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Experiment, Row, Study
from crossnn.errors import SpecError, UnavailableError
from crossnn.experiment.plane import Survey, surface, survey_of
from crossnn.experiment.problem import Problem
from crossnn.experiment.study import StudyTask
from crossnn.experiment.task import Task
from crossnn.formula.graph import map_tree
from crossnn.parity.backend import started
from crossnn.parity.compute import function_of
from crossnn.runs.cell import ORACLE, Cell, Numbers, Record, Training
from crossnn.training.loop import Machine, Walk, measures, numbers, walk
from crossnn.training.reference import reference_training
from crossnn.training.verdict import not_run


def problem_of(row: Row, catalogue: Catalogue, seed: int) -> Problem:
    """What is trained for an experiment or a study."""
    if isinstance(row, Experiment):
        return Task(row, catalogue, seed)
    if isinstance(row, Study):
        return StudyTask(row, catalogue, seed)
    raise SpecError(f"{row.name!r} is a {row.kind}, not an experiment and not a study: nothing to train")


def train(cell: Cell) -> list[Record | Training]:
    """Train one row; a pure function of the cell, but for the seconds. What it needs and is not here is NOT-RUN."""
    catalogue = load_catalogue(cell.files)
    row = catalogue.find(cell.spec)
    problem = problem_of(row, catalogue, cell.seed)
    if cell.left_out:
        return [not_run(cell, row, cell.left_out)]
    try:
        if cell.backend == ORACLE:
            return [reference_training(cell, problem)]
        adapter, facts = started(cell.backend, cell.device, cell.dtype, cell.threads)
        return [_run(cell, problem, adapter, dataclasses.asdict(facts))]
    except UnavailableError as error:
        return [not_run(cell, row, str(error))]


def step_function(problem: Problem, adapter: Adapter, mode: str) -> Callable[..., Any]:
    """(params, state, layers, data, lr, t) -> (loss, params, state, layers), compiled where the mode compiles."""
    return adapter.compile(plain_step(problem, adapter, mode), mode)


def plain_step(problem: Problem, adapter: Adapter, mode: str, given_away: bool = False) -> Callable[..., Any]:
    """The same, to be compiled by whoever makes it a part of something. Parameters and state that are given away may
    be overwritten."""
    traced = function_of(problem.objective, "objective", adapter, mode)
    update = function_of(problem.update, "update", adapter, mode, ("params", "state") if given_away else ())
    running = bool(problem.layers)
    objective = adapter.value_and_grad(traced, aux=True) if running else adapter.value_and_grad(traced)

    def step(params: Any, state: Any, layers: Any, data: Any, lr: Any, t: Any) -> Any:
        if running:
            (loss, layers), gradients = objective(params, layers, data)
        else:
            loss, gradients = objective(params, data)
        params, state = update(params, gradients, state, lr, t)
        return loss, params, state, layers

    return step


def machine_of(problem: Problem, adapter: Adapter, mode: str) -> Machine:
    """The backend as the training loop uses it; the ending is asked for once, in the first mode."""
    evaluation, ending = problem.evaluation, problem.ending.graph if problem.ending else None
    first = adapter.modes[0]
    return Machine(
        step_function(problem, adapter, mode),
        adapter.compile(function_of(evaluation, "evaluation", adapter, mode), mode) if evaluation else None,
        adapter.compile(function_of(ending, "answer", adapter, first), first) if ending else None,
        adapter.tensor,
        adapter.array,
        adapter.wait,
    )


def _run(cell: Cell, problem: Problem, adapter: Adapter, facts: dict[str, Any]) -> Training:
    mode = cell.mode or adapter.modes[0]
    found = walk(problem, machine_of(problem, adapter, mode))
    first, later = found.step_seconds[:1], found.step_seconds[1:]
    held_out = found.evaluations.pop("loss", [])
    survey = survey_of(problem)
    return Training(
        spec=cell.spec, backend=cell.backend, mode=mode, dtype=cell.dtype, device=cell.device, seed=cell.seed,
        spec_sha=problem.row.sha, loss=numbers(found.loss), held_out_loss=numbers(held_out),
        metrics={name: numbers(values) for name, values in found.evaluations.items()} | measures(problem, found.params),
        ending=numbers(found.ending), surface=_surface(survey, adapter, found) if survey else (),
        first_step_seconds=sum(first),
        step_seconds=float(np.median(later or first or [0.0])), seconds=found.seconds, steps=found.steps, facts=facts,
    )  # fmt: skip


def _surface(survey: Survey, adapter: Adapter, found: Walk) -> Numbers:
    """Asked once, in the first mode, of the network that was trained in any."""
    mode = adapter.modes[0]
    ask = adapter.compile(function_of(survey.graph, "surface", adapter, mode), mode)

    def function(*trees: Any) -> Any:
        return adapter.array(ask(*(map_tree(adapter.tensor, tree) for tree in trees)))

    return surface(survey, function, found.params, found.layers)
