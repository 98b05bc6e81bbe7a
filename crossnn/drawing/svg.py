"""A view as one small SVG text, readable without colour and on any background.

Inputs have round ends, constants a dotted line, operations corners, and a fused group is a box around what it holds; a
result has a second line around it. Lines take the colour of the text around the picture; a mark has a colour, a style
of line and a sign. Labels are anyone's data: they are escaped, and shortened where they are long.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from crossnn.drawing.layers import Box
from crossnn.drawing.layout import Layout, Wire, layout
from crossnn.drawing.view import Vertex, View

Mark = Literal["removed", "merged", "fused", "changed", "new"]

MOST = 90
"""A view of more vertices is counted, not drawn."""
LONGEST = 22
MARGIN = 12.0
_LETTER, _SMALL, _LINE = 7.0, 5.6, 13.0
_SIGNS: Mapping[Mark, str] = {
    "removed": "\N{MULTIPLICATION SIGN}",
    "merged": "=",
    "fused": "",
    "changed": "~",
    "new": "+",
}

STYLE = (
    ".cnn{font:11.5px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;max-width:100%;"
    "height:auto}"
    ".cnn text{fill:currentColor;text-anchor:middle}"
    ".cnn .s{font-size:9.5px;opacity:.72}"
    ".cnn .l{text-anchor:start}"
    ".cnn .h{font:600 13px system-ui,sans-serif;text-anchor:start}"
    ".cnn .p{font:12px system-ui,sans-serif;text-anchor:start}"
    ".cnn .w{fill:none;stroke:currentColor;stroke-opacity:.5;stroke-width:1.1}"
    ".cnn .a{fill:currentColor;fill-opacity:.6}"
    ".cnn .o{fill:currentColor;fill-opacity:.05;stroke:currentColor;stroke-width:1.1}"
    ".cnn .i{fill:#3a8f5d;fill-opacity:.17;stroke:currentColor;stroke-width:1.8}"
    ".cnn .c{fill:none;stroke:currentColor;stroke-opacity:.75;stroke-dasharray:1.5 2.5}"
    ".cnn .f{fill:#2878b5;fill-opacity:.08;stroke:#2878b5;stroke-width:1.5}"
    ".cnn .d{fill:none;stroke:currentColor;stroke-width:.9}"
    ".cnn .removed .o,.cnn .removed .i,.cnn .removed .c,.cnn .x{fill:none;stroke:#d1495b;stroke-width:1.7}"
    ".cnn .removed text{opacity:.6}"
    ".cnn .merged .o,.cnn .merged .i,.cnn .merged .c{fill:#e08e0b;fill-opacity:.14;stroke:#e08e0b;stroke-width:2.2;"
    "stroke-dasharray:6 3}"
    ".cnn .fused .o,.cnn .fused .i,.cnn .fused .c{fill:#2878b5;fill-opacity:.16;stroke:#2878b5;stroke-width:2.4}"
    ".cnn .changed .o,.cnn .changed .i,.cnn .changed .c{stroke-dasharray:9 3 2 3;stroke-width:1.7}"
    ".cnn .new .o,.cnn .new .i,.cnn .new .c{fill:#3a8f5d;fill-opacity:.1;stroke:#3a8f5d;stroke-width:2.2}"
    ".cnn .b{font:700 11px system-ui,sans-serif}"
)


@dataclass(frozen=True)
class Panel:
    """A piece of SVG and its size, to be put anywhere."""

    body: str
    width: float
    height: float


def draw(view: View, marks: Mapping[str, Mark] | None = None, title: str = "") -> str:
    """A self-contained SVG of the view, with a title line where one is given. `marks`: key -> what became of it."""
    return document(panel(view, marks or {}, title), title or f"{view.engine}: {view.stage}")


def panel(view: View, marks: Mapping[str, Mark], title: str = "", drop: float = 0.0) -> Panel:
    """The graph below its title; `drop` is the room left between them for more lines."""
    head = f'<text class="h" x="0" y="14">{escaped(title)}</text>' if title else ""
    top = (26.0 if title else 6.0) + drop
    inner = _graph(view, marks) if 0 < len(view.vertices) <= MOST else _counted(view)
    width = max(inner.width, 7.6 * len(title))
    spare = (width - inner.width) / 2
    body = f'{head}<g transform="translate({spare:.1f} {top:.1f})">{inner.body}</g>'
    return Panel(body, width, top + inner.height + 6)


def beside(panels: Sequence[Panel], gap: float = 28.0) -> Panel:
    """Panels in a row."""
    parts, at = [], 0.0
    for one in panels:
        parts.append(f'<g transform="translate({at:.1f} 0)">{one.body}</g>')
        at += one.width + gap
    return Panel("".join(parts), max(0.0, at - gap), max((one.height for one in panels), default=0.0))


def stacked(panels: Sequence[Panel], gap: float = 24.0) -> Panel:
    """Panels below each other."""
    parts, at = [], 0.0
    for one in panels:
        parts.append(f'<g transform="translate(0 {at:.1f})">{one.body}</g>')
        at += one.height + gap
    return Panel("".join(parts), max((one.width for one in panels), default=0.0), max(0.0, at - gap))


def swatch(mark: str, x: float, y: float) -> str:
    """A small box that looks like what has this mark."""
    style = "f" if mark == "fused" else "o"
    cross = f'<path class="x" d="M{x:.1f} {y:.1f}l11 10m0 -10l-11 10"/>' if mark == "removed" else ""
    return f'<g class="{mark}"><rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="11" height="10" rx="2"/>{cross}</g>'


def document(one: Panel, title: str) -> str:
    """A panel as an SVG of its own."""
    width, height = one.width + 2 * MARGIN, one.height + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cnn" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img"><title>{escaped(title)}</title>'
        f'<style>{STYLE}</style><g transform="translate({MARGIN:.0f} {MARGIN:.0f})">{one.body}</g></svg>\n'
    )


def escaped(text: str) -> str:
    """Text as XML: what no XML may hold is replaced, and nothing is markup."""
    return html.escape(re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def shortened(text: str, most: int = LONGEST) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def size(vertex: Vertex) -> tuple[float, float]:
    """Width and height of a box: as its labels want it."""
    first, second = _labels(vertex)
    wide = max(_LETTER * len(first), _SMALL * len(second)) + (20 if vertex.kind == "input" else 14)
    return max(34.0, wide), 20.0 + (_LINE if second else 0)


def _labels(vertex: Vertex) -> tuple[str, str]:
    """What it is, and below it, smaller, what it is called and its shape."""
    if vertex.kind in ("input", "constant"):
        return shortened(_rounded(vertex.name) or vertex.operation), shortened(vertex.shape)
    name = f"{vertex.name}: " if vertex.name and vertex.shape else vertex.name
    return shortened(vertex.operation), shortened(f"{name}{vertex.shape}", LONGEST + 4)


def _rounded(text: str) -> str:
    """A number of many digits by its first ones; the tooltip has them all."""
    if len(text) < 10 or not re.fullmatch(r"-?\d+\.\d+(e[+-]?\d+)?", text):
        return text
    return f"{float(text):.6g}"


def _graph(view: View, marks: Mapping[str, Mark]) -> Panel:
    plan = layout(view.vertices, size)
    results = set(view.results)
    vertices = {one.key: one for one in view.vertices}
    depth = sorted(plan.groups, key=lambda key: -plan.groups[key].width * plan.groups[key].height)
    parts = [_group(vertices[key], plan.groups[key], marks.get(key)) for key in depth]
    parts += _lines(plan.wires)
    parts += [_vertex(vertices[key], box, marks.get(key), key in results) for key, box in plan.boxes.items()]
    parts += [_double(plan.groups[key]) for key in plan.groups if key in results]
    return Panel("".join(parts), *_extent(plan))


def _extent(plan: Layout) -> tuple[float, float]:
    return plan.width + 4, plan.height + 6


def _group(vertex: Vertex, box: Box, mark: Mark | None) -> str:
    name = shortened(" ".join(filter(None, [vertex.operation, vertex.name])), int((box.width - 14) / _LETTER))
    return (
        f'<g class="{mark or ""}"><title>{escaped(_full(vertex))}</title>'
        f'<rect class="f" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="11"/>'
        f'<text class="s l" x="{box.x + 8:.1f}" y="{box.y + 13:.1f}">{escaped(name)}</text></g>'
    )


def _vertex(vertex: Vertex, box: Box, mark: Mark | None, result: bool) -> str:
    style = {"input": "i", "constant": "c", "fused": "f"}.get(vertex.kind, "o")
    round_ = box.height / 2 if vertex.kind == "input" else 9 if vertex.kind == "fused" else 3
    first, second = _labels(vertex)
    middle = box.y + box.height / 2 + 4
    texts = f'<text x="{box.middle:.1f}" y="{middle - (6 if second else 0):.1f}">{escaped(first)}</text>'
    if second:
        texts += f'<text class="s" x="{box.middle:.1f}" y="{middle + 7.5:.1f}">{escaped(second)}</text>'
    cross = ""
    if mark == "removed":
        cross = (
            f'<path class="x" d="M{box.x:.1f} {box.y:.1f}l{box.width:.1f} {box.height:.1f}'
            f'm0 {-box.height:.1f}l{-box.width:.1f} {box.height:.1f}"/>'
        )
    sign = _SIGNS.get(mark, "") if mark else ""
    badge = f'<text class="b" x="{box.x + box.width + 5:.1f}" y="{box.y + 6:.1f}">{sign}</text>' if sign else ""
    return (
        f'<g class="{mark or ""}"><title>{escaped(_full(vertex))}</title>'
        f'<rect class="{style}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="{round_:.1f}"/>{_double(box, round_) if result else ""}{texts}{cross}{badge}</g>'
    )


def _double(box: Box, round_: float = 11) -> str:
    return (
        f'<rect class="d" x="{box.x - 3:.1f}" y="{box.y - 3:.1f}" width="{box.width + 6:.1f}" '
        f'height="{box.height + 6:.1f}" rx="{round_ + 3:.1f}"/>'
    )


def _full(vertex: Vertex) -> str:
    return " ".join(filter(None, [vertex.key, vertex.operation, vertex.name, vertex.shape]))


def _lines(wires: Sequence[Wire]) -> list[str]:
    """All lines as one path, all arrow heads as another."""
    paths, heads = [], []
    for wire in wires:
        (x, y), *rest = wire.points
        path = [f"M{x:.1f} {y:.1f}"]
        for to_x, to_y in rest:
            half = (y + to_y) / 2
            straight = abs(to_x - x) < 0.5
            path.append(
                f"V{to_y:.1f}" if straight else f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
            )
            x, y = (x if straight else to_x), to_y
        paths.append("".join(path))
        heads.append(f"M{x:.1f} {y:.1f}l-2.6 -6h5.2z")
    if not paths:
        return []
    return [f'<path class="w" d="{"".join(paths)}"/>', f'<path class="a" d="{"".join(heads)}"/>']


def _counted(view: View) -> Panel:
    """A view that is too large, or empty: what it holds, as bars."""
    kinds = Counter(one.kind for one in view.vertices)
    lines = [f"{len(view.vertices)} vertices: too many to be read as a picture" if view.vertices else "nothing"]
    lines += [f"{number} {kind}{'s' if number != 1 and kind != 'fused' else ''}" for kind, number in kinds.items()]
    parts = [f'<text class="p" x="0" y="{16 * n + 12}">{escaped(line)}</text>' for n, line in enumerate(lines)]
    top = 16.0 * len(lines) + 12
    common = sorted(view.operations.items(), key=lambda one: (-one[1], one[0]))
    longest = max((number for _, number in common), default=1)
    for row, (name, number) in enumerate(common[:12]):
        y = top + 17 * row
        parts.append(
            f'<text class="l" x="0" y="{y + 10:.1f}">{escaped(shortened(name))}</text>'
            f'<rect class="o" x="165" y="{y:.1f}" width="{max(2.0, 130 * number / longest):.1f}" height="12" rx="2"/>'
            f'<text class="l" x="{171 + 130 * number / longest:.1f}" y="{y + 10:.1f}">{number}</text>'
        )
    height = top + 17 * min(12, len(common))
    if len(common) > 12:
        parts.append(f'<text class="p" x="0" y="{height + 12:.1f}">and {len(common) - 12} other operations</text>')
        height += 18
    return Panel("".join(parts), 350.0, height)
