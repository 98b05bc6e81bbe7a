"""A sheet of claims, verified from Python: `crossnn.verify`, and what it returns."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from tabulate import tabulate

from crossnn.claims.explain import explain
from crossnn.claims.judge import Finding, judge
from crossnn.claims.report import HEADERS, as_json, rows, summary
from crossnn.claims.sheet import Claim, read_sheet, sheet_of
from crossnn.errors import CrossnnError, unknown
from crossnn.report.document import Heading, Table, Text, to_markdown

BUILT_IN = "lectures"
TEXT = "the text given"


@dataclass(frozen=True, repr=False)
class Verified:
    """The findings on the claims of a sheet, in their order."""

    claims: tuple[Claim, ...]
    findings: tuple[Finding, ...]
    sheet: str

    @property
    def failures(self) -> list[Finding]:
        """What is refuted."""
        return [one for one in self.findings if one.verdict == "REFUTED"]

    def explain(self, claim: str) -> str:
        """How the verdict on this claim was reached, with the arithmetic of a counterexample."""
        for one, finding in zip(self.claims, self.findings, strict=True):
            if one.id == claim:
                return "\n".join(explain(one, finding))
        raise CrossnnError(unknown("claim", claim, [one.id for one in self.claims]))

    def to_markdown(self) -> str:
        table = Table(HEADERS, rows(self.findings, wrap=False))
        return to_markdown([Heading(1, f"Claims of {self.sheet}"), Text(summary(self.findings)), table])

    def to_json(self) -> str:
        return json.dumps(as_json(self.findings, [self.sheet]), indent=1)

    def __repr__(self) -> str:
        return f"<Verified: {summary(self.findings)}>"

    def _repr_html_(self) -> str:
        table = tabulate(rows(self.findings, wrap=False), headers=HEADERS, tablefmt="html", disable_numparse=True)
        return f"<p>{html.escape(summary(self.findings))}</p>\n{table}"


def claims_of(sheet: str | Path) -> list[Claim]:
    """The claims of a file, of `lectures`, or of a text: what has a line break, or an equals sign, is a text."""
    if str(sheet) == BUILT_IN:
        text = resources.files("crossnn.specs").joinpath(f"{BUILT_IN}.toml").read_text("utf-8")
        return sheet_of(text, f"{BUILT_IN}.toml")
    return sheet_of(str(sheet), TEXT) if _is_text(sheet) else read_sheet(str(sheet))


def _is_text(sheet: str | Path) -> bool:
    return isinstance(sheet, str) and ("\n" in sheet or "=" in sheet)


def verify(sheet: str | Path, ids: Iterable[str] = (), progress: Callable[[Claim], None] | None = None) -> Verified:
    """Verify a sheet of claims: a TOML file, the text of one, or `lectures`, the sheet that comes with crossnn.

    >>> from crossnn import verify
    >>> verify('''
    ... [[claim]]
    ... id = "softsign"
    ... formula = "x/(1 + x)"
    ... derivative = "1/(1 + abs(x))**2"
    ... ''')
    <Verified: 1 claim: 1 REFUTED>
    """
    try:
        claims = claims_of(sheet)
    except OSError as error:
        raise CrossnnError(f"{sheet}: cannot be read: {error.strerror}") from error
    wanted = [ids] if isinstance(ids, str) else list(ids)
    known = [one.id for one in claims]
    for one in wanted:
        if one not in known:
            raise CrossnnError(unknown("claim", one, known))
    chosen = [one for one in claims if not wanted or one.id in wanted]
    findings: list[Finding] = []
    for claim in chosen:
        findings.append(judge(claim))
        if progress is not None:
            progress(claim)
    return Verified(tuple(chosen), tuple(findings), TEXT if _is_text(sheet) else str(sheet))
