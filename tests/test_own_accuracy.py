"""Our own formulas keep the digits that the functions have: values and gradients along coarse lines, in NumPy.

The other checks allow what rounding makes of a formula, so one that cancels would excuse itself. Here the true function
is the measure. Where its relative condition is c, a good formula of n rounded steps errs by 4*n*(1 + c) spacings at
most: NumPy's functions err by 4, and no step magnifies more than the function as a whole does. A new row is held to it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from crossnn.adapter import Adapter
from crossnn.atlas.computed import by_formula
from crossnn.atlas.line import Line, lines_of
from crossnn.atlas.ulp import FORMATS, errors
from crossnn.catalogue.build import knob_choices, record_row, settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Regularizer
from crossnn.formula.fingerprint import differentiated
from crossnn.formula.graph import Graph, Node
from crossnn.formula.oracle import Exact, exact
from crossnn.formula.primitives import PRIMITIVES
from crossnn.parity.backend import started
from crossnn.parity.compute import compiled_graph
from crossnn.parity.subject import shapes_of

DTYPES = ("float64", "float32")
POINTS = 64
STEP_ERROR = 4
"""Spacings by which NumPy's own exp, log1p ... may be wrong."""
POWER = 1 / 6
"""Of the smallest and the largest number: inputs lie between, so that their powers, too, are numbers of the dtype."""
STEP = 2.0**-20
"""By so much, relatively, an input is moved to see how the true function answers."""
WELL_CONDITIONED = 1e3
"""A kink, and an input next to a zero, are not."""

OF_ONE_CLASS = (
    "1 - p of a class that has nearly all: p is a quotient by the sum over all classes, in every framework too"
)
LOST: Mapping[tuple[str, str], str] = {
    ("tanh", "gradient"): "1 - tanh(x)**2, which is how every framework differentiates tanh; exponentials cost twice",
    ("tanh_shrink", "value"): "x - tanh(x) near 0: only a series is better, and that is no formula",
    ("tanh_shrink", "gradient"): "1 - (1 - tanh(x)**2) near 0: as its value",
    ("poisson_log", "gradient"): "exp(y) - t where they are nearly equal: the slopes of two terms, added at last",
    ("softmax", "gradient"): OF_ONE_CLASS,
    ("log_softmax", "value"): OF_ONE_CLASS,
    ("log_softmax", "gradient"): OF_ONE_CLASS,
    ("categorical_crossentropy", "gradient"): "y over the sum of all, whose slopes are added at last; shares of the "
    "right class against the others keep the digits, but labels may be shared among classes",
    ("categorical_crossentropy_logits", "value"): OF_ONE_CLASS,
    ("categorical_crossentropy_logits", "gradient"): OF_ONE_CLASS,
    ("sparse_categorical_crossentropy_logits", "value"): OF_ONE_CLASS,
    ("sparse_categorical_crossentropy_logits", "gradient"): OF_ONE_CLASS,
    ("cosine_similarity", "gradient"): "the part of t across y: a difference where one component is nearly all of y",
    ("triplet", "value"): "two distances from afar: the loss is their difference",
    ("triplet", "gradient"): "two directions from afar: the slope is their difference",
}
"""Quantities that do lose digits, and why that is left so."""

NAMES = [row.name for row in load_catalogue().of_kind("activation", "loss")]
REGULARIZERS = [row for row in load_catalogue().rows.values() if isinstance(row, Regularizer)]


