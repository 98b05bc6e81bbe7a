"""The atlas: errors in units of spacing, what is no number but an accident, grids, real rows, pictures, the command."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from crossnn.atlas.axis import AXES, MAGNITUDE, PROBABILITY, place, value
from crossnn.atlas.digest import accidents, digest, half_lost, worst_error
from crossnn.atlas.figure import figure
from crossnn.atlas.grid import COUNTS, GAP, grid
from crossnn.atlas.line import lines_of
from crossnn.atlas.measure import STRETCHES, curve_of, measure, regions_of
from crossnn.atlas.plan import atlas_cells
from crossnn.atlas.ulp import CODES, FORMATS, errors, rounded, spacing
from crossnn.cli import main
from crossnn.errors import CrossnnError
from crossnn.formula.oracle import Exact
from crossnn.report.atlas import atlas_blocks, named, short_table
from crossnn.report.document import Figure, to_markdown
from crossnn.runs.cell import Cell
from crossnn.runs.findings import Accuracy

DTYPES = tuple(FORMATS)
LARGEST = {"float64": np.finfo(np.float64).max, "float32": float(np.finfo(np.float32).max), "bfloat16": 255 * 2.0**120}


def exactly(*values: float) -> Exact:
    hi = np.array(values, np.float64)
    return Exact(hi, np.zeros_like(hi))


def one_error(found: float, truth: float, dtype: str) -> tuple[float, str]:
    error, code = errors(np.array([found]), exactly(truth), dtype)
    return float(error[0]), CODES[int(code[0])]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_formats_are_those_of_the_machine(dtype: str) -> None:
    form = FORMATS[dtype]
    assert form.largest == LARGEST[dtype]
    if dtype != "bfloat16":
        known = np.finfo(dtype)
        assert (form.normal, form.smallest) == (float(known.tiny), float(known.smallest_subnormal))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_spacing_is_that_of_numpy(dtype: str) -> None:
    ends = [0.0, FORMATS[dtype].smallest, FORMATS[dtype].normal, -1.0, 1.0, 3.14, -700.0, 2.0**40]
    numbers = np.array([float(np.dtype(dtype).type(one)) for one in ends])
    assert spacing(numbers, dtype).tolist() == np.abs(np.spacing(np.abs(numbers).astype(dtype))).astype(float).tolist()


@pytest.mark.parametrize(("number", "distance"), [(1.0, 2.0**-7), (-1.0, 2.0**-7), (3.0, 2.0**-6), (0.0, 2.0**-133)])
def test_spacing_of_bfloat16(number: float, distance: float) -> None:
    assert spacing(np.array([number]), "bfloat16")[0] == distance


@given(st.floats(allow_nan=False, width=64))
def test_float32_is_rounded_as_numpy_rounds(number: float) -> None:
    with np.errstate(over="ignore"):
        assert rounded(np.array([number]), "float32")[0] == float(np.float32(number))


@given(st.floats(min_value=-1e38, max_value=1e38, allow_nan=False))
def test_bfloat16_is_the_nearest_of_its_numbers(number: float) -> None:
    found = Fraction(float(rounded(np.array([number]), "bfloat16")[0]))
    unit = Fraction(float(spacing(np.array([number]), "bfloat16")[0]))
    assert abs(found - Fraction(number)) <= unit / 2
    assert (found / unit).denominator == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("truth", [1.0, -3.0, 0.25, 1e-30, -1e30])
@pytest.mark.parametrize("steps", [0, 1, -3, 50])
def test_an_error_of_so_many_steps_is_found(dtype: str, truth: float, steps: int) -> None:
    number = rounded(np.array([truth]), dtype)
    found = number + steps * spacing(number, dtype)
    assert one_error(float(found[0]), float(number[0]), dtype) == (abs(steps), "")


def test_the_second_half_of_the_truth_counts() -> None:
    truth = Exact(np.array([1.0]), np.array([0.3 * 2.0**-52]))
    error, _ = errors(np.array([1.0]), truth, "float64")
    assert error[0] == pytest.approx(0.3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("found", "truth", "name"),
    [
        (np.nan, 1.0, "NaN"),
        (np.inf, 1.0, "overflow"),
        (-np.inf, -1.0, "overflow"),
        (0.0, 1e-5, "zero"),
        (-0.0, -1e-5, "zero"),
        (-1.0, 1.0, "wrong sign"),
        (5.0, 1e-5, "wrong"),
        (1.0, 0.0, "wrong"),
        (1.0, np.inf, "finite"),
        (0.0, 1e-38, "flushed"),
        (np.nan, np.nan, ""),
        (3.0, np.nan, ""),
        (np.inf, np.inf, ""),
        (-0.0, 0.0, ""),
        (0.0, 0.0, ""),
    ],
)
def test_accidents_have_names(dtype: str, found: float, truth: float, name: str) -> None:
    if dtype == "float64" and truth == 1e-38:
        truth = 1e-308
    error, code = one_error(found, truth, dtype)
    assert code == name
    assert np.isnan(error) == (name != "" or np.isnan(truth))


def test_beyond_the_largest_number_infinity_is_right() -> None:
    assert one_error(np.inf, 3.5e38, "float32") == (0.0, "")
    assert one_error(np.inf, 3.4e38, "float32")[1] == "overflow"
    assert one_error(0.0, 1e-46, "float32")[1] == ""


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", AXES)
def test_a_grid_has_numbers_of_the_dtype_in_order(axis: str, dtype: str) -> None:
    special = [0.3, 0.75] if axis == PROBABILITY else [0.0, 0.3, 88.5]
    points = grid(axis, dtype, special)
    assert points.size == COUNTS[dtype]
    assert np.array_equal(rounded(points, dtype), points)
    assert np.all(np.diff(points) >= 0)
    assert set(rounded(np.array(special), dtype)) <= set(points)
    ends = {MAGNITUDE: (-LARGEST[dtype], LARGEST[dtype]), "positive": (0.0, LARGEST[dtype])}
    if axis == PROBABILITY:
        assert 0 < points[0] == FORMATS[dtype].smallest
        assert points[-1] == 1 - 2.0 ** -FORMATS[dtype].digits
    else:
        assert (points[0], points[-1]) == ends[axis]
        assert FORMATS[dtype].smallest in points
        zeros = points[points == 0]
        assert np.signbit(zeros).tolist() == [True, False]


@given(
    st.sampled_from(AXES),
    st.sampled_from(DTYPES),
    st.lists(st.floats(min_value=0, max_value=1, allow_nan=False), min_size=2, max_size=2),
)
def test_an_axis_goes_up_and_comes_back(axis: str, dtype: str, places: list[float]) -> None:
    low, high = value(np.array(sorted(places)), axis, dtype)
    assert low <= high
    back = place(np.array([low, high]), axis, dtype)
    # Around 0 a hundredth of the line has no magnitudes; next to 1 all numbers of a short dtype are one place.
    assert np.all(np.abs(back - np.array(sorted(places))) <= (0.08 if axis == PROBABILITY else 0.0101))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parts", [1, 2])
def test_every_stretch_of_the_axis_has_points_but_where_the_oracle_is_slow(dtype: str, parts: int) -> None:
    at = place(grid(MAGNITUDE, dtype, (), parts), MAGNITUDE, dtype)
    edges = np.linspace(0, 1, STRETCHES + 1)
    empty = np.histogram(at, edges)[0] == 0
    gap = np.sort(np.concatenate([place(np.array(GAP), MAGNITUDE, dtype), place(-np.array(GAP), MAGNITUDE, dtype)]))
    within = [low < edges[1:][empty] for low in gap[::2]], [edges[:-1][empty] < high for high in gap[1::2]]
    assert np.all(np.any(np.logical_and(*within), axis=0))


def naive_softplus(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log(1 + exp(x)) in float32, against softplus in float64 (1e9 times as exact): error and accident of each x."""
    with np.errstate(over="ignore"):
        found = np.log(np.float32(1) + np.exp(x.astype(np.float32)))
    truth = np.logaddexp(0.0, x)
    return errors(found.astype(np.float64), Exact(truth, np.zeros_like(truth)), "float32")


