"""The formulas of a row, parsed once when it is read: each is a formula, and together they leave nothing out.

Raises FormulaError naming the key. Rows that come with crossnn are checked by its tests, since listing them would take
twice as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crossnn.catalogue.rows import Optimizer, Row
from crossnn.errors import FormulaError, choices
from crossnn.formula.grammar import Formula, conditions, parse, parse_assignment


def check_formulas(row: Row) -> None:
    """Refuse what is no formula, a line that nothing uses, a choice that a knob does not have, and an
    optimizer that learns nothing."""
    texts = {key: _named(key, parse, text) for key, text in row.texts()}
    lines = {
        f"{key} line {number}": _named(f"{key} line {number}", parse_assignment, line)
        for key in ("let", "update", "step")
        for number, line in enumerate(getattr(row, key, []), 1)
    }
    for key, formula in {**texts, **lines}.items():
        _check_choices(key, formula, getattr(row, "knobs", {}))
    _check_lets(lines, [*texts.values(), *(line for key, line in lines.items() if not key.startswith("let"))], row)
    if isinstance(row, Optimizer):
        if "lr" not in row.params:
            raise FormulaError("params: an optimizer needs lr, its learning rate")
        if "w" not in {line.target for line in row.lines()}:
            raise FormulaError("update: no line assigns w, so nothing would be learned")


def _named(key: str, reader: Callable[[str], Formula], text: str) -> Formula:
    try:
        return reader(text)
    except FormulaError as error:
        raise FormulaError(f"{key}: {error}") from None


def _check_choices(key: str, formula: Formula, knobs: Mapping[str, Any]) -> None:
    """A choice that is misspelt would never be taken, and nobody would see."""
    for name, choice in conditions(formula):
        allowed = knobs.get(name)
        if isinstance(allowed, list) and choice not in allowed:
            what = f"{name} == {choice!r}" if choice is not None else f"{name} alone"
            raise FormulaError(f"{key}: {what} is never or always true; {name} is one of {choices(allowed)}")
        if isinstance(allowed, bool) and choice is not None:
            raise FormulaError(f"{key}: {name} == {choice!r}: this knob is true or false; write {name} or not {name}")


def _check_lets(lines: Mapping[str, Formula], users: Sequence[Formula], row: Row) -> None:
    wanted = set[str]().union(*(formula.names for formula in users), {getattr(row, "over", "")})
    for key, line in reversed([*lines.items()]):
        if key.startswith("let"):
            if line.target not in wanted:
                raise FormulaError(f"{key}: nothing uses {line.target!r}; take the line out, or correct its name")
            wanted |= line.names
