"""One cell of the atlas: the errors of a function on a backend, along its lines, as compact records."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from crossnn.adapter import Adapter, Native
from crossnn.atlas.axis import place
from crossnn.atlas.computed import by_formula, by_native
from crossnn.atlas.line import Line, lines_of
from crossnn.atlas.ulp import CODES, FORMATS, Format, errors
from crossnn.catalogue.load import load_catalogue
from crossnn.errors import BackendError, CrossnnError, UnavailableError, told
from crossnn.formula.oracle import Exact
from crossnn.parity.backend import first_mode, native_of, started
from crossnn.runs.cell import Cell
from crossnn.runs.findings import Accuracy

STRETCHES = 160
"""Of the axis; the curve has the largest error of each."""
NEIGHBOURS = 8
"""Accidents of the same kind with fewer stretches of the axis between them are told as one."""
MOST_REGIONS = 12
SHOWN_DIGITS = 3


def measure(cell: Cell) -> list[Accuracy]:
    """The records of a cell; what cannot run says why."""
    began = time.perf_counter()
    row = load_catalogue(cell.files).find(cell.spec)
    cell = msgspec.structs.replace(cell, mode=cell.mode or first_mode(cell.backend))
    try:
        adapter, _ = started(cell.backend, cell.device, cell.dtype, cell.threads)
    except (UnavailableError, BackendError) as error:
        return [_nothing(cell, row.kind, row.sha, str(error))]
    found = [record for line in lines_of(cell.spec, cell.files, cell.dtype) for record in _along(cell, line, adapter)]
    seconds = round(time.perf_counter() - began, 4)
    return [msgspec.structs.replace(record, seconds=seconds) for record in found]


def _nothing(cell: Cell, kind: str, sha: str, message: str, case: str = "", call: str = "") -> Accuracy:
    return Accuracy(
        spec=cell.spec, kind=kind, spec_sha=sha, backend=cell.backend, implementation=cell.implementation,
        mode=cell.mode, dtype=cell.dtype, device=cell.device, quantity="-", case=case, call=call, message=message,
    )  # fmt: skip


def _along(cell: Cell, line: Line, adapter: Adapter) -> Iterator[Accuracy]:
    """The records of one line: value and gradient for each target, of each implementation."""
    for native in _implementations(cell, line, adapter):
        call = native.call if native else ""
        try:
            values = by_native(adapter, cell.mode, line, native) if native else by_formula(adapter, cell.mode, line)
            for quantity in ("value", "gradient"):
                for target, found in _errors(line, *values[quantity], quantity):
                    yield _record(cell, line, quantity, target, call, *found)
        except CrossnnError:
            raise
        except Exception as error:  # whatever a framework throws is a result of this cell
            yield _nothing(cell, line.row.kind, line.row.sha, told(error)[:300], line.case, call)


def _implementations(cell: Cell, line: Line, adapter: Adapter) -> Sequence[Native | None]:
    """The formula; or the framework's own function with these settings, and its variants."""
    if cell.implementation != "native":
        return [None]
    own = native_of(adapter, line.row.kind, line.row.name, line.settings)
    others = adapter.variants(line.row.kind, line.row.name, line.settings)
    every = [one for one in (own, *others) if one is not None]
    return [one for one in every if not one.modes or cell.mode in one.modes]


def _errors(line: Line, found: np.ndarray, places: np.ndarray, quantity: str) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """For each target: the inputs, the errors there, and what else happened. Of a vector, the worst component."""
    truth = line.truth[quantity]
    shape = truth.hi[places].shape
    error, code = errors(found.reshape(shape), Exact(truth.hi[places], truth.lo[places]), line.dtype)
    rows = (len(places), -1)
    error, code = error.reshape(rows), code.reshape(rows).max(axis=1)
    known = ~np.all(np.isnan(error), axis=1)
    error = np.where(known, np.max(np.nan_to_num(error, nan=-1.0), axis=1), np.nan)
    error = np.where(code > 0, np.nan, error)
    if quantity == "gradient":
        away = line.left_out[places]
        error, code = np.where(away, np.nan, error), np.where(away, 0, code)
    count = len(line.x)
    for number, target in enumerate(line.targets):
        here = places // count == number
        x = line.x[places[here] % count]
        yield target, (x, *_flushed(x, error[here], code[here], FORMATS[line.dtype]))


