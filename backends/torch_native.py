"""PyTorch's own implementations, as rows: what a user would call, and the settings for which it is that formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Table, bound

from . import torch_averages, torch_initializers, torch_optimizers
from .torch_functions import ACTIVATIONS
from .torch_layers import LAYERS
from .torch_losses import LOSSES
from .torch_outer import CLIPPINGS, SCHEDULES
from .torch_penalties import CONSTRAINTS, METRICS, REGULARIZERS

Make = Callable[[np.ndarray], Tensor]

TABLES: Mapping[str, Table] = {
    "activation": ACTIVATIONS,
    "loss": LOSSES,
    "layer": LAYERS,
    "regularizer": REGULARIZERS,
    "constraint": CONSTRAINTS,
    "metric": METRICS,
    "clipping": CLIPPINGS,
    "schedule": SCHEDULES,
}


def _all(tensor: Make, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
    if (kind, name) == ("optimizer", "weight_ema"):
        return torch_averages.natives(tensor, knobs)
    if kind == "optimizer":
        return torch_optimizers.natives(tensor, name, knobs)
    if kind == "initializer":
        return torch_initializers.natives(tensor, name, knobs)
    return bound(TABLES.get(kind, {}).get(name, ()), knobs)


def native(tensor: Make, kind: str, name: str, knobs: Knobs) -> Native | None:
    """The first row of this specification for which these knobs are what it implements."""
    found = _all(tensor, kind, name, knobs)
    return found[0] if found else None


def variants(tensor: Make, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
    """The rows behind the first."""
    return _all(tensor, kind, name, knobs)[1:]
