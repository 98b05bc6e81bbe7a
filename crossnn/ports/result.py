"""What a comparison of ports found: every judged tensor, the first difference of each port, its likely cause."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from tabulate import tabulate

from crossnn.errors import CrossnnError
from crossnn.parity.rule import LIMIT
from crossnn.report.summary import UNBOUNDED, number
from crossnn.runs.cell import FAILURES

NO_CAUSE = "none of the known causes explains it"


@dataclass(frozen=True)
class Cause:
    """What was tried and explains the difference. `name` is one of the known causes, `says` what was done, after which
    both agree; a `pattern` was seen in the numbers where nothing could be tried."""

    name: str
    says: str
    pattern: bool = False


@dataclass(frozen=True)
class Compared:
    """One tensor of one port beside the reference: an output, or a gradient."""

    port: str
    backend: str
    quantity: str
    dtype: str
    seed: int
    verdict: str
    r: float | None = None
    digits: float | None = None
    index: tuple[int, ...] = ()
    expected: str = ""
    actual: str = ""
    message: str = ""

    @property
    def failed(self) -> bool:
        return self.verdict in FAILURES

    @property
    def element(self) -> str:
        return f"{self.quantity}[{', '.join(map(str, self.index))}]" if self.index else self.quantity


@dataclass(frozen=True)
class Failure:
    """A port that departs: the first tensor in which it does, those after it, and why, as far as that was found."""

    first: Compared
    others: tuple[str, ...] = ()
    cause: Cause | None = None
    tried: int = 0

    def short(self, reference: str) -> str:
        """In one line."""
        cause = f": {self.cause.name}" if self.cause is not None else ""
        return f"port {self.first.port!r} departs from {reference!r} at {self.first.element}{cause}"

    def lines(self, reference: str) -> Iterator[str]:
        one = self.first
        yield f"port {one.port!r} departs from {reference!r} at {one.element} ({one.dtype}, seed {one.seed})"
        if one.expected:
            yield f"  expected  {one.expected}"
            yield f"  actual    {one.actual}"
            bounded = one.r is not None and one.r < UNBOUNDED
            size = f"{one.r:.3g} times the unavoidable rounding" if bounded else "unbounded"
            agree = f", agrees in {one.digits:.1f} digits" if one.digits is not None else ""
            yield f"  r         {size} ({LIMIT:g} is the limit){agree}"
        if one.message:
            yield f"  {one.message}"
        if self.cause is not None:
            how = "seen in the numbers" if self.cause.pattern else "tried"
            yield f"  likely cause: {self.cause.name} ({how}): {self.cause.says}"
        elif self.tried:
            changes = "1 change was" if self.tried == 1 else f"{self.tried} changes were"
            yield f"  likely cause: {NO_CAUSE} ({changes} tried)"
        if self.others:
            yield f"  then also: {', '.join(self.others)}"


@dataclass(frozen=True, repr=False)
class PortReport:
    """What `compare_ports` found. `compared` has every tensor of every port; `failures` one entry for each port that
    departs."""

    reference: str
    truth: str
    compared: tuple[Compared, ...]
    failures: tuple[Failure, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<PortReport: {self.summary}>"

    @property
    def summary(self) -> str:
        ports = len({one.port for one in self.compared})
        wrong = len(self.failures)
        state = f"{wrong} of {ports} depart{'s' if wrong == 1 else ''}" if wrong else "all agree"
        several = "" if ports == 1 else "s"
        return f"{ports} port{several} beside {self.reference!r}: {state}; {len(self.compared)} tensors"

    def message(self) -> str:
        """The failures as `assert_parity` prints them."""
        lines = [self.summary, f"truth: {self.truth}"]
        for one in self.failures:
            lines += ["", *one.lines(self.reference)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    @property
    def _speaks(self) -> bool:
        return bool(self.failures or self.notes)

    def _rows(self) -> list[list[str]]:
        return [
            [one.port, one.quantity, one.dtype, str(one.seed), one.verdict, "" if one.r is None else number(one.r, 3),
             "" if one.digits is None else f"{one.digits:.1f}"]
            for one in self.compared
        ]  # fmt: skip

    def to_markdown(self) -> str:
        table = tabulate(self._rows(), headers=HEADERS, tablefmt="github", disable_numparse=True)
        parts = [self.summary, str(table)]
        return "\n\n".join([*parts, *(["```text\n" + self.message() + "\n```"] if self._speaks else [])]) + "\n"

    def to_json(self) -> str:
        return json.dumps({"summary": self.summary, **asdict(self)}, indent=1)

    def _repr_html_(self) -> str:
        table = tabulate(self._rows(), headers=HEADERS, tablefmt="html", disable_numparse=True)
        failed = f"<pre>{html.escape(self.message())}</pre>" if self._speaks else ""
        return f"<p>{html.escape(self.summary)}</p>{failed}\n{table}"


HEADERS = ("port", "tensor", "dtype", "seed", "verdict", "r", "digits")


class PortParityError(AssertionError, CrossnnError):
    """Ports that should compute the same do not; `report` has all of it."""

    exit_code = 1

    def __init__(self, report: PortReport) -> None:
        super().__init__(report.message())
        self.report = report
