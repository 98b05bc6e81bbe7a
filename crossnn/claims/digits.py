"""Printed numbers: what their digits promise.

A printed number is right when the true one, rounded to as many digits, is printed so. Long constants inside a formula,
such as 0.7978845608, are printed numbers too: what their last digit leaves open is no mistake of the formula.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, InvalidOperation, localcontext
from typing import Any

import numpy as np

from crossnn.claims.statement import Statement
from crossnn.errors import SpecError
from crossnn.formula.limits import python_tree
from crossnn.formula.oracle import exact

MOST = 30
"""So many digits of a true value are known."""
LONG = 4
"""From so many significant digits on, a constant of a formula is a rounded one."""


@dataclass(frozen=True)
class Wrong:
    """A printed number that is not right: which one, what is printed, and what should be."""

    index: tuple[int, ...]
    printed: str
    right: str
    value: str
    cut: bool


def numbers(printed: Any) -> Iterator[tuple[tuple[int, ...], str]]:
    """The numbers of a printed value, as text, by place."""
    if isinstance(printed, list):
        for place, one in enumerate(printed):
            yield from (((place, *index), text) for index, text in numbers(one))
    elif isinstance(printed, str) and re.search(r"[\s,;]", printed.strip(" []()")) and not _thousands(printed):
        parts = [one for one in re.split(r"[\s,;]+", printed.strip(" []()")) if one]
        yield from (((place,), one) for place, one in enumerate(parts))
    else:
        yield (), str(printed).strip().replace(",", "").replace("_", "").lstrip("+")


def _thousands(text: str) -> bool:
    return re.fullmatch(r"\s*[+-]?\d{1,3}(,\d{3})+(\.\d*)?\s*", text) is not None


def wrong_digits(statement: Statement) -> list[Wrong]:
    """Every printed number of a claim that does not agree with the expression in all its digits."""
    if statement.names:
        raise SpecError(
            f"{statement.claim.id}: {', '.join(statement.names)} has no value in {statement.claim.expression!r}; "
            'a printed number is that of an expression without variables: say their values in where = "x == 1"'
        )
    recorded = statement.record({})
    (value,) = exact(recorded.graph(recorded.texts["expression"]), {})
    listed = list(numbers(statement.claim.printed))
    found = np.squeeze(value.hi)
    exact_values = [_decimal(hi, lo) for hi, lo in zip(value.hi.reshape(-1), value.lo.reshape(-1), strict=True)]
    if len(listed) != len(exact_values):
        raise SpecError(
            f"{statement.claim.id}: {len(listed)} numbers are printed, the expression has {len(exact_values)} "
            f"(shape {found.shape}); print as many"
        )
    return [bad for (index, text), true in zip(listed, exact_values, strict=True) if (bad := _wrong(index, text, true))]


def _decimal(hi: Any, lo: Any) -> Decimal | float:
    if not np.isfinite(hi):
        return float(hi)
    return Decimal(float(hi)) + Decimal(float(lo))


def _wrong(index: tuple[int, ...], text: str, true: Decimal | float) -> Wrong | None:
    try:
        printed = Decimal(text)
    except InvalidOperation:
        raise SpecError(f"printed: {text!r} is no number; write digits, such as 0.7311") from None
    if isinstance(true, float) or not printed.is_finite():
        same = str(float(printed)) == str(float(true))
        return None if same else Wrong(index, text, str(true), str(true), False)
    if len(printed.as_tuple().digits) > MOST:
        raise SpecError(f"printed: {text} has {len(printed.as_tuple().digits)} digits; at most {MOST} are compared")
    unit = Decimal((0, (1,), int(printed.as_tuple().exponent)))
    with localcontext(prec=1000):
        roundings = [true.quantize(unit, rounding=one) for one in (ROUND_HALF_EVEN, ROUND_HALF_UP)]
        cut = printed == true.quantize(unit, rounding=ROUND_DOWN)
    if printed in roundings:
        return None
    return Wrong(index, text, str(roundings[0]), f"{true:.17g}", cut)


def long_constants(text: str) -> list[tuple[str, str]]:
    """(constant, half a unit of its last digit) for every long constant of a formula, as written."""
    tree = python_tree(text)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            written = ast.get_source_segment(text.strip(), node) or ""
            digits = re.sub(r"[eE].*", "", written).replace(".", "").strip("0")
            if len(digits) >= LONG:
                exponent = int(Decimal(written).as_tuple().exponent)
                found.append((written, str(Decimal((0, (5,), exponent - 1)))))
    return found
