"""Initial parameters: what the core draws for an initializer, and the formula of it.

The draws, by the names that formulas use: u, uniform on [0, 1); z, standard normal; c, standard normal without what is
further than two deviations from 0, which is drawn again; m, a standard normal matrix with at least as many rows as
columns. A formula of m gives a matrix, which is transposed where the parameter has more columns than rows, and cut
into the parameter's shape: all axes but the last are rows.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np

from crossnn.catalogue.build import formula_graph
from crossnn.catalogue.rows import Initializer
from crossnn.formula.grammar import parse
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.shapes import Shape
from crossnn.formula.source import compile_graph

DEVIATIONS = 2.0


def initialize(
    row: Initializer, shape: Shape, seed: int, name: str, hyper: Mapping[str, float] | None = None
) -> np.ndarray:
    """One parameter from its initializer's formula, in float64."""
    draws = initializer_draws(row, shape, seed, name)
    graph = formula_graph(row, {key: value.shape for key, value in draws.items()}, hyper)
    values = np.asarray(compile_graph(graph, row.name, NUMPY)(**draws))
    if "m" in draws:
        values = (values.T if values.shape != _matrix(shape) else values).reshape(shape)
    return np.broadcast_to(values, shape).astype(np.float64)


def initializer_draws(row: Initializer, shape: Shape, seed: int, name: str) -> dict[str, np.ndarray]:
    """The random numbers of one parameter that the row uses, and its fans: inputs of the last two axes times the
    receptive field."""
    used = parse(row.formula).names.union(*(line.names for line in row.lets()))
    key = [seed, zlib.crc32(name.encode())]
    generator = np.random.default_rng(key)
    field_size = math.prod(shape[:-2]) if len(shape) > 2 else 1
    fan_in = shape[-2] * field_size if len(shape) > 1 else shape[0]
    draws = {"u": generator.random(shape), "z": generator.standard_normal(shape)}
    if "c" in used:
        draws["c"] = _within(np.random.default_rng([*key, 1]), shape)
    if "m" in used:
        rows, columns = _matrix(shape)
        tall = (max(rows, columns), min(rows, columns))
        draws["m"] = np.random.default_rng([*key, 2]).standard_normal(tall)
    return {**draws, "fan_in": np.array(float(fan_in)), "fan_out": np.array(float(shape[-1] * field_size))}


def _matrix(shape: Shape) -> Shape:
    return math.prod(shape[:-1]), shape[-1]


def _within(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Standard normal numbers; one that is too far out is drawn again until none is."""
    values = generator.standard_normal(shape)
    while np.any(far := np.abs(values) > DEVIATIONS):
        values[far] = generator.standard_normal(int(np.sum(far)))
    return values
