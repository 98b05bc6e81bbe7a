"""Graphs become readable Python: what is shown is what ran.

`to_source` prints one function in straight-line code (`printer.py`); `compile_graph` compiles exactly that text against
a meaning, once. No interpretation is left on the path that computes.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from crossnn.formula.fused import fused
from crossnn.formula.graph import Graph
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.printer import NOTHING, OPERATORS, SPLIT, Meaning, Printer, identifier

__all__ = ["OPERATORS", "SPLIT", "compile_graph", "function_name", "identifier", "to_source"]

GENERIC: Mapping[str, Any] = {**dict.fromkeys(PRIMITIVES), **OPERATORS}
"""A meaning without functions: for code that is read and not run."""


def function_name(name: str, meaning: Meaning) -> str:
    """The name of the generated function: never that of a primitive, or `tanh` would call itself."""
    stem = identifier(name)
    return f"{stem}_" if stem in meaning else stem


def _literal(value: float) -> str:
    """`inf` and `nan` have no literal of their own, and the compiled text has no other names for them."""
    return "1e999 - 1e999" if math.isnan(value) else repr(value).replace("inf", "1e999")


def to_source(
    graph: Graph,
    name: str,
    meaning: Meaning,
    spelling: Mapping[str, str] | None = None,
    in_place: Mapping[str, str] = NOTHING,
    given_away: Collection[str] = (),
) -> str:
    """One Python function for the graph. `spelling` gives a primitive's public name, such as `torch.exp`; `in_place`
    how a primitive is written that overwrites its first operand, such as `{}.mul_({})`, in a function that nobody
    differentiates; `given_away` names the arguments that may be overwritten, too."""
    graph = fused(graph, meaning)
    printer = Printer(graph, meaning, spelling or {}, in_place, given_away)
    called = function_name(name, meaning)
    printer.taken.add(called)
    head = ", ".join(printer.head())
    for node in printer.live:
        printer.place(node)
    constants = [f"{key} = {_literal(value)}" for key, value in printer.constants.items()]
    body = [*printer.lines, f"return {printer.tree(graph.result)}"]
    function = "\n".join([f"def {called}({head}):", *(f"    {line}" for line in body)])
    return "\n".join([*constants, "", function] if constants else [function]) + "\n"


def compile_graph(
    graph: Graph,
    name: str,
    meaning: Meaning,
    spelling: Mapping[str, str] | None = None,
    namespace: Mapping[str, Any] | None = None,
    in_place: Mapping[str, str] = NOTHING,
    given_away: Collection[str] = (),
) -> Callable[..., Any]:
    """Compile the printed text once. `namespace` holds the modules that `spelling` names."""
    text = to_source(graph, name, meaning, spelling, in_place, given_away)
    # The text can name nothing but the meaning. The builtins are for the frameworks: torch imports lazily, and its
    # compiler looks up int and isinstance, in the name of the function that is running.
    scope: dict[str, Any] = {"__builtins__": builtins, **meaning, **(namespace or {})}
    exec(compile(text, f"<crossnn {name}>", "exec"), scope)
    function: Callable[..., Any] = scope[function_name(name, meaning)]
    function.__doc__ = text
    return function
