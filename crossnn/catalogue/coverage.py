"""Which item of the lectures is covered by what: the table `coverage.toml`, joined with the ids that rows cite.

A row cites in its `source`: `lectures S1-05, S2-28 to S2-30`. The table says of every id what it is, and whether a row
must cite it; the names of the rows are never written down twice.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, get_args

from crossnn.catalogue.rows import Row
from crossnn.errors import SpecError, choices

How = Literal["specification", "claim", "none"]


@dataclass(frozen=True)
class Item:
    """One item of a lecture: its kind there, what it is, and how it is to be covered."""

    id: str
    kind: str
    what: str
    how: How


@cache
def items() -> Mapping[str, Item]:
    """Every item of the five lectures, by id, in their order."""
    lectures = tomllib.loads(resources.files("crossnn.specs").joinpath("coverage.toml").read_text("utf-8"))
    found = {}
    for lecture in lectures.values():
        for key, (kind, what, how) in lecture.items():
            if how not in get_args(How):
                raise SpecError(f"coverage.toml: {key}: {how!r}; allowed: {choices(get_args(How))}")
            found[key] = Item(key, kind, what, how)
    return found


def cited(source: str) -> list[str]:
    """The ids that a source names, those between the ends of `S1-14 to S1-16` included."""
    found = []
    for lecture, first, last in re.findall(r"\b(S\d)-(\d+)(?: to \1-(\d+))?", source):
        found += [f"{lecture}-{number:02d}" for number in range(int(first), int(last or first) + 1)]
    return found


def covering(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Id -> the names of the rows that cite it."""
    found: dict[str, list[str]] = {key: [] for key in items()}
    for row in rows:
        for key in dict.fromkeys(cited(row.source)):
            found.setdefault(key, []).append(row.name)
    return found
