"""Compiled functions of trees in TensorFlow, called as cheaply as it can be done."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from crossnn.adapter import Function, Tensor, Tree
from crossnn.formula.graph import leaves, map_tree


class Compiled:
    """A function of trees as concrete functions of their tensors, one for each signature: a call of a tf.function
    takes 0.1 ms for trees, more than half of a small training step, and that of a concrete function a quarter.

    What is given away is kept in variables, which TensorFlow renews where they lie; results of a function would get
    memory of their own. The variables themselves are what is returned, and expected to come back."""

    def __init__(self, f: Function, xla: bool, donated: int, traced: Callable[[float], None]) -> None:
        self.f, self.xla, self.donated, self.traced = f, xla, donated, traced
        self.made: dict[Any, tuple[Function, Sequence[tf.Variable], Tree]] = {}

    def __call__(self, *arguments: Tree) -> Tree:
        signature = _signature(arguments)
        if signature not in self.made:
            self.made[signature] = self._make(arguments)
        function, variables, result = self.made[signature]
        for variable, given in zip(variables, leaves(arguments[: self.donated]), strict=True):
            if variable is not given:
                variable.assign(given)
        found = iter((*function(*leaves(arguments[self.donated :])), *variables))
        return map_tree(lambda _: next(found), result)

    def _make(self, arguments: Tree) -> tuple[Function, Sequence[tf.Variable], Tree]:
        result: Tree = None
        variables = [tf.Variable(one) for one in leaves(arguments[: self.donated])]

        def traced(*tensors: Tensor) -> Any:
            nonlocal result
            start, given = time.perf_counter(), iter((*map(tf.convert_to_tensor, variables), *tensors))
            result = self.f(*map_tree(lambda _: next(given), arguments))
            self.traced(time.perf_counter() - start)
            found = list(leaves(result))
            fresh = len(found) - len(variables)
            for variable, value in zip(variables, found[fresh:], strict=True):
                variable.assign(value)
            return tuple(found[:fresh])

        specs = [
            tf.TensorSpec(one.shape, one.dtype)
            for one in map(tf.convert_to_tensor, leaves(arguments[self.donated :]))
        ]  # fmt: skip
        function = tf.function(traced, autograph=False, jit_compile=self.xla).get_concrete_function(*specs)
        return function, variables, map_tree(lambda _: None, result)


def _signature(tree: Tree) -> Any:
    """What a concrete function is made for: structure, shapes and dtypes."""
    if isinstance(tree, dict):
        return (*tree, *map(_signature, tree.values()))
    if isinstance(tree, tuple | list):
        return tuple(map(_signature, tree))
    return (tree.shape, tree.dtype) if hasattr(tree, "dtype") else type(tree)
