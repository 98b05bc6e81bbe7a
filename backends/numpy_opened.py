"""What a call makes for NumPy, which has no activations, losses or optimizers: a user's own function of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossnn.adapter import Opened
from crossnn.errors import BackendError
from crossnn.identify import own


def opened(text: str) -> Opened:
    """A function that is named as `package.module:function`."""
    if not own.is_own(text):
        raise BackendError(
            f"{text!r}: NumPy has nothing of its own to identify; name your function as package.module:function, or a "
            "call of a framework, such as torch.optim.Adam(lr=0.01)"
        )
    return own.opened(text, own.load(text), "", np.asarray, _array)


def _array(value: Any) -> np.ndarray:
    return np.array(value, float)
