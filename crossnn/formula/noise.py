"""The noise interpreter: how much rounding is legitimate, for this computation on these inputs, per element.

Monte-Carlo arithmetic on the NumPy meaning: every result is multiplied by 1 + e*xi with xi uniform on (-1, 1); dot
products and sums are disturbed by e times the root of the sum of squares of their terms. The spread of a dozen such
runs, divided by e, is the noise scale: the size in units of roundoff of what reordered, fused or differently rounded
arithmetic may legitimately do (Monte-Carlo arithmetic: Parker, UCLA report CSD-970002, 1997).

Steps that no arithmetic rounds are not disturbed: `x + 0`, `a - a`, products with 0 and with powers of two. Without
this, a slope such as (1 - 1)/2 + 4e-18, which is that of log1p(exp(-abs(x))) + (x + abs(x))/2 at -40, would drown in
noise that nobody makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from math import prod
from typing import Any

import numpy as np

from crossnn.formula.evaluate import walk
from crossnn.formula.graph import Graph, Node, leaves, map_tree
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.numpy_runs import compute
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.remembered import remembered

EPSILON = 2.0**-24
RUNS = 12
AT_ONCE = 32
MOST_NUMBERS = 2**25
"""So many runs are computed together, and so many numbers of one value: more would fill the memory."""


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
    asked = ["noise", dtype, seed, runs]
    return remembered(asked, graph, arguments, partial(_scales_of, graph, arguments, dtype, seed, runs))


def _scales_of(graph: Graph, arguments: Mapping[str, Any], dtype: str, seed: int, runs: int) -> list[np.ndarray]:
    given = {name: map_tree(lambda one: np.asarray(one, np.float64)[None], tree) for name, tree in arguments.items()}
    generator = np.random.default_rng([seed, runs])
    spread: list[Any] = [0.0] * len(graph.results)
    largest = max((prod(node.shape) for node in graph.live()), default=1)
    together = max(1, min(AT_ONCE, MOST_NUMBERS // max(largest, 1)))
    with np.errstate(all="ignore"):
        for done in range(0, runs, together):
            found = _runs(graph, given, dtype, generator, min(together, runs - done))
            # hypot, since the square of a deviation near 1e-300 would be zero
            parts = (np.hypot.reduce(one[1:] - one[0], axis=0) for one in found)
            spread = [np.hypot(total, part) for total, part in zip(spread, parts, strict=True)]
    return [np.asarray(total / (np.sqrt(runs) * EPSILON)) for total in spread]


def _runs(
    graph: Graph, given: Mapping[str, Any], dtype: str, generator: np.random.Generator, count: int
) -> list[np.ndarray]:
    """The results of this many noisy runs behind a quiet one; of that alone, where no noise arrives."""

    def shake(value: Any) -> Any:
        return generator.uniform(-EPSILON, EPSILON, (count + 1, *value.shape[1:]))

    def number(node: Node) -> Any:
        value = np.array([node.options["value"]])
        return _behind(value, value * (1 + shake(value))) if inexact(node, dtype) else value

    def step(node: Node, inputs: list[Any]) -> Any:
        value = compute(node, node.operation, inputs)
        if PRIMITIVES[node.operation].rounding == "exact":
            return value
        mask = _rounds(node.operation, [one[:1] for one in inputs], value[:1])
        if not np.any(mask):
            return value
        share = _disturbance(node.operation, inputs, value, shake, partial(compute, node), leading=1)
        return _behind(value, value + share * mask)

    return [np.asarray(one, np.float64) for one in leaves(walk(graph, given, number, step))]


def _behind(quiet: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """The noisy runs, the first of which is made quiet."""
    noisy[0] = quiet[0]
    return noisy


def _disturbance(
    operation: str,
    inputs: Sequence[Any],
    value: Any,
    shake: Callable[[Any], Any],
    compute: Callable[[str, Sequence[Any]], Any],
    leading: int = 0,
) -> Any:
    """What one step may add to its result, by the primitive's kind of rounding. `compute` is NumPy's meaning with the
    options of this step; so many `leading` axes count runs."""
    match PRIMITIVES[operation].rounding:
        case "rounded":
            return value * shake(value)
        case "dot":  # a bilinear step: the squares of its products are its own on squares
            return shake(value) * np.sqrt(compute(operation, [*map(np.square, inputs)]))
        case "total":  # a sum, perhaps over places that the other arguments name
            terms, rest = np.square(inputs[0]), inputs[1:]
            if operation == "mean":
                count = compute("sum", [np.ones_like(terms)])
                return shake(value) * np.sqrt(compute("sum", [terms])) / count
            return shake(value) * np.sqrt(compute(operation, [terms, *rest]))
        case "backward":  # the exact result of an input that is wrong by a roundoff of its size
            (x,) = inputs
            size = np.sqrt(np.mean(np.square(x), axis=tuple(range(leading, x.ndim)), keepdims=True))
            return compute(operation, [x + shake(x) * size]) - value
    return 0


def noisy_meaning(generator: np.random.Generator, epsilon: float) -> Mapping[str, Callable[..., Any]]:
    """NumPy's meaning with every rounded step disturbed: for whole trainings, compiled like any other meaning."""

    def shake(value: Any) -> Any:
        return epsilon * generator.uniform(-1, 1, np.shape(value))

    def disturbed(name: str) -> Callable[..., Any]:
        def function(*inputs: Any, **options: Any) -> Any:
            def plain(operation: str, given: Sequence[Any]) -> Any:
                return NUMPY[operation](*given, **options)

            value = plain(name, inputs)
            return value + _disturbance(name, inputs, value, shake, plain)

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
