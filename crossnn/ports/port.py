"""One port of a function, and how it is called with arrays: by its own framework, or by NumPy."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.errors import CrossnnError
from crossnn.ports.layouts import Layout
from crossnn.ports.parts import fetched, part, real_arrays
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
            return self.results(self._called(*first, *several))
        named = {name: refilled(one, values, name) for name, one in inputs.items()}
        if _takes_names(self.function, len(first), list(named)):
            return self.results(self._called(*first, **named))
        return self.results(self._called(*first, *named.values()))

    def _called(self, *given: Any, **named: Any) -> Tree:
        try:
            return self.function(*given, **named)
        except SystemExit as error:
            raise CrossnnError(f"it would end the process: sys.exit({error.code!r})") from error

    def results(self, tree: Tree) -> dict[str, Any]:
        """Named leaves: by the keys of a dictionary, by `stages`, or `output`, `output 0`, `output 1` ..."""
        stages = self.signature.stages
        if stages and not isinstance(tree, Mapping):
            several = list(tree) if isinstance(tree, tuple | list) else [tree]
            if len(several) != len(stages):
                raise CrossnnError(
                    f"stages names {len(stages)} ({', '.join(stages)}), and port {self.name!r} returns "
                    f"{'one result' if len(several) == 1 else f'{len(several)} results'}"
                )
            tree = dict(zip(stages, several, strict=True))
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
    kinds = {one.kind for one in parameters}
    allowed = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    if inspect.Parameter.VAR_KEYWORD in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        fixed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
        needed = {one.name for one in parameters if one.kind != fixed[0] and one.default is one.empty}
        return needed <= set(names) and fixed[1] not in kinds
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
        """Real arrays only: complex results are two (parts.py). A port may write into what it is given."""
        given = self.port.stored(values)
        if self.port.backend == NUMPY:
            with np.errstate(all="ignore"):
                return real_arrays(self.port.call(copied(given)))
        found = self.port.call(self._tensors(given))
        return real_arrays({name: fetched(self.adapter, name, one) for name, one in found.items()})

    def _tensors(self, values: Values) -> dict[str, Any]:
        return {name: self.adapter.tensor(one) if is_array(one) else one for name, one in copied(values).items()}

    def gradients(self, values: Values, wrt: Sequence[str], cotangents: Values) -> dict[str, np.ndarray]:
        """By the framework's own differentiation, of the sum of results times `cotangents`."""
        adapter, tensors = self.adapter, self._tensors(self.port.stored(values))
        weights = {name: adapter.tensor(one) for name, one in cotangents.items()}
        add = adapter.primitives["sum"]

        def weighted(params: Values) -> Any:
            found = self.port.call({**tensors, **params})
            parts = [add(part(adapter, found, name) * weight) for name, weight in weights.items()]
            return sum(parts[1:], parts[0])

        _, found = adapter.value_and_grad(weighted)({name: tensors[name] for name in wrt})
        return self.port.restored({name: np.asarray(adapter.array(one)) for name, one in found.items()})


def copied(values: Values) -> dict[str, Any]:
    """Arrays that may be written into."""
    return {name: np.array(one) if isinstance(one, np.ndarray | np.generic) else one for name, one in values.items()}


def in_dtype(values: Values, dtype: Any) -> dict[str, Any]:
    """Floating-point and complex arrays in another dtype; everything else as it is."""
    kinds = {"f": np.dtype(dtype), "c": np.result_type(dtype, np.complex64)}
    return {name: np.asarray(one, kinds[one.dtype.kind]) if is_array(one) and one.dtype.kind in kinds else one
            for name, one in values.items()}  # fmt: skip
