"""Experiments compared: the same training with one thing changed, at several seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.build import batch_loss, settings
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Experiment, Network, Row
from crossnn.errors import SpecError, unknown
from crossnn.experiment.task import Task
from crossnn.formula.graph import Graph, Node, map_tree, shape_of
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.questions.ask import Ask
from crossnn.questions.rule import Case
from crossnn.training.loop import Machine, Walk, walk
from crossnn.training.train import machine_of

TUNING = 10_000
"""Seeds from here on are for choosing a learning rate, and never measured."""
MOST_TUNED = 3


def experiment(catalogue: Catalogue, name: str) -> Experiment:
    """The experiment of this name."""
    row = catalogue.rows.get(name)
    if not isinstance(row, Experiment):
        raise SpecError(unknown("experiment", name, [one.name for one in catalogue.of_kind("experiment")]))
    return row


def at_rate(row: Experiment, rate: float) -> Experiment:
    """The same at another learning rate."""
    return msgspec.structs.replace(row, optimizer={**row.optimizer, "lr": rate})


def with_rows(catalogue: Catalogue, *rows: Row) -> Catalogue:
    """The catalogue, and some rows of our own."""
    return Catalogue({**catalogue.rows, **{row.name: row for row in rows}})


class Trainer:
    """Trains one experiment at any seed and learning rate; it is compiled once."""

    def __init__(self, ask: Ask, row: Experiment, catalogue: Catalogue | None = None) -> None:
        self.row, self.catalogue = row, catalogue or ask.catalogue
        self.machine: Machine = machine_of(self.task(0), ask.adapter, ask.fastest)

    def task(self, seed: int, rate: float | None = None) -> Task:
        return Task(self.row if rate is None else at_rate(self.row, rate), self.catalogue, seed)

    def walk(self, seed: int, rate: float | None = None) -> Walk:
        with np.errstate(all="ignore"):
            return walk(self.task(seed, rate), self.machine)

    def best_rate(self, rates: list[float], seeds: range) -> float:
        """The rate that leads to the smallest loss on held-out samples, at seeds that are not measured."""
        if len(rates) == 1:
            return rates[0]
        tuned = range(TUNING, TUNING + min(MOST_TUNED, len(seeds)))
        found = {rate: float(np.median([last_held_out(self.walk(seed, rate)) for seed in tuned])) for rate in rates}
        return min(found, key=lambda rate: found[rate] if math.isfinite(found[rate]) else math.inf)


def last_held_out(found: Walk) -> float:
    return found.evaluations["loss"][-1]


def compared_trainings(ask: Ask) -> Iterator[Case]:
    """Two experiments for as many epochs, at each learning rate: training and held-out loss of both after the last one.
    chance: the loss of who knows the frequencies of the classes, and nothing else."""
    given = ask.settings
    trainers = {
        name: Trainer(ask, msgspec.structs.replace(experiment(ask.catalogue, given[name]), epochs=given["epochs"]))
        for name in ("first", "second")
    }
    for rate in given["rates"]:
        for seed in ask.seeds:
            numbers: dict[str, float] = {"chance": _chance(trainers["first"].task(seed).data.t)}
            for name, trainer in trainers.items():
                found = trainer.walk(seed, rate)
                numbers[name] = found.loss[-1]
                numbers[f"{name}_held_out"] = last_held_out(found)
            yield Case({"rate": rate}, seed, numbers)


def _chance(targets: np.ndarray) -> float:
    """The entropy of the classes; not a number where targets are no classes."""
    if targets.ndim != 2 or not np.all(np.isin(targets, (0.0, 1.0))):
        return math.nan
    shares = targets.mean(axis=0)
    shares = shares[shares > 0]
    return float(-np.sum(shares * np.log(shares)))


def dropout_gap(ask: Ask) -> Iterator[Case]:
    """One network without dropout and with it, trained on few samples, all others held out: the gap between held-out
    and training loss in inference, the held-out loss, the held-out accuracy."""
    given = ask.settings
    base = experiment(ask.catalogue, given["experiment"])
    network = ask.catalogue.find(base.network)
    assert isinstance(network, Network)
    if not any(layer.get("layer") == "dropout" for layer in network.layers):
        raise SpecError(f"experiment {base.name!r}: its network {network.name!r} has no layer of dropout to change")
    data = Task(base, ask.catalogue, 0).data
    total = len(data.x) + len(data.held_out_x)
    for samples in given["samples"]:
        if samples >= total:
            raise SpecError(f"settings.samples: {samples}; data {base.data!r} has {total}, some of them to be held out")
        row = msgspec.structs.replace(
            base, held_out=1 - samples / total, epochs=given["epochs"], batch_size=min(given["batch"], samples)
        )
        plain = _measured(ask, row, _dropping(network, None))
        for rate in given["rates"]:
            dropped = _measured(ask, row, _dropping(network, rate))
            for seed in ask.seeds:
                numbers = {
                    f"{way}_{what}": value
                    for way, measure in (("plain", plain), ("dropout", dropped))
                    for what, value in measure(seed).items()
                }
                yield Case({"samples": samples, "rate": rate}, seed, numbers)


def _dropping(network: Network, rate: float | None) -> Network:
    """The network with this rate in all layers of dropout, or without these."""
    layers = [
        {**layer, "rate": rate} if layer.get("layer") == "dropout" and rate is not None else layer
        for layer in network.layers
        if rate is not None or layer.get("layer") != "dropout"
    ]
    return msgspec.structs.replace(network, layers=layers)


def _measured(ask: Ask, row: Experiment, network: Network) -> Callable[[int], dict[str, float]]:
    """Seed -> gap, held-out loss and accuracy of this training."""
    trainer = Trainer(ask, row, with_rows(ask.catalogue, network))
    evaluate = compile_graph(training_loss(trainer.task(0)), "training_loss", NUMPY)
    known: dict[int, dict[str, float]] = {}

    def measure(seed: int) -> dict[str, float]:
        if seed not in known:
            found, data = trainer.walk(seed), trainer.task(seed).data
            loss = float(evaluate(found.params, {}, {"x": data.x, "t": data.t}))
            held_out = last_held_out(found)
            accuracy = next((values[-1] for name, values in found.evaluations.items() if "accuracy" in name), math.nan)
            known[seed] = {"gap": held_out - loss, "held_out": held_out, "accuracy": accuracy}
        return known[seed]

    return measure


def training_loss(task: Task) -> Graph:
    """(params, layers, data) -> the loss of all samples that are trained on, in inference."""

    def function(params: Any, layers: Any, data: Any) -> Node:
        y = task.record_inference(params, layers, data["x"])
        return batch_loss(task.loss, y, data["t"], *settings(task.loss, {}))

    data = map_tree(shape_of, {"x": task.data.x, "t": task.data.t})
    return simplify(Graph.trace(function, {**{key: task.shapes[key] for key in ("params", "layers")}, "data": data}))


def depth_budget(ask: Ask) -> Iterator[Case]:
    """A function of many arguments, fitted by tanh networks of each depth with about as many parameters: the held-out
    loss, at the learning rate that is best for that depth at other seeds. best_depth: where it is the smallest;
    best_depth_of_fewest: the same for the fewest arguments."""
    given = ask.settings
    fewest: dict[tuple[str, int], float] = {}
    for arguments in sorted(given["arguments"]):
        networks = {depth: approximator(arguments, depth, given["parameters"]) for depth in given["depths"]}
        catalogue = with_rows(ask.catalogue, *networks.values())
        for kind in given["kinds"]:
            losses: dict[str, list[float]] = {}
            for depth, network in networks.items():
                row = Experiment(
                    name="depth_budget", file="questions", data=f"function_{kind}_{arguments}", network=network.name,
                    loss="mse", optimizer={"use": "adam", "lr": 0.01}, batch_size=64, epochs=given["epochs"],
                )  # fmt: skip
                trainer = Trainer(ask, row, catalogue)
                rate = trainer.best_rate(given["rates"], ask.seeds)
                losses[f"depth_{depth}"] = [last_held_out(trainer.walk(seed, rate)) for seed in ask.seeds]
            for place, seed in enumerate(ask.seeds):
                numbers = {name: values[place] for name, values in losses.items()}
                best = float(min(networks, key=lambda depth: numbers[f"depth_{depth}"]))
                numbers["best_depth"] = best
                numbers["best_depth_of_fewest"] = fewest.setdefault((kind, seed), best)
                yield Case({"kind": kind, "arguments": arguments}, seed, numbers)


def approximator(arguments: int, depth: int, parameters: int) -> Network:
    """So many hidden layers of the width at which the number of parameters is nearest to what is wanted."""
    width = min(range(1, 2000), key=lambda one: abs(count(arguments, depth, one) - parameters))
    layers: list[dict[str, Any]] = []
    for number in range(1, depth + 1):
        layers.append({"layer": "dense", "name": f"hidden{number}", "units": width})
        layers.append({"layer": "tanh", "name": f"bend{number}"})
    layers.append({"layer": "dense", "name": "output", "units": 1})
    return Network(name=f"budget_{arguments}_{depth}", file="questions", input=[arguments], layers=layers)


def count(arguments: int, depth: int, width: int) -> int:
    """The parameters of such a network."""
    return (arguments + 1) * width + (depth - 1) * (width + 1) * width + width + 1
