"""Which specification a call is: `identify(adapter, opened)`, for the command and for tables of conventions.

The adapter is started in float64. What is opened is run on hostile inputs, compared with every candidate of its kind,
and the best is judged by the oracle, with the tolerances of `crossnn check`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from crossnn.adapter import Adapter, Opened
from crossnn.errors import BackendError, choices
from crossnn.identify import functions, optimizers
from crossnn.identify.function_judged import Judged as FunctionJudged
from crossnn.identify.judged import Judged
from crossnn.identify.names import Source, constant
from crossnn.identify.own import is_own
from crossnn.identify.registered import own_native
from crossnn.identify.result import Identified, Same, Value, worst_of
from crossnn.identify.visible import small_enough

TRIED = 6
"""So many of the nearest are judged, where nothing matches, to see whether a registered difference is all."""
NEAR = 3.0
"""Digits on average that a function must have to be judged where it is not the nearest."""
KINDS = ("optimizer", *functions.KINDS)


def identify(adapter: Adapter, opened: Opened) -> Identified:
    """The specification that this is, or none and the nearest one. Raises BackendError where it cannot be run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of inputs that a user would not choose
        if opened.kind == "optimizer":
            return _optimizer(adapter, opened)
        if opened.kind in functions.KINDS:
            return _function(adapter, opened)
    raise BackendError(f"{opened.native.call} is of kind {opened.kind!r}; identified are {choices(KINDS)}")


def _optimizer(adapter: Adapter, given: Opened) -> Identified:
    opened, note = small_enough(adapter, given)
    asked, visible, both, rest = optimizers.fits(adapter, opened)
    tried = [Judged(adapter, opened, fit, asked) for fit in [*both[:1], *_promising(rest)]]
    matched = next(filter(_explained, tried), None)
    judged = matched or Judged(adapter, opened, _paired(tried[0].fit), asked)
    fit = judged.fit
    equal, everywhere = [], [fit]
    if matched is not None and fit in both:
        equal, everywhere = [*both, *(one for one in rest if one.same)], both
    elif matched is not None:
        equal = [one for one in rest if one.digits == fit.digits and len(one.slots) >= len(fit.slots)]
    seen = [asked, *([visible] if visible is not None else [])]
    alike = [one for one in equal if len(one.slots) == len(fit.slots)]
    notes = [note] if note else []
    if matched is not None and not fit.same and not any(one.known for one in judged.quantities):
        notes.append(f"on inputs of other magnitudes the parameters agree to {fit.digits:.1f} digits on average")
    if fit.transposed:
        notes.append("matrices are transposed: what it calls rows are columns here")
    if not any(name in asked.ran.w for name in ("hostile", "scaled")):
        notes.append("it takes matrices alone")
    found = _answer(
        judged, matched is not None, asked.settings, {"lr": fit.sources["lr"], **fit.sources}, equal, everywhere,
        slots={
            ours: slot.theirs if abs(slot.factor - 1) < 1e-3 else f"{slot.theirs}/{slot.factor:.6g}"
            for ours, slot in fit.slots.items()
        },
        unexplained=fit.unexplained,
        undetermined=(
            *_free_knobs(fit, alike),
            *(name for name in fit.candidate.needs if not any(optimizers.shows(fit, one, name) for one in seen)),
        ),
        notes=tuple(notes),
    )  # fmt: skip
    return replace(found, call=given.native.call, theirs=dict(given.settings))


def _explained(judged: Judged | FunctionJudged) -> bool:
    """Whether the oracle agrees apart from registered differences; where the search saw another one, there must be one
    that is registered, or it is the framework's own implementation of this row, which `check` judges."""
    if not all(one.explained for one in judged.quantities):
        return False
    if judged.fit.same or any(one.known for one in judged.quantities):
        return True
    if not isinstance(judged, Judged) or is_own(judged.opened.native.call) or judged.fit.digits < optimizers.CLEAR:
        return False
    return own_native(judged.adapter, judged.steps.row, judged.steps.settings) is not None and judged.is_native()


