"""What a port suffers that keeps a specification's defaults where a framework has others: relative differences in
stated scenarios, by the formulas alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.build import formula_graph, settings
from crossnn.catalogue.reductions import reduced
from crossnn.catalogue.rows import Activation, Formulated, Loss, Optimizer, Row
from crossnn.catalogue.updates import initial_state
from crossnn.conventions.found import relative
from crossnn.conventions.own import numbers
from crossnn.formula.graph import Graph, shape_of
from crossnn.formula.numpy_meaning import numpy_meaning
from crossnn.formula.source import compile_graph
from crossnn.parity import inputs
from crossnn.parity.paths import PARAM, path_of

Settings = Mapping[str, Any]
SAMPLES, STEPS, CONDITION = 32, 100, 100.0
NUMPY = numpy_meaning("float64")


def suffered(row: Row, found: Settings) -> float | None:
    """The relative difference between these settings and the row's own, in the scenario of its kind."""
    match row:
        case Optimizer():
            rate = float(found.get("lr", row.params["lr"]))
            return relative(_way(row, {"lr": rate}), _way(row, {**found, "lr": rate}))
        case Activation():
            x = inputs.generator_for(row.name, 1).normal(size=(250, 4))
            return relative(_value(row, {}, {"x": x}), _value(row, found, {"x": x}))
        case Loss():
            generator = inputs.generator_for(row.name, 1)
            shape = (SAMPLES, 4)
            if row.inputs:
                given = {name: inputs.domain(generator, kind, shape) for name, kind in row.inputs.items()}
            else:
                given = {"t": inputs.domain(generator, row.target, shape)}
            given = {"y": inputs.domain(generator, row.prediction, shape), **given}
            return relative(_value(row, {}, given), _value(row, found, given))
    return None


def _known(row: Row, found: Settings) -> tuple[dict[str, float], dict[str, bool | str]]:
    """Those of the settings that are the row's, not a reduction."""
    own = {**settings(row, {})[0], **settings(row, {})[1]}
    return settings(row, {name: value for name, value in found.items() if name in own})


def _value(row: Formulated, found: Settings, given: Mapping[str, np.ndarray]) -> np.ndarray:
    """An activation's values, or a loss in its reduction."""
    hyper, knobs = _known(row, found)
    graph = formula_graph(row, {name: shape_of(one) for name, one in given.items()}, hyper, knobs)
    if isinstance(row, Loss):
        total = reduced(graph.result, str(found.get("reduction", "mean")))
        graph = Graph(graph.arguments, total, tuple(total.tape))
    with np.errstate(all="ignore"):
        return np.asarray(compile_graph(graph, row.name, NUMPY)(*(given[name] for name in graph.arguments)))


def _way(row: Optimizer, found: Settings) -> np.ndarray:
    """How far the parameters went from their start, after 100 steps on a bowl whose axes differ by the condition."""
    hyper, knobs = _known(row, found)
    start = numbers(4, 4)
    curvature = np.geomspace(1, CONDITION, start.size).reshape(start.shape) / CONDITION
    shape = start.shape if row.acts_on == "matrix" else (start.size,)
    w, slopes = start.reshape(shape), curvature.reshape(shape)
    step = compile_graph(path_of(row, hyper, knobs, shape).step, row.name, NUMPY)
    params, state = {PARAM: w}, initial_state(row, hyper, {PARAM: w})
    with np.errstate(all="ignore"):
        for count in range(STEPS):
            gradients = {PARAM: slopes * params[PARAM]}
            params, state = step(params, gradients, state, np.float64(hyper["lr"]), np.float64(count + 1))
    return np.asarray(params[PARAM] - w)
