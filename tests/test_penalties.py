"""Regularizers, constraints and metrics by hand, on numbers that a reader can check."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossnn.catalogue.build import formula_graph, settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Constraint, Formulated, Metric, Regularizer
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Node, shape_of
from crossnn.formula.numpy_meaning import NUMPY

CATALOGUE = load_catalogue()


def number(node: Node) -> Any:
    return np.float64(node.options["value"])


def value(name: str, given: dict[str, Any], **inputs: Any) -> Any:
    row = CATALOGUE.find(name)
    assert isinstance(row, Formulated)
    arrays = {key: np.asarray(one) for key, one in inputs.items()}
    hyper, knobs = settings(row, given)
    graph = formula_graph(row, {key: shape_of(one) for key, one in arrays.items()}, hyper, knobs)
    return evaluate(graph, NUMPY, arrays, number)


W = [[3.0, -1.0], [-4.0, 0.0]]


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("l1", {"rate": 0.5}, 4.0),
        ("l2", {"rate": 0.5}, 13.0),
        ("l2", {"rate": 0.5, "halved": True}, 6.5),
        ("l1_l2", {"l1": 0.5, "l2": 0.1}, 4.0 + 2.6),
        ("activity", {"l1": 0.5, "l2": 0.1}, (4.0 + 2.6) / 2),
        ("activity", {"l1": 0.5, "l2": 0.1, "per_sample": False}, 4.0 + 2.6),
    ],
)
def test_a_regularizer(name: str, given: dict[str, Any], expected: float) -> None:
    assert float(value(name, given, w=W)) == pytest.approx(expected, rel=1e-15)


def test_activity_of_images_is_divided_by_samples_alone() -> None:
    w = np.ones((2, 3, 4, 5))
    assert float(value("activity", {"l1": 0.0, "l2": 1.0}, w=w)) == 60.0


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("non_negative", {}, [[3.0, 0.0], [0.0, 0.0]]),
        ("max_norm", {"limit": 2.5, "eps": 0.0, "eps_everywhere": True}, [[1.5, -1.0], [-2.0, 0.0]]),
        ("max_norm", {"limit": 2.5, "eps": 0.0, "eps_everywhere": False}, [[1.5, -1.0], [-2.0, 0.0]]),
        ("max_norm", {"limit": 2.5, "eps": 1.0, "eps_everywhere": True}, [[1.25, -0.5], [-10 / 6, 0.0]]),
        ("max_norm", {"limit": 2.5, "eps": 1.0, "eps_everywhere": False}, [[1.25, -1.0], [-10 / 6, 0.0]]),
        ("unit_norm", {"eps": 0.0}, [[0.6, -1.0], [-0.8, 0.0]]),
        ("min_max_norm", {"least": 2.0, "limit": 2.5, "eps": 0.0}, [[1.5, -2.0], [-2.0, 0.0]]),
        ("min_max_norm", {"least": 2.0, "limit": 2.5, "rate": 0.5, "eps": 0.0}, [[2.25, -1.5], [-3.0, 0.0]]),
    ],
)
def test_a_constraint_acts_on_the_columns(name: str, given: dict[str, Any], expected: Any) -> None:
    """The columns (3, -4) of length 5 and (-1, 0) of length 1: the weights that enter one unit."""
    np.testing.assert_allclose(value(name, given, w=W), expected, rtol=1e-15)


def test_the_norm_of_a_convolution_is_that_of_one_filter() -> None:
    w = np.random.default_rng(0).normal(size=(3, 3, 4, 5))
    found = value("unit_norm", {"eps": 0.0}, w=w)
    np.testing.assert_allclose(np.sum(found**2, axis=(0, 1, 2)), np.ones(5), rtol=1e-14)


# Six predictions: two true positives, one false positive, one false negative, two true negatives.
Y, T = [0.9, 0.8, 0.7, 0.2, 0.1, 0.3], [1.0, 1.0, 0.0, 1.0, 0.0, 0.0]
# Four samples of three classes, of which 1 is taken for 2 once.
SCORES = [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.1, 0.4, 0.5], [0.0, 0.3, 0.7]]
CLASSES = np.array([0, 1, 1, 2])


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("binary_accuracy", {}, 4 / 6),
        ("precision", {}, 2 / 3),
        ("recall", {}, 2 / 3),
        ("f1", {}, 2 / 3),
        ("precision", {"threshold": 0.75}, 1.0),
        ("recall", {"threshold": 0.15}, 1.0),
        ("f1", {"threshold": 0.75}, 4 / 5),
        ("dice_coefficient", {}, 2 / 3),
        ("jaccard_index", {}, 1 / 2),
        ("dice_coefficient", {"soft": True}, 2 * 1.9 / 6),
        ("jaccard_index", {"soft": True}, 1.9 / (3 + 3 - 1.9)),
    ],
)
def test_a_metric_of_two_classes(name: str, given: dict[str, Any], expected: float) -> None:
    assert float(value(name, given, y=Y, t=T)) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    ("name", "undefined"), [("precision", 0.0), ("recall", 0.0), ("f1", 0.0), ("dice_coefficient", 1.0)]
)
def test_a_share_of_nothing_is_what_the_row_says(name: str, undefined: float) -> None:
    nothing = {"y": [0.1, 0.2], "t": [0.0, 0.0]}
    assert float(value(name, {}, **nothing)) == undefined
    assert float(value(name, {"undefined": 0.25}, **nothing)) == 0.25


def test_metrics_of_several_classes() -> None:
    one_hot = np.eye(3)[CLASSES]
    assert float(value("categorical_accuracy", {}, y=SCORES, t=one_hot)) == 0.75
    assert float(value("sparse_categorical_accuracy", {}, y=SCORES, t=CLASSES)) == 0.75
    assert float(value("top_k_accuracy", {"k": 1.0}, y=SCORES, t=one_hot)) == 0.75
    assert float(value("top_k_accuracy", {"k": 2.0}, y=SCORES, t=one_hot)) == 1.0
    found = value("confusion_matrix", {}, y=SCORES, t=one_hot)
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 1, 1], [0, 0, 1]])
    # f1 of the classes: 1; 2*1/(1 + 2); 2*1/(2 + 1)
    assert float(value("macro_f1", {}, y=SCORES, t=one_hot)) == pytest.approx((1 + 2 / 3 + 2 / 3) / 3, rel=1e-15)


def test_metrics_of_numbers() -> None:
    y, t = [[1.0], [2.0], [4.0]], [[1.0], [3.0], [5.0]]
    assert float(value("mean_squared_error", {}, y=y, t=t)) == pytest.approx(2 / 3, rel=1e-15)
    assert float(value("mean_absolute_error", {}, y=y, t=t)) == pytest.approx(2 / 3, rel=1e-15)
    assert float(value("root_mean_squared_error", {}, y=y, t=t)) == pytest.approx(math.sqrt(2 / 3), rel=1e-15)
    assert float(value("r2", {}, y=y, t=t)) == pytest.approx(1 - 2 / 8, rel=1e-15)
    assert float(value("r2", {}, y=[[3.0], [3.0], [3.0]], t=t)) == 0.0
    constant = [[2.0], [2.0]]
    assert float(value("r2", {}, y=constant, t=constant)) == 1.0
    assert float(value("r2", {}, y=[[1.0], [2.0]], t=constant)) == 0.0


def test_the_relations_between_metrics() -> None:
    """f1 is the harmonic mean of precision and recall, and the Dice coefficient; J = D/(2 - D)."""
    generator = np.random.default_rng(2)
    data = {"y": generator.random(50), "t": (generator.random(50) < 0.4).astype(float)}
    p, r, f, d, j = (
        float(value(name, {}, **data)) for name in ("precision", "recall", "f1", "dice_coefficient", "jaccard_index")
    )
    assert f == pytest.approx(2 * p * r / (p + r), rel=1e-14)
    assert d == pytest.approx(f, rel=1e-15)
    assert j == pytest.approx(d / (2 - d), rel=1e-14)


def test_every_row_is_done_by_hand() -> None:
    """A new regularizer, constraint or metric is worth three lines here."""
    source = Path(__file__).read_text("utf-8")
    rows = [row.name for row in CATALOGUE.rows.values() if isinstance(row, Regularizer | Constraint | Metric)]
    known = {"binary_accuracy_logits"}  # the same formula at another threshold; its points are tested by the check
    assert not [name for name in rows if f'"{name}"' not in source and name not in known]
