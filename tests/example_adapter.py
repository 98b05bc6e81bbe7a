"""A whole backend in one short file: NumPy arrays that remember how they were made, and walk back along that memory.

A tensor here is a `Value`: a graph node that also holds its number. The formulas call `primitives` on values; each
call computes at once and keeps its inputs; the derivative rules that crossnn owns run from the result back. To check a
specification with it: `crossnn check softmax --backend example_adapter:TapeAdapter` in this folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from crossnn.adapter import BaseAdapter, Facts, Function, Params, Tensor, Tree
from crossnn.formula.derive import backpropagate, rules
from crossnn.formula.graph import Node
from crossnn.formula.numpy_meaning import numpy_meaning
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.source import OPERATORS


class Value(Node):
    """A node that holds its number; operators and primitives on it come to `apply`, as on any node."""

    def __init__(self, number: Any, table: Mapping[str, Function], operation: str = "input", inputs: Any = ()) -> None:
        super().__init__([], operation, inputs, {}, np.shape(number))
        self.number, self.table = number, table

    def apply(self, name: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> Value:
        inputs = tuple(one if isinstance(one, Value) else Value(one, self.table) for one in arguments)
        complete = {**PRIMITIVES[name].options, **options}
        with np.errstate(all="ignore"):
            result = Value(self.table[name](*(one.number for one in inputs), **complete), self.table, name, inputs)
        result.options = complete
        return result


class TapeAdapter(BaseAdapter):
    name = "tape"

    def start(self, device: str, dtype: str, threads: int) -> Facts:
        self.table = numpy_meaning(dtype)
        return super().start(device, dtype, threads)

    @property
    def primitives(self) -> Mapping[str, Function]:
        """Operators work on values by themselves; every other primitive is applied by a value."""
        anchor = Value(0.0, self.table)
        return {name: partial(self.call, anchor, name) for name in PRIMITIVES} | dict(OPERATORS)

    def call(self, anchor: Value, name: str, *arguments: Any, **options: Any) -> Value:
        return anchor.apply(name, arguments, options)

    def tensor(self, array: np.ndarray) -> Tensor:
        return Value(np.asarray(array, self.dtype), self.table)

    def array(self, tensor: Tensor) -> np.ndarray:
        return np.array(tensor.number)

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        def value_and_grad(params: Params, *data: Tree) -> Tree:
            leaves = {name: Value(tensor.number, self.table) for name, tensor in params.items()}
            result, seed = f(leaves, *data), np.ones((), self.dtype)
            value = result[0] if aux else result
            found = backpropagate(
                value, list(leaves.values()), seed, rules(self.table), self.table, lambda node: node.number
            )
            zeros = [np.zeros_like(leaf.number) for leaf in leaves.values()]
            known = [Value(zero if g is None else g, self.table) for g, zero in zip(found, zeros, strict=True)]
            return result, dict(zip(leaves, known, strict=True))

        return value_and_grad
