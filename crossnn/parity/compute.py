"""Running a subject on a backend: from graphs to arrays by quantity."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Meaning, Native
from crossnn.formula.cropped import cropped
from crossnn.formula.fingerprint import fingerprint, simplified
from crossnn.formula.graph import Graph, map_tree
from crossnn.formula.loops import rolled
from crossnn.formula.source import compile_graph
from crossnn.parity.backend import once
from crossnn.parity.experiments import update_quantities
from crossnn.parity.optimizers import Steps
from crossnn.parity.paths import PARAM, STEPS
from crossnn.parity.subject import Arrays, Subject

Values = dict[str, np.ndarray]
STATE = "state."
"""How the names of new running statistics begin."""


def function_of(
    graph: Graph, name: str, adapter: Adapter, mode: str, given_away: Collection[str] | None = None
) -> Callable[..., Any]:
    """The graph as a compiled Python function over the adapter's primitives, with loops where the mode is for them.
    Who names arguments as given away, be it none, does not differentiate the function: values that only one operation
    needs, and what is given away, may be overwritten."""
    simple = simplified(graph)
    if mode in adapter.crops:
        simple = cropped(simple)
    if mode in adapter.loops:
        simple = rolled(simple)
    in_place = {} if given_away is None else adapter.in_place.get(mode, {})
    return compile_graph(
        simple, name, meaning_of(adapter, mode), adapter.spelling, adapter.namespace, in_place, given_away or ()
    )


def kernels_of(graph: Graph) -> frozenset[str]:
    """The parameters that a graph only multiplies by: second factors of matrix products."""
    params = graph.arguments.get("params")
    if not isinstance(params, Mapping):
        return frozenset()
    names = {id(node): name for name, node in params.items()}
    uses = [
        (node.operation, place, names[id(one)])
        for node in graph.live()
        for place, one in enumerate(node.inputs)
        if id(one) in names
    ]
    other = {name for operation, place, name in uses if (operation, place) != ("matmul", 1)}
    return frozenset(name for *_, name in uses) - other


def kept_tensors(adapter: Adapter, tree: Any, kernels: Collection[str]) -> Any:
    """A tree of arrays as tensors that are kept and renewed; what belongs to a kernel lies as the kernel does."""
    if isinstance(tree, Mapping):
        return {
            name: map_tree(adapter.kernel, one) if name in kernels else kept_tensors(adapter, one, kernels)
            for name, one in tree.items()
        }
    if isinstance(tree, tuple | list):
        return tuple(kept_tensors(adapter, one, kernels) for one in tree)
    return adapter.tensor(tree)


def meaning_of(adapter: Adapter, mode: str) -> Meaning:
    """The adapter's primitives, as they are in a mode."""
    return {**adapter.primitives, **adapter.in_mode.get(mode, {})}


def compiled_graph(
    case: str, graph: Graph, name: str, adapter: Adapter, mode: str, differentiate: bool = False
) -> Callable[..., Any]:
    """The graph, or its value and gradient, compiled by the backend; once for graphs alike of the same case."""

    def make() -> Any:
        function = function_of(graph, name, adapter, mode)
        return adapter.compile(adapter.value_and_grad(function) if differentiate else function, mode)

    compiled: Callable[..., Any] = once(adapter, (case, name, fingerprint(graph), mode, differentiate), make)
    return compiled


def _compiled(
    adapter: Adapter, mode: str, subject: Subject, native: Native | None
) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """Forward, and value and gradient of the objective where there is one, in the backend's mode."""
    if native is None:
        forward = compiled_graph(subject.case, subject.forward, "forward", adapter, mode)
        if subject.scalar is None or not subject.params:
            return forward, None
        return forward, compiled_graph(subject.case, subject.scalar, "objective", adapter, mode, differentiate=True)

    def make() -> Any:
        forward, scalar = native_functions(adapter, subject, native)
        gradient = adapter.compile(adapter.value_and_grad(scalar), mode) if subject.params else None
        return native, adapter.compile(forward, mode), gradient

    asked = (subject.native_quantity, subject.inputs, tuple(subject.calls.items()), bool(subject.params))
    _, forward, gradient = once(adapter, (subject.case, native.call, id(native), mode, asked), make)
    return forward, gradient


