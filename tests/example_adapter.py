"""A whole backend in one short file: NumPy arrays that remember how they were made, and walk back along that memory.

A tensor here is a `Value`: a graph node that also holds its number. The formulas call `primitives` on values; each
call computes at once with NUMPY and keeps its inputs; the derivative rules that crossnn owns run from the result back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.adapter import BaseAdapter, Function, Params, Tensor, Tree
from crossnn.formula.derive import backpropagate, rules
from crossnn.formula.graph import Node
from crossnn.formula.primitives import PRIMITIVES

NUMPY: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in PRIMITIVES if hasattr(np, name)},
    "erf": lambda x: np.vectorize(math.erf, otypes=[np.asarray(x).dtype])(x),
    "argmax": lambda x, axis=-1: np.argmax(x, axis),
    "stop_gradient": lambda x: x,
    "transpose": lambda x, axes=None: np.swapaxes(x, -1, -2) if axes is None else np.transpose(x, axes),
    "reshape": lambda x, shape: np.reshape(x, shape),
    "flatten": lambda x: np.reshape(x, (len(x), -1)),
    "broadcast": lambda x, shape: np.broadcast_to(x, shape),
}
RULES = rules(NUMPY)


class Value(Node):
    """A node that holds its number; operators and primitives on it come to `apply`, as on any node."""

    def __init__(self, number: Any, operation: str = "input", inputs: tuple[Any, ...] = (), **options: Any) -> None:
        super().__init__([], operation, inputs, options, np.shape(number))
        self.number = number

    def apply(self, name: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> Value:
        inputs = tuple(one if isinstance(one, Value) else Value(one) for one in arguments)
        options = {**PRIMITIVES[name].options, **options}
        return Value(NUMPY[name](*(one.number for one in inputs), **options), name, inputs, **options)

    def primitive(self, name: str) -> Function:
        return lambda *arguments, **options: self.apply(name, arguments, options)


class TapeAdapter(BaseAdapter):
    name = "tape"
    primitives: Mapping[str, Function] = {name: Value(0).primitive(name) for name in PRIMITIVES}
    dtype = "float64"

    def tensor(self, array: np.ndarray) -> Tensor:
        array = np.asarray(array)
        return Value(array.astype(self.dtype) if np.issubdtype(array.dtype, np.floating) else array)

    def array(self, tensor: Tensor) -> np.ndarray:
        return np.array(tensor.number)

    def value_and_grad(self, f: Function) -> Function:
        def value_and_grad(params: Params, *data: Tree) -> Tree:
            leaves = {name: Value(tensor.number) for name, tensor in params.items()}
            value = f(leaves, *data)
            seed = np.ones((), value.number.dtype)
            found = backpropagate(value, list(leaves.values()), seed, RULES, NUMPY, lambda node: node.number)
            zeros = [np.zeros_like(leaf.number) for leaf in leaves.values()]
            known = [Value(zero if g is None else g) for g, zero in zip(found, zeros, strict=True)]
            return value, dict(zip(leaves, known, strict=True))

        return value_and_grad
