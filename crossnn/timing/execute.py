"""What a worker process does for a cell of a timing: round 0 prepares and judges it, every later round takes times.

A contender stays in the process between its visits; those of the work before are given up when another begins.
"""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from crossnn.adapter import Adapter
from crossnn.errors import CrossnnError, UnavailableError
from crossnn.parity.backend import started
from crossnn.parity.differences import differences
from crossnn.parity.judge import judge
from crossnn.report.summary import WORST_FIRST
from crossnn.runs.cell import FAILURES, Cell, Record
from crossnn.runs.timed import CEILING, Ceiling, Prepared, Visit, at_round, identity
from crossnn.runs.wire import Result
from crossnn.timing import ceilings
from crossnn.timing.contender import Contender, contender_of
from crossnn.timing.phases import work_of
from crossnn.timing.visit import Memory, inner_calls, one_call, timed, visit
from crossnn.timing.work import Work

VISIT_SECONDS = 0.25


@dataclasses.dataclass
class Ready:
    """A contender that may be visited."""

    contender: Contender
    inner: int


_ready: dict[Cell, Ready] = {}
_works: dict[Cell, Work] = {}


def run_timed(cell: Cell) -> list[Result]:
    """The records of one cell; what is missing for it is NOT-RUN."""
    assert cell.timed is not None
    try:
        if cell.timed.phase == CEILING:
            return _ceiling(cell)
        return _prepare(cell) if cell.timed.round == 0 else [_visit(cell)]
    except UnavailableError as error:
        return [Prepared(**identity(cell), verdict="NOT-RUN", message=str(error))]


def _work(cell: Cell) -> Work:
    """The work, shared by all contenders of it here; only one work at a time keeps its memory."""
    assert cell.timed is not None
    same = msgspec.structs.replace(cell.timed, round=0, beside="", way="", again=False)
    own = msgspec.structs.replace(cell, mode="", implementation="formula", timed=same)
    if own not in _works:
        _works.clear()
        _ready.clear()
        gc.collect()
        _works[own] = work_of(cell)
    return _works[own]


def _prepare(cell: Cell) -> list[Result]:
    work = _work(cell)
    who = identity(cell, work.row.kind, work.row.sha)
    adapter, facts = started(cell.backend, cell.device, cell.dtype, cell.threads)
    adapter.device_memory()  # forgets the peak so far
    memory = Memory()
    build, (contender, call) = timed(contender_of, work, adapter, cell)
    with adapter.stages() as stages:
        first, result = timed(_once, contender)
    found = contender.read(result)
    seconds, cores = one_call(contender)
    risen, device = memory.risen(), adapter.device_memory()
    records = _judged(cell, work, found, call)
    verdicts = {record.verdict for record in records}
    worst = next(verdict for verdict in WORST_FIRST if verdict in verdicts)
    flops, moved = work.cost(cell.dtype)
    prepared = Prepared(
        **who, verdict=worst, call=call, build_seconds=build, first_seconds=first, stages=dict(stages), flops=flops,
        least_bytes=moved, cores=cores, host_bytes=risen and risen[0], host_total=risen and risen[1],
        device_bytes=device, facts=dataclasses.asdict(facts),
    )  # fmt: skip
    if worst in FAILURES:
        reason = f"{sum(r.failed for r in records)} of {len(records)} quantities are wrong: no time is taken"
        return [*records, msgspec.structs.replace(prepared, message=reason)]
    _ready[at_round(cell, 0)] = Ready(contender, inner_calls(seconds, VISIT_SECONDS, cell.device != "cpu"))
    return [*records, prepared]


def _once(contender: Contender) -> Any:
    result = contender.step(0)
    contender.wait(result)
    return result


def _judged(cell: Cell, work: Work, found: Mapping[str, Any], call: str) -> list[Record]:
    """The verdict on every quantity of the first call: what is timed is what is right."""
    records = []
    for quantity, reference in work.truth_in(cell.dtype).items():
        if quantity not in found:
            if cell.implementation == "formula" or quantity == "loss" or quantity.startswith(("update", "value")):
                raise CrossnnError(f"{call or cell.backend} computed no {quantity!r}")
            continue
        said = judge(found[quantity], reference, cell.dtype)
        records.append(
            Record(
                spec=cell.spec,
                kind=work.row.kind,
                backend=cell.backend,
                implementation=cell.implementation,
                mode=cell.mode,
                dtype=cell.dtype,
                device=cell.device,
                quantity=quantity,
                verdict=said.verdict,
                r=said.r,
                digits=said.digits,
                worst=said.worst,
                seed=cell.seed,
                spec_sha=work.row.sha,
                case=f"timed {work.phase}",
                call=call,
                message=said.message,
            )
        )
    return [_registered(cell, record) for record in records]


def _registered(cell: Cell, record: Record) -> Record:
    """A failure of a kind that the registry of differences knows of this implementation is no news: it is KNOWN. How
    large it is was measured there, on hostile inputs."""
    entry = next((one for one in differences() if one.covers(cell) and fnmatchcase(record.call, one.call)), None)
    if entry is None or record.verdict not in ("FORMULA", "ACCURACY"):
        return record
    return msgspec.structs.replace(
        record, verdict="KNOWN", known=entry.id, message=f"{entry.cause} [{entry.reference}]"
    )


def _visit(cell: Cell) -> Visit:
    assert cell.timed is not None
    ready = _ready.get(at_round(cell, 0))
    if ready is None:
        raise CrossnnError(f"{cell.label} was not prepared in this process")
    found = visit(ready.contender, VISIT_SECONDS, ready.inner, cell.device != "cpu")
    return Visit(
        **identity(cell), round=cell.timed.round, process=0, samples=found.microseconds, inner=ready.inner,
        faults=found.faults, system_us=found.system_us, switches=found.switches,
    )  # fmt: skip


def _ceiling(cell: Cell) -> list[Result]:
    """What this backend reaches at best; nothing where it does not start so."""
    try:
        adapter: Adapter = started(cell.backend, cell.device, cell.dtype, cell.threads)[0]
    except UnavailableError:
        return []
    flops, bandwidth = ceilings.measure(adapter, cell.mode, cell.device, cell.dtype)
    found = Ceiling(
        backend=cell.backend, mode=cell.mode, dtype=cell.dtype, device=cell.device, threads=cell.threads, flops=flops,
        bandwidth=bandwidth,
    )  # fmt: skip
    return [found]
