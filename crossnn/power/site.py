"""Where a formula can be changed: every part of it as a site, in its text and in what the row knows by name.

A change replaces the text of one part and nothing else, so a number keeps the digits that were written (the oracle
reads them), and a report can say exactly what stood there and what stands there now.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crossnn.formula.grammar import Formula


@dataclass(frozen=True)
class Scope:
    """What is known where a formula stands. numbers: hyper-parameters and options with their defaults. values: names of
    tensors that may stand for each other. counts: what counts steps. slices: the parts that the row cuts out, as
    options of `slice`. smooth: names through which gradients that are judged flow."""

    numbers: Mapping[str, float]
    values: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    smooth: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Site:
    """One part of a formula. `condition`: it is true or false, no number. `flat`: no gradient flows out of here."""

    node: ast.expr
    body: str
    scope: Scope
    condition: bool = False
    flat: bool = False

    @property
    def span(self) -> tuple[int, int]:
        """Where it stands; a formula is ASCII, so bytes are characters."""
        lines = self.body.split("\n")
        starts = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
        node = self.node
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset

    @property
    def original(self) -> str:
        start, end = self.span
        return self.body[start:end]

    def text(self, part: ast.expr) -> str:
        """The text of a part, in parentheses where something beside it could take it apart."""
        found = ast.get_source_segment(self.body, part) or ast.unparse(part)
        return found if isinstance(part, ast.Name | ast.Constant | ast.Call) else f"({found})"

    @property
    def whole(self) -> str:
        return self.text(self.node)

    def changed(self, new: str) -> str:
        """The formula with this part replaced."""
        start, end = self.span
        return new if (start, end) == (0, len(self.body)) else f"{self.body[:start]}({new}){self.body[end:]}"

    @property
    def call(self) -> str:
        """The primitive that is called here, if one is."""
        return self.node.func.id if isinstance(self.node, ast.Call) and isinstance(self.node.func, ast.Name) else ""

    @property
    def arguments(self) -> list[str]:
        """The texts of what is handed to the primitive, without its options."""
        return [self.text(one) for one in self.node.args] if isinstance(self.node, ast.Call) else []

    @property
    def options(self) -> dict[str, str]:
        """The texts of the options."""
        keywords = self.node.keywords if isinstance(self.node, ast.Call) else []
        return {str(one.arg): ast.get_source_segment(self.body, one.value) or "" for one in keywords}

    def called(self, name: str | None = None, arguments: list[str] | None = None, **options: str | None) -> str:
        """This call with another primitive, other arguments or other options; an option that is None is left out."""
        given = {name: text for name, text in {**self.options, **options}.items() if text is not None}
        parts = [
            *(self.arguments if arguments is None else arguments),
            *(f"{key}={text}" for key, text in given.items()),
        ]
        return f"{name or self.call}({', '.join(parts)})"


def cut(node: ast.expr) -> str:
    """The options of a call as text, always written in the same way."""
    return ", ".join(ast.unparse(one) for one in node.keywords) if isinstance(node, ast.Call) else ""


INDICES: Mapping[str, int] = {"take": 1, "one_hot": 0}
"""The argument that is a place, no number: primitive -> position."""


FLAT = ("where", "stop_gradient", "argmax", "floor", "sign", "iota", "ones_like", "one_hot")
"""Primitives through which no gradient flows; in `where`, through the condition."""


def sites(formula: Formula, scope: Scope) -> Iterator[Site]:
    """Every part of a formula, but conditions of knobs, options and indices."""

    def visit(node: ast.expr, condition: bool = False, flat: bool = False) -> Iterator[Site]:
        yield Site(node, formula.body, scope, condition or isinstance(node, ast.Compare), flat)
        for child, truth in _children(node):
            yield from visit(child, truth, flat or truth or _stops(node))

    yield from visit(formula.tree)


def flows(node: ast.expr, smooth: frozenset[str]) -> bool:
    """Whether a gradient with respect to one of these names flows through here."""
    if isinstance(node, ast.Name):
        return node.id in smooth
    return not _stops(node) and any(flows(child, smooth) for child, truth in _children(node) if not truth)


def _stops(node: ast.expr) -> bool:
    call = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
    return isinstance(node, ast.Compare) or (call in FLAT and call != "where")


def _children(node: ast.expr) -> list[tuple[ast.expr, bool]]:
    match node:
        case ast.UnaryOp(operand=operand):
            return [(operand, False)]
        case ast.BinOp(left=left, right=right):
            return [(left, False), (right, False)]
        case ast.Compare(left=left, comparators=[right]):
            return [(left, False), (right, False)]
        case ast.IfExp(body=body, orelse=orelse):
            return [(body, False), (orelse, False)]
        case ast.Call(func=ast.Name(id=name), args=arguments):
            skipped = INDICES.get(name)
            return [(one, name == "where" and place == 0) for place, one in enumerate(arguments) if place != skipped]
    return []
