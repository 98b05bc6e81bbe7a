"""What else two runs may differ in, beside verdicts and times: the sizes of errors, how accurate functions are, what
frameworks do by default. Upgrading a framework changes these first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from crossnn.parity.rule import LIMIT
from crossnn.report.summary import number
from crossnn.runs.cell import Record
from crossnn.runs.findings import Accuracy, Convention, Finding

GREW = 2.0
"""Factor from which on the size of an error has changed."""
FAR = 4.0
"""Errors up to so many units of float spacing are usual, however they change."""


@dataclass(frozen=True)
class Changed:
    """One thing that two runs say differently; `worse` where a user would suffer from it."""

    what: str
    before: str
    after: str
    worse: bool

    def __str__(self) -> str:
        return f"{self.what}: {self.before} -> {self.after}"


def sizes(old: Sequence[Record], new: Sequence[Record]) -> list[Changed]:
    """Quantities with the same verdict whose r has changed: registered differences that grew or shrank, and errors
    that come near the limit. What passes a limit has another verdict."""
    first, second = _by_quantity(old), _by_quantity(new)
    found = []
    for key in first.keys() & second.keys():
        before, after = first[key], second[key]
        if before.r is None or after.r is None or before.verdict != after.verdict:
            continue
        low, high = sorted((before.r, after.r))
        if high > GREW * low and high > LIMIT / GREW:
            text = f"{before.verdict} r = "
            found.append(Changed(" ".join(filter(None, key)), text + number(before.r), text + number(after.r), False))
    return sorted(found, key=lambda one: one.what)


def _by_quantity(records: Iterable[Record]) -> dict[tuple[str, ...], Record]:
    return {
        (
            one.spec, one.case, one.quantity, one.backend, one.implementation, one.call, one.mode, one.dtype,
            one.device, f"seed {one.seed}",
        ): one
        for one in records
    }  # fmt: skip


def findings(old: Sequence[Finding], new: Sequence[Finding]) -> list[Changed]:
    """Accuracies that changed by more than a factor of two where it matters, and answers about defaults that are other
    ones now."""
    return [*_accuracies(old, new), *_conventions(old, new)]


def _accuracies(old: Sequence[Finding], new: Sequence[Finding]) -> list[Changed]:
    def known(every: Sequence[Finding]) -> dict[tuple[str, ...], Accuracy]:
        return {
            (
                one.spec, one.case, one.target, one.quantity, one.backend, one.implementation, one.call, one.mode,
                one.dtype,
            ): one
            for one in every
            if isinstance(one, Accuracy)
        }  # fmt: skip

    first, second = known(old), known(new)
    found = []
    for key in first.keys() & second.keys():
        before, after = first[key], second[key]
        regions = ({name for name, *_ in before.regions}, {name for name, *_ in after.regions})
        if regions[0] != regions[1]:
            words = [", ".join(sorted(names)) or "none" for names in regions]
            text = " ".join(filter(None, key))
            found.append(Changed(f"what happens in {text}", words[0], words[1], bool(regions[1] - regions[0])))
        if before.largest is None or after.largest is None:
            continue
        low, high = sorted((before.largest, after.largest))
        if high > FAR and high > GREW * low:
            what = f"largest error of {' '.join(filter(None, key))}"
            worse = after.largest > before.largest
            found.append(Changed(what, f"{before.largest:.3g} ulp", f"{after.largest:.3g} ulp", worse))
    return sorted(found, key=lambda one: one.what)


def _conventions(old: Sequence[Finding], new: Sequence[Finding]) -> list[Changed]:
    def known(every: Sequence[Finding]) -> dict[tuple[str, str], str]:
        answers: dict[tuple[str, str], list[str]] = {}
        for one in every:
            if isinstance(one, Convention):
                answers.setdefault((one.concept, one.backend), []).append(one.answer or "no such thing")
        return {key: "; ".join(sorted(texts)) for key, texts in answers.items()}

    first, second = known(old), known(new)
    return [
        Changed(f"default of {key[1]}, {key[0]}", first[key], second[key], True)
        for key in first
        if key in second and first[key] != second[key]
    ]
