"""The noise interpreter: how much rounding is legitimate, for this computation on these inputs, per element.

Monte-Carlo arithmetic on the NumPy meaning: every result is multiplied by 1 + e*xi with xi uniform on (-1, 1); dot
products and sums are disturbed by e times the root of the sum of squares of their terms. The spread of a dozen such
runs, divided by e, is the noise scale: the size in units of roundoff of what reordered, fused or differently rounded
arithmetic may legitimately do (Monte-Carlo arithmetic: Parker, UCLA report CSD-970002, 1997).

Steps that no arithmetic rounds are not disturbed: `x + 0`, `a - a`, products with 0 and with powers of two. Without
this, the slope of softplus at -40, which is (1 - 1)/2 + 4e-18, would drown in noise that nobody makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


def noise_scales(
    graph: Graph, arguments: Mapping[str, Any], dtype: str, seed: int = 0, runs: int = RUNS
) -> list[np.ndarray]:
    """The noise scale of every element of every result, in units of one roundoff; 0 means exact."""
    given = {name: map_tree(lambda one: np.asarray(one, np.float64), tree) for name, tree in arguments.items()}
    generator = np.random.default_rng([seed, runs])
    rounds: dict[int, np.ndarray | bool] = {}

    def shake(shape: tuple[int, ...]) -> Any:
        return EPSILON * generator.uniform(-1, 1, shape)

    def number(node: Node) -> Any:
        return np.float64(node.options["value"])

    def noisy_number(node: Node) -> Any:
        return number(node) * (1 + shake(())) if inexact(node, dtype) else number(node)

    def notice(node: Node, inputs: list[Any], value: Any) -> Any:
        rounds[id(node)] = _rounds(node.operation, inputs, value)
        return value

    def disturb(node: Node, inputs: list[Any], value: Any) -> Any:
        mask = rounds.get(id(node), True)
        return value + _disturbance(node.operation, inputs, value, node.options, shake) * mask

    with np.errstate(all="ignore"):
        quiet = list(leaves(evaluate(graph, NUMPY, given, number, notice)))
        spread = [np.zeros(np.shape(one)) for one in quiet]
        for _ in range(runs):
            noisy = leaves(evaluate(graph, NUMPY, given, noisy_number, disturb))
            # hypot, since the square of a deviation near 1e-300 would be zero
            spread = [np.hypot(total, one - still) for total, one, still in zip(spread, noisy, quiet, strict=True)]
    return [np.asarray(total / (np.sqrt(runs) * EPSILON)) for total in spread]


def _disturbance(
    operation: str, inputs: list[Any], value: Any, options: Mapping[str, Any], shake: Callable[[tuple[int, ...]], Any]
) -> Any:
    """What one step may add to its result, by the primitive's kind of rounding."""
    match PRIMITIVES[operation].rounding:
        case "rounded":
            return value * shake(np.shape(value))
        case "dot":  # a bilinear step: the squares of its products are its own on squares
            return shake(np.shape(value)) * np.sqrt(NUMPY[operation](*map(np.square, inputs), **options))
        case "total" if operation in ("sum", "mean"):
            size = np.sqrt(
                np.sum(np.square(inputs[0]), axis=options.get("axis"), keepdims=options.get("keepdims", False))
            )
            count = np.size(inputs[0]) // max(np.size(value), 1) if operation == "mean" else 1
            return shake(np.shape(value)) * size / count
        case "total":  # a sum over places that other arguments name
            terms = NUMPY[operation](np.square(inputs[0]), *inputs[1:], **options)
            return shake(np.shape(value)) * np.sqrt(terms)
        case "backward":  # the exact result of an input that is wrong by a roundoff of its size
            (x,) = inputs
            near = x + shake(np.shape(x)) * np.sqrt(np.mean(np.square(x)))
            return NUMPY[operation](near, **options) - value
    return 0


def noisy_meaning(generator: np.random.Generator, epsilon: float) -> Mapping[str, Callable[..., Any]]:
    """NumPy's meaning with every rounded step disturbed: for whole trainings, compiled like any other meaning."""

    def shake(shape: tuple[int, ...]) -> Any:
        return epsilon * generator.uniform(-1, 1, shape)

    def disturbed(name: str) -> Callable[..., Any]:
        def function(*inputs: Any, **options: Any) -> Any:
            value = NUMPY[name](*inputs, **options)
            return value + _disturbance(name, list(inputs), value, options, shake)

        return function if PRIMITIVES[name].rounding != "exact" else NUMPY[name]

    return {name: disturbed(name) for name in NUMPY}


def _rounds(operation: str, inputs: list[Any], value: Any) -> Any:
    """Where this step rounds at all, on the undisturbed values."""
    if operation in ("add", "subtract"):
        x, y = inputs
        return np.logical_not((np.equal(x, 0)) | np.equal(y, 0) | np.equal(value, 0))
    if operation == "multiply":
        return np.logical_not(_scales(inputs[0]) | _scales(inputs[1]))
    if operation == "divide":
        return np.logical_not(np.equal(inputs[0], 0) | _scales(inputs[1]))
    return True


def _scales(factor: Any) -> Any:
    """Zero, or a power of two with either sign: multiplying by it is exact."""
    return np.equal(factor, 0) | (np.abs(np.frexp(factor)[0]) == 0.5)
