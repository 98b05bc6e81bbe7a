"""Printed numbers: what their digits promise.

A printed number is right when the true one, rounded to as many digits, is printed so. Long constants inside a formula,
such as 0.7978845608, are printed numbers too: what their last digit leaves open is no mistake of the formula.
"""

from __future__ import annotations

import ast
import math
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


def printed_numbers(statement: Statement) -> list[tuple[tuple[int, ...], Decimal]]:
    """The printed numbers of a claim by place; SpecError where they are none, or cannot be those of its expression."""
    claim = statement.claim
    found = [(index, _read(text)) for index, text in numbers(claim.printed)]
    if statement.names:
        raise SpecError(
            f"{', '.join(statement.names)} has no value in {claim.expression!r}; "
            'a printed number is that of an expression without variables: say their values in where = "x == 1"'
        )
    recorded = statement.record({})
    shape = recorded.texts["expression"].shape
    if len(found) != math.prod(shape):
        raise SpecError(
            f"printed: {len(found)} number{'' if len(found) == 1 else 's'}, but the expression {claim.expression!r} "
            f"has {math.prod(shape)} (shape {shape}); print as many"
        )
    return found


def wrong_digits(statement: Statement) -> list[Wrong]:
    """Every printed number of a claim that does not agree with the expression in all its digits."""
    listed = printed_numbers(statement)
    recorded = statement.record({})
    (value,) = exact(recorded.graph(recorded.texts["expression"]), {})
    texts = [text for _, text in numbers(statement.claim.printed)]
    exact_values = [_decimal(hi, lo) for hi, lo in zip(value.hi.reshape(-1), value.lo.reshape(-1), strict=True)]
    pairs = zip(listed, texts, exact_values, strict=True)
    return [bad for (index, number), text, true in pairs if (bad := _wrong(index, text, number, true))]


def _read(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise SpecError(f"printed: {text!r} is no number; write digits, such as 0.7311") from None
    if found.is_finite() and len(found.as_tuple().digits) > MOST:
        raise SpecError(f"printed: {text} has {len(found.as_tuple().digits)} digits; at most {MOST} are compared")
    return found


def _decimal(hi: Any, lo: Any) -> Decimal | float:
    if not np.isfinite(hi):
        return float(hi)
    return Decimal(float(hi)) + Decimal(float(lo))


def _wrong(index: tuple[int, ...], text: str, printed: Decimal, true: Decimal | float) -> Wrong | None:
    if isinstance(true, float) or not printed.is_finite():
        same = str(float(printed)) == str(float(true))
        return None if same else Wrong(index, text, str(true), str(true), False)
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
