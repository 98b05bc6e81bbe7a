"""Graphs become planned NumPy: straight-line source that computes in memory made once.

Every array operation writes into a slot (`out=`), in place where its operand dies; views stay views; numbers are
computed by Python. The text that `plan` prints is the text that runs, once per signature of shapes and types.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from crossnn.formula.graph import Graph, Node, leaves
from crossnn.formula.numpy_meaning import REDUCTIONS, UFUNCS, numpy_meaning
from crossnn.formula.planned.algebra import DOT
from crossnn.formula.planned.blocks import Blocks
from crossnn.formula.planned.buffers import buffer, number, ones, pieces, quotient, results, view
from crossnn.formula.planned.images import images, in_image_blocks
from crossnn.formula.planned.lines import wanted
from crossnn.formula.planned.maxima import Pooling
from crossnn.formula.planned.memory import Slot
from crossnn.formula.planned.plan import ALIASES, ImageBlock, Kind, is_host, one_float, schedule
from crossnn.formula.planned.pooling import POOLING, RECTIFIED, pooled, tool
from crossnn.formula.planned.sliding import Convolution

_ARRAYS = {"where", RECTIFIED, "broadcast", "reshape", "ones_like", "argmax", *REDUCTIONS}
_POWERS = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}  # what `array ** number` itself turns into
_TOOLS: Mapping[str, Any] = {
    **{tool.__name__: tool for tool in (buffer, number, ones, pieces, quotient, results, view)},
    **{tool.__name__: tool for tool in (images, Convolution, Pooling)},
    "np": np,
    "zeros": np.zeros,
    "inf": math.inf,
    "nan": math.nan,
    "__builtins__": {},
}


class _Planner(Blocks):
    """Prints the operations one after the other."""

    def place(self, node: Node) -> None:
        if id(node) in self.memory.owned:  # an argument that was given away
            return
        if node.operation in ("input", "constant"):
            super().place(node)
        elif node.shape == () or is_host(self.kinds[id(node)]):
            self.number(node)
        elif node.operation in ALIASES and not is_host(self.kinds[id(node.inputs[0])]):
            self.alias(node)
        elif node.operation in _ARRAYS or node.operation in UFUNCS or self.slides(node):
            self.array(node)
        else:  # no special text: NumPy's meaning, which may return a view of its arguments or new memory
            self._assign(node, self.expression(node)[0], wanted(node))
            self.memory.settle(node, self.memory.below(node))

    def slides(self, node: Node) -> bool:
        """A window slides here, and there is a tool for it: without groups, in one precision."""
        if node.operation in POOLING:
            return True
        plain = node.operation in ("conv", "conv_transposed", "conv_kernel") and node.options["groups"] == 1
        return plain and one_float([self.kinds[id(one)] for one in (node, *node.inputs)])

    def number(self, node: Node) -> None:
        """A single number: an expression, written where it is used if only numbers are made from it."""
        pure = all(child.shape == () and not self.memory.lives_in.get(id(child)) for child in node.inputs)
        hosts = all(is_host(self.kinds[id(child)]) for child in node.inputs)
        if node.operation == "divide" and hosts and node.inputs[1].operation != "constant":
            text, level = f"quotient({', '.join(self.text[id(child)][0] for child in node.inputs)})", 9
        elif node.operation == DOT:
            text, level = self.dot(node), 9
        elif node.operation in REDUCTIONS and node.inputs[0].shape != ():
            text, level = self.reduction(node, ""), 3
        else:
            text, level = self.expression(node)
        if pure and self.uses[id(node)] == 1 and id(node) not in self.arrays_use and not node.name:
            self.text[id(node)] = (text, level)
        else:
            self._assign(node, text, wanted(node))
        self.memory.settle(node, self.memory.below(node) if node.operation in ALIASES else ())

    def alias(self, node: Node) -> None:
        """The same memory seen differently; nothing is computed."""
        text, axes = self.text[id(node.inputs[0])][0], node.options.get("axes")
        match node.operation:
            case "transpose" if axes is None:
                text += ".T" if len(node.shape) == 2 else ".swapaxes(-1, -2)"
            case "transpose":
                text += f".transpose({axes})"
            case "reshape" | "flatten" if (slot := self.memory.owned.get(id(node.inputs[0]))) is not None:
                text = slot.view(node.shape, self.kinds[id(node)])  # made once
            case "reshape" | "flatten":
                text += f".reshape({node.shape})"
        if self.uses[id(node)] > 1:
            self._assign(node, text, wanted(node))
        else:
            self.text[id(node)] = (text, 9)
        self.memory.settle(node, self.memory.below(node))

    def array(self, node: Node, internal: bool = False) -> None:
        """An operation that writes its result into memory that is there."""
        name = self.fresh(wanted(node))
        if node.operation == "where":
            reusable = self.choice_operands(node)
        else:
            inplace = node.operation in UFUNCS or node.operation == RECTIFIED
            reusable = list(node.inputs) if inplace and node.operation != "matmul" else []
        slot = self.memory.destination(node, reusable, internal)
        out = self.seen(slot, node.shape, self.kinds[id(node)])
        text = [self.operand(node, child) for child in node.inputs]
        match node.operation:
            case "rectified":  # to NumPy an array of zeros is quicker to compare with than a number
                zeros = self.made(f'zeros({node.shape[1:]}, "{self.kinds[id(node)]}")', "nothing")
                self.lines.append(f"{name} = np.fmax({text[0]}, {zeros}, out={out})")
            case "where":
                self.choice(node, name, slot, out)
            case "broadcast" | "reshape" | "ones_like":
                self.copy(name, out, text[0] if node.operation != "ones_like" else "1")
            case "argmax":
                self.lines.append(f"{name} = np.argmax({text[0]}, axis={node.options['axis']}, out={out})")
            case "sum" if self.is_short_sum(node):
                self.short_sum(node, name, slot)
            case "sum" | "mean" | "max" | "min":
                self.lines.append(f"{name} = {self.reduction(node, out)}")
            case _ if self.slides(node):
                making, call = tool(node, str(self.kinds[id(node.inputs[-1])]), self.memory.images)
                stem = "pooling" if making.startswith("Pooling") else "convolution"
                made = self.tools.setdefault(making, f"{stem}{len(self.tools)}")
                self.lines.append(f"{name} = {made}.{call}({', '.join(text)}, out={out})")
            case "power" if special := _POWERS.get(node.inputs[1].options.get("value", 0.0)):
                self.lines.append(f"{name} = np.{special}({text[0]}, out={out})")
            case operation:
                self.lines.append(f"{name} = np.{UFUNCS[operation].__name__}({', '.join(text)}, out={out})")
        self.text[id(node)] = (name, 9)
        self.memory.settle(node, [slot], tenant=name)

    def donate(self, nodes: Iterable[Node]) -> list[tuple[str, Slot]]:
        """Make arguments our memory; how each is read, and its slot."""
        found = []
        for node in nodes:
            if node.shape != () and self.uses[id(node)] and not is_host(self.kinds[id(node)]):
                access = self.text[id(node)][0]
                name = access if access.isidentifier() else self.fresh(node.name or access)
                self.text[id(node)] = name, 9
                found.append((access, self.memory.donate(node, name)))
        return found

    def print(self, name: str, donated: int) -> str:
        head = ", ".join(self.head())
        away = self.donate(leaves([*self.graph.arguments.values()][:donated]))
        for run in schedule(in_image_blocks(self.live, self.slides)):
            if isinstance(run, ImageBlock):
                self.image_block(run)
            elif len(run) > 1:
                self.block(run)
            else:
                self.place(run[0])
        for node in self.graph.results:
            for slot in self.memory.lives_in.get(id(node), ()):
                slot.result = not slot.donated
        given = [slot for slot in self.memory.slots.all if slot.result]
        taken = [line for slot in given for line in (f"{slot.name} = new_{slot.name}()", *slot.view_lines())]
        for access, slot in away:
            taken += [f"{slot.name} = {access}"] * (access != slot.name) + slot.view_lines()
        body = [*taken, *self.lines, f"return {self.tree(self.graph.result)}"]
        slots = [*self.memory.slots.all, *self.memory.scratch.all]
        size = sum(slot.nbytes for slot in slots)
        return "\n".join(
            [
                f"# {name}: {len(self.live)} values in {len(slots)} arrays, {size} bytes.",
                *(line for slot in slots for line in slot.declaration()),
                *self.pieces,
                *(f"{key} = {making}" for making, key in self.tools.items()),
                *(f"{key} = {value!r}" for key, value in self.constants.items()),
                *(f"{key} = {making}" for making, key in self.numbers.items()),
                "",
                f"def {name}({head}):",
                *(f"    {line}" for line in body),
                "",
            ]
        )


def plan(graph: Graph, inputs: Mapping[int, Kind], dtype: str, name: str, donated: int = 0) -> Callable[..., Any]:
    """Compile a simplified graph. `inputs` gives the type of each input node; the text is the function's docstring.
    The arrays of so many first arguments may be overwritten: each lies in reading order in memory of its own."""
    graph, inputs = pooled(graph, inputs, dtype)
    text = _Planner(graph, inputs, dtype).print(name, donated)
    scope: dict[str, Any] = {**numpy_meaning(dtype), **_TOOLS}
    exec(compile(text, f"<crossnn {name}, planned>", "exec"), scope)
    function: Callable[..., Any] = scope[name]
    function.__doc__ = text
    return function
