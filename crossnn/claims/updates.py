"""Update rules as printed, and the claim that a rule is an optimizer of the catalogue.

`same_as` becomes an equality like any other: the rule and the specification are unrolled for some steps from the same
parameter, with the same gradients, and the parameters after each step are compared for every value of the
hyper-parameters. Where the rule asks for the gradient at another point than its parameter, gradients come from a
polynomial, and what is compared are the points at which it is asked for: Nesterov's method has a name for either point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crossnn.catalogue.build import settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Optimizer
from crossnn.catalogue.updates import record_update
from crossnn.claims.elsewhere import without_gradients
from crossnn.claims.fitting import fitted
from crossnn.claims.notation import read, read_line
from crossnn.claims.sheet import Claim, split_chain
from crossnn.claims.statement import Comparison, Reading, Recorded, Sizes, Statement
from crossnn.errors import SpecError, choices, unknown
from crossnn.formula.grammar import Formula
from crossnn.formula.graph import Node, constant, record

STEPS = 4
ALIASES: Mapping[str, tuple[str, ...]] = {
    "lr": ("lr", "alpha", "eta", "learning_rate", "a", "rate", "gamma", "epsilon"),
    "rho": ("rho", "beta", "mu", "momentum", "gamma", "alpha", "decay"),
    "mu": ("mu", "momentum", "rho"),
    "beta1": ("beta1", "beta_1", "b1", "rho1"),
    "beta2": ("beta2", "beta_2", "b2", "rho2"),
    "eps": ("eps", "epsilon", "e", "delta"),
    "weight_decay": ("weight_decay", "wd", "lambd", "lam", "decay"),
}
"""Hyper-parameter of the catalogue -> what slides call it."""


class Rule:
    """The lines of an update, with the gradient at other points taken out."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.lines: list[tuple[Formula, dict[str, Formula]]] = []
        for written in claim.update:
            text, asked = without_gradients(written)
            self.lines.append((read_line(text), {name: read(point) for name, point in asked.items()}))
        self.elsewhere = any(points for _, points in self.lines)
        targets = [line.target for line, _ in self.lines if line.target]
        used: list[str] = []
        for line, points in self.lines:
            used += sorted(line.names - points.keys())
            used += [name for point in points.values() for name in sorted(point.names)]
        self.parameter = "w" if "w" in targets else "x" if "x" in targets else (targets[-1] if targets else "w")
        self.state = [name for name in dict.fromkeys(targets) if name != self.parameter and self._is_state(name)]
        own = {*targets, self.parameter, "g", "t", "pi", *self.state}
        self.hyper = [name for name in dict.fromkeys(used) if name not in own]

    def _is_state(self, name: str) -> bool:
        """Whether a line reads it before any line has written it."""
        for line, points in self.lines:
            if name in line.names or any(name in point.names for point in points.values()):
                return True
            if line.target == name:
                return name in self.claim.state
        return False

    def step(self, scope: Mapping[str, Node], tape: list[Node], slope: Any) -> dict[str, Node]:
        """The names after one step; `slope(node)` is the gradient at a point."""
        names = dict(scope)
        for line, points in self.lines:
            for name, point in points.items():
                names[name] = slope(record(point, names, tape))
            assert line.target is not None
            names[line.target] = record(line, names, tape)
        return names


