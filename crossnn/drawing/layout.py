"""Where the vertices of a view stand: groups are laid out first, and are boxes in what surrounds them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from crossnn.drawing.layers import BEND, WIDEST, Arrangement, Box, arrange
from crossnn.drawing.names import COMMUTATIVE, canonical
from crossnn.drawing.view import Vertex

PAD, HEAD = 12.0, 20.0
"""Around what a group holds, and above it, for its name."""
FEW_INPUTS = 4
"""So many inputs stand in the first rank; more of them stand just above where they are used."""
_LOOSE = 260.0

Point = tuple[float, float]
Size = Callable[[Vertex], tuple[float, float]]


@dataclass(frozen=True)
class Wire:
    """From a value to its use as an operand, corner by corner."""

    source: str
    target: str
    operand: int
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Layout:
    """`groups` are the boxes around vertices; `boxes` are all others."""

    boxes: Mapping[str, Box]
    groups: Mapping[str, Box]
    wires: tuple[Wire, ...]
    width: float
    height: float


def layout(vertices: Sequence[Vertex], size: Size) -> Layout:
    """Layers from the inputs at the top down; no two boxes overlap, and a group holds its own vertices only."""
    return _Nest(vertices, size).layout()


class _Nest:
    """The vertices by the group that holds them; "" is the picture itself."""

    def __init__(self, vertices: Sequence[Vertex], size: Size) -> None:
        self.vertex = {one.key: one for one in vertices}
        self.size = size
        self.scope = {one.key: one.within if one.within in self.vertex else "" for one in vertices}
        for key in self.scope:
            if len(self.chain(key)) > len(self.scope):  # within itself
                self.scope[key] = ""
        self.members: dict[str, list[str]] = defaultdict(list)
        for key, scope in self.scope.items():
            self.members[scope].append(key)
        self.members = dict(self.members)
        self.loose = {key for key in self.members if key and self.is_loose(key)}
        self.edges = [(source, key, operand) for key in self.vertex for operand, source in self.operands(key)]
        self.between: dict[str, dict[tuple[str, str], None]] = defaultdict(dict)
        self.ports: dict[str, dict[str, None]] = defaultdict(dict)  # group -> the values that it takes from outside
        self.lifted: dict[tuple[str, str], tuple[str, str]] = {}
        for source, target, _ in self.edges:
            pair = self.siblings(source, target)
            if pair is not None:
                self.lifted[source, target] = pair
                self.between[self.scope[pair[0]]][pair] = None
                for group, member in self.way_in(pair[1], target):
                    self.ports[group][source] = None
                    self.between[group][_port(source), member] = None
        self.frames: dict[str, Arrangement] = {}

    def chain(self, key: str) -> list[str]:
        """The vertex, its group, the group of that ..."""
        found = [key]
        while self.scope[found[-1]] and len(found) <= len(self.scope):
            found.append(self.scope[found[-1]])
        return found

    def is_loose(self, group: str) -> bool:
        """Whether the engine says only which operations a group holds: all of them have the inputs of the group."""
        members = self.members[group]
        return len(members) > 1 and all(self.vertex[key].inputs == self.vertex[group].inputs for key in members)

    def operands(self, key: str) -> list[tuple[int, str]]:
        """Of a group without those that its own vertices take from outside: they are drawn to where they are used."""
        if self.scope[key] in self.loose:
            return []
        inner: set[str] = set()
        for member in self.members.get(key, ()):
            if key not in self.loose:
                inner.update(self.vertex[member].inputs)
        return [(operand, source) for operand, source in enumerate(self.vertex[key].inputs)
                if source in self.vertex and source not in inner]  # fmt: skip

    def siblings(self, source: str, target: str) -> tuple[str, str] | None:
        """What holds both ends, as seen where they meet; nothing if one holds the other."""
        ours, theirs = self.chain(source), self.chain(target)
        if source in theirs or target in ours:
            return None
        for one in ours:
            for other in theirs:
                if self.scope[one] == self.scope[other]:
                    return one, other
        return None

    def way_in(self, group: str, target: str) -> list[tuple[str, str]]:
        """From a group to a vertex deep in it: each group on the way, with its member that comes next."""
        path = self.chain(target)
        path = path[: path.index(group) + 1]
        return [(outer, inner) for inner, outer in pairwise(path)][::-1]

    def frame(self, scope: str) -> tuple[float, float]:
        """Lay out a group; its own size."""
        sizes = {}
        for key in self.members.get(scope, ()):
            if key in self.members:
                width, height = self.frame(key)
                sizes[key] = max(width + 2 * PAD, self.size(self.vertex[key])[0]), height + HEAD + PAD
            else:
                sizes[key] = self.size(self.vertex[key])
        kinds = {key: self.vertex[key].kind for key in sizes}
        many = sum(kind == "input" for kind in kinds.values()) > FEW_INPUTS
        sizes.update({_port(source): (BEND, 0.0) for source in self.ports[scope]})
        sinking = [key for key, kind in kinds.items() if kind == "constant" or (many and kind == "input")]
        found = self.frames[scope] = arrange(
            sizes, list(self.between[scope]), sinking, _LOOSE if scope in self.loose else WIDEST
        )
        return found.width, found.height

    def layout(self) -> Layout:
        width, height = self.frame("")
        boxes: dict[str, Box] = {}
        corner: dict[str, Point] = {"": (0.0, 0.0)}
        pending = [""]
        while pending:
            scope = pending.pop()
            right, down = corner[scope]
            for key, box in self.frames[scope].boxes.items():
                if key not in self.vertex:
                    continue
                boxes[key] = box.moved(right, down)
                if key in self.members:
                    spare = (box.width - 2 * PAD - self.frames[key].width) / 2
                    corner[key] = boxes[key].x + PAD + spare, boxes[key].y + HEAD
                    pending.append(key)
        groups = {key: box for key, box in boxes.items() if key in self.members}
        leaves = {key: box for key, box in boxes.items() if key not in self.members}
        return Layout(leaves, groups, tuple(self.wires(boxes, corner)), width, height)

    def wires(self, boxes: Mapping[str, Box], corner: Mapping[str, Point]) -> list[Wire]:
        entering: dict[str, list[tuple[float, int, str, tuple[Point, ...]]]] = defaultdict(list)
        for source, target, operand in self.edges:
            pair = self.lifted.get((source, target))
            if pair is None:
                continue
            path = ((boxes[source].middle, boxes[source].bottom), *self.bends(self.scope[pair[0]], pair, corner))
            for group, member in self.way_in(pair[1], target):
                port = self.frames[group].boxes[_port(source)].moved(*corner[group])
                path += ((port.middle, boxes[group].y), (port.middle, port.bottom))
                path += self.bends(group, (_port(source), member), corner)
            entering[target].append((path[-1][0], operand, source, path))
        found = []
        for target, lines in entering.items():
            free = canonical(self.vertex[target].operation) in COMMUTATIVE or target in self.members
            lines.sort(key=lambda line, free=free: line[:2] if free else line[1:2])  # type: ignore[misc]
            box = boxes[target]
            spread = min(13.0, (box.width - 14) / max(1, len(lines) - 1))
            for number, (_, operand, source, path) in enumerate(lines):
                end = box.middle + spread * (number - (len(lines) - 1) / 2), box.y
                found.append(Wire(source, target, operand, (*path, end)))
        return found

    def bends(self, scope: str, edge: tuple[str, str], corner: Mapping[str, Point]) -> tuple[Point, ...]:
        right, down = corner[scope]
        return tuple((x + right, y + down) for x, y in self.frames[scope].bends.get(edge, ()))


def _port(source: str) -> str:
    """The key of the place in a group at which a value from outside comes in; no vertex has it."""
    return f"\0{source}"
