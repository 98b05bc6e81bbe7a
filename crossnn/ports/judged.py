"""The verdict on one tensor of a port, and what is said where there is no tensor to judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.parity.judge import judge
from crossnn.ports.parts import IMAGINARY, REAL, stem
from crossnn.ports.port import Port
from crossnn.ports.result import Compared


def judged(quantity: str, actual: np.ndarray, expected: Any, port: Port, dtype: str, seed: int) -> Compared:
    if expected.exact.hi.dtype.kind == "f" and actual.dtype.kind in "iub":
        actual = actual.astype(dtype)
    if np.dtype(actual.dtype).itemsize > np.dtype(dtype).itemsize:
        actual = actual.astype(dtype)  # more precise than was asked for is no mistake
    one = judge(actual, expected, dtype)
    worst = one.worst
    return Compared(
        port.name, port.backend, quantity, dtype, seed, one.verdict, one.r, one.digits,
        worst.index if worst else (), worst.expected if worst else "", worst.actual if worst else "", one.message,
    )  # fmt: skip


def unlike(outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Results that only one of the two has, and those that are complex in one of them only."""
    for name in expected:
        if name in outputs or name == stem(name) + IMAGINARY:
            continue
        has = f"returns {', '.join(outputs)}" if outputs else "returns nothing"
        message = f"missing; this port {has}"
        if stem(name) in outputs:
            message = "real numbers, where the reference's are complex"
        elif name + REAL in outputs:
            message = "complex numbers, where the reference's are real"
        yield f"output {stem(name)!r}", message
    for name in outputs:
        if name not in expected and stem(name) not in expected and name + REAL not in expected:
            yield f"output {name!r}", f"the reference has {', '.join(expected)} only"


def whole(one: Compared, actual: np.ndarray, expected: np.ndarray) -> Compared:
    """Whole numbers are compared as such: float64 does not know all of those beyond 2**53."""
    if one.failed or actual.dtype.kind not in "iu" or expected.dtype.kind not in "iu":
        return one
    if not np.any(differs := actual != expected):
        return one
    place = tuple(map(int, np.unravel_index(int(np.argmax(differs)), differs.shape)))
    return replace(one, verdict="FORMULA", r=1e308, index=place, expected=str(expected[place]),
                   actual=str(actual[place]))  # fmt: skip


def model_hint(own: str, names: Iterable[str]) -> str:
    return (
        f". {own!r} is a model, so its parameters ({', '.join(names)}) are the first argument of every port: write "
        "f(params, x), or use a model there too"
    )
