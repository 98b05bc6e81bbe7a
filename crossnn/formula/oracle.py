"""The oracle: the same graph in arbitrary precision (mpmath).

A fixed precision is not enough: at x = -700 the definition log(1 + exp(x)) is 0 in 50, 100 and 200 digits. So the
precision is doubled until two levels agree to 25 digits in every element. Numbers written in a formula are read as
text at each precision; hyper-parameters and inputs are the exact binary values that the frameworks receive.

Agreement alone is not enough either: what a sum absorbs is lost at both levels. That softplus is 0 = 0, and the slope
of x*tanh(softplus(x)) agrees with itself while one of its two terms is missing. So the last digit of every rounded step
of the lower level is shaken: what was absorbed wakes up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from crossnn.errors import CrossnnError
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Graph, Node, leaves, map_tree
from crossnn.formula.oracle_arrays import oracle_arrays
from crossnn.formula.primitives import PRIMITIVES

FIRST_DIGITS = 50
WIDE_DIGITS = 400
"""Wider than the exponents of float64: nothing that it can hold is absorbed by 1."""
MOST_DIGITS = 1600
AGREEMENT = 25
_BEYOND = 1e15  # exp of more than this has an exponent that no memory holds; its limit is returned instead
_NOTHING = mpmath.mpf(10) ** -330  # below every float64: zero for all purposes


class OracleError(CrossnnError):
    """Two precisions never agreed: the value cannot be decided."""


@dataclass(frozen=True)
class Exact:
    """A true value as the sum of two float64, correct to about 32 digits."""

    hi: np.ndarray
    lo: np.ndarray


def oracle_meaning(context: Any) -> Mapping[str, Callable[..., Any]]:
    """Primitive name -> function on object arrays of `context`'s numbers."""
    mp, zero, inf, nan = context, context.zero, context.inf, context.nan

    def elementwise(function: Callable[..., Any], arity: int) -> Callable[..., Any]:
        ufunc = np.frompyfunc(function, arity, 1)
        return lambda *inputs: ufunc(*(np.asarray(one, dtype=object) for one in inputs))

    def bounded(function: Callable[[Any], Any], low: Any, high: Any) -> Callable[[Any], Any]:
        return lambda x: function(x) if abs(x) < _BEYOND else low if x < 0 else high if x > 0 else nan

    def divide(x: Any, y: Any) -> Any:
        if y != 0:
            return x / y
        return nan if x == 0 or mp.isnan(x) else inf if x > 0 else -inf

    def power(x: Any, y: Any) -> Any:
        if x == 0:
            return mp.one if y == 0 else zero if y > 0 else inf
        if x < 0 and not mp.isint(y):
            return nan
        size = y * mp.log(abs(x))
        return x**y if abs(size) < _BEYOND else zero if size < 0 else inf

    def compare(function: Callable[[Any, Any], bool]) -> Callable[..., Any]:
        raw = np.frompyfunc(function, 2, 1)
        return lambda x, y: np.asarray(raw(np.asarray(x, dtype=object), np.asarray(y, dtype=object)), dtype=bool)

    def reduce(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, axis=None, keepdims=False: function(
            np.asarray(x, dtype=object), axis=_axis(axis), keepdims=keepdims
        )

    def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        total = np.sum(np.asarray(x, dtype=object), axis=_axis(axis), keepdims=keepdims)
        return total / (np.size(x) // max(np.size(total), 1))

    def argmax(x: Any, axis: int = -1) -> Any:
        return np.argmax(np.asarray(x, dtype=object), axis=axis)

    def transpose(x: Any, axes: Any = None) -> Any:
        return np.swapaxes(x, -1, -2) if axes is None else np.transpose(x, axes)

    return {
        "add": elementwise(lambda x, y: x + y, 2),
        "subtract": elementwise(lambda x, y: x - y, 2),
        "multiply": elementwise(lambda x, y: x * y, 2),
        "divide": elementwise(divide, 2),
        "power": elementwise(power, 2),
        "negative": elementwise(lambda x: -x, 1),
        "less": compare(lambda x, y: x < y),
        "less_equal": compare(lambda x, y: x <= y),
        "greater": compare(lambda x, y: x > y),
        "greater_equal": compare(lambda x, y: x >= y),
        "equal": compare(lambda x, y: x == y),
        "not_equal": compare(lambda x, y: x != y),
        "abs": elementwise(abs, 1),
        "sign": elementwise(mp.sign, 1),
        "floor": elementwise(mp.floor, 1),
        "exp": elementwise(bounded(mp.exp, zero, inf), 1),
        "expm1": elementwise(bounded(mp.expm1, -mp.one, inf), 1),
        "log": elementwise(lambda x: mp.log(x) if x > 0 else -inf if x == 0 else nan, 1),
        "log1p": elementwise(lambda x: mp.log1p(x) if x > -1 else -inf if x == -1 else nan, 1),
        "sqrt": elementwise(lambda x: mp.sqrt(x) if x >= 0 else nan, 1),
        "sin": elementwise(mp.sin, 1),
        "cos": elementwise(mp.cos, 1),
        "tan": elementwise(mp.tan, 1),
        "sinh": elementwise(bounded(mp.sinh, -inf, inf), 1),
        "cosh": elementwise(bounded(mp.cosh, inf, inf), 1),
        "tanh": elementwise(bounded(mp.tanh, -mp.one, mp.one), 1),
        "arctan": elementwise(mp.atan, 1),
        "erf": elementwise(mp.erf, 1),
        "erfc": elementwise(bounded(mp.erfc, 2 * mp.one, zero), 1),
        "sigmoid": elementwise(bounded(lambda x: 1 / (1 + mp.exp(-x)), zero, mp.one), 1),
        "maximum": elementwise(lambda x, y: nan if mp.isnan(x) or mp.isnan(y) else max(x, y), 2),
        "minimum": elementwise(lambda x, y: nan if mp.isnan(x) or mp.isnan(y) else min(x, y), 2),
        "where": lambda c, x, y: np.where(c, np.asarray(x, dtype=object), np.asarray(y, dtype=object)),
        "ones_like": lambda x: np.full(np.shape(x), mp.one, dtype=object),
        "stop_gradient": lambda x: x,
        "sum": reduce(np.sum),
        "mean": mean,
        "max": reduce(np.max),
        "min": reduce(np.min),
        "argmax": argmax,
        "matmul": lambda x, y: np.matmul(np.asarray(x, dtype=object), np.asarray(y, dtype=object)),
        "transpose": transpose,
        "reshape": lambda x, shape: np.reshape(np.asarray(x, dtype=object), shape),
        "flatten": lambda x: np.reshape(x, (np.shape(x)[0], -1)),
        "broadcast": lambda x, shape: np.broadcast_to(np.asarray(x, dtype=object), shape),
        **oracle_arrays(context, np.matmul),
    }


def _axis(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def at_precision(graph: Graph, arguments: Mapping[str, Any], digits: int, disturbed: bool = False) -> Any:
    """The result tree as object arrays of numbers with this many digits; `disturbed` shakes every last digit."""
    context = mpmath.MPContext()
    context.dps = digits
    lift = np.frompyfunc(context.mpf, 1, 1)

    def number(node: Node) -> Any:
        text = node.options["text"]
        if text == "pi":
            return +context.pi
        return context.mpf(text or node.options["value"])

    def shake(node: Node, inputs: list[Any], value: Any) -> Any:
        if PRIMITIVES[node.operation].rounding == "exact" or _whole(node):
            return value
        sizes = generator.uniform(0.5, 1.0, np.shape(value)) * generator.choice([-1, 1], np.shape(value))
        return value * (1 + lift(sizes.astype(object)) * context.mpf(10) ** (2 - digits))

    generator = np.random.default_rng(digits)
    given = {name: map_tree(lambda one: lift(_plain(one)), tree) for name, tree in arguments.items()}
    return evaluate(graph, oracle_meaning(context), given, number, shake if disturbed else None)


def _whole(node: Node) -> bool:
    """Arithmetic on whole numbers that were written down: exact at every precision. Disturbed, the exponent 3 - 1 of a
    negative number would be no integer."""
    numbers = [child.options["value"] for child in node.inputs if child.operation == "constant"]
    exactly = node.operation in ("add", "subtract", "multiply") and len(numbers) == len(node.inputs)
    return exactly and all(float(number).is_integer() for number in numbers)


def _plain(array: Any) -> Any:
    """Python numbers inside an object array: mpmath reads them exactly, NumPy's own scalars it does not know."""
    return np.asarray(array, dtype=np.float64).astype(object)


def exact(graph: Graph, arguments: Mapping[str, Any]) -> list[Exact]:
    """The true values of the results, in order. The precision doubles until a level agrees everywhere with the level
    below, every last digit of which was shaken; where a shaken digit decides (a tie, a kink), two levels that are wide
    enough for every float64 decide alone."""

    def level(digits: int, disturbed: bool = False) -> list[np.ndarray]:
        results = leaves(at_precision(graph, arguments, digits, disturbed))
        return [np.asarray(one, dtype=object) for one in results]

    digits = FIRST_DIGITS
    shaken, before = level(digits, disturbed=True), None
    while digits < MOST_DIGITS:
        digits *= 2
        after = level(digits)
        if all(map(_agree, shaken, after)):
            return [_split(one) for one in after]
        shaken = level(digits, disturbed=True)
        if before is not None and digits >= WIDE_DIGITS and all(map(_agree, before, after)):
            if all(map(_true_zeros, after, shaken)):
                return [_split(one) for one in after]
        before = after
    raise OracleError(f"two precisions did not agree up to {MOST_DIGITS} digits; the value cannot be decided")


def _agree(before: np.ndarray, after: np.ndarray) -> bool:
    tolerance = mpmath.mpf(10) ** -AGREEMENT
    for a, b in zip(before.flat, after.flat, strict=True):
        if isinstance(a, bool | int | np.integer) or a == b or (a != a and b != b):
            continue
        if not abs(a - b) <= tolerance * abs(b) and not (abs(a) < _NOTHING and abs(b) < _NOTHING):
            return False
    return True


def _true_zeros(values: np.ndarray, disturbed: np.ndarray) -> bool:
    return all(abs(b) < _NOTHING for a, b in zip(values.flat, disturbed.flat, strict=True) if a == 0)


def _split(values: np.ndarray) -> Exact:
    hi = np.empty(values.shape)
    lo = np.zeros(values.shape)
    for index in np.ndindex(values.shape):
        value = values[index]
        hi[index] = float(value)
        if np.isfinite(hi[index]) and not isinstance(value, bool | int | np.integer):
            lo[index] = float(value - hi[index].item())
    return Exact(hi, lo)
