"""A backend with a planted mistake, to see that what is wrong is not timed."""

from __future__ import annotations

from typing import Any

import numpy as np

from crossnn import registry
from crossnn.adapter import Facts

NumpyAdapter: Any = type(registry.load("numpy"))


class WrongTanh(NumpyAdapter):  # type: ignore[misc]
    def start(self, device: str, dtype: str, threads: int) -> Facts:
        facts: Facts = super().start(device, dtype, threads)
        self.namespace["np"].tanh = lambda x: np.tanh(x) * np.float32(1.001)
        return facts
