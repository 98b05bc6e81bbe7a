"""Endings that are known: closed forms of experiments, the paths of studies, judged to the last digit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Experiment, Study
from crossnn.experiment.study import StudyTask
from crossnn.experiment.task import Task
from crossnn.parity.check import check
from crossnn.runs.cell import Cell, Training
from crossnn.training.train import train
from crossnn.training.verdict import judge_curves

CATALOGUE = load_catalogue()


def run(spec: str, backend: str, mode: str = "", **rest: Any) -> Training:
    (found,) = train(Cell(task="train", spec=spec, backend=backend, mode=mode, **rest))
    assert isinstance(found, Training)
    return found


@pytest.fixture(scope="module")
def reference() -> Callable[[str], Training]:
    known: dict[str, Training] = {}

    def get(spec: str) -> Training:
        if spec not in known:
            known[spec] = run(spec, "oracle", "exact")
        return known[spec]

    return get


def ending(one: Training) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in one.ending])


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """A file with these rows, as cells name it."""

    def write(text: str) -> tuple[str, ...]:
        (tmp_path / "own.toml").write_text(text)
        return (str(tmp_path / "own.toml"),)

    return write


BOWL = """
[path]
kind = "study"
objective = "sum(w**2)/2"
start = [1.0, -2.0]
optimizer = { use = "sgd", lr = 0.5 }
steps = 3
"""


def path(text: str, own: Callable[[str], tuple[str, ...]], spec: str = "path") -> np.ndarray:
    files = own(text)
    one = run(spec, "numpy", "compiled", files=files)
    assert judge_curves([run(spec, "oracle", "exact", files=files), one])[1][-1].verdict == "EQUAL"
    return ending(one).reshape(-1, 2)


def test_a_schedule_gives_the_rate_of_every_step(own: Callable[[str], tuple[str, ...]]) -> None:
    """gamma**t by hand: rates 0.5, 0.25, 0.125 (the schedule takes the optimizer's rate as its own)."""
    found = path(BOWL + 'schedule = { use = "step_decay", period = 1, gamma = 0.5 }', own)
    assert np.allclose(found[:, 0], [0.5, 0.5 * 0.75, 0.5 * 0.75 * 0.875], rtol=1e-15)


def test_gradients_are_clipped_before_the_update(own: Callable[[str], tuple[str, ...]]) -> None:
    found = path(BOWL + 'clip = { use = "clip_by_value", limit = 1.5 }', own)
    assert np.allclose(found[:, 1], [-2 + 0.75, (-2 + 0.75) / 2, (-2 + 0.75) / 4], rtol=1e-15)


def test_constraints_hold_after_the_update(own: Callable[[str], tuple[str, ...]]) -> None:
    found = path(BOWL + 'constraints = [{ use = "non_negative", on = "w" }]', own)
    assert found.tolist() == [[0.5, 0.0], [0.25, 0.0], [0.125, 0.0]]


def test_least_squares_is_what_another_solver_finds(reference: Callable[[str], Training]) -> None:
    row = CATALOGUE.find("least-squares")
    assert isinstance(row, Experiment)
    data = Task(row, CATALOGUE, 0).data
    design = np.hstack([np.ones((len(data.x), 1)), data.x])
    weights = np.linalg.lstsq(design, data.t, rcond=None)[0][:, 0]
    assert np.allclose(ending(reference("least-squares")), [weights[0], *(weights[0] + weights[1:])], rtol=1e-12)


def test_two_linear_layers_arrive_where_one_does(reference: Callable[[str], Training]) -> None:
    assert reference("linear-collapse").ending == reference("least-squares").ending
    one = run("linear-collapse", "numpy", "compiled")
    records = judge_curves([reference("linear-collapse"), one])[1]
    assert [record.verdict for record in records if record.quantity == "least squares"] == ["EQUAL"]


def test_logits_are_those_of_the_frequencies(reference: Callable[[str], Training]) -> None:
    assert np.allclose(ending(reference("logistic-frequencies")), [np.log(8 / 32), np.log(28 / 12)], rtol=1e-15)
    one = run("logistic-frequencies", "numpy", "compiled")
    records = judge_curves([reference("logistic-frequencies"), one])[1]
    assert [record.verdict for record in records if record.quantity == "frequencies"] == ["EQUAL"]


def test_the_path_on_the_bowl_is_the_printed_one(reference: Callable[[str], Training]) -> None:
    expected = [0.875**i * start for i in range(1, 41) for start in (1.0, 2.0)]
    assert np.allclose(ending(reference("bowl")), expected, rtol=1e-15)


def test_a_wrong_closed_form_is_refuted(own: Callable[[str], tuple[str, ...]]) -> None:
    """The recursion as printed once, one step behind."""
    files = own(BOWL + 'closed_form = "(1 - lr)**(t - 1)*w0"')
    both = [run("path", backend, mode, files=files) for backend, mode in (("oracle", "exact"), ("numpy", "eager"))]
    assert [record.verdict for record in judge_curves(both)[1]] == ["EQUAL", "FORMULA"]


@pytest.mark.parametrize("spec", [row.name for row in CATALOGUE.of_kind("study")])
def test_a_study_is_what_its_formula_says(spec: str) -> None:
    """First step in arbitrary precision; the path of the compiled code; where a minimum is stated, nothing is smaller
    around it."""
    row = CATALOGUE.find(spec)
    assert isinstance(row, Study)
    records = check(Cell(task="check", spec=spec, backend="numpy", mode="eager"))
    assert {record.verdict for record in records} <= {"EQUAL", "ROUNDING"}, records
    both = [run(spec, "oracle", "exact"), run(spec, "numpy", "compiled")]
    assert {record.verdict for record in judge_curves(both)[1]} == {"EQUAL"}
    one = StudyTask(row, CATALOGUE, 0)
    assert both[1].metrics["objective"] == (
        one.measures({"w": ending(both[1]).reshape(-1, *one.params["w"].shape)[-1]})["objective"],
    )
    if row.minimum:
        lowest = np.array(row.minimum)
        value = one.measures({"w": lowest})["objective"]
        generator = np.random.default_rng(0)
        for _ in range(50):
            near = {"w": lowest + 1e-3 * generator.normal(size=lowest.shape)}
            assert one.measures(near)["objective"] > value
        assert one.measures({"w": lowest})["distance"] == 0


CHAOTIC = """
[map]
kind = "study"
objective = "sum(4*w**3/3 - 3*w**2/2)"
start = [0.2]
optimizer = { use = "sgd", lr = 1.0 }
steps = 90
"""


def test_where_rounding_decides_nothing_is_judged_and_it_is_said(own: Callable[[str], tuple[str, ...]]) -> None:
    """The step is w -> 4*w*(1 - w): every digit is lost after fifty steps in float64, after twenty in float32."""
    files = own(CHAOTIC)
    reference = run("map", "oracle", "exact", files=files)
    short = run("map", "numpy", "eager", dtype="float32", files=files)
    for record in judge_curves([reference, short])[1]:
        assert record.verdict == "ILL-CONDITIONED"
        start = int(record.message.split()[2])
        assert 8 < start < 24
    assert {record.verdict for record in judge_curves([reference, run("map", "numpy", files=files)])[1]} == {"EQUAL"}


@pytest.mark.parametrize(("place", "verdict"), [(10, "FORMULA"), (80, "ILL-CONDITIONED")])
def test_chaos_excuses_nothing_before_it(place: int, verdict: str, own: Callable[[str], tuple[str, ...]]) -> None:
    reference = run("map", "oracle", "exact", files=own(CHAOTIC))
    loss = [value if value is not None else np.nan for value in reference.loss]
    loss[place] += 0.01
    bent = msgspec.structs.replace(reference, backend="torch", loss=tuple(loss))
    record, *_ = judge_curves([reference, bent])[1]
    assert record.verdict == verdict
    assert record.worst is not None
    assert record.worst.index == (place,)
