"""Numbers to trace with: drawn from the domain that a row declares, few digits each; or given, and then checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.rows import Domain, Formulated, Loss, Metric
from crossnn.errors import SpecError
from crossnn.formula.shapes import Shape


def drawn(
    row: Formulated, name: str, shapes: Mapping[str, Shape], generator: np.random.Generator, index: bool
) -> np.ndarray:
    """Short numbers of the domain that the row declares."""
    shape = shapes[name]
    if index:
        return generator.integers(classes(shapes), size=shape)
    if name.startswith("fan_"):
        return np.array(3.0)
    if row.kind == "schedule":
        return np.full(shape, 10.0)
    domain: Domain = "real"
    if isinstance(row, Loss | Metric):
        domain = row.prediction if name == next(iter(shapes)) else row.target
        domain = row.inputs.get(name, domain) if isinstance(row, Loss) else domain
    match domain:
        case "probability":
            return short(generator.uniform(0.05, 0.95, shape))
        case "simplex" if shape:
            raw = generator.uniform(0.1, 1, shape)
            return np.asarray(raw / raw.sum(axis=-1, keepdims=True))
        case "one_hot" if shape:
            return np.eye(shape[-1])[generator.integers(shape[-1], size=shape[:-1])]
        case "binary" | "label" | "index":
            return (generator.random(shape) < 0.5).astype(float)
        case "sign":
            return np.where(generator.random(shape) < 0.5, -1.0, 1.0)
        case "nonnegative":
            return short(np.exp(generator.normal(size=shape)))
    return short(generator.uniform(0.02, 0.98, shape) if name == "u" else generator.normal(size=shape))


def classes(shapes: Mapping[str, Shape]) -> int:
    """How many labels there are: the last length of the first variable."""
    return (next(iter(shapes.values())) or (1,))[-1]


def short(values: Any) -> np.ndarray:
    """Two decimals, and no zero."""
    found = np.round(np.asarray(values, float), 2)
    return np.where(found == 0, 0.01, found)


def filled(name: str, given: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The numbers given, or the one number given everywhere."""
    if given.shape not in ((), like.shape):
        raise SpecError(f"--input {name}: {given.shape} is not its shape, {like.shape}; one number fills it")
    checked = whole(name, given) if like.dtype.kind in "iu" else given
    return np.array(np.broadcast_to(checked, like.shape))


def whole(name: str, given: np.ndarray, below: int = 2**31) -> np.ndarray:
    if not np.all((given >= 0) & (given < below) & (given == np.floor(given))):
        raise SpecError(f"--input {name}: indices are whole numbers from 0 to {below - 1:,}")
    return given.astype(int)
