"""Records as they travel and rest: one line of JSON each, the `record` field saying which structure it is."""

from __future__ import annotations

import msgspec

from crossnn.runs.cell import Cell, Done, Record, Training

Result = Record | Training


class _Kind(msgspec.Struct):
    record: str


class _Answer(msgspec.Struct):
    records: list[msgspec.Raw]


def decode(line: bytes | msgspec.Raw) -> Result | Done:
    """One line of a journal."""
    match msgspec.json.decode(line, type=_Kind).record:
        case "check":
            return msgspec.json.decode(line, type=Record)
        case "training":
            return msgspec.json.decode(line, type=Training)
        case "cell":
            return msgspec.json.decode(line, type=Done)
        case other:
            raise msgspec.ValidationError(f"unknown record {other!r}; known: check, training, cell")


def decode_answer(line: bytes, cell: Cell) -> list[Result]:
    """A worker's answer; one that cannot be read is an ERROR record."""
    try:
        results = [decode(raw) for raw in msgspec.json.decode(line, type=_Answer).records]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
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