def test_the_naive_softplus_overflows_where_exp_does() -> None:
    x = grid(MAGNITUDE, "float32", [88.0, 89.0])
    error, code = naive_softplus(x)
    regions = regions_of(x, code, MAGNITUDE, "float32")
    (overflow,) = [one for one in regions if one[0] == "overflow"]
    edge = float(np.log(LARGEST["float32"]))
    beside = float(np.max(np.diff(x[(x > 80) & (x < 100)])))
    assert edge < overflow[1] < edge + beside
    assert overflow[2] == LARGEST["float32"]
    (zero,) = [one for one in regions if one[0] == "zero"]  # 1 + exp(x) is 1 from half a spacing of 1 on
    assert -24 * np.log(2) - beside < zero[2] <= -24 * np.log(2)
    curve = curve_of(x, error, code, MAGNITUDE, "float32")
    at = float(place(np.array(1e30), MAGNITUDE, "float32"))
    assert curve[int(at * STRETCHES)] == pytest.approx(FORMATS["float32"].lost, rel=0.01)


def test_regions_that_are_apart_stay_apart() -> None:
    x = np.array([-20.0, -10.0, -9.0, 1.0, 1.01, 1.02, 500.0])
    code = np.array([0, 1, 1, 2, 0, 2, 1])
    assert regions_of(x, code, MAGNITUDE, "float32") == (
        (CODES[1], -10.0, -9.0), (CODES[2], 1.0, 1.02), (CODES[1], 500.0, 500.0),
    )  # fmt: skip


