"""`crossnn list`: the catalogue by kind. Imports neither NumPy nor a framework, but for the frameworks' own calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import click

from crossnn.cli.options import json_option, write_json

if TYPE_CHECKING:
    from crossnn.catalogue.rows import Row


Listed = tuple[str, Any]
"""What is printed, and the same as data."""


def _lectures(rows: Sequence[Row]) -> Listed:
    from crossnn.catalogue.coverage import covering, items
    from crossnn.report.document import plain_table

    found = covering(rows)
    listed = [
        [item.id, item.kind, item.what, ", ".join(found[item.id]) or ("-" if item.how == "none" else item.how)]
        for item in items().values()
    ]
    head = ["id", "kind", "what", "covered by"]
    return plain_table(head, listed), [dict(zip(head, line, strict=True)) for line in listed]


def _natives(rows: Sequence[Row]) -> Listed:
    """Loads every installed framework: what it has is asked of it."""
    from crossnn import registry
    from crossnn.cli.options import frameworks_here
    from crossnn.cli.quiet import quiet
    from crossnn.parity.overlay import COMPOSED, calls
    from crossnn.parity.plan import NATIVE_KINDS
    from crossnn.report.document import plain_table

    names = [name for name, backend in registry.backends().items() if backend.natives and not backend.missing]
    frameworks_here(names)
    own = [row for row in rows if row.kind in NATIVE_KINDS]
    with quiet():
        adapters = {name: registry.started(name) for name in names}
        found = {name: [list(calls(adapter, row)) for row in own] for name, adapter in adapters.items()}
    listed = [
        [row.name, row.kind, *("\n".join(found[name][place]) or COMPOSED for name in names)]
        for place, row in enumerate(own)
    ]
    said = [
        f"{name}: {len(set().union(*every))} calls compute {sum(map(bool, every))} of {len(own)} rows."
        for name, every in found.items()
    ]
    text = plain_table(["row", "kind", *names], listed) + "\n\n" + "\n".join(said)
    return text, [
        {"spec": row.name, "kind": row.kind, **{name: found[name][place] for name in names}}
        for place, row in enumerate(own)
    ]


def _conventions(rows: Sequence[Row]) -> Listed:
    """Measures in the installed frameworks: what they do by default stands in no table."""
    import msgspec

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
    measured = [one for cell in asked for one in found.get(cell.key, ())]
    for block in convention_blocks(measured):
        match block:
            case Table(headers, cells):
                lines.append(plain_table(headers, cells))
            case Heading(_, text) | Text(text):
                lines.append(text)
    if failed:
        raise CrossnnError("not everything could be measured:\n" + "\n".join(failed))
    return "\n\n".join(lines), [msgspec.to_builtins(one) for one in measured]


TABLES: Mapping[str, Callable[[Sequence[Row]], Listed]] = {
    "lectures": _lectures, "natives": _natives, "conventions": _conventions,
}  # fmt: skip
"""What else can be listed."""


@click.command("list")
@click.argument("kind", required=False)
@click.argument("files", nargs=-1, metavar="[FILE.toml ...]")
@json_option
def catalogue(kind: str | None, files: tuple[str, ...], json_file: str | None) -> None:
    """List the catalogue, or the rows of one KIND (activation, loss, optimizer ...), with a file of your own; or
    'lectures': every item of the lectures, and what covers it; or 'natives': which functions and classes of each
    framework compute a row; or 'conventions': what each does by default. These two ask the frameworks themselves."""
    from crossnn.catalogue.load import load_catalogue

    if kind is not None and kind.endswith(".toml"):
        files, kind = (kind, *files), None
    rows = list(load_catalogue(files).rows.values())
    other = TABLES.get(kind or "")
    text, data = other(rows) if other is not None else _rows(rows, kind)
    if json_file:
        write_json(json_file, {"rows" if other is None else kind: data})
    if json_file != "-":
        click.echo(text)


def _rows(rows: Sequence[Row], kind: str | None) -> Listed:
    """The catalogue, or what is of one kind, which may be given in the plural."""
    from crossnn.errors import UnknownNameError, unknown
    from crossnn.report.document import plain_table

    kinds = list(dict.fromkeys(str(row.kind) for row in rows))
    if kind is not None and kind not in kinds:
        singular = kind[:-3] + "y" if kind.endswith("ies") else kind.removesuffix("es" if kind == "losses" else "s")
        if singular not in kinds:
            raise UnknownNameError(
                unknown("kind", kind, [*kinds, *TABLES], "'crossnn show NAME' shows one specification.")
            )
        kind = singular
    shown = [row for row in rows if kind in (None, row.kind)]
    tables = [
        plain_table(
            [one, ""], [[row.name, shorten(row.summary, 120, placeholder=" ...")] for row in shown if row.kind == one]
        )
        for one in kinds
        if kind in (None, one)
    ]
    return "\n\n".join(tables) + "\n", [{"kind": row.kind, "name": row.name, "summary": row.summary} for row in shown]
