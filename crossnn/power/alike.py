"""Whether a mutant is another formula at all, decided by the oracle.

A mutant that no check found is computed in arbitrary precision beside its original: on the inputs of the checks, and
on fresh ones, with other hyper-parameters and other sizes. Where everything agrees to 25 digits, values, gradients,
updates and state, it is equivalent. Mutants that differ in rounding alone have the same exact value by construction:
those are asked for the very same bits in float64.

What is not equivalent survived, and it is said why: the inputs of the checks do not show it, or show less than rounding
may make.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from crossnn.adapter import Adapter
from crossnn.catalogue.build import knob_choices
from crossnn.catalogue.load import Catalogue
from crossnn.catalogue.rows import Formulated, Layer, Optimizer, Row
from crossnn.errors import CrossnnError
from crossnn.formula.fingerprint import fingerprint
from crossnn.formula.oracle import AGREEMENT, Exact, exact
from crossnn.parity.compute import optimizer_values, subject_values
from crossnn.parity.full import full
from crossnn.parity.inputs import all_bits, generator_for
from crossnn.parity.layers import checked_sizes, layer_subject
from crossnn.parity.optimizers import Steps
from crossnn.parity.paths import STEPS, Path
from crossnn.parity.subject import Subject
from crossnn.power.mutants import Mutant, drawn_params
from crossnn.power.posed import Judged, posed, subjects
from crossnn.power.reasons import UNSHOWN, beside_rounding
from crossnn.runs.cell import Record

FRESH = (101, 102)
"""Seeds of the fresh inputs."""
DIGITS = 1e-11
"""A thousandth of what float32 loses, and ten thousand times what float64 does."""
UNSEEN = 2.0**-53
"""A relative difference that correct rounding to float64 already makes."""

Judge = Callable[[Judged], list[Record]]
"""The verdicts on one subject."""


class Alike:
    """The original, ready to be compared with its mutants; what it computes is computed once."""

    def __init__(
        self, row: Row, catalogue: Catalogue, originals: Sequence[Judged], adapter: Adapter, judge: Judge
    ) -> None:
        self.row, self.catalogue, self.adapter, self.judge = row, catalogue, adapter, judge
        self._sets: dict[int, Sequence[Judged]] = {0: originals}
        self._truths: dict[tuple[int, int], dict[str, Exact]] = {}

    def verdict(self, mutant: Mutant) -> tuple[bool, str]:
        """(equivalent, why)."""
        if mutant.rounds:
            return self._bits(mutant)
        largest = 0.0
        for key, original, other in self._pairs(mutant):
            try:
                found, quantity = self._difference(key, original, other)
            except CrossnnError as error:
                return False, f"the oracle cannot decide: {error}"
            largest = max(largest, found)
            if found > UNSEEN:
                return False, f"differs by {found:.1e} in {quantity} ({self._unseen(key, original, other)})"
        if largest > 10.0**-AGREEMENT:
            return True, f"differs by {largest:.1e} at most, less than float64 can show"
        return True, "the same to 25 digits, on fresh inputs too"

    def _bits(self, mutant: Mutant) -> tuple[bool, str]:
        """Rounding to float32 is no mistake where it loses nothing: of what was a float32 number already, or of what
        cancels again, such as the maximum in a softmax. Inputs of all 53 bits tell, by the same verdicts."""
        why = "the same bits, of inputs of 53 bits too"
        for key, original, other in self._pairs(mutant):
            whole = with_all_bits(original)
            stands = posed(whole, other)
            if stands is None:
                continue
            one, two = (values_of(self.adapter, each) for each in (whole, stands))
            changed = [
                name for name in one.keys() & two.keys() if not np.array_equal(one[name], two[name], equal_nan=True)
            ]
            if not changed:
                continue
            why = "other bits, but no more than rounding makes, of inputs of 53 bits too"
            failed = [record.quantity for record in self.judge(stands) if record.failed]
            lost = failed or [name for name in changed if _lost(one[name], two[name])]
            if lost:
                return False, f"rounded in {lost[0]} ({self._unseen(key, whole, other)})"
        return True, why

    def _unseen(self, key: tuple[int, int], original: Judged, other: Judged) -> str:
        """The case that shows a survivor, and why the checks do not."""
        case = f"{original.case}, fresh inputs" if key[0] else original.case
        stands = posed(original, other)
        records = self.judge(stands) if stands is not None else []
        if any(record.failed for record in records) and not any(record.failed for record in self.judge(original)):
            return f"{case}: {UNSHOWN}"
        return f"{case}: {beside_rounding(records)}"

    def _pairs(self, mutant: Mutant) -> Iterator[tuple[tuple[int, int], Judged, Judged]]:
        """The subjects of both that differ, and what they are called: those of the checks, then fresh ones."""
        for seed in (0, *FRESH):
            for place, (original, other) in enumerate(self._subjects(mutant.row, seed)):
                if other is not None and not _same_graph(original, other):
                    yield (seed, place), original, other

    def _subjects(self, changed: Row, seed: int) -> list[tuple[Judged, Judged | None]]:
        if seed not in self._sets:
            self._sets[seed] = [one for one in self._fresh(self.row, seed) if one is not None]
        others = subjects(changed, self.catalogue, 0, like=self.row) if seed == 0 else self._fresh(changed, seed)
        return list(zip(self._sets[seed], others, strict=False))

    def _fresh(self, row: Row, seed: int) -> Sequence[Judged | None]:
        """The subjects of a row with fresh inputs, other hyper-parameters and sizes; None where they fit no case."""
        if isinstance(row, Layer):
            return _other_sizes(row, seed)
        like = self.row
        if isinstance(row, Formulated | Optimizer) and isinstance(self.row, Formulated | Optimizer):
            params = drawn_params(self.row, generator_for("fresh", self.row.name, seed))
            row, like = (msgspec.structs.replace(one, params=params) for one in (row, self.row))
        try:
            return subjects(row, self.catalogue, seed, like=like)
        except CrossnnError:  # these settings make no sense in this row
            return []

    def _difference(self, key: tuple[int, int], original: Judged, other: Judged) -> tuple[float, str]:
        """The largest relative difference of the exact values, and where it is."""
        if key not in self._truths:
            self._truths[key] = _truth(original, original)
        before, after = self._truths[key], _truth(original, other)
        found = {name: _apart(before[name], after[name], name, original) for name in before if name in after}
        found |= {
            name: 1.0
            for name in before
            if name.startswith("gradient/") and name not in after and np.any(before[name].hi != 0)
        }
        worst = max(found, key=lambda name: found[name], default="")
        return (found[worst], worst) if worst else (0.0, "")


def values_of(adapter: Adapter, one: Judged) -> dict[str, np.ndarray]:
    """Every quantity as the backend computes it."""
    mode = adapter.modes[0]
    return optimizer_values(adapter, mode, one) if isinstance(one, Steps) else subject_values(adapter, mode, one, None)


def with_all_bits(one: Judged) -> Judged:
    """The same with numbers of 53 bits, where it has others."""
    if isinstance(one, Steps):
        return replace(one, w=all_bits(one.w), gradients=all_bits(one.gradients))
    return full(one)


def _lost(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether more than rounding in float64 parts the largest numbers of two tensors."""
    with np.errstate(all="ignore"):
        apart, size = np.abs(one - two), np.abs(one)
        finite = np.isfinite(apart) & np.isfinite(size)
    return bool(np.max(apart, initial=0.0, where=finite) > DIGITS * np.max(size, initial=0.0, where=finite))


