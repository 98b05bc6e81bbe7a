"""Running a subject on a backend: from graphs to arrays by quantity."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from crossnn import registry
from crossnn.adapter import Adapter, Facts, Function, Native
from crossnn.errors import BackendError, UnavailableError
from crossnn.formula.graph import Graph, map_tree
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.parity.experiments import update_quantities
from crossnn.parity.optimizers import Steps
from crossnn.parity.paths import PARAM, STEPS
from crossnn.parity.subject import Arrays, Subject
from crossnn.runs.cell import Cell

Values = dict[str, np.ndarray]
STATE = "state."
"""How the names of new running statistics begin."""


@cache
def _adapter(name: str) -> tuple[Adapter, dict[str, Any]]:
    return registry.load(name), {}


def first_mode(name: str) -> str:
    """The mode in which a backend runs every primitive as it is called."""
    return _adapter(name)[0].modes[0]


def started(name: str, device: str, dtype: str, threads: int) -> tuple[Adapter, Facts]:
    """The backend, started for this device and dtype, with a canary: one number that a shorter dtype cannot hold."""
    adapter, state = _adapter(name)
    wanted = (device, dtype, threads)
    if state.get("wanted") != wanted:
        state.pop("wanted", None)
        try:
            state["facts"] = adapter.start(device, dtype, threads)
        except BackendError as error:
            raise UnavailableError(str(error)) from error
        if dtype == "float64":
            canary = np.array([1.0 + 2.0**-40])
            back = adapter.array(adapter.primitives["add"](adapter.tensor(canary), adapter.tensor(np.zeros(1))))
            if back.dtype != np.float64 or back[0] != canary[0]:
                raise BackendError(f"backend {name!r} was started for float64 but computes in {back.dtype}")
        state["wanted"] = wanted
    return adapter, state["facts"]


def function_of(graph: Graph, name: str, adapter: Adapter) -> Callable[..., Any]:
    """The graph as a compiled Python function over the adapter's primitives."""
    return compile_graph(simplify(graph), name, adapter.primitives, adapter.spelling, adapter.namespace)


def _tensors(adapter: Adapter, tree: Any) -> Any:
    return map_tree(adapter.tensor, tree)


class Compiled:
    """The compiled functions of the specification that was checked last: seeds differ in numbers, not in functions."""

    def __init__(self) -> None:
        self.of: tuple[object, ...] = ()
        self.functions: dict[tuple[object, ...], Function] = {}

    def get(self, cell: Cell, subject: tuple[object, ...], make: Callable[[], Function]) -> Function:
        of = (cell.spec, cell.files, cell.implementation, cell.backend)
        if of != self.of:
            self.of, self.functions = of, {}
        key = (cell.mode, cell.dtype, cell.device, cell.threads, *subject)
        if key not in self.functions:
            self.functions[key] = make()
        return self.functions[key]


COMPILED = Compiled()


def subject_values(adapter: Adapter, cell: Cell, number: int, subject: Subject, native: Native | None) -> Values:
    """Every quantity of the subject of this number, computed by the formula or by a native implementation."""
    if native is None:
        forward = function_of(subject.forward, "forward", adapter)
        scalar = None if subject.scalar is None else function_of(subject.scalar, "objective", adapter)
    else:
        forward, scalar = _native_functions(adapter, subject, native)

    def compiled(function: Callable[[], Function], name: str) -> Function:
        return COMPILED.get(cell, (number, subject.case, name), lambda: adapter.compile(function(), cell.mode))

    params, data = _tensors(adapter, subject.params), _tensors(adapter, subject.data)
    found = compiled(lambda: forward, "forward")(params, data)
    values = {name: adapter.array(value) for name, value in found.items()}
    if scalar is not None and subject.params:
        objective = scalar
        _, gradients = compiled(lambda: adapter.value_and_grad(objective), "gradient")(params, data)
        values.update({subject.gradient_name(name): adapter.array(gradients[name]) for name in subject.params})
        if subject.update is not None:
            change = subject.update
            update = compiled(lambda: function_of(change, "update", adapter), "update")
            trained = {name: params[name] for name in subject.update.arguments["params"]}
            own = {name: gradients[name] for name in trained}
            rest = [_tensors(adapter, subject.rest[name]) for name in ("state", "lr", "t")]
            values.update(map_tree(adapter.array, update_quantities(*update(trained, own, *rest))))
    return values


def _native_functions(
    adapter: Adapter, subject: Subject, native: Native
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Forward and objective in terms of the framework's own implementation."""
    total = adapter.primitives["sum"]

    def outputs(params: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
        given = {**params, **data}
        if subject.calls:
            return {what: native.function(*(given[name] for name in names)) for what, names in subject.calls.items()}
        rest = {name: value for name, value in given.items() if name not in (*subject.inputs, "weights")}
        found = native.function(rest, *(given[name] for name in subject.inputs))
        value, statistics = found if isinstance(found, tuple) else (found, {})
        return {subject.native_quantity: value, **{f"{STATE}{name}": new for name, new in statistics.items()}}

    def objective(params: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        found = {what: value for what, value in outputs(params, data).items() if not what.startswith(STATE)}
        numbers = [total(data["weights"] * value) if what == "value" else value for what, value in found.items()]
        return functools.reduce(operator.add, numbers)

    return outputs, objective


def optimizer_values(adapter: Adapter, cell: Cell, steps: Steps) -> Values:
    """Every quantity of an optimizer's steps, by the formula; compiled once for all seeds."""
    compiled, key = steps.path.compiled, (id(adapter), cell.mode, cell.dtype, cell.device, cell.threads)
    if key not in compiled:
        compiled[key] = adapter.compile(function_of(steps.graph, "update", adapter), cell.mode)
    update = compiled[key]

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
        **_labelled(steps, [map_tree(adapter.array, one) for one in alone], ""),
        **_labelled(steps, free, "free-running "),
    }


def _lift(adapter: Adapter, state: Arrays) -> dict[str, dict[str, Any]]:
    return {slot: {PARAM: adapter.tensor(value)} for slot, value in state.items()}


def _labelled(steps: Steps, results: list[Any], prefix: str) -> Values:
    values = {f"{prefix}update": np.stack([params[PARAM] for params, _ in results])}
    for slot in steps.row.state:
        if all(slot in state for _, state in results):
            values[f"{prefix}state.{slot}"] = np.stack([state[slot][PARAM] for _, state in results])
    return values


def native_optimizer_values(steps: Steps, native: Native, dtype: str) -> Values:
    """Every quantity that a framework's own optimizer shows."""

    def short(array: np.ndarray) -> np.ndarray:
        return np.asarray(array, dtype)

    def fresh() -> Any:
        return native.function({PARAM: short(steps.w)}, steps.settings)

    alone, free = [], []
    for k in range(STEPS):
        optimizer = fresh()
        w, state = steps.before(k)
        optimizer.load({PARAM: short(w)}, {slot: {PARAM: short(value)} for slot, value in state.items()}, k)
        optimizer.step({PARAM: short(steps.gradients[k])}, float(steps.rates[k]))
        alone.append(optimizer.read())
    runner = fresh()
    runner.load({PARAM: short(steps.w)}, {slot: {PARAM: short(value)} for slot, value in steps.start.items()}, 0)
    for k in range(STEPS):
        runner.step({PARAM: short(steps.gradients[k])}, float(steps.rates[k]))
        free.append(map_tree(np.array, runner.read()))
    return {**_labelled(steps, alone, ""), **_labelled(steps, free, "free-running ")}
