"""The first training step of an experiment as a subject: forward, loss, backward, gradients, update, state."""

from __future__ import annotations

from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Experiment
from crossnn.parity.networks import experiment_subject
from crossnn.parity.subject import Subject
from crossnn.training.experiment import Task

SAMPLES = 3


def first_step(row: Experiment, catalogue: Catalogue, seed: int) -> Subject:
    """The experiment's own data and masks, on a few samples, with its own optimizer."""
    task = Task(row, catalogue, seed)
    optimizer, hyper, knobs = task.optimizer
    x, t = task.data.x[:SAMPLES], task.data.t[:SAMPLES]
    return experiment_subject(row, catalogue, x, t, task.row.seed + seed, (optimizer, hyper, knobs))
