"""The verdict on an opened schedule: at its joints and between, with the tolerances of `crossnn check`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.catalogue.build import record_row, settings
from crossnn.catalogue.rows import Formulated
from crossnn.formula.graph import GRAPH, Graph
from crossnn.identify.registered import explained
from crossnn.identify.result import Parting, Quantity
from crossnn.identify.schedule_curve import FLAT, Curve
from crossnn.identify.schedules import ROUNDING, Fit
from crossnn.parity.judge import judge, ratios
from crossnn.parity.rule import LIMIT
from crossnn.parity.subject import Subject, shapes_of

MOST = 400
"""So many counts are judged by the oracle."""


@dataclass
class Judged:
    """A fit beside the oracle."""

    adapter: Adapter
    opened: Opened
    fit: Fit
    curve: Curve

    differentiable = True

    @cached_property
    def hyper(self) -> dict[str, float]:
        return {**settings(self.fit.candidate.row, {})[0], **self.fit.values}

    @cached_property
    def case(self) -> str:
        """As `check` names its cases."""
        usual = settings(self.fit.candidate.row, {})[0]
        shown: dict[str, Any] = {**self.fit.candidate.knobs, **(self.hyper if self.hyper != usual else {})}
        return " ".join(f"{name}={value}" for name, value in shown.items()) or "default"

    @cached_property
    def places(self) -> np.ndarray:
        """Which of the counts are judged: all, or the first, the last and those around the lengths of the schedule."""
        t = self.curve.t
        if len(t) <= MOST:
            return np.arange(len(t))
        joints = [factor * value for value in self.hyper.values() if value >= 2 for factor in (1, 2, 3)]
        near = [place for place, count in enumerate(t) if any(abs(count - joint) <= 2 for joint in joints)][: MOST // 2]
        even = np.linspace(0, len(t) - 1, MOST // 2).astype(int)
        mine = np.broadcast_to(self.fit.candidate.value((t.astype(float),), self.hyper), t.shape)
        error, size = np.abs(mine - self.curve.rates), float(np.max(np.abs(self.curve.rates)))
        parted = [np.flatnonzero(error > limit)[:10] for limit in (FLAT * size, ROUNDING * size)]
        return np.array(sorted({*range(20), *near, *map(int, [*even, *parted[0], *parted[1]])}))

    @cached_property
    def subject(self) -> Subject:
        row = self.fit.candidate.row
        data = {"t": self.curve.t[self.places].astype(float)}

        def forward(text: str) -> Graph:
            def function(params: Any, data: Any) -> Any:
                rate = record_row(row, text, data, data["t"].tape, self.hyper, self.fit.candidate.knobs)
                return {"value": GRAPH["broadcast"](rate, shape=data["t"].shape)}

            return Graph.trace(function, shapes_of({}, data))

        assert isinstance(row, Formulated)
        definition = forward(row.definition) if row.definition else None
        chosen = {**self.hyper, **self.fit.candidate.knobs}
        return Subject(self.case, chosen, forward(row.formula), {}, data, definition=definition, elementwise=True)

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        one = judge(self.curve.rates[self.places], self.subject.references("float64")["value"], "float64")
        worst = Quantity("value", one.verdict, one.r, one.digits, one.worst, "", one.message)
        if worst.explained or not self._known_as:
            return (worst,)
        # How large a registered difference is depends on the lengths; that it is this one, on the same rates.
        small = replace(worst, r=min(one.r or 0.0, 1.0))
        (found,) = explained(self.adapter, self.fit.candidate.row, self.case, self._known_as, (small,), self.is_native)
        return (replace(found, r=one.r),)

    @cached_property
    def _known_as(self) -> str:
        """The call by which registered differences know it: that of the framework's implementation with the same
        rates, bit for bit."""
        row, chosen = self.fit.candidate.row, self.subject.settings
        try:
            every = [
                self.adapter.native(row.kind, row.name, chosen),
                *self.adapter.variants(row.kind, row.name, chosen),
            ]
        except Exception:  # settings that it does not foresee
            return ""
        for own in every:
            try:
                if own is not None and np.array_equal(own.function(self.curve.t), self.curve.rates, equal_nan=True):
                    return own.call
            except Exception:  # settings that it refuses
                continue
        return ""

    def is_native(self) -> bool:
        """Whether the framework has an implementation of this specification with the same rates."""
        return bool(self._known_as)

    @property
    def first(self) -> Parting | None:
        """The first count at which they differ by more than single precision explains; where they nowhere do, the first
        at which the rates are not the same but for rounding."""
        if self.quantities[0].explained:
            return None
        reference = self.subject.references("float64")["value"]
        actual = self.curve.rates[self.places]
        parted = np.flatnonzero(ratios(actual, reference, "float64", reference.noise) > LIMIT)
        far = np.flatnonzero(np.abs(actual - reference.exact.hi) > FLAT * np.max(np.abs(actual)))
        if not len(parted):
            return None
        parted = far if len(far) else parted
        place = int(parted[0])
        count = int(self.curve.t[self.places][place])
        return Parting(
            count, "learning rate", (), float(reference.exact.hi[place]), float(actual[place]), {"t": float(count)}
        )
