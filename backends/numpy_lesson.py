"""NumPy in the lesson: eager as every user knows it, compiled by crossnn's own recorder."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Function
from crossnn.formula.planned.compiled import Compiled
from crossnn.lesson.protocol import Compiler


def spelling() -> Mapping[str, str]:
    return {"log": "np.log(h)", "total": "total(x)", "pick": "take(x, i)"}


def namespace(adapter: Adapter) -> Mapping[str, Any]:
    """Functions that compute arrays and record nodes; eager they are NumPy's own."""
    return {**adapter.namespace, "total": adapter.primitives["sum"], "take": adapter.primitives["take"]}


def compilers(adapter: Adapter) -> Mapping[str, Compiler]:
    return {mode: lambda f, mode=mode: adapter.compile(f, mode) for mode in adapter.modes}  # type: ignore[misc]


def slow() -> tuple[str, ...]:
    return ()


def quick_views() -> Mapping[str, int]:
    return {}


def graphs(compiled: Function) -> int | None:
    return len(compiled.plans) if isinstance(compiled, Compiled) else None


def own_memory_name() -> str:
    return "tracemalloc"


def own_memory(compiled: Function, arguments: tuple[Any, ...], mode: str) -> int | None:
    """What Python's allocator saw, to which NumPy reports its arrays. A plan keeps memory from call to call, so a new
    one is made."""
    if isinstance(compiled, Compiled):
        compiled = Compiled(compiled.f, compiled.dtype)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        compiled(*arguments)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def own_ways() -> Iterator[Mapping[str, Any]]:
    """Both branches computed, and one chosen for each element."""
    code = "np.where(np.sum(x) > 0, x*2, x - 1)"

    def both(x: Any) -> Any:
        return np.where(np.sum(x) > 0, x * 2, x - 1)

    values = [float(both(np.array([point, 0.0]))[0]) for point in (3.0, -3.0)]
    yield {"way": "np.where", "code": code, "values": values, "inside": [], "note": ""}
