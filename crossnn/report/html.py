"""Blocks as one HTML page that needs nothing but itself: templates, style and script come from the folder `page`.

The page may run its own script alone, and ask nothing of anyone: a content security policy says so, with the hash of
that script, so that even text that slipped through unescaped would stay without effect. What the script looks into (the
evidence behind verdicts) travels as compressed text in the page.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup, escape

from crossnn.report.document import COLOURS, LONG, Block, Cards, Code, Fallback, Figure, Heading, Table, Text

SCRIPTS = ("basics.js", "fit.js", "tables.js", "search.js", "matrix.js", "evidence.js", "start.js")
OPEN_PARTS = 6
"""A section of more parts has them folded, so that it can be surveyed."""
LONGEST_WORD = 14
"""Letters that fit into the narrowest column of texts."""


@dataclass
class Part:
    """What stands under a heading of level 3."""

    title: str
    anchor: str
    blocks: list[Block] = field(default_factory=list)


@dataclass
class Section:
    """What stands under a heading of level 2: first what belongs to all of it, then its parts."""

    title: str
    anchor: str
    blocks: list[Block] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    @property
    def folded(self) -> bool:
        return len(self.parts) > OPEN_PARTS


def render(blocks: Iterable[Block], title: str, evidence: Mapping[str, Any] | None = None) -> str:
    """The page. `evidence` is what the matrix of verdicts is made of; without it there is none."""
    head, sections = arranged(blocks)
    script = Markup("".join(_file(name) for name in SCRIPTS))
    return _templates().get_template("page.html").render(
        title=title, head=head, sections=sections, style=Markup(_file("page.css")), script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=packed(evidence) if evidence else "", drawing=_Drawings(),
    )  # fmt: skip


def arranged(blocks: Iterable[Block]) -> tuple[Section, list[Section]]:
    """What comes before the first section, under the title, and the sections."""
    head = Section("", "top")
    sections: list[Section] = []
    taken = {"top", "data", "evidence", "search", "content"}
    for block in blocks:
        here = sections[-1] if sections else head
        match block:
            case Heading(1, text):
                head.title = text
            case Heading(2, text):
                sections.append(Section(text, _anchor(text, taken)))
            case Heading(3, text):
                here.parts.append(Part(text, _anchor(text, taken)))
            case _:
                (here.parts[-1] if here.parts else here).blocks.append(block)
    return head, sections


def _anchor(text: str, taken: set[str]) -> str:
    """A name for links, of plain letters, that nothing else on the page has."""
    stem = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "part"
    found, number = stem, 2
    while found in taken:
        found, number = f"{stem}-{number}", number + 1
    taken.add(found)
    return found


def packed(data: Any) -> str:
    """JSON, compressed, as letters that mean nothing in HTML."""
    return base64.b64encode(zlib.compress(msgspec.json.encode(data), 9)).decode()


class _Drawings:
    """Pictures inline. Their ids are unique in a file; here each gets a number, as there are many on the page, and of
    styles that are all the same the first one is enough."""

    def __init__(self) -> None:
        self.count = 0
        self.styles: set[str] = set()

    def __call__(self, svg: str) -> Markup:
        self.count += 1
        name = f"f{self.count}-"
        svg = re.sub(r'\bid="([^"]*)"', rf'id="{name}\1"', svg)
        svg = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}\1)", svg)
        svg = re.sub(r'href="#([^"]*)"', rf'href="#{name}\1"', svg)
        return Markup(re.sub(r"<style>.*?</style>", self._once, svg, flags=re.DOTALL))

    def _once(self, found: re.Match[str]) -> str:
        style = found.group()
        fresh = style not in self.styles
        self.styles.add(style)
        return style if fresh else ""


def _kind(block: Block) -> str:
    return type(block).__name__


def _colour(text: str) -> str:
    return COLOURS.get(text.split(" ", 1)[0], "")


def _breakable(text: str) -> Markup:
    """Long words, such as calls, may go on in the next line before a bracket and after a point, `=` or `_`."""
    parts = [re.sub(r"(?<=\w)(?=\()|(?<=[._=])(?=[a-zA-Z])", "\0", word) if len(word) > LONGEST_WORD else word
             for word in text.replace("\0", " ").split(" ")]  # fmt: skip
    return Markup(str(escape(" ".join(parts))).replace("\0", "<wbr>"))


def _numeric(table: Table) -> Sequence[bool]:
    """Which columns hold numbers alone, and read best aligned to the right."""
    longest = max(map(len, [table.headers, *table.rows]))
    columns = [[row[place] for row in table.rows if place < len(row)] for place in range(longest)]
    return [any(cells) and all(re.fullmatch(r"[-+]?[\d.,]*(e[-+]?\d+)?%?|-|never", one) for one in cells)
            for cells in columns]  # fmt: skip


@cache
def _templates() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    found.filters.update(kind=_kind, colour=_colour, numeric=_numeric, breakable=_breakable)
    found.globals.update(LONG=LONG)
    return found


@cache
def _file(name: str) -> str:
    return resources.files("crossnn.report").joinpath("page", name).read_text("utf-8")


__all__ = ["Cards", "Code", "Fallback", "Figure", "Text", "arranged", "packed", "render"]
