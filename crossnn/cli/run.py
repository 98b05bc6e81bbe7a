"""`crossnn run`: the main job. Check the catalogue, train the experiments on every backend, write a report folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crossnn.cli.folder import folder_of
from crossnn.cli.options import Selection, select, selection, split_arguments
from crossnn.cli.session import Outcome, conclude, run_into, show_failures, threaded
from crossnn.errors import CrossnnError, NothingRanError, choices
from crossnn.report.document import plain_table
from crossnn.runs.cell import Cell, Training

if TYPE_CHECKING:
    from crossnn.catalogue.load import Catalogue
    from crossnn.catalogue.rows import Question, Row

MOST_FAILURES = 10
LONGEST = 80
"""Characters of a condition in the table of questions; the report has all of it."""
FIRST = ("eager",)
"""The mode in which accuracy is measured: nearly all results of further modes are the same."""
QUESTIONS = "questions"
"""The word that stands for all of them."""


@click.command()
@click.argument("what", nargs=-1, metavar="[EXPERIMENT, STUDY, QUESTION or FILE.toml ...]")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Run folder. Default: runs/<UTC time>.")
@click.option("--resume", is_flag=True, help="Continue a run: --out, or the newest in runs/.")
@click.option("--quick", is_flag=True, help="Check in float64 only; no conventions, no accuracy.")
@click.option("--all", "everything", is_flag=True, help="Train all experiments and studies and ask all questions, not "
              "the main ones only.")  # fmt: skip
@selection
@click.pass_context
def run(
    ctx: click.Context, /, what: tuple[str, ...], out: Path | None, resume: bool, quick: bool, everything: bool,
    **options: Any,
) -> None:  # fmt: skip
    """Check the catalogue, train the experiments on every backend and mode, and write a report.

    Without a name, the whole catalogue is checked, the main experiments and studies are trained, the main questions
    asked (with --all, every one), and measured what frameworks do by default and how accurate functions are in float32;
    else the named ones, and of the catalogue what is trained is made of. 'questions' stands for all questions: claims
    that a measurement can judge. The run folder holds results.jsonl (every result as it came), machine.json, report.md
    and report.html.
    """
    from crossnn.report.build import write_report

    began = time.monotonic()
    names, files = split_arguments(what)
    chosen = select(options)
    cells, rows = _plan(names, files, chosen, quick, everything)
    folder = folder_of(out, resume)
    outcome = Outcome()
    run_into(folder, resume, cells, chosen, rows, outcome)
    outcome.judge_curves()
    report, page = write_report(folder)
    _show(outcome, chosen)
    code = conclude(outcome, chosen, began, sys.argv[1:])
    click.echo(f"Report: {report} and {page}", err=chosen.json_file == "-")
    ctx.exit(code)


def _plan(
    names: Sequence[str], files: Sequence[str], chosen: Selection, quick: bool, everything: bool
) -> tuple[list[Cell], list[Row]]:
    """All cells, and every row that may be meant."""
    from crossnn.catalogue.load import load_catalogue
    from crossnn.parity.plan import TRAINED, check_cells, first_steps, train_cells, trained_rows
    from crossnn.questions.ask import question_cells

    catalogue = load_catalogue(files)
    questions = _questions(catalogue, names, files, everything)
    asked = bool(names)
    names = [name for name in names if name != QUESTIONS and catalogue.find(name).kind != "question"]
    for name in names:
        if catalogue.find(name).kind not in TRAINED:
            raise CrossnnError(
                f"{name!r} is of kind {catalogue.rows[name].kind!r}, not an experiment; try 'crossnn check {name}'"
            )
    measured = question_cells(
        questions, files=files, backends=chosen.backends, modes=chosen.modes, devices=chosen.devices, seeds=chosen.seeds
    )
    if asked and not names:
        if not measured:
            raise NothingRanError(
                f"nothing to run: {choices(row.name for row in questions)}: not for the backends or modes asked for"
            )
        return threaded(measured, chosen.threads), list(catalogue.rows.values())
    trained = [row.name for row in trained_rows(catalogue, names, files, everything)]
    whole = [name for name, row in catalogue.rows.items() if row.kind not in (*TRAINED, "question")]
    whole += [row.name for row in trained_rows(catalogue, (), files, False)]
    dtypes = ("float64",) if quick and not chosen.dtypes_given else chosen.dtypes
    cells = check_cells(
        catalogue.with_parts(names) if names else whole,
        files=files,
        backends=chosen.backends,
        modes=chosen.modes,
        dtypes=dtypes,
        devices=chosen.devices,
        implementations=chosen.implementations,
        seeds=chosen.seeds,
    )
    trainings = train_cells(
        trained,
        files=files,
        backends=chosen.backends,
        modes=chosen.modes,
        dtypes=chosen.dtypes if chosen.dtypes_given else ("float64",),
        devices=chosen.devices,
        seeds=chosen.seeds,
    )
    found = [] if names or quick else _findings(chosen)
    cells = list(dict.fromkeys([*cells, *first_steps(trainings, catalogue), *trainings, *measured, *found]))
    if not cells:
        raise NothingRanError("nothing to run: these options select no cell; see 'crossnn list' and 'crossnn info'")
    return threaded(cells, chosen.threads), list(catalogue.rows.values())


def _findings(chosen: Selection) -> list[Cell]:
    """What frameworks do by default, and how accurate functions are in float32; 'crossnn atlas' measures more."""
    from crossnn.atlas.plan import atlas_cells
    from crossnn.conventions.measure import convention_cells

    return [
        *(convention_cells(backends=chosen.backends) if "native" in chosen.implementations else []),
        *atlas_cells(
            backends=chosen.backends, modes=chosen.modes or FIRST, dtypes=("float32",), devices=chosen.devices,
            implementations=chosen.implementations,
        ),
    ]  # fmt: skip


def _questions(catalogue: Catalogue, names: Sequence[str], files: Sequence[str], everything: bool) -> list[Question]:
    """The named questions; else all, or the main ones and those of the user's files."""
    from crossnn.catalogue.rows import Question

    every = [row for row in catalogue.of_kind("question") if isinstance(row, Question)]
    if names:
        return [row for row in every if QUESTIONS in names or row.name in names]
    return [row for row in every if everything or row.main or row.file in files]


def _show(outcome: Outcome, chosen: Selection) -> None:
    """Trainings as tables, and the first failures; the report has everything."""
    from crossnn.report.families import by_spec, family_of, family_table, printed_table
    from crossnn.report.summary import place
    from crossnn.report.training import training_table

    to_stderr = chosen.json_file == "-"
    families: dict[str, dict[str, list[Training]]] = {}
    for experiment, group in by_spec(outcome.trainings).items():
        if family_of(group):
            families.setdefault(family_of(group), {})[experiment] = group
            continue
        group.sort(key=lambda training: place(training.backend, training.mode))
        for table in (training_table(group), printed_table(group)):
            if table is not None:
                click.echo(f"{experiment}\n{plain_table(table.headers, table.rows)}\n", err=to_stderr)
    for family, groups in families.items():
        table = family_table(groups)
        click.echo(f"{family}\n{plain_table(table.headers, table.rows)}\n", err=to_stderr)
    if outcome.answers:
        from crossnn.report.questions import answers_table

        table = answers_table(outcome.answers, LONGEST)
        click.echo(f"questions\n{plain_table(table.headers, table.rows)}\n", err=to_stderr)
    show_failures(outcome.records, MOST_FAILURES, "all are in the report", to_stderr)
    for backend, reason in chosen.missing.items():
        click.echo(f"NOT-RUN {backend}: {reason}", err=to_stderr)
