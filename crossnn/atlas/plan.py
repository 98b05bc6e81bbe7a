"""Which cells an atlas has: every activation and loss, on every backend, in every dtype; imports no framework."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crossnn import registry
from crossnn.atlas.ulp import FORMATS
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Activation, Loss, Row
from crossnn.errors import CrossnnError, NothingRanError, choices
from crossnn.parity.plan import modes_of
from crossnn.runs.cell import Cell, Implementation

DTYPES: tuple[str, ...] = tuple(FORMATS)


def atlas_rows(catalogue: Catalogue, names: Sequence[str], files: Sequence[str]) -> list[Row]:
    """The named rows; else the activations and losses of the files; else all."""
    if names:
        rows = [catalogue.find(name) for name in dict.fromkeys(names)]
        wrong = [f"{row.name} ({row.kind})" for row in rows if not isinstance(row, Activation | Loss)]
        if wrong:
            raise CrossnnError(
                f"{choices(wrong)}: the atlas has activations and losses; see 'crossnn list activation' and "
                "'crossnn list loss'"
            )
        return rows
    every: Iterable[Row] = (
        (row for file in files for row in catalogue.of_file(file)) if files else catalogue.rows.values()
    )
    rows = [row for row in every if isinstance(row, Activation | Loss)]
    if not rows:
        raise NothingRanError(f"nothing to measure: {choices(files)} has no activation and no loss")
    return rows


def atlas_cells(
    names: Sequence[str] = (),
    *,
    files: Sequence[str] = (),
    backends: Sequence[str] = (),
    modes: Sequence[str] | None = None,
    dtypes: Sequence[str] = DTYPES,
    devices: Sequence[str] = ("cpu",),
    implementations: Sequence[Implementation] = ("formula", "native"),
    threads: int = 1,
) -> list[Cell]:
    """The cells. Backends begin at different rows, so that those at work at the same time find truth that another has
    computed already."""
    catalogue = load_catalogue(files)
    rows = atlas_rows(catalogue, names, files)
    built_in = load_catalogue().rows
    asked = list(backends) or list(registry.backends())
    cells = []
    for number, backend in enumerate(asked):
        begin = number * len(rows) // len(asked)
        for row in (*rows[begin:], *rows[:begin]):
            own = row.name in built_in and built_in[row.name].sha == row.sha and registry.find(backend).natives
            cells += [
                Cell(
                    task="atlas", spec=row.name, backend=backend, implementation=implementation, mode=mode,
                    dtype=dtype, device=device, files=tuple(files), threads=threads,
                )
                for device in devices
                for dtype in dtypes
                for implementation in implementations
                if implementation == "formula" or own
                for mode in modes_of(backend, modes, slow=False)
            ]  # fmt: skip
    if not cells:
        raise NothingRanError(
            f"nothing to measure: no backend asked for has the mode(s) {choices(modes or ())}, or a native of these "
            "rows; see 'crossnn info'"
        )
    return cells
