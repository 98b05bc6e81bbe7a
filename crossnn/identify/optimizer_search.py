"""The best assignment of hyper-parameters to every candidate: what names say, then what fits better."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from crossnn.identify.names import KNOWN, Source, all_choices, first_choices, named_choices, usual
from crossnn.identify.optimizer_agreement import best_of, products
from crossnn.identify.optimizer_candidates import Candidate, candidates
from crossnn.identify.optimizer_fit import Fit, Observed, likeliest
from crossnn.identify.optimizer_state import with_slots

AT_ONCE, REFINED, EXPLAINED, ROUNDS, BRUTE = 64, 10, 3, 3, 1000
"""So many assignments are tried of names alone; so many candidates are refined, and their state explained, in so many
rounds; so many assignments of numbers are tried without telling names."""
CLEAR, CLOSE, GAIN = 7.5, 4.0, 0.1
"""Digits from which on no other hyper-parameter is tried, and no number without a name; what a change must win."""


def search(seen: Observed) -> list[Fit]:
    """The best assignment of every candidate."""
    found = [fit for candidate in candidates() for fit in _first(candidate, seen)]
    if any(fit.same for fit in found):
        found = sorted((with_slots(fit, seen) if fit.same else fit for fit in found), key=likeliest)
        return [*(_explaining(fit, seen) for fit in found[:EXPLAINED]), *found[EXPLAINED:]]
    found = sorted((with_slots(fit, seen) for fit in found), key=likeliest)
    if found[0].digits < CLEAR:
        near = [fit for fit in found[:REFINED] if fit.nearness > found[0].nearness - CLOSE]
        found = sorted([*(_refined(fit, seen) for fit in near), *found[len(near) :]], key=likeliest)
    if max(fit.digits for fit in found) < CLOSE and not set(seen.settings) <= KNOWN:
        found = sorted((_by_force(fit, seen) for fit in found), key=likeliest)
    return [*(_explaining(fit, seen) for fit in found[:EXPLAINED]), *found[EXPLAINED:]]


def _choices(candidate: Candidate, seen: Observed) -> dict[str, list[Source]]:
    found = {name: first_choices(candidate.row, name, seen.settings) for name in candidate.needs}
    found["lr"] = [seen.rate] if seen.rate is not None else _rates(candidate, seen)
    return found


def _rates(candidate: Candidate, seen: Observed) -> list[Source]:
    """A learning rate that cannot be set is one of their numbers, 1, or -1 where steps are to be added."""
    return list(all_choices(candidate.row, "lr", seen.settings))


def _first(candidate: Candidate, seen: Observed) -> Iterable[Fit]:
    assigned = products(_choices(candidate, seen), AT_ONCE)
    best = best_of(candidate, assigned, seen, False)
    if best is not None:
        yield best
        if candidate.row.acts_on == "matrix" and best.digits > 5 * GAIN:
            other = best_of(candidate, assigned, seen, True)
            if other is not None:
                yield other


def _refined(fit: Fit, seen: Observed) -> Fit:
    """One hyper-parameter after the other through everything that is tried, as long as that helps."""
    first = fit
    for _ in range(ROUNDS):
        before = fit
        for name in (*fit.candidate.needs, "lr"):
            if name == "lr" and seen.rate is not None:
                continue
            each: Iterable[Source] = all_choices(fit.candidate.row, name, seen.settings)
            if not fit.candidate.at_once:  # one at a time: what has a name
                each = [*named_choices(name, seen.settings), *usual(fit.candidate.row, name)]
            tried = [{**fit.sources, name: source} for source in each]
            best = best_of(fit.candidate, tried, seen, fit.transposed) if tried else None
            if best is not None and (best.same, best.digits) > (fit.same, fit.digits + GAIN):
                best = with_slots(best, seen)
                fit = best if best.same or best.nearness > fit.nearness + GAIN else fit
        if fit is before or fit.same:
            break
    return fit if fit.same or fit.digits >= CLOSE or fit.digits > first.digits + 10 * GAIN else first


def _explaining(fit: Fit, seen: Observed) -> Fit:
    """Hyper-parameters that show in the state alone, such as the start of an average: what explains more of it."""
    for name in fit.candidate.needs if fit.unexplained and len(fit.slots) < len(fit.candidate.row.state) else ():
        for source in named_choices(name, seen.settings):
            other = best_of(fit.candidate, [{**fit.sources, name: source}], seen, fit.transposed)
            if other is None or other.digits < fit.digits - GAIN / 10 or other.same < fit.same:
                continue
            other = with_slots(other, seen)
            if len(other.unexplained) < len(fit.unexplained):
                fit = other
    return fit


def _by_force(fit: Fit, seen: Observed) -> Fit:
    """Every number of theirs for every hyper-parameter, where that is not too many."""
    if not fit.candidate.at_once:
        return fit
    needs = [*fit.candidate.needs, *([] if seen.rate is not None else ["lr"])]
    numbers = [name for name in seen.settings if seen.settings[name]]
    choices = {
        name: [*first_choices(fit.candidate.row, name, seen.settings),
               *(one for one in all_choices(fit.candidate.row, name, seen.settings)
                 if one.setting in numbers and not one.relation)]
        for name in needs
    }  # fmt: skip
    count = int(np.prod([len(one) for one in choices.values()])) if choices else 0
    if not 1 < count <= BRUTE:
        return fit
    assigned = [{**fit.sources, **one} for one in products(choices, BRUTE)]
    best = best_of(fit.candidate, assigned, seen, fit.transposed)
    if best is None or (best.same, best.digits) <= (fit.same, fit.digits + GAIN):
        return fit
    best = with_slots(best, seen)
    return best if best.same or best.nearness > fit.nearness + GAIN else fit
