"""The oracle: the same graph in arbitrary precision (MPFR; mpmath where an exponent is out of MPFR's range).

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

import numpy as np

from crossnn.errors import CrossnnError
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Graph, Node, leaves, map_tree
from crossnn.formula.oracle_arrays import oracle_arrays
from crossnn.formula.precise import ExponentError, Precise, last_digits, unbounded
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.remembered import remembered

FIRST_DIGITS = 50
WIDE_DIGITS = 400
"""Wider than the exponents of float64: nothing that it can hold is absorbed by 1."""
MOST_DIGITS = 1600
AGREEMENT = 25
_BEYOND = 1e15  # exp of more than this has an exponent that no memory holds; its limit is returned instead
_ANGLE = 100_000  # bits before the point: the digits of pi that a larger angle needs would take all day


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

    def objects(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *inputs: function(*(np.asarray(one, dtype=object) for one in inputs))

    def elementwise(function: Callable[..., Any], arity: int) -> Callable[..., Any]:
        return objects(np.frompyfunc(function, arity, 1))

    def bounded(function: Callable[[Any], Any], low: Any, high: Any) -> Callable[[Any], Any]:
        return lambda x: function(x) if abs(x) < _BEYOND else low if x < 0 else high if x > 0 else nan

    def angle(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def of_angle(x: Any) -> Any:
            if mp.mag(x) <= _ANGLE or not mp.isfinite(x):
                return function(x)
            raise OracleError("an angle of more than 30,000 digits has no sine, cosine or tangent here")

        return of_angle

    def quotient(x: Any, y: Any) -> Any:
        if y != 0:
            return x / y
        return nan if x == 0 or mp.isnan(x) else inf if x > 0 else -inf

    def divide(x: Any, y: Any) -> Any:
        return elementwise(quotient, 2)(x, y) if np.any(np.equal(y, 0)) else np.true_divide(x, y)

    def power(x: Any, y: Any) -> Any:
        if y == 0:
            return mp.one
        if mp.isnan(x) or mp.isnan(y):
            return nan
        if x == 0:
            return zero if y > 0 else inf
        if x < 0 and not mp.isint(y):
            return nan
        if abs(y) * (abs(mp.mag(x)) + 1) < _BEYOND:
            return x**y
        size = y * mp.log(abs(x))
        return x**y if abs(size) < _BEYOND else zero if size < 0 else inf

    def compare(ufunc: np.ufunc) -> Callable[..., Any]:
        return lambda x, y: np.asarray(ufunc(np.asarray(x, dtype=object), np.asarray(y, dtype=object)), dtype=bool)

    def reduce(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, axis=None, keepdims=False: function(
            np.asarray(x, dtype=object), axis=_axis(axis), keepdims=keepdims
        )

    def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        total = np.sum(np.asarray(x, dtype=object), axis=_axis(axis), keepdims=keepdims)
        return total / mp.mpf(np.size(x) // max(np.size(total), 1))

    def argmax(x: Any, axis: int = -1) -> Any:
        return np.argmax(np.asarray(x, dtype=object), axis=axis)

    def transpose(x: Any, axes: Any = None) -> Any:
        return np.swapaxes(x, -1, -2) if axes is None else np.transpose(x, axes)

    return {
        "add": objects(np.add),
        "subtract": objects(np.subtract),
        "multiply": objects(np.multiply),
        "divide": objects(divide),
        "power": elementwise(power, 2),
        "negative": objects(np.negative),
        "less": compare(np.less),
        "less_equal": compare(np.less_equal),
        "greater": compare(np.greater),
        "greater_equal": compare(np.greater_equal),
        "equal": compare(np.equal),
        "not_equal": compare(np.not_equal),
        "abs": objects(np.absolute),
        "sign": elementwise(mp.sign, 1),
        "floor": elementwise(mp.floor, 1),
        "exp": elementwise(bounded(mp.exp, zero, inf), 1),
        "expm1": elementwise(bounded(mp.expm1, -mp.one, inf), 1),
        "log": elementwise(lambda x: mp.log(x) if x > 0 else -inf if x == 0 else nan, 1),
        "log1p": elementwise(lambda x: mp.log1p(x) if x > -1 else -inf if x == -1 else nan, 1),
        "sqrt": elementwise(lambda x: mp.sqrt(x) if x >= 0 else nan, 1),
        "sin": elementwise(angle(mp.sin), 1),
        "cos": elementwise(angle(mp.cos), 1),
        "tan": elementwise(angle(mp.tan), 1),
        "sinh": elementwise(bounded(mp.sinh, -inf, inf), 1),
        "cosh": elementwise(bounded(mp.cosh, inf, inf), 1),
        "tanh": elementwise(bounded(mp.tanh, -mp.one, mp.one), 1),
        "arctan": elementwise(mp.atan, 1),
        "erf": elementwise(mp.erf, 1),
        "erfc": elementwise(bounded(mp.erfc, 2 * mp.one, zero), 1),
        "sigmoid": elementwise(bounded(lambda x: 1 / (1 + mp.exp(-x)), zero, mp.one), 1),
        "maximum": elementwise(lambda x, y: x if x >= y else y if y > x else nan, 2),
        "minimum": elementwise(lambda x, y: x if x <= y else y if y < x else nan, 2),
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


def at_precision(
    graph: Graph, arguments: Mapping[str, Any], digits: int, disturbed: bool = False, context: Any = None
) -> Any:
    """The result tree as object arrays of numbers with this many digits; `disturbed` shakes every last digit.
    `context` is the one that is entered already, where the results are used in it."""
    if context is None:
        with Precise(digits) as context, np.errstate(all="ignore"):
            return at_precision(graph, arguments, digits, disturbed, context)

    def number(node: Node) -> Any:
        text = node.options["text"]
        if text == "pi":
            return +context.pi
        return context.mpf(text or node.options["value"])

    def shake(node: Node, inputs: list[Any], value: Any) -> Any:
        if PRIMITIVES[node.operation].rounding == "exact" or _whole(node):
            return value
        return np.asarray(value, dtype=object) * factors(np.shape(value))

    factors = last_digits(context, digits)
    given = {name: map_tree(lambda one: context.zero + _plain(one), tree) for name, tree in arguments.items()}
    return evaluate(graph, oracle_meaning(context), given, number, shake if disturbed else None)


def _whole(node: Node) -> bool:
    """Arithmetic on whole numbers that were written down: exact at every precision. Disturbed, the exponent 3 - 1 of a
    negative number would be no integer."""
    numbers = [child.options["value"] for child in node.inputs if child.operation == "constant"]
    exactly = node.operation in ("add", "subtract", "multiply") and len(numbers) == len(node.inputs)
    return exactly and all(float(number).is_integer() for number in numbers)


def _plain(array: Any) -> Any:
    """Python numbers inside an object array, which are read exactly; what is one already stays."""
    if isinstance(array, np.ndarray) and array.dtype.kind == "O":
        return array
    return np.asarray(array, dtype=np.float64).astype(object)


def exact(graph: Graph, arguments: Mapping[str, Any]) -> list[Exact]:
    """The true values of the results, in order. The precision doubles until a level agrees everywhere with the level
    below, every last digit of which was shaken; where a shaken digit decides (a tie, a kink), two levels that are wide
    enough for every float64 decide alone."""

    def parts() -> list[np.ndarray]:
        try:
            found = _decided(graph, arguments, Precise)
        except ExponentError:  # rare; mpmath takes ten times as long
            found = _decided(graph, arguments, unbounded)
        return [part for one in found for part in (one.hi, one.lo)]

    both = remembered(["exact"], graph, arguments, parts)
    return [Exact(hi, lo) for hi, lo in zip(both[::2], both[1::2], strict=True)]


def _decided(graph: Graph, arguments: Mapping[str, Any], context_of: Callable[[int], Any]) -> list[Exact]:
    def level(digits: int, disturbed: bool = False) -> list[np.ndarray]:
        with context_of(digits) as context, np.errstate(all="ignore"):
            results = leaves(at_precision(graph, arguments, digits, disturbed, context))
            return [np.asarray(one, dtype=object) for one in results]

    digits = FIRST_DIGITS
    shaken, before = level(digits, disturbed=True), None
    while digits < MOST_DIGITS:
        digits *= 2
        with context_of(digits), np.errstate(all="ignore"):
            after = level(digits)
            if all(map(_agree, shaken, after)):
                return [_split(one) for one in after]
            shaken = level(digits, disturbed=True)
            settled = before is not None and digits >= WIDE_DIGITS and all(map(_agree, before, after))
            if settled and all(map(_true_zeros, after, shaken)):
                return [_split(one) for one in after]
            before = after
    raise OracleError(f"two precisions did not agree up to {MOST_DIGITS} digits; the value cannot be decided")


def _agree(before: np.ndarray, after: np.ndarray) -> bool:
    """Equal, or both NaN, or equal to 25 digits, or both below everything; for every element."""
    if after.size and isinstance(after.flat[0], int):  # truth values and places have no digits
        return True
    same = np.equal(before, after) | (np.not_equal(before, before) & np.not_equal(after, after))
    near = np.less_equal(np.abs(before - after), np.abs(after) * 10.0**-AGREEMENT)
    return bool(np.all(same | near | (_nothing(before) & _nothing(after))))


def _nothing(values: np.ndarray) -> Any:
    """Below every float64: zero for all purposes."""
    return np.less(np.abs(values) * 1e30, 1e-300)


def _true_zeros(values: np.ndarray, disturbed: np.ndarray) -> bool:
    return bool(np.all(np.not_equal(values, 0) | _nothing(disturbed)))


def _split(values: np.ndarray) -> Exact:
    hi = values.astype(np.float64) + 0.0  # no -0.0
    rest = values - hi.astype(object)
    return Exact(hi, np.where(np.isfinite(hi), rest, 0.0).astype(np.float64))
