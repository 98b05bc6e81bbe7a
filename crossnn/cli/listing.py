"""`crossnn list`: the catalogue by kind. Imports neither NumPy nor a framework, but for the frameworks' own calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def _natives(rows: Sequence[Row]) -> str:
    """Loads every installed framework: what it has is asked of it."""
    from crossnn import registry
    from crossnn.cli.options import frameworks_here
    from crossnn.parity.overlay import COMPOSED, calls
    from crossnn.parity.plan import NATIVE_KINDS
    from crossnn.report.document import plain_table

    names = [name for name, backend in registry.backends().items() if backend.natives and not backend.missing]
    frameworks_here(names)
    adapters = [registry.started(name) for name in names]
    own = [row for row in rows if row.kind in NATIVE_KINDS]
    found = {name: [list(calls(adapter, row)) for row in own] for name, adapter in zip(names, adapters, strict=True)}
    listed = [
        [row.name, row.kind, *("\n".join(found[name][place]) or COMPOSED for name in names)]
        for place, row in enumerate(own)
    ]
    said = [
        f"{name}: {len(set().union(*every))} calls compute {sum(map(bool, every))} of {len(own)} rows."
        for name, every in found.items()
    ]
    return plain_table(["row", "kind", *names], listed) + "\n\n" + "\n".join(said)


def _conventions(rows: Sequence[Row]) -> str:
    """Measures in the installed frameworks: what they do by default stands in no table."""
    from crossnn import registry
    from crossnn.cli.progress import watch
    from crossnn.conventions.measure import convention_cells
    from crossnn.errors import CrossnnError
    from crossnn.report.conventions import convention_blocks
    from crossnn.report.document import Heading, Table, Text, plain_table
    from crossnn.runs import runner
    from crossnn.runs.cell import Done, Record
    from crossnn.runs.findings import Convention
    from crossnn.runs.wire import Result

    asked = convention_cells(backends=[name for name, one in registry.backends().items() if not one.missing])
    found: dict[str, list[Convention]] = {}
    failed: list[str] = []

    def keep(done: Done, results: list[Result]) -> None:
        found[done.cell.key] = [one for one in results if isinstance(one, Convention)]
        failed.extend(f"{one.backend} {one.spec}: {one.message}" for one in results if isinstance(one, Record))

    with watch(asked) as progress:
        runner.run(asked, keep, progress=progress)
    lines = []
    for block in convention_blocks([one for cell in asked for one in found.get(cell.key, ())]):
        match block:
            case Table(headers, cells):
                lines.append(plain_table(headers, cells))
            case Heading(_, text) | Text(text):
                lines.append(text)
    if failed:
        raise CrossnnError("not everything could be measured:\n" + "\n".join(failed))
    return "\n\n".join(lines)


TABLES: Mapping[str, Callable[[Sequence[Row]], str]] = {
    "lectures": _lectures, "natives": _natives, "conventions": _conventions,
}  # fmt: skip
"""What else can be listed."""


@click.command("list")
@click.argument("kind", required=False)
@click.argument("files", nargs=-1, metavar="[FILE.toml ...]")
def catalogue(kind: str | None, files: tuple[str, ...]) -> None:
    """List the catalogue, or the rows of one KIND (activation, loss, optimizer ...), with a file of your own; or
    'lectures': every item of the lectures, and what covers it; or 'natives': which functions and classes of each
    framework compute a row; or 'conventions': what each does by default. These two ask the frameworks themselves."""
    from crossnn.catalogue.load import load_catalogue
    from crossnn.errors import UnknownNameError, unknown
    from crossnn.report.document import plain_table

    if kind is not None and kind.endswith(".toml"):
        files, kind = (kind, *files), None
    rows = list(load_catalogue(files).rows.values())
    if kind is not None and kind in TABLES:
        click.echo(TABLES[kind](rows))
        return
    kinds = list(dict.fromkeys(str(row.kind) for row in rows))
    if kind is not None and kind not in kinds:
        singular = kind[:-3] + "y" if kind.endswith("ies") else kind.removesuffix("es" if kind == "losses" else "s")
        if singular not in kinds:
            raise UnknownNameError(
                unknown("kind", kind, [*kinds, *TABLES], "'crossnn show NAME' shows one specification.")
            )
        kind = singular
    for one in kinds if kind is None else [kind]:
        listed = [[row.name, shorten(row.summary, 120, placeholder=" ...")] for row in rows if row.kind == one]
        click.echo(plain_table([one, ""], listed) + "\n")
