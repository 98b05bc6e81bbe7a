"""A report as plain blocks, rendered as Markdown or as one HTML page from the same content.

Text in blocks is data (names, messages, formulas of anyone's): both renderers escape all of it. A heading of level 2
begins a section of the page, one of level 3 a part of it that folds. `Cards` and `Fallback` are what a page shows in
another way than Markdown; everything else is the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tabulate import tabulate


@dataclass(frozen=True)
class Heading:
    level: int
    text: str


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Code:
    text: str


@dataclass(frozen=True)
class Table:
    """`caption` says what it is to those who do not see what stands around it; the heading above it by default."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """A drawing: its own file beside the Markdown, inline in the HTML page. `again` is the command that repeats what it
    shows."""

    file: str
    svg: str
    caption: str
    again: str = ""


@dataclass(frozen=True)
class Point:
    """A line of a card; `link` is where the page leads from its first words: a state such as `spec=adam&backend=torch`,
    or a section; `more` follows them."""

    text: str
    link: str = ""
    more: str = ""


@dataclass(frozen=True)
class Card:
    """One answer of the first screen: what is asked, the answer in a sentence, and what it rests on."""

    title: str
    text: str
    table: Table | None = None
    points: Sequence[Point] = ()
    note: str = ""


@dataclass(frozen=True)
class Cards:
    cards: Sequence[Card]


@dataclass(frozen=True)
class Fallback:
    """What Markdown and a page without script show, where the page's script shows it to look into."""

    blocks: Sequence[Heading | Text | Table]


Block = Heading | Text | Code | Table | Figure | Cards | Fallback


def plain_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table for the terminal; headers may have several lines."""
    return str(tabulate(list(rows), headers=list(headers), tablefmt="simple", disable_numparse=True))


def to_markdown(blocks: Iterable[Block]) -> str:
    """GitHub-flavoured Markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_escaped(text)}"
        case Text(text):
            return _escaped(text)
        case Code(text):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            return f"{fence}\n{text}\n{fence}"
        case Table(headers, rows, _):
            cells = [[_escaped(cell) for cell in row] for row in rows]
            head = [_escaped(cell.replace("\n", " ")) for cell in headers]
            return str(tabulate(cells, headers=head, tablefmt="github", disable_numparse=True))
        case Figure(file, _, caption, again):
            repeat = f" Again: `{again}`" if again and "`" not in again else ""
            return f"![{_escaped(caption)}]({file})" + (f"\n\n{_escaped(caption)}.{repeat}" if repeat else "")
        case Cards(cards):
            return "\n\n".join(map(_card, cards))
        case Fallback(blocks):
            return "\n\n".join(map(_markdown, blocks))


def _card(card: Card) -> str:
    parts = [f"**{_escaped(card.title)}**", *([_escaped(card.text)] if card.text else [])]
    parts += [_markdown(card.table)] if card.table else []
    parts += ["\n".join(f"- {_escaped(point.text + point.more)}" for point in card.points)] if card.points else []
    return "\n\n".join([*parts, *([_escaped(card.note)] if card.note else [])])


def _escaped(text: str) -> str:
    """Markdown that shows this text: no tables broken, no HTML, no emphasis out of `a*b*c`."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*|\[\]])", r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def to_html(blocks: Iterable[Block], title: str) -> str:
    """One self-contained page, which asks nothing of anyone."""
    from crossnn.report.html import render  # with jinja2, which who prints a table on a terminal does not need

    return render(blocks, title)


COLOURS = {
    "EQUAL": "good",
    "ROUNDING": "good",
    "KNOWN": "known",
    "KINK": "known",
    "ILL-CONDITIONED": "known",
    "ACCURACY": "bad",
    "FORMULA": "bad",
    "ERROR": "bad",
    "NOT-RUN": "absent",
    "VERIFIED": "good",
    "UNSAFE": "known",
    "UNDECIDED": "known",
    "REFUTED": "bad",
}
"""Verdict -> style; the word itself always stands beside the colour."""

LONG = 28
"""Cells of more characters are texts and break into lines; shorter ones stay on one, and the table scrolls."""

STYLE = """\
:root { color-scheme: light dark; --text: #1c1c1c; --page: #ffffff; --line: #d0d0d0; --faint: #666666;
  --good: #1a6b2f; --known: #7a5200; --bad: #b3001b; --head: #f3f3f3; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e6e6; --page: #161616; --line: #444444; --faint: #a0a0a0;
  --good: #7fd491; --known: #e5b567; --bad: #ff8a8a; --head: #242424; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page); max-width: 75rem;
  margin: 2rem auto; padding: 0 1rem; }
h2 { border-bottom: 1px solid var(--line); margin-top: 2.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: .5rem 0 1.5rem; }
th, td { border: 1px solid var(--line); padding: .2rem .5rem; text-align: left; vertical-align: top; }
th { background: var(--head); }
th, td { white-space: nowrap; }
td:first-child, th:first-child { position: sticky; left: 0; background: var(--head); }
td { font-variant-numeric: tabular-nums; }
.long { display: block; white-space: normal; min-width: 16rem; max-width: 40rem; overflow-wrap: anywhere; }
.good { color: var(--good); } .known { color: var(--known); } .bad { color: var(--bad); font-weight: 700; }
.absent { color: var(--faint); }
pre { background: var(--head); padding: .6rem .8rem; overflow-x: auto; }
figure { margin: 1rem 0; } figcaption { color: var(--faint); font-size: 13px; }
svg { max-width: 100%; height: auto; }
"""
