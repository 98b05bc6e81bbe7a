"""The numbers of the rule by which tensors and curves are judged; the README says why these."""

from __future__ import annotations

LIMIT = 64.0
"""The largest r that is rounding: 3.7 times the worst legitimate one ever measured."""

FLOOR = 0.5
"""The share of a tensor's noise (or of an element itself, where elements never meet) below which no element's falls."""

ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "tf32": 2.0**-11, "bfloat16": 2.0**-8}
"""The unit roundoff of each dtype: half the distance from 1 to the next number. tf32 is float32 whose products a GPU
takes of factors rounded to eleven bits."""

ILL_CONDITIONED = 1e-3
"""The relative size of unavoidable rounding above which an element is no evidence, in the dtypes that have so many
digits."""


def ill_conditioned(dtype: str) -> float:
    """The same for any dtype: what has fewer than three digits to begin with is judged by those that it has."""
    return max(ILL_CONDITIONED, LIMIT * ROUNDOFF[dtype])
