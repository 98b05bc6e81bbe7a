"""How planned NumPy chooses: on the bits of the numbers, exact for every value, and without a branch per element."""

from __future__ import annotations

import numpy as np

from crossnn.formula.graph import Node
from crossnn.formula.numpy_meaning import BITS
from crossnn.formula.planned.lines import zero
from crossnn.formula.planned.memory import Slot
from crossnn.formula.planned.plan import Kind, is_host
from crossnn.formula.planned.sums import Sums


class Choices(Sums):
    """`where(mask, x, y)`."""

    def choice_operands(self, node: Node) -> list[Node]:
        """Which operands the chosen way of choosing may overwrite."""
        _, x, y = node.inputs
        if self.on_bits(node):
            return [y] if zero(x) else [x]
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
        if zero(y):
            self.lines.append(f"np.multiply({self.bits(x, kind)}, {mask}, out={bits}){said}")
        elif zero(x):
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
