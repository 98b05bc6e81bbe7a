"""What is measured of activations against what textbooks say of them, written by hand; and what cannot be measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from crossnn.catalogue.build import kinks_of, knob_choices
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Activation
from crossnn.cli.measured import table
from crossnn.parity.properties import Bound, Jump, Limit, MeasureError, measure

CATALOGUE = load_catalogue()
ELEMENTWISE = [row for row in CATALOGUE.rows.values() if isinstance(row, Activation) and row.acts_on == "element"]
INFINITY = math.inf
E, PI = math.e, math.pi
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017
LAMBERT = 0.27846454276107377  # W(1/e): the minimum of x/(1 + exp(-x)) is -W(1/e), at -1 - W(1/e)


def activation(name: str) -> Activation:
    row = CATALOGUE.find(name)
    assert isinstance(row, Activation)
    return row


def about(value: float) -> Any:
    return pytest.approx(value, rel=1e-8, abs=1e-9)


RANGES = {
    "identity": (-INFINITY, INFINITY),
    "heaviside": (0, 1),
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "arctan": (-PI / 2, PI / 2),
    "softsign": (-1, 1),
    "isru": (-1, 1),
    "hard_sigmoid": (0, 1),
    "hard_tanh": (-1, 1),
    "relu": (0, INFINITY),
    "leaky_relu": (-INFINITY, INFINITY),
    "relu6": (0, 6),
    "elu": (-1, INFINITY),
    "selu": (-ALPHA * SCALE, INFINITY),
    "softplus": (0, INFINITY),
    "log_sigmoid": (-INFINITY, 0),
    "squareplus": (0, INFINITY),
    "exponential": (0, INFINITY),
    "silu": (-LAMBERT, INFINITY),
    "quick_gelu": (-LAMBERT / 1.702, INFINITY),
    "hard_swish": (-3 / 8, INFINITY),
}


@pytest.mark.parametrize("name", RANGES)
def test_range(name: str) -> None:
    found = measure(activation(name))
    assert (found.low.value, found.high.value) == (about(RANGES[name][0]), about(RANGES[name][1]))


def test_where_the_ends_of_the_range_are() -> None:
    """Sigmoids approach them, hard ones attain them on a stretch, gated ones dip at one place."""
    for name in ("sigmoid", "tanh", "arctan", "softsign", "isru", "softplus", "exponential"):
        assert measure(activation(name)).low.at is None, name
    for name in ("relu", "relu6", "hard_tanh", "hard_sigmoid", "heaviside"):
        at = measure(activation(name)).low.at
        assert at is not None, name
        assert math.isnan(at), name
    assert measure(activation("silu")).low.at == about(-1 - LAMBERT)
    assert measure(activation("hard_swish")).low.at == about(-1.5)
    gelu = measure(activation("gelu")).low  # Hendrycks and Gimpel 2016, figure 1: about -0.17 near -0.75
    assert (round(gelu.value, 2), round(gelu.at or 0, 2)) == (-0.17, -0.75)
    mish = measure(activation("mish")).low  # Misra 2019: bounded below at about -0.31
    assert round(mish.value, 2) == -0.31


@pytest.mark.parametrize(
    ("names", "word"),
    [
        ("identity sigmoid tanh arctan softsign isru leaky_relu elu selu celu softplus squareplus exponential",
         "strictly increasing"),
        ("relu relu6 hard_tanh hard_sigmoid heaviside softshrink hardshrink squared_relu", "increasing"),
        ("gelu silu mish hard_swish quick_gelu", "not monotone"),
    ],
)  # fmt: skip
def test_monotone(names: str, word: str) -> None:
    for name in names.split():
        assert measure(activation(name)).monotone == word, name


@pytest.mark.parametrize(
    ("names", "word"),
    [
        ("identity tanh arctan softsign isru hard_tanh softshrink hardshrink tanh_shrink", "odd"),
        ("sigmoid hard_sigmoid", "f(x) + f(-x) = 1"),
        ("relu softplus squareplus gelu silu hard_swish", "f(x) - f(-x) = x"),
        ("elu selu leaky_relu mish exponential relu6", "none"),
    ],
)
def test_symmetry(names: str, word: str) -> None:
    for name in names.split():
        assert measure(activation(name)).symmetry == word, name


SMOOTH = "sigmoid tanh arctan isru softplus squareplus exponential gelu silu mish log_sigmoid identity tanh_shrink"
JUMPS = {
    "heaviside": [(0, 0, 1)],
    "relu": [(1, 0, 1)],
    "leaky_relu": [(1, 0, 0.99)],
    "relu6": [(1, 0, 1), (1, 6, -1)],
    "hard_tanh": [(1, -1, 1), (1, 1, -1)],
    "hard_sigmoid": [(1, -3, 1 / 6), (1, 3, -1 / 6)],
    "hard_swish": [(1, -3, -1 / 2), (1, 3, -1 / 2)],
    "softshrink": [(1, -0.5, -1), (1, 0.5, 1)],
    "hardshrink": [(0, -0.5, 0.5), (0, 0.5, 0.5)],
    "elu": [(2, 0, -1)],
    "celu": [(2, 0, -1)],
    "selu": [(1, 0, SCALE - ALPHA * SCALE)],
    "softsign": [(2, 0, -4)],
    "squared_relu": [(2, 0, 2)],
    **{name: [] for name in SMOOTH.split()},
}


@pytest.mark.parametrize("name", JUMPS)
def test_jumps(name: str) -> None:
    """Where value, slope or second derivative jump, and by how much; smooth functions have no jump."""
    found = [(jump.order, jump.at, about(jump.size)) for jump in measure(activation(name)).jumps]
    assert found == JUMPS[name]


@pytest.mark.parametrize("row", ELEMENTWISE, ids=lambda row: row.name)
def test_listed_kinks_are_the_jumps_of_the_slope(row: Activation) -> None:
    """A kink that is listed in a row is one, in some convention; one that is not listed would be judged."""
    for knobs in knob_choices(row):
        found = {jump.at for jump in measure(row, knobs).jumps if jump.order < 2}
        listed = set(kinks_of(row, row.params, knobs))
        assert found <= listed
        assert listed - {0.0} <= found


STEEPEST = {
    "sigmoid": (1 / 4, 0), "tanh": (1, 0), "arctan": (1, 0), "softsign": (1, 0), "isru": (1, 0),
    "gelu": (0.5 + 0.5 * math.erf(1) + math.exp(-1) / math.sqrt(PI), math.sqrt(2)), "selu": (ALPHA * SCALE, 0),
    "hard_swish": (1.5, 3), "softplus": (1, None), "squareplus": (1, None), "exponential": (INFINITY, None),
    "squared_relu": (INFINITY, None),
}  # fmt: skip


@pytest.mark.parametrize("name", STEEPEST)
def test_steepest_slope(name: str) -> None:
    slope, at = STEEPEST[name]
    found = measure(activation(name)).steepest
    assert found.value == about(slope)
    assert found.at == (None if at is None else about(at))


def test_at_zero_and_far_out() -> None:
    assert measure(activation("softplus")).at_zero == about(math.log(2))
    assert measure(activation("squareplus"), {"b": 4.0}).at_zero == about(1)
    assert measure(activation("mish")).slope_at_zero == (about(0.6), about(0.6))  # tanh(ln 2)
    assert measure(activation("selu")).slope_at_zero == (about(ALPHA * SCALE), about(SCALE))
    assert measure(activation("heaviside"), {"at_zero": 0.5}).at_zero == 0.5
    assert measure(activation("gelu")).right == Limit(INFINITY, 1.0)
    assert measure(activation("gelu")).left == Limit(0.0)
    assert measure(activation("softshrink"), {"theta": 0.75}).right == Limit(INFINITY, 1.0, -0.75)
    assert measure(activation("tanh_shrink")).left == Limit(-INFINITY, 1.0, 1.0)
    assert measure(activation("exponential")).right == Limit(INFINITY)


def test_settings_are_measured() -> None:
    assert measure(activation("isru"), {"alpha": 4.0}).high.value == about(0.5)
    assert measure(activation("sigmoid_slope"), {"alpha": 8.0}).steepest == Bound(2.0, 0.0)
    assert measure(activation("elu"), {"alpha": 0.5}).jumps == (Jump(1, 0.0, 0.5),)
    fifth = measure(activation("hard_sigmoid"), {"slope": "fifth"}).jumps
    assert [(jump.at, jump.size) for jump in fifth] == [(-2.5, 0.2), (2.5, -0.2)]


def own(tmp_path: Path, formula: str) -> Activation:
    file = tmp_path / "own.toml"
    file.write_text(f"own = '{formula}'\n")
    row = load_catalogue([str(file)]).find("own")
    assert isinstance(row, Activation)
    return row


def test_a_slight_kink_between_the_points_of_the_grid_is_found(tmp_path: Path) -> None:
    found = measure(own(tmp_path, "tanh(x) + where(x > 1.37, 0.01*(x - 1.37), 0)"))
    assert [(jump.order, jump.at, about(jump.size)) for jump in found.jumps] == [(1, 1.37, 0.01)]


@pytest.mark.parametrize("formula", ["log(x)", "1/(x - 0.1373)/0", "exp(exp(x))", "sqrt(x)"])
def test_what_is_no_finite_number_is_not_measured(formula: str, tmp_path: Path) -> None:
    with pytest.raises(MeasureError):
        measure(own(tmp_path, formula))


def test_the_table_says_it_in_words() -> None:
    words = dict(table(measure(activation("relu"))))
    assert words == {
        "range": "0 (attained) to infinity; not bounded",
        "monotone": "increasing",
        "symmetry": "f(x) - f(-x) = x",
        "smoothness": "the slope jumps by 1 at 0",
        "at 0": "value 0, slope 0 before and 1 after",
        "steepest": "1 (attained)",
        "far left": "approaches 0",
        "far right": "approaches x",
    }
    assert dict(table(measure(activation("tanh"))))["range"] == "-1 (approached) to 1 (approached); bounded"
