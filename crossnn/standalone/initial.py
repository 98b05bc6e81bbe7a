"""The numbers from which a training starts, as code: few as they are, many by the draws that crossnn makes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossnn.catalogue.build import formula_graph
from crossnn.catalogue.network import Assembly
from crossnn.catalogue.rows import Initializer
from crossnn.errors import FormulaError, SpecError
from crossnn.experiment.rule import Rule
from crossnn.formula.grammar import parse
from crossnn.formula.shapes import Shape
from crossnn.standalone.dialect import Function, dialect, own_name
from crossnn.standalone.draft import literal, quoted
from crossnn.standalone.library import names_in

FEW = 64
"""So many numbers of a network are written down; more are drawn."""
DRAWS = {"u": "uniform_numbers", "z": "normal_numbers"}
ORTHOGONAL = "gain*orthonormal(m)"


@dataclass(frozen=True)
class Initial:
    """The text of `initial_parameters()`, and the generated functions that it calls."""

    text: str
    functions: tuple[Function, ...]


def initial_parameters_text(plan: Assembly, params: Mapping[str, np.ndarray]) -> Initial:
    """The parameters before the first step; `params` are the numbers themselves."""
    few = sum(one.size for one in params.values()) <= FEW
    functions: dict[str, Function] = {}
    lines = []
    for name, value in params.items():
        text = _constant(value) or (_array(value, 8) if few or name in plan.fixed else "")
        if not text:
            text = _drawn(plan.initializers[name], value.shape, name, functions)
        lines.append(f"        {quoted(name)}: {text},")
    said = "As crossnn draws them, from the seed and the name of each." if functions else "As crossnn draws them."
    head = ["def initial_parameters():", f'    """{said}"""', "    return {"]
    return Initial("\n".join([*head, *lines, "    }"]), tuple(functions.values()))


def _array(value: np.ndarray, indent: int) -> str:
    return f"np.array({literal(value, indent)})"


def _constant(value: np.ndarray) -> str:
    """An array of one number, if it is one that repeats."""
    if not value.size or not np.all(value == value.flat[0]):
        return ""
    number = float(value.flat[0])
    plain = {0.0: f"np.zeros({value.shape})", 1.0: f"np.ones({value.shape})"}
    return plain.get(number, f"np.full({value.shape}, {number!r})" if value.size > 1 else "")


def _drawn(row: Initializer, shape: Shape, name: str, functions: dict[str, Function]) -> str:
    """The call that draws a parameter; its initializer is generated like any formula, for NumPy."""
    if row.formula == ORTHOGONAL:
        gain = row.params["gain"]
        return f"orthonormal_numbers({quoted(name)}, {shape})" + (f" * {gain!r}" if gain != 1 else "")
    used = parse(row.formula).names.union(*(line.names for line in row.lets()))
    shapes: dict[str, Shape] = {draw: shape for draw in DRAWS if draw in used}
    shapes.update({fan: () for fan in ("fan_in", "fan_out") if fan in used})
    try:
        found = dialect("numpy").function(formula_graph(row, shapes), own_name(row))
    except FormulaError as error:  # it is drawn from other numbers than those
        raise SpecError(
            f"standalone code: initializer {row.name!r} ({row.formula}) cannot be written: {error}"
        ) from None
    if names_in(found.text) - {"np", *found.constants}:
        raise SpecError(f"standalone code: initializer {row.name!r} ({row.formula}) needs more than NumPy has")
    functions[row.name] = found
    size = math.prod(shape[:-2]) if len(shape) > 2 else 1
    fans = {"fan_in": shape[-2] * size if len(shape) > 1 else shape[0], "fan_out": shape[-1] * size}
    arguments = [f"{float(fans[one])}" if one in fans else f"{DRAWS[one]}({quoted(name)}, {shape})" for one in shapes]
    return f"{found.name}({', '.join(arguments)})"


def initial_state_lines(rule: Rule, params: Mapping[str, np.ndarray]) -> list[str]:
    """`state = ...`: the optimizer's state before the first step, of `start`, the parameters as arrays."""
    row, found = rule.optimizer.row, rule.start(params)
    slots = []
    for slot, begin in row.state.items():
        if slot in row.reduced:
            each = {name: _constant(value) or f"np.array({value.tolist()!r})" for name, value in found[slot].items()}
            slots += [f'"{slot}": {{', *(f"    {quoted(name)}: tensor({value})," for name, value in each.items()), "},"]
            continue
        number = rule.optimizer.hyper[begin] if isinstance(begin, str) and begin != "w" else begin
        value = "w" if begin == "w" else "np.zeros(w.shape)" if number == 0 else f"np.full(w.shape, {float(number)!r})"
        slots.append(f'"{slot}": {{name: tensor({value}) for name, w in start.items()}},')
    return ["state = {", *(f"    {line}" for line in slots), "}"] if slots else ["state = {}"]
