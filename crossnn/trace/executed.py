"""One operation as it ran, and the log in which an engine writes them: the same for NumPy and every framework.

A log knows values by the objects that hold them: what one operation returns is what the next is given. It keeps them
all, so that no object takes the place of one that has gone, and copies each value when it is made, so that nothing that
is overwritten later changes what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crossnn.drawing.view import Kind, Vertex, View

INPUT = "input"
"""The operation of an argument, which nothing computed."""


@dataclass(frozen=True)
class Executed:
    """`inputs` are keys of earlier ones, or numbers as text. `gradient` is that of the traced result with respect to
    this value. `backward`: it ran to differentiate; `returned`: it is a result."""

    number: int
    operation: str
    inputs: tuple[str, ...]
    value: np.ndarray
    name: str = ""
    gradient: np.ndarray | None = None
    seconds: float = 0.0
    bytes: int = 0
    backward: bool = False
    returned: bool = False

    @property
    def key(self) -> str:
        return f"%{self.number}"


class Log:
    """Writes down what runs. `array` gives the value of a tensor, `holder` what the tensor is known by."""

    def __init__(self, array: Callable[[Any], np.ndarray], holder: Callable[[Any], Hashable] = id) -> None:
        self.array, self.holder = array, holder
        self.entries: list[Executed] = []
        self.places: dict[Hashable, int] = {}
        self.tensors: list[list[Any]] = []
        """Those of each entry."""
        self.called: dict[Hashable, str] = {}
        self.kept: list[Any] = []

    def argument(self, name: str, tensor: Any) -> None:
        value = self.array(tensor)
        self._write(Executed(len(self.entries), INPUT, (), value, name, bytes=value.nbytes), [tensor])

    def add(
        self, operation: str, inputs: Iterable[str], outputs: list[Any], seconds: float, *, name: str = "",
        backward: bool = False,
    ) -> None:  # fmt: skip
        """An operation that has run. Of several outputs the first is the value that is shown."""
        if not outputs:
            return
        values = [self.array(tensor) for tensor in outputs]
        one = Executed(
            len(self.entries), operation, tuple(inputs), values[0], name, seconds=seconds,
            bytes=sum(value.nbytes for value in values), backward=backward,
        )  # fmt: skip
        self._write(one, outputs)

    def _write(self, one: Executed, tensors: list[Any]) -> None:
        for tensor in tensors:
            self.places[self.holder(tensor)] = one.number
        self.tensors.append(tensors)
        self.entries.append(one)

    def key(self, tensor: Any) -> str:
        """The key of a tensor that was seen; of another one its number, or its shape."""
        holder = self.holder(tensor)
        if holder in self.places:
            return f"%{self.places[holder]}"
        return self.called.get(holder) or number_text(self.array(tensor))

    def call(self, tensor: Any, text: str) -> None:
        """Name a tensor that no line of its own is for."""
        self.called[self.holder(tensor)] = text
        self.kept.append(tensor)

    def finish(self, results: Iterable[Any], gradients: Mapping[int, np.ndarray] | None = None) -> list[Executed]:
        """What was written, with the gradients by number."""
        returned = {self.places[key] for key in map(self.holder, results) if key in self.places}
        found = gradients or {}
        return [replace(one, gradient=found.get(one.number), returned=one.number in returned) for one in self.entries]


WEIGHTS = "weights"
"""What the cotangent is called, where it has more than one number."""


def number_text(array: np.ndarray) -> str:
    """A constant as text: its number, or its type and shape."""
    array = np.asarray(array)
    if array.size == 1:
        return f"{array.reshape(-1)[0].item():.6g}" if array.dtype.kind == "f" else str(array.reshape(-1)[0].item())
    return f"{array.dtype}{list(array.shape)}"


def view_of_run(engine: str, executed: list[Executed], note: str = "") -> View:
    """What ran as a graph: nothing was recorded before, and nothing is left out."""
    vertices: list[Vertex] = []
    for one in executed:
        inputs = []
        for place, key in enumerate(one.inputs):
            if not key.startswith("%"):
                vertices.append(Vertex(f"{one.key}.{place}", "constant", (), "constant", key))
                key = f"{one.key}.{place}"
            inputs.append(key)
        shape = f"{one.value.dtype}{list(one.value.shape)}"
        kind: Kind = "input" if one.operation == INPUT else "operation"
        vertices.append(Vertex(one.key, one.operation, tuple(inputs), kind, one.name, shape))
    results = tuple(one.key for one in executed if one.returned)
    text = "\n".join(_line(one) for one in executed)
    return View(engine, "executed", tuple(vertices), results, text, note=note)


def _line(one: Executed) -> str:
    what = f"{one.operation} {one.name}" if one.operation == INPUT else " ".join([one.operation, *one.inputs])
    return f"{one.key} = {what}"
