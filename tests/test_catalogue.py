"""From rows to graphs: knobs and hyper-parameters, networks with branches, initializers, what a setting may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crossnn.catalogue.build import (
    constant_value,
    default_knobs,
    formula_graph,
    knob_choices,
    settings,
)
from crossnn.catalogue.initial import initialize, initializer_draws
from crossnn.catalogue.load import digest, load_catalogue, read_text
from crossnn.catalogue.network import (
    add_regularizers,
    assemble,
    draw_masks,
    initial_parameters,
)
from crossnn.catalogue.rows import Formulated, Initializer, Network, Optimizer
from crossnn.catalogue.updates import initial_state, update_graph
from crossnn.errors import SpecError, UnknownNameError
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Node
from crossnn.formula.numpy_meaning import NUMPY

CATALOGUE = load_catalogue()


def optimizer(name: str) -> Optimizer:
    row = CATALOGUE.find(name)
    assert isinstance(row, Optimizer)
    return row


def network(name: str) -> Network:
    row = CATALOGUE.find(name)
    assert isinstance(row, Network)
    return row


def number(node: Node) -> Any:
    return np.float64(node.options["value"])


def step(name: str, knobs: dict[str, Any], **hyper: float) -> tuple[float, dict[str, float]]:
    """One update of w = 1 with g = 0.5 from the initial state."""
    row = optimizer(name)
    values, chosen = settings(row, {**hyper, **knobs})
    graph = update_graph(row, {"w": ()}, values, chosen)
    state = initial_state(row, values, {"w": np.array(1.0)})
    arguments = {"params": {"w": 1.0}, "gradients": {"w": 0.5}, "state": state, "lr": values["lr"], "t": 1.0}
    params, slots = evaluate(graph, NUMPY, arguments, number)
    return float(params["w"]), {slot: float(tree["w"]) for slot, tree in slots.items()}


def test_every_combination_of_knobs_the_default_first() -> None:
    found = list(knob_choices(optimizer("adam")))
    assert found[0] == default_knobs(optimizer("adam")) == {"eps_place": "outside", "bias_correction": True}
    assert len(found) == 6
    assert len({tuple(one.items()) for one in found}) == 6
    assert list(knob_choices(CATALOGUE.find("relu"))) == [{}]


@pytest.mark.parametrize(
    ("name", "knobs", "hyper", "w"),
    [
        ("sgd", {}, {"lr": 0.1}, 1 - 0.1 * 0.5),
        ("momentum", {}, {"lr": 0.1}, 1 - 0.1 * 0.5),
        ("nesterov", {}, {"lr": 0.1, "rho": 0.9}, 1 - 0.1 * (0.5 + 0.9 * 0.5)),
        ("adagrad", {}, {"lr": 0.1, "eps": 0.5}, 1 - 0.1 * 0.5 / (0.5 + 0.5)),
        ("adagrad", {"eps_place": "inside"}, {"lr": 0.1, "eps": 0.75}, 1 - 0.1 * 0.5 / 1.0),
        ("adagrad", {}, {"lr": 0.1, "eps": 0.0, "initial_accumulator": 0.75}, 1 - 0.1 * 0.5 / 1.0),
        ("rmsprop", {"centered": True}, {"lr": 0.1, "rho": 0.5, "eps": 0.0}, 1 - 0.1 * 0.5 / 0.25),
        ("adam", {}, {"lr": 0.1, "eps": 0.5}, 1 - 0.1 * 0.5 / (0.5 + 0.5)),
        ("adam", {"eps_place": "inside"}, {"lr": 0.1, "eps": 0.75}, 1 - 0.1 * 0.5 / 1.0),
        ("adam", {"bias_correction": False}, {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.0}, 1 - 0.1),
    ],
)  # fmt: skip
def test_first_steps_by_hand(name: str, knobs: dict[str, Any], hyper: dict[str, float], w: float) -> None:
    assert step(name, knobs, **hyper)[0] == pytest.approx(w, rel=1e-14)


def test_state_may_start_at_a_hyper_parameter() -> None:
    assert step("adagrad", {}, initial_accumulator=0.3)[1] == {"a": pytest.approx(0.55)}
    assert initial_state(optimizer("adam"), {}, {"w": np.ones(())}) == {"m": {"w": 0.0}, "v": {"w": 0.0}}
    with pytest.raises(SpecError, match="starts as 'initial_accumulator'; known: w"):
        initial_state(optimizer("adagrad"), {}, {})


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"eps_place": "beside"}, SpecError, "allowed: hat, inside, outside"),
        ({"bias_correction": 3}, SpecError, "knob bias_correction = 3"),
        ({"beta1": "high"}, SpecError, "beta1 must be a number"),
        ({"beta1": True}, SpecError, "beta1 must be a number"),
        ({"beta": 0.9}, UnknownNameError, "did you mean 'beta"),
    ],
)
def test_settings_refuse_what_does_not_exist(given: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        settings(CATALOGUE.find("adam"), given)


def test_a_constant_formula_has_a_value() -> None:
    assert constant_value("1 - rate", {"rate": 0.25}) == 0.75


def test_formula_of_another_text_and_value() -> None:
    row = CATALOGUE.find("elu")
    assert isinstance(row, Formulated)
    x = np.array([-1.0, 2.0])
    for alpha in (1.0, 0.3):
        graph = formula_graph(row, {"x": (2,)}, {"alpha": alpha})
        value = evaluate(graph, NUMPY, {"x": x}, number)
        np.testing.assert_allclose(value, [alpha * np.expm1(-1), 2], rtol=1e-15)
    slope = evaluate(formula_graph(row, {"x": (2,)}, text="f*2"), NUMPY, {"x": x}, number)
    np.testing.assert_allclose(slope, [2 * np.expm1(-1), 4], rtol=1e-15)


# Networks -----------------------------------------------------------------------------------------------------------


def assembled(name: str, batch: int = 3, **rest: Any) -> Any:
    row = network(name)
    return assemble(row, CATALOGUE, Node([], "input", shape=(batch, *row.input), name="x"), **rest)


def test_shapes_and_names_follow_from_the_layers() -> None:
    mlp = assembled("mlp", 5)
    assert mlp.layers == ["flatten", "hidden1", "relu1", "dropout", "hidden2", "relu2", "logits"]
    assert {name: node.shape for name, node in mlp.params.items()} == {
        "hidden1.kernel": (64, 64), "hidden1.bias": (64,), "hidden2.kernel": (64, 32), "hidden2.bias": (32,),
        "logits.kernel": (32, 10), "logits.bias": (10,),
    }  # fmt: skip
    assert mlp.prediction.shape == (5, 10)
    assert mlp.initializers["hidden1.kernel"].name == "he_normal"
    assert mlp.initializers["hidden1.bias"].name == "zeros"
    assert {name: law.keep for name, law in mlp.laws.items()} == {"dropout.mask": pytest.approx(0.8)}


def test_dropout_is_gone_in_inference() -> None:
    assert not assembled("mlp", training=False).draws
    trained = assembled("mlp", training=False)
    assert trained.outputs["dropout"] is trained.outputs["relu1"]


def test_a_residual_reads_two_layers() -> None:
    found = assembled("residual_mlp")
    node = found.outputs["residual"]
    assert [child.name for child in node.inputs] == ["soft", "tanh1"]


def test_initial_parameters_depend_on_seed_and_name_alone() -> None:
    mlp, wide = assembled("mlp"), assembled("mlp", 50)
    one, again, other = initial_parameters(mlp, 3), initial_parameters(wide, 3), initial_parameters(mlp, 4)
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["hidden1.kernel"], other["hidden1.kernel"])
    assert not np.any(one["hidden1.bias"])
    kernel = one["hidden1.kernel"]
    assert np.std(kernel) == pytest.approx(np.sqrt(2 / 64), rel=0.05)


def initializer(name: str) -> Initializer:
    row = CATALOGUE.find(name)
    assert isinstance(row, Initializer)
    return row


@pytest.mark.parametrize(
    ("name", "low", "high", "std"),
    [
        ("uniform", -0.05, 0.05, 0.1 / np.sqrt(12)),
        ("normal", -0.4, 0.4, 0.05),
        ("truncated_normal", -0.1, 0.1, 0.05 * 0.8796),
        ("glorot_uniform", -np.sqrt(6 / 500), np.sqrt(6 / 500), np.sqrt(2 / 500)),
        ("glorot_normal", -1, 1, np.sqrt(2 / 500)),
        ("he_uniform", -np.sqrt(6 / 200), np.sqrt(6 / 200), np.sqrt(2 / 200)),
        ("he_normal", -1, 1, np.sqrt(2 / 200)),
        ("lecun_uniform", -np.sqrt(3 / 200), np.sqrt(3 / 200), np.sqrt(1 / 200)),
        ("lecun_normal", -1, 1, np.sqrt(1 / 200)),
        ("orthogonal", -1, 1, np.sqrt(1 / 300)),
    ],
)
def test_initializers_have_their_spread(name: str, low: float, high: float, std: float) -> None:
    drawn = initialize(initializer(name), (200, 300), 0, "kernel")
    assert low <= drawn.min() < drawn.max() <= high
    assert np.std(drawn) == pytest.approx(std, rel=0.02)
    assert abs(np.mean(drawn)) < std / 50


@pytest.mark.parametrize("name", ["glorot_normal", "he_normal", "lecun_normal"])
def test_truncation_keeps_the_deviation(name: str) -> None:
    """The standard deviation is that of the draws before truncation, as the papers want it; none lies beyond two
    deviations of the wider distribution (Keras VarianceScaling)."""
    row = initializer(name)
    draws = initializer_draws(row, (200, 300), 0, "kernel")
    graph = formula_graph(row, {key: value.shape for key, value in draws.items()}, {}, {"truncated": True})
    drawn = evaluate(graph, NUMPY, draws, number)
    std = np.std(initialize(row, (200, 300), 0, "kernel"))
    assert np.std(drawn) == pytest.approx(std, rel=0.02)
    assert np.max(np.abs(drawn)) <= 2 / 0.8796 * std * 1.02


@pytest.mark.parametrize("shape", [(7, 7), (9, 4), (4, 9), (3, 3, 2, 5), (2, 2, 40), (6,), (1, 8)])
def test_an_orthogonal_parameter_has_orthonormal_rows_or_columns(shape: tuple[int, ...]) -> None:
    """Of the matrix whose rows are all axes but the last: columns where it is tall, rows where it is wide."""
    drawn = initialize(initializer("orthogonal"), shape, 3, "kernel", {"gain": 1.7})
    assert drawn.shape == shape
    matrix = drawn.reshape(-1, shape[-1])
    narrow = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    np.testing.assert_allclose(narrow.T @ narrow, 1.7**2 * np.eye(narrow.shape[1]), atol=1e-14)


def test_orthogonal_parameters_have_no_preferred_sign() -> None:
    """The diagonal of R is made positive: without that, LAPACK's sign convention biases the first entry."""
    first = [initialize(initializer("orthogonal"), (4, 4), seed, "kernel")[0, 0] for seed in range(200)]
    assert abs(np.mean(np.sign(first))) < 0.25


