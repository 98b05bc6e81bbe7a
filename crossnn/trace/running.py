"""Running what is traced: in NumPy by our own interpreter, in a framework by the hooks of its adapter."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from crossnn import registry
from crossnn.adapter import Adapter, BaseAdapter
from crossnn.drawing.making import named
from crossnn.errors import BackendError, CrossnnError, SpecError
from crossnn.formula.evaluate import walk
from crossnn.formula.graph import Node, leaves, map_tree
from crossnn.trace import ours
from crossnn.trace.executed import Executed, Log
from crossnn.trace.subject import Traced

OURS = "numpy"


def execute(one: Traced, backend: str, gradient: bool) -> tuple[list[np.ndarray], list[Executed]]:
    """The results as arrays, and every operation as it ran. A framework is imported only where it is named."""
    weights = one.weights if gradient else None
    if backend == OURS:
        try:
            result, executed = ours.run(one.graph, one.arguments, cotangent=weights)
        except (IndexError, ValueError) as error:
            raise SpecError(f"{one.row.name} cannot be computed of these inputs: {error}") from error
        return [np.asarray(value) for value in leaves(result)], executed
    from crossnn.parity.compute import function_of

    adapter = registry.load(backend)
    try:
        adapter.start("cpu", "float64", 1)
        function = _with_names(function_of(one.graph, one.row.name, adapter, adapter.modes[0]), one.arguments)
        arguments = [map_tree(adapter.tensor, tree) for tree in one.arguments.values()]
        if getattr(type(adapter), "watched", BaseAdapter.watched) is BaseAdapter.watched:
            result, executed = _by_primitives(one, adapter, arguments)
        else:
            result, executed = adapter.watched(function, arguments, weights)
        return [_array(adapter, value) for value in leaves(result)], executed
    except CrossnnError:
        raise
    except Exception as error:  # anyone's adapter may raise anything
        message = " ".join(str(error).split())[:300]
        raise BackendError(
            f"backend {backend!r} cannot trace {one.row.name}: {type(error).__name__}: {message}"
        ) from error


def _by_primitives(one: Traced, adapter: Adapter, arguments: Sequence[Any]) -> tuple[Any, list[Executed]]:
    """An adapter that does not tell what runs: its primitives, each waited for. Gradients are not seen."""
    log = Log(lambda value: _array(adapter, value))
    given = dict(zip(one.graph.arguments, arguments, strict=True))
    for name, tensor in zip(leaves(named(_with_names(print, given), arguments)), leaves(arguments), strict=True):
        log.argument(name, tensor)

    def compute(node: Node, inputs: list[Any]) -> Any:
        begin = time.perf_counter()
        value = adapter.primitives[node.operation](*inputs, **node.options)
        adapter.wait(value)
        seconds = time.perf_counter() - begin
        shown = [f"{value:.6g}" if isinstance(value, float) else log.key(value) for value in inputs]
        log.add(node.operation, shown, [value], seconds, name=node.name)
        return value

    result = walk(one.graph, given, lambda node: node.options["value"], compute)
    return result, log.finish(leaves(result))


def _array(adapter: Adapter, value: Any) -> np.ndarray:
    """Numbers of Python's own, which a formula of constants gives, are no tensors."""
    return np.asarray(value) if isinstance(value, int | float) else adapter.array(value)


def _with_names(function: Callable[..., Any], names: Iterable[str]) -> Callable[..., Any]:
    """The same function with parameters called as in the row; printed code renames those that are primitives."""

    def named(*arguments: Any) -> Any:
        return function(*arguments)

    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    named.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return named
