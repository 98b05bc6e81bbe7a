"""Which initializer of the catalogue an opened one is: the framework's own random numbers, through every formula.

No distribution is estimated. A framework says what its plain distributions make of a generator; what the initializer
makes of the same generator in the same state must be the formula of these numbers, for several shapes and seeds. What
draws otherwise is none, however alike its distribution is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Opened
from crossnn.catalogue.build import formula_graph, settings
from crossnn.catalogue.initial import initializer_draws
from crossnn.catalogue.rows import Initializer
from crossnn.errors import BackendError, told
from crossnn.formula.grammar import parse
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph
from crossnn.identify.agreement import MOST, agree
from crossnn.identify.answer import agrees, answer_of, free_knobs
from crossnn.identify.calls import flat
from crossnn.identify.function_candidates import Candidate, candidates
from crossnn.identify.names import Source, constant, numeric
from crossnn.identify.registered import explained
from crossnn.identify.result import Identified, Parting, Quantity
from crossnn.identify.schedule_names import Names
from crossnn.identify.schedule_numbers import short
from crossnn.identify.text import number
from crossnn.parity.functions import drawn_subject
from crossnn.parity.judge import judge

SHAPES = ((5, 7), (3, 2, 4))
SEEDS = (1, 2)
FACTOR, NEAR, CLOSE, TRIED = 3.0, 4.0, 6.0, 4
"""What it is worth to differ by a factor alone, in digits; and from how many digits on how many are judged."""
DRAWS = ("u", "z", "c", "m")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Drawn:
    """What came of one shape and seed: the framework's random numbers, and the parameter as a matrix."""

    shape: Shape
    draws: Mapping[str, np.ndarray]
    parameter: np.ndarray


@dataclass(frozen=True)
class Fit:
    candidate: Candidate
    sources: Mapping[str, Source]
    digits: float
    same: bool
    values: Mapping[str, float]
    factor: float = 1.0
    everywhere: bool = False

    @property
    def named(self) -> bool:
        """Whether every number is a setting of the call, to seven digits at least."""
        return self.digits >= CLOSE and all(one.setting for one in self.sources.values())

    @property
    def key(self) -> tuple[object, ...]:
        own = sum(not one.setting for one in self.sources.values())
        near = -max(round(self.digits, 1), 0.0 if self.factor == 1 else MOST if self.everywhere else FACTOR)
        return (not self.same, 0.0 if self.same else near, self.candidate.simplicity, own)


def identify_initializer(adapter: Adapter, opened: Opened) -> Identified:
    given = numeric(flat(opened.settings))
    seen = [_drawn(opened, shape, seed) for shape in SHAPES for seed in SEEDS]
    names = Names(given)
    found = [
        _scored(candidate, values, given, seen)
        for candidate in candidates("initializer") if _used(candidate) <= {*seen[0].draws, "fan_in", "fan_out"}
        for numbers in _numbers(candidate, seen) for values in _written(numbers, names)
    ]  # fmt: skip
    found.sort(key=lambda fit: fit.key)
    same = [fit for fit in found if fit.same]
    near = [fit for fit in found if not fit.same and fit.digits >= NEAR][:TRIED] or found[: 0 if same else 1]
    ordered = sorted([*same[:2], *near], key=lambda fit: (not fit.named, not fit.same))
    tried = [Judged(adapter, opened, fit, seen) for fit in ordered]
    matched = next(filter(agrees, tried), None)
    judged = matched or Judged(adapter, opened, found[0], seen)
    notes = ["judged on the framework's own random numbers: what its plain distributions draw of the same seed"]
    if matched is None and judged.fit.factor != 1:
        notes.append(f"it is {number(judged.fit.factor)} times the nearest for a parameter of shape {SHAPES[0]}")
    equal: list[Fit] = same if matched is not None else []
    return answer_of(
        judged, matched is not None, given, judged.fit.sources, equal, same,
        undetermined=tuple(free_knobs(judged.fit, equal)), notes=tuple(notes),
    )  # fmt: skip


def _used(candidate: Candidate) -> set[str]:
    """The draws and fans of its formula in this convention."""
    graph = formula_graph(candidate.row, _shapes(candidate.row), None, candidate.knobs)
    live = {id(node) for node in graph.live()}
    return {name for name, node in graph.arguments.items() if id(node) in live}


def _shapes(row: Any) -> dict[str, Shape]:
    draws = initializer_draws(row, SHAPES[0], 0, row.name)
    used = parse(row.formula).names.union(*(line.names for line in row.lets()))
    return {name: np.shape(value) for name, value in draws.items() if name in used}


def _drawn(opened: Opened, shape: Shape, seed: int) -> Drawn:
    try:
        draws, parameter = opened.native.function(shape, seed)
    except BackendError:
        raise
    except Exception as error:  # whatever a framework throws at a shape
        raise BackendError(f"{opened.native.call} cannot fill a parameter of shape {shape}: {told(error)}") from error
    array = np.asarray(parameter, float)
    if array.size != np.prod(shape):
        raise BackendError(f"{opened.native.call} makes shape {array.shape} where {shape} is asked for")
    return Drawn(shape, {name: np.asarray(one, float) for name, one in draws.items()}, array)


