"""The lines of a row in one convention: branches that the knobs leave out are gone, and lines that do nothing."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from typing import Any

from crossnn.catalogue.build import needed_lines
from crossnn.catalogue.rows import Formulated, Optimizer, Row
from crossnn.formula.grammar import Formula, knob_condition, parse


def lines(row: Row, settings: Mapping[str, Any]) -> list[str]:
    """The formula of an activation, a loss or a regularizer, or the update of an optimizer, as text."""
    knobs = {name: settings[name] for name in getattr(row, "knobs", {}) if name in settings}
    if isinstance(row, Optimizer):
        return _used([_line(one, knobs) for one in row.lines()], row)
    assert isinstance(row, Formulated)
    if row.definition:
        whole = _text(parse(row.definition), knobs)
        names = parse(whole).names
        if not names & {line.target for line in row.lets()}:
            return [whole]
    return [
        *(f"{line.target} = {_text(line, knobs)}" for line in _needed(row, knobs)),
        _text(parse(row.formula), knobs),
    ]


def _needed(row: Formulated, knobs: Mapping[str, Any]) -> list[Formula]:
    wanted = set(parse(_text(parse(row.formula), knobs)).names)
    kept: list[Formula] = []
    for line in reversed(needed_lines(row, knobs)):
        if line.target in wanted:
            kept.insert(0, line)
            wanted |= parse(_text(line, knobs)).names
    return kept


def _line(line: Formula, knobs: Mapping[str, Any]) -> tuple[str, str]:
    return str(line.target), _text(line, knobs)


def _used(found: Sequence[tuple[str, str]], row: Optimizer) -> list[str]:
    """Without lines that set a name to itself, or one that nothing needs."""
    kept: list[str] = []
    changed = {target for target, text in found if target != text}
    wanted = {"w", *(slot for slot in row.state if slot in changed)}
    for target, text in reversed(found):
        if target != text and target in wanted:
            kept.insert(0, f"{target} = {text}")
            wanted |= parse(text).names
    return kept


def _text(formula: Formula, knobs: Mapping[str, Any]) -> str:
    tree = _Chosen(formula.text, knobs).visit(copy.deepcopy(formula.tree))
    text = ast.unparse(tree)
    for sign in ("*", "/", "**"):
        text = text.replace(f" {sign} ", sign)
    return text


class _Chosen(ast.NodeTransformer):
    """The branch of each `a if knob else b` that the knobs choose."""

    def __init__(self, text: str, knobs: Mapping[str, Any]) -> None:
        self.text, self.knobs = text, knobs

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        chosen = node.body if knob_condition(self.text, node.test, self.knobs) else node.orelse
        return self.visit(chosen)
