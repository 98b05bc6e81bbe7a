"""Which optimizer of the catalogue takes the steps of an opened one: every convention, hyper-parameters found.

First with visible numbers, where every setting shows: there it is read off which setting is which hyper-parameter, and
through which relation. Then at the numbers asked for, which must confirm it. The oracle judges who is left
(optimizer_judged.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.identify.names import constant, usual
from crossnn.identify.optimizer_agreement import best_of, products, scored
from crossnn.identify.optimizer_fit import Fit, Observed, likeliest, simplest
from crossnn.identify.optimizer_search import AT_ONCE, GAIN, search
from crossnn.identify.optimizer_state import with_slots
from crossnn.identify.visible import made_visible


def fits(adapter: Adapter, opened: Opened) -> tuple[Observed, Observed | None, list[Fit], list[Fit]]:
    """(at the numbers asked for, at visible ones, those that fit both, those that fit the numbers asked for alone or
    come near), each list best first."""
    asked = Observed(opened)
    visible = None
    other = made_visible(adapter, opened)
    if other is not None:
        try:
            visible = Observed(other)
        except Exception:  # numbers that it refuses only when it runs
            visible = None
    found = search(visible or asked)
    if visible is None:
        return asked, None, *_sorted(found)
    confirmed = [_confirmed(fit, asked) for fit in found]
    both = [one for one, seen in zip(confirmed, found, strict=True) if one.same and seen.same]
    if not both:  # visible numbers may be what it handles in another way
        alone = search(asked)
        near = [replace(one, digits=(one.digits + seen.digits) / 2, same=False)
                for one, seen in zip(confirmed, found, strict=True)]  # fmt: skip
        if any(fit.same for fit in alone):
            return asked, None, *_sorted(alone)
        return asked, visible, [], sorted(near, key=likeliest)
    rest = [one for one, seen in zip(confirmed, found, strict=True) if not (one.same and seen.same)]
    return asked, visible, sorted(both, key=simplest), sorted(rest, key=likeliest)


def _sorted(found: Sequence[Fit]) -> tuple[list[Fit], list[Fit]]:
    same = sorted((one for one in found if one.same), key=simplest)
    return same, sorted((one for one in found if not one.same), key=likeliest)


def _confirmed(fit: Fit, asked: Observed) -> Fit:
    """The same assignment at the numbers asked for, where what had a number may be left to the framework. Factors
    between slots may depend on the numbers."""
    choices = {
        name: [source] if np.isfinite(source.value(asked.settings)) else usual(fit.candidate.row, name)
        for name, source in fit.sources.items()
    }
    best = best_of(fit.candidate, products(choices, AT_ONCE), asked, fit.transposed)
    if best is None:
        return replace(fit, digits=0.0, same=False)
    again = with_slots(best, asked).slots if fit.slots and fit.digits > 1 else {}
    kept = {ours: again.get(ours, slot) for ours, slot in fit.slots.items()}
    return replace(best, slots=kept, unexplained=fit.unexplained)


def hidden(fit: Fit, seen: Sequence[Observed]) -> list[str]:
    """Hyper-parameters that could have another value: neither the parameter nor the state would show it."""
    left = list(fit.candidate.needs)
    for one in seen:
        before = scored(fit, one)
        slots = set(with_slots(before, one).slots)
        values = one.values(fit.sources)
        for name in [*left]:
            other = constant(1.5 * values[name] if values[name] else 0.5)
            after = with_slots(scored(replace(fit, sources={**fit.sources, name: other}), one), one)
            if before.digits - after.digits > GAIN / 100 or set(after.slots) != slots:
                left.remove(name)
    return left
