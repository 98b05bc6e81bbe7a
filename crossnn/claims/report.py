"""Findings as a table for the terminal, as JSON, and as blocks of a page."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from crossnn.claims.explain import explain, shown
from crossnn.claims.judge import VERDICTS, Finding
from crossnn.claims.sheet import Claim
from crossnn.report.document import Block, Code, Heading, Table, Text

CLAIM_WIDTH, BECAUSE_WIDTH = 48, 64


def because(one: Finding) -> str:
    """Why, in one sentence: the counterexample, where it holds, from where on it is unsafe."""
    parts = []
    example = one.counterexample
    if example is not None:
        inputs = ", ".join(f"{name} = {shown(value)}" for name, value in example.inputs.items())
        at = f"at {inputs}: " if inputs else ""
        what = f"{example.label}{list(example.index) if example.index else ''} " if one.kind != "printed" else ""
        if one.kind in ("equal", "order"):
            left, _, right = example.label.partition(" | ")
            sign = "is not" if one.kind == "equal" else "is above"
            parts.append(f"{at}{left} = {example.claimed} {sign} {right} = {example.true}")
        else:
            parts.append(f"{at}{what}claimed {example.claimed}, true {example.true}")
    if one.reason:
        parts.append(one.reason)
    if one.holds_when:
        parts.append(f"holds for {'; '.join(one.holds_when)}")
    parts += one.unsafe
    return ". ".join(parts)


def summary(findings: Sequence[Finding]) -> str:
    """`40 claims: 21 VERIFIED, 15 REFUTED, 3 UNSAFE, 1 UNDECIDED`."""
    counts = Counter(one.verdict for one in findings)
    each = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    return f"{len(findings)} claim{'' if len(findings) == 1 else 's'}: {each}"


def rows(findings: Sequence[Finding], wrap: bool = True) -> list[list[str]]:
    """id, verdict, claim, because."""

    def cell(text: str, width: int) -> str:
        return "\n".join(textwrap.wrap(text, width)) if wrap else text

    return [[one.id, one.verdict, cell(one.claim, CLAIM_WIDTH), cell(because(one), BECAUSE_WIDTH)] for one in findings]


HEADERS = ("id", "verdict", "claim as printed", "because")


def as_json(findings: Sequence[Finding], sheets: Sequence[str]) -> Mapping[str, Any]:
    """Every finding with all that is known of it."""
    counts = Counter(one.verdict for one in findings)
    return {
        "sheets": list(sheets),
        "counts": {verdict: counts[verdict] for verdict in VERDICTS},
        "claims": [msgspec.to_builtins(one) for one in findings],
    }


def page(claims: Sequence[Claim], findings: Sequence[Finding], title: str) -> Iterator[Block]:
    """All claims in one table, what is refuted explained, and what the words mean."""
    yield Heading(1, title)
    yield Text(summary(findings) + ".")
    yield Table(HEADERS, rows(findings, wrap=False))
    by_id = {claim.id: claim for claim in claims}
    for verdict, heading in (("REFUTED", "What does not hold"), ("UNSAFE", "What holds, but not in floating point")):
        listed = [one for one in findings if one.verdict == verdict]
        if not listed:
            continue
        yield Heading(2, heading)
        for one in listed:
            yield Heading(3, f"{one.id}  {one.says}".strip())
            yield Text(because(one) + ".")
            yield Code("\n".join(explain(by_id[one.id], one)))
    yield Heading(2, "What the verdicts mean")
    yield Table(("verdict", "means"), [[verdict, text] for verdict, text in VERDICTS.items()])
