"""A row in words: what it says, what it is printed as in a lecture, and, of an activation, what was measured."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crossnn.catalogue.build import needed_lines
from crossnn.catalogue.example import example
from crossnn.catalogue.layers import REST
from crossnn.catalogue.rows import (
    VARIABLES,
    Activation,
    Formulated,
    Layer,
    Loss,
    Network,
    Optimizer,
    Reduction,
    Row,
    Trained,
)
from crossnn.catalogue.validate import UPDATE
from crossnn.cli.trained import made_of
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


def section(title: str, body: str) -> str:
    """A title with indented lines."""
    return f"{title}\n" + "\n".join(f"  {line}".rstrip() for line in body.splitlines())


def describe(row: Row, hyper: Mapping[str, float] | None = None, knobs: Mapping[str, bool | str] | None = None) -> str:
    """Everything that the row says, with these settings, as LaTeX too, and what an activation is measured to be."""
    knobs = knobs or {}
    parts = [f"{row.name}  ({row.kind}, {row.file})"]
    details = [("source", row.source), *((key, value) for key, value in _settings(row, hyper or {}) if value)]
    if any(value for _, value in details):
        width = max(len(key) for key, _ in details)
        parts[0] += "\n" + "\n".join(f"  {key:<{width}}  {value}" for key, value in details if value)
    if isinstance(row, Formulated):
        texts = [("definition", row.definition), ("let", "\n".join(row.let)), ("formula", row.formula)]
        parts += [section(title, text) for title, text in [*texts, ("derivative, as claimed", row.derivative)] if text]
        if isinstance(row, Activation) and row.acts_on == "element":
            parts.append(section("measured, not typed", "\n".join(_measured(row, {**(hyper or {}), **knobs}))))
    elif isinstance(row, Optimizer):
        parts.append(section("update", "\n".join(row.update)))
    elif isinstance(row, Layer):
        lines = [
            ("let", row.let),
            (f"step, for each place of {row.over}", row.step),
            ("running statistics", row.update),
        ]
        parts += [section(title, "\n".join(text)) for title, text in lines if text]
        parts += [section(title, text) for title, text in row.texts()]
    elif isinstance(row, Network):
        parts.append(section("layers", "\n".join(_inline(layer) for layer in row.layers)))
    elif isinstance(row, Trained):
        parts.append(section("made of", "\n".join(made_of(row))))
    chosen = ", ".join(f"{name} = {value}".lower() for name, value in knobs.items())
    printed = latex_lines(row, knobs)
    title = f"LaTeX, with {chosen}" if chosen else "LaTeX"
    return "\n\n".join([*parts, *([section(title, "\n".join(printed))] if printed else [])])


def _measured(row: Activation, given: Mapping[str, Any]) -> Iterator[str]:
    from crossnn.cli.measured import table
    from crossnn.parity.properties import MeasureError, measure

    try:
        for title, text in table(measure(row, given)):
            yield f"{title:<10}  {text}"
    except MeasureError as error:
        yield f"nothing: {error}"


def _inline(table: Mapping[str, Any]) -> str:
    """`dense units = 10, kernel = he_normal`: what is meant first, then how."""
    first = next((key for key in ("layer", "use") if key in table), "")
    rest = ", ".join(f"{key} = {_plain(value)}" for key, value in table.items() if key != first)
    return f"{table.get(first, '')}  {rest}".strip()


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _settings(row: Row, hyper: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    params = row.options if isinstance(row, Layer) else {} if isinstance(row, Trained) else getattr(row, "params", {})
    yield "parameters", ", ".join(f"{name} = {_plain(hyper.get(name, value))}" for name, value in params.items())
    knobs: Mapping[str, Any] = getattr(row, "knobs", {})
    choices = {name: choice if isinstance(choice, list) else [choice, not choice] for name, choice in knobs.items()}
    yield "knobs", "; ".join(f"{name} = {' | '.join(map(str, all_)).lower()}" for name, all_ in choices.items())
    if isinstance(row, Optimizer):
        yield "state", ", ".join(f"{slot} from {start}" for slot, start in row.state.items())
    if isinstance(row, Network):
        yield "input", f"{_plain(row.input)} (one sample)"
    if isinstance(row, Layer):
        for title, slots in (("learned", row.params), ("kept", row.state)):
            yield title, ", ".join(f"{name} [{', '.join(one.shape)}]" for name, one in slots.items())
    if isinstance(row, Formulated) and row.kinks:
        yield "kinks", ", ".join(map(str, row.kinks))
    if isinstance(row, Loss):
        yield "inputs", "; ".join(f"{name} {domain}" for name, domain in _inputs(row).items())
        yield "ends", ", ".join(f"{end:g}" for end in row.ends)
        yield "reductions", "; ".join(["mean", *map(_reduction, row.reductions)])


def _inputs(row: Loss) -> dict[str, str]:
    return {"y": row.prediction, **(row.inputs or {"t": row.target})}


def _reduction(one: Reduction) -> str:
    weights = f" with weights of each {one.weights}" if one.weights else ""
    return one.by + weights + (" of no samples" if one.samples == 0 else "")


def latex_lines(row: Row, knobs: Mapping[str, bool | str]) -> list[str]:
    """The row as a lecture prints it, in the conventions that `knobs` choose."""
    notation = Notation(row_symbols(row), _axes(row))
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
