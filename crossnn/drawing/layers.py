"""One layered drawing without groups: ranks, order within a rank, coordinates.

Longest path from the sources, barycentres against crossings, and isotonic regression for the places: every box as near
to the middle of its neighbours as the order and the gaps permit (Sugiyama, Tagawa and Toda 1981; Gansner et al. 1993).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP, RISE, BEND = 14.0, 26.0, 6.0
"""Between neighbours, between ranks, and the width that a passing line takes."""
WIDEST = 900.0
"""Boxes of a rank beyond this width go a rank lower."""
SWEEPS = 14
SETTLING = 60
STRAIGHT = 12.0
"""How much more it counts that a long line is straight than that boxes are near."""

Edge = tuple[str, str]
Item = str | tuple[str, str, int]  # a box, or the place where an edge passes a rank


@dataclass(frozen=True)
class Box:
    """Left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def moved(self, right: float, down: float) -> Box:
        return Box(self.x + right, self.y + down, self.width, self.height)


@dataclass(frozen=True)
class Arrangement:
    """Boxes by key, and by edge the corners through which a line passes the ranks between its ends."""

    boxes: Mapping[str, Box]
    bends: Mapping[Edge, tuple[tuple[float, float], ...]]
    width: float
    height: float


def arrange(
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[Edge],
    sinking: Collection[str] = (),
    widest: float = WIDEST,
) -> Arrangement:
    """Boxes of these sizes, sources above their users. `sinking` sources stand just above their first user."""
    order = ordered(list(sizes), edges)
    place = {key: number for number, key in enumerate(order)}
    forward = [(u, v) for u, v in dict.fromkeys(edges) if place[u] < place[v]]
    rank = _ranks(order, sizes, forward, set(sinking), widest)
    layers, above, below = _layers(order, rank, forward)
    layers = _uncrossed(layers, above, below)
    width = {item: sizes[item][0] if isinstance(item, str) else BEND for layer in layers for item in layer}
    centre = _centres(layers, above, below, width)
    left = min((centre[item] - width[item] / 2 for item in centre), default=0.0)
    right = max((centre[item] + width[item] / 2 for item in centre), default=0.0)
    boxes: dict[str, Box] = {}
    bends: dict[Edge, list[tuple[float, float]]] = defaultdict(list)
    top = 0.0
    for layer in layers:
        height = max((sizes[item][1] for item in layer if isinstance(item, str)), default=0.0)
        for item in layer:
            x = centre[item] - left
            if isinstance(item, str):
                wide, high = sizes[item]
                boxes[item] = Box(x - wide / 2, top + (height - high) / 2, wide, high)
            else:
                bends[item[:2]] += [(x, top), (x, top + height)]
        top += height + RISE
    return Arrangement(boxes, {edge: tuple(some) for edge, some in bends.items()}, right - left, max(0.0, top - RISE))


def ordered(keys: Sequence[str], edges: Sequence[Edge]) -> list[str]:
    """Sources before users; where edges go round in a circle, one of them is ignored. Iterative: depth is no limit."""
    above = defaultdict(list)
    for u, v in edges:
        above[v].append(u)
    done: dict[str, None] = {}
    seen: set[str] = set()
    for start in keys:
        pending = [(start, False)]
        while pending:
            key, finished = pending.pop()
            if finished:
                done[key] = None
            elif key not in seen:
                seen.add(key)
                pending.append((key, True))
                pending.extend((one, False) for one in reversed(above[key]))
    return list(done)


def _ranks(
    order: Sequence[str],
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[Edge],
    sinking: set[str],
    widest: float,
) -> dict[str, int]:
    above, below = defaultdict(list), defaultdict(list)
    for u, v in edges:
        above[v].append(u)
        below[u].append(v)
    sinks = {key for key in sinking if not above[key]}
    rank: dict[str, int] = {}
    filled: dict[int, float] = defaultdict(float)
    for key in order:
        if key in sinks:
            continue
        least = max((rank[u] if u not in sinks else 0 for u in above[key]), default=-1) + 1
        while filled[least] and filled[least] + sizes[key][0] > widest:
            least += 1
        filled[least] += sizes[key][0] + GAP
        rank[key] = least
    for key in reversed(order):
        steady = [u for u in above[key] if u not in sinks]
        if key in sinks or (steady and len(steady) < len(below[key])):
            rank[key] = min((rank[v] for v in below[key]), default=1) - 1
    levels = {level: number for number, level in enumerate(sorted(set(rank.values())))}
    return {key: levels[rank[key]] for key in order}


