"""From the one that is left to the answer: its settings, its verdicts, and what else is the same formula."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from crossnn.adapter import Opened
from crossnn.identify.names import Source
from crossnn.identify.result import Identified, Parting, Quantity, Same, Value, worst_of


class Tried(Protocol):
    """A fit beside the oracle, of whatever kind."""

    @property
    def opened(self) -> Opened: ...

    @property
    def fit(self) -> Any: ...

    @property
    def quantities(self) -> tuple[Quantity, ...]: ...

    @property
    def first(self) -> Parting | None: ...


def agrees(judged: Tried) -> bool:
    """Whether the oracle agrees apart from registered differences; where the search saw another one, one of these."""
    explained = all(one.explained for one in judged.quantities)
    return explained and (judged.fit.same or any(one.known for one in judged.quantities))


def answer_of(
    judged: Tried, matched: bool, theirs: Mapping[str, float], sources: Mapping[str, Source],
    equal: Iterable[Any], everywhere: Sequence[Any], *, undetermined: tuple[str, ...], notes: tuple[str, ...],
    slots: Mapping[str, str] | None = None, unexplained: tuple[str, ...] = (),
) -> Identified:  # fmt: skip
    candidate = judged.fit.candidate
    worst = worst_of(judged.quantities)
    return Identified(
        call=judged.opened.native.call,
        kind=judged.opened.kind,
        matched=matched,
        spec=candidate.row.name,
        settings={**candidate.knobs, **{name: source.value(theirs) for name, source in sources.items()}},
        verdict=worst.verdict,
        r=worst.r,
        digits=worst.digits,
        quantities=judged.quantities,
        origins={name: source.text for name, source in sources.items()},
        slots=slots or {},
        unexplained=unexplained,
        undetermined=undetermined if matched else (),
        known=tuple(dict.fromkeys(one.known for one in judged.quantities if one.known)),
        others=tuple(_others(judged, theirs, equal, everywhere)),
        first=None if matched else judged.first,
        notes=notes,
        theirs=dict(judged.opened.settings),
    )


def _others(judged: Tried, theirs: Mapping[str, float], equal: Iterable[Any], everywhere: Sequence[Any]) -> list[Same]:
    """Other specifications that are the same formula, each in its simplest convention, the simplest first."""
    found: dict[str, Same] = {}
    for fit in sorted(equal, key=lambda one: (one not in everywhere, one.candidate.simplicity)):
        row = fit.candidate.row
        if row is not judged.fit.candidate.row and row.name not in found:
            values = {name: source.value(theirs) for name, source in fit.sources.items()}
            settings: dict[str, Value] = {**fit.candidate.knobs, **values}
            found[row.name] = Same(row.name, settings, fit in everywhere)
    return list(found.values())


def free_knobs(fit: Any, equal: Iterable[Any]) -> list[str]:
    """Knobs that another candidate of the same row and the same hyper-parameters has otherwise."""
    mine = fit.candidate
    alike = [one.candidate for one in equal
             if one.candidate.row is mine.row and set(one.candidate.needs) == set(mine.needs)]  # fmt: skip
    return [name for name, value in mine.knobs.items() if any(one.knobs[name] != value for one in alike)]
