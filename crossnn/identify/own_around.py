"""A user's own schedule, metric, constraint or clipping, in the form in which those of frameworks are opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, Native, Opened, Tensor
from crossnn.errors import BackendError
from crossnn.identify import own
from crossnn.identify.own_source import arguments, numbers, required
from crossnn.identify.trying import tried

COUNTS = ("step", "steps", "epoch", "count", "iteration", "global_step", "current_step", "it", "step_num")
"""A function of one argument with such a name is a schedule."""

Maker = Callable[[str, Any], Callable[..., Any] | None]


def opened(adapter: Adapter, text: str, found: Any, kind: str, maker: Maker | None) -> Opened | None:
    """None where it is nothing of this."""
    if kind == "initializer":
        raise BackendError(
            f"{text}: an initializer is identified by the random numbers that its framework draws, and nobody knows "
            "which of them your own function uses; name one of the framework, such as torch.nn.init.xavier_uniform_"
        )
    if kind in ("", "schedule"):
        rates = maker(text, found) if maker is not None else None
        if rates is not None:
            return Opened("schedule", numbers(found), Native(text, rates))
        needed = required(found)
        if kind == "schedule" or (not isinstance(found, type) and needed == 1 and arguments(found)[0] in COUNTS):
            return Opened("schedule", numbers(found), Native(text, _rates(text, _instance(text, found))))
    if kind == "clipping":
        return Opened(kind, numbers(found), Native(text, clipping(text, _instance(text, found))))
    if kind in ("metric", "constraint"):
        return own.opened(text, _instance(text, found), kind, adapter.tensor, adapter.array, numbers(found))
    return None


def _instance(text: str, found: Any) -> Any:
    """A class, made; a function as it is, and one that makes a function, called."""
    if isinstance(found, type):
        return own.made(text, found)
    return tried(text, found) if required(found) == 0 else found


def _rates(text: str, function: Any) -> Callable[[np.ndarray], np.ndarray]:
    """A schedule is asked one count at a time, a whole number of Python."""

    def one(step: int) -> float:
        value = tried(f"{text}, step {step}", lambda: function(step))
        if value is None or np.size(value) != 1:
            what = type(value).__name__ if value is None else f"an array of shape {np.shape(value)}"
            raise BackendError(f"{text} must return one learning rate, a number, and returns {what} for step {step}")
        return float(tried(text, lambda: float(np.asarray(value).reshape(()))))

    return lambda t: np.array([one(int(step)) for step in t])


def clipping(text: str, function: Any) -> Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]:
    """Of all gradients by name, of their list, or of one alone: what it takes is found by trying."""

    def clipped(gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        said = None
        for way in (_named, _listed, _alone):
            try:
                return way(text, function, gradients)
            except BackendError as error:
                said = said or error
        assert said is not None
        raise said

    return clipped


def _named(text: str, function: Any, gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    found = tried(text, lambda: function(dict(gradients)))
    if not isinstance(found, Mapping) or set(found) != set(gradients):
        raise BackendError(
            f"{text} must return the clipped gradients by the names that it is given, and returns "
            f"{type(found).__name__}"
        )
    return found


def _listed(text: str, function: Any, gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    found = tried(text, lambda: function([*gradients.values()]))
    if not isinstance(found, list | tuple) or len(found) != len(gradients):
        raise BackendError(f"{text} must return as many gradients as it is given, and returns {type(found).__name__}")
    return dict(zip(gradients, found, strict=True))


def _alone(text: str, function: Any, gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    found = {}
    for name, one in gradients.items():
        found[name] = tried(text, lambda one=one: function(one))  # type: ignore[misc]
        if np.shape(found[name]) != np.shape(one):
            raise BackendError(f"{text} makes shape {np.shape(found[name])} of a gradient of shape {np.shape(one)}")
    return found
