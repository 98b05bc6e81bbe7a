"""`crossnn compare`: what changed between two runs. Exit code 1 where something is worse: a gate for an upgrade."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from crossnn.cli.options import json_option, write_json
from crossnn.report.document import plain_table

MOST = 40


@click.command()
@click.argument("before", type=click.Path(path_type=Path), metavar="RUN")
@click.argument("after", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--subset", is_flag=True, help="The second run may cover less: what it did not judge is no regression.")
@json_option
@click.pass_context
def compare(ctx: click.Context, before: Path, after: Path, subset: bool, json_file: str | None) -> None:
    """Say what changed from the first run folder to the second: verdicts, sizes of errors, accuracy, defaults of the
    frameworks, and times beyond their intervals.

    Exit code 1 where something fails that did not fail before, became slower or less accurate, has another default, or
    was judged or timed in the first run alone; 0 otherwise.
    """
    from crossnn.errors import CrossnnError
    from crossnn.report.compare import CLOSE, compare_runs, document, spread, times_table

    found = compare_runs(before, after, subset=subset)
    if not found.common:
        raise CrossnnError(f"{before} and {after} have nothing in common: compare runs of the same specifications")
    if json_file:
        write_json(json_file, document(found))
        if json_file == "-":
            ctx.exit(int(found.worse))
    for line in found.machines:
        click.echo(f"other: {line}")
    for where, old, new in found.verdicts[:MOST]:
        click.echo(f"verdict: {where}: {old} -> {new}")
    for word, changes in (("size", found.sizes), ("changed", found.findings)):
        for one in changes[:MOST]:
            click.echo(f"{word}: {one}")
        if len(changes) > MOST:
            click.echo(f"{word}: ... and {len(changes) - MOST} more")
    changed = [one for one in found.times if one.says]
    if changed:
        table = times_table(changed[:MOST])
        click.echo(plain_table(table.headers, table.rows))
    _only("judged or timed in the first run alone", found.lost)
    _only("only in the first run", [one for one in found.only_before if one not in set(found.lost)])
    _only("only in the second run", found.only_after)
    slower, faster = (sum(one.says == word for one in changed) for word in ("slower", "faster"))
    click.echo(
        f"{len(found.times)} times compared: {slower} slower, {faster} faster beyond their intervals; "
        f"{len(found.verdicts)} verdicts, {len(found.sizes)} sizes and {len(found.findings)} findings changed."
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
