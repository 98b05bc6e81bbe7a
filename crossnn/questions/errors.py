"""Measures of error: the same errors measured as MSE, RMSE and mean squared arctangent, at errors of every size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from crossnn.catalogue.build import batch_loss, settings
from crossnn.catalogue.rows import Loss
from crossnn.errors import SpecError
from crossnn.formula.graph import Graph, Node
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph
from crossnn.questions.ask import Ask
from crossnn.questions.rule import Case

MEASURES = {"mse": "mse", "rmse": "rmse", "arctan": "mean_squared_arctangent"}
"""Number -> the loss of the catalogue that it is."""


def error_measures(ask: Ask) -> Iterator[Case]:
    """Normal errors, `errors` of them, at each scale: drawn once for a seed, and the same at every scale."""
    shape = (ask.settings["errors"],)

    def function(y: Any, t: Any) -> dict[str, Node]:
        return {number: _recorded(ask, name, y, t) for number, name in MEASURES.items()}

    measure = compile_graph(Graph.trace(function, {"y": shape, "t": shape}), "measures", NUMPY)
    for seed in ask.seeds:
        errors = np.random.default_rng([seed, 17]).normal(size=shape)
        for scale in ask.settings["scales"]:
            found = measure(errors * scale, np.zeros(shape))
            yield Case({"scale": scale}, seed, {name: float(value) for name, value in found.items()})


def _recorded(ask: Ask, name: str, y: Node, t: Node) -> Node:
    row = ask.catalogue.find(name)
    if not isinstance(row, Loss):
        raise SpecError(f"{name!r} is a {row.kind}, where the loss of that name is meant")
    return batch_loss(row, y, t, *settings(row, {}))
