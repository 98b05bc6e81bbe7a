"""Records of what is measured about functions, checks and frameworks, beside the verdicts: accuracy, mutants,
conventions."""

from __future__ import annotations

from typing import Literal

import msgspec

from crossnn.runs.cell import Numbers


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """How accurate one function is in one dtype, over a dense grid of inputs.

    `largest` is the largest error in units of float spacing (the distance of the floating-point numbers next to the
    true value), at the input `at`. `curve` has the largest error of each of equal stretches of an axis
    (crossnn/atlas/axis.py), all digits where something else happened; null where nothing was comparable. `regions` are
    stretches of inputs, from and to, and what happens there: overflow, NaN, zero where the truth is not. `message`
    says why nothing was measured."""

    record: Literal["accuracy"] = "accuracy"
    spec: str
    kind: str
    spec_sha: str
    backend: str
    implementation: str
    call: str = ""
    mode: str
    dtype: str
    device: str
    quantity: str
    case: str = ""
    target: str = ""
    largest: float | None = None
    at: float | None = None
    axis: str = ""
    curve: Numbers = ()
    regions: tuple[tuple[str, float, float], ...] = ()
    points: int = 0
    seconds: float = 0.0
    message: str = ""


class Survivor(msgspec.Struct, frozen=True, kw_only=True):
    """A mutant that the checks did not find, or that is no other formula."""

    operator: str
    place: str
    original: str
    mutant: str
    why: str = ""


class Mutants(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks found of the mutants of one specification. `operators`: name -> (made, killed, equivalent).
    `stillborn` ones could not be built or run at all, and are not among those made. judged, alarms: quantities of the
    specification itself, and how many of them failed."""

    record: Literal["mutants"] = "mutants"
    spec: str
    kind: str
    spec_sha: str
    made: int
    killed: int
    equivalent: int
    stillborn: int = 0
    operators: dict[str, tuple[int, int, int]] = {}
    survivors: tuple[Survivor, ...] = ()
    equal: tuple[Survivor, ...] = ()
    judged: int = 0
    alarms: int = 0
    seconds: float = 0.0


class Convention(msgspec.Struct, frozen=True, kw_only=True):
    """What one framework does by default, of one concept: the measured answer, what was measured, how exactly the
    formula with these settings reproduces it (`error`, relative), and what a port that overlooks it would suffer in the
    stated scenario (`difference`, relative; null where nothing is to compare). A framework that has no such thing
    answers with nothing."""

    record: Literal["convention"] = "convention"
    concept: str
    asks: str
    spec: str
    kind: str
    spec_sha: str = ""
    backend: str
    call: str = ""
    answer: str
    evidence: str = ""
    settings: dict[str, float | bool | str] = {}
    error: float | None = None
    scenario: str = ""
    difference: float | None = None
    seconds: float = 0.0


Finding = Accuracy | Mutants | Convention