def _layers(
    order: Sequence[str], rank: Mapping[str, int], edges: Sequence[Edge]
) -> tuple[list[list[Item]], dict[Item, list[Item]], dict[Item, list[Item]]]:
    layers: list[list[Item]] = [[] for _ in range(max(rank.values(), default=-1) + 1)]
    above: dict[Item, list[Item]] = defaultdict(list)
    below: dict[Item, list[Item]] = defaultdict(list)
    for key in order:
        layers[rank[key]].append(key)
    for u, v in edges:
        path: list[Item] = [u, *((u, v, level) for level in range(rank[u] + 1, rank[v])), v]
        for item in path[1:-1]:
            assert not isinstance(item, str)
            layers[item[2]].append(item)
        for one, other in pairwise(path):
            below[one].append(other)
            above[other].append(one)
    return layers, above, below


def _uncrossed(
    layers: list[list[Item]], above: Mapping[Item, list[Item]], below: Mapping[Item, list[Item]]
) -> list[list[Item]]:
    """The best order that sweeps of barycentres find."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, below)
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        near, step = (above, -1) if down else (below, 1)
        for number in range(1, len(layers)) if down else range(len(layers) - 2, -1, -1):
            place = {item: index for index, item in enumerate(layers[number + step])}
            own = {item: float(index) for index, item in enumerate(layers[number])}
            for item in layers[number]:
                found = [place[one] for one in near.get(item, ())]
                own[item] = sum(found) / len(found) if found else own[item]
            layers[number].sort(key=lambda item, own=own: own[item])  # type: ignore[misc]
        count = _crossings(layers, below)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
    return best


def _crossings(layers: Sequence[Sequence[Item]], below: Mapping[Item, list[Item]]) -> int:
    count = 0
    for upper, lower in pairwise(layers):
        place = {item: index for index, item in enumerate(lower)}
        seen: list[int] = []
        for item in upper:
            ends = sorted(place[one] for one in below.get(item, ()))
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _centres(
    layers: Sequence[Sequence[Item]],
    above: Mapping[Item, list[Item]],
    below: Mapping[Item, list[Item]],
    width: Mapping[Item, float],
) -> dict[Item, float]:
    centre: dict[Item, float] = {}
    for layer in layers:
        at = 0.0
        for item in layer:
            centre[item] = at + width[item] / 2
            at += width[item] + GAP
        for item in layer:
            centre[item] -= at / 2
    for sweep in range(SETTLING):
        both = sweep >= SETTLING // 3
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted, weights = [], []
            tied = [centre[item] for item in layer if above.get(item) or below.get(item)]
            for item in layer:
                if not above.get(item) and not below.get(item):  # beside those that are tied to others
                    wanted.append(sum(tied) / len(tied) if tied else 0.0)
                    weights.append(0.01)
                    continue
                near = [*(above.get(item, ()) if both or sweep % 2 == 0 else ()),
                        *(below.get(item, ()) if both or sweep % 2 else ())]  # fmt: skip
                pull = [1.0 if isinstance(one, str) or isinstance(item, str) else STRAIGHT for one in near]
                total = sum(pull)
                wanted.append(sum(p * centre[one] for p, one in zip(pull, near, strict=True)) / total if near
                              else centre[item])  # fmt: skip
                weights.append(total or 0.1)
            gaps = [(width[one] + width[other]) / 2 + GAP for one, other in pairwise(layer)]
            centre.update(zip(layer, settled(wanted, weights, gaps), strict=True))
    return centre


def settled(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones (weighted least squares) that keep the order and the gaps."""
    shifts = [0.0]
    for gap in gaps:
        shifts.append(shifts[-1] + gap)
    blocks: list[tuple[float, float, int]] = []  # weight, weighted place, count
    for want, weight, shift in zip(wanted, weights, shifts, strict=False):
        heavy, moment, count = weight, weight * (want - shift), 1
        while blocks and blocks[-1][1] / blocks[-1][0] > moment / heavy:
            last = blocks.pop()
            heavy, moment, count = heavy + last[0], moment + last[1], count + last[2]
        blocks.append((heavy, moment, count))
    level = [moment / heavy for heavy, moment, count in blocks for _ in range(count)]
    return [place + shift for place, shift in zip(level, shifts, strict=False)]
