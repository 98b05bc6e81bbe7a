"""How a graph is printed: each node an expression or a line, with the names that the author gave.

An operator is printed as an operator where the meaning's function *is* that operator (`operator.add`), and as a call
otherwise. Two things are more than a node: slices that are all of an axis are cut at once, and the loop of a rolled
graph is a function of its own.
"""

from __future__ import annotations

import json
import keyword
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from crossnn.formula.fused import PLACED
from crossnn.formula.graph import Graph, Node, topological
from crossnn.formula.loops import LOOP, RESULT
from crossnn.formula.overwrite import overwritten
from crossnn.formula.primitives import PRIMITIVES

Meaning = Mapping[str, Callable[..., Any]]

OPERATORS: Meaning = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "matmul": operator.matmul,
    "negative": operator.neg,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
"""Meanings that Python's own operators give; adapters start from these."""

SPLIT = "split"
"""What a meaning may have besides the primitives: split(x, sizes, axis), all parts of an array at once."""

NOTHING: Mapping[str, str] = MappingProxyType({})
_PRECEDENCE = {"add": 2, "subtract": 2, "multiply": 3, "divide": 3, "matmul": 3, "negative": 4, "power": 5}
_COMPARISON, _ATOM = 1, 9
_LINE = 96


class Printer:
    def __init__(
        self, graph: Graph, meaning: Meaning, spelling: Mapping[str, str], in_place: Mapping[str, str] = NOTHING,
        given_away: Collection[str] = (),
    ) -> None:  # fmt: skip
        self.meaning = meaning
        self.in_place = in_place
        self.overwritten = overwritten(graph, in_place, given_away) if in_place else {}
        self.within: dict[int, str] = {}  # an argument in whose memory a value lies, by the node of the value
        self.returned = {id(node) for node in graph.results}
        self.spelling = spelling
        self.live = topological(graph.results)
        self.uses = Counter(id(child) for node in self.live for child in node.inputs)
        self.uses.update(id(node) for node in graph.results)
        self.uses.update(id(fixed) for node in self.live if node.operation == LOOP for fixed in _fixed(node))
        self.text: dict[int, tuple[str, int]] = {}
        self.taken: set[str] = set(meaning) | set(keyword.kwlist) | {name.split(".")[0] for name in spelling.values()}
        self.lines: list[str] = []
        self.constants: dict[str, float] = {}
        self.named: dict[tuple[str, str], str] = {}
        self.graph = graph
        self.parts = _parts(self.live) if SPLIT in meaning else {}
        self.split: dict[tuple[int, ...], str] = {}

    def fresh(self, wanted: str) -> str:
        stem = identifier(wanted)
        name, number = stem, 1
        while name in self.taken:
            number += 1
            name = f"{stem}_{number}"
        self.taken.add(name)
        return name

    def head(self) -> list[str]:
        """The parameter list; tensors inside a dictionary argument are read by key."""
        heads = []
        for name, tree in self.graph.arguments.items():
            argument = self.fresh(name)
            heads.append(argument)
            self._bind(tree, argument)
        return heads

    def _bind(self, tree: Any, access: str) -> None:
        if isinstance(tree, Mapping):
            for key, inner in tree.items():
                self._bind(inner, f"{access}[{json.dumps(key)}]")
        elif isinstance(tree, tuple):
            for index, inner in enumerate(tree):
                self._bind(inner, f"{access}[{index}]")
        else:
            self.text[id(tree)] = (access, _ATOM)

    def place(self, node: Node) -> None:
        """Give a node its text: inline where it is used once and short, else as an assignment of its own."""
        if node.operation == "input":
            access = self.text[id(node)][0]
            if self.uses[id(node)] > 1 and "[" in access:
                self._assign(node, access, node.name.split(".")[-1] if node.name.count(".") == 0 else node.name)
            return
        if node.operation == "constant":
            self.text[id(node)] = self.constant(node)
            return
        if node.operation == LOOP:
            self.loop(node)
        if node.operation in (LOOP, RESULT):
            return
        expression, level = self.part(node) if id(node) in self.parts else self.expression(node)
        argument = self.within.get(id(node))
        if argument and id(node) in self.returned:
            # It returns the argument itself: torch's compiler takes what `w.sub_(g)` returns for another tensor.
            self.lines.append(expression)
            self.text[id(node)] = argument, _ATOM
            return
        if node.name or self.uses[id(node)] > 1 or len(expression) > _LINE:
            self._assign(node, expression, node.name or SHORT.get(node.operation, node.operation[0]))
        else:
            self.text[id(node)] = (expression, level)

    def _assign(self, node: Node, expression: str, wanted: str) -> None:
        name = self.fresh(wanted)
        self.lines.append(f"{name} = {expression}")
        self.text[id(node)] = (name, _ATOM)

    def constant(self, node: Node) -> tuple[str, int]:
        value = node.options["value"]
        if node.name or not math.isfinite(value):
            return self._named_constant(node.name or str(value).strip("-"), value), _ATOM
        text = node.options["text"]
        if not re.fullmatch(r"[\d.]+(e-?\d+)?", text) or abs(value) >= 1e15:
            text = repr(value)
        if text.endswith(".0") and text != "-0.0":
            text = text[:-2]
        return text, 4 if text.startswith("-") else _ATOM

    def _named_constant(self, wanted: str, value: float) -> str:
        """A name at the top of the text; the same one again for the same value."""
        if (wanted, repr(value)) not in self.named:
            name = self.named[wanted, repr(value)] = self.fresh(wanted)
            self.constants[name] = value
        return self.named[wanted, repr(value)]

    def part(self, node: Node) -> tuple[str, int]:
        """A slice of an array of which all slices are needed: they are cut in one go, before the first of them."""
        (whole,), (axis, sizes, position) = node.inputs, self.parts[id(node)]
        text, key = self.text[id(whole)][0], (id(whole), axis, *sizes)
        if key not in self.split:
            self.split[key] = self.fresh(f"{text}_parts" if text.isidentifier() else "parts")
            shown = f"({sizes[0]},)*{len(sizes)}" if len(set(sizes)) == 1 else str(sizes)
            self.lines.append(f"{self.split[key]} = {self.spelling.get(SPLIT, SPLIT)}({text}, {shown}, {axis})")
        return f"{self.split[key]}[{position}]", _ATOM

    def loop(self, node: Node) -> None:
        """A step as a function of what is carried and of the parts, its other values from around it; and its call."""
        body = node.options["body"]
        inner = Printer(body, self.meaning, self.spelling)
        inner.taken, inner.named, inner.constants = self.taken, self.named, self.constants
        for argument, outer in zip(body.arguments["fixed"], _fixed(node), strict=True):
            inner.text[id(argument)] = self.text[id(outer)]
        step, given = self.fresh("step"), [self.fresh(name) for name in ("carried", "parts")]
        for name, kind in zip(given, ("carried", "parts"), strict=True):
            names = [inner.fresh(argument.name or name) for argument in body.arguments[kind]]
            inner.lines.append(f"{_tuple(names)} = {name}")
            for argument, text in zip(body.arguments[kind], names, strict=True):
                inner.text[id(argument)] = (text, _ATOM)
        for inside in inner.live:
            if inside.operation != "input":
                inner.place(inside)
        self.lines.append(f"def {step}({', '.join(given)}):")
        self.lines += [f"    {line}" for line in (*inner.lines, f"return {inner.tree(body.result)}")]
        found = {one.options["of"]: one for one in self.live if one.operation == RESULT and one.inputs[0] is node}

        def named(place: tuple[int, int]) -> str:
            if place not in found:
                return "_"
            name = self.fresh(found[place].name or ("last", "sequence")[place[0]])
            self.text[id(found[place])] = (name, _ATOM)
            return name

        carried, collected = (
            [named((kind, number)) for number in range(len(some))] for kind, some in enumerate(body.result)
        )
        texts = [self.text[id(one)][0] for one in node.inputs]
        count, most = len(carried), len(carried) + len(body.arguments["parts"])
        call = f"{self.spelling.get(LOOP, LOOP)}({step}, {_tuple(texts[:count])}, {_tuple(texts[count:most])})"
        self.lines.append(f"{_tuple([*map(_tuple, (carried, collected))])} = {call}")

    def expression(self, node: Node) -> tuple[str, int]:
        name, primitive = node.operation, PRIMITIVES.get(node.operation)
        parts = [self.text[id(child)] for child in node.inputs]
        if all(
            child.operation == "constant" and not child.name for child in node.inputs
        ):  # `abs(1)` would be a whole number
            parts = [(f"{text}.0", level) if text.isdigit() else (text, level) for text, level in parts]
        if id(node) in self.overwritten:
            at = self.overwritten[id(node)]
            operand = node.inputs[at]
            argument = parts[at][0] if operand.operation == "input" else self.within.get(id(operand))
            if argument:
                self.within[id(node)] = argument
            others = [text for place, (text, _) in enumerate(parts) if place != at]
            return self.in_place[name].format(_wrap(parts[at], _ATOM), *others), _ATOM
        if primitive and self.meaning.get(name) is OPERATORS.get(name, self):
            level = _PRECEDENCE.get(name, _COMPARISON)
            if len(parts) == 1:
                return f"-{_wrap(parts[0], level)}", level
            tight = "" if name in ("multiply", "divide", "power") else " "
            left = _wrap(parts[0], level + (name == "power"))
            right = _wrap(parts[1], level + (name != "power"))
            return f"{left}{tight}{primitive.symbol}{tight}{right}", level
        known = primitive.options if primitive else PLACED  # what takes the place of several nodes is no primitive
        default = {key: value for key, value in known.items() if value != ()}  # (): it has no default
        options = [f"{key}={value!r}" for key, value in node.options.items() if (key, value) not in default.items()]
        spelled = self.spelling.get(name, name)
        return f"{spelled}({', '.join([*(text for text, _ in parts), *options])})", _ATOM

    def tree(self, tree: Any) -> str:
        if isinstance(tree, Mapping):
            inner = ", ".join(f"{json.dumps(key)}: {self.tree(value)}" for key, value in tree.items())
            return f"{{{inner}}}"
        if isinstance(tree, tuple):
            return _tuple([self.tree(value) for value in tree])
        return self.text[id(tree)][0]


