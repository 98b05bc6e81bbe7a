"""The verdict on an opened optimizer, by the oracle: the same inputs and tolerances as `crossnn check`.

Eight steps in a free run: what state a framework keeps is not known before, so no single step can be prepared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Native, Opened
from crossnn.catalogue.build import settings as settings_of
from crossnn.catalogue.updates import slot_shape
from crossnn.formula.noise import RUNS, noise_scales
from crossnn.identify.optimizer_fit import Fit, Observed
from crossnn.identify.own import is_own
from crossnn.identify.registered import explained, own_native
from crossnn.identify.result import Parting, Quantity
from crossnn.identify.trying import tried
from crossnn.parity import inputs
from crossnn.parity.judge import Reference, judge, ratios
from crossnn.parity.optimizers import RATES, Steps, drawn_inputs
from crossnn.parity.paths import PARAM, STEPS
from crossnn.parity.rule import LIMIT

UPDATE = "free-running update"
STATE = "free-running state."


@dataclass
class Judged:
    """A fit at the numbers asked for, beside the oracle."""

    adapter: Adapter
    opened: Opened
    fit: Fit
    seen: Observed

    @cached_property
    def hyper(self) -> dict[str, float]:
        """All hyper-parameters of the row; what makes no difference stays at the row's own."""
        return {**settings_of(self.fit.candidate.row, {})[0], **self.seen.values(self.fit.sources)}

    @property
    def case(self) -> str:
        return " ".join(f"{name}={value}" for name, value in {**self.fit.candidate.knobs, **self.hyper}.items())

    @cached_property
    def steps(self) -> Steps:
        """As `crossnn check` draws them."""
        row = self.fit.candidate.row
        w, gradients = drawn_inputs(row, 0)
        rate = self.hyper["lr"]
        rates = np.full(STEPS, rate) if self.seen.rate is None else inputs.single(np.multiply(RATES, rate))
        return Steps(row, self.case, self.hyper, dict(self.fit.candidate.knobs), w, gradients, rates)

    @cached_property
    def references(self) -> dict[str, Reference]:
        """Truth and noise of the slots that were found, then of the parameter, stacked over the steps."""
        steps = self.steps
        noise = self._noise(0, RUNS)
        found = {}
        for name in [*self.fit.slots, "w"]:
            found[UPDATE if name == "w" else STATE + name] = Reference(
                steps.trajectory[name],
                noise[name],
                elementwise=steps.row.acts_on == "element",
                more_noise=partial(self._more_noise, name),
            )
        return found

    def _noise(self, seed: int, runs: int) -> dict[str, np.ndarray]:
        scales = noise_scales(self.steps.path.run, self.steps.unrolled_arguments, "float64", seed, runs)
        names = self.steps.slots
        return {name: np.stack(scales[place :: len(names)]) for place, name in enumerate(names)}

    def _more_noise(self, name: str) -> np.ndarray:
        return self._noise(1, 8 * RUNS)[name]

    @cached_property
    def values(self) -> dict[str, np.ndarray]:
        """What was opened computes, by our names."""
        params, kept = self._run(self.opened.native, {}, self.fit.transposed)
        found = {}
        for ours, slot in self.fit.slots.items():
            shape = slot_shape(self.steps.row, ours, self.steps.shape)
            factor = next((nice for nice in (1.0, -1.0) if abs(slot.factor - nice) < 1e-3), slot.factor)
            each = [self._turned(np.asarray(one[slot.theirs][PARAM], float), self.fit.transposed) for one in kept]
            found[STATE + ours] = np.stack([one.reshape(shape) / factor for one in each])
        return {**found, UPDATE: np.stack(params)}

    def _turned(self, value: np.ndarray, transposed: bool) -> np.ndarray:
        return value.T if transposed and value.ndim == 2 else value

    def _run(self, native: Native, hyper: Mapping[str, Any], transposed: bool) -> tuple[list[np.ndarray], list[Any]]:
        steps = self.steps
        start = {PARAM: self._turned(steps.w, transposed)}
        runner = native.function(start, hyper)
        state = {slot: {PARAM: value} for slot, value in steps.start.items()} if hyper else {}
        runner.load(start, state, 0)
        params, kept = [], []
        for k in range(STEPS):
            gradients = {PARAM: self._turned(steps.gradients[k], transposed)}
            tried(native.call, partial(runner.step, gradients, float(steps.rates[k])))
            w, slots = runner.read()
            params.append(self._turned(np.array(w[PARAM]), transposed))
            kept.append(slots)
        return params, kept

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Every quantity with its verdict; a registered difference is recognised."""
        found = []
        for name, reference in self.references.items():
            one = judge(self.values[name], reference, "float64")
            found.append(Quantity(name, one.verdict, one.r, one.digits, one.worst, "", one.message))
        call = self.opened.native.call
        if is_own(call):  # which may make the framework's own
            own = own_native(self.adapter, self.steps.row, self.steps.settings)
            if own is None:
                return tuple(found)
            call = own.call
        return explained(self.adapter, self.steps.row, self.case, call, tuple(found), self.is_native)

    def is_native(self) -> bool:
        """Whether it takes the steps of the framework's own implementation: far nearer to them than to the truth."""
        own = own_native(self.adapter, self.steps.row, self.steps.settings)
        if own is None:
            return self.fit.digits > 4
        try:
            theirs = np.stack(self._run(own, self.steps.settings, False)[0])
        except Exception:  # an implementation that does not run says nothing
            return False
        mine = self.values[UPDATE]
        apart = np.abs(mine - self.references[UPDATE].exact.hi).sum()
        return bool(np.abs(mine - theirs).sum() <= 0.1 * apart)

    @cached_property
    def first(self) -> Parting | None:
        """The first step at which a quantity departs, slots before the parameter; None where none does."""
        best: tuple[int, int] | None = None
        found = None
        for place, (name, reference) in enumerate(self.references.items()):
            r = ratios(self.values[name], reference, "float64", reference.noise)
            for k in range(STEPS):
                if np.any(r[k] > LIMIT):
                    if best is None or (k, place) < best:
                        best = (k, place)
                        index = np.unravel_index(int(np.argmax(r[k])), r[k].shape)
                        where = tuple(int(one) for one in index)
                        expected, actual = reference.exact.hi[k][where], self.values[name][k][where]
                        found = Parting(k + 1, name, where, float(expected), float(actual))
                    break
        return found
