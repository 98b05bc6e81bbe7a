"""Pictures: where a curve, a path or a boundary is drawn is where it is; whatever the data, the picture is valid."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from crossnn.catalogue.build import kinks_of, settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Activation, Study
from crossnn.cli import main
from crossnn.errors import SpecError
from crossnn.experiment.plane import survey_of
from crossnn.pictures import activation, contour, plot
from crossnn.pictures.boundary import Answers, boundaries
from crossnn.pictures.curves import curves_of
from crossnn.pictures.landscape import heights, study_of
from crossnn.pictures.panels import Square
from crossnn.pictures.trained import boundaries_picture, paths_picture
from crossnn.pictures.trajectory import Walk, trajectories
from crossnn.report.chart import line_chart
from crossnn.report.document import Figure
from crossnn.report.training import training_blocks
from crossnn.runs.cell import About, Cell, Plane, Training
from crossnn.runs.wire import decode
from crossnn.training.train import problem_of, train

CATALOGUE = load_catalogue()
HOSTILE = "<script>alert(1)</script> & \"'"
PIXEL = 0.06
"""Coordinates are written with one decimal."""


def valid(svg: str) -> ElementTree.Element:
    """A picture that any reader of XML accepts, without a number that is none."""
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert not re.search(r"\b(nan|inf|None)\b", svg)
    return root


def paths(svg: str, colour: str) -> list[str]:
    """The paths of this stroke, in drawing order."""
    found = [one for one in valid(svg).iter() if one.tag.endswith("path") and one.get("stroke") == colour]
    return [str(one.get("d")) for one in found]


def corners(d: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", d)]


def back(scale: plot.Scale, pixel: float) -> float:
    return scale.low + (pixel - scale.start) / (scale.end - scale.start) * (scale.high - scale.low)


# Scales and paths -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "wanted", "expected"),
    [
        (0.0, 1.0, 5, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-6.0, 6.0, 6, [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0]),
        (0.13, 0.87, 4, [0.2, 0.4, 0.6, 0.8]),
        (1e-12, 7e-12, 3, [2e-12, 4e-12, 6e-12]),
        (1.0, 1.0, 5, []),
        (-1e308, 1e308, 5, []),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, wanted: int, expected: list[float]) -> None:
    assert plot.round_numbers(low, high, wanted) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-18.0, -13.0, ["1e-18", "1e-17", "1e-16", "1e-15", "1e-14", "1e-13"]),
        (-4.0, 1.0, ["1e-4", "0.001", "0.01", "0.1", "1", "10"]),
        (-1.1, 0.4, ["0.1", "0.2", "0.5", "1", "2"]),
        (0.01, 0.09, ["1.05", "1.1", "1.15", "1.2"]),
    ],
)
def test_a_logarithmic_axis_has_powers_or_numbers_between_them(low: float, high: float, expected: list[str]) -> None:
    assert [name for _, name in plot.Scale(low, high, 0.0, 100.0, True).ticks()] == expected


@pytest.mark.parametrize(
    ("scale", "value", "pixel"),
    [
        (plot.Scale(0.0, 10.0, 100.0, 200.0), 2.5, 125.0),
        (plot.Scale(0.0, 10.0, 200.0, 100.0), 2.5, 175.0),
        (plot.Scale(-3.0, 1.0, 0.0, 400.0, True), 1.0, 300.0),
        (plot.Scale(-3.0, 1.0, 0.0, 400.0, True), 0.0, None),
        (plot.Scale(-3.0, 1.0, 0.0, 400.0, True), -1.0, None),
        (plot.Scale(0.0, 1.0, 0.0, 1.0), math.nan, None),
        (plot.Scale(0.0, 1.0, 0.0, 1.0), math.inf, None),
        (plot.Scale(0.0, 1.0, 0.0, 1.0), None, None),
        (plot.Scale(0.0, 1.0, 0.0, 1.0), 1e300, plot.FARTHEST),
    ],
)
def test_a_number_has_its_place_or_none(scale: plot.Scale, value: float | None, pixel: float | None) -> None:
    assert scale(value) == (None if pixel is None else pytest.approx(pixel))


def test_what_is_no_number_is_a_gap() -> None:
    panel = plot.Panel(plot.Scale(0, 4, 0, 400), plot.Scale(0, 1, 100, 0))
    points = [(0, 0.0), (1, 1.0), (2, math.nan), (3, 0.5), (4, None)]
    assert 'd="M0.0 100.0L100.0 0.0M300.0 50.0h2"' in panel.curve(points, "")
    assert panel.curve([(0, math.inf)], "") == ""


def test_no_letters_of_anyone_become_tags() -> None:
    answers = Answers(HOSTILE, Square(0, 0, 1), 0.0, None, {(HOSTILE, HOSTILE): np.ones((3, 3))}, [])
    for svg in (
        line_chart({(HOSTILE, HOSTILE): [1.0, 2.0]}, across=HOSTILE, up=HOSTILE),
        boundaries([answers], HOSTILE),
        trajectories([Walk(HOSTILE, bowl(), {(HOSTILE, HOSTILE): [(0.5, 0.5)]}, [], False)], HOSTILE),
    ):
        words = "".join(valid(svg).itertext())
        assert "<script>" in words
        assert "<script>" not in svg


def test_no_data_is_no_picture() -> None:
    assert line_chart({}, across="", up="") == ""
    assert line_chart({("numpy", ""): []}, across="", up="") == ""
    assert trajectories([], "") == ""
    assert boundaries([], "") == ""
    assert paths_picture({}, "")[0] == ""
    assert boundaries_picture({}, "")[0] == ""


# Contours -------------------------------------------------------------------------------------------------------------

GRID = np.linspace(-2.0, 2.0, 81)
X, Y = np.meshgrid(GRID, GRID)


def plane(line: np.ndarray) -> np.ndarray:
    """From units of the grid to x and y."""
    return np.asarray(line * 0.05 - 2.0)


@pytest.mark.parametrize("radius", [0.25, 1.0, 1.9])
def test_contours_of_a_bowl_are_circles(radius: float) -> None:
    (line,) = contour.contours(X**2 + Y**2, radius**2)
    assert np.array_equal(line[0], line[-1])
    distances = np.linalg.norm(plane(line), axis=1)
    assert np.max(np.abs(distances - radius)) < 0.05**2 / (8 * radius) + 1e-9, "as linear interpolation errs"
    angles = np.unwrap(np.arctan2(*plane(line).T))
    assert abs(angles[-1] - angles[0]) == pytest.approx(2 * math.pi)


def test_the_contour_of_a_plane_is_a_straight_line() -> None:
    (line,) = contour.contours(2 * X - Y + 0.3, 0.0)
    x, y = plane(line).T
    assert np.max(np.abs(2 * x - y + 0.3)) < 1e-12
    assert {round(abs(float(v)), 6) for v in (y[0], y[-1])} == {2.0}


@pytest.mark.parametrize("level", [0.3, -0.3])
def test_a_saddle_has_two_branches_that_do_not_meet(level: float) -> None:
    lines = contour.contours(X * Y, level)
    assert len(lines) == 2
    for line in lines:
        x, y = plane(line).T
        assert np.max(np.abs(x * y - level)) < 0.05**2
        assert len(set(np.sign(x))) == 1


@pytest.mark.parametrize(("low", "cut_off"), [(-0.2, "low"), (-3.0, "high")])
def test_a_cell_with_two_high_corners_is_joined_by_its_mean(low: float, cut_off: str) -> None:
    for values in (np.array([[1.0, low], [low, 1.0]]), np.array([[low, 1.0], [1.0, low]])):
        lines = contour.contours(values, 0.0)
        assert len(lines) == 2
        for line in lines:
            column, row = np.mean(line, axis=0) > 0.5
            assert values[int(row), int(column)] == (low if cut_off == "low" else 1.0)


def test_cells_with_a_hole_are_left_out() -> None:
    values = X**2 + Y**2
    values[40, 60] = np.nan
    values[60, 40] = np.inf
    lines = contour.contours(values, 1.0)
    assert len(lines) == 2
    assert all(abs(np.linalg.norm(point) - 1) < 0.01 for line in lines for point in plane(line))
    assert contour.contours(np.full((3, 3), np.nan), 0.0) == []
    assert contour.contours(values, 1e9) == []


def test_levels_of_a_round_bowl_are_equally_far_apart() -> None:
    radii = np.sqrt(contour.levels(X**2 + Y**2, 0.0))
    assert len(radii) == contour.MOST_LEVELS
    assert np.diff(radii) == pytest.approx(np.full(len(radii) - 1, math.sqrt(8) / 10))


def test_levels_of_a_valley_are_equal_factors() -> None:
    found = np.array(contour.levels(100 * (Y - X**2) ** 2 + (1 - X) ** 2, 0.0))
    assert found[1:] / found[:-1] == pytest.approx(np.full(len(found) - 1, found[1] / found[0]))


def test_a_saddle_has_levels_on_both_sides_of_zero() -> None:
    found = contour.levels(X**2 - Y**2, 0.0)
    assert min(found) < 0 < max(found)
    assert 0.0 in found
    assert sorted(found) == found


@pytest.mark.parametrize("values", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.full((3, 3), np.inf)])
def test_what_is_flat_has_no_levels(values: np.ndarray) -> None:
    assert contour.levels(values) == []


# Activations ----------------------------------------------------------------------------------------------------------

VALUE, SLOPE, ACROSS = "#2878b5", "#d1495b", "#8e5ea2"
ELEMENTS = [row for row in CATALOGUE.of_kind("activation") if isinstance(row, Activation) and row.acts_on == "element"]


def activation_row(name: str) -> Activation:
    row = CATALOGUE.find(name)
    assert isinstance(row, Activation)
    return row


KNOWN = [
    ("sigmoid", lambda x: 1 / (1 + math.exp(-x)), lambda x: math.exp(-x) / (1 + math.exp(-x)) ** 2),
    ("tanh", math.tanh, lambda x: 1 / math.cosh(x) ** 2),
    ("softplus", lambda x: math.log1p(math.exp(x)), lambda x: 1 / (1 + math.exp(-x))),
    ("relu", lambda x: max(x, 0.0), lambda x: float(x > 0)),
    ("hard_tanh", lambda x: max(-1.0, min(1.0, x)), lambda x: float(abs(x) < 1)),
]


@pytest.mark.parametrize(("name", "value", "slope"), KNOWN, ids=lambda one: one if isinstance(one, str) else "")
def test_curves_pass_through_known_points(name: str, value: Any, slope: Any) -> None:
    row = activation_row(name)
    panel = activation.panel_of(curves_of(row))
    svg = activation.activation_picture(row)
    for colour, function in ((VALUE, value), (SLOPE, slope)):
        drawn = max(paths(svg, colour), key=len)
        points = corners(drawn)
        assert len(points) > 500
        for x, y in points[::7]:
            at = back(panel.x, x)
            if name in ("relu", "hard_tanh") and min(abs(at - kink) for kink in (-1.0, 0.0, 1.0)) < 0.02:
                continue
            assert panel.y(function(at)) == pytest.approx(y, abs=6 * PIXEL), "a pixel across is up to five upwards"
    if name == "sigmoid":
        x, y = panel.at(0.0, 0.5) or (0.0, 0.0)
        assert any(abs(a - x) < PIXEL and abs(b - y) < PIXEL for a, b in corners(max(paths(svg, VALUE), key=len)))


@pytest.mark.parametrize("row", ELEMENTS, ids=lambda row: row.name)
def test_every_activation_has_a_picture_and_its_kinks_are_marked(row: Activation) -> None:
    curves = curves_of(row)
    svg = activation.activation_picture(row)
    panel = activation.panel_of(curves)
    lines = sorted(float(re.findall(r"M([\d.]+)", d)[0]) for d in paths(svg, ACROSS))
    declared = kinks_of(row, *settings(row, {}))
    for kink in declared:
        assert any(abs(line - (panel.x(kink) or 0.0)) < PIXEL for line in lines), f"{kink} of {row.name}"
    measured = [jump.at for jump in curves.found.jumps]
    assert lines == pytest.approx(sorted(panel.x(at) or 0.0 for at in measured), abs=PIXEL)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("relu", {}, "slope 0 before, 1 behind"),
        ("leaky_relu", {"alpha": 0.25}, "slope 0.25 before, 1 behind"),
        ("heaviside", {}, "jumps from 0 to 1"),
        ("relu6", {}, "at x = 6"),
        ("sigmoid", {}, "largest 1, approached"),
        ("relu", {}, "largest infinity"),
    ],
)
def test_what_was_measured_is_said(name: str, given: dict[str, float], words: str) -> None:
    assert words in list(valid(activation.activation_picture(activation_row(name), given)).itertext())


def test_a_jump_is_no_steep_line() -> None:
    row = activation_row("heaviside")
    (drawn,) = [d for d in paths(activation.activation_picture(row), VALUE) if len(d) > 500]
    assert drawn.count("M") == 2
    for part in drawn.split("M")[1:]:
        assert len({y for _, y in corners("M" + part)}) == 1


def test_a_vector_has_no_curve() -> None:
    with pytest.raises(SpecError, match="softmax works on whole vectors"):
        activation.activation_picture(activation_row("softmax"))


# Paths ----------------------------------------------------------------------------------------------------------------


def bowl(**changes: Any) -> Study:
    study = CATALOGUE.find("bowl")
    assert isinstance(study, Study)
    return msgspec.structs.replace(study, **changes)


def run(spec: str, backend: str = "numpy", mode: str = "compiled", **rest: Any) -> Training:
    (found,) = train(Cell(task="train", spec=spec, backend=backend, mode=mode, **rest))
    assert isinstance(found, Training)
    return found


def groups(*specs: str) -> dict[str, list[Training]]:
    return {spec: [run(spec, "oracle", "exact"), run(spec)] for spec in specs}


@pytest.mark.parametrize(
    ("spec", "objective"),
    [
        ("bowl", lambda x, y: (x * x + y * y) / 2),
        ("saddle", lambda x, y: (x * x - y * y) / 2),
        ("rotated-100-sgd", lambda x, y: ((x + y) ** 2 + (x - y) ** 2 / 100) / 4),
        ("rosenbrock-adam", lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2),
    ],
)
def test_the_landscape_is_the_objective(spec: str, objective: Any) -> None:
    study = study_of(msgspec.to_builtins(CATALOGUE.find(spec)))
    assert study is not None
    x, y = np.linspace(-1.5, 2.0, 5), np.linspace(-0.5, 1.0, 4)
    assert heights(study, x, y) == pytest.approx(objective(x[None, :], y[:, None]), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize(
    "row", [{}, {"kind": "study"}, {"kind": "loss"}, {**msgspec.to_builtins(bowl()), "objective": "sum(w.real)"},
            {**msgspec.to_builtins(bowl()), "objective": "w"}, {**msgspec.to_builtins(bowl()), "colour": "red"},
            {**msgspec.to_builtins(bowl()), "start": ["a", "b"]}, {**msgspec.to_builtins(bowl()), "data": {"a": "b"}},
            msgspec.to_builtins(CATALOGUE.find("matrix-sgd"))],
)  # fmt: skip
def test_a_study_that_cannot_be_read_has_no_landscape(row: dict[str, Any]) -> None:
    assert study_of(row) is None


def test_a_path_is_where_the_closed_form_says() -> None:
    """w after t steps is 0.875**t times the start (1, 2); the frame is known from where start and minimum are drawn."""
    svg, caption = paths_picture(groups("bowl"), "bowl")
    assert "closed form" in caption
    moved = [tuple(map(float, one)) for one in re.findall(r'translate\((-?[\d.]+) (-?[\d.]+)\)"><circle', svg)]
    (start,) = re.findall(r'translate\((-?[\d.]+) (-?[\d.]+)\)"><rect', svg)[:1]
    (minimum,) = re.findall(r'translate\((-?[\d.]+) (-?[\d.]+)\)"><path d="M-4', svg)[:1]
    (x1, y1), (x0, y0) = (tuple(map(float, one)) for one in (start, minimum))
    assert x1 - x0 == pytest.approx((y0 - y1) / 2, abs=4 * PIXEL), "equal scales: (1, 2) is twice as high as far"
    (line,) = [d for d in paths(svg, "#888888") if len(corners(d)) == 41]
    for step, (x, y) in enumerate(corners(line)):
        factor = 0.875**step
        assert (x - x0, y0 - y) == pytest.approx((factor * (x1 - x0), factor * (y0 - y1)), abs=4 * PIXEL)
    on_path = [one for one in moved if any(math.dist(one, corner) < 2 * PIXEL for corner in corners(line))]
    assert len(on_path) >= 10
    assert on_path[0] == pytest.approx((x0 + 0.875 * (x1 - x0), y0 - 0.875 * (y0 - y1)), abs=4 * PIXEL)


def test_families_are_panels_in_the_order_of_their_settings() -> None:
    svg, caption = paths_picture(groups(*(f"aligned-{k}-{o}" for k in (10, 100) for o in ("sgd", "adam"))), "aligned")
    heads = [one.text for one in valid(svg).iter() if one.get("class") == "head"]
    assert heads == ["aligned-10-sgd", "aligned-10-adam", "aligned-100-sgd", "aligned-100-adam"]
    assert "circles: closed form or reference" in caption


def test_a_path_that_diverges_leaves_the_picture() -> None:
    far: list[tuple[float, float] | None] = [((-2.0) ** t, 2 * (-2.0) ** t) for t in range(1, 400)]
    svg = trajectories([Walk("far", bowl(), {("numpy", "eager"): [*far, None, (math.inf, 0.0)]}, far, True)], "far")
    pixels = [abs(value) for d in paths(svg, "#888888") for point in corners(d) for value in point]
    assert max(pixels) <= plot.FARTHEST
    assert Walk("far", bowl(), {}, far, True).view().half < 40
    endless: list[tuple[float, float] | None] = [(10.0**t, -(10.0**t)) for t in range(308)]
    valid(trajectories([Walk("far", bowl(minimum=[]), {("numpy", "eager"): endless}, [], False)], "far"))


def test_a_start_at_the_minimum_is_a_picture_too() -> None:
    same = bowl(start=[0.0, 0.0])
    valid(trajectories([Walk("still", same, {("numpy", "eager"): [(0.0, 0.0)]}, [None], True)], "still"))


# Boundaries -----------------------------------------------------------------------------------------------------------


def test_the_boundary_of_a_linear_classifier_is_its_line() -> None:
    """2*x - y + 0.3 = 0 over the square around (0.5, 0) of half-width 2."""
    grid = np.linspace(-2.0, 2.0, 41)
    x, y = np.meshgrid(grid + 0.5, grid)
    values = 2 * x - y + 0.3
    one = Answers("line", Square(0.5, 0.0, 2.0), 0.0, values, {("jax", "jit"): values}, [(0.5, 1.0, True)])
    svg = boundaries([one], "line")
    panel = one.square.panel(62.0, 40.0, 440.0)
    (line,) = [d for d in paths(svg, "#2878b5") if len(corners(d)) > 10]
    for point in corners(line):
        a, b = back(panel.x, point[0]), back(panel.y, point[1])
        assert 2 * a - b + 0.3 == pytest.approx(0.0, abs=3 * PIXEL * 4 / 440)
    assert re.search(r'translate\(282\.0 150\.0\)"><path d="M0 -4\.4', svg), "the sample, a quarter below the top"


@pytest.mark.parametrize("values", [np.zeros((3, 3)), np.ones((3, 3)), np.full((3, 3), np.nan)])
def test_a_network_that_never_changes_its_answer_has_no_boundary(values: np.ndarray) -> None:
    one = Answers("flat", Square(0, 0, 1), 0.5, values, {("numpy", "eager"): values}, [])
    assert [d for d in paths(boundaries([one], "flat"), "#888888") if "h34" not in d] == [""]


@pytest.mark.parametrize(
    ("spec", "level", "decides"),
    [
        ("threshold-and", 0.5, lambda x, y: x + y - 1.5),
        ("threshold-or", 0.5, lambda x, y: x + y - 0.5),
        ("threshold-xor-product", 0.5, lambda x, y: x + y - 2 * x * y - 0.5),
        ("threshold-xor-layers", 0.5, lambda x, y: min(x + y - 0.5, 1.5 - x - y)),
    ],
)
def test_the_answers_are_those_of_the_formula(spec: str, level: float, decides: Any) -> None:
    one = run(spec, "oracle", "exact")
    assert one.about is not None
    plane = one.about.plane
    assert plane is not None
    assert (plane.x, plane.y, plane.level, len(one.surface)) == (0.5, 0.5, level, plane.side**2)
    steps = np.linspace(-plane.half, plane.half, plane.side) + 0.5
    for row, y in enumerate(steps.tolist()):
        for column, x in enumerate(steps.tolist()):
            if abs(decides(x, y)) > 1e-9:
                assert (one.surface[row * plane.side + column] or 0.0) == float(decides(x, y) > 0)
    assert run(spec).surface == one.surface
    assert {(x, y) for x, y, yes in plane.samples if yes} == {
        (x, y) for x in (0, 1) for y in (0, 1) if decides(x, y) > 0
    }


@pytest.mark.parametrize(
    ("spec", "level"), [("perceptron-rule", 0.0), ("learn-moons", 0.0), ("joined-regressions", 0.5)]
)
def test_most_samples_lie_on_their_side(spec: str, level: float) -> None:
    one = msgspec.structs.replace(run(spec), about=run(spec, "oracle", "exact").about)
    assert one.about is not None
    plane = one.about.plane
    assert plane is not None
    assert plane.level == level
    answers = np.array(one.surface).reshape(plane.side, plane.side)
    cell = 2 * plane.half / (plane.side - 1)
    right = [
        (answers[round((y - plane.y + plane.half) / cell), round((x - plane.x + plane.half) / cell)] > level)
        == bool(yes)
        for x, y, yes in plane.samples
    ]
    assert np.mean(right) > 0.95


@pytest.mark.parametrize("spec", ["fit-line", "digits-even", "bowl", "threshold-not", "text-bag"])
def test_other_networks_are_not_asked(spec: str) -> None:
    row: Any = CATALOGUE.find(spec)
    assert survey_of(problem_of(row, CATALOGUE, 0)) is None


# Loss curves ----------------------------------------------------------------------------------------------------------


def test_differences_stand_beneath_on_a_logarithmic_axis() -> None:
    truth = [1.0, 0.5, 0.25, 0.125]
    curves = {
        ("numpy", "eager"): truth, ("torch", "eager"): [one + 1e-12 * 10**k for k, one in enumerate(truth)],
        ("reference", "numpy"): truth,
    }  # fmt: skip
    svg = line_chart(curves, across="epoch", up="loss", reference=("reference", "numpy"), limit=[1e-6] * 4)
    words = [one.text for one in valid(svg).iter() if one.tag.endswith("text")]
    assert words[words.index("no difference at all:") + 1 :] == ["numpy eager"]
    above, beneath = (corners(d) for d in paths(svg, "#d1495b") if "h34" not in d)
    assert [x for x, _ in above] == [x for x, _ in beneath]
    steps = np.diff([y for _, y in beneath])
    assert steps == pytest.approx(np.full(3, steps[0]), abs=0.11)
    assert steps[0] < 0, "a factor of ten a step, upwards"
    (limit,) = re.findall(r'<path d="([^"h]+)" class="mark"', svg)
    assert beneath[3][1] - corners(limit)[0][1] == pytest.approx(-3 * steps[0], abs=0.5), "1e-9 is lower"


def test_curves_that_are_the_reference_have_no_second_panel() -> None:
    curves = {("numpy", "eager"): [2.0, 1.0], ("reference", "numpy"): [2.0, 1.0]}
    svg = line_chart(curves, across="step", up="loss", reference=("reference", "numpy"))
    assert "difference" not in svg
    valid(svg)


@pytest.mark.parametrize("truth", [[None, None], [math.nan, 1.0], [1.0], []])
def test_a_reference_without_numbers_is_no_difference(truth: Sequence[float | None]) -> None:
    curves = {("torch", "eager"): [2.0, 1.5], ("reference", "numpy"): truth}
    valid(line_chart(curves, across="step", up="loss", reference=("reference", "numpy"), limit=[None, 1e-9]))


# In the report and on the command line --------------------------------------------------------------------------------


def test_the_report_has_the_pictures_of_what_was_trained() -> None:
    trainings = [one for group in groups("bowl", "threshold-and", "joined-regressions").values() for one in group]
    figures = {block.file: block for block in training_blocks(trainings) if isinstance(block, Figure)}
    assert figures.keys() == {
        "loss-joined-regressions.svg", "boundary-joined-regressions.svg", "boundary-threshold.svg",
        "family-studies.svg", "path-studies.svg",
    }  # fmt: skip
    for block in figures.values():
        valid(block.svg)


def test_the_mode_furthest_from_the_reference_is_drawn() -> None:
    one = run("bowl")
    same = [msgspec.structs.replace(one, mode=mode, curve_r=r) for mode, r in (("eager", 1.0), ("compiled", 9.0))]
    svg, _ = paths_picture({"bowl": [run("bowl", "oracle", "exact"), *same]}, "bowl")
    assert "numpy compiled" in svg
    assert "numpy eager" not in svg


def test_a_journal_from_before_there_were_pictures_is_read() -> None:
    old = msgspec.to_builtins(run("bowl"))
    for key in ("surface", "about"):
        del old[key]
    one = decode(msgspec.json.encode(old))
    assert isinstance(one, Training)
    assert one.surface == ()
    about = msgspec.json.decode(b'{"kind": "study", "ending": "closed form"}', type=About)
    assert (about.study, about.plane) == ({}, None)
    assert paths_picture({"bowl": [msgspec.structs.replace(one, about=about)]}, "")[0] == ""


def test_a_record_that_does_not_fit_its_plane_has_no_picture() -> None:
    for side, half, surface in ((9, 1.0, (1.0,)), (0, 1.0, ()), (2, 0.0, (1.0, 2.0, 3.0, 4.0))):
        about = About(plane=Plane(x=0, y=0, half=half, side=side, level=0))
        one = msgspec.structs.replace(run("bowl"), about=about, surface=surface)
        assert boundaries_picture({"bowl": [one]}, "")[0] == ""


@pytest.mark.parametrize("name", ["gelu", "warmup_cosine", "rosenbrock-lion", "threshold-and", "least-squares"])
def test_show_draws_into_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "picture.svg"
    result = CliRunner().invoke(main, ["show", name, "--picture", str(file)])
    assert result.exit_code == 0, result.output
    assert result.output == f"Picture of {name}: {file}\n"
    assert name in "".join(valid(file.read_text("utf-8")).itertext())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["relu", "tanh", "--picture", "a.svg"], "draws one row, and 2 were named"),
        (["softmax", "--picture", "a.svg"], "works on whole vectors"),
        (["mlp", "--picture", "a.svg"], "mlp (network) has no picture; kinds that have: activation, schedule"),
        (["relu", "--picture", "no/such/folder/a.svg"], "cannot be written"),
        (["elu", "--picture", "a.svg", "--knob", "alpha=nan"], "nan is not a finite number"),
        (["bowl", "--picture", "a.svg", "--knob", "lr=1"], "is trained as its row says"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output
    assert not list(tmp_path.iterdir())
