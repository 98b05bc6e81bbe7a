"""Graphs become planned NumPy: straight-line source that computes in memory made once.

Every array operation writes into a slot (`out=`), in place where its operand dies; views stay views; numbers are
computed by Python. The text that `plan` prints is the text that runs, once per signature of shapes and types.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from crossnn.formula.graph import Graph, Node
from crossnn.formula.numpy_buffers import buffer, number, pieces, results, view
from crossnn.formula.numpy_meaning import BITS, REDUCTIONS, UFUNCS, is_zero, numpy_meaning
from crossnn.formula.numpy_memory import Memory, Slot
from crossnn.formula.numpy_plan import ALIASES, Kind, is_host, kinds, schedule
from crossnn.formula.printer import SHORT, Printer

_POWERS = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}  # what `array ** number` itself turns into
_RESERVED = re.compile(r"slot|scratch|new_|part|pieces|buffer|results|view|number$")


class _Planner(Printer):
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

    def fresh(self, wanted: str) -> str:
        return super().fresh(f"the_{wanted}" if _RESERVED.match(wanted) else wanted)

    def constant(self, node: Node) -> tuple[str, int]:
        text, level = super().constant(node)
        return (f"{text}.0" if text.lstrip("-").isdigit() else text), level

    # Operations.

    def place(self, node: Node) -> None:
        if node.operation in ("input", "constant"):
            super().place(node)
        elif node.shape == () or is_host(self.kinds[id(node)]):
            self.number(node)
        elif node.operation in ALIASES and not is_host(self.kinds[id(node.inputs[0])]):
            self.alias(node)
        elif node.operation in _ARRAYS or node.operation in UFUNCS:
            self.array(node)
        else:  # no special text: NumPy's meaning, which may return a view of its arguments or new memory
            self._assign(node, self.expression(node)[0], _wanted(node))
            self.memory.settle(node, self.memory.below(node))

    def number(self, node: Node) -> None:
        """A single number: an expression, written where it is used if only numbers are made from it."""
        pure = all(child.shape == () and not self.memory.lives_in.get(id(child)) for child in node.inputs)
        if node.operation in REDUCTIONS and node.inputs[0].shape != ():
            text, level = self.reduction(node, ""), 3
        else:
            text, level = self.expression(node)
        if pure and self.uses[id(node)] == 1 and id(node) not in self.arrays_use and not node.name:
            self.text[id(node)] = (text, level)
        else:
            self._assign(node, text, _wanted(node))
        self.memory.settle(node, self.memory.below(node) if node.operation in ALIASES else ())

    def alias(self, node: Node) -> None:
        """The same memory seen differently; nothing is computed."""
        text, axes = self.text[id(node.inputs[0])][0], node.options.get("axes")
        match node.operation:
            case "transpose" if axes is None:
                text += ".T" if len(node.shape) == 2 else ".swapaxes(-1, -2)"
            case "transpose":
                text += f".transpose({axes})"
            case "reshape" | "flatten":
                text += f".reshape({node.shape})"
        if self.uses[id(node)] > 1:
            self._assign(node, text, _wanted(node))
        else:
            self.text[id(node)] = (text, 9)
        self.memory.settle(node, self.memory.below(node))

    def array(self, node: Node, internal: bool = False) -> None:
        """An operation that writes its result into memory that is there."""
        name = self.fresh(_wanted(node))
        if node.operation == "where":
            reusable = self.choice_operands(node)
        else:
            reusable = list(node.inputs) if node.operation in UFUNCS and node.operation != "matmul" else []
        slot = self.memory.destination(node, reusable, internal)
        out = self.seen(slot, node.shape, self.kinds[id(node)])
        text = [self.operand(node, child) for child in node.inputs]
        match node.operation:
            case "where":
                self.choice(node, name, slot, out)
            case "broadcast" | "reshape" | "ones_like":
                self.copy(name, out, text[0] if node.operation != "ones_like" else "1")
            case "argmax":
                self.lines.append(f"{name} = np.argmax({text[0]}, axis={node.options['axis']}, out={out})")
            case "sum" | "mean" | "max" | "min":
                self.lines.append(f"{name} = {self.reduction(node, out)}")
            case "power" if special := _POWERS.get(node.inputs[1].options.get("value", 0.0)):
                self.lines.append(f"{name} = np.{special}({text[0]}, out={out})")
            case operation:
                self.lines.append(f"{name} = np.{UFUNCS[operation].__name__}({', '.join(text)}, out={out})")
        self.text[id(node)] = (name, 9)
        self.memory.settle(node, [slot], tenant=name)

    def operand(self, node: Node, child: Node) -> str:
        """The text of an operand. Constants become arrays once: a Python number would be converted at each call, which
        takes as long as a small operation itself."""
        text = self.text[id(child)][0]
        given = {kind for one in node.inputs if not is_host(kind := self.kinds[id(one)])}
        if child.operation != "constant" or node.operation not in UFUNCS or len(given) != 1 or not given & BITS.keys():
            return text
        making = f'number({text}, "{given.pop()}")'
        if making not in self.numbers:
            self.numbers[making] = self.fresh(f"number_{text}")
        return self.numbers[making]

    def copy(self, name: str, out: str, value: str) -> None:
        self.lines += [f"np.copyto({out}, {value})", f"{name} = {out}"]

    def reduction(self, node: Node, out: str) -> str:
        (x,), axis = node.inputs, node.options["axis"]
        text = self.text[id(x)][0]
        kind = self.kinds[id(node)]
        if node.operation in ("sum", "mean") and self.kinds[id(x)] != kind:
            text = f'{text}.astype("{kind}")'
        keep = ", keepdims=True" if node.options["keepdims"] else ""
        total = f"np.{REDUCTIONS[node.operation].__name__}.reduce({text}, axis={axis}{keep}{out and f', out={out}'})"
        if node.operation != "mean":
            return total
        count = prod(x.shape) // max(prod(node.shape), 1)
        return f"np.divide({total}, {count}, out={out})" if out else f"{total}/{count}"

    # Choices are made on the bits of the numbers: exact for every value, and without a branch per element.

    def choice_operands(self, node: Node) -> list[Node]:
        """Which operands the chosen way of choosing may overwrite."""
        _, x, y = node.inputs
        if self.on_bits(node):
            return [y] if _zero(x) else [x]
        return []

    def on_bits(self, node: Node) -> bool:
        c, x, y = node.inputs
        kind = self.kinds[id(node)]
        given = [self.kinds[id(one)] for one in (x, y) if one.operation != "constant"]
        same = all(not is_host(one) and one == kind for one in given)
        masked = c.shape != () and self.kinds[id(c)] == np.dtype(bool)
        return bool(given) and same and masked and kind in BITS and x is not y

    def choice(self, node: Node, name: str, slot: Slot, out: str) -> None:
        c, x, y = node.inputs
        mask, first, second = (self.text[id(one)][0] for one in node.inputs)
        if not self.on_bits(node):
            return self.copy(name, out, f"where({mask}, {first}, {second})")
        kind = self.kinds[id(node)]
        bits = self.bits(node, kind, slot)
        said = f"  # where({mask}, {first}, {second})"
        if _zero(y):
            self.lines.append(f"np.multiply({self.bits(x, kind)}, {mask}, out={bits}){said}")
        elif _zero(x):
            flipped = self.memory.destination(c, (), internal=self.block_names is not None)
            opposite = self.seen(flipped, c.shape, self.kinds[id(c)])
            self.lines.append(f"np.logical_not({mask}, out={opposite})")
            self.lines.append(f"np.multiply({self.bits(y, kind)}, {opposite}, out={bits}){said}")
            self.memory.release(flipped)
        else:
            other = self.bits(y, kind)
            self.lines.append(f"np.bitwise_xor({self.bits(x, kind)}, {other}, out={bits}){said}")
            self.lines.append(f"np.multiply({bits}, {mask}, out={bits})")
            self.lines.append(f"np.bitwise_xor({bits}, {other}, out={bits})")
        self.lines.append(f"{name} = {out}")
        return None

    def bits(self, node: Node, kind: Kind, slot: Slot | None = None) -> str:
        """The value as whole numbers: a named view of its slot, or a view made on the spot."""
        if node.operation == "constant":
            return str(int(np.array(node.options["value"], kind).view(BITS[kind])))
        slot = slot or self.memory.owned.get(id(node))
        if slot is not None and self.block_names is None:
            return slot.view(node.shape, BITS[kind])
        text = self.seen(slot, node.shape, kind) if slot is not None else self.text[id(node)][0]
        return f'{text}.view("{BITS[kind]}")'

    # Blocks.

    def seen(self, slot: Slot, shape: tuple[int, ...], kind: Kind) -> str:
        """The name of a slot's memory here: inside a block, of the current piece of it."""
        if self.block_names is None:
            return slot.view(shape, kind)
        if slot in self.memory.scratch.all:
            return slot.name
        if slot.name not in self.block_names:
            self.block_names[slot.name] = f"part_{slot.name}"
            self.block_lines.append(f"part_{slot.name} = {slot.view((prod(shape),), kind)}[part]")
        return self.block_names[slot.name]

    def block(self, run: Sequence[Node]) -> None:
        """A loop over pieces, in which every operation of the run is done on one piece before the next is read."""
        shape, inside = run[0].shape, {id(node) for node in run}
        used = Counter(id(child) for node in run for child in node.inputs)
        outer, self.lines, self.block_names, self.block_lines = self.lines, [], {}, []
        self.memory.inside_block = True
        whole: dict[int, tuple[str, int]] = {}
        for child in {id(child): child for node in run for child in node.inputs}.values():
            if child.shape == () or id(child) in inside:
                continue
            whole[id(child)] = self.text[id(child)]
            if id(child) in self.memory.owned:
                part = self.seen(self.memory.owned[id(child)], shape, self.kinds[id(child)])
            else:
                plain = re.sub(r"\W+", "_", self.text[id(child)][0]).strip("_")
                flat, part = self.fresh(f"flat_{plain}"), super().fresh(f"part_{plain}")
                outer.append(f"{flat} = {self.text[id(child)][0]}.reshape(-1)")
                self.block_lines.append(f"{part} = {flat}[part]")
            self.text[id(child)] = (part, 9)
        for node in run:
            self.array(node, internal=used[id(node)] == self.uses[id(node)])
        body = [*self.block_lines, *self.lines]
        scratch = [slot.name for slot in self.memory.scratch.all if re.search(rf"\b{slot.name}\b", "\n".join(body))]
        self.pieces.append(f"pieces{len(self.pieces)} = pieces({', '.join([str(prod(shape)), *scratch])})")
        outer.append(f"for {''.join(f'{one}, ' for one in ['part', *scratch])[:-1]} in pieces{len(self.pieces) - 1}:")
        outer += [f"    {line}" for line in body]
        self.lines, self.block_names = outer, None
        self.text.update(whole)
        for node in run:
            if used[id(node)] != self.uses[id(node)]:
                slot = self.memory.owned[id(node)]
                self.lines.append(f"{self.text[id(node)][0]} = {slot.view(shape, self.kinds[id(node)])}")
        self.memory.end_block()

    # The whole text.

    def print(self, name: str) -> str:
        head = ", ".join(self.head())
        for run in schedule(self.live):
            if len(run) > 1:
                self.block(run)
            else:
                self.place(run[0])
        for node in self.graph.results:
            for slot in self.memory.lives_in.get(id(node), ()):
                slot.result = True
        given = [slot for slot in self.memory.slots.all if slot.result]
        taken = [line for slot in given for line in (f"{slot.name} = new_{slot.name}()", *slot.view_lines())]
        body = [*taken, *self.lines, f"return {self.tree(self.graph.result)}"]
        slots = [*self.memory.slots.all, *self.memory.scratch.all]
        size = sum(slot.nbytes for slot in slots)
        return "\n".join(
            [
                f"# {name}: {len(self.live)} values in {len(slots)} arrays, {size} bytes.",
                *(line for slot in slots for line in slot.declaration()),
                *self.pieces,
                *(f"{key} = {value!r}" for key, value in self.constants.items()),
                *(f"{key} = {making}" for making, key in self.numbers.items()),
                "",
                f"def {name}({head}):",
                *(f"    {line}" for line in body),
                "",
            ]
        )


def plan(graph: Graph, inputs: Mapping[int, Kind], dtype: str, name: str) -> Callable[..., Any]:
    """Compile a simplified graph. `inputs` gives the type of each input node; the text is the function's docstring."""
    text = _Planner(graph, inputs, dtype).print(name)
    tools = {"np": np, "buffer": buffer, "number": number, "view": view, "pieces": pieces, "results": results}
    scope: dict[str, Any] = {"__builtins__": {}, "inf": math.inf, "nan": math.nan, **numpy_meaning(dtype), **tools}
    exec(compile(text, f"<crossnn {name}, planned>", "exec"), scope)
    function: Callable[..., Any] = scope[name]
    function.__doc__ = text
    return function


_ARRAYS = {"where", "broadcast", "reshape", "ones_like", "argmax", *REDUCTIONS}


def _wanted(node: Node) -> str:
    return node.name or SHORT.get(node.operation, node.operation)


def _zero(node: Node) -> bool:
    return node.operation == "constant" and is_zero(node.options["value"])
