"""The noise interpreter: how much rounding is legitimate, for this computation on these inputs, per element.

Monte-Carlo arithmetic on the NumPy meaning: every result is multiplied by 1 + e*xi with xi uniform on (-1, 1); dot
products and sums are disturbed by e times the root of the sum of squares of their terms. The spread of a dozen such
runs, divided by e, is the noise scale: the size in units of roundoff of what reordered, fused or differently rounded
arithmetic may legitimately do. Evidence and calibration: Parker 1997, and this project's parity notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Graph, Node, leaves, map_tree
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.primitives import PRIMITIVES

EPSILON = 2.0**-24
RUNS = 12


def inexact(node: Node, dtype: str) -> bool:
    """Whether this constant is rounded when it becomes a number of `dtype`."""
    value, text = node.options["value"], node.options["text"]
    if text == "pi":
        return True
    meant = Fraction(text) if text else Fraction(value)
    stored = np.float32(value) if dtype != "float64" else np.float64(value)
    return meant != Fraction(float(stored))


def noise_scales(graph: Graph, arguments: Mapping[str, Any], dtype: str, seed: int = 0, runs: int = RUNS) -> list[np.ndarray]:
    """The noise scale of every element of every result, in units of one roundoff; 0 means exact."""
    given = {name: map_tree(lambda one: np.asarray(one, np.float64), tree) for name, tree in arguments.items()}
    generator = np.random.default_rng([seed, runs])

    def shake(shape: tuple[int, ...]) -> Any:
        return EPSILON * generator.uniform(-1, 1, shape)

    def noisy_number(node: Node) -> Any:
        value = np.float64(node.options["value"])
        return value * (1 + shake(())) if inexact(node, dtype) else value

    def disturb(node: Node, inputs: list[Any], value: Any) -> Any:
        match PRIMITIVES[node.operation].rounding:
            case "rounded":
                return value * (1 + shake(np.shape(value)))
            case "dot":
                return value + shake(np.shape(value)) * np.sqrt(np.matmul(np.square(inputs[0]), np.square(inputs[1])))
            case "total":
                options = {key: node.options[key] for key in ("axis", "keepdims")}
                size = np.sqrt(np.sum(np.square(inputs[0]), **options))
                count = np.size(inputs[0]) // max(np.size(value), 1) if node.operation == "mean" else 1
                return value + shake(np.shape(value)) * size / count
        return value

    with np.errstate(all="ignore"):
        quiet = list(leaves(evaluate(graph, NUMPY, given, lambda node: np.float64(node.options["value"]))))
        squares = [np.zeros(np.shape(one)) for one in quiet]
        for _ in range(runs):
            for total, one, still in zip(squares, leaves(evaluate(graph, NUMPY, given, noisy_number, disturb)), quiet, strict=True):
                total += np.square(np.asarray(one, np.float64) - still)
    return [np.sqrt(total / runs) / EPSILON for total in squares]
