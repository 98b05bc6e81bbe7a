"""What no sheet may say, though every key and formula of it can be read: it is refused before anything is judged.

A name of `same_as` that is no optimizer, a printed number that is none: nothing can be found out about such a claim,
and a sheet that is full of them would pass as undecided.
"""

from __future__ import annotations

import ast
import math

from crossnn.claims.descent import variable_of
from crossnn.claims.digits import printed_numbers
from crossnn.claims.notation import read
from crossnn.claims.sheet import Claim
from crossnn.claims.statement import Statement
from crossnn.claims.updates import SameAs
from crossnn.errors import FormulaError, SpecError


def check_sound(claim: Claim) -> None:
    """Raise SpecError where a claim cannot be one; what only cannot be recorded is left to the judge."""
    for key in ("params", "state"):
        for name, value in getattr(claim, key).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise SpecError(f"{key}: {name} = {value}; give a finite number")
    for text in claim.conditions:
        if not isinstance(read(text).tree, ast.Compare):
            raise SpecError(
                f"where: {text!r} is no condition; write a comparison, such as x > 0, or several: 0 < x < 1"
            )
    try:
        match claim.kind:
            case "printed":
                printed_numbers(Statement(claim))
            case "same_as":
                SameAs(claim)
            case "converges":
                variable_of(claim)
    except (FormulaError, ArithmeticError, MemoryError, RecursionError):
        return
