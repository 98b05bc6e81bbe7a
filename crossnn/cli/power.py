"""`crossnn power`: how many mistakes the checks find, measured by mutants of every specification, and false alarms."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from crossnn.cli.options import json_option, select, split_arguments

MOST_SURVIVORS = 40


@click.command()
@click.argument("what", nargs=-1, metavar="[NAME or FILE.toml ...]")
@click.option("--sample", type=click.IntRange(1), default=40, show_default=True, metavar="N", help="At most N mutants "
              "of each specification, drawn evenly over the operators.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Every mutant, not a sample.")
@click.option("--seeds", type=click.IntRange(1, 100), default=1, show_default=True, metavar="N",
              help="Judge each mutant with the inputs of seeds 0 to N-1.")  # fmt: skip
@click.option("--false-alarms", type=click.IntRange(0, 10_000), default=1, show_default=True, metavar="N",
              help="Judge the specifications themselves with seeds 0 to N-1: none may fail.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, metavar="N", help="Processes at work.")
@click.option("--timeout", type=click.FloatRange(1, 7 * 24 * 3600), default=1800.0, show_default=True, metavar="S",
              help="Seconds after which a specification is given up.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder. Default: runs/<UTC time>.")
@click.option("--resume", is_flag=True, help="Continue a run: --out, or the newest in runs/.")
@json_option
@click.pass_context
def power(
    ctx: click.Context, /, what: tuple[str, ...], sample: int, everything: bool, seeds: int, false_alarms: int,
    out: Path | None, resume: bool, **options: Any,
) -> None:  # fmt: skip
    """Measure the power of the checks: change every specification in every place, and count what is found.

    NAME is a row of the catalogue with formulas, a network, or what is trained; FILE.toml a file of your own. Without
    either, all are taken; of experiments and studies that differ in one setting, the first. Of formulas and networks a
    part is changed, of trainings the loop, in a few steps. The exit code is 0 where at least 98% of the mutants that
    differ are found, and nothing is a false alarm.
    """
    from crossnn.catalogue.load import load_catalogue
    from crossnn.cli.folder import folder_of
    from crossnn.cli.session import Outcome, conclude, run_into, show_failures
    from crossnn.power.plan import power_cells
    from crossnn.power.reasons import discussion
    from crossnn.report.build import write_report
    from crossnn.report.document import plain_table
    from crossnn.report.power import (
        LEAST,
        alarm_table,
        kind_table,
        operator_table,
        power_sentence,
        score,
        survivor_table,
        total,
    )
    from crossnn.runs import journal
    from crossnn.runs.findings import Mutants

    class Measured(Outcome):
        """Fails also where too many mutants survive."""

        @property
        def failed(self) -> bool:
            found = score(total(one for one in self.findings if isinstance(one, Mutants)))
            return super().failed or (found is not None and found < LEAST)

    began = time.monotonic()
    names, files = split_arguments(what)
    given = dict.fromkeys(("mode", "dtype", "device", "implementation"), ())
    chosen = select({**options, **given, "backend": ("numpy",), "seeds": 1, "threads": 1})
    cells = power_cells(
        names, files=files, sample=None if everything else sample, seeds=seeds, alarm_seeds=false_alarms
    )
    folder = folder_of(out, resume)
    outcome = Measured()
    run_into(folder, resume, cells, chosen, load_catalogue(files).rows.values(), outcome)
    report, page = write_report(folder)
    to_stderr = chosen.json_file == "-"
    found = [one for one in outcome.findings if isinstance(one, Mutants)]
    survivors = survivor_table(found, MOST_SURVIVORS)
    tables = [kind_table(found), operator_table(found)] if any(one.made for one in found) else []
    tables += [table for table in (survivors, alarm_table(found)) if table.rows]
    for table in tables:
        click.echo(f"{plain_table(table.headers, table.rows)}\n", err=to_stderr)
    for meaning, number in discussion(found):
        click.echo(f"{number} survived: {meaning}\n", err=to_stderr)
    left = sum(len(one.survivors) for one in found) - len(survivors.rows)
    if left > 0:
        click.echo(f"... and {left} more survivors (all are in {folder / journal.NAME})\n", err=to_stderr)
    show_failures(outcome.records, MOST_SURVIVORS, "all are in the report", to_stderr)
    click.echo(power_sentence(found), err=to_stderr)
    code = conclude(outcome, chosen, began, sys.argv[1:])
    click.echo(f"Report: {report} and {page}", err=to_stderr)
    ctx.exit(code)
