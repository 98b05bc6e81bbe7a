"""How a verdict was reached, line by line: what was compared, where, and the arithmetic of a counterexample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.claims.judge import Finding, number
from crossnn.claims.search import reading_of
from crossnn.claims.sheet import Claim
from crossnn.claims.statement import Recorded, Statement
from crossnn.errors import CrossnnError
from crossnn.formula.graph import Node, topological
from crossnn.formula.oracle import OracleError, at_precision
from crossnn.formula.precise import ExponentError
from crossnn.formula.primitives import PRIMITIVES
from crossnn.formula.simplify import simplify
from crossnn.formula.source import GENERIC, to_source

MOST_LINES = 40
DIGITS = 60


def explain(claim: Claim, finding: Finding) -> Iterator[str]:
    """The lines of an explanation."""
    yield f"{claim.id}: {finding.verdict}"
    if claim.says:
        yield f"  says     {claim.says}"
    yield f"  claim    {claim.text}"
    for condition in claim.conditions:
        yield f"  where    {condition}"
    for name, lengths in claim.shapes.items():
        yield f"  shape    {name} [{', '.join(map(str, lengths))}]"
    if finding.reason:
        yield f"  reason   {finding.reason}"
    yield from _how(claim, finding)
    example = finding.counterexample
    if example is not None:
        yield ""
        yield "Counterexample"
        for name, value in example.inputs.items():
            yield f"  {name} = {shown(value)}"
        where = f" at {list(example.index)}" if example.index else ""
        yield f"  {example.label}{where}: claimed {example.claimed}, true {example.true}"
        if example.confirmed:
            yield f"  confirmed: {example.confirmed}"
        yield from _arithmetic(claim, example.inputs)
    for one in finding.holds_when:
        yield f"  it holds for {one}"
    for one in finding.unsafe:
        yield f"  unsafe   {one}"


def _how(claim: Claim, finding: Finding) -> Iterator[str]:
    match claim.kind:
        case "derivative" | "gradient":
            yield "  compared with the derivative that the rules of the primitives give, to 22 digits:"
            yield from _derived(claim)
        case "equal" | "order":
            yield "  both sides computed to 25 digits or more, at simple numbers first, then at drawn ones"
        case "printed":
            yield "  the expression computed to 25 digits, and rounded to as many as are printed"
        case "same_as":
            yield "  rule and specification unrolled over several steps, the parameters compared to 22 digits"
        case "converges":
            yield "  the rule was run from several starts, in float64"
    if finding.points:
        skipped = f"; {finding.skipped} said nothing (kinks, or outside what the formulas are defined for)"
        yield f"  {finding.points} points were compared" + (skipped if finding.skipped else "")


def _derived(claim: Claim) -> Iterator[str]:
    statement, recorded = _recorded(claim)
    if recorded is None or statement is None:
        return
    for one in recorded.comparisons:
        graph = simplify(recorded.graph(one.right))
        for line in to_source(graph, "derived", GENERIC).splitlines():
            yield f"    {line}"


def _recorded(claim: Claim, sizes: Mapping[str, int] | None = None) -> tuple[Statement | None, Recorded | None]:
    try:
        statement = Statement(claim)
        reading, _ = reading_of(statement)
        chosen = {name: place for place, name in enumerate(statement.sizes, 2)}
        chosen.update({name: int(size) for name, size in (sizes or {}).items() if name in chosen})
        return statement, statement.record(chosen, reading or "as written")
    except CrossnnError:
        return None, None


def _arithmetic(claim: Claim, inputs: Mapping[str, Any]) -> Iterator[str]:
    """Every step of both sides at the counterexample, as numbers."""
    if claim.kind not in ("equal", "order", "derivative", "gradient"):
        return
    statement, recorded = _recorded(claim, {k: v for k, v in inputs.items() if isinstance(v, int)})
    if statement is None or recorded is None:
        return
    given = {name: np.asarray(inputs[name], float) for name in recorded.arguments}
    for key, node in recorded.texts.items():
        if key == "formula" and claim.kind == "gradient":
            continue
        yield f"  {statement.main[key]}"
        yield from _steps(recorded, node, given)


def _steps(recorded: Recorded, node: Node, given: Mapping[str, Any]) -> Iterator[str]:
    names: dict[int, str] = {}
    steps = [one for one in topological([node]) if one.operation not in ("input", "constant")]
    if len(steps) > MOST_LINES:
        yield f"    ({len(steps)} steps: too many to show)"
        return
    try:
        values = at_precision(recorded.graph(*steps), given, DIGITS) if steps else []
    except (ExponentError, OracleError):
        yield "    (some of its steps are too large to show)"
        return
    for one in topological([node]):
        if one.operation == "constant":
            names[id(one)] = one.options["text"] or f"{one.options['value']:g}"
        elif one.operation == "input":
            names[id(one)] = one.name
    for place, (one, value) in enumerate(zip(steps, values, strict=True), 1):
        operands = [names[id(child)] for child in one.inputs]
        symbol = PRIMITIVES[one.operation].symbol
        text = (
            f" {symbol} ".join(operands) if symbol and len(operands) == 2 else f"{one.operation}({', '.join(operands)})"
        )
        names[id(one)] = f"v{place}"
        yield f"    v{place} = {text} = {shown(np.asarray(value, dtype=object).astype(float))}"


def shown(value: Any) -> str:
    """A number, or the numbers of a small array."""
    array = np.asarray(value, float)
    if array.shape == ():
        return number(float(array))
    if array.size > 12:
        return f"numbers of shape {array.shape}"
    return str(
        [[number(v) for v in row] for row in array] if array.ndim == 2 else np.vectorize(number)(array).tolist()
    ).replace("'", "")