def _tensors(adapter: Adapter, tree: Any) -> Any:
    return map_tree(adapter.tensor, tree)


def subject_values(adapter: Adapter, mode: str, subject: Subject, native: Native | None) -> Values:
    """Every quantity of a subject, computed by the formula or by a native implementation."""
    forward, gradient = _compiled(adapter, mode, subject, native)
    params, data = _tensors(adapter, subject.params), _tensors(adapter, subject.data)
    values = {name: adapter.array(value) for name, value in forward(params, data).items()}
    if gradient is not None:
        _, gradients = gradient(params, data)
        values.update({subject.gradient_name(name): adapter.array(gradients[name]) for name in subject.params})
        if subject.update is not None:
            update = compiled_graph(subject.case, subject.update, "update", adapter, mode)
            trained = {name: params[name] for name in subject.update.arguments["params"]}
            own = {name: gradients[name] for name in trained}
            rest = [_tensors(adapter, subject.rest[name]) for name in ("state", "lr", "t")]
            values.update(map_tree(adapter.array, update_quantities(*update(trained, own, *rest))))
    return values


def native_functions(
    adapter: Adapter, subject: Subject, native: Native
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and objective in terms of the framework's own implementation."""
    total = adapter.primitives["sum"]
    calls, inputs, quantity = subject.calls, subject.inputs, subject.native_quantity

    def outputs(params: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        given = {**params, **data}
        if calls:
            return {what: native.function(*(given[name] for name in names)) for what, names in calls.items()}
        rest = {name: value for name, value in given.items() if name not in (*inputs, "weights")}
        found = native.function(rest, *(given[name] for name in inputs))
        value, statistics = found if isinstance(found, tuple) else (found, {})
        return {quantity: value, **{f"{STATE}{name}": new for name, new in statistics.items()}}

    def objective(params: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        found = {what: value for what, value in outputs(params, data).items() if not what.startswith(STATE)}
        weights = data.get("weights")
        weighed = {what for what in found if what == "value" and weights is not None}
        numbers = [total(weights * value) if what in weighed else value for what, value in found.items()]
        return functools.reduce(operator.add, numbers)

    return outputs, objective


def optimizer_values(adapter: Adapter, mode: str, steps: Steps) -> Values:
    """Every quantity of an optimizer's steps, by the formula."""
    update = compiled_graph(steps.case, steps.graph, "update", adapter, mode)

    def call(arguments: dict[str, Any]) -> tuple[Any, Any]:
        return update(*(_tensors(adapter, tree) for tree in arguments.values()))  # type: ignore[no-any-return]

    alone = [call(steps.arguments(k)) for k in range(STEPS)]
    running, free = (_tensors(adapter, {PARAM: steps.w}), _lift(adapter, steps.start)), []
    for k in range(STEPS):
        inputs = ({PARAM: steps.gradients[k]}, np.float64(steps.rates[k]), np.float64(k + 1))
        g, lr, t = (_tensors(adapter, tree) for tree in inputs)
        running = update(running[0], g, running[1], lr, t)
        free.append(map_tree(adapter.array, running))
    return {
        **labelled(steps, [map_tree(adapter.array, one) for one in alone], ""),
        **labelled(steps, free, "free-running "),
    }


def _lift(adapter: Adapter, state: Arrays) -> dict[str, dict[str, Any]]:
    return {slot: {PARAM: adapter.tensor(value)} for slot, value in state.items()}


def labelled(steps: Steps, results: list[Any], prefix: str) -> Values:
    """Parameters and state after each step as quantities, stacked over the steps."""
    values = {f"{prefix}update": np.stack([params[PARAM] for params, _ in results])}
    for slot in steps.row.state:
        if all(slot in state for _, state in results):
            values[f"{prefix}state.{slot}"] = np.stack([state[slot][PARAM] for _, state in results])
    return values
