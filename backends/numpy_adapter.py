"""NumPy as a backend: eager on a tape of computed values, compiled to planned source from a recorded graph.

NumPy has no automatic differentiation and no compiler, so crossnn's own are used. Eager: parameters are wrapped in
`Recorded`, every primitive computes at once and leaves a note on a tape, and the derivative rules walk back over it.
Compiled: the function is called once with symbols for each signature of shapes and types, and what it recorded is
differentiated, simplified and printed as straight-line NumPy (crossnn/formula/planned/source.py).
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from crossnn.adapter import BaseAdapter, Facts, Function, Meaning, Opened, Params, Tree
from crossnn.errors import BackendError
from crossnn.formula.derive import Rules, backpropagate, gradients, rules
from crossnn.formula.graph import Node, leaves, map_tree
from crossnn.formula.numpy_meaning import UFUNCS, numpy_meaning
from crossnn.formula.planned.compiled import Compiled
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.source import OPERATORS

if TYPE_CHECKING:
    from crossnn.drawing.view import View
    from crossnn.trace.executed import Executed

DTYPES = ("float64", "float32")
_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


class Recorded(Node):
    """A computed value that remembers where it came from: the node of an imperative tape."""

    __slots__ = ("meaning", "value")

    def __init__(
        self,
        tape: list[Node],
        meaning: Meaning,
        value: Any,
        operation: str = "input",
        inputs: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(tape, operation, inputs, options, getattr(value, "shape", ()))
        self.meaning = meaning
        self.value = value

    def apply(self, name: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> Node:
        inputs = tuple(self.lift(argument) for argument in arguments)
        complete = {**PRIMITIVES[name].options, **options}
        value = self.meaning[name](*(node.value for node in inputs), **complete)
        return Recorded(self.tape, self.meaning, value, name, inputs, complete)

    def lift(self, value: Any) -> Recorded:
        return value if isinstance(value, Recorded) else Recorded([], self.meaning, value)


def _dispatch(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
    """A primitive that computes arrays and numbers, and records when a node is among its arguments."""

    def one(x: Any, **options: Any) -> Any:
        return x.apply(name, (x,), options) if isinstance(x, Node) else compute(x, **options)

    def several(*arguments: Any, **options: Any) -> Any:
        for argument in arguments:
            if isinstance(argument, Node):
                return argument.apply(name, arguments, options)
        return compute(*arguments, **options)

    function = one if PRIMITIVES[name].arity == 1 else several
    function.__name__ = name
    return function


_SPELLED = [
    name for name in (*UFUNCS, "where", "sum", "mean", "max", "min", "argmax", "reshape") if name not in OPERATORS
]


class NumpyAdapter(BaseAdapter):
    """The backend without a framework."""

    name = "numpy"
    modes = ("eager", "compiled")
    crops = ("compiled",)
    donates = True
    spelling: Mapping[str, str] = {
        **{name: f"np.{name}" for name in _SPELLED},
        "arctan": "np.arctan",
        "broadcast": "np.broadcast_to",
    }

    def __init__(self) -> None:
        self.device = "cpu"
        self._use("float64")

    def _use(self, dtype: str) -> None:
        self.dtype = dtype
        self.meaning = numpy_meaning(dtype)
        dispatched = {name: _dispatch(name, function) for name, function in self.meaning.items()}
        self.primitives: Meaning = {**dispatched, **OPERATORS}
        # The same names as the module's, so that shown source reads and runs as NumPy, but able to record.
        public = {spelled.removeprefix("np."): self.primitives[name] for name, spelled in self.spelling.items()}
        self.namespace = {"np": SimpleNamespace(**public)}
        self._rules: Rules = rules(self.meaning)

    def start(self, device: str, dtype: str, threads: int) -> Facts:
        if device != "cpu":
            raise BackendError(f"numpy runs on cpu only, not on {device!r}")
        if dtype not in DTYPES:
            raise BackendError(f"numpy computes in {' or '.join(DTYPES)} here, not in {dtype!r}")
        self._use(dtype)
        library, used = _blas(threads)
        self.device, self.threads = device, used
        return Facts(self.name, device, dtype, used, {"numpy": np.__version__}, {"blas": library})

    def tensor(self, array: np.ndarray) -> np.ndarray:
        array = np.asarray(array)
        return np.array(array, self.dtype if array.dtype.kind == "f" else None, order="C")

    def array(self, tensor: Any) -> np.ndarray:
        return np.array(tensor)

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        @functools.wraps(f)
        def value_and_gradients(params: Params, *data: Tree) -> tuple[Any, Params]:
            if any(isinstance(leaf, Node) for leaf in leaves(params)):
                return _symbolic(f, params, data, aux)
            with np.errstate(all="ignore"):
                return self._imperative(f, params, data, aux)

        return value_and_gradients

    def _imperative(self, f: Function, params: Params, data: Sequence[Tree], aux: bool) -> tuple[Any, Params]:
        tape: list[Node] = []
        recorded = map_tree(lambda value: Recorded(tape, self.meaning, value), params)
        result = f(recorded, *data)
        value = result[0] if aux else result
        targets = list(leaves(recorded))
        found: list[Any] = [None] * len(targets)
        if isinstance(value, Recorded):
            seed = np.ones((), np.result_type(value.value))[()]
            found = backpropagate(value, targets, seed, self._rules, self.meaning, read=lambda node: node.value)
        each = iter(np.zeros_like(t.value) if g is None else g for g, t in zip(found, targets, strict=True))
        plain = map_tree(lambda one: one.value if isinstance(one, Recorded) else one, result)
        return plain, map_tree(lambda _: next(each), params)

    def compile(self, f: Function, mode: str, donated: int = 0) -> Function:
        if mode == "compiled":
            return Compiled(f, self.dtype, donated)
        if mode == "eager":

            @functools.wraps(f)
            def eager(*arguments: Tree) -> Tree:
                with np.errstate(all="ignore"):
                    return f(*arguments)

            return eager
        raise BackendError(f"numpy has no mode {mode!r}; its modes are {', '.join(self.modes)}")

    def opened(self, call: str) -> Opened:
        from . import numpy_opened

        return numpy_opened.opened(call)

    def views(self, f: Function, arguments: Sequence[Tree], mode: str) -> Iterator[View]:
        from . import numpy_graphs

        return numpy_graphs.views(f, arguments, mode, self.dtype)

    def watched(
        self, f: Function, arguments: Sequence[Tree], cotangent: np.ndarray | None = None
    ) -> tuple[Tree, list[Executed]]:
        from . import numpy_graphs

        return numpy_graphs.watched(f, arguments, self.dtype, cotangent)


def _symbolic(f: Function, params: Params, data: Sequence[Tree], aux: bool) -> tuple[Any, Params]:
    targets = list(leaves(params))
    result = map_tree(targets[0].lift, f(params, *data))
    found = iter(gradients(result[0] if aux else result, targets))
    return result, map_tree(lambda _: next(found), params)


def _blas(threads: int) -> tuple[str, int]:
    """Ask the matrix library for this many threads where it can be asked; its name, and how many it will use."""
    try:
        threadpoolctl: Any = importlib.import_module("threadpoolctl")
    except ModuleNotFoundError:  # then only the environment, read before NumPy was imported, decides
        known = [int(os.environ[name]) for name in _THREADS if os.environ.get(name, "").isdigit()]
        return "unknown (threadpoolctl is not installed)", known[0] if known else os.cpu_count() or 1
    threadpoolctl.threadpool_limits(threads, "blas")
    found = [one for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
    library = ", ".join(sorted({f"{one['internal_api']} {one['version']}" for one in found}))
    return library or "none", max((one["num_threads"] for one in found), default=1)
