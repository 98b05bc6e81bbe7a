"""Cells and records: the plain data that crosses process boundaries and lands in `results.jsonl`.

A cell describes one piece of work completely; `execute.run_cell(cell)` is a pure function of it. Records are what
came out. Both are frozen structures that serialise to JSON, so nothing else needs to know where a cell ran.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec

Verdict = Literal[
    "EQUAL", "ROUNDING", "KNOWN", "KINK", "ILL-CONDITIONED", "ACCURACY", "FORMULA", "ERROR", "NOT-RUN"
]  # fmt: skip

Implementation = Literal["formula", "native", "hand-written"]
"""Our formula, run by the framework; the framework's own; or a user's code, which is timed beside them."""

ORACLE = "oracle"
"""The backend name of what needs no framework: proofs about a specification, and the reference of a training."""

FAILURES: frozenset[str] = frozenset({"ACCURACY", "FORMULA", "ERROR"})
"""Verdicts that make a run end with exit code 1."""


class Timed(msgspec.Struct, frozen=True, kw_only=True):
    """What of a specification is timed: a phase at a batch size. Round 0 prepares and judges it, every later round is a
    visit that takes times. `shape` is that of one sample, `settings` are of the row, `beside` is the file of
    hand-written code and `way` a part of the name of one of its ways; each where it is not the default. `again`: the
    same once more, in a process of its own."""

    phase: str
    batch: int
    round: int = 0
    shape: tuple[int, ...] = ()
    settings: tuple[tuple[str, float | bool | str], ...] = ()
    beside: str = ""
    way: str = ""
    again: bool = False


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work for one backend; `left_out` is the reason why it is planned and not done."""

    task: Literal["check", "train", "time", "question", "atlas", "power", "convention"]
    spec: str
    backend: str
    implementation: Implementation = "formula"
    mode: str = ""
    dtype: str = "float64"
    device: str = "cpu"
    seed: int = 0
    threads: int = 1
    files: tuple[str, ...] = ()
    left_out: str = ""
    timed: Timed | None = None

    @property
    def key(self) -> str:
        """Identifies the cell in a journal, so that a finished one is never run twice."""
        return msgspec.json.encode(self, order="deterministic").decode()

    @property
    def label(self) -> str:
        phase = f" {self.timed.phase}" if self.timed else ""
        return f"{self.task} {self.spec}{phase} {self.backend}-{self.mode} {self.implementation} {self.dtype}"


class Worst(msgspec.Struct, frozen=True):
    """The element that departs most. Infinities and NaN travel as text."""

    index: tuple[int, ...]
    expected: str
    actual: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One judged quantity of one cell.

    r is the largest error in units of (unit roundoff x noise scale), digits the decimal digits in which the worst
    element agrees, seconds the time of the whole cell. `r` and `digits` are None where nothing was compared.
    """

    record: Literal["check"] = "check"
    spec: str
    kind: str
    backend: str
    implementation: str
    mode: str
    dtype: str
    device: str
    quantity: str
    verdict: Verdict
    r: float | None = None
    digits: float | None = None
    worst: Worst | None = None
    known: str | None = None
    seconds: float = 0.0
    seed: int = 0
    spec_sha: str = ""
    case: str = ""
    call: str = ""
    message: str = ""

    @property
    def failed(self) -> bool:
        return self.verdict in FAILURES


Numbers = tuple[float | None, ...]


class Plane(msgspec.Struct, frozen=True, kw_only=True):
    """A square of the plane over which a network of two inputs is asked for its answers: `side` points each way around
    (x, y), `half` to either side. The answer is yes above `level`; samples are x, y, and 1 where yes is right."""

    x: float
    y: float
    half: float
    side: int
    level: float
    samples: tuple[tuple[float, float, int], ...] = ()


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a report says of a trained row: its kind, how many parameters it trains, what its ending is called, what a
    lecture printed, its source, and its place in a family. For its pictures: the row of a study of two parameters, the
    plane of a network of two inputs."""

    kind: str = "experiment"
    parameters: int = 0
    ending: str = ""
    printed: dict[str, float] = {}
    source: str = ""
    family: str = ""
    varied: dict[str, str | float] = {}
    study: dict[str, Any] = {}
    plane: Plane | None = None


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment or study trained by one backend in one mode: the curves and what they cost. A number that is not
    finite is null.

    `ending` is what the training arrived at where that is known (the answers of a linear network, the path of a study).
    The backend `oracle` is the reference: NumPy's float64 curves and the exact ending, each with the scale of
    legitimate rounding; everything else is judged against it. It carries what the report says about the row.
    `surface` is what a network of two inputs answers over a square of the plane, row by row from below."""

    record: Literal["training"] = "training"
    spec: str
    backend: str
    mode: str
    dtype: str
    device: str
    seed: int
    spec_sha: str
    loss: Numbers
    held_out_loss: Numbers
    metrics: dict[str, Numbers]
    ending: Numbers = ()
    surface: Numbers = ()
    noise: Numbers = ()
    held_out_noise: Numbers = ()
    ending_noise: Numbers = ()
    about: About | None = None
    first_step_seconds: float
    step_seconds: float
    seconds: float
    steps: int
    curve_r: float | None = None
    facts: dict[str, Any] = {}


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One case of a question: what was varied, the numbers measured there by repetition, and in how many of these the
    claim holds."""

    at: dict[str, float | str]
    numbers: dict[str, Numbers]
    holds: int
    of: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one backend measured for a question. `verdict` and `when` follow from `points` by `rule` (all comparisons
    true, in `most` of the repetitions), which stand here so that a reader can follow."""

    record: Literal["answer"] = "answer"
    spec: str
    spec_sha: str
    backend: str
    says: str
    means: str = ""
    source: str
    rule: tuple[str, ...]
    by: tuple[str, ...]
    most: float
    exact: bool
    verdict: Literal["holds", "holds when", "does not hold here"]
    when: str
    points: tuple[Point, ...]
    seconds: float
    facts: dict[str, Any] = {}


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The line that closes a cell in the journal: after it, --resume skips the cell."""

    record: Literal["cell"] = "cell"
    cell: Cell
    status: Literal["ok", "crashed", "timeout", "not-run"]
    message: str = ""
    seconds: float = 0.0


def finite(value: float) -> float | None:
    """JSON has no infinity: an unbounded r is written as 1e308, NaN as null."""
    if math.isnan(value):
        return None
    return min(max(value, -1e308), 1e308)
