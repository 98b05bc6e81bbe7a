"""The Rosetta table: what each framework does by default, concept by concept, and what a port suffers that overlooks
it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crossnn.report.document import Block, Heading, Table, Text
from crossnn.report.summary import place
from crossnn.runs.findings import Convention, Finding

LEGEND = (
    "What each framework does where its user says nothing, measured: its own layer, loss, activation or optimizer was "
    "given numbers, and the answer is the arrangement or the settings with which the formula computes the same, to "
    "rounding, in float64. The last column says what a port suffers that keeps the specification's defaults instead "
    "(0: nothing). A dash: the framework has no such thing."
)
EXACT = 1e-12
"""Relative difference up to which an answer reproduces the framework: what is larger is said."""


def convention_blocks(findings: Iterable[Finding]) -> list[Block]:
    """A table for each kind of row, one line a concept."""
    found = [one for one in findings if isinstance(one, Convention)]
    if not found:
        return []
    backends = sorted({one.backend for one in found}, key=lambda name: place(name, ""))
    content: list[Block] = [Text(LEGEND)]
    for kind in dict.fromkeys(one.kind for one in found):
        own = [one for one in found if one.kind == kind]
        rows = [
            _row([one for one in own if one.concept == concept], backends)
            for concept in dict.fromkeys(one.concept for one in own if one.answer)
        ]
        if rows:
            heads = ["concept", "asked", *backends, "what a port suffers"]
            content += [Heading(3, f"{kind}: conventions"), Table(heads, rows)]
    return content


def _row(group: Sequence[Convention], backends: Sequence[str]) -> list[str]:
    first = group[0]
    answers = {
        backend: "; ".join(_answer(one) for one in group if one.backend == backend and one.answer) or "-"
        for backend in backends
    }
    suffered = [f"{one.backend} {_share(one.difference)}" for one in group if one.answer and one.difference is not None]
    scenario = next((one.scenario for one in group if one.scenario), "")
    what = f"{scenario}: {', '.join(dict.fromkeys(suffered))}" if suffered else ""
    return [first.concept, first.asks, *answers.values(), what]


def _answer(one: Convention) -> str:
    call = f" ({one.call})" if one.call else ""
    inexact = "" if one.error is None or one.error <= EXACT else f", up to a relative difference of {one.error:.2g}"
    return f"{one.answer}{inexact}{call}"


def _share(difference: float) -> str:
    return "0" if difference == 0 else f"{difference:.2g}" if difference < 0.001 else f"{difference:.1%}"
