"""From a row to a graph: what each kind of specification means.

Knobs are decided and hyper-parameters become named constants here, before anything runs. Every function returns a
recorded `Graph`; which backend computes it, or whether it is differentiated or printed, is not known here.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.rows import Formulated, Layer, Loss, Row
from crossnn.errors import SpecError, UnknownNameError, choices, unknown
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import Formula, Knobs, knob_condition, parse
from crossnn.formula.graph import GRAPH, Graph, Node, constant, record
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.shapes import Shape

Hyper = Mapping[str, float]


def default_knobs(row: Row) -> dict[str, bool | str]:
    """Each knob at its default: a boolean as written, the first of a list."""
    knobs: Mapping[str, Any] = getattr(row, "knobs", {})
    return {name: choice[0] if isinstance(choice, list) else choice for name, choice in knobs.items()}


def knob_choices(row: Row) -> Iterator[dict[str, bool | str]]:
    """Every combination of conventions, the default one first."""
    knobs: Mapping[str, Any] = getattr(row, "knobs", {})
    options = [choice if isinstance(choice, list) else [choice, not choice] for choice in knobs.values()]
    for combination in itertools.product(*options):
        yield dict(zip(knobs, combination, strict=True))


def settings(row: Row, given: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, bool | str]]:
    """Hyper-parameters and knobs of a row with the `given` ones set; refuses names and values that do not exist."""
    source = row.options if isinstance(row, Layer) else getattr(row, "params", {})
    hyper: dict[str, Any] = {name: value for name, value in source.items() if isinstance(value, int | float | list)}
    knobs = default_knobs(row)
    allowed: Mapping[str, Any] = getattr(row, "knobs", {})
    for name, value in given.items():
        if name in knobs:
            choice = allowed[name] if isinstance(allowed[name], list) else [False, True]
            if value not in choice:
                raise SpecError(f"{row.name}: knob {name} = {value!r}; allowed: {choices(map(str, choice))}")
            knobs[name] = value
        elif name in hyper:
            several = isinstance(hyper[name], list) and isinstance(value, list)
            if isinstance(value, bool) or not (isinstance(value, int | float) or several):
                wanted = "a whole number or a list of them" if isinstance(hyper[name], list) else "a number"
                raise SpecError(f"{row.name}: {name} must be {wanted}, got {value!r}")
            hyper[name] = float(value) if isinstance(value, float) else value  # a number of NumPy's has another text
        else:
            raise UnknownNameError(unknown(f"setting of {row.name}", name, [*hyper, *knobs]))
    return hyper, knobs


def constants(tape: list[Node], hyper: Hyper) -> dict[str, Node]:
    """Hyper-parameters as named constants: the exact binary value that every framework receives."""
    return {name: constant(tape, value, name=name) for name, value in hyper.items()}


def record_row(
    row: Formulated, text: str, names: Mapping[str, Node], tape: list[Node], hyper: Hyper, knobs: Knobs
) -> Node:
    """Record one formula of a row (its formula, definition or derivative) with `let` lines before it."""
    scope = {**constants(tape, hyper), **names}
    statics = statics_of_variable(next(iter(names.values())).shape, knobs)
    formula = parse(text)
    needed = formula.names
    for line in row.lets() if needed & {line.target for line in row.lets()} else []:
        assert line.target is not None
        scope[line.target] = record(line, scope, tape, knobs, statics)
        if not scope[line.target].name and scope[line.target].operation != "constant":
            scope[line.target].name = line.target
    if "f" in needed and "f" not in scope and text != row.formula:
        scope["f"] = record_row(row, row.formula, names, tape, hyper, knobs)
    return record(formula, scope, tape, knobs, statics)


def statics_of_variable(shape: Shape, knobs: Knobs) -> dict[str, Any]:
    """What names in options stand for: the shape of the first variable, its axes but the last, its last length."""
    found = {"shape": shape, "leading": tuple(range(len(shape) - 1)), **knobs}
    return {**found, "features": shape[-1]} if shape else found


def formula_graph(
    row: Formulated,
    shapes: Mapping[str, Shape],
    hyper: Hyper | None = None,
    knobs: Knobs | None = None,
    text: str | None = None,
) -> Graph:
    """The formula (or another `text` of the row) as a function of the variables named in `shapes`."""
    chosen = default_knobs(row) if knobs is None else knobs
    values = settings(row, {})[0] if hyper is None else hyper

    def function(**names: Node) -> Node:
        tape = next(iter(names.values())).tape
        return record_row(row, text or row.formula, names, tape, values, chosen)

    return Graph.trace(function, shapes)


def needed_lines(row: Formulated, knobs: Knobs) -> list[Formula]:
    """The `let` lines on which the formulas of a row depend in these conventions."""
    wanted = set[str]().union(*(_chosen_names(parse(text), knobs) for _, text in row.texts()))
    kept: list[Formula] = []
    for line in reversed(row.lets()):
        if line.target in wanted:
            kept.insert(0, line)
            wanted |= _chosen_names(line, knobs)
    return kept


def used_params(row: Formulated, knobs: Knobs) -> set[str]:
    """The hyper-parameters that make a difference in these conventions."""
    texts = [parse(text) for _, text in row.texts()]
    names = set[str]().union(*(_chosen_names(one, knobs) for one in (*texts, *needed_lines(row, knobs))))
    return names & row.params.keys()


def _chosen_names(formula: Formula, knobs: Knobs) -> set[str]:
    """The names in a formula, without the branches that the knobs leave out."""
    pending: list[ast.AST] = [formula.tree]
    found = set()
    while pending:
        node = pending.pop()
        if isinstance(node, ast.IfExp):
            pending.append(node.body if knob_condition(formula.text, node.test, knobs) else node.orelse)
        elif isinstance(node, ast.Name):
            found.add(node.id)
        else:
            pending += ast.iter_child_nodes(node)
    return found


def kinks_of(row: Formulated, hyper: Hyper, knobs: Knobs) -> list[float]:
    """The kinks as numbers: a text is a formula of hyper-parameters and knobs, such as `-theta`."""
    found = [constant_value(kink, hyper, knobs) if isinstance(kink, str) else kink for kink in row.kinks]
    for text, kink in zip(row.kinks, found, strict=True):
        if not math.isfinite(kink):
            raise SpecError(f"kinks: {text!r} is {kink} with {hyper}; a kink is a finite number")
    return found


def batch_loss(row: Loss, y: Node, t: Node, hyper: Hyper, knobs: Knobs) -> Node:
    """The loss of a batch: the mean over everything that the formula returns."""
    return GRAPH["mean"](record_row(row, row.formula, {"y": y, "t": t}, y.tape, hyper, knobs))


def constant_value(text: str, hyper: Hyper, knobs: Knobs | None = None) -> float:
    """The value of a formula of hyper-parameters and knobs alone, such as `1 - rate`."""

    def function(anchor: Node) -> Node:
        return record(parse(text), constants(anchor.tape, hyper), anchor.tape, knobs)

    graph = Graph.trace(function, {"anchor": ()})
    with np.errstate(all="ignore"):
        return float(evaluate(graph, NUMPY, {"anchor": 0.0}, lambda node: np.float64(node.options["value"])))
