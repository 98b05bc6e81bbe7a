"""The search for a counterexample, and for the simplest one.

A claim that survives some hundreds of points, at which both sides agree to 22 digits, is called VERIFIED: two different
formulas of the size that a slide holds do not agree so often by chance. That is evidence, no proof, and it is counted.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossnn.claims.points import DRAWN, Point, arrays, boxed, drawn_scalars, simple_scalars, sizes_to_try
from crossnn.claims.statement import READINGS, Reading, Sizes, Statement
from crossnn.claims.truth import Outcome, Trial
from crossnn.errors import FormulaError, ShapeError

FEW = 12
"""With fewer points inside the domain, more are drawn."""
MANY_DRAWN = 6000
ENOUGH = 240
PATIENCE = 10.0
"""After so many seconds no further lengths are tried."""
TRIES = 60
"""So many simpler points are tried in the place of a counterexample."""
NEAR = (1e-3, -1e-3, 1e-2, -1e-2)
_ENTRIES = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)


@dataclass
class Found:
    """What a search says: every trial with its outcomes, and the simplest `failure` with its `trial`. `misfit` is why
    no sizes fit, `fits` for which they would."""

    tried: list[tuple[Trial, list[Outcome]]] = field(default_factory=list)
    failure: Outcome | None = None
    trial: Trial | None = None
    misfit: str = ""
    fits: str = ""

    @property
    def outcomes(self) -> list[Outcome]:
        return [one for _, outcomes in self.tried for one in outcomes]

    @property
    def failing(self) -> list[Outcome]:
        return [one for one in self.outcomes if one.refutes]

    @property
    def counts(self) -> Counter[str]:
        """How many points say what."""
        return Counter(one.says for one in self.outcomes)


def search(statement: Statement) -> Found:
    """Try a statement where it may fail."""
    reading, misfit = reading_of(statement)
    if reading is None:
        return Found(misfit=misfit, fits=_where_it_fits(statement))
    found = Found()
    patient_until = time.monotonic() + PATIENCE
    for number, sizes in enumerate(sizes_to_try(statement.sizes)):
        if number and time.monotonic() > patient_until:
            break
        try:
            trial = Trial(statement, sizes, reading)
        except FormulaError:
            if not found.tried:
                raise
            continue  # the text means nothing for these lengths: there is no second element where there is one
        points = list(_scalars(trial) if statement.scalar else _arrays(trial, number))
        found.tried.append((trial, _settled(trial, list(trial.outcomes(points)))))
    for trial, outcomes in sorted(found.tried, key=lambda one: sum(one[0].sizes.values())):
        first = next((one for one in outcomes if one.refutes), None)
        if first is not None:
            found.trial, found.failure = trial, simplest(trial, first)
            break
    return found


def reading_of(statement: Statement) -> tuple[Reading | None, str]:
    """The first reading of vectors in which all shapes fit, for lengths that are all different; or why none does."""
    sizes = sizes_to_try(statement.sizes)[0]
    vectors = any(len(lengths) == 1 for lengths in statement.claim.shapes.values())
    why = ""
    for reading in READINGS if vectors else READINGS[:1]:
        try:
            statement.record(sizes, reading)
        except ShapeError as error:
            why = why or f"with {_said(sizes)}: {error}" if sizes else why or str(error)
        else:
            return reading, ""
    return None, why


def _where_it_fits(statement: Statement) -> str:
    """For which lengths the shapes would fit, if for any."""
    for text, sizes in _special_sizes(statement.sizes):
        for reading in READINGS:
            try:
                statement.record(sizes, reading)
            except ShapeError:
                continue
            return f"the shapes fit only when {text}"
    return "the shapes fit for no lengths that were tried"


def _special_sizes(names: Sequence[str]) -> Iterator[tuple[str, Sizes]]:
    different = sizes_to_try(names)[0] if names else {}
    for name in names:
        yield f"{name} = 1", {**different, name: 1}
    for one, other in itertools.combinations(names, 2):
        yield f"{one} = {other}", {**different, other: different[one]}
    if names:
        yield f"{' = '.join(names)} = 1", dict.fromkeys(names, 1)
        yield f"{' = '.join(names)}", dict.fromkeys(names, 2)


def _said(sizes: Sizes) -> str:
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())


def _scalars(trial: Trial) -> Iterator[Point]:
    names = list(trial.shapes)
    if not names:
        yield {}
        return
    simple = trial.inside([_as_point(one) for one in simple_scalars(names)])
    box = trial.statement.box
    points = [_as_point(one) for one in drawn_scalars(names, DRAWN)]
    drawn = trial.inside([boxed(one, box, number) for number, one in enumerate(points)] if box else points)
    if len(simple) + len(drawn) < FEW:
        drawn += trial.inside([_as_point(one) for one in drawn_scalars(names, MANY_DRAWN, 1)])
    yield from simple[: ENOUGH if trial.together else 40]
    yield from drawn[: ENOUGH if trial.together else 40]


def _as_point(values: Mapping[str, float]) -> Point:
    return {name: np.asarray(value, float) for name, value in values.items()}


def _arrays(trial: Trial, number: int) -> Iterator[Point]:
    """Fewer points for each further choice of lengths, and more where the domain is narrow."""
    wanted = (14, 6, 5, 5)[min(number, 3)]
    box = trial.statement.box
    inside = trial.inside([boxed(arrays(trial.shapes, place), box, place) for place in range(2 * wanted)])
    if len(inside) < 3:
        inside += trial.inside([arrays(trial.shapes, place, 1) for place in range(40)])
    if len(inside) < 3:
        kinds = [arrays(trial.shapes, place, 2) for place in range(27)]
        mixed = [
            {name: kinds[(place + shift * step) % 27][name] for step, name in enumerate(trial.shapes)}
            for place in range(27) for shift in (1, 2, 4)
        ]  # fmt: skip
        inside += trial.inside(mixed)
    yield from inside[:wanted]


def _settled(trial: Trial, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """An expression that is undefined at single points only says nothing there: x/x at 0 is no counterexample."""
    open_: dict[str, bool] = {}

    def settled(one: Outcome) -> Outcome:
        if one.says != "undefined":
            return one
        key = repr(sorted((k, np.sign(v).tolist()) for k, v in one.point.items()))
        if key not in open_:
            near = [{k: np.asarray(v) * (1 + e) + 0.7 * e for k, v in one.point.items()} for e in NEAR]
            around = list(trial.outcomes(trial.inside(near)))
            open_[key] = bool(around) and sum(o.says == "undefined" for o in around) * 2 > len(around)
        return one if open_[key] else Outcome("nothing", one.point)

    return [settled(one) for one in outcomes]


def simplest(trial: Trial, failure: Outcome) -> Outcome:
    """A counterexample of the same kind with simpler numbers, found one number after the other."""
    best = failure
    left = TRIES

    def still(point: Point) -> bool:
        nonlocal best, left
        if left <= 0 or not trial.inside([point]):
            return False
        left -= 1
        (outcome,) = _settled(trial, list(trial.outcomes([point])))
        if outcome.says != failure.says:
            return False
        best = outcome
        return True

    if not trial.statement.scalar:
        still({name: np.ones_like(value) for name, value in best.point.items()})
    for name in failure.point:
        for index in np.ndindex(np.shape(best.point[name])):
            _simplify(name, index, lambda: best.point, still)
    return best


def _simplify(name: str, index: tuple[int, ...], current: Callable[[], Point], still: Callable[[Point], bool]) -> None:
    value = float(current()[name][index])
    candidates = [one for one in _ENTRIES if _simpler(one, value)]
    candidates += [
        one for one in (float(round(value)), float(f"{value:.1g}"), float(f"{value:.2g}")) if _simpler(one, value)
    ]
    for candidate in dict.fromkeys(candidates):
        changed = np.array(current()[name], float)
        changed[index] = candidate
        if still({**current(), name: changed}):
            return


def _simpler(one: float, other: float) -> bool:
    return _weight(one) < _weight(other)


def _weight(value: float) -> tuple[int, float]:
    """How hard a number is on the eye: digits first, then size, then sign."""
    return len(f"{abs(value):.17g}".replace(".", "").strip("0")) + 3 * (not value.is_integer()), abs(value) + (
        value < 0
    ) / 4