class SameAs(Statement):
    """An update rule beside a row of the catalogue, unrolled."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(claim)
        self.rule = Rule(claim)
        rows = {row.name: row for row in load_catalogue().of_kind("optimizer")}
        if claim.same_as not in rows:
            other = load_catalogue().rows.get(claim.same_as)
            is_other = f"; the {other.kind} of this name is no update rule" if other else ""
            raise SpecError(f"same_as: {unknown('optimizer', claim.same_as, rows)}{is_other}")
        found = rows[claim.same_as]
        assert isinstance(found, Optimizer)
        self.row = found
        fixed = {name: value for name, value in claim.params.items() if isinstance(value, int | float)}
        of_row = {name: value for name, value in fixed.items() if name in found.params}
        self.hyper, self.knobs = settings(found, {**of_row, **claim.knobs})
        self.meant = _meant(self.rule.hyper, list(found.params), claim)
        drawn = [name for name in self.rule.hyper if name not in fixed]
        self.fixed_numbers = fixed
        gradient = ["slope0", "slope1", "slope3"] if self.rule.elsewhere else [f"g{n}" for n in range(1, STEPS + 1)]
        self.names = [self.rule.parameter, *gradient, *drawn]
        self.hypers = drawn
        self.length: int | None = None
        if not self.record({}).elementwise:  # elements meet: a parameter of one number would not show how
            self.length = 2

    @property
    def scalar(self) -> bool:
        return self.length is None

    def record(self, sizes: Sizes, reading: Reading = "as written", points: int | None = None) -> Recorded:
        tape: list[Node] = []
        shape = () if points is None else (points,)
        whole = shape if self.length is None else (self.length,)
        arguments = {
            name: Node(tape, "input", shape=shape if name in self.hypers else whole, name=name) for name in self.names
        }
        scope: dict[str, Node] = {name: arguments[name] for name in self.hypers}
        scope.update({name: constant(tape, float(value), repr(value)) for name, value in self.fixed_numbers.items()})
        ours = {self.rule.parameter: arguments[self.rule.parameter]}
        for name in self.rule.state:
            start = self.claim.state.get(name, 0.0)
            same = isinstance(start, str)
            ours[name] = ours[self.rule.parameter] if same else constant(tape, float(start), repr(start))
        hyper = {**{name: constant(tape, value, repr(value), name) for name, value in self.hyper.items()},
                 **{of_row: scope[name] for name, of_row in self.meant.items()}}  # fmt: skip
        theirs: dict[str, Any] = {"w": arguments[self.rule.parameter]}
        theirs.update({slot: self._start(slot, start, hyper, theirs["w"]) for slot, start in self.row.state.items()})
        comparisons = []
        for number in range(1, STEPS + 1):
            t = constant(tape, float(number), str(number))
            asked: list[Node] = []
            slope = self._slope(arguments, number)
            if self.rule.elsewhere:
                slope = _noting(slope, asked)
            names = self.rule.step({**scope, **ours, "t": t, "g": slope(ours[self.rule.parameter])}, tape, slope)
            ours = {name: names[name] for name in (self.rule.parameter, *self.rule.state)}
            if asked[1:]:  # the first is the parameter itself
                comparisons.append(Comparison(f"the point of gradient {number}", asked[-1], theirs["w"] * 1.0))
            given = {**hyper, "w": theirs["w"], "g": slope(theirs["w"]), "t": t}
            new, slots = record_update(self.row, {**given, **{k: theirs[k] for k in self.row.state}}, tape,
                                       {}, self.knobs)  # fmt: skip
            theirs = {"w": new, **slots}
            if not self.rule.elsewhere:
                left, right = fitted(ours[self.rule.parameter], new)
                comparisons.append(Comparison(f"the parameter after step {number}", left, right))
        conditions = [
            record(read(text), {**scope, **arguments}, tape)
            for name in self.hypers for text in natural_range(name, self.meant.get(name, ""), self.claim)
        ]  # fmt: skip
        texts = {f"{one.label}, {side}": getattr(one, side) for one in comparisons for side in ("left", "right")}
        return Recorded(arguments, comparisons, conditions, texts, tape)

    @staticmethod
    def _start(slot: str, start: float | str, hyper: Mapping[str, Node], w: Node) -> Node:
        if isinstance(start, str):
            return w if start == "w" else hyper[start]
        return constant(w.tape, start, repr(start))

    def _slope(self, arguments: Mapping[str, Node], number: int) -> Any:
        if not self.rule.elsewhere:
            return lambda _: arguments[f"g{number}"]
        a, b, c = (arguments[f"slope{power}"] for power in (0, 1, 3))
        return lambda point: a + b * point + c * point * point * point


def _noting(slope: Any, points: list[Node]) -> Any:
    """The same gradient, which writes down where it was asked for."""

    def noting(point: Node) -> Node:
        points.append(point)
        found: Node = slope(point)
        return found

    return noting


def _meant(names: Sequence[str], params: Sequence[str], claim: Claim) -> dict[str, str]:
    """Hyper-parameter of the rule -> that of the row: the same name, or one that slides use for it."""
    found = {name: name for name in names if name in params}
    fixed = {name for name, value in claim.params.items() if isinstance(value, int | float)}
    left = [name for name in names if name not in found and name not in fixed]

    def candidates(name: str) -> list[str]:
        return [one for one in params if one not in found.values() and name in ALIASES.get(one, ())]

    while left:
        name = min(
            left, key=lambda one: len(candidates(one))
        )  # eta can only be the learning rate; alpha is what is left
        left.remove(name)
        if not candidates(name):
            raise SpecError(
                f"{name!r} is no hyper-parameter of {claim.same_as}; its hyper-parameters: {choices(params)}; "
                f"give the value of {name} in params"
            )
        found[name] = candidates(name)[0]
    return found


def natural_range(name: str, of_row: str, claim: Claim) -> list[str]:
    """The range in which a hyper-parameter makes sense: what the claim says, else between 0 and 1."""
    said = claim.params.get(name)
    if isinstance(said, str):
        return split_chain(said)
    stated = [text for text in claim.conditions if name in read(text).names]
    if stated:
        return stated
    return [f"{name} > 0"] if of_row in ("lr", "eps", "weight_decay") else [f"{name} > 0", f"{name} < 1"]
