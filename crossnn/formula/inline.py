"""A graph as text that the grammar reads again: one expression, or assignments.

Hyper-parameters keep their names, and numbers that mean something are written as what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping

from crossnn.formula.graph import Graph, Node
from crossnn.formula.printer import NOTHING, Printer, identifier
from crossnn.formula.source import GENERIC
from crossnn.formula.stated import SLOPE_OF_ERF

_SIGNED, _PRODUCT, _ATOM = 1, 3, 9


class _Lines(Printer):
    """Straight-line code in which hyper-parameters keep their names, and numbers that mean something their meaning."""

    def constant(self, node: Node) -> tuple[str, int]:
        text = node.options["text"]
        if node.name:
            return identifier(node.name), _ATOM
        if text == "pi":
            return text, _ATOM
        if text.lstrip("-").startswith(SLOPE_OF_ERF):
            return f"{'-' * text.startswith('-')}2/sqrt(pi)", _PRODUCT
        return super().constant(node)

    def _bind(self, tree: Node, access: str) -> None:
        self.text[id(tree)] = (identifier(tree.name) if isinstance(tree, Node) else access, _ATOM)


class _Inline(_Lines):
    """Everything in one expression, with texts in the place of some names."""

    put: Mapping[str, str] = NOTHING

    def place(self, node: Node) -> None:
        name = identifier(node.name) if node.name else ""
        if name in self.put:
            self.text[id(node)] = self.put[name], _SIGNED if self.put[name].startswith("-") else _ATOM
        elif node.operation == "constant":
            self.text[id(node)] = self.constant(node)
        elif node.operation != "input":
            self.text[id(node)] = self.expression(node)


def inline(graph: Graph, put: Mapping[str, str] = NOTHING) -> str:
    """The result of a graph as one expression, with the texts of `put` in the place of arguments and parameters."""
    printer = _Inline(graph, GENERIC, {})
    printer.put = put
    printer.head()
    for node in printer.live:
        printer.place(node)
    return printer.tree(graph.result)


def lines(graph: Graph, names: Mapping[str, str]) -> list[str]:
    """The graph as assignments, the last ones to `names`: what is used twice or long has a name of its own."""
    printer = _Lines(graph, GENERIC, {})
    printer.taken |= set(names.values())
    printer.head()
    for node in printer.live:
        printer.place(node)
    ends = [f"{names.get(key, key)} = {printer.tree(node)}" for key, node in graph.result.items()]
    return [*printer.lines, *ends]
