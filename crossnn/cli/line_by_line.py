"""What `show` adds to read a formula: a picture of its graph, its derivation, and its lines with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from crossnn.catalogue.rows import Row
from crossnn.cli.derivation import derivation_latex, derivation_text, numbers_latex, numbers_text
from crossnn.drawing.diff import compare, film
from crossnn.drawing.own import passes, view_of
from crossnn.drawing.svg import MOST
from crossnn.errors import CrossnnError
from crossnn.formula.graph import Graph
from crossnn.formula.simplify import simplify


def read_line_by_line(
    row: Row, given: Mapping[str, Any], derivation: bool, at: Sequence[str] | None, as_latex: bool
) -> list[str]:
    """The derivation, or the formula, of a row line by line; with numbers where `at` is not None."""
    if derivation:
        return derivation_latex(row, given, at) if as_latex else [derivation_text(row, given, at)]
    return numbers_latex(row, given, at or ()) if as_latex else [numbers_text(row, given, at or ())]


def write_svg(graph: Graph, file: str, names: Sequence[str]) -> str:
    """Draw the graph as recorded beside the simplified one, and every pass that changed it; say what was drawn."""
    if len(names) > 1:
        raise CrossnnError(f"--svg {file}: one file holds one graph, got {len(names)} names; name one of them")
    views = passes(graph)
    views.append(view_of(simplify(graph), "simplified"))
    try:
        Path(file).write_text(film(views), encoding="utf-8")
    except OSError as error:
        raise CrossnnError(f"--svg {file}: cannot be written ({error.strerror}); choose another file") from error
    found = compare(views[0], views[-1])
    sizes = f"{len(views[0].vertices)} -> {len(views[-1].vertices)} nodes: {found.sentence()}"
    large = max(len(view.vertices) for view in views)
    note = f"; graphs of more than {MOST} nodes are counted, not drawn" if large > MOST else ""
    return f"picture: {file}: {sizes}{note}"
