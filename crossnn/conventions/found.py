"""What a probe found: the answer in words, the settings in the specification's terms, how exactly they reproduce the
framework, and what a port that overlooks them would suffer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

AGREES = 1e-12
"""Relative difference, in float64, up to which a candidate reproduces a framework: the candidates of a probe differ in
a layout, an order, a constant, and so in the first digits; rounding comes twelve digits later."""


@dataclass(frozen=True)
class Found:
    """`error`: the relative difference between the framework and the formula with these settings. `difference`: that
    between the framework and a port that keeps the specification's defaults, in the scenario of the concept."""

    answer: str
    evidence: str = ""
    settings: dict[str, float | bool | str] = field(default_factory=dict)
    error: float | None = None
    difference: float | None = None
    call: str = ""

    @property
    def settled(self) -> bool:
        """Whether the formula with these settings is what the framework computes."""
        return self.error is not None and self.error <= AGREES


def relative(actual: np.ndarray, expected: np.ndarray) -> float:
    """The Euclidean norm of the difference over that of what is expected; infinite where the shapes differ."""
    if actual.shape != expected.shape:
        return float("inf")
    size = float(np.linalg.norm(expected))
    distance = float(np.linalg.norm(np.asarray(actual, np.float64) - expected))
    return distance / size if size else distance
