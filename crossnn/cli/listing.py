"""`crossnn list`: the catalogue by kind. Imports neither NumPy nor a framework."""

from __future__ import annotations

import click


@click.command("list")
@click.argument("kind", required=False)
@click.argument("files", nargs=-1, metavar="[FILE.toml ...]")
def catalogue(kind: str | None, files: tuple[str, ...]) -> None:
    """List the catalogue, or the rows of one KIND (activation, loss, optimizer ...), with a file of your own."""
    from crossnn.catalogue.load import load_catalogue
    from crossnn.errors import UnknownNameError, unknown
    from crossnn.report.document import plain_table

    if kind is not None and kind.endswith(".toml"):
        files, kind = (kind, *files), None
    rows = list(load_catalogue(files).rows.values())
    kinds = list(dict.fromkeys(str(row.kind) for row in rows))
    if kind is not None and kind not in kinds:
        singular = kind[:-3] + "y" if kind.endswith("ies") else kind.removesuffix("es" if kind == "losses" else "s")
        if singular not in kinds:
            raise UnknownNameError(unknown("kind", kind, kinds, "'crossnn show NAME' shows one specification."))
        kind = singular
    for one in kinds if kind is None else [kind]:
        listed = [[row.name, " ".join(row.summary.split())] for row in rows if row.kind == one]
        click.echo(plain_table([one, ""], listed) + "\n")
