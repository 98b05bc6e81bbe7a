"""One comparison of ports at work: the truth of every seed, every port in every dtype, every tensor judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.causes.suspect import Suspect, likely_cause
from crossnn.errors import BackendError, CrossnnError, NothingRanError, first_line
from crossnn.ports import given, models, reference
from crossnn.ports.judged import judged, model_hint, unlike, whole
from crossnn.ports.layouts import of_port
from crossnn.ports.port import NUMPY, Port, Runner, Signature, in_dtype, is_array, named_inputs
from crossnn.ports.result import Cause, Compared, Failure, PortReport
from crossnn.ports.slopes import MOST
from crossnn.ports.tree import Tree, flat
from crossnn.ports.wanted import Wrt, by_default, wanted


class Comparison:
    """Everything that is found, seed after seed."""

    def __init__(
        self, ports: Mapping[str, tuple[str, Callable[..., Any]]], right: str, adapters: Mapping[str, Adapter],
        device: str, stages: tuple[str, ...], layouts: Mapping[str, Mapping[str, Any]], wrt: Wrt,
    ) -> None:  # fmt: skip
        self.ports, self.right, self.adapters, self.device = ports, right, adapters, device
        self.stages, self.layouts, self.wrt = stages, layouts, wrt
        self.models = {name: models.own_model(adapters[backend], one) for name, (backend, one) in ports.items()}
        if (model := self.models[right]) is not None and "float64" not in model.dtypes:
            raise CrossnnError(
                f"the reference {right!r} was built for {', '.join(model.dtypes)}, and the truth needs float64: name "
                "another one with reference=, or build it with dtype float64"
            )
        self.compared: list[Compared] = []
        self.failures: dict[str, Failure] = {}
        self.notes: dict[str, None] = {}
        self.how = self.hint = ""

    def report(self) -> PortReport:
        """Of a port of which nothing was judged nobody knows whether it agrees."""
        judged = {one.port for one in self.compared if one.verdict != "NOT-RUN"}
        for name in self.ports:
            if name != self.right and name not in judged:
                reasons = [f"{one.quantity}: {one.message}" for one in self.compared if one.port == name]
                reasons += [note for note in self.notes if note.startswith(repr(name))]
                raise NothingRanError(f"nothing of port {name!r} was compared: {'; '.join(dict.fromkeys(reasons))}")
        failures = tuple(self.failures[name] for name in self.ports if name in self.failures)
        return PortReport(self.right, self.how, tuple(self.compared), failures, tuple(self.notes))

    def start(self, backend: str, dtype: str) -> None:
        try:
            self.adapters[backend].start(self.device, dtype, 1)
        except CrossnnError:
            raise
        except Exception as error:
            raise BackendError(f"backend {backend!r} does not start: {type(error).__name__}: {error}") from error

    def seed(self, seed: int, inputs: Tree, params: Tree | None, dtypes: Sequence[str], causes: bool) -> None:
        generator = np.random.default_rng(seed)
        inputs = given.inputs_of(inputs(generator) if callable(inputs) else inputs)
        drawn = given.drawn(inputs, generator, "inputs")
        params = given.drawn(params, generator, "params") if params is not None else None
        own = ""
        if params is None:
            own, params = self._own_parameters()
        given.distinct("inputs", drawn)
        given.distinct("params", params)
        signature = Signature(drawn, params, self.stages)
        values = given.arrays(flat(params), named_inputs(drawn), dtypes)
        wrt = self._wrt(signature, values)
        self.hint = model_hint(own, flat(params)) if own else ""
        runners = {name: self._runner(name, signature, values) for name in self.ports}
        right = runners[self.right]
        truth = self._truth(right, values, wrt, seed)
        self._note_elements(values, wrt)
        if right.port.backend != NUMPY:
            truth = self._with_float32(right, truth, values, wrt)
        self.how = f"{self.right!r}, {truth.how}"
        for dtype in dtypes:
            for name, runner in runners.items():
                model = self.models[name]
                if model is not None and dtype not in model.dtypes:
                    self.notes[f"{name!r} was built for {', '.join(model.dtypes)}: not compared in {dtype}"] = None
                elif name != self.right and name not in self.failures:
                    self._compare(runner, right, truth, values, wrt, dtype, seed, causes)

    def _truth(self, right: Runner, values: Mapping[str, Any], wrt: Sequence[str], seed: int) -> reference.Truth:
        self.start(right.port.backend, "float64")
        find = reference.of_numpy if right.port.backend == NUMPY else reference.of_framework
        try:
            truth = find(right, values, wrt, seed)
        except Exception as error:
            fails = "cannot be compared" if isinstance(error, CrossnnError) else "fails with these inputs"
            raise CrossnnError(f"the reference {self.right!r} {fails}: {self._reason(error, self.right)}") from error
        if not truth.outputs:
            raise CrossnnError(
                f"the reference {self.right!r} returns nothing (None, or an empty container), so there is nothing to "
                "compare; every port must return its results"
            )
        if changing := truth.unsteady():
            raise CrossnnError(
                f"the reference {self.right!r} gives other results when it is called again with the same inputs: "
                f"{changing}. Turn dropout and other random numbers off, or draw them outside and pass them as inputs"
            )
        return truth

    def _reason(self, error: Exception, port: str) -> str:
        """What a port raised, in one line."""
        said = first_line(error)[:300]
        shown = said if isinstance(error, CrossnnError) else f"{type(error).__name__}: {said}"
        return shown + (self.hint if isinstance(error, TypeError | KeyError) and self.models[port] is None else "")

    def _note_elements(self, values: Mapping[str, Any], wrt: Sequence[str]) -> None:
        """Gradients by differences are not taken of every element of a large tensor."""
        numpy = [name for name, (backend, _) in self.ports.items() if backend == NUMPY]
        large = [f"{name!r} ({values[name].size:,})" for name in wrt if values[name].size > MOST]
        if numpy and large:
            whose = "gradients" if self.right in numpy else f"gradients of {', '.join(map(repr, numpy))}"
            note = f"{whose} were judged at {MOST} elements only, evenly spread, of {', '.join(large)}"
            self.notes[f"{note}: those of NumPy functions are differences"] = None

    def _own_parameters(self) -> tuple[str, dict[str, np.ndarray] | None]:
        """Those of the first model among the ports, the reference before the others, and whose they are."""
        for name in sorted(self.ports, key=lambda one: one != self.right):
            model = self.models[name]
            if model is not None and model.arrays:
                self.notes[f"params are those of {name!r}"] = None
                return name, {own: one.astype(np.float64) for own, one in model.arrays.items()}
        return "", None

    def _runner(self, name: str, signature: Signature, values: Mapping[str, Any]) -> Runner:
        backend, function = self.ports[name]
        known = flat(signature.params) if signature.params is not None else values
        layouts = of_port(self.layouts, name, backend, known)
        adapter = self.adapters[backend]
        model = self.models[name]
        if model is not None:
            function, proposed = models.as_function(model, name, signature, layouts)
            self.notes.update(dict.fromkeys(proposed))
        return Runner(Port(name, backend, function, signature, layouts), adapter)

    def _wrt(self, signature: Signature, values: dict[str, Any]) -> list[str]:
        if self.wrt is None:
            if left := [name for name, one in values.items() if is_array(one) and one.dtype.kind == "c"]:
                names = ", ".join(map(repr, left))
                self.notes[f"no gradients with respect to {names}: frameworks define those of complex numbers "
                           "differently"] = None  # fmt: skip
            return by_default(signature, values)
        functions = [self.ports[name][1] for name in sorted(self.ports, key=lambda one: one != self.right)]
        return wanted(self.wrt, signature, values, functions)

    def _with_float32(
        self, right: Runner, truth: reference.Truth, values: Mapping[str, Any], wrt: Sequence[str]
    ) -> reference.Truth:
        self.start(right.port.backend, "float32")
        try:
            outputs = right.outputs(values)
            gradients = right.gradients(values, wrt, truth.cotangents) if wrt and truth.cotangents else {}
        except Exception:
            return truth
        return reference.with_float32(truth, outputs, gradients)

    def _compare(
        self, runner: Runner, right: Runner, truth: reference.Truth, values: Mapping[str, Any], wrt: Sequence[str],
        dtype: str, seed: int, causes: bool,
    ) -> None:  # fmt: skip
        port = runner.port
        self.start(port.backend, dtype)
        own = in_dtype(values, dtype)
        found: list[Compared] = []

        def keep(quantity: str, verdict: str, **rest: Any) -> None:
            found.append(Compared(port.name, port.backend, quantity, dtype, seed, verdict, **rest))

        try:
            outputs = runner.outputs(own)
        except Exception as error:
            keep("call", "ERROR", message=self._reason(error, port.name))
            outputs = None
        if outputs is not None:
            for name, expected in truth.outputs.items():
                if name in outputs:
                    one = judged(f"output {name!r}", outputs[name], truth.value(name), port, dtype, seed)
                    found.append(whole(one, outputs[name], expected))
            for quantity, message in unlike(outputs, truth.outputs):
                keep(quantity, "ERROR", message=message)
            same = all(name in outputs and outputs[name].shape == np.shape(one) for name, one in truth.outputs.items())
            if wrt and truth.cotangents and same:
                found += self._gradients(runner, truth, own, wrt, dtype, seed)
        self.compared += found
        failed = [one for one in found if one.failed]
        if failed:
            cause: Cause | None = None
            tried = 0
            if causes:
                if right.port.backend != port.backend:
                    self.start(right.port.backend, "float64")
                self.start(port.backend, "float64")
                only = failed[0].quantity.startswith("gradient")
                suspect = Suspect(runner, right, truth, values, wrt, dtype, only)
                cause, tried = likely_cause(suspect)
            self.failures[port.name] = Failure(
                failed[0], tuple(f"{one.quantity}" for one in failed[1:]), cause, tried
            )  # fmt: skip

    def _gradients(
        self, runner: Runner, truth: reference.Truth, own: Mapping[str, Any], wrt: Sequence[str], dtype: str, seed: int
    ) -> Iterator[Compared]:
        port = runner.port
        try:
            found = self.gradients_of(runner, own, wrt, truth, dtype)
        except Exception as error:
            yield Compared(
                port.name, port.backend, "gradient", dtype, seed, "ERROR",
                message=f"no gradient: {self._reason(error, port.name)}",
            )  # fmt: skip
            return
        for name, gradient in found.items():
            if not np.any(np.isfinite(truth.gradients[name].astype(np.float64))):
                yield Compared(
                    port.name, port.backend, f"gradient of {name!r}", dtype, seed, "NOT-RUN",
                    message="the reference has no slope here that could be measured",
                )  # fmt: skip
                continue
            one = judged(f"gradient of {name!r}", gradient, truth.gradient(name, gradient, dtype), port, dtype, seed)
            if one.failed and not np.any(truth.gradients[name]):
                says = f"the reference {self.right!r} has no gradient with respect to {name!r}: it is 0 everywhere, as "
                one = replace(one, message=f"{says}where something is detached")
            yield one

    def gradients_of(
        self, runner: Runner, own: Mapping[str, Any], wrt: Sequence[str], truth: reference.Truth, dtype: str
    ) -> dict[str, np.ndarray]:
        if runner.port.backend != NUMPY:
            return runner.gradients(own, wrt, truth.cotangents)
        if dtype != "float64":
            return {}
        measured = reference.numpy_gradients(runner, in_dtype(own, np.float64), wrt, truth.cotangents)
        found = {}
        for name, slope in measured.items():
            expected = truth.gradients[name].astype(np.float64)
            near = np.abs(slope.value.astype(np.float64) - expected) <= slope.bound.astype(np.float64)
            known = np.where(np.isnan(slope.value) | near, expected, slope.value.astype(np.float64))
            found[name] = known.astype(np.float64)
        return found
