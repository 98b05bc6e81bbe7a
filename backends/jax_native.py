"""JAX's own implementations (jax.nn, optax), as rows: what a user would call, and the knobs for which it is that
formula. Where optax is not installed, its rows are None."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crossnn.adapter import Knobs, Native, Tensor

from .jax_functions import ACTIVATIONS, LOSSES, OPTAX
from .jax_layers import LAYERS

Row = Callable[[Knobs], Native | None]

if OPTAX:
    from . import jax_optimizers

TABLE: Mapping[tuple[str, str], Row] = {
    **{("activation", name): row for name, row in ACTIVATIONS.items()},
    **{("loss", name): row for name, row in LOSSES.items()},
    **{("layer", name): row for name, row in LAYERS.items()},
}


def native(tensor: Callable[[np.ndarray], Tensor], kind: str, name: str, knobs: Knobs) -> Native | None:
    """The row for this specification, where these knobs are what it implements."""
    if kind == "optimizer":
        return jax_optimizers.native(tensor, name, knobs) if OPTAX else None
    row = TABLE.get((kind, name))
    return row(knobs) if row else None
