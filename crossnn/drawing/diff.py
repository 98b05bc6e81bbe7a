"""What became of a graph: which vertices were removed, merged, fused or changed, and both graphs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from crossnn.drawing.matching import Matching, Side, match, operands
from crossnn.drawing.names import TRANSPARENT
from crossnn.drawing.svg import Mark, Panel, beside, document, escaped, panel, stacked, swatch
from crossnn.drawing.view import View

DEAD, PASSED, IMPLIED, COMPUTED, UNUSED = (
    "dead: no result needs it",
    "its users take its input instead",
    "implied: it only moved values",
    "computed beforehand",
    "no longer needed",
)
"""Why a vertex was removed."""

WORDS: Mapping[str, str] = {
    "before": "before",
    "after": "after",
    "operations": "operations",
    "kernels": "kernels",
    "removed": "removed",
    "merged": "merged",
    "fused": "fused",
    "changed": "changed",
    "new": "new",
    "unchanged": "no vertex changed",
}
"""The words of a caption, for translation."""

_BESIDE = 1150.0
"""Two pictures wider than this stand below each other."""


@dataclass(frozen=True)
class Difference:
    """Every vertex of the view before is in one of the first five; keys of groups, which are no values, are in none.

    kept: key -> its key after. removed: key -> why. merged: key -> the vertex after that stands for several. fused: key
    -> the group after that holds it. changed: key -> what took its place, or "". new: keys after without one before."""

    kept: Mapping[str, str]
    removed: Mapping[str, str]
    merged: Mapping[str, str]
    fused: Mapping[str, str]
    changed: Mapping[str, str]
    new: tuple[str, ...]

    @property
    def counts(self) -> Mapping[str, int]:
        return {
            "removed": len(self.removed),
            "merged": len(self.merged),
            "fused": len(self.fused),
            "changed": len(self.changed),
            "new": len(self.new),
        }

    @property
    def marks(self) -> Mapping[str, Mark]:
        """For the picture before."""
        return {
            **dict.fromkeys(self.fused, "fused"),
            **dict.fromkeys(self.changed, "changed"),
            **dict.fromkeys(self.merged, "merged"),
            **dict.fromkeys(self.removed, "removed"),
        }

    @property
    def marks_after(self) -> Mapping[str, Mark]:
        return dict.fromkeys(self.new, "new")

    def sentence(self, words: Mapping[str, str] = WORDS) -> str:
        """`2 removed, 1 merged`, or that nothing changed."""
        parts = [f"{number} {words[word]}" for word, number in self.counts.items() if number]
        return ", ".join(parts) or words["unchanged"]


def compare(before: View, after: View) -> Difference:
    """What became of every vertex of `before`, by structure; where no structure answers, "changed"."""
    found, old, new = match(before, after)
    removed = _removed(found, old, new)
    kept, merged, fused, changed = {}, {}, {}, {}
    for vertex in before.vertices:
        key = vertex.key
        if not old.counts(key) or key in removed:
            continue
        if key in found.pairs:
            other = new.vertex[found.pairs[key]]
            group = other.within if other.within in new.vertex else ""
            if group and vertex.within not in old.vertex and vertex.kind == "operation":
                fused[key] = group
            else:
                kept[key] = other.key
        elif key in found.twins:
            merged[key] = found.twins[key]
        else:
            changed[key] = _successor(key, found, old, new)
    matched = set(found.pairs.values())
    fresh = tuple(one.key for one in after.vertices if new.counts(one.key) and one.key not in matched)
    return Difference(kept, removed, merged, fused, changed, fresh)


def _removed(found: Matching, old: Side, new: Side) -> dict[str, str]:
    """Why each vertex that has no counterpart is gone, users before their inputs."""
    results = {old.through(key) for key in old.view.results if key in old.vertex}
    removed: dict[str, str] = {}
    for key in reversed(old.order):
        vertex = old.vertex[key]
        if key in found.pairs or not old.counts(key):
            continue
        users = old.users[key]
        if key not in old.live:
            removed[key] = DEAD
        elif key in found.twins:
            continue
        elif key in found.passed:
            removed[key] = PASSED
        elif users and key not in results and all(one in removed for one in users):
            removed[key] = UNUSED
        elif old.name[key] in TRANSPARENT and old.view.engine == new.view.engine:
            removed[key] = IMPLIED
        elif vertex.kind == "operation" and key in old.numbers:
            removed[key] = COMPUTED
    for key in old.order:  # a number of which a part was computed beforehand
        if old.vertex[key].kind == "constant" and key not in found.pairs and key not in found.twins:
            users = old.users[key]
            if users and all(one in removed for one in users):
                removed.setdefault(key, UNUSED)
    return removed


def _successor(key: str, found: Matching, old: Side, new: Side) -> str:
    """What stands at its place in a user that is still there."""
    for user in old.users[key]:
        other = found.pairs.get(user)
        if other is not None:
            for ours, theirs in operands(old, user, new, other):
                if ours == key:
                    return theirs
    if key in old.view.results and len(old.view.results) == len(new.view.results):
        return new.view.results[old.view.results.index(key)]
    return ""


def side_by_side(before: View, after: View, words: Mapping[str, str] = WORDS) -> str:
    """Both graphs in one SVG: removed vertices red and crossed, merged ones orange and dashed, fused ones blue, with
    what was counted."""
    return document(row(before, after, words), f"{before.stage} -> {after.stage}")


def film(views: Sequence[View], words: Mapping[str, str] = WORDS) -> str:
    """A graph through its life in one SVG: first beside last, then each step that changed something."""
    rows = [row(views[0], views[-1], words)]
    steps = [(one, other) for one, other in pairwise(views) if any(compare(one, other).counts.values())]
    rows += [row(one, other, words) for one, other in steps] if len(steps) > 1 else []
    return document(stacked(rows, 40.0), f"{views[0].stage} -> {views[-1].stage}")


def row(before: View, after: View, words: Mapping[str, str] = WORDS) -> Panel:
    """Both pictures, side by side or, if they are wide, below each other."""
    panels = pair(before, after, words)
    if panels[0].width + panels[1].width <= _BESIDE:
        return beside(panels, 36.0)
    return stacked(panels)


def pair(before: View, after: View, words: Mapping[str, str] = WORDS) -> list[Panel]:
    """The two pictures with their captions."""
    found = compare(before, after)
    texts = [_counted(before, words), _counted(after, words)]
    tags = [(word, f"{number} {words[word]}") for word, number in found.counts.items() if number]
    tagged = [[tag for tag in tags if tag[0] != "new"], [tag for tag in tags if tag[0] == "new"]]
    if not tags:
        tagged[1] = [("", words["unchanged"])]
    titles = [f"{words[word]}: {view.stage}" for word, view in (("before", before), ("after", after))]
    marks = [found.marks, found.marks_after]
    each = zip((before, after), marks, titles, texts, tagged, strict=True)
    return [captioned(panel(view, mark, title, drop=36.0), text, tags) for view, mark, title, text, tags in each]


def captioned(one: Panel, text: str, tags: Sequence[tuple[str, str]]) -> Panel:
    """What was counted, below the title of a panel, in the room that was left for it: a line of text, and tags in the
    colours of their marks."""
    parts, at = [f'<text class="p" x="0" y="31">{escaped(text)}</text>'], 0.0
    for mark, word in tags:
        if mark:
            parts.append(swatch(mark, at, 39.0))
            at += 17
        parts.append(f'<text class="p" x="{at:.1f}" y="48">{escaped(word)}</text>')
        at += 6.6 * len(word) + 14
    return Panel(one.body + "".join(parts), max(one.width, 6.6 * len(text), at), one.height)


def _counted(view: View, words: Mapping[str, str]) -> str:
    number = sum(view.operations.values())
    text = f"{words['operations']}: {number}"
    return text if view.kernels == number else f"{text}, {words['kernels']}: {view.kernels}"
