"""Losses by hand: a value each from paper and pencil, reductions and weights, the ends of a probability, no samples."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import pytest

from crossnn.catalogue.build import formula_graph, settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.reductions import REDUCTIONS, reduced, weight_of_samples
from crossnn.catalogue.rows import Formulated, Loss
from crossnn.catalogue.validate import check_values
from crossnn.errors import SpecError, UnknownNameError
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Graph, Node, shape_of
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.parity.check import check, subjects_of
from crossnn.parity.subject import Subject
from crossnn.runs.cell import Cell

CATALOGUE = load_catalogue()
LOSSES = [row for row in CATALOGUE.rows.values() if isinstance(row, Loss)]
ln, e = math.log, math.e


def loss(name: str) -> Loss:
    row = CATALOGUE.find(name)
    assert isinstance(row, Loss)
    return row


def number(node: Node) -> Any:
    return np.float64(node.options["value"])


def value(row: Formulated, given: dict[str, Any], inputs: dict[str, Any]) -> Any:
    """The formula's value in plain NumPy."""
    arrays = {name: np.asarray(one) for name, one in inputs.items()}
    arrays = {name: one.astype(float) if one.dtype.kind != "i" or name != "t" else one for name, one in arrays.items()}
    hyper, knobs = settings(row, given)
    graph = formula_graph(row, {name: shape_of(one) for name, one in arrays.items()}, hyper, knobs)
    return evaluate(graph, NUMPY, arrays, number)


