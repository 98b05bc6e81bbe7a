"""Reductions: how the numbers of a batch become one, in the conventions that frameworks use.

`value` is what a loss returns for a sample (or an element), times its weight where samples have weights; `weight` is
that weight. Which name a framework has for it differs, and so does what it divides by.
"""

from __future__ import annotations

from collections.abc import Mapping

from crossnn.catalogue.rows import Loss
from crossnn.errors import SpecError, UnknownNameError, unknown
from crossnn.formula.grammar import parse
from crossnn.formula.graph import GRAPH, Node, record

REDUCTIONS: Mapping[str, str] = {
    "mean": "mean(value)",  # torch mean, Keras sum_over_batch_size: weights are not divided by
    "sum": "sum(value)",  # torch sum
    "none": "value",
    "weighted_mean": "mean(value)/mean(weight)",  # torch.nn.CrossEntropyLoss(weight=), Keras mean_with_sample_weight
    "batch_mean": "sum(mean(value, axis=0))",  # torch batchmean: elements of a sample are added
    "sum_of_means": "sum(mean(value, axis=-1))",  # Keras sum: elements of a sample are averaged
}
"""Name -> formula; the mean is what every loss is checked with."""

CLASS_TARGETS = ("one_hot", "label")
"""Targets of which a weight of each class makes a weight of each sample."""

LABELS: Mapping[str, tuple[float, float]] = {"binary": (0.0, 1.0), "sign": (-1.0, 1.0)}
"""The two labels of targets that have two."""


def reduced(value: Node, by: str, weight: Node | None = None) -> Node:
    """The numbers of a batch as one (or, with `none`, as they are)."""
    if by not in REDUCTIONS:
        raise UnknownNameError(unknown("reduction", by, REDUCTIONS))
    formula = parse(REDUCTIONS[by])
    if weight is None and "weight" in formula.names:
        raise SpecError(f"reduction {by!r} divides by the weights: give weights of samples or classes")
    names = {"value": value} if weight is None else {"value": value * weight, "weight": weight}
    return record(formula, names, value.tape)


def weight_of_samples(row: Loss, weights: Node, y: Node, t: Node) -> Node:
    """The weight of each sample, from the weight of each class."""
    if row.target not in CLASS_TARGETS:
        raise SpecError(f"{row.name}: classes have weights where targets are classes, not {row.target}")
    return GRAPH["take"](weights, t) if row.target == "label" else GRAPH["sum"](weights * t, axis=-1)