def atlas_of(spec: str, dtype: str = "float32", mode: str = "eager", **more: str) -> list[Accuracy]:
    return measure(Cell(task="atlas", spec=spec, backend="numpy", mode=mode, dtype=dtype, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_is_exact_has_no_error(dtype: str) -> None:
    for spec in ("identity", "relu", "hard_tanh"):
        for record in atlas_of(spec, dtype):
            assert (record.largest, record.regions) == (0.0, ()), record.quantity
            assert len(record.curve) == STRETCHES


def test_one_correctly_rounded_step_errs_by_half_a_spacing() -> None:
    records = {record.quantity: record for record in atlas_of("leaky_relu")}
    largest = records["value"].largest
    assert largest is not None  # 0.01 is rounded too: half a spacing more, at most doubled by the position in a binade
    assert 0.4 < largest <= 1.5
    assert not accidents(records["value"])


def test_numpy_sigmoid_is_accurate_everywhere_and_its_truth_is_the_logistic_function() -> None:
    (value_of, slope) = atlas_of("sigmoid", "float64")
    assert (value_of.quantity, slope.quantity) == ("value", "gradient")
    assert worst_error(value_of) < 8
    assert not accidents(value_of)
    (line,) = lines_of("sigmoid", (), "float64")
    near = np.abs(line.x) < 30
    logistic = 1 / (1 + np.exp(-line.x[near]))
    assert np.allclose(line.truth["value"].hi.ravel()[near], logistic, rtol=1e-14, atol=0)
    assert np.allclose(
        line.truth["gradient"].hi.ravel()[near], logistic / (1 + np.exp(line.x[near])), rtol=1e-14, atol=0
    )


def test_far_from_zero_softplus_is_the_identity_and_not_infinite() -> None:
    (line,) = lines_of("softplus", (), "float64")
    far = line.x > 1e6
    assert np.array_equal(line.truth["value"].hi.ravel()[far], line.x[far])
    assert np.all(line.truth["gradient"].hi.ravel()[far] == 1)


def test_a_loss_is_followed_for_each_target() -> None:
    found = {(one.target, one.quantity): one for one in atlas_of("mae", "float64")}
    assert list(found) == [("t = 0", "value"), ("t = 1", "value"), ("t = 0", "gradient"), ("t = 1", "gradient")]
    assert found["t = 0", "value"].largest == 0.0
    assert found["t = 1", "value"].largest == 0.5  # y - 1, correctly rounded; a tie is among the points
    assert found["t = 0", "gradient"].points == COUNTS["float64"] // 2 - 2  # at both zeros the slope is a convention


def test_the_root_of_a_whole_batch_is_asked_for_each_point() -> None:
    found = {(one.target, one.quantity): one for one in atlas_of("rmse")}
    names = [name for name, _, _ in found["t = 0", "value"].regions]
    assert names[0] == names[-1] == "overflow"  # the square of 1e20 is none of float32
    first = found["t = 0", "value"].regions[0]
    assert first[1] < first[2] <= -np.sqrt(LARGEST["float32"])


@pytest.mark.parametrize("spec", ["softmax", "triplet", "dice", "sparse_categorical_crossentropy"])
def test_vectors_have_a_component_that_moves(spec: str) -> None:
    found = atlas_of(spec)
    assert {one.quantity for one in found} == {"value", "gradient"}
    assert all(one.points > 1000 and one.largest is not None for one in found)


def test_what_does_not_run_says_why() -> None:
    (record,) = atlas_of("relu", "bfloat16")
    assert "bfloat16" in record.message
    assert not record.curve


def test_records_survive_the_journal() -> None:
    record = atlas_of("softplus")[0]
    assert msgspec.json.decode(msgspec.json.encode(record), type=Accuracy) == record


def record_with(curve: list[float | None], **more: object) -> Accuracy:
    base = Accuracy(
        spec="made", kind="activation", spec_sha="", backend="torch", implementation="native", mode="eager",
        dtype="float32", device="cpu", quantity="value", axis=MAGNITUDE, curve=tuple(curve), largest=1.0, at=2.0,
    )  # fmt: skip
    return msgspec.structs.replace(base, **more)


def test_half_lost_counts_ordinary_inputs_alone() -> None:
    ends = [int(one * STRETCHES) for one in place(np.array([-1000.0, 1000.0]), MAGNITUDE, "float32")]
    curve: list[float | None] = [*[5000.0] * ends[0], *[0.5] * (STRETCHES - ends[0])]
    assert half_lost(record_with(curve)) == 0
    for stretch in range(STRETCHES // 2, ends[1] + 1):
        curve[stretch] = 5000.0
    assert half_lost(record_with(curve)) == pytest.approx(0.5, abs=0.01)


def test_an_accident_counts_where_inputs_are_ordinary() -> None:
    fine: list[float | None] = [0.5] * STRETCHES
    assert worst_error(record_with(fine, regions=(("NaN", 1e20, 1e38),))) == 1.0
    assert worst_error(record_with(fine, regions=(("NaN", 10.0, 1e38),))) == 2.0**23
    assert worst_error(record_with(fine, regions=(("flushed", -1e-40, 1e-40),))) == 1.0


def test_the_worst_comes_first_and_modes_are_one() -> None:
    fine: list[float | None] = [0.5] * STRETCHES
    bad: list[float | None] = [1e6] * STRETCHES
    found = [
        record_with(fine, spec="good"),
        record_with(fine, spec="poor", mode="compiled"),
        record_with(bad, spec="poor", largest=1e6),
    ]
    rows = digest(found)
    assert [row.key[0] for row in rows] == ["poor", "good"]
    assert rows[0].worst["torch", "native"].mode == "eager"
    assert rows[0].several["torch", "native"]
    table, left = short_table(found, 10)
    assert (len(table.rows), left) == (1, 0)
    assert "1e+06 at 2 (eager)" in table.rows[0][4]


def test_pictures_are_well_formed_and_small() -> None:
    found = [*atlas_of("tanh_shrink"), *atlas_of("tanh_shrink", mode="compiled")]
    picture = figure(found, "tanh_shrink <in float32>")
    root = ElementTree.fromstring(picture)
    assert root.find("{http://www.w3.org/2000/svg}title").text == "tanh_shrink <in float32>"  # type: ignore[union-attr]
    assert len(picture) < 8000
    blocks = atlas_blocks(found)
    (drawn,) = [one for one in blocks if isinstance(one, Figure)]
    assert drawn.file == "atlas-tanh_shrink.svg"
    assert "gradient: worst numpy formula" in drawn.caption
    assert "0.5 is perfect" in to_markdown(blocks)


def test_cells_begin_at_different_rows_and_the_atlas_has_functions_alone() -> None:
    cells = atlas_cells(["relu", "mse"], backends=["numpy", "torch"], dtypes=["float32"])
    firsts = {backend: next(one.spec for one in cells if one.backend == backend) for backend in ("numpy", "torch")}
    assert firsts == {"numpy": "relu", "torch": "mse"}
    assert {one.implementation for one in cells if one.backend == "numpy"} == {"formula"}
    with pytest.raises(CrossnnError, match=r"adam \(optimizer\).*the atlas has activations and losses"):
        atlas_cells(["adam"])


def test_the_command_writes_a_report(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = CliRunner().invoke(
        main, ["atlas", "tanh_shrink", "softplus", "--backend=numpy", "--dtype=float32", "--out", str(folder)]
    )
    assert run.exit_code == 0, run.output
    assert "half lost" in run.output
    assert "Within 4 ulp at every input, in all that was measured: softplus." in run.output
    assert "atlas-tanh_shrink.svg" in (folder / "report.md").read_text()
    assert (folder / "atlas-tanh_shrink.svg").read_text().startswith("<svg")


def test_the_command_refuses_what_has_no_curve() -> None:
    run = CliRunner().invoke(main, ["atlas", "adam"])
    assert run.exit_code == 2
    assert "the atlas has activations and losses" in run.output


@pytest.mark.parametrize(
    ("backend", "call", "said"),
    [
        ("torch", "torch.nn.GELU", "torch.nn.GELU"),
        ("tensorflow", "keras.ops.gelu", "tensorflow keras.ops.gelu"),
        ("torch", "formula", "torch formula"),
        ("jax", "jaxlike.gelu", "jax jaxlike.gelu"),
    ],
)
def test_a_framework_is_not_named_twice(backend: str, call: str, said: str) -> None:
    assert named(backend, call) == said