BY_HAND: dict[str, tuple[Any, Any, float]] = {
    "mse": (3.0, 1.0, 4.0),
    "half_squared_error": (3.0, 1.0, 2.0),
    "rmse": ([3.0, 1.0], [1.0, 1.0], math.sqrt(2)),
    "mae": (3.0, 1.0, 2.0),
    "mean_squared_arctangent": (1.0, 2.0, (math.pi / 4) ** 2),
    "huber": (4.0, 1.0, 2.5),
    "smooth_l1": (4.0, 1.0, 2.5),
    "log_cosh": (2.0, 1.0, ln((e + 1 / e) / 2)),
    "poisson": (2.0, 3.0, 2 - 3 * ln(2 + 1e-7)),
    "poisson_log": (ln(2), 3.0, 2 - 3 * ln(2)),
    "binary_crossentropy": (0.25, 1.0, ln(4)),
    "binary_crossentropy_logits": (0.0, 1.0, ln(2)),
    "weighted_binary_crossentropy": (0.25, 1.0, 2 * ln(4)),
    "weighted_binary_crossentropy_logits": (0.0, 1.0, 2 * ln(2)),
    "balanced_binary_crossentropy": (0.25, 0.0, 0.3 * ln(4 / 3)),
    "balanced_binary_crossentropy_logits": (0.0, 0.0, 0.3 * ln(2)),
    "focal": (0.8, 1.0, 0.25 * 0.2**2 * ln(1.25)),
    "focal_logits": (0.0, 0.0, 0.75 * 0.5**2 * ln(2)),
    "hinge": (0.25, 1.0, 0.75),
    "perceptron_loss": (-0.25, 1.0, 0.25),
    "squared_hinge": (-0.5, 1.0, 2.25),
    "logistic_margin": (0.0, -1.0, ln(2)),
    "categorical_crossentropy": ([[0.2, 0.5, 0.3]], [[0.0, 1.0, 0.0]], ln(2)),
    "categorical_crossentropy_logits": ([[1.0, 1.0, 1.0]], [[0.0, 1.0, 0.0]], ln(3)),
    "smoothed_crossentropy_logits": ([[0.0, ln(3)]], [[1.0, 0.0]], 0.95 * ln(4) + 0.05 * ln(4 / 3)),
    "sparse_categorical_crossentropy": ([[0.2, 0.5, 0.3]], [1], ln(2)),
    "sparse_categorical_crossentropy_logits": ([[1.0, 1.0, 1.0]], [2], ln(3)),
    "kl_divergence": ([[0.25, 0.75, 0.0]], [[0.5, 0.5, 0.0]], ln(2) / 2 + ln(2 / 3) / 2),
    "dice": ([[1.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]], 1 - 2 / (4 + 1e-7)),
    "jaccard": ([[1.0, 0.0, 1.0]], [[1.0, 1.0, 0.0]], 1 - 1 / (3 + 1e-7)),
    "cosine_similarity": ([[1.0, 0.0]], [[1.0, 1.0]], -1 / math.sqrt(2)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name: str) -> None:
    y, t, expected = BY_HAND[name]
    assert float(np.squeeze(value(loss(name), {}, {"y": y, "t": t}))) == pytest.approx(expected, rel=1e-13)


def test_every_loss_is_done_by_hand() -> None:
    assert {row.name for row in LOSSES} == {*BY_HAND, "triplet"}


@pytest.mark.parametrize(("distance", "expected"), [("shifted", 6.0), ("rooted", 6.0), ("squared", 76.0)])
def test_triplet_by_hand(distance: str, expected: float) -> None:
    """Twice as far from the positive as from the negative: 10 - 5 + 1, or 100 - 25 + 1; and nothing the other way."""
    far, near = [[6.0, 8.0]], [[3.0, 4.0]]
    given = {"distance": distance, "eps": 0.0}
    worse = value(loss("triplet"), given, {"y": [[0.0, 0.0]], "positive": far, "negative": near})
    better = value(loss("triplet"), given, {"y": [[0.0, 0.0]], "positive": near, "negative": far})
    assert (worse[0], better[0]) == (expected, 0.0)


def test_dice_with_squares_in_the_denominator() -> None:
    """p = (1/2, 0, 1), t = (1, 1, 0): 2*p.t = 1, p.p + t.t = 5/4 + 2."""
    found = value(loss("dice"), {"squared": True, "eps": 0.0}, {"y": [[0.5, 0.0, 1.0]], "t": [[1.0, 1.0, 0.0]]})
    assert found[0] == pytest.approx(1 - 1 / 3.25, rel=1e-15)


def test_numbers_of_the_lectures() -> None:
    """S3-65: a logit of 10 costs 4.5399e-5; S3-66: a logit of -1 with label 0 costs 0.3132617; S1-17: arctan(e)**2 is
    never above e**2; S0-33: J = D/(2 - D)."""
    logits = loss("binary_crossentropy_logits")
    assert float(value(logits, {}, {"y": 10.0, "t": 1.0})) == pytest.approx(4.5399e-5, rel=1e-4)
    assert float(value(logits, {}, {"y": -1.0, "t": 0.0})) == pytest.approx(0.3132617, abs=5e-8)
    errors = np.linspace(-30, 30, 1001)
    assert np.all(value(loss("mean_squared_arctangent"), {}, {"y": errors, "t": 0 * errors}) <= errors**2)
    generator = np.random.default_rng(0)
    inputs = {"y": generator.random((20, 7)), "t": (generator.random((20, 7)) < 0.5).astype(float)}
    d, j = (1 - value(loss(name), {"eps": 0.0}, inputs) for name in ("dice", "jaccard"))
    np.testing.assert_allclose(j, d / (2 - d), rtol=1e-12)


@pytest.mark.parametrize(
    ("one", "other", "given"),
    [
        ("binary_crossentropy", "weighted_binary_crossentropy", {"beta": 1.0}),
        ("binary_crossentropy_logits", "weighted_binary_crossentropy_logits", {"beta": 1.0}),
    ],
)
def test_without_weights_the_weighted_loss_is_the_plain_one(one: str, other: str, given: dict[str, Any]) -> None:
    inputs = {"y": np.array([0.1, 0.7, 0.2]), "t": np.array([0.0, 1.0, 1.0])}
    np.testing.assert_allclose(value(loss(other), given, inputs), value(loss(one), {}, inputs), rtol=1e-15)


@pytest.mark.parametrize(
    ("probabilities", "logits"),
    [
        ("binary_crossentropy", "binary_crossentropy_logits"),
        ("weighted_binary_crossentropy", "weighted_binary_crossentropy_logits"),
        ("balanced_binary_crossentropy", "balanced_binary_crossentropy_logits"),
        ("focal", "focal_logits"),
    ],
)
def test_logits_are_probabilities_before_the_sigmoid(probabilities: str, logits: str) -> None:
    y, t = np.array([-3.0, -0.2, 0.5, 4.0]), np.array([0.0, 1.0, 0.0, 1.0])
    found = value(loss(probabilities), {}, {"y": 1 / (1 + np.exp(-y)), "t": t})
    np.testing.assert_allclose(value(loss(logits), {}, {"y": y, "t": t}), found, rtol=1e-13)


def test_labels_are_places_in_one_hot_targets() -> None:
    y, labels = np.random.default_rng(1).normal(size=(5, 4)), np.array([3, 0, 1, 1, 2])
    sparse = value(loss("sparse_categorical_crossentropy_logits"), {}, {"y": y, "t": labels})
    dense = value(loss("categorical_crossentropy_logits"), {}, {"y": y, "t": np.eye(4)[labels]})
    np.testing.assert_array_equal(sparse, dense)


# Reductions ----------------------------------------------------------------------------------------------------------

VALUES = np.array([[1.0, 4.0], [9.0, 16.0], [25.0, 36.0]])
WEIGHTS = np.array([[1.0], [2.0], [3.0]])


@pytest.mark.parametrize(
    ("by", "weighted", "expected"),
    [
        ("mean", False, 91 / 6),
        ("sum", False, 91.0),
        ("batch_mean", False, 91 / 3),
        ("sum_of_means", False, 91 / 2),
        ("mean", True, (5 + 50 + 183) / 6),
        ("sum", True, 5.0 + 50 + 183),
        ("weighted_mean", True, (2.5 + 25 + 91.5) / 6),
    ],
)
def test_a_reduction_by_hand(by: str, weighted: bool, expected: float) -> None:
    def function(value: Node, weight: Node) -> Node:
        return reduced(value, by, weight if weighted else None)

    graph = Graph.trace(function, {"value": VALUES.shape, "weight": WEIGHTS.shape})
    assert evaluate(graph, NUMPY, {"value": VALUES, "weight": WEIGHTS}, number) == pytest.approx(expected, rel=1e-15)


def test_ends_are_judged_with_both_labels_or_refused() -> None:
    (subject,) = (one for one in subjects_of("logistic_margin", (), 0) if one.case == "default")
    assert isinstance(subject, Subject)
    ends = {f"at y={end} t={label}" for end in (-800, 800) for label in (-1, 1)}
    assert {name for name in subject.quantities if "at y" in name} == ends | {f"slope {name}" for name in ends}
    with pytest.raises(SpecError, match="target = 'real' has none; allowed here: binary, sign"):
        check_values(msgspec.structs.replace(loss("mse"), ends=[3.0]))


def test_reductions_refuse_what_they_cannot_do() -> None:
    anchor = Node([], "input", shape=(3,), name="value")
    with pytest.raises(UnknownNameError, match="did you mean 'mean'"):
        reduced(anchor, "maen")
    with pytest.raises(SpecError, match="divides by the weights"):
        reduced(anchor, "weighted_mean")
    with pytest.raises(SpecError, match="classes have weights where targets are classes"):
        weight_of_samples(loss("mse"), anchor, anchor, anchor)


@pytest.mark.parametrize("name", ["categorical_crossentropy_logits", "sparse_categorical_crossentropy_logits"])
def test_the_weight_of_a_sample_is_that_of_its_class(name: str) -> None:
    labels = np.array([2, 0, 1])
    t = labels if loss(name).target == "label" else np.eye(3)[labels]

    def function(weights: Node, t: Node) -> Node:
        return weight_of_samples(loss(name), weights, t, t)

    graph = Graph.trace(function, {"weights": (3,), "t": shape_of(t)})
    found = evaluate(graph, NUMPY, {"weights": np.array([0.5, 1.0, 2.0]), "t": t}, number)
    np.testing.assert_array_equal(found, [2.0, 0.5, 1.0])


def test_every_reduction_is_checked_somewhere() -> None:
    checked = {one.by for row in LOSSES for one in row.reductions}
    assert checked | {"mean"} == set(REDUCTIONS)
    assert {one.weights for row in LOSSES for one in row.reductions} == {"", "sample", "class"}


# Ends and nothing ----------------------------------------------------------------------------------------------------


def subject(name: str, **settings_: Any) -> Subject:
    found = [one for one in subjects_of(name, (), 0) if settings_.items() <= one.settings.items()]
    assert found
    assert isinstance(found[0], Subject)
    return found[0]


@pytest.mark.parametrize(
    ("clip", "wrong", "right", "slope"),
    [
        ("none", math.inf, 0.0, -math.inf),
        ("ends", -ln(1e-7), -math.log1p(-1e-7), 0.0),
        ("log", 100.0, 0.0, 0.0),
    ],
)
def test_cross_entropy_at_the_ends_of_a_probability(clip: str, wrong: float, right: float, slope: float) -> None:
    """A certain prediction that is wrong costs infinity, or what the convention allows; one that is right nothing."""
    truth = subject("binary_crossentropy", clip=clip).truth
    for end in (0, 1):
        assert truth[f"at y={end} t={1 - end}"].hi == pytest.approx(wrong, rel=1e-14)
        assert truth[f"at y={end} t={end}"].hi == pytest.approx(right, rel=1e-14, abs=0)
    assert truth["slope at y=0 t=1"].hi.item() == slope
    assert truth["slope at y=1 t=0"].hi.item() == -slope
    assert np.all(np.isfinite(truth["loss"].hi))
    assert np.all(np.isfinite(truth["gradient"].hi))


@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy", "kl_divergence"])
def test_a_certain_prediction(name: str) -> None:
    truth = subject(name, clip="none").truth
    assert (truth["at y right"].hi.item(), truth["at y wrong"].hi.item()) == (0, math.inf)
    assert truth["slope at y right"].hi.tolist()[0][:2] == [-1.0, 0.0]


@pytest.mark.parametrize("name", ["mse", "binary_crossentropy", "categorical_crossentropy_logits"])
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_the_loss_of_no_samples_is_tabulated_and_not_judged(name: str, mode: str) -> None:
    found = check(Cell(task="check", spec=name, backend="numpy", mode=mode))
    (empty,) = [record for record in found if "no samples" in record.case]
    assert (empty.verdict, empty.quantity) == ("KINK", "loss of no samples")
    assert empty.worst is not None
    assert (empty.worst.expected, empty.worst.actual) == ("a convention", "nan")
