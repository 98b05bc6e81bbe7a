"""PyTorch's own implementations, as rows: what a user would call, and the knobs for which it is that formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crossnn.adapter import Knobs, Native, Tensor

from . import torch_optimizers
from .torch_functions import ACTIVATIONS, LOSSES
from .torch_layers import LAYERS

Row = Callable[[Knobs], Native | None]

TABLE: Mapping[tuple[str, str], Row] = {
    **{("activation", name): row for name, row in ACTIVATIONS.items()},
    **{("loss", name): row for name, row in LOSSES.items()},
    **{("layer", name): row for name, row in LAYERS.items()},
}


def native(tensor: Callable[[np.ndarray], Tensor], kind: str, name: str, knobs: Knobs) -> Native | None:
    """The row for this specification, where these knobs are what it implements."""
    if kind == "optimizer":
        return torch_optimizers.native(tensor, name, knobs)
    row = TABLE.get((kind, name))
    return row(knobs) if row else None
