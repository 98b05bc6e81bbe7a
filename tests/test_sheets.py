"""The sheets that exist: the five lectures, and claims of textbooks whose answers are known.

The textbook sheets were written before the verifier was run on them, half of them wrong in one detail, by somebody who
had not seen its code; the answers were found apart from it.
"""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path

import mpmath
import numpy as np
import pytest

from crossnn.claims.judge import Finding, judge
from crossnn.claims.notation import plain
from crossnn.claims.sheet import Claim, read_sheet, sheet_of

HERE = Path(__file__).parent
TEXTBOOKS = sorted(path for path in HERE.glob("textbook_*.toml") if path.stem != "textbook_answers")
PART = 40


def lectures() -> list[Claim]:
    text = resources.files("crossnn.specs").joinpath("lectures.toml").read_text("utf-8")
    return sheet_of(text, "lectures.toml")


def parts(claims: list[Claim], name: str) -> list[object]:
    """A sheet in pieces that processes of a test run can share."""
    pieces = [claims[start : start + PART] for start in range(0, len(claims), PART)]
    return [pytest.param(piece, id=f"{name}-{number}") for number, piece in enumerate(pieces, 1)]


@cache
def answers() -> dict[str, list[str]]:
    table = tomllib.loads((HERE / "textbook_answers.toml").read_text("utf-8"))
    verdicts = {name: answer["verdict"] for name, answer in table.items()}
    return {name: verdict if isinstance(verdict, list) else [verdict] for name, verdict in verdicts.items()}


@pytest.mark.parametrize("claims", [piece for path in TEXTBOOKS for piece in parts(read_sheet(str(path)), path.stem)])
def test_textbook_claims_are_judged_right(claims: list[Claim]) -> None:
    found = {claim.id: judge(claim) for claim in claims}
    wrong = {name: one for name, one in found.items() if one.verdict not in answers()[name]}
    assert not wrong


def test_the_textbook_sheets_are_many_and_half_of_them_wrong() -> None:
    ids = [claim.id for path in TEXTBOOKS for claim in read_sheet(str(path))]
    assert set(ids) == set(answers())
    assert len(ids) >= 300
    assert 0.4 < sum("REFUTED" in answers()[name] for name in ids) / len(ids) < 0.6


@pytest.mark.parametrize("claims", parts(lectures(), "lectures"))
def test_every_claim_of_the_lectures_is_decided_and_every_refutation_confirmed(claims: list[Claim]) -> None:
    report = json.loads((HERE.parent / "reports" / "lectures" / "claims.json").read_text("utf-8"))
    recorded = {one["id"]: one["verdict"] for one in report["claims"]}
    for claim in claims:
        one = judge(claim)
        assert one.verdict != "UNDECIDED", one
        assert one.verdict == recorded[claim.id], "the report is not that of this sheet: generate it again"
        if one.verdict == "REFUTED":
            confirm(claim, one)


def confirm(claim: Claim, one: Finding) -> None:
    """A second opinion: derivatives by central differences, equalities by mpmath and Python's own parser."""
    example = one.counterexample
    if "shapes do not fit" in one.reason:
        assert claim.shapes
        return
    assert example is not None, one
    if claim.kind in ("derivative", "gradient"):
        assert "central differences" in example.confirmed
    elif claim.kind in ("equal", "order") and not claim.shapes and not claim.let and "undefined" not in one.reason:
        left, right = (by_python(text, example.inputs, claim) for text in example.label.split(" | "))
        assert (left > right) if claim.kind == "order" else abs(left - right) > 1e-15 * abs(left)


def by_python(text: str, inputs: dict[str, float], claim: Claim) -> mpmath.mpf:
    """The value of a text of scalars by mpmath and Python's parser, apart from all code of ours but the notation."""
    with mpmath.workdps(40):
        names = {name: getattr(mpmath, name) for name in ("exp", "log", "sqrt", "tanh", "sin", "cos", "pi")}
        names |= {"arctan": mpmath.atan, "abs": abs, "maximum": max, "minimum": min, "mean": lambda x: x,
                  "sum": lambda x: x, "where": lambda c, a, b: a if c else b,
                  "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x))}  # fmt: skip
        values = {name: mpmath.mpf(value) for name, value in inputs.items()}
        for condition in claim.conditions:
            left, sign, right = condition.partition("==")
            if sign and left.strip() not in values and left.strip().isidentifier():
                values[left.strip()] = eval(plain(right.strip()), names, values)
        return mpmath.mpf(eval(plain(text), names, values))


def test_lecture_claims_stand_as_printed_without_their_verdicts() -> None:
    text = resources.files("crossnn.specs").joinpath("lectures.toml").read_text("utf-8").lower()
    for word in ("refuted", "verified", "unsafe", "mistake", "should be", "misprint", "in fact"):
        assert word not in text, word
    ids = [claim.id for claim in lectures()]
    assert len(ids) == len(set(ids))
    assert np.mean([claim.id.startswith(("S0-", "S1-", "S2-", "S3-", "S4-")) for claim in lectures()]) == 1
