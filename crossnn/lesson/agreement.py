"""Verdicts on what is compared number by number: gradients with the truth, trainings with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.formula.fingerprint import differentiated, simplified
from crossnn.formula.noise import noise_scales
from crossnn.formula.oracle import exact
from crossnn.lesson.programs import HAND, NETWORK, network_arguments, network_graph
from crossnn.lesson.verdicts import Answers, Verdict, decide, engines
from crossnn.parity.judge import Judgement, Reference, judge
from crossnn.parity.rule import LIMIT, ROUNDOFF
from crossnn.runs.cell import FAILURES

CENTRAL_ERROR = 1e-8
"""Of central differences, relative: h**2 and roundoff/h are each near 1e-10 for the width that is used."""


def network_truth() -> dict[str, Reference]:
    """The gradient of the two-layer network, derived by hand, to many digits; and the noise that is legitimate."""
    params, data = network_arguments()
    arguments = {"params": params, "data": data}
    truth = exact(network_graph(*HAND.values()), arguments)
    gradient = simplified(differentiated(simplified(network_graph(NETWORK)), "params"))
    noise = noise_scales(gradient, arguments, "float64")[1:]  # the first is of the value
    return {name: Reference(one, scale) for name, one, scale in zip(HAND, truth, noise, strict=True)}


def judged_gradients(answers: Answers, truth: Mapping[str, Reference]) -> dict[str, tuple[Judgement, float]]:
    """method -> (the worst verdict, the largest relative error)."""
    found = {}
    for backend, mode, _, one in engines(answers):
        name = mode if " " in mode else f"{backend} {mode}"
        judgements, error = [], 0.0
        for param, reference in truth.items():
            value = np.array(one["gradients"][param])
            judgements.append(judge(value, reference, "float64"))
            hi = reference.exact.hi
            error = max(error, float(np.max(np.abs(value - hi)) / np.max(np.abs(hi))))
        found[name] = max(judgements, key=lambda judgement: judgement.r or 0.0), error
    return found


def derivatives_agree(found: Mapping[str, tuple[Judgement, float]]) -> Verdict:
    """By the suite's rule; central differences, which are an approximation, by the size of their error."""
    return decide([(name, error < CENTRAL_ERROR if name == "central differences" else one.verdict not in FAILURES)
                   for name, (one, error) in found.items()])  # fmt: skip


REFERENCE, REFERENCE_MODE = "numpy", "eager"


@dataclass(frozen=True)
class Paths:
    """A training in one dtype: (backend, mode) -> |loss - reference's loss| of each step, and step -> the largest
    difference of a parameter; the spread of the twins, which began one rounding away; the losses."""

    losses: Mapping[tuple[str, str], Sequence[float]]
    differences: Mapping[tuple[str, str], Sequence[float]]
    weights: Mapping[tuple[str, str], Mapping[int, float]]
    spread: Sequence[float]
    weight_spread: Mapping[int, float]


def paths(answers: Answers) -> Paths | None:
    """None without the reference: there is nothing to compare with."""
    numpy = answers.get(REFERENCE, {"absent": ""})
    if "absent" in numpy or "absent" in numpy["modes"].get(REFERENCE_MODE, {"absent": ""}):
        return None
    reference = numpy["modes"][REFERENCE_MODE]
    base = np.array(reference["losses"])

    def weights(one: Mapping[str, Any]) -> dict[int, float]:
        return {int(step): float(np.max(np.abs(np.array(one["params"][step]) - np.array(kept))))
                for step, kept in reference["params"].items()}  # fmt: skip

    losses, differences, moved = {}, {}, {}
    spread = np.zeros_like(base)
    widest: dict[int, float] = {}
    for backend, mode, _, one in engines(answers):
        difference = np.abs(np.array(one["losses"]) - base)
        if mode.startswith("twin"):
            spread = np.maximum(spread, difference)
            widest = {step: max(widest.get(step, 0.0), value) for step, value in weights(one).items()}
        else:
            losses[backend, mode], moved[backend, mode] = one["losses"], weights(one)
            differences[backend, mode] = difference.tolist()
    return Paths(losses, differences, moved, np.maximum.accumulate(spread).tolist(), widest)


def limits(found: Paths, dtype: str) -> list[float]:
    """How far a loss may be from the reference's, at each step."""
    losses = found.losses[REFERENCE, REFERENCE_MODE]
    return [LIMIT * max(s, ROUNDOFF[dtype] * abs(loss)) for s, loss in zip(found.spread, losses, strict=True)]


def train_alike(by_dtype: Mapping[str, Paths | None]) -> Verdict:
    """The loss of every step is as near to the reference as the suite's rule asks, where the noise is what trainings
    from starts that are one rounding apart differ by."""
    cases = []
    for dtype, found in by_dtype.items():
        if found is None:
            continue
        bound = limits(found, dtype)
        for (backend, mode), difference in found.differences.items():
            if (backend, mode) != (REFERENCE, REFERENCE_MODE):
                cases.append((f"{backend} {mode} {dtype}", all(d <= b for d, b in zip(difference, bound, strict=True))))
    return decide(cases)
