"""XLA's HLO, read from its text: JAX and TensorFlow print the same language.

Nobody promises that the text stays as it is (jax#22270), so it is read leniently: a line that is not understood is
left out, and the text itself goes with the view. The entry computation is the graph; what XLA has fused into one kernel
is a fused vertex, and the operations of the fused computation lie within it. Names for the same value (tuples and their
elements, bitcasts, reshapes to the same shape) are no vertices.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crossnn.drawing.view import Kind, Vertex, View

_HEAD = re.compile(r"^(?P<entry>ENTRY\s+)?%?(?P<name>[\w.\-]+)\s*(?:\(.*\)\s*->\s*.+)?\{\s*$")
_LINE = re.compile(r"^\s*(?P<root>ROOT\s+)?%?(?P<name>[\w.\-]+)\s*=\s*(?P<rest>.+)$")
_CALLED = re.compile(r"\b(?:calls|to_apply)=%?([\w.\-]+)")
_INDEX = re.compile(r"\bindex=(\d+)")
_LAYOUT = re.compile(r"\{[^{}]*\}")
_WHENCE = re.compile(r", metadata=\{(?:[^{}\"]|\"[^\"]*\")*\}")
_TABLES = re.compile(r"^(?:FileNames|FunctionNames|FileLocations|StackFrames)\n(?:.+\n)*\n*", re.MULTILINE)
_ALIASES = ("bitcast", "get-tuple-element")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Instruction:
    """One line: `%name = shape opcode(operands), attributes`."""

    name: str
    shape: str
    opcode: str
    operands: tuple[str, ...]
    argument: str
    attributes: str


@dataclass
class Computation:
    """Lines in order; `root` is the name of the one whose value is returned."""

    name: str
    instructions: list[Instruction] = field(default_factory=list)
    root: str = ""


def hlo_view(
    text: str, engine: str, stage: str, names: Sequence[str] = (), public: bool = True, note: str = ""
) -> View:
    """The view of a module; `names` are those of the parameters, in order."""
    computations, entry = parse(text)
    if entry is None:
        raise ValueError("this HLO text has no entry computation")
    reader = _Reader(computations, names)
    results = reader.read(computations[entry], {}, "", "")
    shown = _TABLES.sub("", _WHENCE.sub("", text))  # where in which file of this machine is nothing to learn from
    return View(engine, stage, tuple(reader.vertices), tuple(dict.fromkeys(results)), shown, public, note)


def parse(text: str) -> tuple[Mapping[str, Computation], str | None]:
    """Every computation of a module by name, and the name of the entry."""
    found: dict[str, Computation] = {}
    entry, current = None, None
    for line in text.splitlines():
        line = re.sub(r"/\*.*?\*/", "", line)
        if current is None:
            head = _HEAD.match(line)
            if head and not line.startswith("HloModule"):
                current = found.setdefault(head["name"], Computation(head["name"]))
                entry = head["name"] if head["entry"] else entry
        elif line.startswith("}"):
            current = None
        elif (match := _LINE.match(line)) and (one := _instruction(match["name"], match["rest"])) is not None:
            current.instructions.append(one)
            if match["root"]:
                current.root = one.name
    for computation in found.values():
        if not computation.root and computation.instructions:
            computation.root = computation.instructions[-1].name
    return found, entry


def _instruction(name: str, rest: str) -> Instruction | None:
    """`f64[3]{0} add(%a, %b), metadata={...}`; a tuple's shape begins with a parenthesis."""
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.find(" ")
    if end <= 0:
        return None
    shape, after = rest[:end], rest[end:].lstrip()
    opcode, bracket, _ = after.partition("(")
    if not bracket or not re.fullmatch(r"[\w\-]+", opcode):
        return None
    close = _closing(after, len(opcode))
    if close < 0:
        return None
    inner = after[len(opcode) + 1 : close]
    operands = () if opcode in ("constant", "parameter") else tuple(_operands(inner))
    return Instruction(name, _plain(shape), opcode, operands, inner, after[close + 1 :])


