"""Why mutants survive, in the words that survivors carry, and what can be done about each reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from crossnn.parity.rule import LIMIT
from crossnn.runs.cell import Record
from crossnn.runs.findings import Mutants

UNSHOWN = "found there; the inputs of the checks do not show it"
BELOW = "that rounding may make"
BESIDE = "nothing that is judged differs there"
UNJUDGED = "not judged there, where rounding leaves fewer than three digits"
UNASKED = "the oracle was not asked"

OPEN = "open: no reason is known"
MEANING: Mapping[str, str] = {
    UNASKED: "they may be equivalent: the training is too long for the oracle",
    UNSHOWN: "the same verdicts find them with other inputs or settings; --seeds judges with more of them",
    BELOW: "they change less than different but right ways of computing do",
    BESIDE: "what they change is not judged: of a training the curves are, and its parameters are not",
    UNJUDGED: "where they show, the formula has no digits left, and nothing is judged",
}
"""Reason -> what it means; of several, the first is the one."""


def beside_rounding(records: Iterable[Record]) -> str:
    """What the verdicts say of a mutant that none of them finds."""
    found = list(records)
    if any(record.verdict == "ILL-CONDITIONED" for record in found):
        return UNJUDGED
    largest = max((record.r or 0.0 for record in found), default=0.0)
    return f"r = {largest:.2g} there, of {LIMIT:.0f} {BELOW}" if largest else BESIDE


def discussion(found: Iterable[Mutants]) -> list[tuple[str, int]]:
    """(what a reason means, how many survive for it), of those for which any does."""
    reasons = Counter(
        next((reason for reason in MEANING if reason in one.why), "") for each in found for one in each.survivors
    )
    return [(MEANING.get(reason, OPEN), reasons[reason]) for reason in (*MEANING, "") if reasons[reason]]
