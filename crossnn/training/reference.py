"""The reference of a training, and how far legitimate rounding may carry another one from it.

Training amplifies rounding: two correct backends drift apart, step by step. How far is measured, not guessed: the
whole training is repeated under the noise interpreter, and the spread of every point, in units of one roundoff, is its
noise scale. The noise is eight units of roundoff here: what grows exponentially must be disturbed by about as little
as real rounding does it, or the spread saturates where that of real rounding does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from crossnn.experiment.plane import Survey, surface, survey_of
from crossnn.experiment.problem import Problem
from crossnn.experiment.study import PARAM, StudyTask
from crossnn.formula.noise import noisy_meaning
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph
from crossnn.runs.cell import About, Cell, Training
from crossnn.training.loop import Machine, Walk, measures, numbers, walk

DISTURBANCE = 2.0**-50
RUNS = 6


def reference_training(cell: Cell, problem: Problem) -> Training:
    """NumPy's float64 curves, the exact ending where there is one, and the noise scale of every point."""
    with np.errstate(all="ignore"):
        quiet = walk(problem, _machine(problem, NUMPY))
        spread = [np.zeros(one.shape) for one in _points(quiet)]
        for run in range(RUNS):
            noisy = walk(
                problem, _machine(problem, noisy_meaning(np.random.default_rng([cell.seed, run]), DISTURBANCE))
            )
            spread = [
                np.hypot(total, one - still)
                for total, one, still in zip(spread, _points(noisy), _points(quiet), strict=True)
            ]
    noise, held_out_noise, ending_noise = (numbers(total / (np.sqrt(RUNS) * DISTURBANCE)) for total in spread)
    row, ending, survey = problem.row, problem.ending, survey_of(problem)
    truth = quiet.ending if ending is None or ending.truth is None else ending.truth
    held_out = quiet.evaluations.pop("loss", [])
    return Training(
        spec=cell.spec, backend=cell.backend, mode=cell.mode, dtype="float64", device="cpu", seed=cell.seed,
        spec_sha=row.sha, loss=numbers(quiet.loss), held_out_loss=numbers(held_out),
        metrics={name: numbers(values) for name, values in quiet.evaluations.items()} | measures(problem, quiet.params),
        ending=numbers(truth), noise=noise, held_out_noise=held_out_noise, ending_noise=ending_noise,
        surface=surface(survey, compile_graph(survey.graph, "surface", NUMPY), quiet.params, quiet.layers)
        if survey else (),
        about=about_of(problem, survey),
        first_step_seconds=0.0, step_seconds=0.0, seconds=quiet.seconds, steps=quiet.steps,
    )  # fmt: skip


def about_of(problem: Problem, survey: Survey | None = None) -> About:
    """What a report says of the row that is trained."""
    row, ending = problem.row, problem.ending
    drawn = isinstance(problem, StudyTask) and problem.params[PARAM].shape == (2,) and problem.whole_path
    return About(
        kind=row.kind, parameters=sum(one.size for one in problem.params.values()),
        ending=ending.name if ending else "", printed=row.printed, source=row.source, family=row.family,
        varied=row.varied, study=msgspec.to_builtins(row) if drawn else {}, plane=survey.plane if survey else None,
    )  # fmt: skip


def _points(found: Walk) -> list[np.ndarray]:
    """What is judged: the training curve, the held-out curve, the ending."""
    return [np.array(found.loss), np.array(found.evaluations.get("loss", [])), np.asarray(found.ending, np.float64)]


def _machine(problem: Problem, meaning: Mapping[str, Callable[..., Any]]) -> Machine:
    """The whole step as one graph, with our own derivatives, in float64."""
    ending = problem.ending.graph if problem.ending else None
    return Machine(
        compile_graph(problem.step, "step", meaning),
        compile_graph(problem.evaluation, "evaluation", meaning) if problem.evaluation else None,
        compile_graph(ending, "answer", meaning) if ending else None,
        np.array,
        np.asarray,
        lambda _: None,
    )
