"""Numbers put into lines: each line with its names, with numbers in their place, and with its value.

The values are computed with many digits, not by a framework: what is shown is right to the last digit shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.formula.derivation import Step
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import GRAPH, Graph, Node, constant
from crossnn.formula.inline import inline
from crossnn.formula.latex import graph_latex
from crossnn.formula.oracle import at_precision
from crossnn.formula.precise import Precise
from crossnn.formula.printer import identifier

DIGITS = 60
SHOWN = 7
SPELLED_OUT = 12
"""Arrays of more numbers are shown by their first ones, and stay names where they are used."""


@dataclass(frozen=True)
class Numbered:
    """A line with its value; `put` is the line with numbers instead of names."""

    step: Step
    put: str
    value: np.ndarray
    put_latex: str = ""

    @property
    def text(self) -> str:
        """The line, numbers put in, and the value, each only where it says something new."""
        parts = dict.fromkeys([self.step.text.split(" = ", 1)[1], self.put, number(self.value)])
        return " = ".join([self.step.name, *parts])

    @property
    def latex(self) -> str:
        parts = dict.fromkeys([*graph_latex(self.step.graph), self.put_latex, number_latex(self.value)])
        return " = ".join([symbol(self.step.name), *(part for part in parts if part)])


def put_numbers(steps: Sequence[Step], given: Mapping[str, Any]) -> tuple[list[Numbered], dict[str, np.ndarray]]:
    """Every line with numbers, from the numbers `given` for the first names; and all values by name."""
    with Precise(DIGITS) as context, np.errstate(all="ignore"):
        known = {name: _exact(value, context) for name, value in given.items()}
        found = []
        for step in steps:
            arguments = {name: known[name] for name in step.graph.arguments}
            value = np.asarray(at_precision(step.graph, arguments, DIGITS, context=context))
            texts = {name: number(one) for name, one in arguments.items() if np.size(one) <= SPELLED_OUT}
            texts |= {name: number(one) for name, one in parameters(step.graph).items()}
            known[step.name] = value
            found.append(Numbered(step, inline(step.graph, texts), value, _put_latex(step.graph, arguments)))
    return found, known


def _exact(value: Any, context: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        return array
    return np.asarray(np.frompyfunc(context.mpf, 1, 1)(array.astype(object)), dtype=object)


def _put_latex(graph: Graph, arguments: Mapping[str, np.ndarray]) -> str:
    """Only of single numbers: a formula full of matrices is not read."""
    if any(np.shape(value) or value.dtype == bool for value in arguments.values()):
        return ""
    tape: list[Node] = []
    nodes = {name: constant(tape, float(value), number(value)) for name, value in arguments.items()}
    if not nodes:
        return ""

    def plain(node: Node) -> Node:
        value = node.options["value"]
        return constant(tape, value, number(value) if node.name else node.options["text"])

    return graph_latex(Graph({}, evaluate(graph, GRAPH, nodes, plain), tuple(tape)))[-1]


def parameters(graph: Graph) -> dict[str, float]:
    """The hyper-parameters in a graph."""
    return {identifier(node.name): node.options["value"] for node in graph.live()
            if node.operation == "constant" and node.name}  # fmt: skip


def number(value: Any) -> str:
    """Seven digits; `true`; arrays in brackets, long ones by their first numbers."""
    array = np.asarray(value)
    if array.shape == ():
        one = array[()]
        if array.dtype == bool:
            return str(bool(one)).lower()
        return f"{float(one) + 0.0:.{SHOWN}g}"
    if array.size > SPELLED_OUT:
        first = ", ".join(number(one) for one in array.ravel()[:4])
        return f"[{first}, ...] ({' x '.join(map(str, array.shape))})"
    return f"[{', '.join(number(one) for one in array)}]"


def number_latex(value: Any) -> str:
    """A number, a row, or a matrix; deeper arrays and long ones as text."""
    array = np.asarray(value)
    if array.shape == ():
        if array.dtype == bool:
            return f"\\text{{{number(array)}}}"
        mantissa, _, exponent = number(array).partition("e")
        mantissa = {"inf": "\\infty", "-inf": "-\\infty", "nan": "\\text{undefined}"}.get(mantissa, mantissa)
        return f"{mantissa} \\cdot 10^{{{int(exponent)}}}" if exponent else mantissa
    if array.ndim > 2 or array.size > SPELLED_OUT:
        shape = "\\times ".join(map(str, array.shape))
        return f"{shape} \\text{{ numbers}}"
    rows = " \\\\ ".join(" & ".join(number_latex(one) for one in row) for row in np.atleast_2d(array))
    return f"\\begin{{pmatrix}} {rows} \\end{{pmatrix}}"


def symbol(name: str) -> str:
    """A name of a line in LaTeX: as graphs print it."""
    tape: list[Node] = []
    return graph_latex(Graph({}, Node(tape, "input", name=name), tuple(tape)))[0]
