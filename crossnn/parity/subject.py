"""Subjects: what exactly is compared, as graphs with inputs, before any backend is chosen.

A subject has a forward graph (named results) and, where something is differentiated, a scalar graph whose gradients
with respect to `params` are compared. The truth comes from `definition` graphs where the specification has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from crossnn.formula.derive import gradient_graph
from crossnn.formula.graph import Graph, shape_of
from crossnn.formula.noise import RUNS, noise_scales
from crossnn.formula.numpy_meaning import numpy_meaning
from crossnn.formula.oracle import Exact, exact
from crossnn.formula.shapes import Shape
from crossnn.formula.simplify import simplify
from crossnn.formula.source import compile_graph
from crossnn.parity.judge import Reference, ratios
from crossnn.parity.rule import LIMIT

Arrays = dict[str, np.ndarray]


def shapes_of(params: Arrays, data: Arrays) -> dict[str, dict[str, Shape]]:
    """The shapes with which a function of (params, data) is recorded."""
    return {"params": {k: shape_of(v) for k, v in params.items()}, "data": {k: shape_of(v) for k, v in data.items()}}


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
        return simplify(self.forward)

    @cached_property
    def gradient(self) -> Graph | None:
        """The gradient of what backends are given: the simplified objective, in whose order cotangents add up."""
        return None if self.scalar is None else simplify(gradient_graph(simplify(self.scalar), "params"))

    @cached_property
    def truth(self) -> dict[str, Exact]:
        """The oracle's value of every quantity."""
        found = dict(zip(self.forward.result, exact(self.definition or self.forward, self.arguments), strict=True))
        scalar = self.scalar_definition or self.scalar
        if scalar is not None:
            _, *gradients = exact(gradient_graph(scalar, "params"), self.arguments)
            found.update(zip(map(self.gradient_name, self.params), gradients, strict=True))
        if self.step is not None:
            found.update(zip(self.step.result, exact(self.step, {**self.arguments, **self.rest}), strict=True))
        return found

    def gradient_name(self, param: str) -> str:
        return self.gradient_names.get(param, f"gradient/{param}")

    def noise(self, dtype: str, seed: int = 0, runs: int = RUNS) -> dict[str, np.ndarray]:
        """The noise scale of every quantity."""
        found = dict(
            zip(self.forward.result, noise_scales(self.forward_graph, self.arguments, dtype, seed, runs), strict=True)
        )
        if self.gradient is not None:
            _, *gradients = noise_scales(self.gradient, self.arguments, dtype, seed, runs)
            found.update(zip(map(self.gradient_name, self.params), gradients, strict=True))
        if self.step is not None:
            whole = noise_scales(simplify(self.step), {**self.arguments, **self.rest}, dtype, seed, runs)
            found.update(zip(self.step.result, whole, strict=True))
        return found

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
        at fault, by overflow or cancellation, not the backend that computes it. In float64 nothing is excused."""
        short = {
            name: {key: value.astype(np.float32) for key, value in tree.items()}
            for name, tree in self.arguments.items()
        }
        meaning = numpy_meaning("float32")
        with np.errstate(all="ignore"):
            values = dict(compile_graph(self.forward_graph, "forward", meaning)(**short))
            if self.gradient is not None:
                _, gradients = compile_graph(self.gradient, "gradient", meaning)(**short)
                values.update({self.gradient_name(key): value for key, value in gradients.items()})
        found = self._references[dtype]
        for name, value in values.items():
            mask = ratios(np.asarray(value), found[name], dtype, found[name].noise) > LIMIT
            found[name] = replace(found[name], unsafe=mask if np.any(mask) else None)

    @property
    def quantities(self) -> tuple[str, ...]:
        """In the order in which a computation meets them: forward, backward, gradients."""
        return self.order or tuple(self.truth)
