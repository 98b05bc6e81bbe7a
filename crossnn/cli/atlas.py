"""`crossnn atlas`: how accurate every activation, loss and gradient is, in every framework, mode and dtype."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click

from crossnn.cli.options import IMPLEMENTATIONS, json_option, select, split_arguments, where_it_runs

ATLAS_DTYPES = ("float64", "float32", "bfloat16")
MOST_ROWS = 30


@click.command()
@click.argument("what", nargs=-1, metavar="[NAME or FILE.toml ...]")
@where_it_runs(ATLAS_DTYPES, "float64, float32, bfloat16. Default: all.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, metavar="N",
              help="Backends at work at the same time.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(1, 7 * 24 * 3600), default=600.0, show_default=True, metavar="S",
              help="Seconds after which a cell is given up.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder. Default: runs/<UTC time>.")
@click.option("--resume", is_flag=True, help="Continue a run: --out, or the newest in runs/.")
@json_option
@click.pass_context
def atlas(ctx: click.Context, /, what: tuple[str, ...], out: Path | None, resume: bool, **options: Any) -> None:
    """Measure how accurate activations, losses and their gradients are, in units of float spacing.

    NAME is an activation or a loss of the catalogue (see 'crossnn list'), FILE.toml a file of your own; without either,
    all are measured. Every function is computed at thousands of inputs of every magnitude and compared with arbitrary
    precision. The run folder holds results.jsonl, machine.json, report.md and report.html.
    """
    from crossnn.atlas.plan import atlas_cells
    from crossnn.catalogue.load import load_catalogue
    from crossnn.cli.folder import folder_of
    from crossnn.cli.session import Outcome, conclude, run_into
    from crossnn.errors import NothingRanError
    from crossnn.report.atlas import SHORT_LEGEND, all_fine, not_measured, short_table
    from crossnn.report.build import write_report
    from crossnn.report.document import plain_table
    from crossnn.runs.findings import Accuracy

    began = time.monotonic()
    names, files = split_arguments(what)
    chosen = select({**options, "seeds": 1, "threads": 1})
    cells = atlas_cells(
        names, files=files, backends=chosen.backends, modes=chosen.modes,
        dtypes=chosen.dtypes if chosen.dtypes_given else ATLAS_DTYPES, devices=chosen.devices,
        implementations=options["implementation"] or IMPLEMENTATIONS,
    )  # fmt: skip
    folder = folder_of(out, resume)
    outcome = Outcome()
    run_into(folder, resume, cells, chosen, load_catalogue(files).rows.values(), outcome)
    report, page = write_report(folder)
    to_stderr = chosen.json_file == "-"
    found = [one for one in outcome.findings if isinstance(one, Accuracy)]
    if not any(one.curve for one in found):
        reasons = list(dict.fromkeys([*(one.message for one in found), *(one.message for one in outcome.records)]))
        raise NothingRanError("nothing was measured: " + ("; ".join(filter(None, reasons[:5])) or "no native here"))
    table, left = short_table(found, MOST_ROWS)
    if table.rows:
        click.echo(f"{plain_table(table.headers, table.rows)}\n", err=to_stderr)
    if left:
        click.echo(f"... and {left} more (all are in the report)\n", err=to_stderr)
    click.echo(SHORT_LEGEND, err=to_stderr)
    for line in [
        *all_fine(found),
        *not_measured(found),
        *(f"NOT-RUN {name}: {reason}" for name, reason in chosen.missing.items()),
    ]:
        click.echo(line, err=to_stderr)
    click.echo(f"{sum(bool(one.curve) for one in found)} curves measured, each over up to 2,048 inputs.",
               err=to_stderr)  # fmt: skip
    code = conclude(outcome, chosen, began, sys.argv[1:])
    click.echo(f"Report: {report} and {page}", err=to_stderr)
    ctx.exit(code)
