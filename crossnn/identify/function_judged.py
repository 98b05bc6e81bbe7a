"""The verdict on an opened activation, loss, regularizer, metric or constraint: as `crossnn check` judges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import msgspec
import numpy as np

from crossnn.adapter import Adapter, Native, Opened
from crossnn.catalogue.build import settings as settings_of
from crossnn.catalogue.rows import Loss, Metric, Reduction
from crossnn.formula.graph import map_tree
from crossnn.formula.oracle import Exact
from crossnn.identify.function_seen import Seen, given
from crossnn.identify.functions import MEAN, Fit
from crossnn.identify.own import is_own
from crossnn.identify.registered import explained, own_native
from crossnn.identify.result import Parting, Quantity
from crossnn.parity.compute import native_functions, subject_values
from crossnn.parity.functions import function_subjects
from crossnn.parity.judge import Reference, judge
from crossnn.parity.subject import Subject

NEAR = 6.0
"""Digits from which on a registered difference of the same formula is taken as the reason."""
LEFT_TO_THE_USER = ("none", "mean of each sample", "sum of each sample")


@dataclass
class Judged:
    """A fit at the numbers asked for, beside the oracle."""

    adapter: Adapter
    opened: Opened
    fit: Fit
    seen: Seen

    @cached_property
    def hyper(self) -> dict[str, float]:
        return {**settings_of(self.fit.candidate.row, {})[0], **self.fit.values(self.seen.settings)}

    @cached_property
    def case(self) -> str:
        """As `check` names its cases."""
        usual = settings_of(self.fit.candidate.row, {})[0]
        shown = {**self.fit.candidate.knobs, **(self.hyper if self.hyper != usual else {})}
        return " ".join(f"{name}={value}" for name, value in shown.items()) or "default"

    @cached_property
    def subject(self) -> Subject:
        """As `check` draws it, for the row with these settings as its own."""
        row = self.fit.candidate.row
        settled = msgspec.structs.replace(row, params=self.hyper, knobs=self._knobs)
        by = {"none": "mean", "mean of each sample": "mean", "sum of each sample": "batch_mean"}
        reduction = by.get(self.fit.reduction, self.fit.reduction)
        if not isinstance(row, Loss):
            return function_subjects(settled, 0)[0]
        if reduction == "mean":
            return function_subjects(msgspec.structs.replace(settled, reductions=[]), 0)[0]
        return function_subjects(msgspec.structs.replace(settled, reductions=[Reduction(by=reduction)]), 0)[-1]

    @cached_property
    def native(self) -> Native:
        """What was opened, in the terms of our subjects: a loss is the number of a batch."""
        if self.opened.kind == "regularizer":
            return Native(self.opened.native.call, self._of_parameter)
        if self.opened.kind == "metric":
            return Native(self.opened.native.call, self._of_metric)
        if self.opened.kind != "loss":
            return self.opened.native
        return Native(self.opened.native.call, self._of_batch)

    def _of_batch(self, *arguments: Any) -> Any:
        result = given(self.adapter, self.opened, arguments, self.fit.reading)
        return self.adapter.primitives["mean"](result) if self.fit.reduction in LEFT_TO_THE_USER else result

    def _of_metric(self, *arguments: Any) -> Any:
        result = given(self.adapter, self.opened, arguments, self.fit.reading)
        one = np.ndim(result) and (self.fit.reduction == MEAN or np.shape(result) == (1,))
        return self.adapter.primitives["mean"](result) if one else result

    def _of_parameter(self, w: Any) -> Any:
        return self.opened.native.function(w)

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """Every quantity with its verdict, at kinks none; a registered difference is recognised."""
        found = [*self._judged(self.subject), *(self._judged(self.one_class, "one class") if self.one_class else ())]
        row, call = self.fit.candidate.row, self.opened.native.call
        if is_own(call):  # which may be the framework's own
            own = own_native(self.adapter, row, self.subject.settings)
            if own is None:
                return tuple(found)
            call = own.call
        known = explained(self.adapter, row, self.case, call, tuple(found), self.is_native)
        if isinstance(row, Metric) and not self.fit.candidate.knobs and known == tuple(found):
            # a registered difference at the usual numbers is one at others too
            return explained(self.adapter, row, "default", call, known, self.is_native)
        return known

    def _judged(self, subject: Subject, case: str = "") -> Iterator[Quantity]:
        values, references = self._values(self.native, subject), subject.references("float64")
        for name in subject.quantities:
            if name in values:
                value, reference = _without_kinks(subject, name, values[name], references[name])
                one = judge(value, reference, "float64")
                shown = f"{name}, {case}" if case else name
                yield Quantity(shown, one.verdict, one.r, one.digits, one.worst, "", one.message)

    @cached_property
    def one_class(self) -> Subject | None:
        """Of a metric, the batch without variety."""
        row = self.fit.candidate.row
        if not isinstance(row, Metric):
            return None
        settled = msgspec.structs.replace(row, params=self.hyper, knobs=self._knobs)
        return next(one for one in function_subjects(settled, 0) if one.case.startswith("one class"))

    @property
    def _knobs(self) -> dict[str, Any]:
        return {name: [value] for name, value in self.fit.candidate.knobs.items()}

    def is_native(self) -> bool:
        """Whether it computes what the framework's own implementation computes, bit for bit; or nearly the formula."""
        if self.fit.digits >= NEAR and not is_own(self.opened.native.call):
            return True
        own = own_native(self.adapter, self.fit.candidate.row, self.subject.settings)
        if own is None:
            return False
        theirs = self._values(own)
        mine = self._values(self.native)
        return all(np.array_equal(mine[name], theirs[name], equal_nan=True) for name in mine)

    @cached_property
    def differentiable(self) -> bool:
        """Whether the backend differentiates it: NumPy knows nothing of what a user's function does."""
        if not is_own(self.opened.native.call):
            return True
        try:
            subject_values(self.adapter, self.adapter.modes[0], self.subject, self.native)
        except Exception:  # a user's function that takes arrays alone
            return False
        return True

    def _values(self, native: Native, subject: Subject | None = None) -> Mapping[str, np.ndarray]:
        subject = subject or self.subject
        if self.differentiable:
            return subject_values(self.adapter, self.adapter.modes[0], subject, native)
        forward, _ = native_functions(self.adapter, subject, native)
        params, data = (map_tree(self.adapter.tensor, one) for one in (subject.params, subject.data))
        return {name: np.array(self.adapter.array(value)) for name, value in forward(params, data).items()}

    @property
    def first(self) -> Parting | None:
        """The first quantity that departs, in the order in which a computation meets them."""
        for one in self.quantities:
            if not one.explained and one.worst is not None:
                place = one.worst.index
                return Parting(
                    0, one.name, place, float(one.worst.expected), float(one.worst.actual), self._inputs(place)
                )
        return None

    def _inputs(self, place: tuple[int, ...]) -> dict[str, float]:
        arrays = {**self.subject.params, **self.subject.data}
        named = {name: arrays[name] for name in self.subject.inputs if name in arrays}
        fits = {name: one for name, one in named.items() if one.ndim == len(place) > 0}
        return {name: float(one[place]) for name, one in fits.items() if np.all(np.array(place) < one.shape)}


def _without_kinks(
    subject: Subject, name: str, value: np.ndarray, reference: Reference
) -> tuple[np.ndarray, Reference]:
    """Elements at kinks, where the slope is a convention, become 0 on both sides."""
    places = [kink.index for kink in subject.kinks if kink.quantity == name]
    if not places or value.shape != reference.exact.hi.shape:
        return value, reference
    hi, lo, noise, actual = (np.array(one) for one in (reference.exact.hi, reference.exact.lo, reference.noise, value))
    for array in (hi, lo, noise, actual):
        array[tuple(np.array(places).T)] = 0
    return actual, replace(reference, exact=Exact(hi, lo), noise=noise, more_noise=None)