def _numbers(candidate: Candidate, seen: list[Drawn]) -> Iterator[dict[str, float]]:
    """Hyper-parameters, read off: a parameter is a + b*draw in all of these."""
    if not candidate.needs:
        yield {}
        return
    one = seen[0]
    if "gain" in candidate.needs:
        unit = _value(candidate, one, {"gain": 1.0})
        if np.any(one.parameter):
            yield {"gain": float(np.linalg.norm(one.parameter) / np.linalg.norm(unit))}
        return
    if "value" in candidate.needs:
        yield {"value": float(one.parameter.flat[0])}
        return
    draw = next(iter(_used(candidate) & set(DRAWS)))
    flat_draw = np.ravel(one.draws[draw])
    if np.ptp(one.parameter) == 0:  # a constant, which is no distribution
        return
    size, start = np.polyfit(flat_draw, np.ravel(one.parameter), 1)
    low = abs(start) < 1e-12 * abs(size)
    start = 0.0 if low else float(start)
    yield {"low": start, "high": start + float(size)} if "low" in candidate.needs else {
        "mean": start, "stddev": float(size)
    }  # fmt: skip


def _value(candidate: Candidate, one: Drawn, hyper: Mapping[str, float]) -> np.ndarray:
    """The formula of these random numbers, in the shape of the parameter."""
    row = candidate.row
    data = _data(row, one)
    shapes = {name: np.shape(value) for name, value in data.items()}
    graph = formula_graph(row, shapes, {**row.params, **hyper}, candidate.knobs)
    value = np.asarray(compile_graph(graph, row.name, NUMPY)(**data))
    return np.reshape(_turned(value, one), one.parameter.shape)


def _turned(value: np.ndarray, one: Drawn) -> np.ndarray:
    matrix = (int(np.prod(one.shape[:-1])), one.shape[-1])
    turned = value.shape != one.shape and value.shape != matrix and value.T.shape == matrix
    return value.T if turned else value


def _data(row: Any, one: Drawn) -> dict[str, np.ndarray]:
    fans = {name: value for name, value in initializer_draws(row, one.shape, 0, row.name).items() if "fan" in name}
    every = {**one.draws, **fans}
    return {name: every[name] for name in _shapes(row) if name in every}


def _written(numbers: dict[str, float], names: Names) -> Iterator[dict[str, Source]]:
    """As settings of the call, as numbers of few digits, and as they were read."""
    yield {name: names.source(name, value) for name, value in numbers.items()}
    if numbers:
        yield {name: constant(short(value)) for name, value in numbers.items()}
        yield {name: constant(value) for name, value in numbers.items()}


def _scored(candidate: Candidate, sources: dict[str, Source], given: Mapping[str, float], seen: list[Drawn]) -> Fit:
    hyper = {name: source.value(given) for name, source in sources.items()}
    ours = np.concatenate([np.ravel(_value(candidate, one, hyper)) for one in seen])
    theirs = np.concatenate([np.ravel(one.parameter) for one in seen])
    found = agree(theirs[None], ours[None, None])
    first = seen[0].parameter.size
    with np.errstate(all="ignore"):
        factors = theirs / ours
    everywhere = _is_one_number(factors)
    alike = _is_one_number(factors[:first])
    factor = float(factors[0]) if alike and not found.same[0] and not candidate.needs else 1.0
    return Fit(candidate, sources, float(found.digits[0]), bool(found.same[0]), hyper, factor, everywhere)


def _is_one_number(factors: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.isfinite(factors).all()) and float(np.ptp(factors)) <= 1e-9 * abs(float(factors[0]))


@dataclass
class Judged:
    """A fit beside the oracle, one quantity for each shape."""

    adapter: Adapter
    opened: Opened
    fit: Fit
    seen: list[Drawn]

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        row = self.fit.candidate.row
        assert isinstance(row, Initializer)
        chosen = {**settings(row, {})[0], **self.fit.values, **self.fit.candidate.knobs}
        found = []
        for one in self.seen[:: len(SEEDS)]:
            matrix = one.shape if len(one.shape) == 2 else (int(np.prod(one.shape[:-1])), one.shape[-1])
            draws = {name: value for name, value in one.draws.items() if name in _shapes(row)}
            subject = drawn_subject(row, "default", chosen, draws, one.shape)
            reference = subject.references("float64")["value"]
            value = one.parameter.reshape(matrix if "m" in _shapes(row) else one.shape)
            shape = reference.exact.hi.shape
            judged = judge(value.T if value.shape != shape and value.T.shape == shape else value, reference, "float64")
            found.append(Quantity("value", judged.verdict, judged.r, judged.digits, judged.worst, "", judged.message))
        call = self.opened.native.call.partition("(")[0]
        known = explained(self.adapter, row, "default", call, tuple(found), lambda: True)
        names = [f"value, {' x '.join(map(str, shape))}" for shape in SHAPES]
        return tuple(replace(one, name=name) for one, name in zip(known, names, strict=True))

    @property
    def first(self) -> Parting | None:
        for one in self.quantities:
            if not one.explained and one.worst is not None:
                return Parting(0, one.name, one.worst.index, float(one.worst.expected), float(one.worst.actual))
        return None
