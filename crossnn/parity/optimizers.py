"""Subjects of optimizers: eight hostile steps, each judged alone and all judged together.

One-step: every step starts from the oracle's own parameters and state, so a mistake shows at its step and slot.
Free-running: the backend feeds on its own results, so wrong step counts, stale state and forgotten corrections
accumulate. Gradients span 1e-8 to 1e2 with sign changes and zeros, the learning rate changes at every step, and a
third of the parameters are zero: there the new parameter *is* the update, to full precision. Where elements meet,
gradients span fewer decades, the first gradient is zero, and so are the parameters before one of the single steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from crossnn.catalogue.build import knob_choices, settings
from crossnn.catalogue.rows import Optimizer
from crossnn.catalogue.updates import initial_state, slot_shape
from crossnn.formula.graph import Graph
from crossnn.formula.noise import RUNS, noise_scales
from crossnn.formula.oracle import Exact, exact
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.shapes import Shape
from crossnn.parity import inputs
from crossnn.parity.judge import Reference
from crossnn.parity.paths import PARAM, STEPS, Path, path_of

SIZE = 16
SHAPES: Mapping[str, Shape] = {"element": (SIZE,), "vector": (SIZE,), "matrix": (2, 3)}
"""The parameter's shape, by what the optimizer acts on."""
ALWAYS, SHARE = 2, 3
"""How many cases every seed has, the default conventions, and of how many others it has one."""
EMPTY = 3
"""The single step before which all parameters are zero, for optimizers that divide by norms."""
RATES = (1.0, 0.5, 2.0, 1.25, 0.1, 3.0, 0.75, 1.5)
"""Learning-rate schedule, as factors."""


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

    @property
    def shape(self) -> Shape:
        return SHAPES[self.row.acts_on]

    @cached_property
    def path(self) -> Path:
        """The update as graphs."""
        return path_of(self.row, self.hyper, self.knobs, self.shape)

    @property
    def graph(self) -> Graph:
        """update(params, gradients, state, lr, t) -> (params, state)."""
        return self.path.step

    @property
    def settings(self) -> dict[str, Any]:
        return {**self.hyper, **self.knobs}

    @property
    def start(self) -> dict[str, np.ndarray]:
        return {slot: tree[PARAM] for slot, tree in initial_state(self.row, self.hyper, {PARAM: self.w}).items()}

    @cached_property
    def trajectory(self) -> dict[str, Exact]:
        """The oracle's parameters and slots after each step, stacked over steps."""
        return _stack(exact(self.path.truth, self.unrolled_arguments), self.slots)

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
        """Parameters and state before step k (from 0): the oracle's, as float32 numbers, which any dtype holds. A slot
        of one number is left as it is: frameworks compute it anew from the step count, or round it themselves."""
        if k == 0:
            return self.w, self.start
        w = self._after(k - 1, "w")
        w.flat[: w.size if self.row.acts_on != "element" and k == EMPTY else w.size // 3] = 0.0
        return w, {slot: self._after(k - 1, slot) for slot in self.row.state}

    def _after(self, k: int, slot: str) -> np.ndarray:
        """The oracle's parameter or slot after step k; 0 where it is no number, from where nothing would be learned."""
        found = self.trajectory[slot].hi[k]
        kept: np.ndarray = np.nan_to_num(inputs.single(found) if found.shape else found, posinf=0.0, neginf=0.0)
        return kept

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
    def _at_once(self) -> dict[str, Any] | None:
        """The arguments of all single steps stacked, where no element meets another: one computation for all."""
        if any(node.inputs and not PRIMITIVES[node.operation].elementwise for node in self.graph.live()):
            return None
        each = [self.arguments(k) for k in range(STEPS)]
        return {name: _stacked([one[name] for one in each]) for name in each[0]}

    @cached_property
    def one_step(self) -> dict[str, Exact]:
        if self._at_once is not None:
            found = exact(self.graph, self._at_once)
            return {name: Exact(one.hi.reshape(self._all(name)), one.lo.reshape(self._all(name)))
                    for name, one in zip(self.slots, found, strict=True)}  # fmt: skip
        results = [value for k in range(STEPS) for value in exact(self.graph, self.arguments(k))]
        return _stack(results, self.slots)

    def _all(self, name: str) -> Shape:
        """The shape of a slot stacked over all steps."""
        return (STEPS, *(self.shape if name == "w" else slot_shape(self.row, name, self.shape)))

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
                        elementwise=self.row.acts_on == "element",
                        more_noise=lambda longer=longer, name=name: longer()[name],  # type: ignore[misc]
                    )
            self._references[dtype] = found
        return self._references[dtype]

    @cached_property
    def _references(self) -> dict[str, dict[str, Reference]]:
        return {}

    def _step_noise(self, dtype: str, seed: int, runs: int) -> dict[str, np.ndarray]:
        if self._at_once is not None:
            scales = noise_scales(self.graph, self._at_once, dtype, seed, runs)
            return {name: one.reshape(self._all(name)) for name, one in zip(self.slots, scales, strict=True)}
        found = [
            one for k in range(STEPS) for one in noise_scales(self.graph, self.arguments(k), dtype, seed + k, runs)
        ]
        return _stack_arrays(found, self.slots)

    def _run_noise(self, dtype: str, seed: int, runs: int) -> dict[str, np.ndarray]:
        found = noise_scales(self.path.run, self.unrolled_arguments, dtype, seed, runs)
        return _stack_arrays(found, self.slots)


