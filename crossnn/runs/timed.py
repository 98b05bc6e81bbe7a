"""The records of a timing: what preparing a cell showed, every visit with all its samples, the ceilings of the machine.

Nothing derived is stored: medians, intervals, ratios and ranks are computed from these whenever they are read.
"""

from __future__ import annotations

import statistics
from typing import Any, Literal

import msgspec

from crossnn.runs.cell import Cell, Implementation, Verdict

CEILING = "ceiling"
"""The phase of the cell that measures what the machine reaches."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What was timed, and who did it. `again` is the same one once more in a process of its own: what these two differ
    by is what this machine cannot tell apart."""

    spec: str
    kind: str
    phase: str
    batch: int
    backend: str
    mode: str
    implementation: Implementation
    dtype: str
    device: str
    threads: int
    again: bool = False
    way: str = ""
    spec_sha: str = ""
    shape: tuple[int, ...] = ()
    settings: tuple[tuple[str, float | bool | str], ...] = ()

    @property
    def contest(self) -> tuple[Any, ...]:
        """Equal for all who did the same work."""
        size = (self.batch, self.shape, self.settings)
        return (self.spec, self.phase, *size, self.dtype, self.device, self.threads)

    @property
    def contender(self) -> str:
        """Who did it: `torch compiled`, `jax jit (native)`."""
        own: str = "again" if self.again else "" if self.implementation == "formula" else self.implementation
        own += f": {self.way}" if self.way else ""
        return f"{self.backend} {self.mode}{f' ({own})' if own else ''}"


class Prepared(Identity, frozen=True, kw_only=True):
    """A cell before it is timed: the verdict on its output, and what came before the steady state, in seconds.

    import_seconds  the framework's import, in this process
    build_seconds   making the function: recording, printing, wrapping; nothing is traced yet
    first_seconds   the first call, with everything that it traces and compiles; `stages` of it, where the framework
                    tells them apart
    flops           what the specification needs, by the cost interpreter
    least_bytes     its inputs and results, each moved once
    host_bytes      how far resident memory rose from before the function was made to its peak in the first calls:
                    parameters, inputs, workspace, and whoever compiles
    host_total      resident memory of the whole process at that peak
    device_bytes    peak memory on the device; none where the device has no counter
    cores           processor seconds a second, of all threads together: what was really used
    """

    record: Literal["prepared"] = "prepared"
    verdict: Verdict
    message: str = ""
    call: str = ""
    import_seconds: float = 0.0
    build_seconds: float = 0.0
    first_seconds: float = 0.0
    stages: dict[str, float] = {}
    flops: float = 0.0
    least_bytes: float = 0.0
    host_bytes: int | None = None
    host_total: int | None = None
    device_bytes: int | None = None
    cores: float | None = None
    facts: dict[str, Any] = {}


class Visit(Identity, frozen=True, kw_only=True):
    """One round's visit to one contender. `samples` are microseconds a call; each is the mean of `inner` calls, where
    one call is too short for the clock. Behind them what the guard saw: cores used by others, and how much slower than
    usual the fixed calibration work was; `noisy` where that stayed too much after all repetitions."""

    record: Literal["visit"] = "visit"
    round: int
    process: int
    samples: tuple[float, ...]
    inner: int = 1
    faults: float = 0.0
    system_us: float = 0.0
    switches: float = 0.0
    foreign: float = 0.0
    canary: float = 1.0
    discarded: int = 0
    noisy: bool = False

    @property
    def median(self) -> float:
        """Microseconds a call."""
        return statistics.median(self.samples)


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """What one backend reaches here at best: operations a second of a large matrix product, and bytes a second (read
    and written) of a scaled copy, by the bytes of its working set."""

    record: Literal["ceiling"] = "ceiling"
    backend: str
    mode: str
    dtype: str
    device: str
    threads: int
    flops: float
    bandwidth: dict[str, float]


def at_round(cell: Cell, number: int) -> Cell:
    """The same cell of a timing in another round; in round 0 it is prepared."""
    assert cell.timed is not None
    return msgspec.structs.replace(cell, timed=msgspec.structs.replace(cell.timed, round=number))


def identity(cell: Cell, kind: str = "", sha: str = "") -> dict[str, Any]:
    """The fields by which a record says what was timed."""
    assert cell.timed is not None
    return {
        "spec": cell.spec, "kind": kind, "phase": cell.timed.phase, "batch": cell.timed.batch,
        "backend": cell.backend, "mode": cell.mode, "implementation": cell.implementation, "dtype": cell.dtype,
        "device": cell.device, "threads": cell.threads, "again": cell.timed.again, "way": cell.timed.way,
        "spec_sha": sha, "shape": cell.timed.shape, "settings": cell.timed.settings,
    }  # fmt: skip
