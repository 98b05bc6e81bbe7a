"""How planned NumPy loops: over pieces of arrays, or over a few images at a time, so that values stay in the cache."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import prod

from crossnn.formula.graph import Node
from crossnn.formula.planned.choices import Choices
from crossnn.formula.planned.images import accumulates, parted, repeated
from crossnn.formula.planned.lines import wanted
from crossnn.formula.planned.plan import ImageBlock
from crossnn.formula.planned.pooling import tool


class Blocks(Choices):
    """Runs of operations that are done piece by piece."""

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
                flat, part = self.fresh(f"flat_{plain}"), self.ours(f"part_{plain}")
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

    def image_block(self, run: ImageBlock) -> None:
        """A loop over pieces of the batch, in which every operation of the run is done on a few images."""
        inside = {id(node) for node in run}
        used = Counter(id(child) for node in run for child in node.inputs)
        batch = parted(run[0])[0].shape[0]
        outer, self.lines, self.block_names, self.block_lines = self.lines, [], {}, []
        self.memory.inside_block, self.memory.images = True, run.together
        parts: dict[int, tuple[str, int]] = {}
        for node in run:
            whole = {id(child): self.text[id(child)] for child in parted(node) if id(child) not in inside}
            for child in parted(node):
                if id(child) in whole and id(child) not in parts:
                    parts[id(child)] = self.image_part(child, outer), 9
            for child in repeated(node):  # adding a whole image takes half the time of adding every pixel its own
                if id(child) not in inside:
                    whole[id(child)] = self.text[id(child)]
                    parts[id(child)] = self.image_of(child, node, outer), 9
            self.text.update({key: parts[key] for key in whole})
            if accumulates(node):
                self.added(node, outer, batch // run.together)
            else:
                self.array(node, internal=used[id(node)] == self.uses[id(node)])
            self.text.update(whole)
        body = [*self.block_lines, *self.lines]
        scratch = [slot.name for slot in self.memory.scratch.all if re.search(rf"\b{slot.name}\b", "\n".join(body))]
        sizes = f"{batch}, {run.together}"
        self.pieces.append(f"pieces{len(self.pieces)} = images({', '.join([sizes, *scratch])})")
        outer.append(f"for {''.join(f'{one}, ' for one in ['part', *scratch])[:-1]} in pieces{len(self.pieces) - 1}:")
        outer += [f"    {line}" for line in body]
        self.lines, self.block_names = outer, None
        for node in run:
            if used[id(node)] != self.uses[id(node)]:
                slot = self.memory.owned[id(node)]
                self.lines.append(f"{self.text[id(node)][0]} = {slot.view(node.shape, self.kinds[id(node)])}")
        self.memory.end_block()

    def image_of(self, child: Node, node: Node, outer: list[str]) -> str:
        """A value for each channel, as an image of nothing but it."""
        text, kind = self.text[id(child)][0], self.kinds[id(child)]
        wanted_name = f"image_{text}" if text.isidentifier() else "image"
        name = self.made(f'buffer({node.shape[1:]}, "{kind}")  # {text} in every pixel', wanted_name)
        outer.append(f"np.copyto({name}, {text})")
        return name

    def image_part(self, child: Node, outer: list[str]) -> str:
        """The images of a value from outside that the block is working on."""
        if id(child) in self.memory.owned:
            return self.seen(self.memory.owned[id(child)], child.shape, self.kinds[id(child)])
        text = self.text[id(child)][0]
        if not text.isidentifier():
            text = self.fresh(re.sub(r"\W+", "_", text).strip("_"))
            outer.append(f"{text} = {self.text[id(child)][0]}")
        part = self.ours(f"part_{text}")
        self.block_lines.append(f"{part} = {text}[part]")
        return part

    def added(self, node: Node, outer: list[str], times: int) -> None:
        """A sum over the batch: what these images add to it."""
        name, slot, kind = self.fresh(wanted(node)), self.memory.total(node), self.kinds[id(node)]
        out, text = slot.view(node.shape, kind), [self.text[id(child)][0] for child in node.inputs]
        outer.append(f"{out}.fill(0)")
        if node.operation == "sum":
            shape = node.inputs[0].shape
            rows = prod(shape[:-1]) // times
            total = f"np.matmul({self.ones(node, rows)}, {text[0]}.reshape({rows}, {shape[-1]}))"
            self.lines.append(f"np.add({out}, {total}, out={out})  # {text[0]}.sum(0, 1, ...)")
        else:
            making, call = tool(node, str(kind), self.memory.images)
            made = self.tools.setdefault(making, f"convolution{len(self.tools)}")
            self.lines.append(f"{made}.{call}({', '.join(text)}, out={out}, add=True)")
        self.text[id(node)] = (name, 9)
        self.memory.settle(node, [slot], tenant=name)
