"""A backend whose GPU is simulated: what is asked of it is queued, and computed when it is waited for.

Timings of devices are tested with it on machines that have none: a clock that is stopped before the wait would see
nothing but the queue.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from crossnn import registry
from crossnn.adapter import Facts, Function, Tree
from crossnn.errors import BackendError

SECONDS = 0.002
"""What one call takes on the device; to queue it takes nothing."""

NumpyAdapter: Any = type(registry.load("numpy"))


class SimulatedGpu(NumpyAdapter):  # type: ignore[misc]
    name = "simulated"

    def start(self, device: str, dtype: str, threads: int) -> Facts:
        if device != "gpu":
            raise BackendError(f"the simulated GPU is no {device!r}")
        if dtype not in ("float32", "tf32"):
            raise BackendError(f"the simulated GPU knows float32 and tf32, not {dtype!r}")
        facts = super().start("cpu", "float32", threads)
        self.queued = self.peak = 0
        return Facts(self.name, device, dtype, threads, facts.versions, {"tf32": dtype == "tf32"})

    def compile(self, f: Function, mode: str, donated: int = 0) -> Function:
        compiled = super().compile(f, mode)

        def queue(*arguments: Tree) -> Tree:
            self.queued += 1
            self.peak += 1000
            return compiled(*arguments)

        return queue

    def wait(self, tree: Tree) -> None:
        time.sleep(SECONDS * self.queued)
        self.queued = 0

    def device_memory(self) -> int | None:
        found, self.peak = self.peak, 0
        return found

    def array(self, tensor: Any) -> np.ndarray:
        self.wait(None)
        found: np.ndarray = super().array(tensor)
        return found
