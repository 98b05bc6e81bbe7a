"""Steps L0 to L3: what is computed when, how often Python runs, and which graphs there are."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from crossnn.formula.source import to_source
from crossnn.lesson.bench import Bench, attempt
from crossnn.lesson.programs import LENGTH, chain, chain_arguments, lecture, recorded

EQUAL_CALLS = 5
PYTHON_NUMBERS = (2.0, 3.0, 4.0)


def both_give(bench: Bench) -> dict[str, Any]:
    """d = b*a + 1, in every mode; and the code."""
    graph, adapter = recorded(lecture), bench.adapter
    arguments = [adapter.tensor(one) for one in chain_arguments()]

    def in_mode(mode: str) -> dict[str, Any]:
        return {"values": bench.numbers(bench.compiled(bench.function(graph, "lecture"), mode)(*arguments))}

    code = to_source(graph, "lecture", adapter.primitives, adapter.spelling)
    return {"code": code, "modes": {mode: attempt(lambda mode=mode: in_mode(mode)) for mode in bench.modes}}  # type: ignore[misc]


def operations(bench: Bench) -> dict[str, Any]:
    """Every primitive of the chain as it is called: is its value there at once? In the first mode, and in the second
    while it is called for the first time."""
    adapter = bench.adapter
    arguments = [adapter.tensor(one) for one in chain_arguments()]
    program(bench, [])(*arguments)  # what a framework does once is not this program's

    def in_mode(mode: str) -> dict[str, Any]:
        seen: list[dict[str, Any]] = []
        f = bench.compiled(program(bench, seen), mode)
        f(*arguments)
        return {"calls": seen}

    return {"modes": {mode: attempt(lambda mode=mode: in_mode(mode)) for mode in bench.modes}}  # type: ignore[misc]


def program(bench: Bench, seen: list[dict[str, Any]]) -> Callable[..., Any]:
    """The chain, with a note of every primitive as it is called."""

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*inputs: Any) -> Any:
            start = time.perf_counter()
            value = function(*inputs)
            seconds = time.perf_counter() - start
            seen.append(
                {
                    "operation": name,
                    "inputs": [_shown(bench, one) for one in inputs],
                    "seconds": seconds,
                    "value": _shown(bench, value),
                    "type": type(value).__name__,
                    "bytes": _bytes(value),
                }
            )
            return value

        return call

    primitives = {name: watched(name, function) for name, function in bench.adapter.primitives.items()}

    def run(a: Any, b: Any) -> Any:
        return chain(primitives, a, b)

    return run


def _shown(bench: Bench, value: Any) -> str | None:
    """The first element, where there is a value already."""
    if isinstance(value, float):
        return f"{value:g}"
    try:
        array = bench.adapter.array(value)
        return f"{float(array.ravel()[0]):g}" if array.dtype.kind in "fiub" else None
    except Exception:  # each framework has an error of its own for what is not computed yet
        return None


def _bytes(value: Any) -> int | None:
    found = getattr(value, "nbytes", None)
    return found if isinstance(found, int) else None


def executions(bench: Bench) -> dict[str, Any]:
    """How often Python runs the function: over equal calls, with a new shape, with numbers of Python."""
    adapter, own = bench.adapter, bench.demonstrated()

    def in_mode(compiler: Callable[..., Any]) -> dict[str, Any]:
        seen: list[str] = []

        def counted(x: Any, k: Any) -> Any:
            seen.append(type(x).__name__)
            return x * k + 1.0

        def plain(x: Any, k: Any) -> Any:
            return x * k + 1.0

        # Two functions, since a note is a side effect, which some compilers make a new graph for.
        f, g = compiler(counted), compiler(plain)
        found: dict[str, Any] = {}

        def phase(name: str, calls: list[tuple[Any, Any]]) -> None:
            before, graphs = len(seen), own.graphs(g) or 0
            for x, k in calls:
                f(x, k)
                g(x, k)
            made = own.graphs(g)
            found[name] = {"calls": len(calls), "python": len(seen) - before,
                           "graphs": None if made is None else made - graphs}  # fmt: skip

        x, k = adapter.tensor(np.ones(LENGTH)), adapter.tensor(np.array(2.0))
        phase("equal", [(x, k)] * EQUAL_CALLS)
        phase("shape", [(adapter.tensor(np.ones(LENGTH + 1)), k)])
        phase("numbers", [(x, number) for number in PYTHON_NUMBERS])
        return {"phases": found, "inside": seen[0] if seen else ""}

    return {"modes": {mode: attempt(lambda one=one: in_mode(one)) for mode, one in bench.compilers().items()}}  # type: ignore[misc]


def graphs(bench: Bench) -> dict[str, Any]:
    """The graphs of the chain that the adapter can show, in every mode; of slow modes those that are made quickly."""
    adapter = bench.adapter
    quick = bench.own.quick_views() if bench.own else {}
    arguments = tuple(adapter.tensor(one) for one in chain_arguments())

    def run(a: Any, b: Any) -> Any:
        return chain(adapter.primitives, a, b)

    def in_mode(mode: str) -> dict[str, Any]:
        most = None if mode in bench.modes else quick[mode]
        return {"views": [dataclasses.asdict(view) for view in islice(adapter.views(run, arguments, mode), most)]}

    modes = [mode for mode in adapter.modes if mode in bench.modes or mode in quick]
    return {"modes": {mode: attempt(lambda mode=mode: in_mode(mode)) for mode in modes}}  # type: ignore[misc]
