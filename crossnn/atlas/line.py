"""Lines through the inputs of a function, along which its error is measured, and the truth on them.

An elementwise function has one argument. Of a function of vectors one component moves while the others stay; a loss is
followed over the prediction, for each of a few targets. The truth is the oracle's, of the definition where the row has
one; far from 0, where exp(x)/(1 + exp(x)) is undecided, of the formula, which is proved equal to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from crossnn.atlas.axis import MAGNITUDE, POSITIVE, PROBABILITY
from crossnn.atlas.grid import grid
from crossnn.atlas.ulp import rounded
from crossnn.catalogue.build import kinks_of, knob_choices, record_row, settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.reductions import LABELS
from crossnn.catalogue.rows import Activation, Loss
from crossnn.errors import CrossnnError
from crossnn.formula.fingerprint import differentiated, joined
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.formula.oracle import Exact, OracleError, exact
from crossnn.parity.subject import Arrays, shapes_of

MOVES = 2
"""The component of a vector that moves: of a gated unit one of the gate."""
OTHERS = np.array([0.5, -1.0, 0.0, 2.0])
"""What the others are."""
FAR = 1e4
"""Farther from 0 the formula speaks: exp of a large number has more digits than the oracle computes, and where a limit
stands for it, log(1 + exp(1e300)) is infinite."""
CHUNK = 128
"""Points for which the oracle looks for a precision together: what one of them needs, its neighbours need too."""
ALONE = 8
"""Of a function that makes one number of a whole batch, so many points are passed over for each that is measured."""


@dataclass
class Line:
    """Inputs along a line, `x` being what moves. `left_out` are the points at which the slope is a convention."""

    row: Activation | Loss
    case: str
    settings: Mapping[str, Any]
    hyper: dict[str, float]
    knobs: dict[str, Any]
    dtype: str
    axis: str
    x: np.ndarray
    targets: tuple[str, ...]
    params: Arrays
    data: Arrays
    left_out: np.ndarray
    component: int | None = None
    alone: bool = field(default=False)

    @property
    def variable(self) -> str:
        return next(iter(self.params))

    def graphs(self, text: str, samples: int) -> tuple[Graph, Graph]:
        """The value, and the sum of which a gradient is taken, for so many samples."""
        shapes = shapes_of(*({name: one[:samples] for name, one in tree.items()} for tree in (self.params, self.data)))

        def value(params: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
            names = {**params, **data}
            tape = names[self.variable].tape
            return record_row(self.row, text, names, tape, self.hyper, self.knobs)

        def total(params: Mapping[str, Node], data: Mapping[str, Node]) -> Node:
            found = value(params, data)
            if self.component is not None:
                at = self.component
                found = GRAPH["slice"](found, axis=-1, start=at, stop=at + 1)
            return GRAPH["sum"](found)

        return Graph.trace(lambda params, data: {"value": value(params, data)}, shapes), Graph.trace(total, shapes)

    @cached_property
    def truth(self) -> dict[str, Exact]:
        """The true value and gradient at every point."""
        parts: list[tuple[Exact, Exact]] = []
        for start, stop in self._chunks():
            given = {
                key: {name: one[start:stop] for name, one in tree.items()}
                for key, tree in (("params", self.params), ("data", self.data))
            }
            formula = self._whole(self.row.formula, stop - start)
            near = abs(self.x[start % len(self.x)]) <= FAR and self.row.definition
            definition = self._whole(self.row.definition, stop - start) if near else formula
            parts.append(_decided(definition, formula, given))
        return {
            name: Exact(*(np.concatenate([np.atleast_1d(getattr(part[place], half)) for part in parts])
                          for half in ("hi", "lo")))
            for place, name in enumerate(("value", "gradient"))
        }  # fmt: skip

    def _chunks(self) -> Iterator[tuple[int, int]]:
        """First and behind the last of at most CHUNK neighbours on the same side of FAR."""
        samples = len(self.params[self.variable])
        sides = np.searchsorted([-FAR, FAR], np.tile(self.x, samples // len(self.x)))
        begin = 0
        for place in range(1, samples + 1):
            most = 1 if self.alone else CHUNK
            if place == samples or place - begin == most or sides[place] != sides[begin]:
                yield begin, place
                begin = place

    def _whole(self, text: str, samples: int) -> Graph:
        value, total = self.graphs(text, samples)
        slopes = differentiated(total, "params")
        _, gradients = slopes.result
        return joined(value, Graph(slopes.arguments, gradients[self.variable], slopes.nodes))


def _decided(definition: Graph, formula: Graph, given: Mapping[str, Arrays]) -> tuple[Exact, Exact]:
    """By the definition; by the formula where that is undecided or no number."""
    try:
        found = exact(definition, given)
    except OracleError:
        found = exact(formula, given)
        definition = formula
    if definition is not formula and any(np.any(np.isnan(one.hi)) for one in found):
        found = [
            Exact(*(np.where(np.isnan(one.hi), other, mine) for mine, other in ((one.hi, two.hi), (one.lo, two.lo))))
            for one, two in zip(found, exact(formula, given), strict=True)
        ]
    value, gradient = found
    return value, gradient


@lru_cache(maxsize=8)
def lines_of(spec: str, files: tuple[str, ...], dtype: str) -> tuple[Line, ...]:
    """The lines of a row in a dtype, one for each of its conventions; kept, since backends and modes share truth."""
    row = load_catalogue(files).find(spec)
    if isinstance(row, Activation):
        return tuple(_activation(row, *one, dtype) for one in _cases(row))
    if isinstance(row, Loss):
        return tuple(_loss(row, *one, dtype) for one in _cases(row))
    raise CrossnnError(f"{spec!r} is of kind {row.kind!r}: the atlas has activations and losses; see 'crossnn list'")


def _cases(row: Activation | Loss) -> Iterator[tuple[str, dict[str, float], dict[str, Any]]]:
    hyper, _ = settings(row, {})
    for knobs in knob_choices(row):
        yield " ".join(f"{key}={value}" for key, value in knobs.items()), hyper, knobs


def _activation(row: Activation, case: str, hyper: dict[str, float], knobs: dict[str, Any], dtype: str) -> Line:
    kinks = kinks_of(row, hyper, knobs)
    x = grid(MAGNITUDE, dtype, [*row.points, *kinks])
    vector = row.acts_on == "vector"
    params = {"x": _moving(x) if vector else x[:, None]}
    at_kinks = np.isin(x, kinks)
    line = Line(row, case, {**hyper, **knobs}, hyper, knobs, dtype, MAGNITUDE, x, ("",), params, {}, at_kinks)
    if not vector:
        return line
    width = line.graphs(row.formula, len(x))[0].result["value"].shape[-1]
    line.component = MOVES if width > MOVES else 0
    return line


def _moving(x: np.ndarray) -> np.ndarray:
    vectors = np.tile(OTHERS, (len(x), 1))
    vectors[:, MOVES] = x
    return vectors


def _loss(row: Loss, case: str, hyper: dict[str, float], knobs: dict[str, Any], dtype: str) -> Line:
    axis = {"nonnegative": POSITIVE, "probability": PROBABILITY, "simplex": PROBABILITY}.get(row.prediction, MAGNITUDE)
    kinks = kinks_of(row, hyper, knobs)
    moved = [threshold for value in hyper.values() for threshold in (value, 1 - value)]
    special = [*row.points, *kinks, *([] if axis == MAGNITUDE else (one for one in moved if 0 < one < 1))]
    vector = row.acts_on == "vector"
    targets = _vector_targets(row) if vector else _targets(row)
    x = grid(axis, dtype, special, len(targets))
    y = _vectors(row, x, dtype) if vector else x[:, None]
    count = len(targets)
    params = {"y": np.concatenate([y] * count)}
    data: Arrays = {}
    for name in row.inputs or ("t",):
        data[name] = np.concatenate(
            [np.repeat(np.asarray(one[name])[None], len(x), axis=0) for one in targets.values()]
        )
    away = np.zeros(len(x) * count, dtype=bool)
    if not vector and kinks:
        away = np.isin(params["y"] - data["t"], kinks)[:, 0]
    line = Line(row, case, {**hyper, **knobs}, hyper, knobs, dtype, axis, x, tuple(targets), params, data, away)
    if line.graphs(row.formula, len(x))[0].result["value"].shape == ():
        return _thinned(line)
    return line


def _thinned(line: Line) -> Line:
    """Every ALONE-th point of a function of whole batches, which is asked for each by itself."""

    def thin(array: np.ndarray) -> np.ndarray:
        return array[ALONE // 2 :: ALONE]

    line.params = {name: thin(one) for name, one in line.params.items()}
    line.data = {name: thin(one) for name, one in line.data.items()}
    line.x, line.left_out, line.alone = thin(line.x), thin(line.left_out), True
    return line


def _targets(row: Loss) -> dict[str, dict[str, Any]]:
    values = LABELS.get(row.target, (0.0, 1.0))
    return {f"t = {value:g}": {"t": np.array([value])} for value in values}


def _vector_targets(row: Loss) -> dict[str, dict[str, Any]]:
    """A target for which the moving component counts, and one for which it is among the others."""
    if row.inputs:
        drawn = (np.array([0.25, -0.5, 0.0, 1.0]), np.array([-1.5, 0.5, 0.25, 2.0]))
        return {"": dict(zip(row.inputs, drawn, strict=False))}
    if row.target == "one_hot":
        return {"right class": {"t": np.eye(4)[MOVES]}, "other class": {"t": np.eye(4)[0]}}
    if row.target == "label":
        return {"right class": {"t": np.int64(MOVES)}, "other class": {"t": np.int64(0)}}
    if row.target == "binary":
        return {"t = 1": {"t": np.array([1.0, 0, 1, 0])}, "t = 0": {"t": np.array([1.0, 0, 0, 1])}}
    if row.target == "simplex":
        return {"": {"t": np.array([0.125, 0.25, 0.5, 0.125])}}
    return {"": {"t": np.array([1.0, 0.5, 0.25, -2.0])}}


def _vectors(row: Loss, x: np.ndarray, dtype: str) -> np.ndarray:
    if row.prediction == "simplex":
        vectors = (1 - x)[:, None] * np.array([0.5, 0.3, 0.0, 0.2])
    elif row.prediction == "probability":
        vectors = np.tile([0.25, 0.75, 0.0, 0.5], (len(x), 1))
    else:
        vectors = np.tile(OTHERS, (len(x), 1))
    vectors = rounded(vectors, dtype)
    vectors[:, MOVES] = x
    return vectors
