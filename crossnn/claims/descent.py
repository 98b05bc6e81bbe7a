"""The claim that an update rule finds a minimum: it is run, from several starts, all over the stated range.

What the claim leaves open takes a customary value, which the verdict tells. A rule that is on its way when the steps
end has converged: what is left shrinks like a power of a number below 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossnn.claims.bounds import bound_of
from crossnn.claims.notation import read
from crossnn.claims.points import drawn_scalars
from crossnn.claims.sheet import Claim
from crossnn.claims.updates import ALIASES, Rule, natural_range
from crossnn.errors import SpecError
from crossnn.formula.derive import gradients
from crossnn.formula.evaluate import evaluate
from crossnn.formula.grammar import Formula
from crossnn.formula.graph import Graph, Node, constant, record
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.source import compile_graph

RUN = 4000
CONVERGED = 1e-6
SHRINKS = 0.9
"""What is left after all steps, as a part of what was left after half of them: it is on its way."""
STARTS = (1.0, -2.0, 5.0)
TRIALS = 40
MOST = 3.0
INSIDE = (0.5, 0.01, 0.999, 0.99, 0.95, 0.9, 0.75, 0.25, 0.1, 0.001)
"""Places in a range: its middle first, then near its ends."""
CUSTOMARY: Mapping[str, float] = {
    "lr": 0.1, "alpha": 0.1, "eta": 0.1, "a": 0.1, "learning_rate": 0.1, "rho": 0.9, "beta": 0.9, "beta1": 0.9,
    "momentum": 0.9, "mu": 0.9, "gamma": 0.9, "beta2": 0.999, "eps": 1e-8, "epsilon": 1e-8,
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One run of a rule: with which hyper-parameters, from where, where it ended, and whether that is the minimum."""

    hyper: Mapping[str, float]
    start: float
    end: float
    steps: int
    converged: bool


def runs(claim: Claim) -> tuple[list[Run], dict[str, float]]:
    """Runs of a rule on its function, and the customary values of what the claim leaves open."""
    rule = Rule(claim)
    function = read(claim.converges)
    variable = variable_of(claim)
    own = {name: float(value) for name, value in claim.params.items() if isinstance(value, int | float)}
    ranged = [name for name in rule.hyper if name not in own and _stated(name, claim)]
    customary = {name: CUSTOMARY.get(name, 0.5) for name in rule.hyper if name not in own and name not in ranged}
    step = _compiled(rule, function, variable)
    minimum = _minimum(function, variable)
    found = []
    for hyper in _hypers(claim, ranged):
        for start in STARTS:
            found.append(_run(rule, step, {**own, **customary, **hyper}, hyper, start, minimum, claim))
    return found, customary


def variable_of(claim: Claim) -> str:
    """The one variable of the function of which a minimum is sought."""
    variables = sorted(read(claim.converges).names - {"pi"})
    if len(variables) != 1:
        raise SpecError(
            f"converges: {claim.converges!r} has {len(variables)} variables ({', '.join(variables) or 'none'}); "
            'give a function of one, such as "x**2/2"'
        )
    return variables[0]


def lower_ends(claim: Claim) -> list[float | None]:
    """The stated lower ends of the ranges of learning rates; None where nothing is said of one."""
    rates = [name for name in Rule(claim).hyper if name in ALIASES["lr"] and _stated(name, claim)]
    found: list[float | None] = []
    for name in rates:
        texts = [*claim.conditions, *natural_range(name, "", claim)]
        bounds = [bound for bound in map(bound_of, map(read, texts)) if bound is not None and bound.name == name]
        found.append(max((bound.low for bound in bounds if math.isfinite(bound.low)), default=None))
    return found


def _stated(name: str, claim: Claim) -> bool:
    return isinstance(claim.params.get(name), str) or any(name in read(text).names for text in claim.conditions)


