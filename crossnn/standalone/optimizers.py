"""Standalone files of optimizers: the update of one parameter, and eight steps with gradients that are written down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.build import settings
from crossnn.catalogue.rows import Optimizer
from crossnn.catalogue.updates import initial_state, record_update, slot_shape
from crossnn.formula.graph import Graph, Node
from crossnn.formula.shapes import Shape
from crossnn.standalone.dialect import Dialect, Function, own_name
from crossnn.standalone.draft import Draft, literal
from crossnn.standalone.said import said_of

STEPS = 8


def start(row: Optimizer) -> np.ndarray:
    """The parameter before the first step: a matrix where the optimizer sees one."""
    return np.array([[0.5, -1.25, 2.0], [1.5, -0.75, 0.25]] if row.acts_on == "matrix" else [0.5, -1.25, 2.0])


def step_gradients(row: Optimizer) -> np.ndarray:
    """A gradient for every step: signs change, sizes differ, and some are zero."""
    shape = (STEPS, *start(row).shape)
    return np.reshape(np.arange(np.prod(shape)) * 7 % 17 - 8, shape) / 8.0


def update_function(
    row: Optimizer, shape: Shape, hyper: Mapping[str, float], knobs: Mapping[str, Any], dialect: Dialect
) -> Function:
    """(w, g, lr, t, *state) -> the new w and state by name, for one parameter of this shape."""

    def function(w: Node, g: Node, lr: Node, t: Node, **slots: Node) -> dict[str, Node]:
        new, state = record_update(row, {"w": w, "g": g, "lr": lr, "t": t, **slots}, w.tape, hyper, knobs)
        return {"w": new, **state}

    slots = {slot: slot_shape(row, slot, shape) for slot in row.state}
    arguments: dict[str, Shape] = {"w": shape, "g": shape, "lr": (), "t": (), **slots}
    return dialect.function(Graph.trace(function, arguments), own_name(row))


def optimizer_draft(row: Optimizer, given: Mapping[str, Any], dialect: Dialect) -> Draft:
    """The standalone file of an optimizer."""
    hyper, knobs = settings(row, given)
    w = start(row)
    update = update_function(row, w.shape, hyper, knobs, dialect)
    state = {slot: tree["w"] for slot, tree in initial_state(row, hyper, {"w": w}).items()}
    numbers = {"LR": repr(float(hyper["lr"])), "W": literal(w), "GRADIENTS": literal(step_gradients(row))}
    slots = ", ".join(f'"{slot}": tensor({literal(value)})' for slot, value in state.items())
    rest = ", *state.values()" if state else ""
    lines = [
        "w = tensor(W)",
        *([f"state = {{{slots}}}"] if state else []),
        "for t, g in enumerate(GRADIENTS, 1):",
        f"    found = {update.name}(w, tensor(g), tensor(LR), tensor(float(t)){rest})",
        '    w = found["w"]',
        *(["    state = {slot: found[slot] for slot in state}"] if state else []),
        "    for name, value in found.items():",
        '        show(f"{name}@{t}", value)',
    ]
    return Draft(
        f"{row.name} ({row.kind}) in {dialect.title}: {STEPS} steps in float64.", said_of(row, given), dialect,
        [update], "\n".join(["def main():", *(f"    {line}" for line in lines)]), numbers,
        about_output="Prints the parameter and the state after each step, one line each: `w@3`, and its numbers with "
        "all their digits.",
    )  # fmt: skip
