"""How far two computations agree: digits for every candidate at once.

A number of two results is compared with what the computation added to it (the change of a parameter since the start),
beyond what rounding of the numbers themselves allows. Where nothing beyond rounding was added, nothing is compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST = 12.0
"""Digits above which no difference is seen."""
SAME = 1e-9
"""The relative difference below which two computations pass for the same: the oracle decides then."""
_ULP = 2.0**-52


@dataclass(frozen=True)
class Agreement:
    """For each candidate: its digits on average, whether all numbers pass for the same, and how many were compared."""

    digits: np.ndarray
    same: np.ndarray
    compared: np.ndarray


def agree(theirs: np.ndarray, ours: np.ndarray, start: np.ndarray | float = 0.0, slack: float = 16.0) -> Agreement:
    """`ours` has one more axis, the second last but one: (steps, candidates, numbers)."""
    theirs = theirs[:, None, :]
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(ours), np.abs(start))
        error = np.abs(theirs - ours)
        rounding = slack * _ULP * size
        added = np.abs(ours - start)
        beyond = np.maximum(error - rounding, 0.0)
        relative = np.where(beyond == 0, 0.0, beyond / np.maximum(added, 1e-300))
    both = np.isnan(theirs) & np.isnan(ours)
    equal = (theirs == ours) | both
    relative = np.where(equal, 0.0, np.where(np.isfinite(error), relative, np.inf))
    with np.errstate(divide="ignore"):
        digits = np.clip(-np.log10(relative), 0.0, MOST)
    counts = ~((relative == 0) & (added <= 100 * rounding)) | both
    number = counts.sum(axis=(0, 2))
    total = np.where(counts, digits, 0.0).sum(axis=(0, 2))
    same = np.asarray((relative < SAME).all(axis=(0, 2)))
    return Agreement(total / np.maximum(number, 1), same, number)