def _paired(fit: optimizers.Fit) -> optimizers.Fit:
    """What is left of our state and of theirs, where that is one slot each: there they may part."""
    left = [slot for slot in fit.candidate.row.state if slot not in fit.slots]
    if len(left) != 1 or len(fit.unexplained) != 1:
        return fit
    (ours,), (theirs,) = left, fit.unexplained
    return replace(fit, slots={**fit.slots, ours: optimizers.Slot(theirs, 1.0)}, unexplained=())


def _promising(rest: Sequence[optimizers.Fit]) -> list[optimizers.Fit]:
    """The nearest, and those that explain all of their state."""
    whole = [
        fit for fit in rest if fit.slots and not fit.unexplained and len(fit.slots) == len(fit.candidate.row.state)
    ]
    found = [*rest[:TRIED], *whole[:TRIED]]
    return [fit for place, fit in enumerate(found) if fit not in found[:place]]


def _function(adapter: Adapter, opened: Opened) -> Identified:
    asked, visible, both, rest = functions.fits(adapter, opened)
    near = [rest[0], *(fit for fit in rest[1:TRIED] if fit.digits > NEAR)] if rest else []
    tried = [FunctionJudged(adapter, opened, fit, asked) for fit in [*both[:1], *near]]
    matched = next(filter(_explained, tried), None)
    judged = matched or tried[0]
    fit = judged.fit
    equal = [] if matched is None else [*both, *(one for one in rest if one.same)]
    seen = [asked, *([visible] if visible is not None else [])]
    notes = []
    if opened.kind == "loss":
        notes.append(
            {"none": "no reduction: the mean is left to the user"}.get(fit.reduction, f"reduction: {fit.reduction}")
        )
        if fit.reading != functions.READINGS[0]:
            notes.append(f"it is given {fit.reading}")
    if not judged.differentiable:
        notes.append("values alone: the backend cannot differentiate it; --backend torch, tensorflow or jax may")
    return _answer(
        judged, matched is not None, asked.settings, fit.sources, equal, both if fit in both else [fit],
        undetermined=(
            *_free_knobs(fit, both),
            *(name for name in fit.candidate.needs if not any(_shows(fit, one, name) for one in seen)),
        ),
        notes=tuple(notes),
    )  # fmt: skip


def _shows(fit: functions.Fit, seen: functions.Seen, name: str) -> bool:
    """Whether it shows when this hyper-parameter has another value."""
    value = fit.sources[name].value(seen.settings)
    other = replace(fit, sources={**fit.sources, name: constant(1.5 * value if value else 0.5)})
    return functions.scored(fit, seen).digits - functions.scored(other, seen).digits > 1e-3


def _free_knobs(fit: Any, equal: Iterable[Any]) -> list[str]:
    """Knobs that another candidate of the same row and the same hyper-parameters has otherwise."""
    mine = fit.candidate
    alike = [one.candidate for one in equal
             if one.candidate.row is mine.row and set(one.candidate.needs) == set(mine.needs)]  # fmt: skip
    return [name for name, value in mine.knobs.items() if any(one.knobs[name] != value for one in alike)]


def _answer(
    judged: Judged | FunctionJudged, matched: bool, theirs: Mapping[str, float], sources: Mapping[str, Source],
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


def _others(
    judged: Judged | FunctionJudged, theirs: Mapping[str, float], equal: Iterable[Any], everywhere: Sequence[Any]
) -> list[Same]:
    """Other specifications that are the same formula, each in its simplest convention, the simplest first."""
    found: dict[str, Same] = {}
    for fit in sorted(equal, key=lambda one: (one not in everywhere, one.candidate.simplicity)):
        row = fit.candidate.row
        if row is not judged.fit.candidate.row and row.name not in found:
            values = {name: source.value(theirs) for name, source in fit.sources.items()}
            settings: dict[str, Value] = {**fit.candidate.knobs, **values}
            found[row.name] = Same(row.name, settings, fit in everywhere)
    return list(found.values())
