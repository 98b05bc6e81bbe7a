"""The graphs that JAX makes of a function: its jaxpr, StableHLO, and the HLO that XLA runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from crossnn.adapter import Function, Tree
from crossnn.drawing.hlo import hlo_view
from crossnn.drawing.making import attempt, named
from crossnn.drawing.stablehlo import stablehlo_view
from crossnn.drawing.view import Kind, Vertex, View
from crossnn.trace.executed import view_of_run

from .jax_trace import called, literal, watched


def views(f: Function, arguments: Sequence[Tree], mode: str, array: Callable[[Any], np.ndarray]) -> Iterator[View]:
    """Eager: what ran. With `jit`, all arguments are kept, used or not, so that they can be named."""
    if mode == "eager":
        yield attempt("jax", "executed", lambda: view_of_run("jax", watched(f, arguments, array, None)[1]))
        return
    names = jax.tree.leaves(named(f, arguments))
    yield attempt("jax", "jaxpr", lambda: _jaxpr(f, arguments, names))
    lowered: list[Any] = []

    def lower() -> Any:
        if not lowered:
            lowered.append(jax.jit(f, keep_unused=True).lower(*arguments))
        return lowered[0]

    yield attempt("jax", "StableHLO", lambda: stablehlo_view(lower().as_text(), "jax", "StableHLO", names))
    note = "the text of HLO is no stable interface; it was read leniently"
    yield attempt(
        "jax", "optimised HLO",
        lambda: hlo_view(lower().compile().as_text(), "jax", "optimised HLO", names, note=note),
    )  # fmt: skip


def _jaxpr(f: Function, arguments: Sequence[Tree], names: Sequence[str]) -> View:
    closed = jax.make_jaxpr(f)(*arguments)
    reader = _Reader()
    known: dict[Any, str] = {}
    for place, variable in enumerate(closed.jaxpr.invars):
        known[variable] = reader.put("parameter", (), variable.aval, "input", names[place])
    for variable in closed.jaxpr.constvars:
        known[variable] = reader.put("constant", (), variable.aval, "constant")
    results = reader.read(closed.jaxpr, known)
    return View("jax", "jaxpr", tuple(reader.vertices), tuple(dict.fromkeys(results)), str(closed))


class _Reader:
    def __init__(self) -> None:
        self.vertices: list[Vertex] = []

    def put(self, operation: str, inputs: Sequence[str], aval: Any, kind: Kind = "operation", name: str = "") -> str:
        key = f"v{len(self.vertices)}"
        shape = f"{getattr(aval, 'dtype', '')}{list(getattr(aval, 'shape', ()))}"
        self.vertices.append(Vertex(key, operation, tuple(inputs), kind, name, shape))
        return key

    def read(self, jaxpr: Any, known: dict[Any, str]) -> list[str]:
        """Put the equations of a jaxpr whose variables are known; the keys of what it returns."""

        def key(atom: Any) -> str:
            if not literal(atom):
                return known[atom]
            return self.put("constant", (), atom.aval, "constant", _text(atom.val))

        for equation in jaxpr.eqns:
            inner = called(equation)
            if inner is not None:
                inside = dict(zip(inner[0].invars, map(key, equation.invars), strict=True))
                inside.update({one: self.put("constant", (), one.aval, "constant") for one in inner[0].constvars})
                known.update(zip(equation.outvars, self.read(inner[0], inside), strict=True))
                continue
            inputs = [key(atom) for atom in equation.invars]
            made = self.put(equation.primitive.name, inputs, equation.outvars[0].aval if equation.outvars else None)
            known.update(dict.fromkeys(equation.outvars, made))
        return [key(atom) for atom in jaxpr.outvars]


def _text(value: Any) -> str:
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return ""
