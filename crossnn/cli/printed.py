"""A row as a lecture prints it: its lines in LaTeX, with a symbol for every name and names for the axes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from crossnn.catalogue.build import needed_lines
from crossnn.catalogue.example import example
from crossnn.catalogue.layers import REST
from crossnn.catalogue.rows import VARIABLES, Formulated, Layer, Loss, Optimizer, Row
from crossnn.catalogue.validate import UPDATE
from crossnn.formula.axes import Axes
from crossnn.formula.grammar import parse_assignment
from crossnn.formula.latex import Notation, distinct_symbols, latex
from crossnn.formula.primitives import CONSTANTS

_FUNCTIONS = {"activation": "f", "loss": "\\ell", "metric": "m", "regularizer": "R", "schedule": "\\eta_{t}"}
"""What the value of a row is called, where it has a name of its own; elsewhere it is what becomes of a variable."""
_HEADS = {"schedule": "\\eta_{t} =", "constraint": "w \\leftarrow", "initializer": "w =", "clipping": "g \\leftarrow"}
_SLOPES = {
    "activation": "f'(x)",
    "loss": "\\frac{\\partial \\ell}{\\partial y}",
    "regularizer": "\\frac{\\partial R}{\\partial w}",
}
_COUNT = "n"
"""How many numbers are averaged in the loss of a batch."""


def latex_lines(row: Row, knobs: Mapping[str, bool | str]) -> list[str]:
    """The row as a lecture prints it, in the conventions that `knobs` choose."""
    steps = isinstance(row, Layer) and bool(row.step)
    notation = Notation(row_symbols(row), _axes(row), elementwise="\\odot" if steps else "")
    if isinstance(row, Formulated):
        lines = [latex(line, knobs, notation).replace("\\leftarrow", "=", 1) for line in needed_lines(row, knobs)]
        texts = dict.fromkeys(latex(text, knobs, notation) for text in (row.definition, row.formula) if text)
        lines.append(f"{_head(row, notation)} {' = '.join(texts)}")
        if row.derivative and row.kind in _SLOPES:
            lines.append(_slope(row, knobs, notation))
        return lines
    if isinstance(row, Optimizer):
        lines = [latex(line, knobs, notation) for line in row.lines()]
        return [line for line in lines if len(set(line.split(" \\leftarrow "))) > 1]  # x = x: another convention's line
    if isinstance(row, Layer):
        name = row.name.replace("_", "\\_")
        inputs = ", ".join(map(notation.symbol, row.inputs))
        before = [latex(parse_assignment(line), knobs, notation) for line in row.let]
        notation.axes.pop(row.over if row.step else "", None)  # a step sees one place of it
        before += [latex(parse_assignment(line), knobs, notation) for line in row.step]
        return [*before, f"\\operatorname{{{name}}}\\left({inputs}\\right) = {latex(row.formula, knobs, notation)}"]
    return []


def _head(row: Formulated, notation: Notation) -> str:
    """`f(x) =`, with the arguments that the row has."""
    if row.kind in _HEADS:
        return _HEADS[row.kind]
    return f"{_FUNCTIONS[row.kind]}({', '.join(map(notation.symbol, _variables(row)))}) ="


def _slope(row: Formulated, knobs: Mapping[str, bool | str], notation: Notation) -> str:
    """The claimed derivative. That of a loss leaves out the 1/n of the batch's mean (parity/proof.py): so it is the
    slope of one sample's loss, and n times the slope where the formula itself takes the mean."""
    slope = f"{_SLOPES[row.kind]} = {latex(row.derivative, knobs, notation)}"
    if not _averages(row, knobs):
        return slope
    counted = "\\text{number of samples}" if row.acts_on == "vector" else "\\text{number of elements of } y"
    return f"{_COUNT} \\, {slope}, \\quad {_COUNT} = {counted}"


def _averages(row: Row, knobs: Mapping[str, bool | str]) -> bool:
    """Whether the formula of a loss makes one number of the batch, instead of one a sample."""
    return isinstance(row, Loss) and example(row, knobs).graph.result.shape == ()


def row_symbols(row: Row) -> dict[str, str]:
    """What each name of the row is printed as, first come, first served. `f` is the value of the row."""
    names = list(_names(row))
    taken = [_FUNCTIONS[row.kind]] if row.kind in _FUNCTIONS else []
    if isinstance(row, Loss) and row.derivative and _averages(row, {}):
        taken.append(_COUNT)
    symbols = distinct_symbols(names, taken)
    if "f" not in symbols and taken:
        symbols["f"] = taken[0]
    return symbols


def _variables(row: Formulated) -> tuple[str, ...]:
    first, *rest = VARIABLES[row.kind]
    return (first, *(row.inputs if isinstance(row, Loss) and row.inputs else rest))


def _names(row: Row) -> Iterator[str]:
    """Every name in the formulas of a row: what it is given, what it is set to, what it computes."""
    match row:
        case Formulated():
            yield from (*_variables(row), *row.params, *(str(line.target) for line in row.lets()), "features")
        case Optimizer():
            yield from (*UPDATE, *row.params, *row.state, *(str(line.target) for line in row.lines()))
            yield from ("rows", "columns") if row.acts_on == "matrix" else ()
        case Layer():
            yield from (*row.inputs, *row.options, *row.params, *row.state, *row.draws)
            yield from (str(parse_assignment(line).target) for line in (*row.let, *row.step))
            yield from ("sequence", *_axes(row))
    yield from CONSTANTS


def _axes(row: Row) -> dict[str, Axes]:
    """What the axes of inputs and parameters are called, as far as the row says it."""
    found: dict[str, Axes] = {}
    if isinstance(row, Optimizer) and row.acts_on == "matrix":
        found |= dict.fromkeys((*row.params, "lr", "t", "rows", "columns"), ())
        found |= dict.fromkeys(("w", "g", *row.state), ("rows", "columns"))
        found |= {slot: () for slot, axis in row.reduced.items() if axis == "all"}
    if isinstance(row, Layer):
        several = {name for name, value in row.options.items() if isinstance(value, list)}
        patterns = row.input if isinstance(row.input, dict) else dict.fromkeys(row.inputs, row.input or ["batch", REST])
        inputs = {name: tuple(one if one.isidentifier() or one == REST else "" for one in pattern)
                  for name, pattern in patterns.items()}  # fmt: skip
        found |= {name: () for pattern in inputs.values() for name in pattern if name.isidentifier()}
        found |= {name: () for name in row.options if name not in several}
        found["shape"] = inputs[row.inputs[0]]
        for name in row.draws:
            shape = row.law(name).shape
            found[name] = _named(shape, several) if shape else found["shape"]
        found |= {name: _named(slot.shape, several) for name, slot in {**row.params, **row.state}.items()} | inputs
    return found


def _named(shape: Sequence[str], several: set[str]) -> Axes:
    """The axes of a parameter: not known where a name stands for several lengths."""
    if several & set(re.findall(r"[A-Za-z]\w*", " ".join(shape))):
        return None
    return tuple("" if length.isdigit() else length for length in shape)
