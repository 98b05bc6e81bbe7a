"""The answer for what is one function (an activation, a loss, a metric ...): the nearest before the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crossnn.adapter import Adapter, Opened
from crossnn.identify import functions
from crossnn.identify.answer import agrees, answer_of, free_knobs
from crossnn.identify.function_judged import Judged
from crossnn.identify.function_seen import READINGS, Seen, changes
from crossnn.identify.functions import MEAN
from crossnn.identify.names import constant
from crossnn.identify.own import is_own
from crossnn.identify.registered import bound_rows
from crossnn.identify.result import Identified, Quantity
from crossnn.identify.text import number

TRIED, NEAR = 6, 3.0
"""So many are judged where nothing matches, if they have so many digits on average or are the nearest."""
ALL = 12.0
"""Digits from which on nothing differs, when it is asked what is nearest."""


def identify_function(adapter: Adapter, opened: Opened) -> Identified:
    asked, visible, both, rest = functions.fits(adapter, opened)
    near = [rest[0], *(fit for fit in rest[1:TRIED] if fit.digits > NEAR)] if rest else []
    tried = [Judged(adapter, opened, fit, asked) for fit in [*both[:1], *near]]
    matched = next(filter(agrees, tried), None)
    judged = matched or _nearest(adapter, opened, tried, rest, asked)
    fit = judged.fit
    equal = [] if matched is None else [*both, *(one for one in rest if one.same)]
    seen = [asked, *([visible] if visible is not None else [])]
    notes = []
    if opened.kind == "loss":
        notes.append(
            {"none": "no reduction: the mean is left to the user"}.get(fit.reduction, f"reduction: {fit.reduction}")
        )
        if fit.reading != READINGS[0]:
            notes.append(f"it is given {fit.reading}")
    if opened.kind == "metric":
        if fit.reduction == MEAN:
            notes.append("it says something of each sample or class: the mean is left to the user")
        if fit.reading != READINGS[0]:
            notes.append(f"it is given {fit.reading}")
    if matched is None and changes(adapter, opened, asked):
        notes.append("it gives something else for the same arguments: it is random, or keeps a state")
    if opened.kind == "constraint":
        notes.append("seen on matrices, whose columns belong to one output each")
    if matched is None and fit.factor != 1:
        where = "everywhere" if fit.share == 1 else f"at {fit.share:.0%} of the numbers"
        notes.append(f"it is {number(fit.factor)} times the nearest {where}")
    if not judged.differentiable and opened.kind not in ("metric", "constraint"):
        more = "; the gradient of one written with torch, tensorflow or jax is judged too"
        notes.append(f"values alone: {adapter.name} does not differentiate it{more if adapter.name == 'numpy' else ''}")
    return answer_of(
        judged, matched is not None, asked.settings, fit.sources, equal, both if fit in both else [fit],
        undetermined=(
            *free_knobs(fit, both),
            *(name for name in fit.candidate.needs if not any(_shows(fit, one, name) for one in seen)),
        ),
        notes=tuple(notes),
    )  # fmt: skip


def _nearest(
    adapter: Adapter, opened: Opened, tried: Sequence[Judged], rest: Sequence[functions.Fit], asked: Seen
) -> Judged:
    """Of rows that this function of a framework computes in other settings, else of all that were judged: the one that
    agrees in most digits in the search; of those that agree in as many, over all quantities."""
    names = set() if is_own(opened.native.call) else bound_rows(adapter, opened.kind, opened.native.call)
    bound = [fit for fit in rest if fit.candidate.row.name in names]
    if bound:
        tried = [Judged(adapter, opened, fit, asked) for fit in bound[:TRIED]]

    def near(one: Judged) -> tuple[float, float]:
        digits = [min(each.digits or 0.0, ALL) for each in one.quantities if _inside(each)]
        return one.fit.nearness, sum(digits)

    return max(tried, key=near)


def _inside(quantity: Quantity) -> bool:
    """Whether it is none of those at the ends of a domain, where most formulas agree."""
    return not quantity.name.startswith(("at ", "slope at "))


def _shows(fit: functions.Fit, seen: Seen, name: str) -> bool:
    """Whether it shows when this hyper-parameter has another value."""
    value = fit.sources[name].value(seen.settings)
    other = replace(fit, sources={**fit.sources, name: constant(1.5 * value if value else 0.5)})
    return functions.scored(fit, seen).digits - functions.scored(other, seen).digits > 1e-3
