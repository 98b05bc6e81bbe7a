"""Standalone files of activations, losses and regularizers: the function, its gradient, and a few numbers.

The numbers are small and are written as they are: the listed points of an activation with a few others, a batch of two
samples for a loss. Kinks, where the slope is a convention, are left out, and said.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossnn.catalogue.build import kinks_of, record_row, settings
from crossnn.catalogue.rows import Activation, Formulated, Loss, Regularizer
from crossnn.errors import SpecError
from crossnn.formula.derive import gradients
from crossnn.formula.graph import GRAPH, Graph, Node, shape_of
from crossnn.formula.simplify import simplify
from crossnn.standalone.dialect import Dialect, Function, own_name
from crossnn.standalone.draft import Draft, literal
from crossnn.standalone.said import said_of

Arrays = dict[str, np.ndarray]

GRID = (-3.5, -1.25, -0.375, -0.0625, 0.0, 0.25, 0.75, 1.5, 4.5)
FURTHER_POINTS = (-2.5, 2.75, -0.8125, 0.4375, 3.25, -1.75, 1.125, -4.25, 5.5, 0.1875, -0.25, 2.25)
MOST_POINTS = 20
"""Points of an activation besides those that its row lists, and others up to this number: arrays of one length, so that
what a framework compiles for one function serves the next."""
ROWS = [[0.5, -1.25, 2.0, 0.75], [3.0, 0.25, -0.5, -2.0]]
WEIGHTS = [[1.0, -0.5, 0.75, 2.0], [-1.5, 0.25, 1.25, 0.5]]
"""Of what acts on vectors: inputs, and what the elements of the result are multiplied by before they are added."""

PREDICTIONS: Mapping[str, Any] = {
    "real": [[0.5, -1.25, 2.0], [-0.75, 1.5, 0.25]],
    "probability": [[0.1, 0.75, 0.9], [0.3, 0.5, 0.6]],
    "simplex": [[0.125, 0.25, 0.625], [0.5, 0.1875, 0.3125]],
    "nonnegative": [[0.5, 1.25, 2.0], [0.75, 3.0, 0.25]],
}
TARGETS: Mapping[str, Any] = {
    "real": [[0.25, -1.0, 0.5], [1.0, 1.75, -0.5]],
    "probability": [[0.25, 0.5, 0.875], [0.125, 0.75, 0.375]],
    "simplex": [[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]],
    "nonnegative": [[1.0, 0.0, 2.0], [3.0, 1.5, 0.5]],
    "binary": [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]],
    "sign": [[1.0, -1.0, 1.0], [-1.0, 1.0, 1.0]],
    "one_hot": [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
    "label": [2, 0],
}
"""A batch of two samples, by the domain that a loss declares."""
FURTHER = [[-0.25, 0.75, 1.0], [0.5, -1.5, 1.25]]
"""A third input, where a loss has one."""


@dataclass(frozen=True)
class Case:
    """A function of a row at numbers: its inputs, those in which it is differentiated, and what its result is
    multiplied by before its elements are added."""

    row: Formulated
    hyper: Mapping[str, float]
    knobs: Mapping[str, bool | str]
    inputs: Arrays
    wrt: tuple[str, ...]
    weights: np.ndarray
    left_out: tuple[float, ...] = ()

    def record(self, text: str, names: Mapping[str, Node]) -> Node:
        """The formula or the definition of the row; of a loss the mean of it."""
        value = record_row(self.row, text, names, next(iter(names.values())).tape, self.hyper, self.knobs)
        return GRAPH["mean"](value) if isinstance(self.row, Loss) else value

    @property
    def graph(self) -> Graph:
        shapes = {name: shape_of(value) for name, value in self.inputs.items()}
        return Graph.trace(lambda **names: self.record(self.row.formula, names), shapes)


def function_case(row: Formulated, given: Mapping[str, Any]) -> Case:
    """The numbers at which a row is shown, with the given settings."""
    hyper, knobs = settings(row, given)
    match row:
        case Activation(acts_on="vector"):
            found = Case(row, hyper, knobs, {"x": np.array(ROWS)}, ("x",), np.array(WEIGHTS))
            return replace(found, weights=found.weights[:, : found.graph.result.shape[-1]])
        case Activation():
            kinks = kinks_of(row, hyper, knobs)
            points = [*dict.fromkeys(one for one in (*row.points, *GRID, *FURTHER_POINTS) if one not in kinks)]
            x = np.array(sorted(points[: max(MOST_POINTS, len(row.points))]))
            return Case(row, hyper, knobs, {"x": x}, ("x",), np.ones(len(x)), tuple(kinks))
        case Regularizer():
            return Case(row, hyper, knobs, {"w": np.array(PREDICTIONS["real"])}, ("w",), np.array(1.0))
        case Loss():
            y, t = np.array(PREDICTIONS[row.prediction]), np.array(TARGETS[row.target])
            others = dict(zip(row.inputs, (np.array(TARGETS["real"]), np.array(FURTHER)), strict=False))
            return Case(row, hyper, knobs, {"y": y, **(others or {"t": t})}, ("y", *others), np.array(1.0))
    raise SpecError(f"{row.name} ({row.kind}) is no function that is differentiated")


def function_draft(row: Formulated, given: Mapping[str, Any], dialect: Dialect) -> Draft:
    """The standalone file of a function."""
    case = function_case(row, given)
    functions = core(case, dialect)
    numbers = {name.upper(): literal(value) for name, value in case.inputs.items()}
    vector = case.weights.shape and not np.all(case.weights == 1)
    numbers |= {"WEIGHTS": literal(case.weights)} if vector else {}
    weights = "WEIGHTS" if vector else f"np.ones({len(case.weights)})" if case.weights.shape else "1.0"
    output = "Prints one line for each array: its name, and its numbers with all their digits"
    output += "; `gradient/x` is that of the sum of the results" if case.weights.shape and not vector else ""
    output += "; `gradient/x` is that of the sum of the results times WEIGHTS" if vector else ""
    if case.left_out:
        output += f". Left out, since the slope there is a convention: {', '.join(f'{one:g}' for one in case.left_out)}"
    return Draft(
        f"{row.name} ({row.kind}) in {dialect.title}: value and gradient in float64.", said_of(row, given), dialect,
        functions, _main(case, functions, dialect, weights), numbers, about_output=f"{output}.",
    )  # fmt: skip


def core(case: Case, dialect: Dialect) -> list[Function]:
    """The function; where the framework does not differentiate, its gradients too, by crossnn's own rules."""
    name = own_name(case.row)
    functions = [dialect.function(case.graph, name)]
    if not dialect.differentiates:
        functions.append(dialect.function(gradient_graph(case.graph, case.wrt), f"{name}_gradients"))
    return functions


