"""The answer for an optimizer: the nearest candidates before the oracle, and the first that it lets pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crossnn.adapter import Adapter, Opened
from crossnn.identify import optimizers
from crossnn.identify.answer import agrees, answer_of, free_knobs
from crossnn.identify.optimizer_fit import Fit
from crossnn.identify.optimizer_judged import Judged
from crossnn.identify.optimizer_search import CLEAR
from crossnn.identify.optimizer_state import paired
from crossnn.identify.own import is_own
from crossnn.identify.registered import own_native
from crossnn.identify.result import Identified
from crossnn.identify.visible import small_enough

TRIED = 6
"""So many of the nearest are judged, where nothing matches, to see whether a registered difference is all."""


def identify_optimizer(adapter: Adapter, given: Opened) -> Identified:
    opened, note = small_enough(adapter, given)
    asked, visible, both, rest = optimizers.fits(adapter, opened)
    tried = [Judged(adapter, opened, fit, asked) for fit in [*both[:1], *_promising(rest)]]
    matched = next(filter(_explained, tried), None)
    judged = matched or Judged(adapter, opened, paired(tried[0].fit), asked)
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
    found = answer_of(
        judged, matched is not None, asked.settings, {"lr": fit.sources["lr"], **fit.sources}, equal, everywhere,
        slots={
            ours: slot.theirs if abs(slot.factor - 1) < 1e-3 else f"{slot.theirs}/{slot.factor:.6g}"
            for ours, slot in fit.slots.items()
        },
        unexplained=fit.unexplained,
        undetermined=(
            *free_knobs(fit, alike),
            *optimizers.hidden(fit, seen),
        ),
        notes=tuple(notes),
    )  # fmt: skip
    return replace(found, call=given.native.call, theirs=dict(given.settings))


def _explained(judged: Judged) -> bool:
    """Whether the oracle agrees; also where the search saw a difference that is not registered, if this is the
    framework's own implementation of the row, which `check` judges."""
    if agrees(judged):
        return True
    if not all(one.explained for one in judged.quantities):
        return False
    if is_own(judged.opened.native.call) or judged.fit.digits < CLEAR:
        return False
    return own_native(judged.adapter, judged.steps.row, judged.steps.settings) is not None and judged.is_native()


def _promising(rest: Sequence[Fit]) -> list[Fit]:
    """The nearest, and those that explain all of their state."""
    whole = [
        fit for fit in rest if fit.slots and not fit.unexplained and len(fit.slots) == len(fit.candidate.row.state)
    ]
    found = [*rest[:TRIED], *whole[:TRIED]]
    return [fit for place, fit in enumerate(found) if fit not in found[:place]]
