"""Which optimizer of the catalogue takes the steps of an opened one: every convention, hyper-parameters found.

First with visible numbers, where every setting shows: there it is read off which setting is which hyper-parameter, and
through which relation. Then at the numbers asked for, which must confirm it. The oracle judges who is left (judged.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.formula.shapes import Shape
from crossnn.identify.agreement import agree
from crossnn.identify.calls import flat
from crossnn.identify.candidates import Candidate, candidates
from crossnn.identify.names import (
    KNOWN,
    Source,
    all_choices,
    by_name,
    constant,
    first_choices,
    named_choices,
    numeric,
    usual,
)
from crossnn.identify.probes import ARRAYS, Ran, optimizer_inputs, run_optimizer
from crossnn.identify.visible import made_visible
from crossnn.parity import inputs

Sources = Mapping[str, Source]
AT_ONCE, REFINED, EXPLAINED, ROUNDS, BRUTE = 64, 10, 3, 3, 1000
"""So many assignments are tried of names alone; so many candidates are refined, and their state explained, in so many
rounds; so many assignments of numbers are tried without telling names."""
CLEAR, CLOSE, GAIN = 7.5, 4.0, 0.1
"""Digits from which on no other hyper-parameter is tried, and no number without a name; what a change must win."""


@dataclass(frozen=True)
class Slot:
    """One of their slots that is one of ours, times a factor."""

    theirs: str
    factor: float


@dataclass(frozen=True)
class Fit:
    """A candidate with its hyper-parameters, and how far it goes: digits of the parameter on average, whether all of
    them pass for the same, slots found again, and theirs that are not."""

    candidate: Candidate
    sources: Sources
    digits: float
    same: bool
    transposed: bool = False
    slots: Mapping[str, Slot] = field(default_factory=dict)
    unexplained: tuple[str, ...] = ()

    @property
    def nearness(self) -> float:
        """Digits, and what it knows of their state; to sort by where nothing passes for the same."""
        known = len({one.theirs for one in self.slots.values()})
        return self.digits + 6 * (known + 1) / (known + 1 + len(self.unexplained))


class Observed:
    """One run of theirs, with what it was made with."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.settings = numeric(flat(opened.settings))
        rate = by_name("lr", self.settings)
        self.rate = rate[0] if rate and rate[0].value(self.settings) else None
        self.ran = run_optimizer(opened, None if self.rate is None else self.rate.value(self.settings))

    def values(self, sources: Sources) -> dict[str, float]:
        """Hyper-parameters by our names; a learning rate that is set, as the number that was set."""
        found = {name: source.value(self.settings) for name, source in sources.items()}
        return {**found, "lr": float(inputs.single([found["lr"]])[0])} if self.rate is not None else found


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
    found = _search(visible or asked)
    if visible is None:
        return asked, None, *_sorted(found)
    confirmed = [_confirmed(fit, asked) for fit in found]
    both = [one for one, seen in zip(confirmed, found, strict=True) if one.same and seen.same]
    if not both:  # visible numbers may be what it handles in another way
        alone = _search(asked)
        near = [replace(one, digits=(one.digits + seen.digits) / 2, same=False)
                for one, seen in zip(confirmed, found, strict=True)]  # fmt: skip
        if any(fit.same for fit in alone):
            return asked, None, *_sorted(alone)
        return asked, visible, [], sorted(near, key=_likeliest)
    rest = [one for one, seen in zip(confirmed, found, strict=True) if not (one.same and seen.same)]
    return asked, visible, sorted(both, key=_simplest), sorted(rest, key=_likeliest)


def _sorted(found: Sequence[Fit]) -> tuple[list[Fit], list[Fit]]:
    same = sorted((one for one in found if one.same), key=_simplest)
    return same, sorted((one for one in found if not one.same), key=_likeliest)


