"""What the records of an atlas say together: who is how inaccurate, where, and what is worst."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossnn.atlas.axis import place
from crossnn.atlas.ulp import FORMATS
from crossnn.runs.findings import Accuracy

GOOD = 4.0
"""Spacings: within so many, nothing is said."""
ORDINARY = 1000.0
"""Inputs of larger magnitude are rare in networks; what happens there is told, and not counted."""
HARMLESS = "flushed"
"""A choice of hardware and compilers, by which a subnormal number becomes 0."""

Key = tuple[str, str, str, str, str]
Who = tuple[str, str]


def key_of(record: Accuracy) -> Key:
    """The function, its convention, the target, the quantity, the dtype."""
    return record.spec, record.case, record.target, record.quantity, record.dtype


def accidents(record: Accuracy) -> list[tuple[str, float, float]]:
    """What happened besides errors that are numbers, that of ordinary inputs first."""
    found = [one for one in record.regions if one[0] != HARMLESS]
    return sorted(found, key=lambda one: (not _is_ordinary(one), one[1]))


def _is_ordinary(region: tuple[str, float, float]) -> bool:
    return region[1] <= ORDINARY and region[2] >= -ORDINARY


def worst_error(record: Accuracy) -> float:
    """The largest error in spacings; where something else happened at ordinary inputs, that all digits are lost."""
    lost = any(_is_ordinary(one) for one in accidents(record))
    return max(record.largest or 0.0, FORMATS[record.dtype].lost if lost else 0.0)


def half_lost(record: Accuracy) -> float:
    """The share of ordinary inputs, as the axis spreads them, at which half of the digits are lost or more."""
    if not record.curve:
        return 0.0
    count = len(record.curve)
    bad = np.array([one is not None and one >= FORMATS[record.dtype].half for one in record.curve])
    ends = place(np.array([-ORDINARY, ORDINARY]), record.axis, record.dtype)
    if record.axis in ("positive", "probability"):
        ends = np.array([0.0, 1.0 if record.axis == "probability" else ends[1]])
    low, high = int(ends[0] * count), math.ceil(ends[1] * count)
    return float(np.mean(bad[low:high]))


@dataclass(frozen=True)
class Row:
    """One quantity of one function in one dtype: the worst record of every backend and implementation."""

    key: Key
    worst: Mapping[Who, Accuracy]
    several: Mapping[Who, bool]
    """Whether modes or calls of it differ visibly."""

    @property
    def error(self) -> float:
        return max(map(worst_error, self.worst.values()))

    @property
    def share(self) -> float:
        return max(map(half_lost, self.worst.values()))

    @property
    def fine(self) -> bool:
        return self.error <= GOOD and not any(map(accidents, self.worst.values()))


def digest(findings: Iterable[Accuracy]) -> list[Row]:
    """Everything that was measured, the worst first."""
    groups: dict[Key, dict[Who, list[Accuracy]]] = {}
    for record in findings:
        if record.curve:
            groups.setdefault(key_of(record), {}).setdefault((record.backend, record.implementation), []).append(record)
    rows = [
        Row(
            key,
            {who: max(records, key=lambda one: (half_lost(one), worst_error(one))) for who, records in whose.items()},
            {who: _differ(records) for who, records in whose.items()},
        )
        for key, whose in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row.share, -_digits_lost(row), row.key))


def _digits_lost(row: Row) -> float:
    """As a share of those that the dtype has."""
    return math.log2(max(row.error, 0.5)) / FORMATS[row.key[4]].digits


def _differ(records: Sequence[Accuracy]) -> bool:
    found = [worst_error(one) for one in records]
    return max(found) > 2 * max(min(found), 0.5)
