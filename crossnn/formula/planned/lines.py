"""What the printers of planned NumPy share: names, constants that are made once, and where values live.

Planned source is printed by one class in four parts, each of which knows one kind of text: this one, sums
(sums.py), choices (choices.py), blocks (blocks.py), and the whole (source.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod

import numpy as np

from crossnn.formula.graph import Graph, Node
from crossnn.formula.numpy_meaning import BITS, UFUNCS, is_zero, numpy_meaning
from crossnn.formula.planned.memory import Memory, Slot
from crossnn.formula.planned.plan import Kind, is_host, kinds
from crossnn.formula.printer import SHORT, Printer

_RESERVED = re.compile(
    r"slot|scratch|pooling\d|convolution\d|Pooling|Convolution|new_|part|pieces|buffer|results|view"
    r"|(images|quotient|number|ones|zeros)$"
)


class Lines(Printer):
    """Prints one graph; the base class gives names, parameters and the arithmetic of numbers."""

    def __init__(self, graph: Graph, inputs: Mapping[int, Kind], dtype: str) -> None:
        meaning = numpy_meaning(dtype)
        super().__init__(graph, meaning, {})
        self.taken |= {"np", "inf", "nan"}
        self.kinds = kinds(self.live, inputs, np.dtype(dtype), meaning)
        self.arrays_use = {id(child) for node in self.live if node.shape != () for child in node.inputs}
        self.memory = Memory(self.kinds, self.uses, graph.results)
        self.block_names: dict[str, str] | None = None
        self.block_lines: list[str] = []
        self.pieces: list[str] = []
        self.numbers: dict[str, str] = {}
        self.tools: dict[str, str] = {}

    def array(self, node: Node, internal: bool = False) -> None:
        """An operation that writes its result into memory that is there."""
        raise NotImplementedError

    def fresh(self, wanted: str) -> str:
        return super().fresh(f"the_{wanted}" if _RESERVED.match(wanted) else wanted)

    def ours(self, wanted: str) -> str:
        """A name that no value of the graph can have."""
        return super().fresh(wanted)

    def constant(self, node: Node) -> tuple[str, int]:
        text, level = super().constant(node)
        return (f"{text}.0" if text.lstrip("-").isdigit() else text), level

    def operand(self, node: Node, child: Node) -> str:
        """The text of an operand. Constants become arrays once: a Python number would be converted at each call, which
        takes as long as a small operation itself."""
        text = self.text[id(child)][0]
        given = {kind for one in node.inputs if not is_host(kind := self.kinds[id(one)])}
        if child.operation != "constant" or node.operation not in UFUNCS or len(given) != 1 or not given & BITS.keys():
            return text
        making = f'number({text}, "{given.pop()}")'
        return self.made(making, f"number_{text}")

    def copy(self, name: str, out: str, value: str) -> None:
        self.lines += [f"np.copyto({out}, {value})", f"{name} = {out}"]

    def ones(self, node: Node, count: int) -> str:
        return self.made(f'ones({count}, "{self.kinds[id(node)]}")', f"ones_{count}")

    def made(self, making: str, wanted: str) -> str:
        """What is made once, by its name."""
        if making not in self.numbers:
            self.numbers[making] = self.ours(wanted)
        return self.numbers[making]

    def seen(self, slot: Slot, shape: tuple[int, ...], kind: Kind) -> str:
        """The name of a slot's memory here: inside a block, of the current piece of it."""
        if self.block_names is None:
            return slot.view(shape, kind)
        if slot in self.memory.scratch.all:
            return slot.name
        if self.memory.images:
            whole = slot.view(shape, kind)
            if whole not in self.block_names:
                self.block_names[whole] = f"part_{whole}"
                self.block_lines.append(f"part_{whole} = {whole}[part]")
            return self.block_names[whole]
        if slot.name not in self.block_names:
            self.block_names[slot.name] = f"part_{slot.name}"
            self.block_lines.append(f"part_{slot.name} = {slot.view((prod(shape),), kind)}[part]")
        return self.block_names[slot.name]


def wanted(node: Node) -> str:
    """What a value would be called."""
    return node.name or SHORT.get(node.operation, node.operation)


def zero(node: Node) -> bool:
    """The number 0, and not -0.0."""
    return node.operation == "constant" and is_zero(node.options["value"])