def _simplest(fit: Fit) -> tuple[Any, ...]:
    """Who explains more of their state comes first, and with fewer factors, then who is simpler."""
    factors = sum(abs(slot.factor) != 1 for slot in fit.slots.values())
    explained = (-len(fit.slots), factors) if fit.unexplained else (0, 0)
    return len(fit.unexplained), explained, fit.transposed, fit.candidate.simplicity


def _search(seen: Observed) -> list[Fit]:
    """The best assignment of every candidate."""
    found = [fit for candidate in candidates() for fit in _first(candidate, seen)]
    if any(fit.same for fit in found):
        found = sorted((_with_slots(fit, seen) if fit.same else fit for fit in found), key=_likeliest)
        return [*(_explaining(fit, seen) for fit in found[:EXPLAINED]), *found[EXPLAINED:]]
    found = sorted((_with_slots(fit, seen) for fit in found), key=_likeliest)
    if found[0].digits < CLEAR:
        near = [fit for fit in found[:REFINED] if fit.nearness > found[0].nearness - CLOSE]
        found = sorted([*(_refined(fit, seen) for fit in near), *found[len(near) :]], key=_likeliest)
    if max(fit.digits for fit in found) < CLOSE and not set(seen.settings) <= KNOWN:
        found = sorted((_by_force(fit, seen) for fit in found), key=_likeliest)
    return [*(_explaining(fit, seen) for fit in found[:EXPLAINED]), *found[EXPLAINED:]]


def _likeliest(fit: Fit) -> tuple[Any, ...]:
    return (not fit.same, _simplest(fit) if fit.same else (-round(fit.nearness, 1), _simplest(fit)))


def _choices(candidate: Candidate, seen: Observed) -> dict[str, list[Source]]:
    found = {name: first_choices(candidate.row, name, seen.settings) for name in candidate.needs}
    found["lr"] = [seen.rate] if seen.rate is not None else _rates(candidate, seen)
    return found


def _rates(candidate: Candidate, seen: Observed) -> list[Source]:
    """A learning rate that cannot be set is one of their numbers, 1, or -1 where steps are to be added."""
    return list(all_choices(candidate.row, "lr", seen.settings))


def _products(choices: Mapping[str, Sequence[Source]], most: int) -> list[dict[str, Source]]:
    each = itertools.islice(itertools.product(*choices.values()), most)
    return [dict(zip(choices, one, strict=True)) for one in each]


def _first(candidate: Candidate, seen: Observed) -> Iterable[Fit]:
    assigned = _products(_choices(candidate, seen), AT_ONCE)
    best = _best(candidate, assigned, seen, False)
    if best is not None:
        yield best
        if candidate.row.acts_on == "matrix" and best.digits > 5 * GAIN:
            other = _best(candidate, assigned, seen, True)
            if other is not None:
                yield other


def _best(candidate: Candidate, assigned: Sequence[Sources], seen: Observed, transposed: bool) -> Fit | None:
    """The best of these assignments; None where none of them has all numbers, or nothing could be compared."""
    values = [seen.values(one) for one in assigned]
    kept = [(one, value) for one, value in zip(assigned, values, strict=True) if np.isfinite([*value.values()]).all()]
    if not kept:
        return None
    digits, same, compared = _agreement(candidate, [value for _, value in kept], seen.ran, transposed)
    if not compared.any():
        return None
    place = int(np.lexsort((digits, same))[-1])
    return Fit(candidate, kept[place][0], float(digits[place]), bool(same[place]), transposed)


def _scored(fit: Fit, seen: Observed) -> Fit:
    """The same assignment at other numbers."""
    best = _best(fit.candidate, [fit.sources], seen, fit.transposed)
    return replace(fit, digits=0.0, same=False) if best is None else replace(fit, digits=best.digits, same=best.same)


