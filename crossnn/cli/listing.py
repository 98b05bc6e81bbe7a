"""`crossnn list`: the catalogue by kind. Imports neither NumPy nor a framework."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import shorten
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from crossnn.catalogue.rows import Row


def _lectures(rows: Sequence[Row]) -> str:
    from crossnn.catalogue.coverage import covering, items
    from crossnn.report.document import plain_table

    found = covering(rows)
    listed = [
        [item.id, item.kind, item.what, ", ".join(found[item.id]) or ("-" if item.how == "none" else item.how)]
        for item in items().values()
    ]
    return plain_table(["id", "kind", "what", "covered by"], listed)


@click.command("list")
@click.argument("kind", required=False)
@click.argument("files", nargs=-1, metavar="[FILE.toml ...]")
def catalogue(kind: str | None, files: tuple[str, ...]) -> None:
    """List the catalogue, or the rows of one KIND (activation, loss, optimizer ...), with a file of your own; or
    'lectures': every item of the lectures, and what covers it."""
    from crossnn.catalogue.load import load_catalogue
    from crossnn.errors import UnknownNameError, unknown
    from crossnn.report.document import plain_table

    if kind is not None and kind.endswith(".toml"):
        files, kind = (kind, *files), None
    rows = list(load_catalogue(files).rows.values())
    if kind == "lectures":
        click.echo(_lectures(rows))
        return
    kinds = list(dict.fromkeys(str(row.kind) for row in rows))
    if kind is not None and kind not in kinds:
        singular = kind[:-3] + "y" if kind.endswith("ies") else kind.removesuffix("es" if kind == "losses" else "s")
        if singular not in kinds:
            raise UnknownNameError(unknown("kind", kind, kinds, "'crossnn show NAME' shows one specification."))
        kind = singular
    for one in kinds if kind is None else [kind]:
        listed = [[row.name, shorten(row.summary, 120, placeholder=" ...")] for row in rows if row.kind == one]
        click.echo(plain_table([one, ""], listed) + "\n")
