"""`crossnn lesson`: the lesson 'imperative and symbolic computation' as one HTML page, every number measured now."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from crossnn.cli.options import comma_list, json_option
from crossnn.errors import CrossnnError, NothingRanError
from crossnn.lesson.texts import LANGUAGES


@click.command()
@click.option("--lang", type=click.Choice(LANGUAGES), default="en", show_default=True, help="The language of the page.")
@click.option("--out", metavar="FILE.html", help="Where it is written. Default: lesson.html, or lesson.ru.html.")
@click.option("--backend", multiple=True, callback=comma_list(), metavar="NAME",
              help="numpy, torch, tensorflow, jax, pytensor, or your own package.module:Adapter; repeatable. Default: "
              "all installed.")  # fmt: skip
@click.option("--steps", multiple=True, callback=comma_list(), metavar="NAME", help="L0 to L12; repeatable. Default: "
              "all.")  # fmt: skip
@click.option("--compile/--no-compile", "all_modes", default=False, help="Whether to run compilers too that take "
              "minutes, such as torch.compile. Default: no.")  # fmt: skip
@json_option
def lesson(
    lang: str, out: str | None, backend: Sequence[str], steps: Sequence[str], all_modes: bool, json_file: str | None
) -> None:
    """Measure and write the lesson on imperative and symbolic computation.

    Steps L0 to L12, each with a claim, what is measured here, a verdict by a rule, and a question for the student. The
    page needs no network and no other file. A framework that is not installed is named where it is missing.
    """
    from crossnn.lesson.give import give, write_json
    from crossnn.lesson.steps import render

    path = Path(out or ("lesson.html" if lang == "en" else f"lesson.{lang}.html"))
    began = time.monotonic()
    files = {"--out": str(path), **({"--json": json_file} if json_file and json_file != "-" else {})}
    given = give(steps, backend, all_modes, sys.argv[1:], lambda text: click.echo(text, err=True), files)
    page, verdicts = render(given, lang)
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise CrossnnError(f"--out {path}: cannot be written ({error.strerror}); choose another file") from error
    if json_file:
        write_json(given, verdicts, json_file)
    to_stderr = json_file == "-"
    for name, verdict in verdicts.items():
        click.echo(f"{name:<4} {verdict.kind}", err=to_stderr)
    click.echo(f"{path}: {len(verdicts)} steps, {time.monotonic() - began:.0f} s.", err=to_stderr)
    if all(verdict.kind == "none" for verdict in verdicts.values()):
        raise NothingRanError("nothing could run: the page says why")
