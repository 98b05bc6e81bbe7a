"""Step L12 as it is shown: PyTensor, in which everything is symbolic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crossnn.drawing.diff import WORDS, side_by_side
from crossnn.formula.fingerprint import differentiated
from crossnn.formula.grammar import parse
from crossnn.formula.graph import Graph, record
from crossnn.formula.oracle import exact
from crossnn.lesson import verdicts
from crossnn.lesson.page import Cell, Html, code, details, figure, table
from crossnn.lesson.programs import EXPRESSIONS, GRADIENTS, POINTS
from crossnn.lesson.shown_basic import view_of
from crossnn.lesson.shown_behaviour import short, six_digits, truth_of
from crossnn.lesson.texts import Texts
from crossnn.lesson.verdicts import Verdict

ByDtype = Mapping[str, Mapping[str, Any]]


def gradient_truth(text: str) -> np.ndarray:
    """The gradient of a formula of x at POINTS, to many digits."""

    def function(params: Any) -> Any:
        return record(parse(text), params, params["x"].tape)

    graph = differentiated(Graph.trace(function, {"params": {"x": (len(POINTS),)}}), "params")
    found: np.ndarray = exact(graph, {"params": {"x": np.array(POINTS)}})[1].hi
    return found


def symbolic(say: Texts, answers: ByDtype) -> tuple[Verdict, list[Html]]:
    found = next((one for _, one in verdicts.present(answers["float64"])), None)
    if found is None:
        return verdicts.decide([]), []
    before, after = (view_of(view) for view in found["views"])
    cases = [("chain", after.kernels < sum(before.operations.values()))]
    words = {name: say(f"drawing.{name}") for name in WORDS}
    picture = figure(side_by_side(before, after, words), say("L3.caption", first=before.stage, last=after.stage))
    prints = details(say("L3.own_print"), code(before.text), code(after.text))
    slopes: list[list[str | Cell]] = []
    for one, text in zip(found["gradients"], GRADIENTS, strict=True):
        truth = gradient_truth(text)
        right = verdicts.near(one["values"], truth)
        cases.append((f"d {text}", right))
        value = Cell(six_digits(np.array(one["values"])), "good" if right else "bad")
        slopes.append([f"`{text}`", f"`{one['printed']}`", value, six_digits(truth)])
    rewritten: list[list[str | Cell]] = []
    for one, expression in zip(found["expressions"], EXPRESSIONS, strict=True):
        at = ", ".join(f"{x:g}" for x in expression.x)
        truth = truth_of(expression)
        right = verdicts.near([float(value) for value in one["value"]], truth)
        cases.append((f"{expression.formula} (x = {at})", right))
        value = Cell(", ".join(map(short, one["value"])), "good" if right else "bad")
        becomes = f"`{one['printed']}`"
        rewritten.append([f"`{expression.formula}`, x = {at}", becomes, value, six_digits(truth)])
    at = ", ".join(f"{x:g}" for x in POINTS)
    return verdicts.decide(cases), [
        picture,
        prints,
        table([say("L12.function"), say("L12.derivative"), say("L12.at", points=at), say("L8.truth")], slopes),
        table([say("L8.expression"), say("L12.becomes"), say("L1.value"), say("L8.truth")], rewritten),
    ]
