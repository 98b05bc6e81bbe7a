"""A claim as mathematics: for given sizes, two recorded expressions beside each other, and what relates them.

Every kind of claim but printed numbers becomes such comparisons. A derivative is compared with the one that our rules
derive; the shapes of both sides must agree, but for axes of length 1. Vectors (shapes with one axis) are read as the
text needs it: elementwise, as columns, or as NumPy multiplies them.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from crossnn.claims.bounds import Bound, bound_of
from crossnn.claims.fitting import NUMPY_VECTORS, fitted
from crossnn.claims.notation import read, read_line
from crossnn.claims.sheet import Claim
from crossnn.errors import FormulaError, ShapeError
from crossnn.formula.derive import gradients
from crossnn.formula.grammar import Formula
from crossnn.formula.graph import GRAPH, Graph, Node, constant, record, topological
from crossnn.formula.primitives import CONSTANTS, PRIMITIVES
from crossnn.formula.shapes import Shape

Sizes = Mapping[str, int]
Reading = Literal["as written", "columns", "numpy"]
READINGS: tuple[Reading, ...] = ("as written", "columns", "numpy")


@dataclass(frozen=True)
class Comparison:
    """`left` is what is claimed, `right` what it is compared with. Of a derivative, `value` is the function itself and
    `wrt` the variable."""

    label: str
    left: Node
    right: Node
    relation: Literal["equal", "at most"] = "equal"
    value: Node | None = None
    wrt: str = ""


@dataclass(frozen=True)
class Recorded:
    """A statement for certain sizes. `texts` are the expressions as printed, for whoever computes them in floats."""

    arguments: Mapping[str, Node]
    comparisons: Sequence[Comparison]
    conditions: Sequence[Node]
    texts: Mapping[str, Node]
    tape: list[Node] = field(repr=False)

    def graph(self, *results: Node) -> Graph:
        return Graph(dict(self.arguments), tuple(results), tuple(self.tape))

    @cached_property
    def elementwise(self) -> bool:
        """Whether what is printed treats every element alone, so that many points can be computed at once."""
        return all(
            node.operation in ("input", "constant") or PRIMITIVES[node.operation].elementwise
            for node in topological([*self.texts.values(), *self.conditions])
        )


class Statement:
    """A claim with its names sorted out: which are variables, which are lengths, which are fixed by the domain."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.lets = [read_line(line) for line in claim.let]
        self.main = dict(_texts(claim))
        self.conditions = [read(text) for text in claim.conditions]
        self.sizes = sorted({one for lengths in claim.shapes.values() for one in lengths if isinstance(one, str)})
        self.wrt = tuple(claim.gradient) if claim.kind == "gradient" else (self._wrt(),) if claim.derivative else ()
        self.fixed = self._fixed()
        known = {*CONSTANTS, *self.sizes, *(line.target for line in self.lets), *self.fixed}
        known |= {"f"} if claim.kind in ("derivative", "gradient") else set()
        self.names = [name for name in self._all_names() if name not in known]
        self.names += [name for name in self.wrt if name not in self.names and name not in self.fixed]

    def _all_names(self) -> list[str]:
        formulas = [*self.lets, *map(read, self.main.values()), *self.conditions]
        found = [name for one in formulas for name in sorted(one.names)]
        return list(dict.fromkeys(found))

    def _wrt(self) -> str:
        """What a derivative is taken with respect to: as said, else x; of a formula without x, the prediction y, the
        parameter w, or whatever comes first."""
        if self.claim.wrt:
            return self.claim.wrt
        defined = {line.target: line.names for line in self.lets}
        found = set(read(self.claim.formula).names)
        while named := found & defined.keys():
            for name in named:
                found = (found - {name}) | (defined.pop(name) - {name})
        names = sorted(found - set(CONSTANTS))
        return next((name for name in ("x", "y", "w", "z", *names) if name in names), "x")

    def _fixed(self) -> dict[str, Formula]:
        """Conditions `name == expression`: the name stands for the expression."""
        found: dict[str, Formula] = {}
        for one in self.conditions:
            tree = one.tree
            if not (isinstance(tree, ast.Compare) and isinstance(tree.ops[0], ast.Eq)):
                continue
            for side, other in ((tree.left, tree.comparators[0]), (tree.comparators[0], tree.left)):
                if not isinstance(side, ast.Name) or side.id in {*self.claim.shapes, *self.wrt, *found}:
                    continue
                meant = read(ast.get_source_segment(one.body, other) or ast.unparse(other))
                if side.id not in meant.names and not meant.names & found.keys():
                    found[side.id] = meant
                    break
        return found

    @cached_property
    def box(self) -> dict[str, tuple[float, float]]:
        """The bounds that conditions such as `x > 0` set to single variables."""
        found: dict[str, tuple[float, float]] = {}
        for bound in self.bounds:
            low, high = found.get(bound.name, (-math.inf, math.inf))
            found[bound.name] = max(bound.low, low), min(bound.high, high)
        return {name: ends for name, ends in found.items() if ends[0] < ends[1]}

    def within_bounds(self, point: Mapping[str, np.ndarray]) -> bool:
        """Whether a point keeps every bound of a single variable."""
        return all(bound.kept(point[bound.name]) for bound in self.bounds)

    @cached_property
    def bounds(self) -> list[Bound]:
        return [bound for one in self.conditions if (bound := bound_of(one)) and bound.name in self.names]

    @property
    def scalar(self) -> bool:
        """Whether every variable is one number."""
        return not any(name in self.claim.shapes for name in self.names)

    def shapes(self, sizes: Sizes, reading: Reading) -> dict[str, Shape]:
        found = {}
        for name in self.names:
            lengths = tuple(sizes[one] if isinstance(one, str) else one for one in self.claim.shapes.get(name, ()))
            found[name] = (*lengths, 1) if len(lengths) == 1 and reading == "columns" else lengths
        return found

    def record(self, sizes: Sizes, reading: Reading = "as written", points: int | None = None) -> Recorded:
        """The comparisons for these sizes; of scalars, for so many points at once."""
        tape: list[Node] = []
        shapes = self.shapes(sizes, reading)
        if points is not None:
            shapes = dict.fromkeys(shapes, (points,))
        arguments = {name: Node(tape, "input", shape=shape, name=name) for name, shape in shapes.items()}
        scope: dict[str, Node] = dict(arguments)
        scope.update({name: constant(tape, float(size), str(size)) for name, size in sizes.items()})
        meaning = NUMPY_VECTORS if reading == "numpy" else GRAPH

        def say(formula: Formula) -> Node:
            return record(formula, scope, tape, statics=dict(sizes), meaning=meaning)

        for name, formula in self.fixed.items():
            scope[name] = say(formula)
        for line in self.lets:
            assert line.target is not None
            scope[line.target] = say(line)
            if not scope[line.target].name and scope[line.target].operation not in ("constant", "input"):
                scope[line.target].name = line.target
        texts: dict[str, Node] = {}
        for key, text in self.main.items():
            texts[key] = say(read(text))
            if key == "formula":
                scope["f"] = texts[key]
        conditions = [say(one) for one in self.conditions if not (self._is_fixed(one) or bound_of(one) in self.bounds)]
        comparisons = list(self._compared(texts, arguments, points is not None))
        return Recorded(arguments, comparisons, conditions, texts, tape)

    def _is_fixed(self, one: Formula) -> bool:
        sides = [one.tree.left, one.tree.comparators[0]] if isinstance(one.tree, ast.Compare) else []
        return any(isinstance(side, ast.Name) and side.id in self.fixed for side in sides)

    def _compared(self, texts: Mapping[str, Node], arguments: Mapping[str, Node], many: bool) -> Iterator[Comparison]:
        kind = self.claim.kind
        if kind == "printed":
            return
        if kind in ("equal", "order"):
            keys = list(texts)
            pairs = [(keys[0], key) for key in keys[1:]] if kind == "equal" else itertools.pairwise(keys)
            for one, other in pairs:
                left, right = fitted(texts[one], texts[other])
                yield Comparison(f"{self.main[one]} | {self.main[other]}", left, right,
                                 "equal" if kind == "equal" else "at most")  # fmt: skip
            return
        value = texts["formula"]
        claimed = {self.wrt[0]: texts["derivative"]} if kind == "derivative" else {
            name: texts[f"gradient:{name}"] for name in self.wrt
        }  # fmt: skip
        if not many and kind == "gradient" and value.shape not in ((), (1,), (1, 1)):
            raise ShapeError(f"the formula has the shape {value.shape}; a gradient is that of a single number")
        targets = [self._target(name, arguments) for name in claimed]
        seed = GRAPH["broadcast"](constant(value.tape, 1.0, "1"), shape=value.shape) if value.shape else None
        for name, target, slope in zip(claimed, targets, gradients(value, targets, seed), strict=True):
            if kind == "derivative" and value.shape not in ((), target.shape):
                raise ShapeError(
                    f"the formula has the shape {value.shape}, {name} has {target.shape}; a derivative is that of a "
                    "function of each element, or of a single number"
                )
            left, right = fitted(claimed[name], slope)
            yield Comparison(f"d/d{name}", left, right, value=value, wrt=name)

    def _target(self, name: str, arguments: Mapping[str, Node]) -> Node:
        if name not in arguments:
            raise FormulaError(f"{name!r} is no variable here; variables: {', '.join(arguments) or 'none'}")
        return arguments[name]


def _texts(claim: Claim) -> Iterator[tuple[str, str]]:
    """The expressions of a claim by a key of their own."""
    match claim.kind:
        case "derivative":
            yield "formula", claim.formula
            yield "derivative", claim.derivative
        case "gradient":
            yield "formula", claim.formula
            for name, text in claim.gradient.items():
                yield f"gradient:{name}", text
        case "equal" | "order":
            for number, text in enumerate(getattr(claim, claim.kind)):
                yield f"{claim.kind}:{number}", text
        case "printed":
            yield "expression", claim.expression
