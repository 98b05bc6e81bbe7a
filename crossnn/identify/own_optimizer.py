"""A user's own step of an optimizer, run from its first step on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.adapter import Tensor
from crossnn.errors import BackendError
from crossnn.identify.own_source import numbers
from crossnn.identify.trying import tried

RATE = ("lr", "learning_rate")
"""Names of the argument that is the learning rate."""


class Optimizer:
    """A user's f(w, g, state, t) -> (w, state), one state for each parameter, None at first. Its learning rate is
    varied where it is an argument named `lr` or `learning_rate`."""

    def __init__(
        self, text: str, function: Callable[..., Any], tensor: Callable[[np.ndarray], Tensor],
        array: Callable[[Tensor], np.ndarray], params: Mapping[str, np.ndarray],
    ) -> None:  # fmt: skip
        self.text, self.function, self.tensor, self.array = text, function, tensor, array
        self.rate = next((name for name in RATE if name in numbers(function)), "")
        self.load(params, {}, 0)

    def load(self, params: Mapping[str, np.ndarray], state: Mapping[str, Any], step: int) -> None:
        self.params = {name: self.tensor(np.array(value)) for name, value in params.items()}
        self.state: dict[str, Any] = dict.fromkeys(params)
        self.count = step

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        self.count += 1
        rate = {self.rate: learning_rate} if self.rate else {}
        for name, w in self.params.items():
            found = tried(
                self.text,
                lambda w=w, name=name: self.function(  # type: ignore[misc]
                    w, self.tensor(np.array(gradients[name])), self.state[name], self.count, **rate
                ),
            )
            if not (isinstance(found, tuple) and len(found) == 2):
                raise BackendError(f"{self.text} must return (w, state), and returns {type(found).__name__}")
            self.params[name], self.state[name] = found

    def updates(self, gradients: Sequence[Mapping[str, np.ndarray]], learning_rate: float) -> Callable[[int], Any]:
        raise BackendError("an opened optimizer is identified, not timed")

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        params = {name: np.array(self.array(w)) for name, w in self.params.items()}
        state: dict[str, dict[str, np.ndarray]] = {}
        for name, kept in self.state.items():
            for slot, value in _slots(kept).items():
                try:
                    shown = np.array(self.array(value), float)
                except (TypeError, ValueError, AttributeError):  # what is no tensor is no slot
                    continue
                state.setdefault(slot, {})[name] = shown
        return params, state


def _slots(kept: Any) -> dict[str, Any]:
    if isinstance(kept, Mapping):
        return {str(name): value for name, value in kept.items() if value is not None}
    if isinstance(kept, tuple | list):
        return {f"state[{place}]": value for place, value in enumerate(kept) if value is not None}
    return {} if kept is None else {"state": kept}
