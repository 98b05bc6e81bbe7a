"""`show --derivation` and `show --numbers`: a derivative line by line, and formulas with numbers put in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.catalogue.rows import Row
from crossnn.cli.claimed import agreement
from crossnn.cli.describe import section
from crossnn.cli.numbers import DIFFERENTIATED, Plain, given_numbers, plain
from crossnn.errors import SpecError, choices
from crossnn.formula.derivation import Derivation, Step, derive, steps
from crossnn.formula.graph import leaves
from crossnn.formula.inline import lines
from crossnn.formula.latex import graph_latex, latex
from crossnn.formula.stated import Rule
from crossnn.formula.substitution import Numbered, number, number_latex, parameters, put_numbers, symbol

_WIDEST = 56
_EXPLAINED = "g3 is the derivative of the result by v3. In a rule, g is what arrives, u and z are the operands."
_SUMMED = "The elements of the result are added up."
_WEIGHED = "{} is what arrives at the result: one number for each of its elements."
_REPEATED = "repeated(...) repeats a number along the axes that were reduced; count says how many there are."


def derivation_text(row: Row, given: Mapping[str, Any], at: Sequence[str] | None) -> str:
    """The derivation of a row; with numbers in every line where `at` is given."""
    one, found = _derived(row, given)
    values, known = _numbers(one, found, at) if at is not None else ({}, {})
    said = [_EXPLAINED]
    if one.arriving:
        said.append(_WEIGHED.format(one.arriving))
    elif not one.elementwise and one.graph.result.shape:
        said.append(_SUMMED)
    if any(step.rule and "repeated(" in step.rule.text for step in found.slopes):
        said.append(_REPEATED)
    parts = [_given(one, known)] if at is not None else []
    parts.append(section("values, forwards", "\n".join(_plain_lines(found.values, values)) or "none: it is its input"))
    slopes = list(_ruled(found.slopes, values))
    parts.append(section("chain rule, backwards", "\n".join([*said, *(slopes or ["nothing depends on the input"])])))
    for stage in found.stages:
        title = f"{stage.name}: {stage.primitives} primitive{'' if stage.primitives == 1 else 's'}"
        parts.append(section(title, "\n".join(lines(stage.graph, found.names))))
    if at is not None:
        slopes = [f"{name} = {_value(name, known) if name in known else 0}" for name in found.names.values()]
        parts.append(section("with these numbers", "\n".join(slopes)))
    if one.claimed:
        parts.append(section("as claimed", f"{one.claimed}\n{agreement(one, found.stages[0].graph)}".rstrip()))
    return "\n\n".join(parts)


def derivation_latex(row: Row, given: Mapping[str, Any], at: Sequence[str] | None) -> list[str]:
    """One line of LaTeX each."""
    one, found = _derived(row, given)
    values, _ = _numbers(one, found, at) if at is not None else ({}, {})
    shown = []
    for step in (*found.values, *found.slopes):
        text = values[step.name].latex if values else f"{symbol(step.name)} = {', '.join(graph_latex(step.graph))}"
        why = _rule_latex(step.rule) if step.rule else f"\\text{{{step.why}}}" if step.why else ""
        shown.append(f"{text} \\qquad {why}".removesuffix(" \\qquad "))
    return shown + graph_latex(found.result, [symbol(name) for name in found.names.values()])


def numbers_text(row: Row, given: Mapping[str, Any], at: Sequence[str]) -> str:
    """The formula with numbers, line by line."""
    one, found, known, texts = _numbered(row, given, at)
    parts = [_given(one, known), section("step by step", "\n".join(one.text for one in found) or "nothing to compute")]
    ends = [f"{name} = {_value(text, known)}" for name, text in zip(_results(one), texts, strict=True)]
    return "\n\n".join([*parts, section("result", "\n".join(ends))])


def numbers_latex(row: Row, given: Mapping[str, Any], at: Sequence[str]) -> list[str]:
    one, found, known, texts = _numbered(row, given, at)
    heads = [f"{symbol(name)} = {number_latex(known[name])}" for name in one.graph.arguments]
    titles = [name.replace("_", "\\_") for name in _results(one)]
    ends = [f"\\text{{{name}}} = {symbol(text) if text in known else text}"
            for name, text in zip(titles, texts, strict=True)]  # fmt: skip
    return [*heads, *(one.latex for one in found), *ends]


def _derived(row: Row, given: Mapping[str, Any]) -> tuple[Plain, Derivation]:
    if row.kind not in DIFFERENTIATED:
        raise SpecError(f"{row.name} ({row.kind}) is never differentiated; kinds that are: {choices(DIFFERENTIATED)}")
    one = plain(row, given)
    return one, derive(one.graph, one.wrt, one.arriving)


def _numbered(row: Row, given: Mapping[str, Any], at: Sequence[str]
              ) -> tuple[Plain, list[Numbered], dict[str, np.ndarray], list[str]]:  # fmt: skip
    one = plain(row, given)
    done, texts = steps(one.graph)
    found, known = _put(one, done, given_numbers(one, at, {}))
    return one, found, known, texts


def _numbers(one: Plain, found: Derivation, at: Sequence[str]) -> tuple[dict[str, Numbered], dict[str, np.ndarray]]:
    extra = {found.arriving: found.result.arguments[found.arriving]} if found.arriving else {}
    numbered, known = _put(one, [*found.values, *found.slopes], given_numbers(one, at, extra))
    return {line.step.name: line for line in numbered}, known


def _put(one: Plain, done: Sequence[Step], numbers: Mapping[str, Any]
         ) -> tuple[list[Numbered], dict[str, np.ndarray]]:  # fmt: skip
    try:
        return put_numbers(done, numbers)
    except (IndexError, ValueError) as error:
        said = f"{one.row.name} cannot be computed with these numbers: {error}; choose others by --at"
        raise SpecError(said) from None


def _given(one: Plain, known: Mapping[str, np.ndarray]) -> str:
    names = [name for name in (*one.graph.arguments, one.arriving) if name in known]
    shown = {**{name: known[name] for name in names}, **parameters(one.graph)}
    return section("numbers", "\n".join(f"{name} = {number(value)}" for name, value in shown.items()))


def _plain_lines(some: Sequence[Step], values: Mapping[str, Numbered]) -> Iterator[str]:
    for step in some:
        yield values[step.name].text if values else step.text


def _ruled(some: Sequence[Step], values: Mapping[str, Numbered]) -> Iterator[str]:
    """Lines with their rules in a column."""
    texts = list(_plain_lines(some, values))
    width = min(max(map(len, texts), default=0), _WIDEST)
    for step, text in zip(some, texts, strict=True):
        yield f"{text:<{width}}  {step.rule or step.why}"


def _value(text: str, known: Mapping[str, np.ndarray]) -> str:
    """The value of a result, to sixteen digits where it is a single number."""
    if text not in known:
        return text
    value = known[text]
    if np.shape(value) == () and value.dtype != bool:
        return f"{float(value):.16g}"
    return number(value)


def _results(one: Plain) -> list[str]:
    result = one.graph.result
    if isinstance(result, Mapping):
        return list(result)
    return [one.row.name] * len(list(leaves(result)))


def _rule_latex(rule: Rule) -> str:
    """The rule as mathematics where it is a formula of the language, else as it is written."""
    if not rule.formula:
        plain = str(rule).replace("_", "\\_")
        return f"\\texttt{{{plain}}}"
    by, of, text = latex(rule.by), latex(rule.of), latex(rule.text)
    more = ", \\; \\text{summed over what was repeated}" if rule.summed else ""
    return f"\\frac{{\\partial}}{{\\partial {by}}} \\left({of}\\right): \\; {text}{more}"
