"""Numbers that a lecture printed of a training, and one training in every mode of a backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.build import record_row, settings
from crossnn.errors import SpecError
from crossnn.experiment.task import Task
from crossnn.formula.graph import Graph, Node, map_tree, shape_of
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.questions.ask import Ask
from crossnn.questions.rule import Case
from crossnn.questions.trainings import Trainer, experiment
from crossnn.training.loop import walk
from crossnn.training.train import machine_of

LOSS = "held_out_loss"


def printed_run(ask: Ask) -> Iterator[Case]:
    """An experiment of which a lecture printed the outcome on held-out samples, trained for so many epochs. error: the
    standard error of the number here, of the held-out samples (as a sample of all) and of the seeds together."""
    row = experiment(ask.catalogue, ask.settings["experiment"])
    wanted = [name for name in row.printed if name in (LOSS, *row.metrics)]
    if not wanted:
        raise SpecError(f"experiment {row.name!r}: no number is printed of its held-out samples")
    for epochs in ask.settings["epochs"]:
        trainer = Trainer(ask, msgspec.structs.replace(row, epochs=epochs))
        measure = compile_graph(sample_losses(trainer.task(ask.seeds[0])), "sample_losses", NUMPY)
        here: dict[str, list[tuple[float, float]]] = {name: [] for name in wanted}
        for seed in ask.seeds:
            found, task = trainer.walk(seed), trainer.task(seed)
            losses = np.asarray(measure(found.params, {}, task.held_out))
            for name in wanted:
                value = found.evaluations["loss" if name == LOSS else name][-1]
                spread = float(np.std(losses)) if name == LOSS else float(np.sqrt(max(value * (1 - value), 0.0)))
                here[name].append((value, spread / np.sqrt(len(task.data.held_out_x))))
        for name in wanted:
            among = float(np.std([value for value, _ in here[name]], ddof=1))
            for seed, (value, error) in zip(ask.seeds, here[name], strict=True):
                numbers = {"here": value, "printed": row.printed[name], "error": float(np.hypot(error, among))}
                yield Case({"quantity": name, "epochs": epochs}, seed, numbers)


def sample_losses(task: Task) -> Graph:
    """(params, layers, data) -> the loss of every held-out sample."""
    hyper, knobs = settings(task.loss, {})

    def function(params: Any, layers: Any, data: Any) -> Node:
        y = task.record_inference(params, layers, data["x"])
        return record_row(task.loss, task.loss.formula, {"y": y, "t": data["t"]}, y.tape, hyper, knobs)

    data = map_tree(shape_of, dict(task.held_out))
    return simplify(Graph.trace(function, {**{key: task.shapes[key] for key in ("params", "layers")}, "data": data}))


def trained_modes(ask: Ask) -> Iterator[Case]:
    """One experiment, imperatively and in every other mode: the loss of the first and of the last epoch, the largest
    difference of the two curves as a share of the first loss, and seconds of a step."""
    row, adapter = experiment(ask.catalogue, ask.settings["experiment"]), ask.adapter
    first = adapter.modes[0]
    machines = {
        mode: machine_of(Task(row, ask.catalogue, 0), adapter, mode) for mode in dict.fromkeys((first, *ask.modes))
    }
    for seed in ask.seeds:
        found = {mode: walk(Task(row, ask.catalogue, seed), machine) for mode, machine in machines.items()}
        eager = found[first]
        for mode in machines:
            if mode == first:
                continue
            one = found[mode]
            difference = float(np.max(np.abs(np.array(one.loss) - np.array(eager.loss)))) / abs(eager.loss[0])
            numbers = {
                "first_loss": one.loss[0], "last_loss": one.loss[-1], "eager_last_loss": eager.loss[-1],
                "difference": difference, "step": float(np.median(one.step_seconds)),
                "eager_step": float(np.median(eager.step_seconds)),
            }  # fmt: skip
            yield Case({"mode": mode}, seed, numbers)
