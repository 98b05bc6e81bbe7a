"""The generated functions of several frameworks beside each other."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Row
from crossnn.standalone.write import draft

BETWEEN = 4
"""Spaces between two columns."""


def side_by_side(
    row: Row, catalogue: Catalogue, backends: Sequence[str], given: Mapping[str, Any], width: int = 0
) -> str:
    """What each backend is given to compute, but for the gradients of functions, which NumPy alone is given; in
    columns, as far as the width (of the terminal) allows."""
    blocks = []
    for name in backends:
        found = draft(row, catalogue, name, given)
        functions = [one for one in found.functions if one.name != f"{found.functions[0].name}_gradients"]
        named = {key: value for one in functions for key, value in one.constants.items()}
        lines = [f"{key} = {value}" for key, value in named.items()] + ([""] if named else [])
        lines += "\n\n".join(one.text for one in functions).splitlines()
        blocks.append([f"# {found.dialect.title}", "", *lines])
    return beside(blocks, width or shutil.get_terminal_size((100, 24)).columns - 2)


def beside(blocks: Sequence[Sequence[str]], width: int) -> str:
    """Blocks of lines in columns: as many in a row as fit, the others below."""
    rows: list[list[Sequence[str]]] = []
    for block in blocks:
        taken = [*(rows[-1] if rows else []), block]
        if rows and sum(max(map(len, one)) for one in taken) + BETWEEN * (len(taken) - 1) <= width:
            rows[-1].append(block)
        else:
            rows.append([block])
    return "\n\n\n".join(map(_columns, rows))


def _columns(row: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, block)) for block in row]
    lines = []
    for number in range(max(map(len, row))):
        cells = [block[number] if number < len(block) else "" for block in row]
        padded = (f"{cell:<{size}}" for cell, size in zip(cells, widths, strict=True))
        lines.append((" " * BETWEEN).join(padded).rstrip())
    return "\n".join(lines)
