"""What a backend must show besides its adapter, for the steps of the lesson that depend on how a user writes there.

A backend `torch_adapter` has its demonstrations in `torch_lesson` beside it. A backend without them, such as anyone's
own adapter, misses the steps that need them, and the lesson says so.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, cast

from crossnn.adapter import Adapter, Function

Compiler = Callable[[Function], Function]


class Demonstrations(Protocol):
    """The members of a module `*_lesson`."""

    def spelling(self) -> Mapping[str, str]:
        """How a user writes `log(h)`, `total(x)` (a sum) and `pick(x, i)` (an element): texts of Python."""

    def namespace(self, adapter: Adapter) -> Mapping[str, Any]:
        """The names in those texts."""

    def compilers(self, adapter: Adapter) -> Mapping[str, Compiler]:
        """Mode -> what a user applies to a function; the first does nothing."""

    def slow(self) -> tuple[str, ...]:
        """The modes that compile for many seconds, and run only where that is asked for."""

    def quick_views(self) -> Mapping[str, int]:
        """Of a slow mode, how many of its first graphs (`Adapter.views`) are made quickly."""

    def graphs(self, compiled: Function) -> int | None:
        """How many graphs a compiled function has made so far."""

    def own_memory(self, compiled: Function, arguments: tuple[Any, ...], mode: str) -> int | None:
        """What the framework itself says of the extra memory of one call, in bytes."""

    def own_memory_name(self) -> str:
        """By what: the public name of that counter."""

    def own_ways(self) -> Iterator[Mapping[str, Any]]:
        """The framework's own control flow: {"way", "code", "values" (for a positive and a negative argument),
        "inside" (operations of control flow in the graph), "note"}."""


def demonstrations(adapter: Adapter) -> Demonstrations | None:
    """The demonstrations that belong to an adapter."""
    module = type(adapter).__module__
    if not module.endswith("_adapter"):
        return None
    name = module.removesuffix("_adapter") + "_lesson"
    if importlib.util.find_spec(name) is None:
        return None
    return cast(Demonstrations, importlib.import_module(name))
