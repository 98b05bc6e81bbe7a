"""A sample of the hostile input of `python tests/fuzz.py`, and the fuzzer itself: it finds what is wrong."""

from __future__ import annotations

import random
from pathlib import Path

import fuzz
import pytest

from crossnn.errors import CrossnnError

SAMPLE = {"formula": 600, "specification": 120, "sheet": 200, "results": 120, "call": 200, "command": 25}


@pytest.mark.parametrize("target", list(fuzz.TARGETS))
@pytest.mark.filterwarnings("default")
def test_hostile_input_is_accepted_or_refused_by_a_message(target: str) -> None:
    tally = fuzz.Tally()
    fuzz.fuzz(target, range(10_000, 10_000 + SAMPLE[target]), 3, tally)
    assert tally.problems == []
    assert tally.total == SAMPLE[target]
    assert tally.counts[target]["accepted"] > 0, "damage that spares nothing tests the first line of a reader only"


def _crashing(chance: random.Random, folder: Path) -> None:
    raise KeyError("x")


def _wordless(chance: random.Random, folder: Path) -> None:
    raise CrossnnError(" ")


def _endless(chance: random.Random, folder: Path) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("action", "words"), [(_crashing, "KeyError"), (_wordless, "without a word"), (_endless, "longer than")]
)
def test_the_fuzzer_finds_what_is_wrong(action: object, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fuzz.TARGETS, "planted", (action, 0))
    monkeypatch.setattr(fuzz, "LIMIT", 0.2)
    tally = fuzz.Tally()
    fuzz.fuzz("planted", [7], 0, tally)
    (problem,) = tally.problems
    assert problem.startswith("planted 0 7")
    assert words in problem


def test_a_case_can_be_repeated() -> None:
    """The same number is the same text: what was found once can be looked at."""
    texts = [fuzz.mutated("log1p(exp(-abs(x)))", random.Random("formula 0 5")) for _ in range(2)]
    assert texts[0] == texts[1]
