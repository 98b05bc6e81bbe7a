"""JAX's own implementations (jax.nn, jax.lax, jax.scipy, optax), as rows: what a user would call, and the settings for
which it is that formula. What the installed version does not have, or optax where it is not installed, is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Table, bound
from crossnn.registry import is_installed

from .jax_functions import ACTIVATIONS
from .jax_initializers import rows as initializer_rows
from .jax_layers import LAYERS
from .jax_losses import LOSSES
from .jax_outer import CLIPPINGS, CONSTRAINTS, METRICS, REGULARIZERS
from .jax_schedules import SCHEDULES

OPTAX = is_installed("optax")

TABLE: Mapping[str, Table] = {
    "activation": ACTIVATIONS,
    "loss": LOSSES,
    "regularizer": REGULARIZERS,
    "constraint": CONSTRAINTS,
    "metric": METRICS,
    "layer": LAYERS,
    "clipping": CLIPPINGS,
    "schedule": SCHEDULES,
}


def natives(tensor: Callable[[np.ndarray], Tensor], kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
    """What computes this specification with these knobs: first what users call, then other ways to the same."""
    if kind == "optimizer":
        if not OPTAX:
            return ()
        from . import jax_optax, jax_optimizers

        return jax_optimizers.natives(tensor, jax_optax.OPTIMIZERS, name, knobs)
    if kind == "initializer":
        return bound(initializer_rows(name, lambda: tensor(np.zeros(1)).dtype), knobs)
    return bound(TABLE.get(kind, {}).get(name, ()), knobs)
