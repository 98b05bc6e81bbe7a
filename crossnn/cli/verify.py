"""`crossnn verify`: sheets of claims as printed on slides, each judged by the oracle. No framework takes part."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from crossnn.errors import CrossnnError, unknown


@click.command()
@click.argument("sheets", nargs=-1, required=True, metavar="SHEET.toml ...")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Only the claim of this id; repeatable.")
@click.option("--explain", "explained", multiple=True, metavar="ID", help="How the verdict on this claim was reached, "
              "with the arithmetic of a counterexample; repeatable.")  # fmt: skip
@click.option("--json", "json_file", metavar="FILE", help="Write every finding as one JSON document; - is standard "
              "output.")  # fmt: skip
@click.option("--html", "html_file", metavar="FILE", help="Write a page with every claim, and each refutation "
              "explained; - is standard output.")  # fmt: skip
@click.pass_context
def verify(
    ctx: click.Context, /, sheets: Sequence[str], ids: Sequence[str], explained: Sequence[str],
    json_file: str | None, html_file: str | None,
) -> None:  # fmt: skip
    """Verify the claims of SHEET.toml: derivatives, gradients, equalities, orderings, printed numbers, update rules.

    `lectures` is the sheet that comes with crossnn: what five university lectures print. Verdicts: VERIFIED; REFUTED,
    with the simplest counterexample and where the claim does hold; UNSAFE: right, but not in floating point as printed;
    UNDECIDED. Exit code 1 where anything is refuted.
    """
    from crossnn.claims.explain import explain
    from crossnn.claims.judge import Finding, judge
    from crossnn.claims.report import HEADERS, as_json, page, rows, summary
    from crossnn.claims.sheet import Claim
    from crossnn.report.document import plain_table, to_html
    from crossnn.verified import BUILT_IN, claims_of

    _writable(json_file, html_file)
    claims: list[Claim] = []
    place: dict[str, str] = {}
    for sheet in dict.fromkeys(sheets):
        if sheet != BUILT_IN and not Path(sheet).exists():
            near = f"; did you mean {BUILT_IN!r}?" if difflib.get_close_matches(sheet, [BUILT_IN]) else "."
            also = f"or {BUILT_IN!r}, the sheet that comes with crossnn"
            raise CrossnnError(f"{sheet}: no such file{near} Give the TOML file of a sheet, {also}")
        for claim in claims_of(Path(sheet) if sheet != BUILT_IN else sheet):
            if place.setdefault(claim.id, sheet) != sheet:
                raise CrossnnError(f"the id {claim.id!r} stands in {place[claim.id]} and in {sheet}; rename one, or "
                                   "verify the sheets one after the other")  # fmt: skip
            claims.append(claim)
    known = [claim.id for claim in claims]
    for one in (*ids, *explained):
        if one not in known:
            raise CrossnnError(unknown("claim", one, known))
    wanted = [claim for claim in claims if not (ids or explained) or claim.id in (*ids, *explained)]
    findings: list[Finding] = []
    interrupted = False
    try:
        with click.progressbar(wanted, label="verifying", file=sys.stderr) as bar:
            for claim in bar:
                findings.append(judge(claim))
    except KeyboardInterrupt:
        interrupted = True
    to_stderr = "-" in (json_file, html_file)
    others = [one for one in findings if one.id not in explained]
    if others:
        click.echo(plain_table(HEADERS, rows(others)) + "\n", err=to_stderr)
    for claim, finding in zip(wanted, findings, strict=False):
        if claim.id in explained:
            click.echo("\n".join(explain(claim, finding)) + "\n", err=to_stderr)
    click.echo(summary(findings) + ("; interrupted" if interrupted else ""), err=to_stderr)
    if json_file:
        text = json.dumps(as_json(findings, sheets), indent=1)
        _write(json_file, text + "\n")
    if html_file:
        title = "What the five lectures say, and what holds" if sheets == (BUILT_IN,) else "Claims, verified"
        _write(html_file, to_html(page(wanted, findings, title), title))
    if interrupted:
        ctx.exit(130)
    ctx.exit(1 if any(one.verdict == "REFUTED" for one in findings) else 0)


def _writable(json_file: str | None, html_file: str | None) -> None:
    """Found out before the work, not after."""
    if json_file is not None and json_file == html_file:
        raise click.UsageError(f"--json and --html both write {json_file}: give two files")
    for option, file in (("--json", json_file), ("--html", html_file)):
        if file in (None, "-"):
            continue
        try:
            with Path(str(file)).open("a", encoding="utf-8"):
                pass
        except OSError as error:
            raise CrossnnError(f"{option} {file}: cannot be written ({error.strerror}); choose another file") from None


def _write(file: str, text: str) -> None:
    if file == "-":
        click.echo(text, nl=False)
    else:
        Path(file).write_text(text, "utf-8")
