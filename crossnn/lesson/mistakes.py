"""Step L11: planted mistakes, and which of the suite's checks finds each.

A mistake is a row of the catalogue with a changed formula. It is computed by the backend like any other, and judged
against the truth of the right row.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import msgspec
import numpy as np

from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Formulated, Optimizer, Row
from crossnn.lesson.bench import Bench
from crossnn.parity.compute import optimizer_values, subject_values
from crossnn.parity.functions import function_subjects
from crossnn.parity.judge import judge
from crossnn.parity.optimizers import Steps, optimizer_steps
from crossnn.parity.subject import Subject


def mistakes() -> list[dict[str, Any]]:
    text = resources.files("crossnn.lesson").joinpath("mistakes.toml").read_text("utf-8")
    found: list[dict[str, Any]] = tomllib.loads(text)["mistake"]
    return found


def changed(row: Row, change: Mapping[str, Any]) -> Row:
    """The row as the student wrote it: without the definition, which would give the answer away."""
    given = {"definition": "", **change} if hasattr(row, "definition") and "formula" in change else dict(change)
    return msgspec.structs.replace(row, **given)


def find_mistakes(bench: Bench) -> dict[str, Any]:
    """Every mistake in the first mode of the backend: check -> verdict, in float64 and float32 apart."""
    catalogue = load_catalogue()
    found = []
    for one in mistakes():
        row = catalogue.find(one["row"])
        found.append({"id": one["id"], "row": row.name, "change": one["change"],
                      "checks": judged(bench, row, changed(row, one["change"]))})  # fmt: skip
    return {"mistakes": found}


def judged(bench: Bench, right: Row, wrong: Row) -> list[dict[str, Any]]:
    """The verdict on every quantity of the wrong row's default case, in the order in which they are computed."""
    mode = bench.adapter.modes[0]
    if isinstance(right, Optimizer) and isinstance(wrong, Optimizer):
        truth, student = optimizer_steps(right, 0)[0], optimizer_steps(wrong, 0)[0]
        # Each step begins where the right row's path is, not where the student's own would be.
        student.__dict__["trajectory"] = truth.trajectory
        values = optimizer_values(bench.adapter, mode, student)
        return _verdicts(bench, truth, values)
    assert isinstance(right, Formulated)
    assert isinstance(wrong, Formulated)
    subject, own = function_subjects(right, 0)[0], function_subjects(wrong, 0)[0]
    own.params, own.data = subject.params, subject.data
    with np.errstate(all="ignore"):
        return _verdicts(bench, subject, subject_values(bench.adapter, mode, own, None))


def _verdicts(bench: Bench, truth: Subject | Steps, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    kinks = {(kink.quantity, kink.index) for kink in truth.kinks} if isinstance(truth, Subject) else set()
    found = []
    for quantity, reference in truth.references(bench.dtype).items():
        if quantity not in values:
            continue
        value = np.array(values[quantity])
        for name, index in kinks:
            if name == quantity:  # a slope that is a convention is no mistake
                value[index] = reference.exact.hi[index]
        verdict = judge(value, reference, bench.dtype)
        found.append({"quantity": quantity, "verdict": verdict.verdict, "digits": verdict.digits,
                      "expected": verdict.worst.expected if verdict.worst else "",
                      "actual": verdict.worst.actual if verdict.worst else ""})  # fmt: skip
    return found