def _flushed(x: np.ndarray, error: np.ndarray, code: np.ndarray, form: Format) -> tuple[np.ndarray, np.ndarray]:
    """Who takes subnormal inputs for 0 computes another function there: that is named, not counted."""
    with np.errstate(invalid="ignore"):
        off = (np.abs(x) < form.normal) & ((code > 0) | (error > form.half))
    return np.where(off, np.nan, error), np.where(off, CODES.index("flushed"), code)


def _record(
    cell: Cell, line: Line, quantity: str, target: str, call: str, x: np.ndarray, error: np.ndarray, code: np.ndarray
) -> Accuracy:
    known = np.isfinite(error)
    worst = int(np.nanargmax(error)) if np.any(known) else None
    return Accuracy(
        spec=cell.spec, kind=line.row.kind, spec_sha=line.row.sha, backend=cell.backend,
        implementation=cell.implementation, call=call, mode=cell.mode, dtype=cell.dtype, device=cell.device,
        quantity=quantity, case=line.case, target=target, axis=line.axis,
        largest=None if worst is None else _short(error[worst]), at=None if worst is None else float(x[worst]),
        curve=curve_of(x, error, code, line.axis, line.dtype), regions=regions_of(x, code, line.axis, line.dtype),
        points=int(np.sum(known | (code > 0))),
    )  # fmt: skip


def _short(value: float) -> float:
    return float(f"{value:.{SHOWN_DIGITS}g}")


def curve_of(x: np.ndarray, error: np.ndarray, code: np.ndarray, axis: str, dtype: str) -> tuple[float | None, ...]:
    """The largest error of each stretch, an accident counting as the loss of all digits; None where there is none."""
    stretch = np.minimum((place(x, axis, dtype) * STRETCHES).astype(int), STRETCHES - 1)
    lost = (code > 0) & (code != CODES.index("flushed"))
    sizes = np.where(lost, FORMATS[dtype].lost, error)
    most = np.full(STRETCHES, -1.0)
    known = np.isfinite(sizes)
    np.maximum.at(most, stretch[known], sizes[known])
    return tuple(_short(one) if one >= 0 else None for one in most.tolist())


def regions_of(x: np.ndarray, code: np.ndarray, axis: str, dtype: str) -> tuple[tuple[str, float, float], ...]:
    """Stretches of inputs, (name, from, to), in which the same happened at neighbouring points; what happens now and
    then in one part of the axis is one stretch."""
    cuts = np.flatnonzero(np.diff(code) != 0) + 1
    runs = [
        (CODES[int(code[run[0]])], float(x[run[0]]), float(x[run[-1]]))
        for run in np.split(np.arange(len(x)), cuts)
        if len(run) and code[run[0]] > 0
    ]
    apart = NEIGHBOURS / STRETCHES
    found = _joined(runs, apart, axis, dtype)
    while len(found) > MOST_REGIONS:
        apart *= 2
        found = _joined(runs, apart, axis, dtype)
    return tuple(sorted(found, key=lambda one: one[1:]))


def _joined(
    runs: Sequence[tuple[str, float, float]], apart: float, axis: str, dtype: str
) -> list[tuple[str, float, float]]:
    last: dict[str, int] = {}
    found: list[tuple[str, float, float]] = []
    for name, begin, end in runs:
        before = found[last[name]] if name in last else None
        if before is not None and float(np.diff(place(np.array([before[2], begin]), axis, dtype))[0]) <= apart:
            found[last[name]] = (name, before[1], end)
        else:
            last[name] = len(found)
            found.append((name, begin, end))
    return found