def gradient_graph(graph: Graph, wrt: tuple[str, ...]) -> Graph:
    """(g, *arguments) -> the gradients of sum(g*result) in the named arguments."""
    graph = simplify(graph)
    value = graph.result
    g = Node(value.tape, "input", shape=value.shape, name="g")
    found = gradients(value, [graph.arguments[name] for name in wrt], g)
    return Graph({"g": g, **graph.arguments}, tuple(found), tuple(value.tape))


def _main(case: Case, functions: list[Function], dialect: Dialect, weights: str) -> str:
    names = list(case.inputs)
    called, arguments = functions[0].name, ", ".join(names)
    wrt = ", ".join(case.wrt)
    if not dialect.differentiates:
        gradient = f"{functions[1].name}(g, {arguments})"
    elif names == list(case.wrt):
        gradient = f"gradients({called}, g, {wrt})"
    else:
        gradient = f"gradients(lambda {wrt}: {called}({arguments}), g, {wrt})"
    lines = [f"{name} = tensor({name.upper()})" for name in names]
    lines += [f'show("{name}", {name})' for name in names]
    lines += [f'show("value", {called}({arguments}))', f"g = tensor({weights})"]
    if len(case.wrt) == 1:
        lines += [f"(gradient,) = {gradient}", f'show("gradient/{wrt}", gradient)']
    else:
        lines += [f"for name, gradient in zip({json.dumps(case.wrt)}, {gradient}, strict=True):"]
        lines += ['    show(f"gradient/{name}", gradient)']
    return "\n".join(["def main():", *(f"    {line}" for line in lines)])
