"""Which vertex of one view is which of another, by structure: what it computes of what.

Keys and names say nothing from one engine to the next. Vertices are the same where they apply the same operation to the
same values, down to the inputs; what merely moves values in memory is looked through. Then users and results are
followed upwards: two vertices of one operation, at the same place of matched users, are the same even if what is above
them was rewritten.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from crossnn.drawing.layers import ordered
from crossnn.drawing.names import COARSE, COMMUTATIVE, TRANSPARENT, canonical
from crossnn.drawing.view import Vertex, View

ROUNDS = 4
_PASSED = 3
"""Through so many vanished vertices the value that took their place is looked for."""


@dataclass
class Matching:
    """`pairs`: key before -> key after. `twins`: a further vertex of equal value -> the one after that stands for
    both. `passed`: a vertex whose users now take one of its
    inputs -> that input."""

    pairs: dict[str, str] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)
    passed: dict[str, str] = field(default_factory=dict)


class Side:
    """One view, with what its vertices are called in common and what they are made of. Of the members of an
    `unordered` group the engine says only what they are: all have the inputs of the group."""

    def __init__(self, view: View, coarse: Mapping[str, str], by_name: bool) -> None:
        self.view = view
        self.vertex: dict[str, Vertex] = {one.key: one for one in view.vertices}
        self.holds: dict[str, list[str]] = defaultdict(list)
        for one in view.vertices:
            if one.within in self.vertex:
                self.holds[one.within].append(one.key)
        self.unordered = {
            key
            for group, members in self.holds.items()
            if len(members) > 1 and all(self.vertex[key].inputs == self.vertex[group].inputs for key in members)
            for key in (group, *members)
        }
        names = {one.key: canonical(one.operation, view.engine) for one in view.vertices}
        self.name = {key: coarse.get(name, name) for key, name in names.items()}
        self.alias = self._aliases()
        self.inputs = {
            key: [self.through(one) for one in _operands(vertex) if one in self.vertex]
            for key, vertex in self.vertex.items()
        }
        arguments = [key for key, vertex in self.vertex.items() if vertex.kind == "input" and key not in self.alias]
        self.argument = {key: self.vertex[key].name if by_name else str(n) for n, key in enumerate(arguments)}
        edges = [(source, key) for key, inputs in self.inputs.items() for source in inputs]
        edges += [(source, key) for key, source in self.alias.items()]
        self.order = ordered(list(self.vertex), edges)
        self.live = self._live()
        self.numbers: set[str] = set()
        """What is made of numbers alone."""
        for key in self.order:
            if self.vertex[key].kind == "constant" or (self.inputs[key] and self.numbers.issuperset(self.inputs[key])):
                self.numbers.add(key)
        self.users: dict[str, list[str]] = defaultdict(list)
        for key, inputs in self.inputs.items():
            for source in inputs:
                self.users[source].append(key)

    def _aliases(self) -> dict[str, str]:
        """A group is the last value that it holds and does not use itself; an argument inside is what is passed."""
        found = {}
        for group, members in self.holds.items():
            if group in self.unordered:
                continue
            used = {source for key in members for source in self.vertex[key].inputs}
            ends = [key for key in members if key not in used and self.vertex[key].kind != "input"]
            if ends:
                found[group] = ends[-1]
            inner = [key for key in members if self.vertex[key].kind == "input"]
            for key, source in zip(inner, self.vertex[group].inputs, strict=False):
                if source in self.vertex and source != key:
                    found[key] = source
        return found

    def through(self, key: str) -> str:
        """The value that this vertex stands for."""
        for _ in range(len(self.vertex)):
            if key not in self.alias:
                return key
            key = self.alias[key]
        return key

    def _live(self) -> set[str]:
        pending = [key for key in self.view.results if key in self.vertex]
        seen: set[str] = set()
        while pending:
            key = pending.pop()
            if key not in seen:
                seen.add(key)
                pending += self.inputs[key]
                if key in self.alias:
                    pending.append(self.alias[key])
        return seen

    def values(self, key: str) -> list[str]:
        """The inputs, without numbers and each of them once."""
        return [one for one in dict.fromkeys(self.inputs[key]) if one not in self.numbers]

    def counts(self, key: str) -> bool:
        """Whether it is a value of its own: not a group, and not the name of an argument inside one."""
        return key not in self.holds and key not in self.alias


def match(before: View, after: View) -> tuple[Matching, Side, Side]:
    """Pair the vertices of two views."""
    coarse: dict[str, str] = {}
    spoken = {canonical(one.operation, view.engine) for view in (before, after) for one in view.vertices}
    for common, finer in COARSE.items():
        if common in spoken:
            coarse.update(dict.fromkeys(finer, common))
    given = [{one.name for one in view.vertices if one.kind == "input" and not one.within} for view in (before, after)]
    by_name = given[0] == given[1] and "" not in given[0]
    old, new = Side(before, coarse, by_name), Side(after, coarse, by_name)
    found = Matching()
    for _ in range(ROUNDS):
        known = len(found.pairs) + len(found.passed)
        for loose in (False, True):
            _by_structure(found, old, new, loose)
        _by_users(found, old, new)
        if known == len(found.pairs) + len(found.passed):
            break
    _by_name(found, old, new)
    return found, old, new


def _codes(side: Side, table: dict[object, int], same: Mapping[str, int], passed: Mapping[str, str], loose: bool
           ) -> dict[str, int]:  # fmt: skip
    """A number for each vertex: equal numbers, equal values."""
    code: dict[str, int] = {}
    seen: dict[str, int] = {}  # the same, looking through what only moves values
    for key in side.order:
        vertex, name = side.vertex[key], side.name[key]
        inputs = [one for one in side.inputs[key] if one in seen]
        parts = [seen[one] for one in inputs if not (loose and one in side.numbers)]
        sign: object = (name, tuple(sorted(parts) if name in COMMUTATIVE else parts))
        if vertex.kind == "input":
            sign = ("input", side.argument.get(key, key))
        elif vertex.kind == "constant":
            sign = ("constant", _number(vertex))
        elif not vertex.inputs:
            sign = (name, _number(vertex))
        code[key] = table.setdefault(sign, same.get(key, len(table)))
        if key in same:
            code[key] = same[key]
        looked = passed.get(key) or (inputs[0] if name in TRANSPARENT and inputs else key)
        seen[key] = seen.get(looked, code[key])
    return code


def _by_structure(found: Matching, old: Side, new: Side, loose: bool) -> None:
    table: dict[object, int] = {}
    same = {key: -1 - number for number, key in enumerate(found.pairs)}
    paired = {other: same[key] for key, other in found.pairs.items()}
    codes = _codes(old, table, same, found.passed, loose), _codes(new, table, paired, {}, loose)
    groups: list[dict[int, list[str]]] = [defaultdict(list), defaultdict(list)]
    for group, numbers, side in zip(groups, codes, (old, new), strict=True):
        for vertex in side.view.vertices:
            if side.counts(vertex.key) and vertex.key not in side.unordered:
                group[numbers[vertex.key]].append(vertex.key)
    taken = set(found.pairs.values())
    for code, ours in groups[0].items():
        theirs = groups[1].get(code, [])
        free = sorted((key for key in theirs if key not in taken), key=lambda key: key not in new.live)
        waiting = sorted((key for key in ours if key not in found.pairs), key=lambda key: key not in old.live)
        for key, other in zip(waiting, free, strict=False):
            found.pairs[key] = other
            found.twins.pop(key, None)
        for key in waiting[len(free) :]:
            alike = [one for one in ours if one in found.pairs and old.vertex[one].shape == old.vertex[key].shape]
            if alike and not loose:
                found.twins[key] = found.pairs[alike[0]]


def _by_users(found: Matching, old: Side, new: Side) -> None:
    """From the results upwards: same operation at the same place. Below an operation that became another one it goes
    on where both are made of as many values (x**2, which became x*x)."""
    back = {other: key for key, other in found.pairs.items()}
    ends = zip(old.view.results, new.view.results, strict=False)
    pending = [(old.through(a), new.through(b), True) for a, b in ends if a in old.vertex and b in new.vertex]
    pending += [(key, other, True) for key, other in found.pairs.items()]
    seen = set()
    for one, other, alike in pending:  # grows while it is walked
        if (one, other, alike) in seen:
            continue
        seen.add((one, other, alike))
        if found.pairs.get(one) != other:
            if one in found.pairs:
                continue
            if other in back:
                handed = _handed(old, one, back[other], found) if alike else ""
                if handed:
                    found.passed[one] = handed
                continue
            if {old.vertex[one].kind, new.vertex[other].kind} != {"operation"} or other in new.unordered:
                continue
            if old.name[one] == new.name[other]:
                found.pairs[one] = other
                back[other] = one
        same = old.name[one] == new.name[other]
        pending += [(a, b, same) for a, b in operands(old, one, new, other)]


def operands(old: Side, one: str, new: Side, other: str) -> list[tuple[str, str]]:
    """The inputs that correspond: all of them, or, where one of the two is made otherwise, without the numbers."""
    ours, theirs = old.inputs[one], new.inputs[other]
    if len(ours) != len(theirs) or old.name[one] != new.name[other]:
        ours, theirs = old.values(one), new.values(other)
    return list(zip(ours, theirs, strict=True)) if len(ours) == len(theirs) else []


def _by_name(found: Matching, old: Side, new: Side) -> None:
    """Last, for engines that say only which operations a kernel is made of: one of the same name."""
    taken = set(found.pairs.values())
    free: dict[str, list[str]] = defaultdict(list)
    for one in new.view.vertices:
        if one.within in new.vertex and one.kind == "operation" and one.key not in taken and new.counts(one.key):
            free[new.name[one.key]].append(one.key)
    for key in old.order:
        waiting = old.vertex[key].kind == "operation" and key in old.live and key not in found.pairs
        if waiting and key not in found.passed and key not in found.twins and free[old.name[key]]:
            found.pairs[key] = free[old.name[key]].pop(0)


def _operands(vertex: Vertex) -> tuple[str, ...]:
    """In the common order: jax's `select_n` names the value of "false" first."""
    if vertex.operation == "select_n" and len(vertex.inputs) == 3:
        condition, otherwise, chosen = vertex.inputs
        return condition, chosen, otherwise
    return vertex.inputs


def _handed(side: Side, key: str, wanted: str, found: Matching, depth: int = 0) -> str:
    """The input by which this vertex hands on the value `wanted`, through others that have vanished too."""
    for source in side.inputs[key]:
        if source == wanted:
            return source
        if source not in found.pairs and depth < _PASSED and _handed(side, source, wanted, found, depth + 1):
            return source
    return ""


def _number(vertex: Vertex) -> str:
    """A number as such, however it is written: `0.5`, `5.000000e-01`, `dense<0.5>`."""
    text = vertex.name or vertex.operation
    number = re.search(r"-?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text)
    if number is None or re.fullmatch(r"[A-Za-z_]\w*", text):
        return text
    return repr(float(f"{float(number.group()):.6g}"))
