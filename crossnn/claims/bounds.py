"""Bounds that a domain sets to single variables: `x > 0`, `0 < p < 1`."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from crossnn.formula.grammar import Formula
from crossnn.formula.limits import plain_number


@dataclass(frozen=True)
class Bound:
    """A condition between a variable and a number; `strict` where the number itself is outside."""

    name: str
    low: float
    high: float
    strict: bool

    def kept(self, value: np.ndarray) -> bool:
        low, high = (float(value),) * 2 if value.ndim == 0 else (float(value.min()), float(value.max()))
        if self.strict:
            return self.low < low and high < self.high
        return self.low <= low and high <= self.high


@lru_cache(maxsize=1024)
def bound_of(one: Formula) -> Bound | None:
    """The bound that a condition is, if it is one."""
    if not (isinstance(one.tree, ast.Compare) and isinstance(one.tree.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)):
        return None
    left, right = one.tree.left, one.tree.comparators[0]
    less = isinstance(one.tree.ops[0], ast.Lt | ast.LtE)
    for side, other, above in ((left, right, not less), (right, left, less)):
        number = plain_number(other)
        if isinstance(side, ast.Name) and number is not None:
            strict = isinstance(one.tree.ops[0], ast.Lt | ast.Gt)
            return Bound(side.id, number if above else -math.inf, math.inf if above else number, strict)
    return None
