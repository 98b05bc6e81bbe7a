"""Which clipping of the catalogue an opened one is: of small, large and zero gradients of two parameters at once.

The limit is a setting by its name, or what the largest gradients are left with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import msgspec
import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.catalogue.rows import Clipping
from crossnn.errors import BackendError, told
from crossnn.identify.agreement import SAME, agree
from crossnn.identify.answer import agrees, answer_of, free_knobs
from crossnn.identify.calls import flat
from crossnn.identify.function_candidates import Candidate, candidates
from crossnn.identify.names import Source, by_name, constant, numeric
from crossnn.identify.registered import explained
from crossnn.identify.result import Identified, Parting, Quantity
from crossnn.identify.schedule_numbers import short
from crossnn.parity import inputs
from crossnn.parity.judge import judge
from crossnn.parity.natives import native_values
from crossnn.parity.schedules import outer_subjects
from crossnn.parity.subject import Subject

Gradients = Mapping[str, np.ndarray]
NEAR = 3.0
SIZES = (-6.0, -3.0, -1.0, 0.0, 1.0, 2.0)
"""Decades around which the elements of the gradients lie."""


@cache
def sets() -> tuple[Gradients, ...]:
    """Gradients that are clipped together: small to large, of two parameters, and nothing."""
    generator = inputs.generator_for("identify", "clipping")
    found = [
        {
            "matrix": inputs.hostile(generator, (4, 3), size - 1, size),
            "vector": inputs.hostile(generator, (5,), size, size),
        }
        for size in SIZES
    ]
    ladder = generator.choice([-1.0, 1.0], 900) * np.geomspace(1e-3, 1e3, 900)  # a limit shows in steps of 1.5 %
    zeros = np.zeros((4, 3))
    return (*found, {"matrix": zeros, "vector": inputs.single(ladder)}, {"matrix": zeros, "vector": np.zeros(5)})


@dataclass(frozen=True)
class Fit:
    candidate: Candidate
    sources: Mapping[str, Source]
    digits: float
    same: bool
    values: Mapping[str, float]

    @property
    def key(self) -> tuple[object, ...]:
        own = sum(not one.setting for one in self.sources.values())
        return (not self.same, 0.0 if self.same else -round(self.digits, 1), self.candidate.simplicity, own)


@dataclass
class Judged:
    """A fit beside the oracle."""

    adapter: Adapter
    opened: Opened
    fit: Fit
    theirs: list[Gradients]

    @cached_property
    def subject(self) -> Subject:
        row = self.fit.candidate.row
        assert isinstance(row, Clipping)
        knobs: dict[str, Any] = {name: [value] for name, value in self.fit.candidate.knobs.items()}
        hyper = {**row.params, **self.fit.values}
        return outer_subjects(msgspec.structs.replace(row, params=hyper, knobs=knobs), 0)[0]

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        row, mode = self.fit.candidate.row, self.adapter.modes[0]
        _, values = native_values(self.adapter, mode, row, self.subject, self.opened.native, "float64", 0)
        references, found = self.subject.references("float64"), []
        for name in self.subject.quantities:
            one = judge(np.asarray(values[name]), references[name], "float64")
            found.append(Quantity(name, one.verdict, one.r, one.digits, one.worst, "", one.message))
        call = self.opened.native.call.partition("(")[0]
        chosen = {**self.fit.candidate.knobs, **self.fit.values}
        case = " ".join(f"{name}={value}" for name, value in chosen.items())
        return explained(self.adapter, row, case, call, tuple(found), lambda: ":" not in call)

    @property
    def first(self) -> Parting | None:
        for one in self.quantities:
            if not one.explained and one.worst is not None:
                g = float(self.subject.data[one.name][one.worst.index])
                return Parting(
                    0, one.name, one.worst.index, float(one.worst.expected), float(one.worst.actual), {"g": g}
                )
        return None if self.fit.same else self._in_between

    @property
    def _in_between(self) -> Parting | None:
        """The first element of the search that is another one, where what is judged shows no difference."""
        hyper = {**self.fit.candidate.row.params, **self.fit.values}
        for gradients, result in zip(sets(), self.theirs, strict=True):
            norm = np.sqrt(sum(np.sum(one**2) for one in gradients.values()))
            for name, g in gradients.items():
                ours = np.asarray(self.fit.candidate.value((g, np.asarray(norm)), hyper))
                for place in map(tuple, np.argwhere(~(np.abs(ours - result[name]) <= SAME * np.abs(ours)))):
                    index = tuple(int(one) for one in place)
                    return Parting(
                        0, name, index, float(ours[place]), float(result[name][place]), {"g": float(g[place])}
                    )
        return None


def identify_clipping(adapter: Adapter, opened: Opened) -> Identified:
    settings = numeric(flat(opened.settings))
    theirs = [_clipped(adapter, opened, gradients) for gradients in sets()]
    if all(np.array_equal(one[name], g) for one, own in zip(theirs, sets(), strict=True) for name, g in own.items()):
        largest = np.sqrt(sum(np.sum(g**2) for g in sets()[len(SIZES) - 1].values()))
        raise BackendError(
            f"{opened.native.call} leaves all gradients as they are, up to a norm of {largest:.0f}: with a smaller "
            "limit its formula shows"
        )
    found = sorted(
        (_scored(candidate, source, settings, theirs)
         for candidate in candidates("clipping") for source in _limits(settings, theirs)),
        key=lambda fit: fit.key,
    )  # fmt: skip
    same = [fit for fit in found if fit.same]
    near = [fit for fit in found if not fit.same and fit.digits > NEAR][:4] or found[: 0 if same else 1]
    tried = [Judged(adapter, opened, fit, theirs) for fit in [*same[:2], *near]]
    matched = next(filter(agrees, tried), None)
    judged = matched or tried[0]
    equal: list[Fit] = [one for one in same if one.values == judged.fit.values] if matched is not None else []
    notes = ["gradients of two parameters at once, from 1e-7 to 1e2"]
    return answer_of(
        judged, matched is not None, settings, judged.fit.sources, equal, same,
        undetermined=tuple(free_knobs(judged.fit, equal)), notes=tuple(notes),
    )  # fmt: skip


def _clipped(adapter: Adapter, opened: Opened, gradients: Gradients) -> Gradients:
    try:
        result = opened.native.function({name: adapter.tensor(one) for name, one in gradients.items()})
        found = {name: np.asarray(adapter.array(result[name]), float) for name in gradients}
    except BackendError:
        raise
    except Exception as error:  # whatever a framework or a user throws
        raise BackendError(f"{opened.native.call} cannot clip gradients here: {told(error)}") from error
    for name, one in found.items():
        if one.shape != gradients[name].shape:
            raise BackendError(f"{opened.native.call} makes shape {one.shape} of a gradient of {gradients[name].shape}")
    return found


def _limits(settings: Mapping[str, float], theirs: list[Gradients]) -> Iterator[Source]:
    """By its name, else what is left of the largest gradients: of an element, of a parameter, of all."""
    yield from by_name("limit", settings)
    largest = theirs[len(SIZES) - 1]
    values = [float(np.max(np.abs(one))) for one in largest.values()]
    values += [float(np.linalg.norm(one)) for one in largest.values()]
    values.append(float(np.sqrt(sum(np.sum(one**2) for one in largest.values()))))
    for value in dict.fromkeys(values):
        if np.isfinite(value) and value > 0:
            yield constant(short(value))
            yield constant(value)


def _scored(candidate: Candidate, source: Source, settings: Mapping[str, float], theirs: list[Gradients]) -> Fit:
    values = {"limit": source.value(settings)}
    hyper = {**candidate.row.params, **values}
    ours, mine = [], []
    for gradients, result in zip(sets(), theirs, strict=True):
        norm = np.sqrt(sum(np.sum(one**2) for one in gradients.values()))
        for name, g in gradients.items():
            ours.append(np.ravel(candidate.value((g, np.asarray(norm)), hyper)))
            mine.append(np.ravel(result[name]))
    found = agree(np.concatenate(mine)[None], np.concatenate(ours)[None, None])
    return Fit(candidate, {"limit": source}, float(found.digits[0]), bool(found.same[0]), values)
