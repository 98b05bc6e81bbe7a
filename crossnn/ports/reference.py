"""The truth about ports, and how much rounding is legitimate: both measured on the port that is the reference.

A NumPy reference is run in longdouble, and disturbed at every operation (noisy.py); its gradients are differences
(slopes.py). The reference of a framework is run in float64; its noise is what relative changes of 2**-24 of every input
make of it (of the weights of its results too, for gradients), and what its own float32 differs by, whichever is larger.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from crossnn.formula.noise import EPSILON, RUNS
from crossnn.formula.oracle import Exact
from crossnn.parity.judge import Reference
from crossnn.parity.rule import LIMIT, ROUNDOFF
from crossnn.ports import slopes
from crossnn.ports.noisy import Noisy, shaking
from crossnn.ports.parts import real_arrays, shared
from crossnn.ports.port import Runner, Values, copied, in_dtype, is_array

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Truth:
    """Values and gradients of the reference, each with its noise in units of roundoff; a gradient that was measured by
    differences has a `bound` too, and NaN where it was not measured. `again` is what a second call gave."""

    outputs: Arrays
    noise: Arrays
    cotangents: Arrays
    how: str
    gradients: Arrays = field(default_factory=dict)
    gradient_noise: Arrays = field(default_factory=dict)
    bounds: Arrays = field(default_factory=dict)
    again: Arrays = field(default_factory=dict)

    def value(self, name: str) -> Reference:
        return Reference(_exact(self.outputs[name]), self.noise[name])

    def gradient(self, name: str, actual: np.ndarray, dtype: str) -> Reference:
        """Elements that were not measured count as the actual ones."""
        expected, noise = self.gradients[name], self.gradient_noise[name]
        if name in self.bounds and expected.shape == actual.shape:
            unknown = np.isnan(expected)
            noise = noise + self.bounds[name].astype(np.float64) / (LIMIT * ROUNDOFF[dtype])
            expected = np.where(unknown, actual, expected)
            noise = np.where(unknown, 0, noise)
        return Reference(_exact(expected), noise)

    def unsteady(self) -> str:
        """Where two calls with the same arguments differ by more than rounding; "" where they do not."""
        for name, one in self.outputs.items():
            other = self.again.get(name)
            if other is None or other.shape != one.shape:
                return f"{name!r} once has the shape {one.shape}, once {'none' if other is None else other.shape}"
            error = np.abs(np.subtract(other, one, dtype=np.longdouble)).astype(np.float64)
            limit = LIMIT * ROUNDOFF["float64"] * self.value(name).scale(self.noise[name])
            both = (other == one) | (np.isnan(other) & np.isnan(one))
            wrong = ~both & ~(error <= limit)
            if np.any(wrong):
                place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
                at = f"[{', '.join(map(str, place))}]" if place else ""
                return f"{name!r}{at} is {one[place]!s}, then {other[place]!s}"
        return ""


def _exact(array: np.ndarray) -> Exact:
    high = array.astype(np.float64)
    with np.errstate(invalid="ignore"):
        low = np.where(np.isfinite(high), (array - high).astype(np.float64), 0.0)
    return Exact(high, low)


def weights(outputs: Mapping[str, np.ndarray], seed: int) -> Arrays:
    """What gradients are taken of: every floating-point result times numbers that are all different, so that no two
    elements can be exchanged unseen. A single number stands for itself."""
    generator = np.random.default_rng([seed, 2])
    floats = {name: one for name, one in outputs.items() if one.dtype.kind == "f" and one.size}
    if len(floats) == 1 and all(one.size == 1 for one in floats.values()):
        return {name: np.ones(one.shape) for name, one in floats.items()}
    drawn = {name: generator.uniform(0.5, 1.5, one.shape) * generator.choice([-1, 1], one.shape)
             for name, one in floats.items()}  # fmt: skip
    return {name: one.astype(np.float32).astype(np.float64) for name, one in drawn.items()}


def of_numpy(runner: Runner, values: Values, wrt: Sequence[str], seed: int) -> Truth:
    with np.errstate(all="ignore"):
        wide, long = _widest(runner, values)
        outputs = runner.outputs(wide)
        quiet = runner.outputs(values)
        noise = {name: np.zeros(np.shape(one)) for name, one in outputs.items()}
        for run in range(RUNS):
            for name, one in _disturbed(runner, run, values).items():
                if name in noise and noise[name].shape == one.shape and one.dtype.kind == "f":
                    noise[name] = np.hypot(noise[name], (one - quiet[name]).astype(np.float64))
        noise = shared({name: one / (np.sqrt(RUNS) * EPSILON) for name, one in noise.items()})
        cotangents = weights(outputs, seed)
        found: dict[str, slopes.Slope] = {}
        if cotangents:
            runs = [functools.partial(_disturbed, runner, run) for run in range(slopes.RUNS)]
            found = slopes.slopes(runner.outputs, runs, wide, wrt, cotangents)
        again = runner.outputs(wide)
    how = f"NumPy in {'longdouble' if long else 'float64'}"
    return Truth(
        outputs, noise, cotangents, how,
        {name: one.value for name, one in found.items()},
        {name: one.noise for name, one in found.items()},
        {name: one.bound for name, one in found.items()},
        again,
    )  # fmt: skip


def _widest(runner: Runner, values: Values) -> tuple[dict[str, Any], bool]:
    """Inputs in longdouble where the function takes them and gives them back."""
    if np.finfo(np.longdouble).eps < np.finfo(np.float64).eps:
        wide = in_dtype(values, np.longdouble)
        try:
            found = runner.outputs(wide)
        except (TypeError, ValueError, NotImplementedError):
            return dict(values), False
        if all(one.dtype != np.float64 for one in found.values()) and any(is_array(one) for one in wide.values()):
            return wide, True
    return dict(values), False


def _disturbed(runner: Runner, seed: int, values: Values) -> Arrays:
    """One run in which every operation is disturbed; every input, where the arrays do not last to the end."""
    port = runner.port
    with shaking(seed) as noisy:
        given = {name: noisy(one) if is_array(one) and one.dtype.kind in "fc" else one
                 for name, one in copied(port.stored(values)).items()}  # fmt: skip
        try:
            found = port.call(given)
        except (TypeError, ValueError, NotImplementedError, AttributeError):
            found = {}
        if found and all(isinstance(one, Noisy) for one in found.values()):
            return real_arrays(found)
    return runner.outputs(_moved(values, seed))


def _moved(values: Values, seed: int) -> dict[str, Any]:
    """Every number times its own 1 + epsilon, a complex one in both directions."""
    generator = np.random.default_rng([seed, 1])
    found = dict(values)
    for name, one in values.items():
        if is_array(one) and one.dtype.kind in "fc":
            change: Any = generator.uniform(-EPSILON, EPSILON, one.shape)
            if one.dtype.kind == "c":
                change = change + 1j * generator.uniform(-EPSILON, EPSILON, one.shape)
            found[name] = np.asarray(one * (1 + change))
    return found


def of_framework(runner: Runner, values: Values, wrt: Sequence[str], seed: int) -> Truth:
    """The backend must have been started in float64."""
    outputs = runner.outputs(values)
    cotangents = weights(outputs, seed)
    differentiated = bool(wrt and cotangents)
    gradients = runner.gradients(values, wrt, cotangents) if differentiated else {}
    spread = {name: np.zeros(one.shape) for name, one in outputs.items()}
    steep = {name: np.zeros(one.shape) for name, one in gradients.items()}
    for run in range(RUNS):
        moved = _moved(values, run)
        _widen(spread, runner.outputs(moved), outputs)
        if differentiated:
            weighted = slopes.disturbed_weights(cotangents, run)
            _widen(steep, runner.gradients(moved, wrt, weighted), gradients)
    noise, gradient_noise = (
        shared({name: one / (np.sqrt(RUNS) * EPSILON) for name, one in found.items()}) for found in (spread, steep)
    )
    how = f"{runner.port.backend} in float64"
    return Truth(outputs, noise, cotangents, how, gradients, gradient_noise, again=runner.outputs(values))


def _widen(spread: Arrays, found: Arrays, quiet: Arrays) -> None:
    for name, one in found.items():
        if name in spread and one.dtype.kind == "f" and one.shape == spread[name].shape:
            spread[name] = np.hypot(spread[name], one - quiet[name])


def with_float32(truth: Truth, outputs: Arrays, gradients: Arrays) -> Truth:
    """The noise, where what the reference itself loses in float32 is more."""

    def larger(noise: Arrays, exact: Arrays, found: Arrays) -> Arrays:
        kept = dict(noise)
        for name, one in found.items():
            if name in kept and one.shape == kept[name].shape and one.dtype == np.float32:
                error = np.abs(one.astype(np.float64) - exact[name].astype(np.float64)) / ROUNDOFF["float32"]
                kept[name] = np.maximum(kept[name], np.where(np.isfinite(error), error, 0))
        return kept

    noise = shared(larger(truth.noise, truth.outputs, outputs))
    return replace(truth, noise=noise, gradient_noise=larger(truth.gradient_noise, truth.gradients, gradients))


def numpy_gradients(runner: Runner, values: Values, wrt: Sequence[str], cotangents: Arrays) -> dict[str, slopes.Slope]:
    """The gradients of a NumPy port that is not the reference, by differences."""
    with np.errstate(all="ignore"):
        wide, _ = _widest(runner, values)
        return slopes.slopes(runner.outputs, [], wide, wrt, cotangents)
