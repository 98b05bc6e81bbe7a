"""Subjects of the rows that are one formula: activations, losses, regularizers, metrics, initializers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.build import knob_choices, record_row, settings
from crossnn.catalogue.network import initializer_draws
from crossnn.catalogue.rows import Activation, Formulated, Initializer, Loss, Metric, Regularizer, Row
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.parity import inputs
from crossnn.parity.subject import Arrays, Kink, Subject, shapes_of

Recorder = Callable[[str, Mapping[str, Node], list[Node]], Node]


def cases(row: Row) -> Iterator[tuple[str, dict[str, float], dict[str, Any]]]:
    """(name, hyper-parameters, knobs): every convention at the defaults, then with visible hyper-parameters."""
    hyper, _ = settings(row, {})
    for moved in [hyper, inputs.visible(hyper)] if hyper else [hyper]:
        for knobs in knob_choices(row):
            shown = {**knobs, **({} if moved is hyper else moved)}
            yield " ".join(f"{key}={value}" for key, value in shown.items()) or "default", moved, knobs


def function_subjects(row: Formulated, seed: int) -> list[Subject]:
    """One subject for each case of the row."""
    return [_subject(row, name, hyper, knobs, seed) for name, hyper, knobs in cases(row)]


def _subject(row: Formulated, case: str, hyper: dict[str, float], knobs: dict[str, Any], seed: int) -> Subject:
    def recorder(text: str, names: Mapping[str, Node], tape: list[Node]) -> Node:
        return record_row(row, text, names, tape, hyper, knobs)

    chosen: Mapping[str, Any] = {**hyper, **knobs}
    match row:
        case Activation():
            return _activation(row, case, chosen, recorder, seed)
        case Loss():
            return _loss(row, case, chosen, recorder, seed, hyper)
        case Regularizer():
            w = inputs.arguments(inputs.generator_for(row.name, seed), row.points, row.kinks)
            return _one_number(row, case, chosen, recorder, {"w": w}, {})
        case Metric():
            generator = inputs.generator_for(row.name, seed)
            shape = inputs.VECTORS if row.acts_on == "vector" else inputs.ELEMENTS
            data = {
                "y": inputs.domain(generator, row.prediction, shape),
                "t": inputs.domain(generator, row.target, shape),
            }
            data["y"].flat[: len(row.points)] = row.points
            return _values_only(row, case, chosen, recorder, data)
        case Initializer():
            draws = initializer_draws((5, 7), seed, row.name)
            return _values_only(
                row, case, chosen, recorder, {key: inputs.single(value) for key, value in draws.items()}
            )
    raise AssertionError(row.kind)


def _trace(function: Callable[[Any, Any], Any], params: Arrays, data: Arrays) -> Graph:
    return Graph.trace(function, shapes_of(params, data))


def _activation(row: Activation, case: str, chosen: Mapping[str, Any], recorder: Recorder, seed: int) -> Subject:
    generator = inputs.generator_for(row.name, seed)
    vector = row.acts_on == "vector"
    x = (
        inputs.far(inputs.hostile(generator, inputs.VECTORS, -3, 1.5))
        if vector
        else inputs.arguments(generator, row.points, row.kinks)
    )
    params, data = {"x": x}, {"weights": inputs.cotangents(generator, x.shape)}

    def forward(text: str) -> Graph:
        return _trace(lambda params, data: {"value": recorder(text, params, params["x"].tape)}, params, data)

    def scalar(text: str) -> Graph:
        def projected(params: Any, data: Any) -> Node:
            return GRAPH["sum"](data["weights"] * recorder(text, params, params["x"].tape))

        return _trace(projected, params, data)

    at_kink = [] if vector else [i for i in range(x.size) if x[i] in row.kinks]
    kinks = tuple(Kink("gradient", (i,), float(x[i]), float(data["weights"][i])) for i in at_kink)
    return Subject(
        case, chosen, forward(row.formula), params, data, scalar(row.formula),
        forward(row.definition) if row.definition else None,
        scalar(row.definition) if row.definition else None,
        elementwise=True, gradient_names={"x": "gradient"}, kinks=kinks, native_quantity="value",
    )  # fmt: skip


def _loss(
    row: Loss, case: str, chosen: Mapping[str, Any], recorder: Recorder, seed: int, hyper: Mapping[str, float]
) -> Subject:
    generator = inputs.generator_for(row.name, seed)
    shape = inputs.VECTORS if row.acts_on == "vector" else inputs.ELEMENTS
    y, t = inputs.domain(generator, row.prediction, shape), inputs.domain(generator, row.target, shape)
    if row.acts_on == "vector" and row.prediction == "real":
        y = inputs.far(y)
    if row.prediction == row.target == "real":  # differences at every magnitude, not only at that of y
        t = inputs.single(y - np.where(generator.random(shape) < 0.7, inputs.hostile(generator, shape, -4, 1), t))
        y[::3], t[::3] = inputs.hostile(generator, y[::3].shape, -13, -3), 0.0  # differences far below any threshold
        near = [factor * value for value in hyper.values() for factor in (-1.3, -1, -0.8, 0.8, 1, 1.3)]
        special = [*row.points, *row.kinks, *near]
        for index, value in zip(np.ndindex(shape), special, strict=False):
            y[index], t[index] = inputs.single([0.5 + value])[0], 0.5
    elif row.points:
        listed = [(value, label) for label in (0.0, 1.0) for value in row.points]  # each point with either label
        for index, (value, label) in zip(np.ndindex(shape), listed, strict=False):
            y[index] = inputs.single([value])[0]
            t[index] = label if row.target == "binary" else t[index]
    params, data = {"y": y}, {"t": t}

    def forward(text: str) -> Graph:
        def function(params: Any, data: Any) -> Any:
            value = recorder(text, {**params, **data}, params["y"].tape)
            return {"value": value, "loss": GRAPH["mean"](value)}

        return _trace(function, params, data)

    def scalar(text: str) -> Graph:
        return _trace(
            lambda params, data: GRAPH["mean"](recorder(text, {**params, **data}, params["y"].tape)), params, data
        )

    differences = y - t
    at_kink = [index for index in np.ndindex(shape) if differences[index] in row.kinks]
    kinks = tuple(Kink("gradient", index, float(differences[index]), 1 / y.size) for index in at_kink)
    return Subject(
        case, {**chosen, "reduction": "mean"}, forward(row.formula), params, data, scalar(row.formula),
        forward(row.definition) if row.definition else None,
        scalar(row.definition) if row.definition else None,
        elementwise=True, gradient_names={"y": "gradient"}, kinks=kinks, native_quantity="loss",
    )  # fmt: skip


def _one_number(
    row: Formulated, case: str, chosen: Mapping[str, Any], recorder: Recorder, params: Arrays, data: Arrays
) -> Subject:
    forward = _trace(lambda params, data: {"value": recorder(row.formula, params, params["w"].tape)}, params, data)
    scalar = _trace(lambda params, data: recorder(row.formula, params, params["w"].tape), params, data)
    w = params["w"]
    kinks = tuple(Kink("gradient", (i,), float(w[i]), 1.0) for i in range(w.size) if w[i] in row.kinks)
    return Subject(
        case, chosen, forward, params, data, scalar, elementwise=True, gradient_names={"w": "gradient"}, kinks=kinks
    )


def _values_only(row: Formulated, case: str, chosen: Mapping[str, Any], recorder: Recorder, data: Arrays) -> Subject:
    anchor = next(iter(data))
    forward = _trace(lambda params, data: {"value": recorder(row.formula, data, data[anchor].tape)}, {}, data)
    return Subject(case, chosen, forward, {}, data, elementwise=True)
