"""How one backend is written: graphs as functions in its own words, by crossnn's own source generator.

The adapter's spelling says `torch.exp`. What a framework has no public name for is a function of the library beside
the adapter, called by its own name; where a framework's function takes no plain numbers, it is called directly
wherever it is given none.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.catalogue.rows import Row
from crossnn.errors import SpecError
from crossnn.formula.graph import Graph, Node
from crossnn.formula.loops import rolled
from crossnn.formula.simplify import simplify
from crossnn.formula.source import OPERATORS, function_name, identifier, to_source
from crossnn.standalone.library import Library, backend_library, names_in

RESERVED = frozenset(
    "main data update train_step initial_parameters objective objective_and_gradients evaluation answer".split()
) | set(dir(builtins))
"""Names that mean something else in a file."""
LONG = 112
MOST_LINES = 1500
"""A function of more lines is refused: nobody would read it."""


@dataclass(frozen=True)
class Function:
    """A generated function: its text, its name, and the named numbers that stand above it."""

    text: str
    name: str
    constants: Mapping[str, str] = field(default_factory=dict)

    def with_constants_inside(self) -> Function:
        """The same, its named numbers in its first lines: where another function has others of the same name."""
        lines = self.text.splitlines()
        head = next(number for number, line in enumerate(lines, 1) if line.startswith("def "))
        inside = [f"    {name} = {value}" for name, value in self.constants.items()]
        return Function("\n".join([*lines[:head], *inside, *lines[head:]]), self.name)


def own_name(row: Row) -> str:
    """The name of the function that a row is; never one that a file gives to something else."""
    name = identifier(row.name)
    return f"{name}_" if name in RESERVED else name


@dataclass(frozen=True)
class Dialect:
    """One backend, as it is written."""

    backend: str
    adapter: Adapter
    library: Library

    @property
    def title(self) -> str:
        return str(self.library.about["title"])

    @property
    def differentiates(self) -> bool:
        """Whether the framework has automatic differentiation of its own."""
        return "gradients" in self.library.parts

    @property
    def decorator(self) -> str:
        """The line that compiles a function, or nothing."""
        compiled = str(self.library.about["compiled"])
        return f"@{compiled}\n" if compiled else ""

    def function(self, graph: Graph, name: str, loops: bool = False) -> Function:
        """The graph as a function of this name; with `loops`, equal steps as a loop where the backend has one."""
        simple = simplify(graph)
        if loops and self.library.about["mode"] in self.adapter.loops:
            simple = rolled(simple)
        meaning = self._meaning
        called = f"{name}_" if name in {**self.library.parts, **self.library.imports} else name
        text = to_source(simple, called, meaning, self._spelling(simple))
        above, _, body = text.rpartition("\n\ndef ")
        body = "\n".join(map(_wrapped, (f"def {body}" if above else text).splitlines()))
        pairs = (line.partition(" = ") for line in above.splitlines())
        found = Function(body, function_name(called, meaning), {key: value for key, _, value in pairs})
        self._check(found)
        return found

    @property
    def _meaning(self) -> dict[str, Callable[..., Any]]:
        """The adapter's primitives, Python's operators wherever they do, and the functions worth their own name."""
        about = self.library.about
        own = {name: OPERATORS[name] for name in about["operators"]}
        placed = dict.fromkeys(about["placed"], self.adapter.primitives["exp"])  # printed by name, never called
        return {**self.adapter.primitives, **own, **placed}

    def _spelling(self, graph: Graph) -> dict[str, str]:
        about = self.library.about
        found = {**self.adapter.spelling, **about["names"], **about["placed"]}
        for name, (public, most) in about["direct"].items():
            found.pop(name, None)
            if all(count <= most for count in _plain_numbers(graph, name)):
                found[name] = public
        return found

    def _check(self, function: Function) -> None:
        lines = function.text.count("\n") + 1
        if lines > MOST_LINES:
            raise SpecError(
                f"{function.name}: straight-line code for {self.backend} would have {lines:,} lines, since the steps "
                f"of a sequence are written down one by one; standalone code is written up to {MOST_LINES:,}"
            )
        known = {*self.library.parts, *self.library.imports, *function.constants}
        unknown = names_in(function.text) - known
        if unknown:
            raise SpecError(
                f"{function.name}: no standalone code for {self.backend}: the library beside its adapter has no "
                f"{', '.join(sorted(unknown))}"
            )


def _wrapped(line: str) -> str:
    """A long line that returns several values, one value a line."""
    head, found = re.match(r"(\s*)return (.*)", line), ""
    if len(line) > LONG and head:
        found = _apart(head[2], len(head[1]))
    return f"{head[1]}return {found}" if head and found else line


def _apart(text: str, indent: int) -> str:
    """A dictionary or a tuple with each of its parts on a line of its own; nothing where the text is neither."""
    if text[0] + text[-1] not in ("{}", "()"):
        return ""
    parts, depth, begin = [], 0, 1
    for place in range(1, len(text) - 1):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth < 0:  # the first bracket is closed before the end
            return ""
        if text[place] == "," and depth == 0:
            parts.append(text[begin:place].strip())
            begin = place + 1
    parts.append(text[begin:-1].strip())
    if len(parts) < 2:
        return ""
    space = " " * (indent + 4)
    lines = [(_apart(part, indent + 4) if len(part) + indent > LONG else "") or part for part in parts if part]
    return "\n".join([text[0], *(f"{space}{line}," for line in lines), f"{' ' * indent}{text[-1]}"])


def _plain_numbers(graph: Graph, name: str) -> list[int]:
    """How many plain numbers each use of a primitive is given; the condition of a choice is none."""
    nodes = [node for node in graph.live() if node.operation == name]
    return [sum(map(_plain, node.inputs[name == "where" :])) for node in nodes]


def _plain(node: Node) -> bool:
    """Whether this is a number of Python's, or arithmetic of such."""
    return node.operation == "constant" or (node.operation in OPERATORS and all(map(_plain, node.inputs)))


@cache
def dialect(backend: str) -> Dialect:
    """How this backend is written; starts its adapter, in float64 on the CPU."""
    found = backend_library(backend)
    return Dialect(backend, registry.started(backend), found)
