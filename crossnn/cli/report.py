"""`crossnn report`: a run folder as Markdown and HTML, again."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="RUN")
@click.option("--with", "beside", multiple=True, type=click.Path(path_type=Path), metavar="RUN", help="Join the times, "
              "questions and findings of another run folder; repeatable.")  # fmt: skip
@click.option("--print", "to_stdout", is_flag=True, help="Print the Markdown; write nothing.")
def report(folder: Path, beside: tuple[Path, ...], to_stdout: bool) -> None:
    """Render the run folder RUN as report.md and one self-contained report.html."""
    from crossnn.errors import NothingRanError
    from crossnn.report.build import render_markdown, write_report
    from crossnn.runs import journal

    if to_stdout:
        click.echo(render_markdown(folder, beside), nl=False)
    else:
        for path in write_report(folder, beside):
            click.echo(path)
    if not journal.read(folder).entries:
        raise NothingRanError(
            f"{folder} holds no finished cell, and the report says so; 'crossnn run --out' makes a run"
        )
