"""Models of JAX users among ports: what has `init` and `apply`, as Flax modules do; settings put back afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax

from crossnn.adapter import OwnModel

SETTINGS = ("jax_default_device", "jax_enable_x64", "jax_default_matmul_precision")


def model(function: Callable[..., Any]) -> OwnModel | None:
    """It takes the tree of parameters as it is given: `f.apply({"params": tree}, *inputs)`."""
    if not (callable(getattr(function, "apply", None)) and callable(getattr(function, "init", None))):
        return None
    apply: Callable[..., Any] = function.apply  # type: ignore[attr-defined]

    def call(parameters: Mapping[str, Any], *inputs: Any) -> Any:
        return apply({"params": parameters}, *inputs)

    return OwnModel({}, call)


@contextlib.contextmanager
def guest() -> Iterator[None]:
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)
