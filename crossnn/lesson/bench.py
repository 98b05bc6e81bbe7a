"""A started backend as the measurements of the lesson use it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crossnn.adapter import Adapter, Function
from crossnn.errors import BackendError
from crossnn.formula.graph import Graph
from crossnn.formula.source import compile_graph
from crossnn.lesson.protocol import Compiler, Demonstrations, demonstrations


@dataclass(frozen=True)
class Bench:
    """`all_modes`: also those that compile for many seconds."""

    adapter: Adapter
    dtype: str = "float64"
    all_modes: bool = False

    @cached_property
    def own(self) -> Demonstrations | None:
        return demonstrations(self.adapter)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The slow modes, where nobody asked for them."""
        return () if self.all_modes or self.own is None else self.own.slow()

    @property
    def modes(self) -> tuple[str, ...]:
        """The adapter's modes, without those that are left out."""
        return tuple(mode for mode in self.adapter.modes if mode not in self.left_out)

    def demonstrated(self) -> Demonstrations:
        if self.own is None:
            raise BackendError(f"backend {self.adapter.name!r} has no demonstrations: no *_lesson beside its adapter")
        return self.own

    def compilers(self) -> Mapping[str, Compiler]:
        """What a user applies to a function, by mode."""
        all_of_them = self.demonstrated().compilers(self.adapter)
        return {mode: one for mode, one in all_of_them.items() if mode not in self.left_out}

    def function(self, graph: Graph, name: str) -> Function:
        """The graph as written: nothing of ours simplifies it before the framework sees it."""
        return compile_graph(graph, name, self.adapter.primitives, self.adapter.spelling, self.adapter.namespace)

    def compiled(self, f: Function, mode: str) -> Function:
        return self.adapter.compile(f, mode)

    def numbers(self, tensor: Any) -> list[str]:
        """The elements as text, which knows infinities."""
        return [repr(float(value)) for value in self.adapter.array(tensor).ravel()]


def attempt(compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `compute` finds, or how it failed: a failure in one mode costs no other mode."""
    try:
        return compute()
    except Exception as error:  # anything that a framework may raise is a finding
        return {"absent": first_line(error)}


def first_line(error: BaseException) -> str:
    lines = [line for line in "".join(traceback.format_exception_only(error)).splitlines() if line.strip()]
    said = lines[0] if lines else type(error).__name__
    return re.sub(r"(?<![\w:.])(?:/[\w.+-]+){2,}/", ".../", said)[:300]  # where a file lies is nobody's business