def _same_graph(original: Judged, other: Judged) -> bool:
    if isinstance(original, Steps) and isinstance(other, Steps):
        return fingerprint(original.path.stated) == fingerprint(other.path.stated)
    assert isinstance(original, Subject)
    assert isinstance(other, Subject)
    graphs = ((original.forward, other.forward), (original.scalar, other.scalar))
    return all(one is None or two is None or fingerprint(one) == fingerprint(two) for one, two in graphs)


def _truth(original: Judged, other: Judged) -> dict[str, Exact]:
    """The exact values of `other` on the inputs of `original`."""
    if isinstance(original, Steps):
        assert isinstance(other, Steps)
        path = Path(other.row, original.hyper, original.knobs, original.shape)
        found = {}
        whole = exact(path.truth, original.unrolled_arguments)
        for number, value in enumerate(whole):
            found[f"run {number}"] = value
        for k in range(STEPS):
            for number, value in enumerate(exact(path.stated, original.arguments(k))):
                found[f"step {k} result {number}"] = value
        return found
    assert isinstance(original, Subject)
    assert isinstance(other, Subject)
    params = {name: original.params[name] for name in other.params}
    data = {name: original.data[name] for name in other.data}
    plain = replace(other, params=params, data=data, definition=None, scalar_definition=None, step=None)
    return plain.truth


def _apart(before: Exact, after: Exact, name: str, original: Judged) -> float:
    """The largest relative difference; kinks are left out."""
    if before.hi.shape != after.hi.shape:
        return 1.0
    with np.errstate(all="ignore"):
        error = np.abs((before.hi - after.hi) + (before.lo - after.lo))
        relative = np.where(error == 0, 0.0, error / np.maximum(np.abs(before.hi), np.abs(after.hi)))
    same = (before.hi == after.hi) | (np.isnan(before.hi) & np.isnan(after.hi))
    relative = np.where(same & ~np.isfinite(before.hi), 0.0, np.where(np.isnan(relative), 1.0, relative))
    if isinstance(original, Subject):
        for kink in original.kinks:
            if kink.quantity == name:
                relative[kink.index] = 0.0
    return float(np.max(relative, initial=0.0))


def _other_sizes(row: Layer, seed: int) -> list[Judged | None]:
    """Every case of a layer, in training and in inference, with inputs of other lengths where nothing else decides."""
    lengths: dict[str, int | list[int]] = {"batch": 3, "length": 5, "height": 7, "width": 6, "keys": 4}
    found: list[Judged | None] = []
    every: list[dict[str, Any]] = [*(dict(one) for one in knob_choices(row)), *(dict(one) for one in row.cases)]
    for given in every:
        for training in [True, False] if row.inference else [True]:
            try:
                found.append(layer_subject(row, given, {**checked_sizes(row), **given}, seed, training, lengths))
            except CrossnnError:  # these sizes do not fit together in this case
                found.append(None)
    return found
