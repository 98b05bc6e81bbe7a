"""The lesson as HTML: small builders that escape what they are given, and one page that needs nothing but itself.

In texts, `backticks` make code. Wide tables and drawings scroll in boxes of their own, never the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from crossnn.report.document import STYLE

Html = str


@dataclass(frozen=True)
class Cell:
    """A cell of a table with a colour: good, known, bad or absent. The text says it too."""

    text: str
    kind: str = ""


def inline(text: str) -> Html:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def prose(text: str) -> Html:
    return "".join(f"<p>{inline(one)}</p>" for one in text.split("\n\n") if one.strip())


def heading(level: int, text: str, anchor: str = "") -> Html:
    mark = f' id="{html.escape(anchor)}"' if anchor else ""
    return f"<h{level}{mark}>{inline(text)}</h{level}>"


def code(text: str) -> Html:
    return f"<pre>{html.escape(text.rstrip())}</pre>"


def table(headers: Sequence[str], rows: Sequence[Sequence[str | Cell]]) -> Html:
    head = "".join(f"<th>{inline(one)}</th>" for one in headers)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


LONG = 44


def _cell(one: str | Cell) -> Html:
    text, kind = (one.text, one.kind) if isinstance(one, Cell) else (one, "")
    inner = f'<span class="long">{inline(text)}</span>' if len(text) > LONG else inline(text)
    return f'<td class="{kind}">{inner}</td>' if kind else f"<td>{inner}</td>"


def details(summary: str, *inner: Html, kind: str = "") -> Html:
    mark = f' class="{kind}"' if kind else ""
    return f"<details{mark}><summary>{inline(summary)}</summary>{''.join(inner)}</details>"


def figure(svg: str, caption: str) -> Html:
    return f'<figure><div class="wide">{svg}</div><figcaption>{inline(caption)}</figcaption></figure>'


def box(kind: str, word: str, text: str) -> Html:
    """The verdict on a step."""
    return f'<div class="verdict {kind}"><strong>{html.escape(word)}</strong> {inline(text)}</div>'


def side_by_side(parts: Sequence[tuple[str, Html]]) -> Html:
    inner = "".join(f"<section><h4>{inline(title)}</h4>{body}</section>" for title, body in parts)
    return f'<div class="beside">{inner}</div>'


def picker(label: str, choices: Sequence[tuple[str, str, Html]]) -> Html:
    """A choice of (key, title, content): the script shows the chosen one; without a script all are there."""
    options = "".join(f'<option value="{html.escape(key)}">{html.escape(title)}</option>' for key, title, _ in choices)
    inner = "".join(
        f'<section class="choice" id="choice-{html.escape(key)}"><h4>{inline(title)}</h4>{content}</section>'
        for key, title, content in choices
    )
    return (
        f'<div class="picker"><label>{html.escape(label)} <select id="picker">{options}</select></label>{inner}</div>'
    )


def page(title: str, language: str, body: Sequence[Html], contents: Sequence[tuple[str, str]]) -> Html:
    links = "".join(f'<li><a href="#{html.escape(anchor)}">{inline(text)}</a></li>' for anchor, text in contents)
    return (
        f'<!doctype html>\n<html lang="{html.escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{STYLE}{OWN_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{html.escape(title)}</h1>\n<nav><ul>{links}</ul></nav>\n"
        + "\n".join(body)
        + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


OWN_STYLE = """\
html { -webkit-text-size-adjust: 100%; }
h1, h2, h3, h4, p, li, summary, figcaption { overflow-wrap: anywhere; }
h4 { margin: .6rem 0 .2rem; }
p, li { max-width: 46rem; }
code { background: var(--head); padding: 0 .2em; border-radius: 3px; }
nav ul { columns: 20rem; padding-left: 1.2rem; }
a { color: inherit; }
.claim { border-left: 4px solid var(--line); padding-left: .8rem; font-style: italic; }
.verdict { border: 1px solid var(--line); border-left-width: 6px; padding: .5rem .8rem; margin: 1rem 0;
  overflow-wrap: anywhere; }
.verdict.holds { border-left-color: var(--good); } .verdict.when { border-left-color: var(--known); }
.verdict.not { border-left-color: var(--bad); } .verdict.none { border-left-color: var(--faint); }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 0 1rem; }
.beside section { min-width: 0; }
.question { background: var(--head); padding: .5rem .8rem; margin: 1rem 0; }
.question p { margin: .3rem 0; }
.long code { white-space: normal; }
details { margin: .5rem 0; } summary { cursor: pointer; }
figure .wide svg { min-width: 36rem; }
select { font: inherit; max-width: 100%; }
.picker { border: 1px solid var(--line); padding: .5rem .8rem; }
@media (max-width: 40rem) { body { margin: 1rem auto; } .long { min-width: 11rem; }
  td:first-child, th:first-child { white-space: normal; min-width: 6rem; max-width: 9rem; overflow-wrap: anywhere; } }
"""

SCRIPT = """
(function () {
  var select = document.getElementById("picker");
  if (!select) { return; }
  function show() {
    document.querySelectorAll(".choice").forEach(function (one) {
      one.hidden = one.id !== "choice-" + select.value;
    });
  }
  select.addEventListener("change", show);
  show();
})();
"""
