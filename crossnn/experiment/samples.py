"""What a data set hands over: samples as they are, before anything is split or encoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crossnn.formula.shapes import Shape


@dataclass(frozen=True)
class Request:
    """What an experiment asks of a data set: the seed, the shape of a sample, how many different tokens the network
    knows, and how many training samples are wanted (0: all). Most sets need the seed only."""

    seed: int
    shape: Shape = ()
    tokens: int = 0
    samples: int = 0


@dataclass(frozen=True)
class Samples:
    """Inputs (numbers, or tokens as whole numbers) and targets: numbers, or labels below `classes`. The last `test`
    samples are the set's own test part."""

    x: np.ndarray
    t: np.ndarray
    classes: int = 0
    tokens: int = 0
    test: int = 0


Source = Callable[[Request], Samples]


def single(values: np.ndarray) -> np.ndarray:
    """Rounded to float32 and kept as float64, so that every dtype is given the same numbers."""
    return values.astype(np.float32).astype(np.float64)
