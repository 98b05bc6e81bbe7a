"""Why a port departs: known causes, each tried until one makes it agree.

A hypothesis is a generator of trials. A trial changes the inputs, the parameters or the source of the port that departs
(or those of the reference), and holds where both then compute the same to within float64's rounding; or it is a pattern
of the numbers, such as a constant ratio. Those that change something come first: they are proofs, patterns are hints.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crossnn.parity.rule import LIMIT, ROUNDOFF
from crossnn.ports.port import NUMPY, Runner, Values, in_dtype, is_array
from crossnn.ports.reference import Truth
from crossnn.ports.result import Cause

ELSEWHERE = 1e-11
"""So much of the largest result is agreement at other numbers, whose noise is not measured."""
SECONDS = 10.0
"""After so many seconds nothing more is tried."""

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Trial:
    """`holds` says whether the difference is explained by the cause of this name."""

    name: str
    says: str
    holds: Callable[[], bool]
    pattern: bool = False


@dataclass
class Suspect:
    """A port that departs, beside the reference; both backends are started in float64."""

    runner: Runner
    right: Runner
    truth: Truth
    values: Mapping[str, Any]
    wrt: Sequence[str]
    dtype: str
    only_gradient: bool

    @cached_property
    def expected(self) -> dict[str, np.ndarray]:
        return {name: np.asarray(one, np.float64) for name, one in self.truth.outputs.items()}

    @cached_property
    def narrow(self) -> bool:
        """Whether the port computes in float32 only, as a Keras layer that was built for it."""
        if self.dtype != "float32":
            return False
        try:
            found = [one.dtype for one in self.runner.outputs(self.values).values() if one.dtype.kind == "f"]
        except Exception:
            return True
        return bool(found) and all(one == np.float32 for one in found)

    @property
    def roundoff(self) -> float:
        return ROUNDOFF["float32" if self.narrow else "float64"]

    @cached_property
    def actual(self) -> dict[str, np.ndarray] | None:
        """What the port gives in float64; None where it fails."""
        try:
            return self.bad({})
        except Exception:
            return None

    def bad(self, changes: Values, function: Callable[..., Any] | None = None) -> dict[str, np.ndarray]:
        """The port's results with some inputs or parameters changed, or with another function in its place."""
        if self.narrow:
            return self.in_float32(changes, function)
        return _run(self.runner, {**self.values, **changes}, function)

    def good(self, changes: Values, function: Callable[..., Any] | None = None) -> dict[str, np.ndarray]:
        """The same of the reference."""
        return _run(self.right, {**self.values, **changes}, function)

    def in_float32(
        self, changes: Values | None = None, function: Callable[..., Any] | None = None
    ) -> dict[str, np.ndarray]:
        """The port's results in float32, as float64."""
        adapter, backend = self.runner.adapter, self.runner.port.backend
        if backend != NUMPY:
            adapter.start("cpu", "float32", 1)
        try:
            return _run(self.runner, in_dtype({**self.values, **(changes or {})}, np.float32), function)
        finally:
            if backend != NUMPY:
                adapter.start("cpu", "float64", 1)

    def mends(self, changes: Values, function: Callable[..., Any] | None = None) -> bool:
        """Whether the changed port agrees with the reference as it is; in its gradients too, if it departs in them. A
        change that the reference does not feel (a shift, for a variance) explains nothing."""
        if not self.agree(self.bad(changes, function), self.expected) or (changes and self._unfelt(changes)):
            return False
        if function is not None and not self._elsewhere(function, None):
            return False
        return not self.only_gradient or self._gradients_agree(changes, function)

    def _unfelt(self, changes: Values) -> bool:
        try:
            return self.agree(self.good(changes), self.expected)
        except Exception:  # other shapes than the reference takes
            return False

    def spoils(self, changes: Values, function: Callable[..., Any] | None = None) -> bool:
        """Whether the changed reference agrees with the port as it is."""
        if self.only_gradient or self.actual is None or not self.agree(self.actual, self.good(changes, function)):
            return False
        return function is None or self._elsewhere(None, function)

    def _elsewhere(self, port: Callable[..., Any] | None, right: Callable[..., Any] | None) -> bool:
        """Whether an edited function also agrees with the other one at other numbers: few results may agree by chance.
        What looks like probabilities stays."""
        moved = {
            name: one * np.linspace(0.9, 1.0, one.size).reshape(one.shape)
            for name, one in self.values.items()
            if is_array(one) and one.dtype.kind == "f" and (np.any(one < 0) or np.any(one > 1))
        }
        if not moved:
            return True
        actual, expected = self.bad(moved, port), self.good(moved, right)
        near = ELSEWHERE * self.roundoff / ROUNDOFF["float64"]
        return all(
            actual[name].shape == one.shape
            and bool(
                np.all(
                    self.close(name, actual[name], one)
                    | ~np.isfinite(one)
                    | (np.abs(actual[name] - one) <= near * np.abs(one).max())
                )
            )
            for name, one in expected.items()
        )

    def agree(self, actual: Outputs, expected: Outputs) -> bool:
        """To within float64's rounding of numbers of this size, with the measured noise where that is more."""
        if set(actual) != set(expected) or any(actual[one].shape != expected[one].shape for one in expected):
            return False
        return all(bool(np.all(self.close(name, actual[name], expected[name]))) for name in expected)

    def close(self, name: str, actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
        noise = self.truth.noise.get(name, np.zeros(()))
        noise = noise if noise.shape == expected.shape else np.zeros(())
        finite = np.abs(expected[np.isfinite(expected)])
        size = np.abs(expected) + (np.mean(finite) if finite.size else 0)
        near = np.abs(actual - expected) <= LIMIT * self.roundoff * (noise + size)
        return np.asarray((near & np.isfinite(expected)) | (actual == expected))

    @cached_property
    def departing(self) -> str | None:
        """The first result that differs, with the shape that it should have or with another."""
        for name, one in self.expected.items():
            found = (self.actual or {}).get(name)
            if found is not None and (found.shape != one.shape or not np.all(self.close(name, found, one))):
                return name
        return None

    def arrays(self, *dimensions: int) -> dict[str, np.ndarray]:
        """Parameters (inputs, where there are none) that are floating-point arrays of so many dimensions."""
        own = self.parameters or list(self.values)
        found = {name: self.values[name] for name in own if is_array(self.values[name])}
        return {name: one for name, one in found.items() if one.dtype.kind == "f" and one.ndim in dimensions}

    @cached_property
    def parameters(self) -> list[str]:
        from crossnn.ports.tree import flat

        params = self.runner.port.signature.params
        return list(flat(params)) if params is not None else []

    @property
    def inputs(self) -> dict[str, Any]:
        return {name: one for name, one in self.values.items() if name not in self.parameters}

    def _gradients_agree(self, changes: Values, function: Callable[..., Any] | None) -> bool:
        if self.runner.port.backend == NUMPY or not self.wrt:
            return True
        runner = Runner(self.runner.port.with_function(function), self.runner.adapter) if function else self.runner
        found = runner.gradients({**self.values, **changes}, self.wrt, self.truth.cotangents)
        for name, one in found.items():
            reference = self.truth.gradient(name, one, "float64")
            tolerance = LIMIT * self.roundoff * (reference.scale(reference.noise) + np.abs(reference.exact.hi))
            if np.any(np.abs(one - reference.exact.hi) > tolerance):
                return False
        return True


def _run(runner: Runner, values: Values, function: Callable[..., Any] | None) -> dict[str, np.ndarray]:
    chosen = Runner(runner.port.with_function(function), runner.adapter) if function is not None else runner
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: np.asarray(one, np.float64) for name, one in chosen.outputs(values).items()}


def likely_cause(suspect: Suspect) -> tuple[Cause | None, int]:
    """The first cause that explains the difference, and how many trials it took."""
    from crossnn.causes.hypotheses import HYPOTHESES

    began, tried = time.process_time(), 0
    for hypothesis in HYPOTHESES:
        for trial in _trials(hypothesis, suspect):
            if time.process_time() - began > SECONDS:
                return None, tried
            tried += 1
            if _holds(trial):
                return Cause(trial.name, trial.says, trial.pattern), tried
    return None, tried


def _trials(hypothesis: Callable[[Suspect], Iterator[Trial]], suspect: Suspect) -> Iterator[Trial]:
    """What a trial makes of somebody's function may raise anything: then it explains nothing."""
    try:
        yield from hypothesis(suspect)
    except Exception:
        return


def _holds(trial: Trial) -> bool:
    try:
        return bool(trial.holds())
    except Exception:
        return False
