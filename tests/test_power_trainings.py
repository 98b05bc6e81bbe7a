"""Mistakes in trainings: which are made, which the verdict on curves finds, and what the oracle says of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Trained
from crossnn.power.judge import judge_mutants
from crossnn.power.mistakes import Mistake
from crossnn.power.mutants import drawn
from crossnn.power.plan import power_cells
from crossnn.power.practice import Practice, altered
from crossnn.power.reasons import BESIDE, MEANING, OPEN, UNASKED, UNSHOWN, discussion
from crossnn.power.trainings import KINDS, Rehearsal, Spoiled
from crossnn.runs.cell import ORACLE, Cell, Record
from crossnn.runs.findings import Mutants, Survivor

EVERYTHING: Mapping[str, Any] = {
    "network": "mlp_plane",
    "optimizer": {"use": "adamw", "lr": 0.02},
    "schedule": {"use": "linear_warmup", "lr": 0.02, "warmup": 4},
    "regularizers": [{"use": "l2", "rate": 1e-3, "on": "kernel"}],
    "clip": {"use": "clip_by_global_norm"},
    "constraints": [{"use": "max_norm", "on": "kernel", "limit": 0.9}],
}
"""What a training can have, but for draws and running statistics."""


@cache
def rehearsal(name: str, everything: bool = False) -> Rehearsal:
    catalogue = load_catalogue()
    row = catalogue.find(name)
    assert isinstance(row, Trained)
    return Rehearsal(msgspec.structs.replace(row, **EVERYTHING) if everything else row, catalogue)


def made(name: str, kind: str, everything: bool = False) -> list[tuple[str, str]]:
    """(place, what is done) of the mistakes of one kind."""
    found = rehearsal(name, everything).mutants
    return [(one.mistake.place, one.mistake.mutant) for one in found if one.operator == kind]


@pytest.mark.parametrize(
    ("name", "everything", "kind", "expected"),
    [
        ("fit-line", False, "stale parameters", [
            ("gradient", "at those of the step before"), ("update", "by that of the step before"),
            ("update", "the others after the first has moved"),
        ]),
        ("fit-line", False, "gradient kept", [("gradient", "added to those before")]),
        ("two-layers", False, "gradient wrong", [
            ("gradient", "uphill"), ("gradient", "rounded to float32"), ("hidden.kernel", "left as it is"),
            ("output.kernel", "left as it is"),
        ]),
        ("fit-line", False, "loss reduction", [("gradient", "of the sum"), ("gradient", "sum/31")]),
        ("fit-line", False, "step count", []),
        ("learn-moons", False, "step count", [
            ("update", "t - 1"), ("update", "t + 1"), ("update", "1"), ("update", "the epoch"),
        ]),
        ("bowl-exponential_decay", False, "learning rate", [
            ("learning rate", "the rate of the next step"), ("learning rate", "the rate of the step before"),
            ("learning rate", "the same in every step"), ("learning rate", "rounded to float32"),
            ("learning rate", "wrong by 1e-8"),
        ]),
        ("fit-line", False, "optimizer state", []),
        ("function-of-4", False, "optimizer state", [
            ("state", "new in every step"), ("state", "new in every epoch"), ("state", "starts as 1"),
        ]),
        ("least-squares", False, "batch order", [("batch", "with those of the sample before")]),
        ("fit-line", False, "batch order", [
            ("order", "as in the data"), ("order", "the first one"), ("order", "from the end"),
            ("batch", "with those of the sample before"),
        ]),
        ("fit-line", False, "last batch", [
            ("batches", "the last 16 are a batch"), ("batches", "without the last one"),
            ("batch", "the first samples again"),
        ]),
        ("fit-line", False, "mask", []),
        ("mlp-regression", False, "mask", [
            ("mask", "the first one again"), ("mask", "those of the first"), ("mask", "of the next"),
            ("mask", "drawn again for the gradient"),
        ]),
        ("mlp-regression", False, "training mixed up", [("gradient", "in inference"), ("evaluation", "in training")]),
        ("bowl", False, "evaluated early", [("loss", "after the update")]),
        ("fit-line", False, "evaluated early", [
            ("evaluation", "before the last update"), ("loss", "after the update"),
            ("loss of an epoch", "that of the last batch"), ("loss of an epoch", "the sum"),
        ]),
        ("fit-line", False, "penalty", []),
        ("learn-moons", True, "penalty", [
            ("regularizers", "of biases too"), ("regularizers", "left out"), ("weight decay", "of none"),
            ("weight decay", "not of biases"), ("clipping", "not clipped"), ("clipping", "clip_by_norm"),
            ("constraints", "left out"),
        ]),
        ("learn-moons", True, "setting", [
            ("beta1", "0.9*(1 + 1e-6)"), ("beta2", "0.999*(1 + 1e-6)"), ("eps", "1e-08*(1 + 1e-6)"),
            ("weight_decay", "0.01*(1 + 1e-6)"), ("regularizers.rate", "0.001*(1 + 1e-6)"),
        ]),
    ],
)  # fmt: skip
def test_a_training_has_these_mistakes(name: str, everything: bool, kind: str, expected: list[tuple[str, str]]) -> None:
    assert made(name, kind, everything) == expected


def test_every_kind_of_mistake_has_a_case() -> None:
    mark = next(mark for mark in test_a_training_has_these_mistakes.pytestmark)  # type: ignore[attr-defined]
    assert {case[2] for case in mark.args[1] if case[3]} == KINDS.keys()


@pytest.mark.parametrize(
    ("name", "everything"),
    [("learn-moons", True), ("mlp-regression", False), ("fit-line", False), ("function-of-4", False), ("bowl", False),
     ("bowl-exponential_decay", False), ("rosenbrock-momentum", False), ("least-squares", False)],
)  # fmt: skip
def test_the_verdict_on_curves_finds_every_mistake(name: str, everything: bool) -> None:
    """The training itself passes: a rehearsal refuses one that does not."""
    found = rehearsal(name, everything)
    assert {one.told: found.verdict(one)[0] for one in found.mutants if found.verdict(one)[0] != "killed"} == {}


def test_running_statistics_can_be_forgotten_and_mixed_up() -> None:
    catalogue = load_catalogue()
    row = catalogue.find("deep-sigmoid-batch-norm")
    assert isinstance(row, Trained)
    found = Rehearsal(msgspec.structs.replace(row, epochs=1), catalogue)
    mixed = [one for one in found.mutants if one.operator == "training mixed up"]
    assert [one.mistake.mutant for one in mixed] == [
        "in inference",
        "in training",
        "never renewed",
        "of the step before",
    ]
    assert [found.verdict(one)[0] for one in mixed] == ["killed"] * 4


def by_hand(change: Any) -> Spoiled:
    return Spoiled("by hand", Mistake("", "", "", change))


def test_the_order_of_a_full_batch_is_no_mistake_and_the_oracle_knows() -> None:
    def backwards(problem: Any, epoch: int) -> np.ndarray:
        return np.arange(len(problem.data.x))[::-1]

    verdict, why = beside("least-squares", lambda one: replace(one, problem=altered(one.problem, order=backwards)))
    assert (verdict, why) == ("equivalent", "the same training to 25 digits, with fresh data too")


def test_less_than_rounding_survives_and_it_is_said_how_much() -> None:
    def a_little(one: Practice) -> Practice:
        return replace(one, problem=altered(one.problem, rates=one.problem.rates * (1 + 2e-15)))

    verdict, why = beside("fit-line", a_little)
    assert verdict == "survived"
    assert "of 64 that rounding may make" in why


def test_what_no_curve_shows_survives() -> None:
    """The perceptron is right after a few samples, and its loss 0: how long its weights are shows nowhere."""

    def longer(one: Practice) -> Practice:
        return replace(one, problem=altered(one.problem, rates=one.problem.rates * (1 + 1e-8)))

    verdict, why = beside("perceptron-rule", longer)
    assert verdict == "survived"
    assert why.endswith(f"({BESIDE})")


def beside(name: str, change: Any) -> tuple[str, str]:
    """The verdict on a mistake made by hand; with many digits it is the same change."""
    found = rehearsal(name)
    one = by_hand(change)
    for seed in (0, 101, 102):
        found.with_many_digits(seed).mutants.append(one)
    return found.verdict(one)


def test_a_state_that_starts_elsewhere_is_started_at_0_and_gradients_of_one_shape_are_exchanged() -> None:
    catalogue = load_catalogue()
    bowl, deep = catalogue.find("bowl"), catalogue.find("deep-tanh")
    assert isinstance(bowl, Trained)
    assert isinstance(deep, Trained)
    state = Rehearsal(msgspec.structs.replace(bowl, optimizer={"use": "rprop"}, closed_form=""), catalogue).mutants
    assert [one.mistake.mutant for one in state if one.operator == "optimizer state"] == [
        "new in every step",
        "starts as 0",
    ]
    twins = [one.mistake for one in Rehearsal(deep, catalogue).mutants if one.mistake.mutant == "exchanged"]
    assert [one.place for one in twins] == ["hidden1.bias, hidden2.bias"]


def test_a_sample_of_a_training_has_every_kind() -> None:
    found = rehearsal("learn-moons", everything=True)
    some = drawn(found.row, found.mutants, 16)
    assert len(some) == 16
    assert {one.operator for one in some} == {one.operator for one in found.mutants}


def test_clipping_shows_in_a_short_training() -> None:
    """By the limit of the row, no gradient of it would be clipped."""
    catalogue = load_catalogue()
    row = catalogue.find("remember-first")
    limit = rehearsal("remember-first").practice.problem.row.clip["limit"]
    assert isinstance(row, Trained)
    assert isinstance(limit, float)
    assert 0 < limit < 1


def test_of_a_family_the_first_is_mutated_and_any_by_name() -> None:
    every = {cell.spec for cell in power_cells((), sample=1)}
    assert {"digits-mlp", "bowl", "bowl-rate-0_01"} <= every
    assert not {"bowl-rate-0_5", "threshold-and"} & every
    assert [cell.spec for cell in power_cells(["bowl-rate-0_5"])] == ["bowl-rate-0_5"]


def test_data_that_are_not_here_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSNN_DATA", str(tmp_path))
    (found,) = judge_mutants(Cell(task="power", spec="mnist-softmax", backend=ORACLE, mode="4"))
    assert isinstance(found, Record)
    assert found.verdict == "NOT-RUN"
    assert "CROSSNN_DATA" in found.message


def test_survivors_are_discussed_by_reason() -> None:
    def survivor(why: str) -> Survivor:
        return Survivor(operator="sign", place="", original="", mutant="", why=why)

    found = Mutants(spec="one", kind="loss", spec_sha="", made=5, killed=1, equivalent=0, survivors=(
        survivor(f"differs ({UNSHOWN})"), survivor(f"rounded ({UNSHOWN})"), survivor("who knows"),
        survivor(f"{BESIDE}; {UNASKED}")))  # fmt: skip
    assert discussion([found]) == [(MEANING[UNASKED], 1), (MEANING[UNSHOWN], 2), (OPEN, 1)]
    assert discussion([]) == []
