"""All mutants of a row: every operator on every part of its formulas, and changes of whole rows.

What a mutant says twice is left out: its definition and its claimed derivative, for the truth is that of the original.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import msgspec
import numpy as np

from crossnn.catalogue.rows import VARIABLES, Formulated, Layer, Loss, Network, Optimizer, Row, Schedule, Trained
from crossnn.errors import CrossnnError
from crossnn.formula.grammar import Formula, parse, parse_assignment
from crossnn.parity.inputs import generator_for
from crossnn.power.exchanged import exchanged
from crossnn.power.operators import OPERATORS, ROUNDED
from crossnn.power.site import Scope, cut, flows, sites

DIFFERENTIATED = ("activation", "loss", "regularizer")
"""Kinds of one formula whose gradients are judged."""


@dataclass(frozen=True)
class Mutant:
    """A changed row: by which operator, where, what stood there and what stands there now."""

    operator: str
    place: str
    original: str
    mutant: str
    row: Row

    @property
    def rounds(self) -> bool:
        """Whether it differs in rounding alone, by construction."""
        return self.mutant.endswith(ROUNDED)


@dataclass(frozen=True)
class Place:
    """A formula of a row: its key, and its line where the key has several."""

    key: str
    line: int | None
    text: str

    @property
    def formula(self) -> Formula:
        return parse(self.text) if self.line is None else parse_assignment(self.text)

    def put(self, row: Row, text: str) -> Row:
        """The row with another text here."""
        if self.line is None:
            return msgspec.structs.replace(row, **{self.key: text})
        lines = list(getattr(row, self.key))
        lines[self.line] = text
        return msgspec.structs.replace(row, **{self.key: lines})

    def __str__(self) -> str:
        return self.key if self.line is None else f"{self.key}[{self.line}]"


def mutants(row: Row, most: int | None = None) -> list[Mutant]:
    """The mutants of a row, in the order of its formulas; with `most`, so many of them, drawn by the row's name, and
    of each operator about as many as of the others."""
    found: dict[Any, Mutant] = {}
    for one in _all(_alone(row)):
        found.setdefault((msgspec.json.encode(one.row)), one)
    found.pop(msgspec.json.encode(_alone(row)), None)
    every = list(found.values())
    return drawn(row, every, most)


def can_be_mutated(row: Row) -> bool:
    """Rows of formulas, networks, and what is trained for a step or more."""
    if isinstance(row, Trained):
        return bool(getattr(row, "epochs", 1))
    return isinstance(row, Formulated | Layer | Optimizer | Network)


def _alone(row: Row) -> Row:
    """The row without what it says twice."""
    return msgspec.structs.replace(row, definition="", derivative="") if isinstance(row, Formulated) else row


def _all(row: Row) -> Iterator[Mutant]:
    for kind, where, original, mutant, changed in exchanged(row):
        yield Mutant(kind, where, original, mutant, changed)
    scope = _scope(row)
    apart = replace(scope, smooth=frozenset())  # what is not differentiated: running statistics
    for place in places(row):
        formula = place.formula
        head = "" if formula.target is None else f"{formula.target} = "
        for site in sites(formula, apart if place.key == "update" else scope):
            for name, operator in OPERATORS.items():
                for new in operator(site):
                    text = head + site.changed(new)
                    try:
                        parse_assignment(text) if head else parse(text)
                    except CrossnnError:  # what is no formula is no mutant
                        continue
                    yield Mutant(name, f"{place} at {site.span[0]}", site.original, new, place.put(row, text))


class HasOperator(Protocol):
    """A mutant of any kind."""

    @property
    def operator(self) -> str: ...


One = TypeVar("One", bound=HasOperator)


def drawn(row: Row, every: Sequence[One], most: int | None) -> list[One]:
    """So many mutants of a row, of each operator about as many as of the others; all without `most`."""
    if most is None or len(every) <= most:
        return list(every)
    generator = generator_for("mutants", row.name)
    order = generator.permutation(len(every))
    turns: dict[str, int] = {}
    ranked = []
    for index in order:
        operator = every[index].operator
        turns[operator] = turns.get(operator, 0) + 1
        ranked.append((turns[operator], int(index)))
    kept = sorted(ranked, key=lambda one: one[0])[:most]
    return [every[index] for index in sorted(index for _, index in kept)]


def places(row: Row) -> list[Place]:
    """Every formula that is judged; lines that only a definition or a derivative needs are not."""
    match row:
        case Formulated():
            return [*_lines("let", row.let, parse(row.formula).names), Place("formula", None, row.formula)]
        case Layer():
            ends = [row.formula, *([row.inference] if row.inference else [])]
            names = set().union(*(parse(text).names for text in ends))
            names |= set().union(*(parse_assignment(line).names for line in (*row.update, *row.step)), {row.over})
            last = [Place("inference", None, row.inference)] if row.inference else []
            return [
                *_lines("let", row.let, names), *_lines("step", row.step), *_lines("update", row.update),
                Place("formula", None, row.formula), *last,
            ]  # fmt: skip
        case Optimizer():
            return _lines("update", row.update)
    return []


def _lines(key: str, lines: Sequence[str], wanted: Any = None) -> list[Place]:
    """The lines under a key; with `wanted`, those on which these names depend."""
    found: list[Place] = []
    names = set(wanted or ())
    for number, text in reversed(list(enumerate(lines))):
        line = parse_assignment(text)
        if wanted is None or line.target in names:
            found.insert(0, Place(key, number, text))
            names |= line.names
    return found


def _scope(row: Row) -> Scope:
    """What the formulas of a row may name."""
    formulas = [place.formula for place in places(row)]
    targets = [one.target for one in formulas if one.target]
    calls = [node for one in formulas for node in ast.walk(one.tree) if isinstance(node, ast.Call)]
    parts = tuple(dict.fromkeys(cut(node) for node in calls if ast.unparse(node.func) == "slice"))
    match row:
        case Layer():
            numbers = {key: value for key, value in row.options.items() if isinstance(value, int | float)}
            names = [*row.inputs, *row.params, *row.state, *row.draws, *row.carry, *targets]
            values = [name for name in names if name not in row.domains]
            sources = [*(name for name in row.inputs if name not in row.domains), *row.params]
            return Scope(numbers, tuple(dict.fromkeys(values)), (), parts, _smooth(sources, formulas))
        case Optimizer():
            return Scope(row.params, tuple(dict.fromkeys(["w", "g", *row.state, *targets])), ("t",), parts)
        case Formulated():
            names = ["y", *row.inputs] if isinstance(row, Loss) and row.inputs else [*VARIABLES[row.kind]]
            counts = VARIABLES["schedule"] if isinstance(row, Schedule) else ()
            used = set().union(*(one.names for one in formulas))
            values = [name for name in (*names, *targets) if name in used]
            sources = [name for name in names if name != "t"] if row.kind in DIFFERENTIATED else []
            return Scope(row.params, tuple(dict.fromkeys(values)), counts, parts, _smooth(sources, formulas))
    return Scope({})


def _smooth(sources: Sequence[str], formulas: Sequence[Formula]) -> frozenset[str]:
    """The names that depend on what is differentiated; a step may use what a later line of it computes."""
    found = set(sources)
    for _ in range(2):
        found |= {one.target for one in formulas if one.target and flows(one.tree, frozenset(found))}
    return frozenset(found)


def drawn_params(row: Formulated | Optimizer, generator: np.random.Generator) -> dict[str, float]:
    """Other hyper-parameters: what is between 0 and 1 stays there, 0 is left, whole numbers
    from 2 on stay as they are."""
    moved = {}
    for name, value in row.params.items():
        factor = float(generator.uniform(0.6, 1.7))
        if 0 < value < 1:
            moved[name] = float(value**factor)
        elif value == 0:
            moved[name] = 0.1 * factor
        elif abs(value) >= 2 and float(value).is_integer():
            moved[name] = value
        else:
            moved[name] = value * factor
    return moved
