"""What `identify` answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crossnn.runs.cell import Verdict, Worst

Value = float | bool | str


@dataclass(frozen=True)
class Quantity:
    """One judged tensor: a parameter, a slot, a value, a gradient. `known` names a registered difference."""

    name: str
    verdict: Verdict
    r: float | None
    digits: float | None
    worst: Worst | None = None
    known: str = ""
    message: str = ""

    @property
    def explained(self) -> bool:
        """Rounding, or a registered difference."""
        return self.verdict in ("EQUAL", "ROUNDING", "KNOWN", "ILL-CONDITIONED", "KINK")


@dataclass(frozen=True)
class Parting:
    """Where two computations part first: the step (0 where there are none), the quantity, the element, both numbers,
    and the element of the arguments there, where they have as many."""

    step: int
    quantity: str
    index: tuple[int, ...]
    expected: float
    actual: float
    inputs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Same:
    """Another specification that is the same formula: with all numbers, or only with those asked for."""

    spec: str
    settings: Mapping[str, Value]
    everywhere: bool


@dataclass(frozen=True)
class Identified:
    """The specification that a call is, with its settings (knobs and hyper-parameters), or the nearest one.

    matched: whether it is that one, apart from rounding and registered differences (`known`). origins: hyper-parameter
    -> the setting of theirs that it is, or a number. slots: our state -> theirs, with a factor where it is not 1.
    undetermined: settings that make no difference here. unexplained: slots of theirs that are none of ours.
    verdict, r, digits: of the worst quantity. first: where it parts from the nearest, where nothing matched.
    """

    call: str
    kind: str
    matched: bool
    spec: str
    settings: Mapping[str, Value]
    verdict: Verdict
    r: float | None
    digits: float | None
    quantities: tuple[Quantity, ...]
    origins: Mapping[str, str] = field(default_factory=dict)
    slots: Mapping[str, str] = field(default_factory=dict)
    unexplained: tuple[str, ...] = ()
    undetermined: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    others: tuple[Same, ...] = ()
    first: Parting | None = None
    notes: tuple[str, ...] = ()
    theirs: Mapping[str, Any] = field(default_factory=dict)


ORDER: tuple[Verdict, ...] = (
    "EQUAL", "KINK", "ROUNDING", "ILL-CONDITIONED", "KNOWN", "NOT-RUN", "ACCURACY", "FORMULA", "ERROR",
)  # fmt: skip
"""From the best verdict to the worst."""


def worst_of(quantities: tuple[Quantity, ...]) -> Quantity:
    """The quantity with the worst verdict, and of those the largest r."""
    return max(quantities, key=lambda one: (ORDER.index(one.verdict), one.r or 0.0))