def _stacked(trees: list[Any]) -> Any:
    """Trees of equal form as one tree of stacked arrays; numbers become columns."""
    if isinstance(trees[0], dict):
        return {key: _stacked([tree[key] for tree in trees]) for key in trees[0]}
    stacked = np.stack(trees)
    return stacked[:, None] if stacked.ndim == 1 else stacked


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


def optimizer_cases(row: Optimizer) -> Iterator[tuple[str, dict[str, float], dict[str, Any]]]:
    """(name, hyper-parameters, knobs): the defaults, every convention with visible hyper-parameters, the row's own."""
    hyper, knobs = settings(row, {})
    yield _named(knobs, {}), hyper, knobs
    moved = inputs.visible(hyper)
    for choice in knob_choices(row):
        yield _named(choice, moved), moved, choice
    for case in row.cases:
        own_hyper, own_knobs = settings(row, case)
        yield _named(own_knobs, case), own_hyper, own_knobs


def _named(knobs: Mapping[str, Any], hyper: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in {**knobs, **hyper}.items()) or "default"


def drawn_inputs(row: Optimizer, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(parameter, gradients of all steps): the same in every case of the row."""
    shape, alone = SHAPES[row.acts_on], row.acts_on == "element"
    generator = inputs.generator_for(row.name, seed)
    w = inputs.hostile(generator, shape, -3, 0)
    w.flat[: w.size // 3] = 0.0
    gradients = inputs.hostile(generator, (STEPS, *shape), -8 if alone else -3, 2 if alone else 1)
    gradients[generator.random(gradients.shape) < 0.08] = 0.0
    if not alone:
        gradients[0] = 0.0
    return w, gradients


def optimizer_steps(row: Optimizer, seed: int) -> list[Steps]:
    """Eight steps for every case of the row; after the first seed for a third of them, another one at each seed,
    besides the default conventions: what a case computes does not depend on the seed, only how visible a mistake is."""
    found = []
    w, gradients = drawn_inputs(row, seed)
    for number, (case, given, knobs) in enumerate(optimizer_cases(row)):
        if seed > 0 and number >= ALWAYS and number % SHARE != seed % SHARE:
            continue
        hyper = {**given, "lr": float(inputs.single([given["lr"]])[0])}  # the first rate is that of its making
        rates = inputs.single(np.multiply(RATES, hyper["lr"]))
        found.append(Steps(row, case, hyper, knobs, w.copy(), gradients.copy(), rates))
    return found