def coarse(line: Line) -> Line:
    """About so many of its points: 0, and inputs that are neither tiny nor huge."""
    form = FORMATS[line.dtype]
    size = np.abs(line.x)
    inside = np.flatnonzero((size == 0) | ((size >= form.normal**POWER) & (size <= form.largest**POWER)))
    chosen = inside[:: max(1, inside.size * len(line.targets) // POINTS)]
    rows = np.concatenate([chosen + number * line.x.size for number in range(len(line.targets))])
    return _with(line, line.x[chosen], {name: one[rows] for name, one in line.params.items()},
                 data={name: one[rows] for name, one in line.data.items()}, left_out=line.left_out[rows])  # fmt: skip


def moved(line: Line) -> Line:
    """The same line, what moves along it a little farther."""
    places = line.params[line.variable].copy()
    at = np.nonzero(places == np.tile(line.x, len(places) // line.x.size)[:, None])
    places[at] *= 1 + STEP
    return _with(line, line.x * (1 + STEP), {**line.params, line.variable: places})


def _with(line: Line, x: np.ndarray, params: Mapping[str, np.ndarray], **more: Any) -> Line:
    return dataclasses.replace(line, x=x, params=dict(params), **more)


def condition(truth: Exact, beside: Exact) -> np.ndarray:
    """Relative change of the truth for that of an input; infinite where that cannot be said."""
    with np.errstate(all="ignore"):
        change = np.abs((beside.hi - truth.hi) + (beside.lo - truth.lo)) / np.abs(truth.hi) / STEP
    return np.where(np.isfinite(change), change, np.inf)


def steps_of(graph: Graph) -> int:
    return sum(PRIMITIVES[node.operation].rounding != "exact" for node in graph.live() if node.operation in PRIMITIVES)


def excess(found: np.ndarray, truth: Exact, beside: Exact, dtype: str, steps: int) -> np.ndarray:
    """Errors as multiples of what is allowed; 0 where nothing is asked for: results that are subnormal or nearly so."""
    form = FORMATS[dtype]
    error, code = errors(found.reshape(truth.hi.shape), truth, dtype)
    error = np.where(code > 0, form.lost, np.nan_to_num(error))
    grows = condition(truth, beside)
    size = np.abs(truth.hi)
    asked = (size >= 16 * form.normal) & (size < form.largest / 16) & (grows <= WELL_CONDITIONED)
    return np.where(asked, error / (STEP_ERROR * max(steps, 1) * (1 + np.where(asked, grows, 0.0))), 0.0)


@pytest.fixture(params=DTYPES)
def numpy(request: pytest.FixtureRequest) -> tuple[Adapter, str]:
    return started("numpy", "cpu", request.param, 1)[0], request.param


@pytest.mark.parametrize("name", NAMES)
def test_a_formula_loses_no_digits(name: str, numpy: tuple[Adapter, str]) -> None:
    adapter, dtype = numpy
    worst = {"value": 0.0, "gradient": 0.0}
    where = dict.fromkeys(worst, "")
    for whole in lines_of(name, (), dtype):
        line = coarse(whole)
        computed, truth, beside = by_formula(adapter, "eager", line), line.truth, moved(line).truth
        value, total = line.graphs(line.row.formula, 1)
        steps = {"value": steps_of(value), "gradient": steps_of(differentiated(total, "params"))}
        for quantity in worst:
            found = excess(computed[quantity][0], truth[quantity], beside[quantity], dtype, steps[quantity])
            found = found.reshape(line.left_out.size, -1).max(axis=1)
            found = np.where(line.left_out, 0.0, found) if quantity == "gradient" else found
            place = int(np.argmax(found))
            if found[place] > worst[quantity]:
                worst[quantity] = float(found[place])
                where[quantity] = f"{line.case} at {float(line.x[place % line.x.size])!r}".strip()
    for quantity, size in worst.items():
        if (name, quantity) in LOST:
            assert size > 1, f"the {quantity} of {name} keeps its digits now: remove it from LOST"
        else:
            assert size <= 1, f"{quantity}, {where[quantity]}: {size:.3g} times what a good formula is wrong by"


@pytest.mark.parametrize("row", REGULARIZERS, ids=lambda row: row.name)
def test_a_regularizer_loses_no_digits(row: Regularizer, numpy: tuple[Adapter, str]) -> None:
    adapter, dtype = numpy
    sizes = 2.0 ** np.linspace(-60, 60, 32)
    w = np.concatenate([-sizes, sizes]).astype(np.float32).astype(np.float64)[:, None]
    for knobs in knob_choices(row):

        def total(params: Mapping[str, Node], data: Any, knobs: Any = knobs) -> Node:
            return record_row(row, row.formula, params, params["w"].tape, settings(row, {})[0], knobs)

        graph = Graph.trace(total, shapes_of({"w": w}, {}))
        slopes = differentiated(graph, "params")
        truth, beside = (exact(slopes, {"params": {"w": one}, "data": {}}) for one in (w, w * (1 + STEP)))
        objective = compiled_graph("", graph, "objective", adapter, "eager", differentiate=True)
        value, gradient = objective({"w": adapter.tensor(w)}, {})
        for computed, right, near in zip((value, gradient["w"]), truth, beside, strict=True):
            found = np.asarray(adapter.array(computed), np.float64)
            assert np.max(excess(found, right, near, dtype, steps_of(slopes))) <= 1