def _closing(text: str, begin: int) -> int:
    """Where the bracket that opens at `begin` closes; -1 where it does not."""
    depth = 0
    for place in range(begin, len(text)):
        if text[place] in _OPENING:
            depth += 1
        elif text[place] in _CLOSING:
            depth -= 1
            if depth == 0:
                return place
    return -1


def _operands(text: str) -> Iterator[str]:
    """The last word of each part between commas: its type may stand before a name."""
    depth, begin = 0, 0
    for place, letter in enumerate(f"{text},"):
        if letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and depth == 0:
            words = text[begin:place].split()
            if words:
                yield words[-1].lstrip("%")
            begin = place + 1


def _plain(shape: str) -> str:
    """`f64[2,3]{1,0}` without the layout."""
    return _LAYOUT.sub("", shape).replace(",", ", ").replace(",  ", ", ")


class _Reader:
    """Walks the entry computation; calls are walked through, fusions make a vertex and are walked within it."""

    def __init__(self, computations: Mapping[str, Computation], names: Sequence[str]) -> None:
        self.computations, self.names = computations, names
        self.vertices: list[Vertex] = []
        self.shapes: dict[str, str] = {}

    def read(
        self, computation: Computation, given: Mapping[int, tuple[str, ...]], prefix: str, within: str
    ) -> tuple[str, ...]:
        """Put the vertices of a computation; the keys of what it returns. `given` are the keys of its parameters."""
        known: dict[str, tuple[str, ...]] = {}
        for one in computation.instructions:
            inputs = tuple(known.get(name, (f"{prefix}{name}",)) for name in one.operands)
            known[one.name] = self._place(one, inputs, given, prefix, within)
        return known.get(computation.root, ())

    def _place(
        self, one: Instruction, inputs: tuple[tuple[str, ...], ...], given: Mapping[int, tuple[str, ...]], prefix: str,
        within: str,
    ) -> tuple[str, ...]:  # fmt: skip
        """The keys of the value, of which a tuple has several."""
        flat = tuple(key for keys in inputs for key in keys)
        called = _CALLED.search(one.attributes)
        inner = self.computations.get(called[1]) if called else None
        if one.opcode == "parameter" and one.argument.isdigit() and int(one.argument) in given:
            return given[int(one.argument)]
        if one.opcode == "tuple":
            return flat
        if one.opcode in _ALIASES and flat:
            index = _INDEX.search(one.attributes)
            place = int(index[1]) if index else 0
            return (flat[place],) if len(flat) > place and one.opcode != "bitcast" else flat[:1]
        if one.opcode == "reshape" and flat and self.shapes.get(flat[0]) == one.shape:
            return flat
        if one.opcode == "call" and inner is not None:
            return self.read(inner, dict(enumerate(inputs)), f"{prefix}{one.name}/", within)
        key = f"{prefix}{one.name}"
        if one.opcode == "fusion" and inner is not None and not within:
            self._put(one, key, flat, "fused", within)
            self.read(inner, dict(enumerate(inputs)), f"{key}/", key)
            return (key,)
        kinds: Mapping[str, Kind] = {"parameter": "input", "constant": "constant"}
        self._put(one, key, flat, kinds.get(one.opcode, "operation"), within)
        return (key,)

    def _put(self, one: Instruction, key: str, inputs: tuple[str, ...], kind: Kind, within: str) -> None:
        operation, name = one.opcode, ""
        if kind == "constant":
            name = one.argument if len(one.argument) <= 12 else ""
        elif kind == "input" and one.argument.isdigit() and int(one.argument) < len(self.names):
            name = self.names[int(one.argument)]
        elif kind == "operation" and one.opcode == "custom-call":
            target = re.search(r'custom_call_target="([^"]+)"', one.attributes)
            operation = target[1] if target else operation
        self.shapes[key] = one.shape
        self.vertices.append(Vertex(key, operation, inputs, kind, name, one.shape, within))
