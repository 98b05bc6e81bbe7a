"""PyTorch's own initializers, as rows: what each makes of a generator, and the numbers that the generator gives.

The plain distribution and the initializer are given generators seeded alike. torch has the outputs of a parameter
before its inputs: both are made so, and turned round.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import init

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import When, fits

Shape = tuple[int, ...]
Fill = Callable[[Tensor, torch.Generator, Knobs], Any]
I = "torch.nn.init."  # noqa: E741
DEVIATIONS = 2.0

DRAWS: Mapping[str, Callable[[Tensor, torch.Generator], Any]] = {
    "u": lambda x, g: x.uniform_(0.0, 1.0, generator=g),
    "z": lambda x, g: x.normal_(0.0, 1.0, generator=g),
    "c": lambda x, g: init.trunc_normal_(x, 0.0, 1.0, -DEVIATIONS, DEVIATIONS, generator=g),
    "m": lambda x, g: x.normal_(0.0, 1.0, generator=g),
}
"""What is drawn, by the names that formulas use."""


def _first(shape: Shape) -> Shape:
    """Outputs, inputs, space."""
    return (*shape[:-3:-1], *shape[:-2])


def _last(x: Tensor) -> Tensor:
    """Space, inputs, outputs."""
    return x.movedim((1, 0), (-2, -1)) if x.dim() > 1 else x


def _tall(x: Tensor) -> Tensor:
    """As a matrix with no fewer rows than columns; outputs are its rows where there are more of them."""
    matrix = x.flatten(1)
    return matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T


def _drawn(tensor: Callable[[np.ndarray], Tensor], draw: str, fill: Fill, knobs: Knobs, shape: Shape, seed: int) -> Any:
    empty = tensor(np.zeros(_first(shape)))

    def generator() -> torch.Generator:
        return torch.Generator(empty.device).manual_seed(seed)

    with torch.no_grad():
        numbers, parameter = empty.clone(), empty.clone()
        DRAWS[draw](numbers, generator())
        fill(parameter, generator(), knobs)
    shown = _tall(numbers) if draw == "m" else _last(numbers)
    return {draw: _array(shown)}, _array(_last(parameter))


def _array(x: Tensor) -> np.ndarray:
    return np.array(x.cpu().numpy())


def _scaled(name: str, **options: Any) -> Fill:
    return lambda x, g, knobs: getattr(init, name)(x, generator=g, **options)


_PLAIN: When = {"truncated": False}
_LINEAR = {"nonlinearity": "linear"}


def _truncated(x: Tensor, g: torch.Generator, knobs: Knobs) -> Tensor:
    """torch is given the bounds themselves, not how many deviations they are away."""
    mean, deviation = float(knobs["mean"]), float(knobs["stddev"])
    low, high = mean - DEVIATIONS * deviation, mean + DEVIATIONS * deviation
    return init.trunc_normal_(x, mean, deviation, low, high, generator=g)


INITIALIZERS: Mapping[str, tuple[str, str, Fill, When]] = {
    "zeros": ("zeros_", "u", lambda x, g, k: init.zeros_(x), {}),
    "ones": ("ones_", "u", lambda x, g, k: init.ones_(x), {}),
    "constant_fill": ("constant_", "u", lambda x, g, k: init.constant_(x, k["value"]), {}),
    "uniform": ("uniform_", "u", lambda x, g, k: init.uniform_(x, k["low"], k["high"], generator=g), {}),
    "normal": ("normal_", "z", lambda x, g, k: init.normal_(x, k["mean"], k["stddev"], generator=g), {}),
    "truncated_normal": ("trunc_normal_", "c", _truncated, {}),
    "glorot_uniform": ("xavier_uniform_", "u", _scaled("xavier_uniform_"), {}),
    "glorot_normal": ("xavier_normal_", "z", _scaled("xavier_normal_"), _PLAIN),
    "he_uniform": ("kaiming_uniform_(nonlinearity='relu')", "u", _scaled("kaiming_uniform_", nonlinearity="relu"), {}),
    "he_normal": (
        "kaiming_normal_(nonlinearity='relu')", "z", _scaled("kaiming_normal_", nonlinearity="relu"), _PLAIN
    ),
    "lecun_uniform": ("kaiming_uniform_(nonlinearity='linear')", "u", _scaled("kaiming_uniform_", **_LINEAR), {}),
    "lecun_normal": ("kaiming_normal_(nonlinearity='linear')", "z", _scaled("kaiming_normal_", **_LINEAR), _PLAIN),
    "orthogonal": ("orthogonal_", "m", lambda x, g, k: init.orthogonal_(x, k["gain"], generator=g), {}),
    "quarter": ("constant_", "u", lambda x, g, k: init.constant_(x, 0.25), {}),
}  # fmt: skip
"""Initializer -> (torch's, what it draws, how it is called, for which settings)."""


def natives(tensor: Callable[[np.ndarray], Tensor], name: str, knobs: Knobs) -> Sequence[Native]:
    """torch's own initializer of this specification, where these knobs are what it implements."""
    if name not in INITIALIZERS:
        return []
    call, draw, fill, when = INITIALIZERS[name]
    return [Native(I + call, functools.partial(_drawn, tensor, draw, fill, knobs))] if fits(knobs, when) else []
