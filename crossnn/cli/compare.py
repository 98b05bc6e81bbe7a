"""`crossnn compare`: what changed between two runs. Exit code 1 where something is slower, or fails that did not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from crossnn.report.document import plain_table

MOST = 40


@click.command()
@click.argument("before", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("after", type=click.Path(path_type=Path), metavar="RUN")
@click.pass_context
def compare(ctx: click.Context, before: Path, after: Path) -> None:
    """Say what changed from the first run folder to the second: verdicts, and times beyond their intervals.

    Exit code 1 where something became slower or fails that did not fail before; 0 otherwise.
    """
    from crossnn.errors import CrossnnError
    from crossnn.report.compare import CLOSE, compare_runs, spread, times_table

    found = compare_runs(before, after)
    if not found.times and not found.verdicts and not (found.only_before or found.only_after):
        raise CrossnnError(f"{before} and {after} hold nothing that can be compared")
    for line in found.machines:
        click.echo(f"other: {line}")
    for where, old, new in found.verdicts[:MOST]:
        click.echo(f"verdict: {where}: {old} -> {new}")
    changed = [one for one in found.times if one.says]
    if changed:
        table = times_table(changed[:MOST])
        click.echo(plain_table(table.headers, table.rows))
    _only("only in the first run", found.only_before)
    _only("only in the second run", found.only_after)
    slower, faster = (sum(one.says == word for one in changed) for word in ("slower", "faster"))
    click.echo(
        f"{len(found.times)} times compared: {slower} slower, {faster} faster beyond their intervals; "
        f"{len(found.verdicts)} verdicts changed."
    )
    if found.agreement is not None:
        middle, largest = spread(found.times)
        click.echo(
            f"{found.agreement:.1%} of the ratios to the base agree within {CLOSE:.0%} (median {middle:.1%}, "
            f"largest {largest:.1%})."
        )
    ctx.exit(int(found.worse))


def _only(text: str, names: Sequence[str]) -> None:
    if names:
        more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
        click.echo(f"{text}: {'; '.join(names[:MOST])}{more}")
