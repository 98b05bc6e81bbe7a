"""One port of a function, and how it is called with arrays: by its own framework, or by NumPy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.ports.layouts import Layout
from crossnn.ports.tree import Tree, flat, refilled

Values = Mapping[str, Any]
NUMPY = "numpy"


@dataclass(frozen=True)
class Signature:
    """What every port is called with. `params` and `inputs` are trees whose leaves are replaced; names of parameters
    come before those of inputs. `stages` name the results in order where they are a tuple."""

    inputs: Tree
    params: Tree | None = None
    stages: tuple[str, ...] = ()

    def values(self) -> dict[str, Any]:
        return {**flat(self.params if self.params is not None else {}), **named_inputs(self.inputs)}


def named_inputs(inputs: Tree) -> dict[str, Any]:
    """Inputs by name; those of a list are called by their place."""
    return flat(inputs) if isinstance(inputs, Mapping) else flat({f"input {i}": one for i, one in enumerate(inputs)})


@dataclass(frozen=True)
class Port:
    """A function of a user's, by the name that messages use, and the backend whose tensors it takes."""

    name: str
    backend: str
    function: Callable[..., Any]
    signature: Signature
    layouts: Mapping[str, Layout] = field(default_factory=dict)

    def with_function(self, function: Callable[..., Any]) -> Port:
        return replace(self, function=function)

    def call(self, values: Values) -> dict[str, Any]:
        """The results by name, for values in this framework's tensors."""
        inputs, params = self.signature.inputs, self.signature.params
        first = [] if params is None else [refilled(params, values)]
        if not isinstance(inputs, Mapping):
            several = [refilled(one, values, f"input {i}") for i, one in enumerate(inputs)]
            return self.results(self.function(*first, *several))
        named = {name: refilled(one, values, name) for name, one in inputs.items()}
        if _takes_names(self.function, len(first), list(named)):
            return self.results(self.function(*first, **named))
        return self.results(self.function(*first, *named.values()))

    def results(self, tree: Tree) -> dict[str, Any]:
        """Named leaves: by the keys of a dictionary, by `stages`, or `output`, `output 0`, `output 1` ..."""
        stages = self.signature.stages
        if stages and isinstance(tree, tuple | list) and len(tree) == len(stages):
            tree = dict(zip(stages, tree, strict=True))
        elif isinstance(tree, tuple | list) and not hasattr(tree, "_fields"):
            tree = {f"output {i}": one for i, one in enumerate(tree)}
        return {name or "output": one for name, one in flat(tree).items()}

    def stored(self, values: Values) -> dict[str, Any]:
        """Arrays in this port's layouts."""
        return {name: self.layouts[name].forward(one) if name in self.layouts else one for name, one in values.items()}

    def restored(self, gradients: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Gradients in the layouts that the caller gave."""
        return {
            name: self.layouts[name].backward(one) if name in self.layouts else one for name, one in gradients.items()
        }


def _takes_names(function: Callable[..., Any], taken: int, names: Sequence[str]) -> bool:
    """Whether what stands behind the first arguments can be given by these names."""
    try:
        parameters = list(inspect.signature(function).parameters.values())[taken:]
    except (TypeError, ValueError):
        return False
    allowed = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    return set(names) <= allowed


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def is_float(value: Any) -> bool:
    """Of a tensor of any framework, or a number."""
    return "float" in str(getattr(value, "dtype", type(value).__name__))


class Runner:
    """A port with what runs it: values and gradients as NumPy arrays, in the started dtype."""

    def __init__(self, port: Port, adapter: Adapter) -> None:
        self.port, self.adapter = port, adapter

    def outputs(self, values: Values) -> dict[str, np.ndarray]:
        given = self.port.stored(values)
        if self.port.backend == NUMPY:
            with np.errstate(all="ignore"):
                return plain(self.port.call(given))
        tensors = {name: self.adapter.tensor(one) if is_array(one) else one for name, one in given.items()}
        found = self.port.call(tensors)
        return {name: np.asarray(self.adapter.array(one)) for name, one in found.items()}

    def gradients(self, values: Values, wrt: Sequence[str], cotangents: Values) -> dict[str, np.ndarray]:
        """By the framework's own differentiation, of the sum of results times `cotangents`."""
        given, adapter = self.port.stored(values), self.adapter
        tensors = {name: adapter.tensor(one) if is_array(one) else one for name, one in given.items()}
        weights = {name: adapter.tensor(one) for name, one in cotangents.items()}
        add = adapter.primitives["sum"]

        def weighted(params: Values) -> Any:
            found = self.port.call({**tensors, **params})
            parts = [add(found[name] * weight) for name, weight in weights.items()]
            return sum(parts[1:], parts[0])

        _, found = adapter.value_and_grad(weighted)({name: tensors[name] for name in wrt})
        return self.port.restored({name: np.asarray(adapter.array(one)) for name, one in found.items()})


def plain(outputs: Values) -> dict[str, np.ndarray]:
    return {name: np.asarray(one).view(np.ndarray) for name, one in outputs.items()}


def in_dtype(values: Values, dtype: Any) -> dict[str, Any]:
    """Floating-point arrays in another dtype; everything else as it is."""
    return {name: one.astype(dtype) if is_array(one) and one.dtype.kind == "f" else one for name, one in values.items()}
