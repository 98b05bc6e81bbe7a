"""The rule of verdicts itself: where it draws its line, and what it says at the edges of floating point."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossnn.formula.oracle import Exact
from crossnn.parity.judge import Judgement, Reference, judge
from crossnn.parity.rule import LIMIT, ROUNDOFF
from crossnn.runs.cell import FAILURES

INF, NAN = np.inf, np.nan
U = ROUNDOFF["float64"]


def reference(values: Any, noise: Any, **rest: Any) -> Reference:
    hi = np.asarray(values, np.float64)
    return Reference(Exact(hi, np.zeros(hi.shape)), np.broadcast_to(np.asarray(noise, np.float64), hi.shape), **rest)


def verdict(actual: Any, expected: Any, noise: Any = 1.0, dtype: str = "float64", **rest: Any) -> Judgement:
    return judge(np.asarray(actual, dtype), reference(expected, noise, **rest), dtype)


def test_the_line_is_at_64() -> None:
    """1 + 2k*u is a number next to 1; with a noise scale of 1 its r is 2k."""
    assert verdict([1 + 64 * U], [1.0]) == Judgement("EQUAL", 64.0, 14.15, verdict([1 + 64 * U], [1.0]).worst)
    over = verdict([1 + 66 * U], [1.0])
    assert (over.verdict, over.r) == ("FORMULA", 66.0)
    assert verdict([1 + 66 * U], [1.0], noise=66 / 64).verdict == "EQUAL"


def test_the_true_value_has_more_digits_than_a_double() -> None:
    """The error is taken against hi + lo: a value half a unit away from hi may be as right as hi is."""
    truth = Exact(np.array([1.0]), np.array([U]))
    both = Reference(truth, np.array([1.0]))
    assert judge(np.array([1.0]), both, "float64").r == pytest.approx(1.0)
    assert judge(np.array([1.0 + 2 * U]), both, "float64").r == pytest.approx(1.0)


def test_without_noise_only_the_correctly_rounded_value_is_right() -> None:
    assert verdict([0.1, 2.0], [0.1, 2.0], noise=0).verdict == "EQUAL"
    off = verdict([0.1 + 2**-56, 2.0], [0.1, 2.0], noise=0)
    assert (off.verdict, off.r) == ("FORMULA", 1e308)
    assert verdict(np.float32(0.1), 0.1, noise=0, dtype="float32").verdict == "EQUAL"


@pytest.mark.parametrize(
    ("actual", "expected", "right"),
    [
        (-0.0, 0.0, True),
        (0.0, -0.0, True),
        (NAN, NAN, True),
        (NAN, 1.0, False),
        (1.0, NAN, False),
        (INF, INF, True),
        (-INF, INF, False),
        (INF, 1e300, False),
        (1e300, INF, False),
        (INF, NAN, False),
        (NAN, INF, False),
        (5e-324, 0.0, True),  # below the smallest normal number, flushing is the hardware's choice
        (0.0, 1e-310, True),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 1e-9])
def test_zeros_nan_and_infinities(actual: float, expected: float, right: bool, noise: float) -> None:
    found = verdict([actual, 1.0], [expected, 1.0], noise=noise, elementwise=True)
    assert found.verdict == ("EQUAL" if right else "FORMULA")


def test_a_small_number_is_no_zero() -> None:
    assert verdict([1e-300], [0.0], noise=0).verdict == "FORMULA"
    assert verdict([0.0], [1e-300], noise=0).verdict == "FORMULA"


def test_overflow_of_a_short_dtype_is_infinity() -> None:
    """1e39 has no float32: infinity is its value there, and nothing else."""
    assert verdict([INF], [1e39], dtype="float32").verdict == "EQUAL"
    assert verdict([3.4e38], [1e39], dtype="float32").verdict == "ACCURACY"
    assert verdict([-INF], [1e39], dtype="float32").verdict == "ACCURACY"
    assert verdict([INF], [1e39], dtype="float64").verdict == "FORMULA"


def test_float32_accuses_the_accuracy_never_the_formula() -> None:
    assert verdict([2.0], [1.0], dtype="float32").verdict == "ACCURACY"
    assert verdict([2.0], [1.0], dtype="float64").verdict == "FORMULA"


@pytest.mark.parametrize(
    ("actual", "dtype", "words"),
    [
        (np.ones(2, np.float32), "float64", "computed in float32 where float64 was asked for"),
        (np.ones(2), "float32", "computed in float64 where float32 was asked for"),
        (np.ones(2, np.int64), "float64", "computed in int64"),
        (np.ones((2, 1)), "float64", r"shape \(2, 1\) where \(2,\) is right"),
        (np.ones(()), "float64", r"shape \(\) where \(2,\) is right"),
    ],
)
def test_another_dtype_or_shape_is_an_error(actual: np.ndarray, dtype: str, words: str) -> None:
    found = judge(actual, reference([1.0, 1.0], 1.0), dtype)
    assert found.verdict == "ERROR"
    assert re.match(words, found.message)


def test_nothing_compared_is_not_a_success() -> None:
    assert verdict(np.zeros((0, 3)), np.zeros((0, 3))).verdict == "NOT-RUN"


def test_where_rounding_leaves_no_digits_nothing_is_judged() -> None:
    """A noise of 1e14 roundoffs on a value of 1 leaves two digits."""
    found = verdict([1.5, 1.0], [1.0, 1.0], noise=[1e14, 1.0], elementwise=True)
    assert found.verdict == "EQUAL"  # within the noise
    found = verdict([1e3, 1.0], [1.0, 1.0], noise=[1e14, 1.0], elementwise=True)
    assert found.verdict == "ILL-CONDITIONED"
    assert found.message.startswith("1 of 2 elements not judged: rounding alone leaves fewer than three digits")
    assert verdict([1e3, 2.0], [1.0, 1.0], noise=[1e14, 1.0], elementwise=True).verdict == "FORMULA"


def test_where_the_formula_itself_overflows_nothing_is_judged() -> None:
    mask = np.array([True, False])
    found = verdict([INF, 1.0], [5.0, 1.0], dtype="float32", elementwise=True, unsafe=mask)
    assert found.verdict == "ILL-CONDITIONED"
    assert "the formula as written overflows" in found.message
    assert verdict([1.0, INF], [1.0, 5.0], dtype="float32", unsafe=mask).verdict == "ACCURACY"


def test_a_second_longer_measurement_can_explain() -> None:
    asked = []

    def more() -> np.ndarray:
        asked.append(1)
        return np.array([100.0])

    found = verdict([1 + 400 * U], [1.0], elementwise=True, more_noise=more)
    assert found.verdict == "ROUNDING"
    assert found.r == pytest.approx(4.0)
    assert "second, longer measurement" in found.message
    assert verdict([1 + 20000 * U], [1.0], elementwise=True, more_noise=more).verdict == "FORMULA"
    asked.clear()
    verdict([1.0], [1.0], more_noise=more)
    assert not asked, "measured again although nothing had departed"


def test_a_tensor_shares_its_noise_elements_do_not() -> None:
    """A dozen runs can miss an element of a matrix product; half the tensor's noise is its floor."""
    noise = [1.0, 0.0]
    assert verdict([1.0, 1 + 20 * U], [1.0, 1.0], noise=noise).verdict == "EQUAL"
    assert verdict([1e3, 1e-9], [1e3, 0.0], noise=[1e3, 0.0], elementwise=True).verdict == "FORMULA"


