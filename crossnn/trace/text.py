"""What ran, as a table of one line each, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from crossnn.trace.executed import INPUT, Executed

SHOWN = 4
"""So many numbers are printed one by one."""
WRITTEN = 256
"""So many go into JSON one by one."""
HEAD = ("", "primitive", "inputs", "value", "gradient", "µs", "bytes")


def table(executed: Sequence[Executed], gradient: bool) -> tuple[list[str], list[list[str]]]:
    """Head and rows; without gradients, without their column."""
    head = [name for name in HEAD if gradient or name != "gradient"]
    return head, [_row(one, gradient) for one in executed]


def _row(one: Executed, gradient: bool) -> list[str]:
    argument = one.operation == INPUT
    named = one.operation
    if one.name:
        named = f"{named} {one.name}" if argument else f"{one.name} = {named}"
    inputs = ", ".join(one.inputs)
    value = short(one.value)
    row = [one.key, f"{named} (backward)" if one.backward else named, inputs if len(inputs) <= 40 else
           f"{inputs[:37]}...", f"{value}  result" if one.returned else value]  # fmt: skip
    if gradient:
        row.append("" if one.gradient is None else short(one.gradient))
    return [*row, "" if argument else f"{one.seconds * 1e6:.1f}", str(one.bytes)]


def short(array: np.ndarray) -> str:
    """The numbers themselves if they are few, else shape, range and mean."""
    array = np.asarray(array)
    if array.shape == ():
        return _number(array.item())
    if array.size <= SHOWN:
        return _nested(array.tolist())
    shape = "x".join(map(str, array.shape))
    if array.dtype == bool:
        return f"{shape}: {int(array.sum())} true"
    low, high, mean = (_number(float(one)) for one in _range(array))
    return f"{shape}: {low} to {high}, mean {mean}"


def _range(array: np.ndarray) -> tuple[Any, Any, Any]:
    with np.errstate(all="ignore"):
        return array.min(), array.max(), array.mean()


def _nested(value: Any) -> str:
    return f"[{', '.join(map(_nested, value))}]" if isinstance(value, list) else _number(value)


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def as_json(one: Executed) -> dict[str, Any]:
    """One line; many numbers are summarised, and what is no finite number is text."""
    return {
        "number": one.number,
        "primitive": one.operation,
        "name": one.name,
        "inputs": list(one.inputs),
        "value": _values(one.value),
        "gradient": None if one.gradient is None else _values(one.gradient),
        "microseconds": round(one.seconds * 1e6, 3),
        "bytes": one.bytes,
        "backward": one.backward,
        "result": one.returned,
    }


def _values(array: np.ndarray) -> dict[str, Any]:
    array = np.asarray(array)
    found: dict[str, Any] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    if array.size <= WRITTEN:
        return {**found, "numbers": _finite(array.tolist())}
    low, high, mean = (_finite(float(one)) for one in _range(array))
    return {**found, "min": low, "max": high, "mean": mean}


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
