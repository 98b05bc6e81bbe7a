"""A row in the smallest shapes that make sense, and plain numbers for its arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from crossnn.catalogue.build import formula_graph
from crossnn.catalogue.example import example
from crossnn.catalogue.rows import Formulated, Layer, Loss, Metric, Row
from crossnn.errors import SpecError, choices, unknown
from crossnn.formula.graph import Graph, Node

DIFFERENTIATED = ("activation", "loss", "regularizer", "layer")

_NUMBERS: Mapping[str, Sequence[float]] = {
    "real": (0.5, -1.0, 2.0, 0.3, -0.7, 1.5),
    "probability": (0.8, 0.3, 0.6, 0.1, 0.9, 0.5),
    "nonnegative": (2.0, 0.5, 1.0, 3.0),
    "binary": (1.0, 0.0),
    "sign": (1.0, -1.0),
    "simplex": (0.2, 0.3, 0.5),
    "label": (1, 0, 2),
    "index": (1, 0, 2),
    "other": (0.3, -0.2, 0.5, 0.1, -0.4, 0.25, 0.6),
}
_SINGLE = {"lr": 0.1, "norm": 2.0, "fan_in": 4.0, "fan_out": 3.0}


@dataclass(frozen=True)
class Plain:
    """A graph in small shapes, what it is derived by, and the name of what arrives at its result (or "")."""

    row: Row
    graph: Graph
    wrt: tuple[str, ...]
    arriving: str
    hyper: Mapping[str, float]
    knobs: Mapping[str, bool | str]

    @property
    def claimed(self) -> str:
        """The derivative that the row claims, as it is written."""
        return str(getattr(self.row, "derivative", ""))

    @property
    def elementwise(self) -> bool:
        """Whether the graph is of single numbers."""
        return all(node.shape == () for node in self.graph.arguments.values())


def plain(row: Row, given: Mapping[str, Any]) -> Plain:
    """Single numbers, if the formula works element by element; else the shapes of the example."""
    one = example(row, given)
    graph = one.graph
    if isinstance(row, Formulated) and row.kind in DIFFERENTIATED and _elementwise(graph):
        shapes = dict.fromkeys(graph.arguments, ())
        graph = formula_graph(row, shapes, one.hyper, one.knobs)
    meets = isinstance(row, Formulated) and row.kind == "activation" and not _elementwise(one.graph)
    arriving = "g" if meets or isinstance(row, Layer) else ""
    return Plain(row, graph, one.wrt, arriving, one.hyper, one.knobs)


def _elementwise(graph: Graph) -> bool:
    """Whether no primitive lets elements meet: everything has the shape of the first argument, or is one number."""
    shape = next(iter(graph.arguments.values())).shape
    return getattr(graph.result, "shape", None) == shape and all(node.shape in ((), shape) for node in graph.live())


def default_numbers(one: Plain) -> dict[str, np.ndarray]:
    """Small different numbers from the domain of each argument."""
    found = {}
    for place, (name, node) in enumerate(one.graph.arguments.items()):
        domain = _domain(one.row, name)
        if name in _SINGLE or (name == "t" and one.row.kind in ("optimizer", "schedule")):
            found[name] = np.full(node.shape, _SINGLE.get(name, 3.0))
        elif domain == "one_hot":
            labels = list(islice(cycle((1, 0, 2)), max(1, math.prod(node.shape[:-1]))))
            found[name] = np.eye(node.shape[-1])[labels].reshape(node.shape)
        else:
            begin = place if domain == "real" else 0  # a target is not the prediction
            numbers = list(islice(cycle(_NUMBERS[domain]), begin, begin + math.prod(node.shape)))
            found[name] = np.array(numbers, dtype=int if node.dtype == "index" else float).reshape(node.shape)
    return found


def _domain(row: Row, name: str) -> str:
    if isinstance(row, Loss | Metric):
        inputs = {"t": row.target, **getattr(row, "inputs", {}), "y": row.prediction}
        return str(inputs.get(name, "real"))
    if isinstance(row, Layer):
        return "index" if name in row.domains else "real" if name in row.inputs else "other"
    return "nonnegative" if name in getattr(row, "state", {}) else "real"


def given_numbers(one: Plain, texts: Iterable[str], extra: Mapping[str, Node]) -> dict[str, np.ndarray]:
    """The default numbers with those of `--at NAME=NUMBER[,NUMBER...]` in their place; `extra`: further arguments."""
    arguments = {**one.graph.arguments, **extra}
    found = default_numbers(one)
    found |= {name: np.ones(node.shape) for name, node in extra.items()}
    for text in texts:
        name, equals, numbers = (part.strip() for part in text.partition("="))
        if not equals or not re.fullmatch(r"[^=]+", numbers or ""):
            raise SpecError(f"--at {text!r}: write NAME=NUMBER, such as --at x=0.5, or all numbers: --at x=1,2,3")
        if name not in arguments:
            raise SpecError(unknown(f"argument of {one.row.name}", name, list(arguments)))
        values = [_read(text, part) for part in numbers.split(",")]
        found[name] = _array(text, arguments[name], values, _labels(one.graph, arguments[name]))
    return found


def _read(text: str, part: str) -> float:
    try:
        value = float(part)
    except ValueError:
        raise SpecError(
            f"--at {text!r}: {part.strip()!r} is no number; allowed: numbers such as -0.5 or 1e-3"
        ) from None
    if not math.isfinite(value):
        raise SpecError(f"--at {text!r}: {part.strip()} is not finite; allowed: finite numbers")
    return value


def _labels(graph: Graph, node: Node) -> int:
    """How many different labels there are, as those see it that use them."""
    found = [1 << 31]
    for user in graph.nodes:
        if user.operation == "one_hot" and user.inputs[0] is node:
            found.append(user.inputs[1].shape[-1])
        elif user.operation == "take" and user.inputs[1] is node:
            found.append(user.inputs[0].shape[0])
    return min(found)


def _array(text: str, node: Node, numbers: Sequence[float], labels: int) -> np.ndarray:
    size = math.prod(node.shape)
    if len(numbers) not in (1, size):
        shape = " x ".join(map(str, node.shape)) or "a single number"
        raise SpecError(
            f"--at {text!r}: {len(numbers)} numbers for {shape}; allowed: {choices({'1': 0, str(size): 0})}"
        )
    if node.dtype == "index":
        if any(not 0 <= number < labels or number != int(number) for number in numbers):
            raise SpecError(f"--at {text!r}: a label is a whole number from 0 to {labels - 1}")
        return np.array([int(number) for number in numbers] * (size // len(numbers)), dtype=int).reshape(node.shape)
    return np.array(list(numbers) * (size // len(numbers))).reshape(node.shape)