def _tuple(texts: Sequence[str]) -> str:
    """`(h, c)`, `(h,)`, `()`."""
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"


def _fixed(loop: Node) -> tuple[Node, ...]:
    """The outer values that every step of a loop is given."""
    arguments = loop.options["body"].arguments
    return loop.inputs[len(arguments["carried"]) + len(arguments["parts"]) :]


def _parts(live: Sequence[Node]) -> dict[int, tuple[int, tuple[int, ...], int]]:
    """Slices that lie side by side and are together one whole axis: axis, all lengths, position.

    One by one they would cost a gradient of the whole array each, filled up with zeros; split at once, those of the
    parts are joined (the gates of a recurrent layer: half of its time and more)."""
    groups: dict[tuple[int, int], list[Node]] = {}
    for node in live:
        if node.operation == "slice":
            whole = node.inputs[0]
            groups.setdefault((id(whole), node.options["axis"] % len(whole.shape)), []).append(node)
    found = {}
    for (_, axis), group in groups.items():
        group.sort(key=lambda node: int(node.options["start"]))
        ends = [0, *(node.options["stop"] for node in group)]
        begins = [*(node.options["start"] for node in group), group[0].inputs[0].shape[axis]]
        if len(group) > 1 and begins == ends:
            sizes = tuple(stop - start for start, stop in pairwise(ends))
            found.update({id(node): (axis, sizes, position) for position, node in enumerate(group)})
    return found


SHORT = {"exp": "e", "matmul": "product", "where": "choice", "greater": "above", "less": "below", "subtract": "d"}


def identifier(wanted: str) -> str:
    """A plain ASCII name for anything that a specification may be called."""
    stem = re.sub(r"[^A-Za-z0-9_]", "_", wanted).lstrip("_") or "value"
    return f"{stem}_" if keyword.iskeyword(stem) else f"v{stem}" if stem[0].isdigit() else stem


def _wrap(part: tuple[str, int], level: int) -> str:
    text, own = part
    return text if own >= level else f"({text})"