def test_the_worst_element_and_its_digits() -> None:
    actual, expected = np.ones((2, 3)), np.ones((2, 3))
    actual[1, 2], actual[0, 1] = 1.001, 1.0001
    found = verdict(actual, expected)
    assert found.worst is not None
    assert (found.worst.index, found.worst.expected, found.worst.actual) == ((1, 2), "1.0", "1.001")
    assert found.digits == pytest.approx(3.0, abs=0.01)
    assert verdict([1.0], [1.0]).digits == 17.0
    assert verdict([NAN], [1.0]).digits == 0.0
    assert verdict([2.0], [0.0]).digits == 0.0


_numbers = st.floats(1e-30, 1e30).flatmap(lambda size: st.sampled_from([size, -size]))


@settings(max_examples=150, deadline=None)
@given(st.lists(_numbers, min_size=1, max_size=6), st.floats(0.5, 100), st.integers(0, 2**32 - 1), st.booleans())
def test_noise_never_fails_and_a_million_times_it_always(
    values: list[float], factor: float, seed: int, alone: bool
) -> None:
    expected = np.array(values)
    scale = factor * np.abs(expected)
    one = Reference(Exact(expected, np.zeros(expected.shape)), scale, elementwise=alone)
    generator = np.random.default_rng(seed)
    near = expected + U * scale * generator.uniform(-1, 1, expected.shape)
    assert judge(near, one, "float64").verdict == "EQUAL"
    far = near.copy()
    victim = int(np.argmax(np.abs(expected)))
    far[victim] += 1e6 * U * scale[victim] * generator.choice([-1, 1])
    found = judge(far, one, "float64")
    assert found.verdict in FAILURES
    assert found.worst is not None
    assert found.worst.index == (victim,)
    assert found.r is not None
    assert found.r > LIMIT


@pytest.mark.parametrize(("actual", "expected"), [(3.0, "ILL-CONDITIONED"), (NAN, "FORMULA"), (INF, "FORMULA")])
def test_no_rounding_makes_nan_of_a_number(actual: float, expected: str) -> None:
    """Where rounding leaves no digits everything finite is excused; NaN and infinity are not."""
    assert verdict([actual], [1.0], noise=1e14, elementwise=True).verdict == expected
