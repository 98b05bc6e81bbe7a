"""Records as they travel and rest: one line of JSON each, the `record` field saying which structure it is."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from crossnn.runs.cell import Answer, Cell, Done, Record, Training
from crossnn.runs.findings import Accuracy, Convention, Finding, Mutants
from crossnn.runs.timed import Ceiling, Prepared, Visit

Result = Record | Training | Answer | Finding | Ceiling | Prepared | Visit
RECORDS: Mapping[str, type[Result] | type[Done]] = {
    "check": Record,
    "training": Training,
    "answer": Answer,
    "accuracy": Accuracy,
    "mutants": Mutants,
    "convention": Convention,
    "ceiling": Ceiling,
    "prepared": Prepared,
    "visit": Visit,
    "cell": Done,
}
"""What the `record` field of a line says -> the structure of that line."""


class _Kind(msgspec.Struct):
    record: str


class _Answer(msgspec.Struct):
    records: list[msgspec.Raw]


def decode(line: bytes | msgspec.Raw) -> Result | Done:
    """One line of a journal."""
    kind = msgspec.json.decode(line, type=_Kind).record
    if kind not in RECORDS:
        raise msgspec.ValidationError(f"unknown record {kind!r}; known: {', '.join(RECORDS)}")
    found: Result | Done = msgspec.json.decode(line, type=RECORDS[kind])
    return found


def decode_answer(line: bytes, cell: Cell) -> list[Result]:
    """A worker's answer; one that cannot be read is an ERROR record."""
    try:
        results = [decode(raw) for raw in msgspec.json.decode(line, type=_Answer).records]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return [failure(cell, f"the worker's answer is not a list of records: {error}")]
    return [result for result in results if not isinstance(result, Done)]


def failure(cell: Cell, message: str, *, kind: str = "", verdict: str = "ERROR", seconds: float = 0.0) -> Record:
    """The record of a cell that came to no judgement."""
    return Record(
        spec=cell.spec,
        kind=kind or ("experiment" if cell.task == "train" else ""),
        backend=cell.backend,
        implementation=cell.implementation,
        mode=cell.mode,
        dtype=cell.dtype,
        device=cell.device,
        quantity="-",
        verdict="NOT-RUN" if verdict == "NOT-RUN" else "ERROR",
        seconds=seconds,
        seed=cell.seed,
        message=message,
    )
