"""The command line. Commands are named here and imported when they are called, so that `--help` costs nothing.

Every refusal (`CrossnnError`) becomes its message on standard error and its exit code; a traceback is a bug of ours.
Exit codes: 0 all as expected; 1 a difference or a failed cell; 2 wrong usage or a bad file; 3 nothing could run.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

import click

from crossnn.errors import CrossnnError

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run": ("crossnn.cli.run:run", "Check the catalogue, train the experiments on every backend, write a report."),
    "check": ("crossnn.cli.check:check", "Compare values, gradients and updates with arbitrary precision."),
    "verify": ("crossnn.cli.verify:verify", "Verify a sheet of claims: which hold, which do not, which are unsafe."),
    "time": ("crossnn.cli.timing:measure", "Time every backend in every mode: steps, gradients, layers, optimizers."),
    "atlas": ("crossnn.cli.atlas:atlas", "How accurate activations, losses and their gradients are, over all inputs."),
    "power": ("crossnn.cli.power:power", "How many planted mistakes the checks find, and how many false alarms."),
    "identify": ("crossnn.cli.identify:identify", "Which formula a function, loss or optimizer computes."),
    "compare": ("crossnn.cli.compare:compare", "Say what changed between two runs: verdicts, and times beyond noise."),
    "show": ("crossnn.cli.show:show", "Formula, LaTeX, derivative, graph and generated code of a specification."),
    "trace": ("crossnn.cli.trace:trace", "The imperative view: every primitive as it runs, with values and gradients."),
    "lesson": ("crossnn.cli.lesson:lesson", "The lesson 'imperative and symbolic computation', measured here and now."),
    "report": ("crossnn.cli.report:report", "Render a run folder as Markdown and one self-contained HTML file."),
    "list": ("crossnn.cli.listing:catalogue", "The catalogue."),
    "info": ("crossnn.cli.info:info", "The backends, versions, modes and devices found here."),
}
"""Command -> (where it is, what it does)."""

BROKEN_PIPE = 141
"""What a shell reports for a process whose reader has gone: 128 + SIGPIPE."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and turns refusals into messages."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except CrossnnError as error:
            _refuse(ctx, str(error), error.exit_code)
        except KeyboardInterrupt:
            _refuse(ctx, "interrupted", 130)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered has nowhere to go
            ctx.exit(BROKEN_PIPE)
        except OSError as error:
            _refuse(ctx, f"{error.filename}: {error.strerror}" if error.filename else str(error), 2)
        return result


def _refuse(ctx: click.Context, message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    ctx.exit(code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="crossnn", message="%(package)s %(version)s")
def main() -> None:
    """One specification of each neural-network formula, run by NumPy, TensorFlow, PyTorch and JAX, judged against
    arbitrary precision.

    Exit codes: 0 all as expected; 1 a difference or a failed cell; 2 wrong usage or a bad file; 3 nothing could run.
    """
