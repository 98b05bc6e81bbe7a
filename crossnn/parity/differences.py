"""The registry of known divergences, and the rules that keep it honest.

`specs/differences.toml` lists what is known to differ: where (backend, implementation, specification, quantity,
dtype, mode, case), by how much (an interval of r), why, and a public reference or 'found here'. A difference inside
its interval is KNOWN; outside it fails; an entry whose scope was checked and no longer diverges fails too.

Most differences show in every draw. One that comes and goes with the numbers says in how many draws it must show at
least once (`draws`): a cell that does not show it looks at so many, itself among them, before the entry fails.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import cache
from importlib import metadata, resources
from typing import Annotated

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from crossnn.errors import SpecError
from crossnn.runs.cell import Cell, Record

Drawn = Callable[[int], Sequence[Record]]
"""The records of a cell with the numbers of another seed, before the registry is applied."""


class Difference(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One known divergence. Scopes are shell patterns; `r` is the interval in which its size must lie. `versions` says
    which versions of which package it concerns (`torch>=2.4,<3`); none: all. `draws` is 1 where it shows in every draw,
    and more where it shows in some only, but in so many draws at least once."""

    id: str
    backend: str
    spec: str
    quantity: str
    r: tuple[float, float]
    cause: str
    reference: str
    implementation: str = "native"
    dtype: str = "*"
    mode: str = "*"
    case: str = "*"
    call: str = "*"
    versions: str = ""
    draws: Annotated[int, msgspec.Meta(ge=1)] = 1

    def covers(self, cell: Cell) -> bool:
        """Whether the cell is one that this entry speaks of."""
        scope = (self.backend, self.spec, self.implementation, self.dtype, self.mode)
        own = (cell.backend, cell.spec, cell.implementation, cell.dtype, cell.mode)
        return all(map(fnmatchcase, own, scope)) and _installed(self.versions)

    def matches(self, record: Record) -> bool:
        """Whether a record of such a cell is the quantity, case and call that this entry speaks of."""
        own = (record.quantity, record.case, record.call)
        return all(map(fnmatchcase, own, (self.quantity, self.case, self.call)))


@cache
def _installed(versions: str) -> bool:
    """Whether the package that a requirement names is installed in one of its versions."""
    if not versions:
        return True
    requirement = Requirement(versions)
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


@cache
def differences() -> tuple[Difference, ...]:
    """All registered differences, in file order."""
    text = resources.files("crossnn.specs").joinpath("differences.toml").read_text("utf-8")
    try:
        table = tomllib.loads(text)
        found = tuple(msgspec.convert(table.get("difference", []), list[Difference]))
        for entry in found:
            Requirement(entry.versions or "any")
        return found
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, InvalidRequirement) as error:
        raise SpecError(f"differences.toml: {error}") from None


def apply_registry(
    cell: Cell,
    records: Sequence[Record],
    registry: Sequence[Difference] | None = None,
    drawn: Drawn | None = None,
) -> list[Record]:
    """Turn failures that are registered into KNOWN, and report entries that no longer hold. Without `drawn` nothing is
    said against those that show in some draws only."""
    entries = [entry for entry in (differences() if registry is None else registry) if entry.covers(cell)]
    explained = [_explain(record, entries) for record in records]
    further = cache(lambda seed: [_explain(record, entries) for record in drawn(seed)] if drawn else [])
    stale: list[Record] = []
    for entry in entries:
        shown = _shown(entry, explained)
        if shown is False and entry.draws > 1:
            seeds = range(cell.seed + 1, cell.seed + entry.draws)
            shown = drawn is None or any(_shown(entry, further(seed)) for seed in seeds)
        if shown is False:
            stale.append(_stale(next(filter(entry.matches, explained)), entry))
    return explained + stale


def _shown(entry: Difference, records: Sequence[Record]) -> bool | None:
    """Whether the difference shows, or fails in its place; None where nothing of it was checked."""
    matching = [record for record in records if entry.matches(record) and record.verdict != "NOT-RUN"]
    return any(record.known == entry.id or record.failed for record in matching) if matching else None


def _explain(record: Record, entries: Sequence[Difference]) -> Record:
    if record.verdict not in ("FORMULA", "ACCURACY") or record.r is None:
        return record
    for entry in entries:
        if entry.matches(record):
            low, high = entry.r
            if low <= record.r <= high:
                message = f"{entry.cause} [{entry.reference}]"
                return msgspec.structs.replace(record, verdict="KNOWN", known=entry.id, message=message)
            message = f"registered as {entry.id} with r from {low:g} to {high:g}, measured {record.r:.3g}"
            return msgspec.structs.replace(record, message=message)
    return record


def _stale(record: Record, entry: Difference) -> Record:
    looked = f" in {entry.draws} draws" if entry.draws > 1 else ""
    remedy = "remove it from differences.toml or narrow it"
    message = f"the registered difference {entry.id} no longer shows{looked}: {remedy}"
    return msgspec.structs.replace(
        record,
        verdict="ERROR",
        quantity=entry.quantity,
        known=entry.id,
        r=None,
        digits=None,
        worst=None,
        message=message,
    )
