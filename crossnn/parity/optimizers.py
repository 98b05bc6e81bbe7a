"""Subjects of optimizers: eight hostile steps, each judged alone and all judged together.

One-step: every step starts from the oracle's own parameters and state, so a mistake shows at its step and slot.
Free-running: the backend feeds on its own results, so wrong step counts, stale state and forgotten corrections
accumulate. Gradients span 1e-8 to 1e2 with sign changes and zeros, the learning rate changes at every step, and a
third of the parameters are zero: there the new parameter *is* the update, to full precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from crossnn.catalogue.build import initial_state, update_graph
from crossnn.catalogue.rows import Optimizer
from crossnn.formula.evaluate import replay
from crossnn.formula.graph import Graph, Node
from crossnn.formula.noise import RUNS, noise_scales
from crossnn.formula.oracle import Exact, exact
from crossnn.formula.simplify import simplify
from crossnn.parity import inputs
from crossnn.parity.functions import cases
from crossnn.parity.judge import Reference

STEPS = 8
SIZE = 24
RATES = (1.0, 0.5, 2.0, 1.25, 0.1, 3.0, 0.75, 1.5)
"""Learning-rate schedule, as factors."""
PARAM = "w"


@dataclass
class Steps:
    """The common part of both subjects: what goes in at every step, and the update as a graph."""

    row: Optimizer
    case: str
    hyper: dict[str, float]
    knobs: dict[str, Any]
    w: np.ndarray
    gradients: np.ndarray
    rates: np.ndarray

    @cached_property
    def graph(self) -> Graph:
        """update(params, gradients, state, lr, t) -> (params, state)."""
        return simplify(update_graph(self.row, {PARAM: (SIZE,)}, self.hyper, self.knobs))

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.hyper, **self.knobs}

    @property
    def start(self) -> dict[str, np.ndarray]:
        return {slot: np.full(SIZE, value) for slot, value in initial_state(self.row, self.hyper).items()}

    @cached_property
    def unrolled(self) -> Graph:
        """All steps as one graph: the parameters and the state after each."""
        one = update_graph(self.row, {PARAM: (SIZE,)}, self.hyper, self.knobs)
        shapes = {
            "w": (SIZE,),
            "state": dict.fromkeys(self.row.state, (SIZE,)),
            "gradients": {str(k): (SIZE,) for k in range(STEPS)},
            "rates": {str(k): () for k in range(STEPS)},
            "counts": {str(k): () for k in range(STEPS)},
        }

        def function(w: Node, state: Any, gradients: Any, rates: Any, counts: Any) -> Any:
            results = []
            for k in map(str, range(STEPS)):
                w, state = _replay(one, w, gradients[k], state, rates[k], counts[k])
                results.append({"w": w, **state})
            return tuple(results)

        return Graph.trace(function, shapes)

    @cached_property
    def trajectory(self) -> dict[str, Exact]:
        """The oracle's parameters and slots after each step, stacked over steps."""
        return _stack(exact(self.unrolled, self.unrolled_arguments), self.slots)

    @property
    def slots(self) -> list[str]:
        return ["w", *self.row.state]

    @property
    def unrolled_arguments(self) -> dict[str, Any]:
        return {
            "w": self.w,
            "state": self.start,
            "gradients": {str(k): self.gradients[k] for k in range(STEPS)},
            "rates": {str(k): self.rates[k] for k in range(STEPS)},
            "counts": {str(k): np.float64(k + 1) for k in range(STEPS)},
        }

    def before(self, k: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Parameters and state before step k (from 0): the oracle's, as float32 numbers, which any dtype holds."""
        if k == 0:
            return self.w, {slot: inputs.single(value) for slot, value in self.start.items()}
        w = inputs.single(self.trajectory["w"].hi[k - 1])
        w[: SIZE // 3] = 0.0
        return w, {slot: inputs.single(self.trajectory[slot].hi[k - 1]) for slot in self.row.state}

    def arguments(self, k: int) -> dict[str, Any]:
        w, state = self.before(k)
        return {
            "params": {PARAM: w},
            "gradients": {PARAM: self.gradients[k]},
            "state": {slot: {PARAM: value} for slot, value in state.items()},
            "lr": np.float64(self.rates[k]),
            "t": np.float64(k + 1),
        }

    @cached_property
    def one_step(self) -> dict[str, Exact]:
        results = [value for k in range(STEPS) for value in exact(self.graph, self.arguments(k))]
        return _stack(results, self.slots)

    def references(self, dtype: str) -> dict[str, Reference]:
        """Truth and noise of every quantity, each stacked over the steps: single steps before the run, and state slots
        before the update, as they are computed; so the first to depart is where the mistake is."""
        if dtype not in self._references:
            found = {}
            for prefix, truth, measure in (
                ("", self.one_step, self._step_noise),
                ("free-running ", self.trajectory, self._run_noise),
            ):
                noise = measure(dtype, 0, RUNS)
                longer = cache(partial(measure, dtype, 1, 8 * RUNS))
                for name in [*self.row.state, "w"]:
                    label = "update" if name == "w" else f"state.{name}"
                    found[prefix + label] = Reference(
                        truth[name],
                        noise[name],
                        elementwise=True,
                        more_noise=lambda longer=longer, name=name: longer()[name],  # type: ignore[misc]
                    )
            self._references[dtype] = found
        return self._references[dtype]

    @cached_property
    def _references(self) -> dict[str, dict[str, Reference]]:
        return {}

    @cached_property
    def _simple_run(self) -> Graph:
        return simplify(self.unrolled)

    def _step_noise(self, dtype: str, seed: int, runs: int) -> dict[str, np.ndarray]:
        found = [
            one for k in range(STEPS) for one in noise_scales(self.graph, self.arguments(k), dtype, seed + k, runs)
        ]
        return _stack_arrays(found, self.slots)

    def _run_noise(self, dtype: str, seed: int, runs: int) -> dict[str, np.ndarray]:
        found = noise_scales(self._simple_run, self.unrolled_arguments, dtype, seed, runs)
        return _stack_arrays(found, self.slots)


def _replay(one: Graph, w: Node, g: Node, state: Any, lr: Node, t: Node) -> tuple[Node, dict[str, Node]]:
    """Record the single-step graph again on other nodes."""
    arguments = {
        "params": {PARAM: w},
        "gradients": {PARAM: g},
        "state": {slot: {PARAM: value} for slot, value in state.items()},
        "lr": lr,
        "t": t,
    }
    params, slots = replay(one, arguments, w.tape)
    return params[PARAM], {slot: value[PARAM] for slot, value in slots.items()}


def _stack(results: list[Exact], names: list[str]) -> dict[str, Exact]:
    return {
        name: Exact(
            np.stack([one.hi for one in results[position :: len(names)]]),
            np.stack([one.lo for one in results[position :: len(names)]]),
        )
        for position, name in enumerate(names)
    }


def _stack_arrays(results: list[np.ndarray], names: list[str]) -> dict[str, np.ndarray]:
    return {name: np.stack(results[position :: len(names)]) for position, name in enumerate(names)}


def optimizer_steps(row: Optimizer, seed: int) -> list[Steps]:
    """Eight steps for every convention, at the defaults and with visible hyper-parameters."""
    found = []
    for case, hyper, knobs in cases(row):
        generator = inputs.generator_for(row.name, seed)
        w = inputs.hostile(generator, (SIZE,), -3, 0)
        w[: SIZE // 3] = 0.0
        gradients = inputs.hostile(generator, (STEPS, SIZE), -8, 2)
        gradients[generator.random((STEPS, SIZE)) < 0.08] = 0.0
        found.append(Steps(row, case, hyper, knobs, w, gradients, inputs.single(np.multiply(RATES, hyper["lr"]))))
    return found
