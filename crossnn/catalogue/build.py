"""From a row to a graph: what each kind of specification means.

Knobs are decided and hyper-parameters become named constants here, before anything runs. Every function returns a
recorded `Graph`; which backend computes it, or whether it is differentiated or printed, is not known here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from crossnn.catalogue.rows import Formulated, Layer, Loss, Optimizer, Row
from crossnn.errors import SpecError, UnknownNameError, choices, unknown
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import Knobs, parse
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
    hyper: dict[str, float] = {name: value for name, value in source.items() if isinstance(value, int | float)}
    knobs = default_knobs(row)
    allowed: Mapping[str, Any] = getattr(row, "knobs", {})
    for name, value in given.items():
        if name in knobs:
            choice = allowed[name] if isinstance(allowed[name], list) else [False, True]
            if value not in choice:
                raise SpecError(f"{row.name}: knob {name} = {value!r}; allowed: {choices(map(str, choice))}")
            knobs[name] = value
        elif name in hyper:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise SpecError(f"{row.name}: {name} must be a number, got {value!r}")
            hyper[name] = value
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
    formula = parse(text)
    needed = formula.names
    for line in row.lets() if needed & {line.target for line in row.lets()} else []:
        assert line.target is not None
        scope[line.target] = record(line, scope, tape, knobs)
        if not scope[line.target].name and scope[line.target].operation != "constant":
            scope[line.target].name = line.target
    if "f" in needed and "f" not in scope and text != row.formula:
        scope["f"] = record_row(row, row.formula, names, tape, hyper, knobs)
    return record(formula, scope, tape, knobs)


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


def batch_loss(row: Loss, y: Node, t: Node, hyper: Hyper, knobs: Knobs) -> Node:
    """The loss of a batch: the mean over everything that the formula returns."""
    return GRAPH["mean"](record_row(row, row.formula, {"y": y, "t": t}, y.tape, hyper, knobs))


def record_update(
    row: Optimizer, names: Mapping[str, Node], tape: list[Node], hyper: Hyper, knobs: Knobs, prefix: str = ""
) -> tuple[Node, dict[str, Node]]:
    """One update of one parameter: the new w and the new state slots. Each line's result keeps its name, behind the
    parameter's where there are several."""
    scope = {**constants(tape, {k: v for k, v in hyper.items() if k != "lr"}), **names}
    for line in row.lines():
        assert line.target is not None
        scope[line.target] = value = record(line, scope, tape, knobs)
        if not value.name and value.operation not in ("constant", "input"):
            value.name = f"{prefix}.{line.target}" if prefix else line.target
    return scope["w"], {slot: scope[slot] for slot in row.state}


def update_graph(row: Optimizer, shapes: Mapping[str, Shape], hyper: Hyper, knobs: Knobs) -> Graph:
    """update(params, gradients, state, lr, t) -> (params, state) for parameters of these shapes."""

    def update(params: Any, gradients: Any, state: Any, lr: Node, t: Node) -> Any:
        new_params: dict[str, Node] = {}
        new_state: dict[str, dict[str, Node]] = {slot: {} for slot in row.state}
        for name, w in params.items():
            slots = {slot: state[slot][name] for slot in row.state}
            scope = {"w": w, "g": gradients[name], "lr": lr, "t": t, **slots}
            new_params[name], changed = record_update(
                row, scope, w.tape, hyper, knobs, "" if len(params) == 1 else name
            )
            for slot, value in changed.items():
                new_state[slot][name] = value
        return new_params, new_state

    slots = {slot: dict(shapes) for slot in row.state}
    arguments = {"params": dict(shapes), "gradients": dict(shapes), "state": slots, "lr": (), "t": ()}
    return Graph.trace(update, arguments)


def initial_state(row: Optimizer, hyper: Hyper) -> dict[str, float]:
    """The value that fills each state slot before the first step."""
    values: dict[str, float] = {}
    for slot, start in row.state.items():
        if isinstance(start, str) and start not in hyper:
            raise SpecError(f"{row.name}: state {slot} starts as {start!r}; known parameters: {choices(hyper)}")
        values[slot] = hyper[start] if isinstance(start, str) else start
    return values


def constant_value(text: str, hyper: Hyper) -> float:
    """The value of a formula of hyper-parameters alone, such as `1 - rate`."""

    def function(anchor: Node) -> Node:
        return record(parse(text), constants(anchor.tape, hyper), anchor.tape)

    graph = Graph.trace(function, {"anchor": ()})
    return float(evaluate(graph, NUMPY, {"anchor": 0.0}, lambda node: node.options["value"]))