def _hypers(claim: Claim, ranged: Sequence[str]) -> Iterator[dict[str, float]]:
    """Values all over the stated range: simple ones, drawn ones, and ones near its ends."""
    if not ranged:
        yield {}
        return
    texts = [*claim.conditions, *(p for name in ranged for p in natural_range(name, "", claim))]
    conditions = [read(text) for text in texts]
    ends = {name: _ends(name, conditions) for name in ranged}
    shares = INSIDE if len(ranged) == 1 else INSIDE[::3]
    grid = itertools.product(*([low + (high - low) * share for share in shares] for low, high in ends.values()))
    candidates = [dict(zip(ranged, values, strict=True)) for values in grid]
    candidates += [dict.fromkeys(ranged, value) for value in (1.0, 0.1, 0.01, 1.5, 2.0, 3.0, -0.5)]
    candidates += [dict(one) for one in drawn_scalars(ranged, TRIALS)]
    inside = [one for one in candidates if all(_true(condition, one) for condition in conditions)]
    ordinary = [one for one in inside if all(one[name] > 0 for name in ranged if name in ALIASES["lr"])]
    yield from (ordinary or inside)[:TRIALS]


def _ends(name: str, conditions: Sequence[Formula]) -> tuple[float, float]:
    """The stated ends of a range; where one is missing, what is still ordinary."""
    low, high = 0.0, MOST
    for bound in map(bound_of, conditions):
        if bound is not None and bound.name == name:
            low = bound.low if math.isfinite(bound.low) else low
            high = bound.high if math.isfinite(bound.high) else high
    return low, high


def _true(condition: Formula, values: Mapping[str, float]) -> bool:
    if not condition.names <= values.keys() | {"pi"}:
        return True
    tape: list[Node] = []
    node = record(condition, {name: constant(tape, value) for name, value in values.items()}, tape)
    return bool(_number(node))


def _number(node: Node) -> float:
    graph = Graph({}, node, tuple(node.tape))
    with np.errstate(all="ignore"):
        return float(evaluate(graph, NUMPY, {}, lambda one: np.float64(one.options["value"])))


def _compiled(rule: Rule, function: Formula, variable: str) -> Any:
    """One step as a NumPy function of names to values."""

    names = [rule.parameter, *rule.state, *rule.hyper, "t"]

    def traced(**given: Node) -> dict[str, Node]:
        tape = given["t"].tape

        def slope(point: Node) -> Node:
            anchor = point * 1.0
            value = record(function, {variable: anchor}, tape)
            return gradients(value, [anchor])[0]

        after = rule.step({**given, "g": slope(given[rule.parameter])}, tape, slope)
        return {name: after[name] for name in (rule.parameter, *rule.state)}

    return compile_graph(Graph.trace(traced, dict.fromkeys(names, ())), "step", NUMPY)


def _minimum(function: Formula, variable: str) -> float:
    """Where a function of one variable is smallest, between -100 and 100: on a grid, then by finer ones."""

    def traced(x: Node) -> Node:
        return record(function, {variable: x}, x.tape)

    value = compile_graph(Graph.trace(traced, {"x": (2001,)}), "function", NUMPY)
    low, high = -100.0, 100.0
    with np.errstate(all="ignore"):
        for _ in range(12):
            grid = np.linspace(low, high, 2001)
            best = int(np.nanargmin(np.broadcast_to(value(grid), grid.shape)))
            low, high = grid[max(best - 2, 0)], grid[min(best + 2, 2000)]
    return round(float((low + high) / 2), 7)


def _start(claim: Claim, name: str, parameter: float) -> np.float64:
    value = claim.state.get(name, 0.0)
    return np.float64(parameter if isinstance(value, str) else value)


def _run(
    rule: Rule, step: Any, values: Mapping[str, float], hyper: Mapping[str, float], start: float, minimum: float,
    claim: Claim,
) -> Run:  # fmt: skip
    names = {rule.parameter: np.float64(start), **{name: _start(claim, name, start) for name in rule.state}}
    others = [np.float64(values[name]) for name in rule.hyper]
    number, halfway = 0, math.inf
    with np.errstate(all="ignore"):
        for number in range(1, RUN + 1):
            names = dict(step(*names.values(), *others, np.float64(number)))
            now = float(names[rule.parameter])
            if not math.isfinite(now) or abs(now) > 1e12:
                break
            still = abs(now - minimum) < CONVERGED and all(abs(float(names[one])) < 1e3 for one in rule.state)
            if number == RUN // 2:
                halfway = abs(now - minimum)
            if still and number > 20 and abs(now - minimum) < CONVERGED / 10:
                break
    end = float(names[rule.parameter])
    left = abs(end - minimum)
    return Run(hyper, start, end, number, left < CONVERGED or (number == RUN and left < SHRINKS * halfway))
