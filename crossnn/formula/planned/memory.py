"""The memory plan of compiled NumPy: slots that values share, one after another.

A slot is taken again as soon as nothing needs the value in it, so a training step lives in few arrays. Arguments that
the caller gave away are slots too, for results of their shape: an update then happens in place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from crossnn.formula.graph import Node
from crossnn.formula.planned.buffers import PIECE
from crossnn.formula.shapes import Shape

_SMALL = 65536  # bytes below which memory is only shared by arrays of one shape: views would cost more than they save


@dataclass(eq=False)
class Slot:
    """Memory for one array, used by one value after another."""

    name: str
    shape: Shape
    dtype: np.dtype[Any]
    live: int = 0
    result: bool = False
    donated: bool = False
    views: dict[str, str] = field(default_factory=dict)
    tenants: list[str] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    def view(self, shape: Shape, dtype: np.dtype[Any]) -> str:
        """The name of this memory seen with a shape and type."""
        if (shape, dtype) == (self.shape, self.dtype):
            return self.name
        same = prod(shape) * dtype.itemsize == self.nbytes
        if same and dtype == self.dtype:
            text = f"{self.name}.reshape({shape})"
        elif same and shape == self.shape:
            text = f'{self.name}.view("{dtype}")'
        else:
            text = f'view({self.name}, {shape}, "{dtype}")'
        form = "_".join(["x".join(map(str, shape))] * (shape != self.shape) + [str(dtype)] * (dtype != self.dtype))
        name = f"{self.name}_{form}"
        self.views[name] = text
        return name

    def declaration(self) -> list[str]:
        """The lines that make this memory, once; a result's memory is asked for at each call instead."""
        named = ", ".join(dict.fromkeys(self.tenants))
        make = f'results({self.shape}, "{self.dtype}")' if self.result else f'buffer({self.shape}, "{self.dtype}")'
        lines = [f"{'new_' * self.result}{self.name} = {make}  # {self.nbytes} bytes: {named}"]
        return lines if self.result else lines + self.view_lines()

    def view_lines(self) -> list[str]:
        return [f"{name} = {text}" for name, text in self.views.items()]


class Slots:
    """The allocator: the best fitting free slot, or a new one."""

    def __init__(self, stem: str) -> None:
        self.stem = stem
        self.all: list[Slot] = []
        self.free: list[Slot] = []

    def take(self, shape: Shape, dtype: np.dtype[Any], exact: bool = False, final: bool = False) -> Slot:
        size = prod(shape) * dtype.itemsize

        def misfit(slot: Slot) -> tuple[bool, bool, int]:
            return not slot.donated, (slot.shape, slot.dtype) != (shape, dtype), slot.nbytes

        exact = exact or final or size < _SMALL
        fitting = [
            slot
            for slot in self.free
            if size <= slot.nbytes <= 4 * size and not (exact and misfit(slot)[1]) and (final or not slot.donated)
        ]
        if fitting:
            slot = min(fitting, key=misfit)
            self.free.remove(slot)
        else:
            slot = Slot(f"{self.stem}{len(self.all)}", shape, dtype)
            self.all.append(slot)
        return slot


class Memory:
    """Who lives in which slot, and until when, while a graph is being printed."""

    def __init__(self, kinds: Mapping[int, Any], uses: Mapping[int, int], results: Iterable[Node]) -> None:
        self.kinds = kinds
        self.left = dict(uses)
        self.final = {id(node) for node in results}
        self.slots = Slots("slot")
        self.scratch = Slots("scratch")
        self.inside_block = False
        self.images = 0  # that the block works on at a time, if it is one of images
        self.lives_in: dict[int, tuple[Slot, ...]] = {}
        self.owned: dict[int, Slot] = {}
        self._waiting: list[Slot] = []
        self._aligned: list[Slot] = []  # of which a piece of a value is where that of another would be

    def destination(self, node: Node, reusable: Sequence[Node], internal: bool = False) -> Slot:
        """Where the result goes: on top of an operand that nobody needs afterwards, or into free memory. A value that
        only its own block needs is `internal`: it is as long as a piece."""
        kind, final = self.kinds[id(node)], id(node) in self.final
        for child in reusable:
            slot = self.owned.get(id(child))
            if slot is None or slot.live != 1 or self.left[id(child)] != node.inputs.count(child):
                continue
            fits = child.shape == node.shape and self.kinds[id(child)] == kind
            if final:  # what is handed out should not keep a larger array alive
                fits = fits and (slot.shape, slot.dtype) == (node.shape, kind)
            if fits and internal == (slot in self.scratch.all):
                return slot
            if fits and self.inside_block and (slot.shape, slot.dtype) == (node.shape, kind):
                return slot  # a piece of it, which nobody reads any more
        if internal:
            shape = (self.images, *node.shape[1:]) if self.images else (PIECE,)
            return self.scratch.take(shape, kind, exact=True)
        for slot in sorted(self._waiting, key=lambda one: not one.donated):  # read in this piece, and not afterwards
            same = (slot.shape, slot.dtype) == (node.shape, kind) and slot in self._aligned
            if same and (final or not slot.donated):
                self._waiting.remove(slot)
                return slot
        return self.slots.take(node.shape, kind, final=final)

    def total(self, node: Node) -> Slot:
        """For what adds up during a block."""
        return self.slots.take(node.shape, self.kinds[id(node)], final=id(node) in self.final)

    def donate(self, node: Node, name: str) -> Slot:
        """An argument whose memory is ours."""
        slot = Slot(name, node.shape, self.kinds[id(node)], live=1, donated=True)
        self.owned[id(node)], self.lives_in[id(node)] = slot, (slot,)
        return slot

    def settle(self, node: Node, slots: Sequence[Slot], tenant: str = "") -> None:
        """The node's value now lives in these slots; operands used for the last time leave theirs. A `tenant` is
        computed into its slot; other values only look at them."""
        if tenant:
            self.owned[id(node)] = slots[0]
            slots[0].tenants.append(tenant)
        self.lives_in[id(node)] = tuple(slots)
        for slot in slots:
            slot.live += 1
        for child in node.inputs:
            self.left[id(child)] -= 1
            if self.left[id(child)] == 0:
                for slot in self.lives_in.get(id(child), ()):
                    slot.live -= 1
                    if slot.live == 0:
                        self.release(slot)
                        if self.inside_block and (slot.shape, slot.dtype) == (child.shape, self.kinds[id(child)]):
                            self._aligned.append(slot)

    def below(self, node: Node) -> list[Slot]:
        """The slots that the operands live in."""
        return list({slot.name: slot for child in node.inputs for slot in self.lives_in.get(id(child), ())}.values())

    def release(self, slot: Slot) -> None:
        if slot in self.scratch.all:
            self.scratch.free.append(slot)
        elif self.inside_block:  # later pieces still read it: it is free only when the block is over
            self._waiting.append(slot)
        else:
            self.slots.free.append(slot)

    def end_block(self) -> None:
        self.inside_block, self.images = False, 0
        self.slots.free += self._waiting
        self._waiting, self._aligned = [], []
