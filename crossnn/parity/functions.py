"""Subjects of the rows that are one formula: activations, regularizers, constraints, metrics, initializers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crossnn.catalogue.build import kinks_of, knob_choices, record_row, settings, used_params
from crossnn.catalogue.initial import initializer_draws
from crossnn.catalogue.rows import (
    Activation,
    Clipping,
    Constraint,
    Formulated,
    Initializer,
    Loss,
    Metric,
    Regularizer,
    Row,
    Schedule,
)
from crossnn.errors import SpecError
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.formula.shapes import Shape
from crossnn.parity import inputs
from crossnn.parity.full import full
from crossnn.parity.losses import loss_subjects
from crossnn.parity.schedules import outer_subjects
from crossnn.parity.subject import Arrays, Kink, Subject, shapes_of

FANS = ("fan_in", "fan_out")
Recorder = Callable[[str, Mapping[str, Node], list[Node]], Node]


def cases(row: Row) -> Iterator[tuple[str, dict[str, float], dict[str, Any]]]:
    """(name, hyper-parameters, knobs): every convention at the defaults, then with visible hyper-parameters where the
    convention knows any."""
    hyper, _ = settings(row, {})
    for moved in [hyper, inputs.visible(hyper)] if hyper else [hyper]:
        for knobs in knob_choices(row):
            if moved is hyper or not knobs or not isinstance(row, Formulated) or used_params(row, knobs):
                shown = {**knobs, **({} if moved is hyper else moved)}
                yield " ".join(f"{key}={value}" for key, value in shown.items()) or "default", moved, knobs


def function_subjects(row: Formulated, seed: int, like: Formulated | None = None) -> list[Subject]:
    """One subject for each case of the row (or of the row `like`, of which this one is a variant); of a loss also for
    each reduction, of a metric also without variety."""
    if isinstance(row, Loss):
        return [full(one) for one in loss_subjects(row, cases(like or row), seed)]
    if isinstance(row, Schedule | Clipping):
        return outer_subjects(row, seed)
    found = [_subject(row, name, hyper, knobs, seed) for name, hyper, knobs in cases(like or row)]
    if isinstance(row, Metric):
        hyper, knobs = settings(row, {})
        for moved in [hyper, inputs.visible(hyper)] if hyper else [hyper]:
            shown = ["one class", *(f"{key}={value}" for key, value in moved.items() if moved is not hyper)]
            recorder = _recorder(row, moved, knobs)
            found.append(_values_only(row, " ".join(shown), {**moved, **knobs}, recorder, _one_class(row), ("y", "t")))
    return [full(one) for one in found]


def _recorder(row: Formulated, hyper: dict[str, float], knobs: dict[str, Any]) -> Recorder:
    def recorder(text: str, names: Mapping[str, Node], tape: list[Node]) -> Node:
        return record_row(row, text, names, tape, hyper, knobs)

    return recorder


def _subject(row: Formulated, case: str, hyper: dict[str, float], knobs: dict[str, Any], seed: int) -> Subject:
    chosen: Mapping[str, Any] = {**hyper, **knobs}
    recorder, generator = _recorder(row, hyper, knobs), inputs.generator_for(row.name, seed)
    kinks = kinks_of(row, hyper, knobs)
    match row:
        case Activation():
            return _activation(row, case, chosen, recorder, generator, kinks)
        case Regularizer():
            return _one_number(row, case, chosen, recorder, _parameter(row, generator, kinks), kinks)
        case Constraint():
            return _values_only(row, case, chosen, recorder, {"w": _parameter(row, generator, kinks)}, ("w",))
        case Metric():
            shape = inputs.VECTORS if row.acts_on == "vector" else inputs.ELEMENTS
            data = {
                "y": inputs.domain(generator, row.prediction, shape),
                "t": inputs.domain(generator, row.target, shape),
            }
            near = [value + step for value in hyper.values() if 0.1 < value < 0.9 for step in (-0.05, 0.05)]
            special = [*row.points, *(near if row.prediction == "probability" else [])]
            data["y"].flat[: len(special)] = inputs.single(special)
            return _values_only(row, case, chosen, recorder, data, ("y", "t"))
        case Initializer():
            draws = initializer_draws(row, (5, 7), seed, row.name)
            return _values_only(
                row, case, chosen, recorder, {key: inputs.single(value) for key, value in draws.items()}
            )
    raise AssertionError(row.kind)


def _trace(function: Callable[[Any, Any], Any], params: Arrays, data: Arrays) -> Graph:
    return Graph.trace(function, shapes_of(params, data))


def _activation(
    row: Activation,
    case: str,
    chosen: Mapping[str, Any],
    recorder: Recorder,
    generator: np.random.Generator,
    at: Sequence[float],
) -> Subject:
    vector = row.acts_on == "vector"
    x = (
        inputs.far(inputs.hostile(generator, inputs.VECTORS, -3, 1.5))
        if vector
        else inputs.arguments(generator, row.points, at)
    )
    params = {"x": x}

    def forward(text: str) -> Graph:
        return _trace(lambda params, data: {"value": recorder(text, params, params["x"].tape)}, params, data)

    data: Arrays = {}
    data["weights"] = inputs.cotangents(generator, forward(row.formula).result["value"].shape)

    def scalar(text: str) -> Graph:
        def projected(params: Any, data: Any) -> Node:
            return GRAPH["sum"](data["weights"] * recorder(text, params, params["x"].tape))

        return _trace(projected, params, data)

    if len(data["weights"].shape) != len(x.shape):
        raise SpecError(f"formula: turns shape {x.shape} into {data['weights'].shape}; an activation keeps the shape")
    at_kink = [] if vector else [i for i in range(x.size) if x[i] in at]
    kinks = tuple(Kink("gradient", (i,), float(x[i]), float(data["weights"][i])) for i in at_kink)
    return Subject(
        case, chosen, forward(row.formula), params, data, scalar(row.formula),
        forward(row.definition) if row.definition else None,
        scalar(row.definition) if row.definition else None,
        elementwise=True, gradient_names={"x": "gradient"}, kinks=kinks, calls={"value": ("x",)},
    )  # fmt: skip


def _parameter(row: Formulated, generator: np.random.Generator, at: Sequence[float]) -> np.ndarray:
    """A parameter: a matrix where rows or columns mean something."""
    if row.acts_on == "element":
        return inputs.arguments(generator, row.points, at)
    w = inputs.hostile(generator, inputs.VECTORS, -3, 1)
    w[:, 0], w[:, 1] = w[:, 0] * 1e-3, 0.0  # a column within any limit, and one without length
    return inputs.single(w)


def _one_number(
    row: Formulated, case: str, chosen: Mapping[str, Any], recorder: Recorder, w: np.ndarray, at: Sequence[float]
) -> Subject:
    params: Arrays = {"w": w}
    forward = _trace(lambda params, data: {"value": recorder(row.formula, params, params["w"].tape)}, params, {})
    scalar = _trace(lambda params, data: recorder(row.formula, params, params["w"].tape), params, {})
    kinks = tuple(Kink("gradient", index, float(w[index]), 1.0) for index in np.ndindex(w.shape) if w[index] in at)
    return Subject(
        case, chosen, forward, params, {}, scalar, elementwise=True, gradient_names={"w": "gradient"}, kinks=kinks,
        calls={"value": ("w",)},
    )  # fmt: skip


def _one_class(row: Metric) -> Arrays:
    """Every target the same, and predictions that say nothing: denominators are zero."""
    shape = inputs.VECTORS if row.acts_on == "vector" else inputs.ELEMENTS
    y = np.linspace(0.0, 0.25, int(np.prod(shape))).reshape(shape)
    first = {"one_hot": np.eye(shape[-1])[np.zeros(shape[:-1], int)], "label": np.zeros(shape[:-1], int)}
    return {"y": inputs.single(y), "t": first.get(row.target, np.zeros(shape))}


def drawn_subject(
    row: Initializer, case: str, chosen: Mapping[str, Any], draws: Mapping[str, np.ndarray], shape: Shape
) -> Subject:
    """An initializer with random numbers that a framework drew, as float64 arrays."""
    fans = {name: value for name, value in initializer_draws(row, shape, 0, row.name).items() if name in FANS}
    hyper, knobs = settings(row, chosen)
    data = {**{name: np.asarray(value, np.float64) for name, value in draws.items()}, **fans}
    found = _values_only(row, case, chosen, _recorder(row, hyper, knobs), data)
    return replace(found, elementwise=False)  # low + width*u rounds as low does, however small the sum


def _values_only(
    row: Formulated,
    case: str,
    chosen: Mapping[str, Any],
    recorder: Recorder,
    data: Arrays,
    arguments: tuple[str, ...] = (),
) -> Subject:
    """`arguments`: what a native implementation is called with."""
    anchor = next(iter(data))
    forward = _trace(lambda params, data: {"value": recorder(row.formula, data, data[anchor].tape)}, {}, data)
    calls = {"value": arguments} if arguments else {}
    return Subject(case, chosen, forward, {}, data, elementwise=True, calls=calls)
