"""False alarms: the specifications themselves, judged on NumPy in every mode and dtype. None of it may fail."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from crossnn import registry
from crossnn.catalogue.rows import Row
from crossnn.parity.check import check
from crossnn.runs.cell import Cell, Record
from crossnn.runs.findings import Mutants

DTYPES = ("float64", "float32")
NOT_JUDGED = ("KINK", "NOT-RUN", "ILL-CONDITIONED")
"""Verdicts of what was not compared, or is no evidence."""


def alarms(cell: Cell, row: Row, began: float) -> list[Mutants | Record]:
    """How many quantities of a row were judged with this seed, and how many failed, with the records of those."""
    modes: Sequence[str] = registry.find(cell.backend).modes
    records = [
        record
        for dtype in DTYPES
        for mode in modes
        for record in check(msgspec.structs.replace(cell, task="check", mode=mode, dtype=dtype))
    ]
    failed = [record for record in records if record.failed]
    judged = sum(record.verdict not in NOT_JUDGED for record in records)
    found = Mutants(
        spec=row.name, kind=row.kind, spec_sha=row.sha, made=0, killed=0, equivalent=0, judged=judged,
        alarms=len(failed), seconds=round(time.perf_counter() - began, 3),
    )  # fmt: skip
    return [found, *failed]
