"""A backend with implementations of its own, right and wrong, of every kind that has natives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn import registry
from crossnn.adapter import Knobs, Native

NumpyAdapter: Any = type(registry.load("numpy"))


class Descent:
    """Gradient descent whose rate is multiplied by `factor`."""

    def __init__(self, params: Mapping[str, np.ndarray], factor: float) -> None:
        self.params, self.factor = dict(params), factor

    def load(self, params: Mapping[str, np.ndarray], state: Mapping[str, Any], step: int) -> None:
        self.params = dict(params)

    def step(self, gradients: Mapping[str, np.ndarray], learning_rate: float) -> None:
        self.params = {name: w - self.factor * learning_rate * gradients[name] for name, w in self.params.items()}

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        return self.params, {}


def _uniform(knobs: Knobs, dtype: str, factor: float) -> Callable[..., Any]:
    def function(shape: tuple[int, ...], seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        u = np.random.default_rng(seed).random(shape).astype(dtype)
        low, high = knobs["low"], knobs["high"]
        return {"u": u}, (factor * (low + (high - low) * u)).astype(dtype)

    return function


class OwnAdapter(NumpyAdapter):  # type: ignore[misc]
    """Its `native` is right; its `variants` are wrong by a factor that every check must find."""

    name = "own"

    def native(self, kind: str, name: str, knobs: Knobs) -> Native | None:
        return self._made(kind, name, knobs, 1.0, "own")

    def variants(self, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
        found = self._made(kind, name, knobs, 1 + 1e-9 if self.dtype == "float64" else 1.001, "wrong")
        return [] if found is None else [found]

    def _made(self, kind: str, name: str, knobs: Knobs, factor: float, module: str) -> Native | None:
        total = self.primitives["sum"]
        absolute, maximum, minimum = (self.primitives[one] for one in ("abs", "maximum", "minimum"))
        functions: dict[tuple[str, str], Callable[..., Any]] = {
            ("regularizer", "l1"): lambda w: factor * knobs["rate"] * total(absolute(w)),
            ("constraint", "non_negative"): lambda w: factor * maximum(w, 0.0),
            ("metric", "mean_absolute_error"): lambda y, t: factor * total(absolute(y - t)) / np.size(y),
            ("schedule", "constant"): lambda t: np.full(t.shape, factor * knobs["lr"]),
            ("clipping", "clip_by_value"): lambda tree: {
                one: factor * maximum(minimum(g, knobs["limit"]), -knobs["limit"]) for one, g in tree.items()
            },
            ("initializer", "uniform"): _uniform(knobs, self.dtype, factor),
        }
        if (kind, name) == ("optimizer", "sgd") and knobs.get("decay", "none") == "none":
            function: Callable[..., Any] = lambda params, hyper, mode="": Descent(params, factor)  # noqa: E731
            return Native(f"{module}.sgd", function, ("eager", "compiled"))
        made = functions.get((kind, name))
        return None if made is None else Native(f"{module}.{name}", made)
