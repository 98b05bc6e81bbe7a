"""Subjects: what exactly is compared, as graphs with inputs, before any backend is chosen.

A subject has a forward graph (named results) and, where something is differentiated, a scalar graph whose gradients
with respect to `params` are compared. The truth comes from `definition` graphs where the specification has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from crossnn.formula.evaluate import evaluate
from crossnn.formula.fingerprint import Alike, differentiated, joined, simplified
from crossnn.formula.graph import Graph, Node, shape_of
from crossnn.formula.noise import RUNS, noise_scales
from crossnn.formula.numpy_meaning import numpy_meaning
from crossnn.formula.oracle import Exact, exact
from crossnn.formula.shapes import Shape
from crossnn.formula.source import compile_graph
from crossnn.parity.judge import Reference, ratios
from crossnn.parity.rule import LIMIT

Arrays = dict[str, np.ndarray]


def shapes_of(params: Arrays, data: Arrays) -> dict[str, dict[str, Shape]]:
    """The shapes with which a function of (params, data) is recorded."""
    return {"params": {k: shape_of(v) for k, v in params.items()}, "data": {k: shape_of(v) for k, v in data.items()}}


@lru_cache(maxsize=64)
def _compiled(key: Alike, name: str, dtype: str) -> Callable[..., Any]:
    return compile_graph(key.graph, name, numpy_meaning(dtype))


def _is_short(value: Any) -> bool:
    return getattr(value, "dtype", None) == np.float32


@dataclass(frozen=True)
class Kink:
    """An element of a gradient at which the slope is a convention."""

    quantity: str
    index: tuple[int, ...]
    at: float
    weight: float


@dataclass
class Subject:
    """One computation to be judged. The graphs take (params, data); `update` takes what an optimizer takes, and `step`
    is the whole training step, which only the oracle evaluates: backends use their own gradients. `calls` says which
    quantities a native implementation returns, and for which arguments. What is `tabulated` has no right value: it is
    shown and not judged."""

    case: str
    settings: Mapping[str, Any]
    forward: Graph
    params: Arrays
    data: Arrays
    scalar: Graph | None = None
    definition: Graph | None = None
    scalar_definition: Graph | None = None
    elementwise: bool = False
    gradient_names: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    kinks: tuple[Kink, ...] = ()
    native_quantity: str = ""
    inputs: tuple[str, ...] = ("x",)
    update: Graph | None = None
    step: Graph | None = None
    rest: Mapping[str, Any] = field(default_factory=dict)
    calls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tabulated: bool = False

    @property
    def shapes(self) -> dict[str, dict[str, Shape]]:
        return shapes_of(self.params, self.data)

    @property
    def arguments(self) -> dict[str, Arrays]:
        return {"params": self.params, "data": self.data}

    @cached_property
    def forward_graph(self) -> Graph:
        return simplified(self.forward)

    @cached_property
    def gradient(self) -> Graph | None:
        """The gradient of what backends are given: the simplified objective, in whose order cotangents add up."""
        return None if self.scalar is None else simplified(differentiated(simplified(self.scalar), "params"))

    @cached_property
    def truth(self) -> dict[str, Exact]:
        """The oracle's value of every quantity."""
        scalar = self.scalar_definition or self.scalar
        gradient = None if scalar is None else differentiated(scalar, "params")
        return self._named(exact(*self._whole(self.definition or self.forward, gradient, self.step)))

    def _whole(self, *graphs: Graph | None) -> tuple[Graph, dict[str, Any]]:
        """Forward, gradient and step as one graph, with its arguments."""
        rest = {} if self.step is None else self.rest
        return joined(*(graph for graph in graphs if graph is not None)), {**self.arguments, **rest}

    def _named(self, results: list[Any]) -> dict[str, Any]:
        """The results of such a graph by quantity; the objective, of which a gradient is given, is none."""
        names: list[str | None] = [*self.forward.result]
        if self.scalar is not None:
            names += [None, *map(self.gradient_name, self.params)]
        if self.step is not None:
            names += self.step.result
        return {name: result for name, result in zip(names, results, strict=True) if name is not None}

    def gradient_name(self, param: str) -> str:
        return self.gradient_names.get(param, f"gradient/{param}")

    def noise(self, dtype: str, seed: int = 0, runs: int = RUNS) -> dict[str, np.ndarray]:
        """The noise scale of every quantity."""
        step = None if self.step is None else simplified(self.step)
        return self._named(noise_scales(*self._whole(self.forward_graph, self.gradient, step), dtype, seed, runs))

    def references(self, dtype: str) -> dict[str, Reference]:
        """Truth and legitimate noise of every quantity for a dtype; measured once."""
        if dtype not in self._references:
            noise = self.noise(dtype)
            longer: dict[str, np.ndarray] = {}

            def more(name: str) -> np.ndarray:
                if not longer:
                    longer.update(self.noise(dtype, seed=1, runs=8 * RUNS))
                return longer[name]

            self._references[dtype] = {
                name: Reference(truth, noise[name], self.elementwise, None, lambda name=name: more(name))  # type: ignore[misc]
                for name, truth in self.truth.items()
            }
            if dtype != "float64":
                self._mark_unsafe(dtype)
        return self._references[dtype]

    @cached_property
    def _references(self) -> dict[str, dict[str, Reference]]:
        return {}

    def _mark_unsafe(self, dtype: str) -> None:
        """Mark where plain NumPy arithmetic in a short dtype already misses the truth: there the formula as written is
        at fault, by overflow or cancellation, not the backend that computes it. The same where a step comes near the
        smallest normal number: flushing what is below it is the hardware's choice, and compilers move factors of two.
        In float64 nothing is excused."""
        short = {
            name: {key: value.astype(np.float32) for key, value in tree.items()}
            for name, tree in self.arguments.items()
        }
        found = self._references[dtype]
        for flush in (False, True):
            for name, value in self._short_values(short, flush).items():
                mask = ratios(np.asarray(value), found[name], dtype, found[name].noise) > LIMIT
                if np.any(mask):
                    earlier = found[name].unsafe
                    found[name] = replace(found[name], unsafe=mask if earlier is None else mask | earlier)

    def _short_values(self, short: Mapping[str, Arrays], flush: bool) -> Arrays:
        """Every quantity in plain float32 arithmetic, steps near the smallest normal number flushed to zero or not."""
        meaning = numpy_meaning("float32")
        near = 16 * np.finfo(np.float32).tiny

        def flushed(node: Node, inputs: list[Any], value: Any) -> Any:
            return np.where(np.abs(value) < near, 0, value).astype(value.dtype) if _is_short(value) else value

        def run(graph: Graph, name: str) -> Any:
            if not flush:
                return _compiled(Alike(graph), name, "float32")(**short)
            return evaluate(graph, meaning, short, lambda node: float(node.options["value"]), flushed)

        with np.errstate(all="ignore"):
            values = dict(run(self.forward_graph, "forward"))
            if self.gradient is not None:
                _, gradients = run(self.gradient, "gradient")
                values.update({self.gradient_name(key): value for key, value in gradients.items()})
        return values

    @property
    def quantities(self) -> tuple[str, ...]:
        """In the order in which a computation meets them: forward, backward, gradients."""
        return self.order or tuple(self.truth)
