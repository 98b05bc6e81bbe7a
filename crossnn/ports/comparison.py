"""One comparison of ports at work: the truth of every seed, every port in every dtype, every tensor judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.errors import BackendError, CrossnnError, unknown
from crossnn.parity.judge import judge
from crossnn.ports import models, reference
from crossnn.ports.causes import Suspect, likely_cause
from crossnn.ports.layouts import of_port
from crossnn.ports.port import NUMPY, Port, Runner, Signature, in_dtype, is_array, named_inputs
from crossnn.ports.result import Cause, Compared, Failure, PortReport
from crossnn.ports.slopes import MOST
from crossnn.ports.tree import Tree, flat, is_shape

DTYPES = ("float64", "float32")


class Comparison:
    """Everything that is found, seed after seed."""

    def __init__(
        self, ports: Mapping[str, tuple[str, Callable[..., Any]]], right: str, adapters: Mapping[str, Adapter],
        device: str, stages: tuple[str, ...], layouts: Mapping[str, Mapping[str, Any]], wrt: Sequence[str] | None,
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
        self.how = ""

    def report(self) -> PortReport:
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
        inputs = inputs(generator) if callable(inputs) else inputs
        drawn = _drawn(inputs, generator)
        params = _drawn(params, generator) if params is not None else None
        if params is None:
            params = self._own_parameters()
        signature = Signature(drawn, params, self.stages)
        values = {name: _array(one) for name, one in signature.values().items()}
        wrt = self._wrt(signature, values)
        runners = {name: self._runner(name, signature, values) for name in self.ports}
        right = runners[self.right]
        self.start(right.port.backend, "float64")
        try:
            truth = (
                reference.of_numpy(right, values, wrt, seed)
                if right.port.backend == NUMPY
                else reference.of_framework(right, values, wrt, seed)
            )
        except Exception as error:
            raise CrossnnError(
                f"the reference {self.right!r} fails with these inputs: {type(error).__name__}: {error}"
            ) from error
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

    def _note_elements(self, values: Mapping[str, Any], wrt: Sequence[str]) -> None:
        """Gradients by differences are not taken of every element of a large tensor."""
        numpy = [name for name, (backend, _) in self.ports.items() if backend == NUMPY]
        large = [f"{name!r} ({values[name].size:,})" for name in wrt if values[name].size > MOST]
        if numpy and large:
            whose = "gradients" if self.right in numpy else f"gradients of {', '.join(map(repr, numpy))}"
            note = f"{whose} were judged at {MOST} elements only, evenly spread, of {', '.join(large)}"
            self.notes[f"{note}: those of NumPy functions are differences"] = None

    def _own_parameters(self) -> dict[str, np.ndarray] | None:
        """Those of the first model among the ports, the reference before the others."""
        for name in sorted(self.ports, key=lambda one: one != self.right):
            model = self.models[name]
            if model is not None and model.arrays:
                self.notes[f"params are those of {name!r}"] = None
                return {own: one.astype(np.float64) for own, one in model.arrays.items()}
        return None

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

    def _wrt(self, signature: Signature, values: Mapping[str, Any]) -> list[str]:
        if self.wrt is not None:
            wanted = [self.wrt] if isinstance(self.wrt, str) else list(self.wrt)
            for name in wanted:
                if name not in values:
                    raise CrossnnError(unknown("tensor in wrt", name, values))
                if not (is_array(values[name]) and values[name].dtype.kind == "f"):
                    raise CrossnnError(f"wrt names {name!r}, which holds no floating-point numbers: leave it out")
            return wanted
        own = flat(signature.params) if signature.params is not None else named_inputs(signature.inputs)
        return [name for name in own if is_array(values[name]) and values[name].dtype.kind == "f"]

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
            keep("call", "ERROR", message=f"{type(error).__name__}: {_first_line(error)}")
            outputs = None
        if outputs is not None:
            for name in truth.outputs:
                if name not in outputs:
                    keep(f"output {name!r}", "ERROR", message=f"missing; this port returns {', '.join(outputs)}")
                    continue
                found.append(self._judged(f"output {name!r}", outputs[name], truth.value(name), port, dtype, seed))
            for name in outputs:
                if name not in truth.outputs:
                    keep(f"output {name!r}", "ERROR", message=f"the reference has {', '.join(truth.outputs)} only")
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
                message=f"no gradient: {type(error).__name__}: {_first_line(error)}",
            )  # fmt: skip
            return
        for name, gradient in found.items():
            if not np.any(np.isfinite(truth.gradients[name].astype(np.float64))):
                yield Compared(
                    port.name, port.backend, f"gradient of {name!r}", dtype, seed, "NOT-RUN",
                    message="the reference has no slope here that could be measured",
                )  # fmt: skip
                continue
            reference = truth.gradient(name, gradient, dtype)
            yield self._judged(f"gradient of {name!r}", gradient, reference, port, dtype, seed)

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

    def _judged(self, quantity: str, actual: np.ndarray, expected: Any, port: Port, dtype: str, seed: int) -> Compared:
        if expected.exact.hi.dtype.kind == "f" and actual.dtype.kind in "iub":
            actual = actual.astype(dtype)
        if np.dtype(actual.dtype).itemsize > np.dtype(dtype).itemsize:
            actual = actual.astype(dtype)  # more precise than was asked for is no mistake
        one = judge(actual, expected, dtype)
        worst = one.worst
        return Compared(
            port.name, port.backend, quantity, dtype, seed, one.verdict, one.r, one.digits,
            worst.index if worst else (), worst.expected if worst else "", worst.actual if worst else "", one.message,
        )  # fmt: skip


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else ""


def _drawn(tree: Tree, generator: np.random.Generator) -> Tree:
    """Shapes become normal numbers; anything else stays."""
    if is_shape(tree):
        return generator.normal(size=tree)
    if isinstance(tree, Mapping):
        return {key: _drawn(inner, generator) for key, inner in tree.items()}
    if isinstance(tree, tuple | list):
        inner = [_drawn(one, generator) for one in tree]
        return type(tree)(*inner) if hasattr(tree, "_fields") else type(tree)(inner)
    return tree


def _array(value: Any) -> Any:
    """Arrays whose numbers float32 has too; plain numbers, texts and None as they are."""
    if isinstance(value, int | float | str | bool) or value is None:
        return value
    array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    return array.astype(np.float32).astype(np.float64) if array.dtype.kind == "f" else array
