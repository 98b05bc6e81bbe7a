"""What is timed: a function with the values of its arguments, before any backend is chosen.

Some arguments are *carried*: what a call returns for them is what the next call is given, as in a training loop. The
others are *turned*: several sets of values in turn, so that no call can profit from the one before. The same function
exists as one graph with our own derivatives: from it come the truth about the output, the rounding that is legitimate
in it, and what it costs at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Native
from crossnn.catalogue.rows import Row
from crossnn.experiment.task import Task
from crossnn.formula.cost import cost
from crossnn.formula.fingerprint import simplified
from crossnn.formula.graph import Graph, leaves, map_tree
from crossnn.formula.noise import noise_scales
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.oracle import Exact
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.remembered import remembered
from crossnn.formula.source import compile_graph
from crossnn.parity.compute import function_of, native_functions
from crossnn.parity.judge import Reference, ratios
from crossnn.parity.rule import LIMIT
from crossnn.parity.subject import Subject

TURNS = 4
"""So many sets of inputs take turns."""
NOISE_RUNS = 6
FEW_TERMS = 16
"""Sums of so many terms are among those at which the limit of r was found."""
ITEM_BYTES: Mapping[str, int] = {"float64": 8, "float32": 4, "tf32": 4, "bfloat16": 2}

Make = Callable[[Adapter, str], Callable[..., Any]]


@dataclass(frozen=True)
class Work:
    """`make(adapter, mode)` is the function as a backend computes it. Its arguments are the `carried` ones, then those
    of the turn; its result is a tree named by `names`, whose parts from `first` on are what is carried on. `whole` is
    the same as a graph, whose arguments are found by name in `given`. A framework's own implementation is bound by
    `settings`; what has a `subject` is computed by it there, and what has a `task` is a part of its training."""

    row: Row
    phase: str
    make: Make
    turns: Sequence[tuple[Any, ...]]
    names: Any
    whole: Graph
    given: Mapping[str, Any]
    carried: tuple[Any, ...] = ()
    first: int = 0
    settings: Mapping[str, Any] | None = None
    subject: Subject | None = None
    task: Task | None = None

    @cached_property
    def truth(self) -> dict[str, Reference]:
        """The right output of the first call by quantity, and the rounding that is legitimate in it: NumPy's in
        float64, and the spread of noisy runs. Arbitrary precision would take hours at these sizes."""
        graph = simplified(self.whole)
        right = iter(remembered(["timed"], graph, self.given, lambda: self._computed(NUMPY)))
        noise = iter(noise_scales(graph, self.given, "float32", runs=NOISE_RUNS))
        growth = accumulated(graph)
        pairs = map_tree(lambda _: Reference(_exact(next(right)), growth * next(noise)), graph.result)
        return labelled(self.names, pairs)

    def truth_in(self, dtype: str) -> dict[str, Reference]:
        """The same for a dtype. In bfloat16 a formula as written may fail whoever computes it: Adam's 1 - 0.999**t is 0
        there. What NumPy misses too, when every result is rounded to bfloat16, is no backend's fault."""
        if dtype != "bfloat16":
            return self.truth
        graph = simplified(self.whole)
        values = iter(remembered(["timed", dtype], graph, self.given, lambda: self._computed(_BFLOAT16)))
        found = labelled(self.names, map_tree(lambda _: next(values), graph.result))
        return {
            name: replace(one, unsafe=ratios(found[name], one, dtype, one.noise) > LIMIT)
            for name, one in self.truth.items()
        }

    def _computed(self, meaning: Mapping[str, Callable[..., Any]]) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            found = compile_graph(simplified(self.whole), "timed", meaning)(*self.given.values())
        return [np.asarray(one, np.float64) for one in leaves(found)]

    def cost(self, dtype: str) -> tuple[float, float]:
        """Operations, and the bytes of inputs and results, each moved once."""
        graph = simplified(self.whole)
        ends = {id(one): one for one in (*leaves(graph.arguments), *leaves(graph.result))}
        numbers = sum(prod(one.shape) for one in ends.values() if one.operation != "constant")
        return cost(graph).flops, float(numbers * ITEM_BYTES[dtype])


def bfloat16(array: Any) -> Any:
    """Rounded to the upper half of a float32, to even; as float64. Whole numbers stay."""
    whole = np.asarray(array)
    if whole.dtype.kind != "f":
        return array
    bits = whole.astype(np.float32).view(np.uint32)
    bits = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    short = (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)
    return np.where(np.isfinite(whole), short, whole)[()]


def _rounding(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *inputs, **options: bfloat16(function(*inputs, **options))


_BFLOAT16 = {name: _rounding(function) for name, function in NUMPY.items()}


def accumulated(graph: Graph) -> float:
    """How much more rounding a long sum may show than its noise says. Terms that are added one after the other round
    every partial sum, and those grow with the root of their number; the limit of r was measured at few terms. By how
    many a framework adds at once is its own business."""
    sums = [one for one in cost(graph).nodes if PRIMITIVES[one.node.operation].rounding in ("dot", "total")]
    longest = max((one.flops / max(prod(one.node.shape), 1) for one in sums), default=0.0)
    return max(1.0, math.sqrt(longest / FEW_TERMS))


def _exact(value: np.ndarray) -> Exact:
    return Exact(value, np.zeros_like(value))


def labelled(names: Any, tree: Any) -> dict[str, Any]:
    """The leaves of a tree by quantity. `names` has a text for each part that is named; parts beyond are left out."""
    if isinstance(names, tuple):
        found: dict[str, Any] = {}
        for name, part in zip(names, tree, strict=False):
            found |= labelled(name, part)
        return found
    if isinstance(tree, Mapping):
        found = {}
        for key, part in tree.items():
            found |= labelled(f"{names}/{key}" if names else str(key), part)
        return found
    return {names: tree}


def computed(graph: Graph, name: str) -> Make:
    """The graph itself, compiled."""
    return lambda adapter, mode: adapter.compile(function_of(graph, name, adapter, mode), mode)


def differentiated_by_backend(objective: Graph) -> Make:
    """Value and gradient of an objective, as the backend differentiates it; new running statistics come along."""
    aux = len(objective.results) > 1

    def make(adapter: Adapter, mode: str) -> Callable[..., Any]:
        function = function_of(objective, "objective", adapter, mode)
        both = adapter.value_and_grad(function, aux=True) if aux else adapter.value_and_grad(function)
        return adapter.compile(both, mode)

    return make


def with_native(work: Work, native: Native) -> Make:
    """The same function with the framework's own implementation in it."""
    subject = work.subject
    assert subject is not None

    def make(adapter: Adapter, mode: str) -> Callable[..., Any]:
        forward, objective = native_functions(adapter, subject, native)
        return adapter.compile(adapter.value_and_grad(objective) if work.phase == "gradient" else forward, mode)

    return make
