"""Running a function along a line on a backend: values and gradients of every point, by formula or native."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Native
from crossnn.atlas.line import Line
from crossnn.atlas.ulp import FORMATS
from crossnn.catalogue.rows import Activation
from crossnn.formula.graph import map_tree
from crossnn.parity.backend import native_of, once
from crossnn.parity.compute import compiled_graph

SCARCE = 4
"""Of a loss that gives the mean alone, so many points are passed over for each whose value is measured."""

Values = dict[str, tuple[np.ndarray, np.ndarray]]
"""Quantity -> what came out, and which points it is of."""


def by_formula(adapter: Adapter, mode: str, line: Line) -> Values:
    """Our formula, differentiated by the backend."""
    samples = 1 if line.alone else len(line.params[line.variable])
    value, total = line.graphs(line.row.formula, samples)
    forward = compiled_graph(line.case, value, "forward", adapter, mode)
    gradient = compiled_graph(line.case, total, "objective", adapter, mode, differentiate=True)

    def both(given: tuple[Any, Any]) -> tuple[Any, Any]:
        return forward(*given)["value"], gradient(*given)[1][line.variable]

    return _everywhere(adapter, line, both, one_by_one=line.alone)


def by_native(adapter: Adapter, mode: str, line: Line, native: Native) -> Values:
    """The framework's own. A loss gives the mean of a batch: so many numbers that dividing by their count is exact."""
    names = tuple({**line.params, **line.data})

    def call(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
        def forward(params: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
            given = {**params, **data}
            return function(*(given[name] for name in names))

        return forward

    def compiled(name: str, function: Callable[..., Any], differentiate: bool) -> Callable[..., Any]:
        def make() -> tuple[Native, Callable[..., Any]]:
            return native, adapter.compile(adapter.value_and_grad(function) if differentiate else function, mode)

        key = ("atlas", line.case, native.call, id(native), name, mode)
        return once(adapter, key, make)[1]  # type: ignore[no-any-return]

    whole = call(native.function)
    if isinstance(line.row, Activation):
        total, cut = adapter.primitives["sum"], adapter.primitives["slice"]

        def objective(params: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
            found, at = whole(params, data), line.component
            return total(found if at is None else cut(found, axis=-1, start=at, stop=at + 1))

        forward, gradient = compiled("value", whole, False), compiled("gradient", objective, True)
        return _everywhere(
            adapter, line, lambda given: (forward(*given), gradient(*given)[1][line.variable])
        )  # fmt: skip
    gradient = compiled("gradient", whole, True)
    if line.alone:
        forward = compiled("value", whole, False)
        return _everywhere(
            adapter, line, lambda given: (forward(*given), gradient(*given)[1][line.variable]), one_by_one=True
        )
    given = _tensors(adapter, line.params), _tensors(adapter, line.data)
    samples = len(line.params[line.variable])
    slopes = np.asarray(adapter.array(gradient(*given)[1][line.variable]), np.float64)
    factor = samples * (slopes.shape[-1] if line.row.acts_on == "element" and slopes.ndim > 1 else 1)
    exact = np.abs(line.truth["gradient"].hi.reshape(samples, -1))
    kept = np.all((exact == 0) | (exact >= factor * FORMATS[line.dtype].normal), axis=1)  # else the division rounds
    with np.errstate(over="ignore"):
        found: Values = {"gradient": ((slopes * factor)[kept], np.flatnonzero(kept))}
    found["value"] = _losses(adapter, mode, line, native, whole, compiled, given)
    return found


def _losses(
    adapter: Adapter, mode: str, line: Line, native: Native, whole: Callable[..., Any],
    compiled: Callable[..., Any], given: tuple[Any, Any],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The loss of every sample where the framework gives it; else sample by sample, of fewer points."""
    samples = len(line.params[line.variable])
    none = native_of(adapter, line.row.kind, line.row.name, {**line.settings, "reduction": "none", "weights": ""})
    if none is not None and none.call == native.call:
        own = tuple({**line.params, **line.data})

        def separate(params: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
            both = {**params, **data}
            return none.function(*(both[name] for name in own))

        values = adapter.array(compiled("none", separate, False)(*given))
        if values.shape == line.truth["value"].hi.shape:
            return np.asarray(values, np.float64), np.arange(samples)
    forward = compiled("value", whole, False)
    places = np.arange(SCARCE // 2, samples, SCARCE)
    values = np.array([float(adapter.array(forward(*_samples(adapter, line, place)))) for place in places.tolist()])
    shape = (len(places), *line.truth["value"].hi.shape[1:])
    return values.reshape(shape), places


def _samples(adapter: Adapter, line: Line, place: int) -> tuple[Any, Any]:
    one = slice(place, place + 1)
    cut = [{name: array[one] for name, array in tree.items()} for tree in (line.params, line.data)]
    return _tensors(adapter, cut[0]), _tensors(adapter, cut[1])


def _tensors(adapter: Adapter, tree: Any) -> Any:
    return map_tree(adapter.tensor, tree)


def _everywhere(
    adapter: Adapter, line: Line, both: Callable[[tuple[Any, Any]], tuple[Any, Any]], one_by_one: bool = False
) -> Values:
    samples = len(line.params[line.variable])
    if one_by_one:
        pairs = [both(_samples(adapter, line, place)) for place in range(samples)]
        columns = [np.stack([np.asarray(adapter.array(pair[place]), np.float64) for pair in pairs]) for place in (0, 1)]
        parts = [np.reshape(one, (samples, -1)) for one in columns]
    else:
        value, gradient = both((_tensors(adapter, line.params), _tensors(adapter, line.data)))
        parts = [np.asarray(adapter.array(one), np.float64) for one in (value, gradient)]
    return {name: (part, np.arange(samples)) for name, part in zip(("value", "gradient"), parts, strict=True)}
