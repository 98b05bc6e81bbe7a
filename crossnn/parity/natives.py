"""Running a framework's own implementations: from a subject to arrays by quantity.

Most are functions of tensors, compiled and differentiated like formulas (compute.py). Some are not: a schedule takes
counts of steps and gives numbers, clipping takes all gradients at once, an initializer draws its own random numbers,
and an optimizer is an object with a state.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Native
from crossnn.catalogue.rows import Clipping, Initializer, Row, Schedule
from crossnn.errors import BackendError
from crossnn.formula.graph import map_tree
from crossnn.parity.compute import Values, labelled, subject_values
from crossnn.parity.functions import drawn_subject
from crossnn.parity.optimizers import Steps
from crossnn.parity.paths import PARAM, STEPS
from crossnn.parity.schedules import SIZES
from crossnn.parity.subject import Subject

DRAWN = (5, 7)
"""The shape of the parameter that an initializer fills."""


def native_values(
    adapter: Adapter, mode: str, row: Row, subject: Subject, native: Native, dtype: str, seed: int
) -> tuple[Subject, Values]:
    """Every quantity that a native implementation shows, and the subject by which it is judged: that of an initializer
    has the framework's own random numbers."""
    match row:
        case Schedule():
            return subject, {"value": _plain(native.function(subject.data["t"]), dtype)}
        case Clipping():
            return subject, _clipped(adapter, mode, subject, native)
        case Initializer():
            return _drawn(row, subject, native, dtype, seed)
    return subject, subject_values(adapter, mode, subject, native)


def _plain(found: Any, dtype: str) -> np.ndarray:
    """Numbers of Python, which have no dtype of their own, in the dtype of the cell; others keep theirs."""
    array = np.asarray(found)
    return array.astype(dtype) if array.dtype == np.float64 else array


def _clipped(adapter: Adapter, mode: str, subject: Subject, native: Native) -> Values:
    """Gradients that are clipped together are given together."""
    function = adapter.compile(native.function, mode)
    values: Values = {}
    for size in SIZES:
        own = {name: adapter.tensor(array) for name, array in subject.data.items() if name.startswith(size)}
        values.update({name: adapter.array(value) for name, value in function(own).items()})
    return values


def _drawn(row: Initializer, subject: Subject, native: Native, dtype: str, seed: int) -> tuple[Subject, Values]:
    draws, parameter = native.function(DRAWN, seed)
    for name, array in {**draws, "the parameter": parameter}.items():
        if np.asarray(array).dtype != dtype:
            raise BackendError(
                f"{native.call}: {name} is of dtype {np.asarray(array).dtype} where {dtype} is asked for"
            )
    own = drawn_subject(row, subject.case, subject.settings, draws, DRAWN)
    value = np.asarray(parameter).reshape(-1, DRAWN[-1])
    shape = own.forward.result["value"].shape
    return own, {"value": value.T if value.shape != shape and value.T.shape == shape else value}


def native_optimizer_values(steps: Steps, native: Native, dtype: str, mode: str) -> Values:
    """Every quantity that a framework's own optimizer shows; `mode` is empty where it runs as it is."""

    def short(array: np.ndarray) -> np.ndarray:
        return np.asarray(array, dtype)

    def fresh() -> Any:
        given = {PARAM: short(steps.w)}, steps.settings
        return native.function(*given, mode) if mode else native.function(*given)

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
    return {**labelled(steps, alone, ""), **labelled(steps, free, "free-running ")}
