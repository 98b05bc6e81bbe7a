"""`crossnn show --standalone` and `--side-by-side`: code that runs without crossnn, and how the frameworks say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from crossnn import registry
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Row
from crossnn.cli.describe import section
from crossnn.cli.options import frameworks_here
from crossnn.cli.quiet import quiet
from crossnn.errors import CrossnnError
from crossnn.formula.source import identifier

F = TypeVar("F", bound=Callable[..., Any])

OUTPUT = "-"


def standalone_options(command: F) -> F:
    """The options of `show` that are served here."""
    for option in (
        click.option("--side-by-side", is_flag=True, help="The code of all frameworks, or of those that --backend "
                     "names, beside each other where they fit."),
        click.option("--standalone", metavar="FILE", help="Write Python that runs alone, with only the framework of "
                     "--backend installed, and prints the same numbers: value and gradient, steps of an optimizer, a "
                     "whole training. - is standard output. With several names or backends, or without --backend "
                     "(all that are installed), FILE is a folder and gets NAME_BACKEND.py for each."),
    ):  # fmt: skip
        command = option(command)
    return command


def show_alone(
    rows: Sequence[Row], catalogue: Catalogue, backends: Sequence[str], given: Mapping[str, Any], target: str | None
) -> str:
    """What `show` prints with one of these options; without a target, the code of the backends side by side."""
    frameworks_here(backends)
    for name in backends:
        registry.find(name)
    names = list(backends) or [name for name, backend in registry.BUILT_IN.items() if not backend.missing]
    if target is None:
        from crossnn.standalone.side_by_side import side_by_side

        with quiet():
            texts = [side_by_side(row, catalogue, names, given) for row in rows]
        titles = [f"{row.name}  ({row.kind}, {row.file})" for row in rows]
        found = "\n\n".join(section(title, text) for title, text in zip(titles, texts, strict=True))
        return found + ("\n\n" + _absent() if _absent() and not backends else "")
    written = _written(rows, catalogue, names, given, target, folder=not backends or len(rows) * len(names) > 1)
    return written + ("\n" + _absent() if _absent() and not backends and target != OUTPUT else "")


def _absent() -> str:
    """A line for each framework that is left out because it is not installed."""
    missing = {name: backend for name, backend in registry.BUILT_IN.items() if backend.missing}
    return "\n".join(f"not shown: {name}, which needs {', '.join(backend.missing)}, not installed here: {backend.hint}"
                     for name, backend in missing.items())  # fmt: skip


def _written(
    rows: Sequence[Row], catalogue: Catalogue, names: Sequence[str], given: Mapping[str, Any], target: str, folder: bool
) -> str:
    """Write the files and say which; or the text itself where that is what is wanted."""
    from crossnn.standalone.write import standalone

    if target == OUTPUT and len(rows) * len(names) != 1:
        raise CrossnnError(
            f"--standalone -: {len(rows)} name(s) for {len(names)} backend(s) are several files; name one "
            "specification and one --backend, or give a folder"
        )
    with quiet():
        texts = [(row, name, standalone(row, catalogue, name, given)) for row in rows for name in names]
    if target == OUTPUT:
        return texts[0][2].rstrip("\n")
    path, lines = Path(target), []
    for row, name, text in texts:
        own = f"{identifier(row.name)}_{identifier(name)}.py"
        file = path / own if folder or path.is_dir() else path
        try:
            if folder:
                path.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        except OSError as error:
            raise CrossnnError(
                f"--standalone {target}: {file} cannot be written ({error.strerror}); choose another place"
            ) from None
        lines.append(f"{file}: {row.name} for {name}, {text.count(chr(10))} lines")
    return "\n".join(lines)
