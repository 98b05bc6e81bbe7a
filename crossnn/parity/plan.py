"""From what the user asked for to a list of cells; loads specifications, imports no framework."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from crossnn import registry
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Activation, Loss, Question, Regularizer, Row, Schedule, Trained
from crossnn.errors import CrossnnError, choices
from crossnn.runs.cell import ORACLE, Cell, Implementation

NATIVE_KINDS = (
    "activation", "loss", "regularizer", "constraint", "initializer", "metric", "layer", "optimizer", "schedule",
    "clipping",
)  # fmt: skip
"""Kinds for which frameworks have implementations of their own."""


def chosen_rows(catalogue: Catalogue, names: Sequence[str], files: Sequence[str]) -> list[Row]:
    """The named rows; else those of the files; else all, of those that are trained the main ones."""
    if names:
        rows = [catalogue.find(name) for name in names]
        asked = [row.name for row in rows if isinstance(row, Question)]
        if asked:
            raise CrossnnError(f"{choices(asked)}: a question is measured, not checked; try 'crossnn run {asked[0]}'")
        return rows
    rows = [row for file in files for row in catalogue.of_file(file)] if files else [*catalogue.rows.values()]
    questions = [row for row in rows if isinstance(row, Question)]
    if rows and len(questions) == len(rows):
        raise CrossnnError(f"{choices(files)}: questions only, which are measured, not checked; try 'crossnn run'")
    rows = [row for row in rows if not isinstance(row, Question)]
    return rows if files else [row for row in rows if not isinstance(row, Trained) or row.main]


def modes_of(backend: str, wanted: Sequence[str] | None, slow: bool) -> list[str]:
    """The modes of a backend that were asked for; '' stands for the first mode of a backend not loaded yet."""
    found = registry.find(backend)
    if wanted is None:
        return [mode for mode in found.modes if slow or mode not in found.slow_modes] or [""]
    if "all" in wanted:
        return list(found.modes) or [""]
    return [mode for mode in wanted if not found.modes or mode in found.modes]


def check_cells(
    names: Sequence[str],
    *,
    files: Sequence[str] = (),
    backends: Sequence[str] = (),
    modes: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float64", "float32"),
    devices: Sequence[str] = ("cpu",),
    implementations: Sequence[Implementation] = ("formula", "native"),
    seeds: Sequence[int] = (0,),
) -> list[Cell]:
    """Check cells, the oracle's own first. Missing frameworks are planned too: they become NOT-RUN with a reason."""
    catalogue = load_catalogue(files)
    rows = chosen_rows(catalogue, names, files)
    if files:
        from crossnn.parity.buildable import refuse_unbuildable

        refuse_unbuildable((row for row in rows if row.file in files), catalogue)
    asked = list(backends) or list(registry.backends())
    cells = [
        Cell(task="check", spec=row.name, backend=ORACLE, mode="exact", seed=seed, files=tuple(files))
        for row in rows
        for seed in seeds
        if isinstance(row, Activation | Loss | Regularizer | Schedule)
        and (row.definition or row.derivative)
        and "formula" in implementations
    ]
    for backend in asked:
        natives, own_modes = registry.find(backend).natives, modes_of(backend, modes, slow=False)
        for row in rows:
            for implementation in implementations:
                if implementation == "native" and not (natives and _may_be_native(row)):
                    continue
                cells += [
                    Cell(
                        task="check", spec=row.name, backend=backend, implementation=implementation, mode=mode,
                        dtype=dtype, device=device, seed=seed, files=tuple(files),
                    )
                    for seed in seeds
                    for device in devices
                    for dtype in dtypes
                    for mode in _native_modes(row, implementation, own_modes)
                ]  # fmt: skip
    return _some(cells, asked, modes)


def _may_be_native(row: Row) -> bool:
    """A user's row that takes the name of a built-in one is another formula, of which no framework has its own."""
    built_in = load_catalogue().rows.get(row.name)
    return row.kind in NATIVE_KINDS and built_in is not None and built_in.sha == row.sha


def _native_modes(row: Row, implementation: str, modes: list[str]) -> list[str]:
    """A framework's schedules and initializers are called as they are, once."""
    return modes[:1] if implementation == "native" and row.kind in ("schedule", "initializer") else modes


TRAINED = ("experiment", "study")
"""Kinds that are trained."""


def trained_rows(catalogue: Catalogue, names: Sequence[str], files: Sequence[str], everything: bool) -> list[Trained]:
    """The named rows; else all, or the main ones and those of the user's files."""
    rows = [catalogue.find(name) for name in names] if names else catalogue.of_kind(*TRAINED)
    wrong = [row.name for row in rows if not isinstance(row, Trained)]
    if wrong:
        known = choices((row.name for row in catalogue.of_kind(*TRAINED)), 200)
        raise CrossnnError(f"{choices(wrong)}: not an experiment, nor a study; there are: {known}")
    found = [row for row in rows if isinstance(row, Trained)]
    return found if names or everything else [row for row in found if row.main or row.file in files]


def train_cells(
    names: Sequence[str],
    *,
    files: Sequence[str] = (),
    backends: Sequence[str] = (),
    modes: Sequence[str] | None = None,
    dtypes: Sequence[str] = ("float64",),
    devices: Sequence[str] = ("cpu",),
    seeds: Sequence[int] = (0,),
    everything: bool = False,
) -> list[Cell]:
    """Training cells of the named experiments and studies, the references first; where none is named, of the main
    ones, or of all. What a row leaves out is planned with its reason, unless a mode is asked for by name."""
    rows = trained_rows(load_catalogue(files), names, files, everything)
    asked = list(backends) or list(registry.backends())
    cells = [
        Cell(task="train", spec=row.name, backend=ORACLE, mode="exact", seed=seed, files=tuple(files))
        for row in rows
        for seed in seeds
    ]
    cells += [
        Cell(
            task="train", spec=row.name, backend=backend, mode=mode, dtype=dtype, device=device, seed=seed,
            files=tuple(files), left_out=row.left_out.get(f"{backend} {mode}", "") if modes is None else "",
        )
        for backend, own_modes in ((name, modes_of(name, modes, slow=True)) for name in asked)
        for row in rows
        for seed in seeds
        for device in devices
        for dtype in dtypes
        for mode in own_modes
    ]  # fmt: skip
    return _some(cells, asked, modes)


def first_steps(trainings: Sequence[Cell], catalogue: Catalogue) -> list[Cell]:
    """What is trained is judged quantity by quantity first: main rows in the very same mode, also where compiling is
    slow; the others in each backend's first mode, and their curves in every mode."""
    first = {name: ("", *registry.find(name).modes[:1]) for name in {cell.backend for cell in trainings} - {ORACLE}}
    main = {row.name for row in catalogue.rows.values() if isinstance(row, Trained) and row.main}
    return [
        msgspec.structs.replace(cell, task="check")
        for cell in trainings
        if cell.backend != ORACLE and not cell.left_out and (cell.spec in main or cell.mode in first[cell.backend])
    ]


def _some(cells: list[Cell], backends: Iterable[str], modes: Sequence[str] | None) -> list[Cell]:
    if not any(cell.backend != ORACLE for cell in cells):
        known = {f"{name}: {choices(registry.find(name).modes)}" for name in backends}
        raise CrossnnError(
            f"nothing to do: no backend asked for has the mode(s) {choices(modes or ())}; {choices(known)}"
        )
    return cells
