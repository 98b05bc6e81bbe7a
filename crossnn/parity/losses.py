"""Subjects of losses: the value of every sample and the mean, other reductions, the ends of the domain, no samples.

Everything that a loss row states is judged in one computation: to the batch, which keeps away from infinities, come
predictions at the ends of the domain (`ends`), each one a batch of its own, so that an infinity spoils nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.catalogue.build import kinks_of, record_row, settings
from crossnn.catalogue.reductions import LABELS, reduced, weight_of_samples
from crossnn.catalogue.rows import Loss, Reduction
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.formula.shapes import Shape
from crossnn.parity import inputs
from crossnn.parity.subject import Arrays, Kink, Subject, shapes_of

Cases = Iterator[tuple[str, dict[str, float], dict[str, Any]]]
WEIGHTS = "loss weights"
"""The input that holds the weights of samples or classes."""
SHORT = 1e-5
"""The length of one vector among those whose directions are compared."""


def loss_subjects(row: Loss, cases: Cases, seed: int) -> list[Subject]:
    """The mean in every case of the row, then other reductions at the defaults."""
    found = [_LossSubject(row, hyper, knobs, Reduction(), seed).subject(case) for case, hyper, knobs in cases]
    for one in row.reductions:
        words = [f"{one.by} of losses", f"weights of each {one.weights}" if one.weights else ""]
        case = ", ".join([*filter(None, words), *(["no samples"] if one.samples == 0 else [])])
        found.append(_LossSubject(row, *settings(row, {}), one, seed).subject(case))
    return found


class _LossSubject:
    """A loss with its settings, reduction and drawn inputs."""

    def __init__(self, row: Loss, hyper: dict[str, float], knobs: dict[str, Any], by: Reduction, seed: int) -> None:
        self.row, self.hyper, self.knobs, self.by = row, hyper, knobs, by
        generator = inputs.generator_for(row.name, seed)
        self.params, self.data = loss_inputs(row, generator, hyper, knobs)
        self.total = "value" if by.by == "none" else "loss of no samples" if by.samples == 0 else "loss"
        self.ends: dict[str, str] = {}
        if by.samples is not None:
            self.params, self.data = (
                {k: v[: by.samples] for k, v in tree.items()} for tree in (self.params, self.data)
            )
        elif by == Reduction():
            self._add_ends()
        samples = self.params["y"].shape[0]
        if by.weights == "class":
            self.data[WEIGHTS] = inputs.single(generator.uniform(0.3, 2.7, (self.params["y"].shape[-1],)))
        elif by.weights == "sample":
            width = [1] * (len(self._value_shape()) - 1)
            self.data[WEIGHTS] = inputs.single(generator.uniform(0.3, 2.7, (samples, *width)))
        if by.by == "none":
            self.data["weights"] = inputs.cotangents(generator, self._value_shape())

    def _add_ends(self) -> None:
        """Batches of one: each end with either label, or a certain prediction that is right, and one that is wrong."""
        if self.row.acts_on == "vector" and self.row.ends:
            corner, other = np.eye(self.params["y"].shape[-1])[:2, None, :]
            found = {"y right": (corner, corner), "y wrong": (corner, other)}
            if self.row.target == "label":
                found = {name: (y, np.argmax(t, axis=-1)) for name, (y, t) in found.items()}
        else:
            pairs = [(end, label) for end in self.row.ends for label in LABELS[self.row.target]]
            found = {f"y={end:g} t={label:g}": (np.array([[end]]), np.array([[label]])) for end, label in pairs}
        for name, (y, t) in found.items():
            self.params[name], self.data[f"target of {name}"] = y, t
            self.ends[name] = f"target of {name}"

    def _record(self, text: str, names: Mapping[str, Node]) -> Node:
        tape = names["y"].tape
        return record_row(self.row, text, names, tape, self.hyper, self.knobs)

    def _value_shape(self) -> Shape:
        names = [name for name in (*self.params, *self.data) if name in ("y", "t", *self.row.inputs)]
        both = {**self.params, **self.data}
        shapes = shapes_of({name: both[name] for name in names}, {})["params"]
        shape: Shape = Graph.trace(lambda **given: self._record(self.row.formula, given), shapes).result.shape
        return shape

    def _results(self, text: str, params: Mapping[str, Node], data: Mapping[str, Node]) -> dict[str, Node]:
        """Everything that is compared: the value of each sample, the reduced loss, the loss at each end."""
        both = {**params, **data}
        names = {name: both[name] for name in both if name in ("y", "t", *self.row.inputs)}
        value = self._record(text, names)
        weight = both.get(WEIGHTS)
        if weight is not None and self.by.weights == "class":
            weight = weight_of_samples(self.row, weight, names["y"], names["t"])
        total = reduced(value, self.by.by, weight)
        found = {"value": value, self.total: total}
        for name, target in self.ends.items():
            found[f"at {name}"] = GRAPH["mean"](self._record(text, {"y": params[name], "t": data[target]}))
        return {self.total: total} if self.by.samples == 0 else found

    def subject(self, case: str) -> Subject:
        shapes = shapes_of(self.params, self.data)

        def forward(text: str) -> Graph:
            return Graph.trace(lambda params, data: self._results(text, params, data), shapes)

        def scalar(text: str) -> Graph:
            def function(params: Any, data: Any) -> Node:
                found = self._results(text, params, data)
                first = found[self.total]
                if self.by.by == "none":
                    first = GRAPH["sum"](data["weights"] * first)
                for name in self.ends:
                    first = GRAPH["add"](first, found[f"at {name}"])
                return first

            return Graph.trace(function, shapes)

        definition = self.row.definition
        arguments = ("y", *(self.row.inputs or ("t",)))
        chosen = {**self.hyper, **self.knobs, "reduction": self.by.by, "weights": self.by.weights}
        return Subject(
            case, chosen, forward(self.row.formula), self.params, self.data, scalar(self.row.formula),
            forward(definition) if definition else None, scalar(definition) if definition else None,
            elementwise=True, gradient_names=self._gradient_names(), kinks=self._kinks(),
            calls={
                self.total: (*arguments, *([WEIGHTS] if self.by.weights else [])),
                **{f"at {name}": (name, target) for name, target in self.ends.items()},
            },
            tabulated=self.by.samples == 0, order=(self.total,) if self.by.samples == 0 else (),
        )  # fmt: skip

    def _gradient_names(self) -> dict[str, str]:
        found = {name: f"gradient of {name}" for name in self.row.inputs}
        return {"y": "gradient", **found, **{name: f"slope at {name}" for name in self.ends}}

    def _kinks(self) -> tuple[Kink, ...]:
        at = kinks_of(self.row, self.hyper, self.knobs)
        if not at or "t" not in self.data:
            return ()
        y, difference = self.params["y"], self.params["y"] - self.data["t"]
        places = [index for index in np.ndindex(y.shape) if difference[index] in at]
        return tuple(Kink("gradient", index, float(difference[index]), 1 / y.size) for index in places)


def loss_inputs(
    row: Loss, generator: np.random.Generator, hyper: Mapping[str, float], knobs: Mapping[str, Any]
) -> tuple[Arrays, Arrays]:
    """(params, data): prediction and target from their domains, with every listed point and every threshold."""
    shape = inputs.VECTORS if row.acts_on == "vector" else inputs.ELEMENTS
    y, t = inputs.domain(generator, row.prediction, shape), inputs.domain(generator, row.target, shape)
    if row.target == "simplex":  # with zeros, of which 0*log(0) is 0
        t = inputs.single(np.where(t < 0.03, 0.0, t) / np.sum(t, axis=-1, keepdims=True, where=t >= 0.03))
    if row.inputs:
        further = {name: inputs.domain(generator, domain, shape) for name, domain in row.inputs.items()}
        return {"y": y, **further}, {}
    if row.acts_on == "vector":
        if row.prediction == row.target == "real":
            y[0] *= SHORT / np.linalg.norm(y[0])  # nothing that is added to a length may hide
        return {"y": inputs.far(y) if row.prediction == "real" and row.target != "real" else inputs.single(y)}, {"t": t}
    if row.prediction == row.target == "real":  # differences at every magnitude, not only at that of y
        t = inputs.single(y - np.where(generator.random(shape) < 0.7, inputs.hostile(generator, shape, -4, 1), t))
        y[::3], t[::3] = inputs.hostile(generator, y[::3].shape, -13, -3), 0.0  # differences far below any threshold
        near = [factor * value for value in hyper.values() for factor in (-1.3, -1, -0.8, 0.8, 1, 1.3)]
        special = [*row.points, *kinks_of(row, hyper, knobs), *near]
        for index, value in zip(np.ndindex(shape), special, strict=False):
            y[index], t[index] = inputs.single([0.5 + value])[0], 0.5
    elif row.points:
        labels = LABELS.get(row.target, (None,))
        listed = [(value, label) for label in labels for value in row.points]  # each point with each label
        for index, (value, label) in zip(np.ndindex(shape), listed, strict=False):
            y[index] = inputs.single([value])[0]
            t[index] = t[index] if label is None else label
    return {"y": y}, {"t": t}