def test_fans_count_the_receptive_field() -> None:
    draws = initializer_draws(initializer("he_normal"), (3, 3, 16, 32), 0, "kernel")
    assert (float(draws["fan_in"]), float(draws["fan_out"])) == (144.0, 288.0)
    assert float(initializer_draws(initializer("he_normal"), (7,), 0, "bias")["fan_in"]) == 7.0


def test_draws_do_not_depend_on_what_else_is_drawn() -> None:
    alone, more = (initializer_draws(initializer(name), (5, 4), 0, "kernel") for name in ("he_uniform", "he_normal"))
    assert "c" in more
    assert "c" not in alone
    assert np.array_equal(alone["u"], more["u"])
    assert np.array_equal(alone["z"], more["z"])


def test_masks_keep_their_share() -> None:
    mlp = assembled("mlp", 200)
    mask = draw_masks(mlp, 0, 0)["dropout.mask"]
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert np.mean(mask) == pytest.approx(0.8, abs=0.02)


def test_regularizers_find_their_slot() -> None:
    mlp = assembled("mlp")
    loss = Node(mlp.tape, "input", shape=(), name="loss")
    l2 = CATALOGUE.find("l2")
    assert isinstance(l2, Formulated)
    before = len(mlp.tape)
    total = add_regularizers(loss, [(l2, {"rate": 0.1}, "kernel")], mlp.params)
    assert sum(node.operation == "sum" for node in mlp.tape[before:]) == 3
    assert add_regularizers(loss, [(l2, {}, "gamma")], mlp.params) is loss
    assert total.shape == ()


def test_a_digest_changes_with_anything_and_with_nothing_else() -> None:
    one = digest("a", {"kind": "activation", "formula": "x"})
    assert one == digest("a", {"formula": "x", "kind": "activation"})
    assert one != digest("b", {"formula": "x", "kind": "activation"})
    assert one != digest("a", {"formula": "x ", "kind": "activation"})
    text = "[a]\nkind = 'activation'\nformula = 'x'  # the identity\n"
    assert read_text(text, "f.toml")["a"].sha == one
