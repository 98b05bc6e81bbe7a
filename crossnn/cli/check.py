"""`crossnn check`: values, gradients and updates of specifications, on every backend, against arbitrary precision."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from crossnn.cli.options import select, selection, split_arguments
from crossnn.cli.session import Outcome, conclude, run_cells, say_left_out, show_records, threaded
from crossnn.errors import NothingRanError


@click.command()
@click.argument("what", nargs=-1, metavar="[NAME or FILE.toml ...]")
@selection
@click.pass_context
def check(ctx: click.Context, /, what: tuple[str, ...], **options: Any) -> None:
    """Compare the values, gradients and updates of specifications with arbitrary precision.

    NAME is a row of the catalogue (see 'crossnn list'), FILE.toml a file of your own rows. Without either, the whole
    catalogue is checked.
    """
    from crossnn.catalogue.load import load_catalogue
    from crossnn.parity.plan import check_cells

    began = time.monotonic()
    names, files = split_arguments(what)
    catalogue = load_catalogue(files)
    for name in names:
        catalogue.find(name)
    chosen = select(options)
    cells = check_cells(
        names,
        files=files,
        backends=chosen.backends,
        modes=chosen.modes,
        dtypes=chosen.dtypes,
        devices=chosen.devices,
        implementations=chosen.implementations,
        seeds=chosen.seeds,
    )
    if not cells:
        raise NothingRanError("nothing to check: these options select no cell; see 'crossnn list' and 'crossnn info'")
    outcome = Outcome()
    kinds = {name: row.kind for name, row in catalogue.rows.items()}
    run_cells(threaded(cells, chosen.threads), chosen, kinds, outcome.add)
    if not outcome.nothing_ran:
        show_records(outcome.records, chosen)
        say_left_out(chosen)
    ctx.exit(conclude(outcome, chosen, began, sys.argv[1:]))
