"""`crossnn time`: what each framework costs, in every mode, judged before it is timed."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from crossnn.cli.folder import folder_of, opened
from crossnn.cli.options import (
    MEASURED_DTYPES,
    comma_list,
    json_option,
    lengths,
    parse_setting,
    select,
    split_arguments,
    where_it_runs,
)
from crossnn.cli.session import Outcome, conclude, show_failures
from crossnn.errors import CrossnnError
from crossnn.report.document import plain_table

MOST_FAILURES = 10


@click.command(name="time")
@click.argument("what", nargs=-1, metavar="[NAME or FILE.toml ...]")
@where_it_runs(MEASURED_DTYPES, "float64, float32, bfloat16, tf32 (float32 with TF32 products, on a GPU). "
               "Default: float32.")  # fmt: skip
@click.option("--phase", multiple=True, callback=comma_list(), metavar="NAME", help="forward, gradient, update, step, "
              "inference, or all. Default: forward, gradient, step; update of an optimizer.")  # fmt: skip
@click.option(
    "--batch",
    multiple=True,
    callback=lengths,
    metavar="N,...",
    help="Batch sizes. Default: that of an experiment, else 64.",
)
@click.option("--threads", multiple=True, callback=lengths, metavar="N,...", help="Threads of each backend, equal for "
              "all. Default: 1.")  # fmt: skip
@click.option("--shape", multiple=True, callback=lengths, metavar="N,...", help="Shape of one sample, where another "
              "than the usual one is wanted; of the parameters of an optimizer.")  # fmt: skip
@click.option(
    "--knob", multiple=True, metavar="NAME=VALUE", help="A setting of the row, such as units=512; repeatable."
)
@click.option("--beside", multiple=True, metavar="FILE[#WAY]", help="Your own training steps: a Python file with "
              "ways(spec, mode, params, batches), or a folder of BACKEND_steps.py; #WAY picks one by a part of its "
              "name; repeatable.")  # fmt: skip
@click.option("--base", default="", metavar="'BACKEND MODE'", help="What others are compared with. Default: torch "
              "eager.")  # fmt: skip
@click.option("--limit", type=click.FloatRange(1, 7 * 24 * 3600), default=540.0, show_default=True, metavar="S",
              help="Seconds until nothing more is begun: no process, no compilation, no contest; what is then still "
              "starting or being judged is ended, and named. Only the first 5 rounds of what is ready are finished, "
              "and the report is written.")  # fmt: skip
@click.option("--allocator", type=click.Choice(("kept", "system")), default="kept", show_default=True,
              help="What glibc does with what is freed: keeps it, or (system) as it likes.")  # fmt: skip
@click.option("--timeout", type=click.FloatRange(1, 7 * 24 * 3600), default=600.0, show_default=True, metavar="S",
              help="Seconds after which a process that does not answer is given up.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder. Default: runs/<UTC time>.")
@click.option("--resume", is_flag=True, help="Continue a run: --out, or the newest in runs/.")
@json_option
@click.pass_context
def measure(
    ctx: click.Context, /, what: tuple[str, ...], phase: Sequence[str], batch: Sequence[int], threads: Sequence[int],
    shape: Sequence[int], knob: Sequence[str], beside: Sequence[str], base: str, limit: float, allocator: str,
    out: Path | None, resume: bool, **options: Any,
) -> None:  # fmt: skip
    """Time networks, layers, losses, activations and optimizers, on every backend, in every mode.

    NAME is a row of the catalogue (see 'crossnn list'), FILE.toml a file of your own rows. Without either, three
    networks are timed: softmax regression, an MLP and a CNN. The output is judged first; what is wrong is not timed.
    The run folder holds results.jsonl (every sample), machine.json, report.md and report.html.
    """
    from crossnn.catalogue.load import load_catalogue
    from crossnn.cli.rounds import watch_rounds
    from crossnn.report.build import read_run, write_report
    from crossnn.report.timing import contest_table, notes, overhead_table, title
    from crossnn.timing.plan import time_plan
    from crossnn.timing.results import measured
    from crossnn.timing.rounds import CUT_OFF, TIME_UP, Limits, time_cells
    from crossnn.timing.workers import ALLOCATORS, ENVIRONMENT

    began = time.monotonic()
    for option, seconds in (("--limit", limit), ("--timeout", options["timeout"])):
        if math.isnan(seconds):
            raise click.UsageError(f"{option} is nan; give seconds")
    names, files = split_arguments(what)
    for file in (Path(text.partition("#")[0]) for text in beside):
        if not file.exists():
            raise CrossnnError(f"--beside {file}: there is no such file or folder")
    chosen = select({**options, "seeds": 1, "jobs": 1, "threads": 1})
    cells = time_plan(
        names, files=files, backends=chosen.backends, modes=chosen.modes, phases=phase, batches=batch,
        dtypes=chosen.dtypes if chosen.dtypes_given else ("float32",), devices=chosen.devices,
        threads=threads or (1,), implementations=options["implementation"], shape=shape,
        settings=dict(parse_setting(text) for text in knob), beside=beside, base=base,
    )  # fmt: skip
    folder = folder_of(out, resume)
    limits = Limits(seconds=limit - (time.monotonic() - began), timeout=chosen.timeout)
    shas = {name: row.sha for name, row in load_catalogue(files).rows.items()}
    with opened(folder, resume, max(threads or (1,)), {**ENVIRONMENT, **ALLOCATORS[allocator]}) as book:
        finished = book.contents.finished_cells(shas)
        known, _ = measured(entry for entry in book.contents.entries if entry.done.cell.key in finished)
        with watch_rounds() as watcher:
            time_cells(
                cells, book.write, limits=limits, watcher=watcher, known=known, not_run=chosen.missing,
                allocator=allocator,
            )  # fmt: skip
    run = read_run(folder)
    report, page = write_report(folder)
    to_stderr = chosen.json_file == "-"
    for contest in run.contests:
        table = contest_table(contest)
        click.echo(f"{title(contest.about)}\n{plain_table(table.headers, table.rows)}", err=to_stderr)
        for note in notes(contest, limits.width):
            click.echo(f"  {note}", err=to_stderr)
        click.echo("", err=to_stderr)
    beside_table = overhead_table(run.contests)
    if beside_table is not None:
        click.echo(plain_table(beside_table.headers, beside_table.rows) + "\n", err=to_stderr)
    cut = [one for contest in run.contests for one in contest.absent if one.message in (CUT_OFF, TIME_UP)]
    if cut:
        without = sum(not contest.standings for contest in run.contests)
        click.echo(f"Time was up (--limit {limit:g}). Not timed: "
                   f"{', '.join(dict.fromkeys(one.contender for one in cut))}; contests without any time: {without} of "
                   f"{len(run.contests)}.", err=to_stderr)  # fmt: skip
    outcome = Outcome(records=list(run.records), timings=list(run.timings), ceilings=list(run.ceilings))
    show_failures(outcome.records, MOST_FAILURES, "all are in the report", to_stderr)
    code = conclude(outcome, chosen, began, sys.argv[1:])
    click.echo(f"Report: {report} and {page}", err=to_stderr)
    ctx.exit(code)
