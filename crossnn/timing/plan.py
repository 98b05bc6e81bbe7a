"""From names and options to the cells of a timing; loads specifications, imports no framework."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from crossnn import registry
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Experiment, Row, Trained
from crossnn.errors import CrossnnError, choices, unknown
from crossnn.runs.cell import Cell, Implementation, Timed
from crossnn.timing.modes import check_modes, own_modes, timed_modes
from crossnn.timing.phases import NATIVE, PHASES, check_timed

BASE = ("torch", "eager")
"""What others are compared with where nothing else is asked for: what most users run, and it compiles nothing."""
USUAL = ("forward", "gradient", "step", "update")
"""The phases that are timed where none is named: inference is the forward pass of most networks."""
BATCH = 64


def timed_rows(catalogue: Catalogue, names: Sequence[str], files: Sequence[str]) -> list[Row]:
    """The named rows; else those of the files that can be timed; else the ones marked as timed."""
    if names:
        rows = [catalogue.find(name) for name in names]
    elif files:
        rows = [row for file in files for row in catalogue.of_file(file) if row.kind in PHASES]
    else:
        rows = [row for row in catalogue.rows.values() if isinstance(row, Trained) and row.timed]
    for row in rows:
        check_timed(row)
    return rows


def phases_of(row: Row, wanted: Sequence[str]) -> list[str]:
    """The phases of a row that were asked for; where an experiment has whole steps, its update alone is not usual."""
    own = PHASES[row.kind]
    if wanted:
        return [phase for phase in own if phase in wanted or "all" in wanted]
    return [phase for phase in own if phase in USUAL and not (phase == "update" and "step" in own)]


def time_plan(
    names: Sequence[str],
    *,
    files: Sequence[str] = (),
    backends: Sequence[str] = (),
    modes: Sequence[str] | None = None,
    phases: Sequence[str] = (),
    batches: Sequence[int] = (),
    dtypes: Sequence[str] = ("float32",),
    devices: Sequence[str] = ("cpu",),
    threads: Sequence[int] = (1,),
    implementations: Sequence[Implementation] = (),
    shape: Sequence[int] = (),
    settings: Mapping[str, Any] | None = None,
    beside: Sequence[str] = (),
    base: str = "",
) -> list[Cell]:
    """The cells of round 0, contest by contest; the one that others are compared with is the first of its contest, and
    once more at its end."""
    rows = timed_rows(load_catalogue(files), names, files)
    every = sorted({phase for own in PHASES.values() for phase in own})
    for phase in phases:
        if phase not in every and phase != "all":
            raise CrossnnError(unknown("phase", phase, [*every, "all"]))
    wanted = None if modes is None else list(modes)
    check_modes(list(backends), wanted)
    asked = [
        (backend, mode)
        for backend in (backends or list(registry.backends()))
        for mode in timed_modes(backend, wanted, named=backend in backends)
    ]
    first = _base(asked, base)
    asked.sort(key=lambda one: one != first)
    cells: list[Cell] = []
    for row in rows:
        for phase in phases_of(row, phases):
            for dtype, device, count, batch in itertools.product(dtypes, devices, threads, batches or _batches(row)):
                timed = Timed(phase=phase, batch=batch, shape=tuple(shape), settings=tuple((settings or {}).items()))
                contest = [
                    Cell(
                        task="time", spec=row.name, backend=backend, mode=mode, implementation=implementation,
                        dtype=dtype, device=device, threads=count, files=tuple(files), timed=one,
                    )
                    for backend, mode in asked
                    for implementation in _implementations(row, phase, backend, mode, implementations, bool(beside))
                    for one in (_ways(timed, beside) if implementation == "hand-written" else [timed])
                ]  # fmt: skip
                cells += [*contest, *_twin(contest)]
    if not cells:
        raise CrossnnError(
            f"nothing to time: {choices(row.name for row in rows)} has none of the phases {choices(phases)}, or no "
            "backend has the modes that were asked for; see 'crossnn info'"
        )
    return cells


def _batches(row: Row) -> tuple[int]:
    """The batch size of a row's own trainings, where it has one."""
    return (row.batch_size,) if isinstance(row, Experiment) and isinstance(row.batch_size, int) else (BATCH,)


def _ways(timed: Timed, beside: Sequence[str]) -> list[Timed]:
    """`FILE`, or `FILE#part of the name of a way`."""
    pairs = (text.partition("#") for text in beside)
    return [msgspec.structs.replace(timed, beside=file, way=way) for file, _, way in pairs]


def _implementations(
    row: Row, phase: str, backend: str, mode: str, wanted: Sequence[Implementation], beside: bool
) -> list[Implementation]:
    """Formula; the framework's own where it may have one, an optimizer of which is an object with a loop of its own and
    runs as it is; the user's where there is a file of training steps."""
    may = row.kind in NATIVE and registry.find(backend).natives
    native = may and (row.kind != "optimizer" or mode in ("", own_modes(backend, named=False)[0]))
    there: list[Implementation] = ["formula", *(["native"] if native else [])]  # type: ignore[list-item]
    if beside and phase == "step":
        there.append("hand-written")
    return [one for one in there if not wanted or one in wanted or one == "hand-written"]


def _base(asked: Sequence[tuple[str, str]], base: str) -> tuple[str, str]:
    if base:
        found = next((one for one in asked if " ".join(one) == base), None)
        if found is None:
            raise CrossnnError(unknown("base", base, [" ".join(one) for one in asked]))
        return found
    return BASE if BASE in asked else asked[0]


def _twin(contest: Sequence[Cell]) -> list[Cell]:
    """The first contender again, in a process of its own; alone it needs no comparison."""
    if len(contest) < 2 or contest[0].timed is None:
        return []
    return [msgspec.structs.replace(contest[0], timed=msgspec.structs.replace(contest[0].timed, again=True))]
