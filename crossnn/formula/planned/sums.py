"""How planned NumPy adds up: by NumPy's reductions, or by the matrix library where that is faster."""

from __future__ import annotations

from math import prod

from crossnn.formula.graph import Node
from crossnn.formula.numpy_meaning import REDUCTIONS
from crossnn.formula.planned.lines import Lines
from crossnn.formula.planned.memory import Slot
from crossnn.formula.planned.plan import one_float
from crossnn.formula.shapes import reduced_axes

_SHORT = 32
"""Elements: over so few, a reduction is mostly overhead."""


class Sums(Lines):
    """Reductions."""

    def reduction(self, node: Node, out: str) -> str:
        (x,), axis = node.inputs, node.options["axis"]
        text = self.text[id(x)][0]
        kind = self.kinds[id(node)]
        if node.operation in ("sum", "mean") and self.kinds[id(x)] != kind:
            text = f'{text}.astype("{kind}")'
        if out and self.is_plain_sum(node):  # the matrix library adds up columns ten times faster
            rows = prod(x.shape[:-1])
            text = text if len(x.shape) == 2 else f"{text}.reshape({rows}, {x.shape[-1]})"
            return f"np.matmul({self.ones(node, rows)}, {text}, out={out})  # {text}.sum(0)"
        keep = ", keepdims=True" if node.options["keepdims"] else ""
        total = f"np.{REDUCTIONS[node.operation].__name__}.reduce({text}, axis={axis}{keep}{out and f', out={out}'})"
        if node.operation != "mean":
            return total
        count = prod(x.shape) // max(prod(node.shape), 1)
        return f"np.divide({total}, {count}, out={out})" if out else f"{total}/{count}"

    def is_plain_sum(self, node: Node) -> bool:
        """The sum over all axes but the last, of an array that lies in reading order."""
        (x,), axis = node.inputs, node.options["axis"]
        if node.operation != "sum" or id(x) not in self.memory.owned or len(x.shape) < 2 or node.options["keepdims"]:
            return False
        axes = reduced_axes("sum", x.shape, axis)
        return axes == tuple(range(len(x.shape) - 1)) and one_float([self.kinds[id(one)] for one in (x, node)])

    def is_short_sum(self, node: Node) -> bool:
        """The sum over a short last axis, for which NumPy's own reduction takes longer than the matrix library."""
        (x,), axis = node.inputs, node.options["axis"]
        if id(x) not in self.memory.owned or len(x.shape) < 2 or not 1 < x.shape[-1] <= _SHORT:
            return False
        last = reduced_axes("sum", x.shape, axis) == (len(x.shape) - 1,)
        return last and one_float([self.kinds[id(one)] for one in (x, node)])

    def short_sum(self, node: Node, name: str, slot: Slot) -> None:
        (x,) = node.inputs
        text, rows, length = self.text[id(x)][0], prod(x.shape[:-1]), x.shape[-1]
        matrix = text if len(x.shape) == 2 else f"{text}.reshape({rows}, {length})"
        row, out = (self.seen(slot, shape, self.kinds[id(node)]) for shape in ((rows,), node.shape))
        self.lines.append(f"np.matmul({matrix}, {self.ones(node, length)}, out={row})  # {text}.sum(-1)")
        self.lines.append(f"{name} = {out}")

    def dot(self, node: Node) -> str:
        """sum(x*y)"""
        x, y = (self.text[id(one)][0] for one in node.inputs)
        if one_float([self.kinds[id(one)] for one in (node, *node.inputs)]):
            return f"np.vdot({x}, {y})"
        return f'np.add.reduce(np.multiply({x}, {y}), axis=None, dtype="{self.kinds[id(node)]}")'
