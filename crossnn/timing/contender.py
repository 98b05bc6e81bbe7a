"""One way to do a work: our formula, the framework's own implementation, or code that a user wrote by hand.

What happens in `step` is timed, so nothing is done there that hand-written code would not do: one call of one function
on tensors that are on the device already.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crossnn.adapter import Adapter, Native
from crossnn.errors import CrossnnError, UnavailableError, choices
from crossnn.formula.graph import map_tree
from crossnn.parity.backend import native_of
from crossnn.parity.compute import kept_tensors, kernels_of
from crossnn.runs.cell import Cell
from crossnn.timing.work import TURNS, Work, labelled, with_native


class Contender(Protocol):
    """What a visit needs."""

    def reset(self) -> None:
        """Back to where the work begins."""

    def step(self, number: int) -> Any:
        """One call, with the inputs of this turn; whatever must be waited for."""

    def wait(self, result: Any) -> None:
        """Return when all of a result is computed."""

    def read(self, result: Any) -> dict[str, np.ndarray]:
        """A result by quantity."""


class Called:
    """A function of tensors; what it returns from `first` on is what it is given next."""

    def __init__(self, work: Work, adapter: Adapter, function: Callable[..., Any]) -> None:
        self.adapter, self.function, self.wait = adapter, function, adapter.wait
        self.names, self.first, self.start = work.names, work.first, work.carried
        self.kernels = kernels_of(work.task.objective) if work.task and work.carried else ()
        kept: dict[int, Any] = {}

        def tensor(array: Any) -> Any:
            if id(array) not in kept:  # parameters that all turns share are one tensor
                kept[id(array)] = (array, adapter.tensor(array))
            return kept[id(array)][1]

        self.turns = [map_tree(tensor, turn) for turn in work.turns]
        self.reset()

    def reset(self) -> None:
        """New tensors: those before may have been given away."""
        self.carried = kept_tensors(self.adapter, self.start, self.kernels)

    def step(self, number: int) -> Any:
        result = self.function(*self.carried, *self.turns[number % TURNS])
        if self.carried:
            self.carried = result[self.first :]
        return result

    def read(self, result: Any) -> dict[str, np.ndarray]:
        return {quantity: self.adapter.array(value) for quantity, value in labelled(self.names, result).items()}


class Updates:
    """A framework's own optimizer, which keeps parameters and state itself."""

    def __init__(self, work: Work, adapter: Adapter, native: Native) -> None:
        params, state, _ = work.carried
        self.wait = adapter.wait

        def make() -> Any:
            made = native.function(params, work.settings)
            made.load(params, state, 0)
            return made

        self.make = make
        self.gradients = [turn[0] for turn in work.turns]
        self.rate = float(work.turns[0][1])
        self.reset()

    def reset(self) -> None:
        self.own = self.make()
        self.update = self.own.updates(self.gradients, self.rate)

    def step(self, number: int) -> Any:
        return self.update(number % TURNS)

    def read(self, result: Any) -> dict[str, np.ndarray]:
        params, state = self.own.read()
        return labelled(("update", "state"), (params, state))


class HandWritten:
    """A user's training step: the first way that the file offers for this mode, or the first of the wanted name."""

    def __init__(self, work: Work, cell: Cell) -> None:
        assert cell.timed is not None
        file = cell.timed.beside
        task = work.task
        if task is None or cell.timed.phase != "step":
            raise UnavailableError(f"{file} has training steps; {cell.timed.phase} of {cell.spec} is none")
        module = _module(Path(file), cell.backend)
        short = map_tree(lambda one: np.asarray(one, cell.dtype), (work.carried[0], [turn[0] for turn in work.turns]))
        ways: Mapping[str, Any] = module.ways(cell.spec, cell.mode, *short)
        found = [one for one in ways.items() if cell.timed.way in one[0]]
        if not found:
            what = f"{cell.timed.way!r} for {cell.spec}" if cell.timed.way else cell.spec
            raise UnavailableError(f"{file} has no {what} in the mode {cell.backend} {cell.mode}")
        self.call, self.way = found[0]
        self.reset, self.wait, self.dtype = self.way.reset, self.way.wait, cell.dtype

    def step(self, number: int) -> Any:
        return self.way.step(number % TURNS)

    def read(self, result: Any) -> dict[str, np.ndarray]:
        """The loss may come as a number of Python's; parameters are what they are."""
        found = {f"update/{name}": np.asarray(value) for name, value in self.way.read(result).items()}
        return {"loss": found.pop("update/loss").astype(self.dtype), **found}


def _module(place: Path, backend: str) -> Any:
    """The file itself, or that of a backend in a folder of them: `torch_steps.py`."""
    file = place / f"{backend}_steps.py" if place.is_dir() else place
    if not file.is_file():
        raise UnavailableError(f"no hand-written code for {backend}: there is no {file}")
    found = importlib.util.spec_from_file_location(f"hand_written_{file.stem}", file)
    if found is None or found.loader is None:
        raise CrossnnError(f"{file} is no Python file")
    module = sys.modules[found.name] = importlib.util.module_from_spec(found)  # torch's compiler asks for it by name
    found.loader.exec_module(module)
    if not callable(getattr(module, "ways", None)):
        raise CrossnnError(f"{file} has no function ways(spec, mode, params, batches)")
    return module


def contender_of(work: Work, adapter: Adapter, cell: Cell) -> tuple[Contender, str]:
    """The contender of a cell, and what a user would call it."""
    if cell.mode not in adapter.modes:
        raise UnavailableError(f"{cell.backend} has no mode {cell.mode!r}; its modes: {choices(adapter.modes)}")
    match cell.implementation:
        case "hand-written":
            own = HandWritten(work, cell)
            return own, own.call
        case "native":
            return _native(work, adapter, cell)
    return Called(work, adapter, work.make(adapter, cell.mode)), ""


def _native(work: Work, adapter: Adapter, cell: Cell) -> tuple[Contender, str]:
    native = native_of(adapter, work.row.kind, work.row.name, work.settings or {})
    if native is None:
        raise UnavailableError(f"{cell.backend} has no implementation of {cell.spec} of its own with these settings")
    if native.modes and cell.mode not in native.modes:
        raise UnavailableError(f"{native.call} does not run in the mode {cell.mode}")
    if work.row.kind == "optimizer":
        return Updates(work, adapter, native), native.call
    return Called(work, adapter, with_native(work, native)(adapter, cell.mode)), native.call