def _confirmed(fit: Fit, asked: Observed) -> Fit:
    """The same assignment at the numbers asked for, where what had a number may be left to the framework. Factors
    between slots may depend on the numbers."""
    choices = {
        name: [source] if np.isfinite(source.value(asked.settings)) else usual(fit.candidate.row, name)
        for name, source in fit.sources.items()
    }
    best = _best(fit.candidate, _products(choices, AT_ONCE), asked, fit.transposed)
    if best is None:
        return replace(fit, digits=0.0, same=False)
    again = _with_slots(best, asked).slots if fit.slots and fit.digits > 1 else {}
    kept = {ours: again.get(ours, slot) for ours, slot in fit.slots.items()}
    return replace(best, slots=kept, unexplained=fit.unexplained)


def _parts(candidate: Candidate, ran: Ran) -> list[tuple[str, ...]]:
    """Which parameters are computed together: all, where no element meets another."""
    names = tuple(name for name in ran.w if candidate.row.acts_on != "matrix" or name not in ARRAYS)
    return [names] if candidate.at_once and names else [(name,) for name in names]


def _computed(
    candidate: Candidate, names: tuple[str, ...], values: Sequence[Mapping[str, float]], ran: Ran, transposed: bool
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """(the start, our numbers by slot) for parameters that are computed together."""
    given = optimizer_inputs()
    w, g = [given.w[name] for name in names], [given.gradients[name] for name in names]
    if candidate.at_once:
        start = np.concatenate([one.ravel() for one in w])
        steps = np.concatenate([one.reshape(len(one), -1) for one in g], axis=1)
        return start, candidate.run(start, steps, ran.rates, values)
    if not transposed:
        return w[0].ravel(), candidate.run(w[0], g[0], ran.rates, values)
    shape = w[0].T.shape
    found = candidate.run(w[0].T, np.swapaxes(g[0], 1, 2), ran.rates, values)
    return w[0].ravel(), {name: _turned(value, shape) for name, value in found.items()}


def _turned(value: np.ndarray, shape: Shape) -> np.ndarray:
    """Matrices that were computed transposed, as they are; what has fewer numbers is no matrix."""
    if value.shape[-1] != shape[0] * shape[1]:
        return value
    return np.swapaxes(value.reshape(*value.shape[:2], *shape), 2, 3).reshape(value.shape)


def _agreement(
    candidate: Candidate, values: Sequence[Mapping[str, float]], ran: Ran, transposed: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    digits, same = np.zeros(len(values)), np.ones(len(values), bool)
    compared = np.zeros(len(values), int)
    for names in _parts(candidate, ran):
        start, ours = _computed(candidate, names, values, ran, transposed)
        theirs = np.concatenate([ran.w[name] for name in names], axis=1)
        found = agree(theirs, ours["w"], start)
        digits += found.digits * found.compared
        compared += found.compared
        same &= found.same
    return digits / np.maximum(compared, 1), same & (compared > 0), compared


def _with_slots(fit: Fit, seen: Observed) -> Fit:
    """Which of their slots is which of ours, times one factor for all steps and numbers."""
    candidate, ran = fit.candidate, seen.ran
    values = [seen.values(fit.sources)]
    parts = [(names, _computed(candidate, names, values, ran, fit.transposed)[1]) for names in _parts(candidate, ran)]
    arrays = {slot for slot, kept in ran.slots.items() if any(one.shape[-1] > 1 for one in kept.values())}
    found: dict[str, Slot] = {}
    for ours in candidate.row.state:
        taken = {one.theirs for one in found.values()}
        for theirs, kept in ran.slots.items():
            factor = _factor(ours, kept, parts)
            if factor is not None and theirs not in taken:
                found[ours] = Slot(theirs, factor)
                break
    explained = {one.theirs for one in found.values()}
    return replace(fit, slots=found, unexplained=tuple(sorted(arrays - explained)))


def _factor(
    ours: str, kept: Mapping[str, np.ndarray], parts: Sequence[tuple[tuple[str, ...], Mapping[str, np.ndarray]]]
) -> float | None:
    """Theirs divided by ours, where that is one number everywhere."""
    left: list[np.ndarray] = []
    right: list[np.ndarray] = []
    sizes: list[np.ndarray] = []
    for names, computed in parts:
        if any(name not in kept for name in names):
            return None
        mine = computed[ours][:, 0]
        their = np.concatenate([kept[name] for name in names], axis=1)
        if mine.shape[1] == 1 and all(kept[name].shape[1] == 1 for name in names):
            their = kept[names[0]]
        if mine.shape != their.shape:
            if len(parts) > 1:  # optax calls the shorter side the rows
                continue
            return None
        left.append(their.ravel())
        right.append(mine.ravel())
        sizes.append(np.broadcast_to(np.abs(mine).max(axis=0), mine.shape).ravel())
    if not left:
        return None
    theirs, mine = np.concatenate(left), np.concatenate(right)
    if not np.isfinite(mine).all() or not mine.any():
        return None
    place = int(np.argmax(np.abs(mine)))
    factor = float(theirs[place] / mine[place])
    if not np.isfinite(factor) or factor == 0:
        return None
    nice = next((one for one in (1.0, -1.0) if abs(factor - one) < 1e-6), factor)
    with np.errstate(all="ignore"):
        error = np.abs(theirs - nice * mine) / np.maximum(np.abs(nice) * np.concatenate(sizes), 1e-300)
    return nice if bool(np.all((error < 1e-6) | (theirs == nice * mine))) else None


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
            best = _best(fit.candidate, tried, seen, fit.transposed) if tried else None
            if best is not None and (best.same, best.digits) > (fit.same, fit.digits + GAIN):
                best = _with_slots(best, seen)
                fit = best if best.same or best.nearness > fit.nearness + GAIN else fit
        if fit is before or fit.same:
            break
    return fit if fit.same or fit.digits >= CLOSE or fit.digits > first.digits + 10 * GAIN else first


def _explaining(fit: Fit, seen: Observed) -> Fit:
    """Hyper-parameters that show in the state alone, such as the start of an average: what explains more of it."""
    for name in fit.candidate.needs if fit.unexplained and len(fit.slots) < len(fit.candidate.row.state) else ():
        for source in named_choices(name, seen.settings):
            other = _best(fit.candidate, [{**fit.sources, name: source}], seen, fit.transposed)
            if other is None or other.digits < fit.digits - GAIN / 10 or other.same < fit.same:
                continue
            other = _with_slots(other, seen)
            if len(other.unexplained) < len(fit.unexplained):
                fit = other
    return fit


def _by_force(fit: Fit, seen: Observed) -> Fit:
    """Every number of theirs for every hyper-parameter, where that is not too many."""
    needs = [*fit.candidate.needs, *([] if seen.rate is not None else ["lr"])]
    numbers = [name for name in seen.settings if seen.settings[name]]
    choices = {
        name: [*first_choices(fit.candidate.row, name, seen.settings),
               *(one for one in all_choices(fit.candidate.row, name, seen.settings)
                 if one.setting in numbers and not one.relation)]
        for name in needs
    }  # fmt: skip
    count = int(np.prod([len(one) for one in choices.values()])) if choices else 0
    if not fit.candidate.at_once or not 1 < count <= BRUTE:
        return fit
    products = [{**fit.sources, **one} for one in _products(choices, BRUTE)]
    best = _best(fit.candidate, products, seen, fit.transposed)
    if best is None or (best.same, best.digits) <= (fit.same, fit.digits + GAIN):
        return fit
    best = _with_slots(best, seen)
    return best if best.same or best.nearness > fit.nearness + GAIN else fit


def shows(fit: Fit, seen: Observed, name: str) -> bool:
    """Whether it shows when this hyper-parameter has another value: in the parameter, or in the state."""
    value = seen.values(fit.sources)[name]
    other = replace(fit, sources={**fit.sources, name: constant(1.5 * value if value else 0.5)})
    before, after = _scored(fit, seen), _with_slots(_scored(other, seen), seen)
    return before.digits - after.digits > GAIN / 100 or set(after.slots) != set(_with_slots(before, seen).slots)
