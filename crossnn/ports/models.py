"""Ports that are models with parameters of their own, such as a torch.nn.Module: called as functions of a tree.

Its parameters are matched with those of the tree: by name; else by what the name says (kernel or weight, bias, scale)
and by shape; in order, where several have the same. Where the shapes differ, or the names say that the layout does, the
axes are put as the framework has them. What was proposed so is noted in the report; `layouts` has the last word.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from crossnn.adapter import Adapter, OwnModel
from crossnn.errors import CrossnnError
from crossnn.ports.layouts import Layout, axes
from crossnn.ports.port import Signature
from crossnn.ports.tree import Tree, flat

KERNELS = {"kernel": "kernel", "weight": "kernel", "w": "kernel", "weights": "kernel", "recurrent_kernel": "kernel"}
ROLES = {**KERNELS, "bias": "bias", "b": "bias", "beta": "bias", "gamma": "scale", "scale": "scale"}
TORCH = {2: (1, 0), 3: (2, 1, 0), 4: (3, 2, 0, 1), 5: (4, 3, 0, 1, 2)}
"""Where PyTorch's weight has the axes of a channels-last kernel."""


def guest(adapter: Adapter) -> AbstractContextManager[None]:
    """The framework's settings are put back afterwards, as far as it lets them."""
    kept = getattr(adapter, "guest", None)
    return kept() if kept is not None else nullcontext()


def own_model(adapter: Adapter, function: Callable[..., Any]) -> OwnModel | None:
    """What an adapter says about a model of its framework; those of third parties need not know any."""
    found = getattr(adapter, "model", None)
    return found(function) if found is not None else None


def as_function(
    model: OwnModel, port: str, signature: Signature, layouts: dict[str, Layout]
) -> tuple[Callable[..., Tree], list[str]]:
    """A function of (parameters, *inputs), and what was proposed; proposed layouts are added to `layouts`."""
    if not model.arrays:
        return model.call, []
    given = {name: np.asarray(one) for name, one in flat(signature.params or {}).items()}
    pairs = matched(given, model.arrays, port)
    notes = []
    for name, own in pairs.items():
        if name not in layouts:
            order = _order(name, given[name].shape, own, model.arrays[own].shape, port)
            if order is not None:
                layouts[name] = axes(f"axes {order}", list(order))
                notes.append(f"{port!r}: {name!r} is passed as {own!r} with its axes in the order {order} (proposed)")
        stored = layouts[name].forward(given[name]) if name in layouts else given[name]
        if stored.shape != model.arrays[own].shape:
            raise CrossnnError(
                f"port {port!r}: {name!r} has shape {stored.shape}, {own!r} of the model {model.arrays[own].shape}; "
                f"say how with layouts={{{name!r}: {{{port!r}: ...}}}}"
            )

    def call(parameters: Tree, *inputs: Any) -> Tree:
        values = flat(parameters)
        return model.call({own: values[name] for name, own in pairs.items()}, *inputs)

    return call, notes


def matched(given: Mapping[str, np.ndarray], own: Mapping[str, np.ndarray], port: str) -> dict[str, str]:
    """Name in the tree -> the model's own name."""
    pairs = {name: name for name in given if name in own}
    left = [name for name in given if name not in pairs]
    free = [name for name in own if name not in pairs]
    for name in left:
        fitting = [one for one in free if _role(one, own[one]) == _role(name, given[name])
                   and sorted(own[one].shape) == sorted(given[name].shape)]  # fmt: skip
        close = [one for one in fitting if _stem(one) == _stem(name)] or fitting
        if close:
            pairs[name] = close[0]
            free.remove(close[0])
    missing = [name for name in given if name not in pairs]
    if missing or free:
        have = ", ".join(f"{name} {one.shape}" for name, one in own.items())
        raise CrossnnError(
            f"port {port!r}: its parameters cannot be matched with `params`: "
            + "; ".join(
                part for part in (
                    f"nothing in the model fits {', '.join(missing)}" if missing else "",
                    f"nothing in params fits {', '.join(free)}" if free else "",
                ) if part
            )
            + f". The model has {have}"
        )  # fmt: skip
    return pairs


def _words(name: str) -> list[str]:
    return [part for part in re.split(r"[./]", name.lower()) if part]


def _role(name: str, array: np.ndarray) -> str:
    """A vector called weight is a scale."""
    last = _words(name)[-1]
    role = ROLES.get(last, last)
    return "scale" if role == "kernel" and array.ndim == 1 else role


def _stem(name: str) -> str:
    return ".".join(_words(name)[:-1])


def _order(name: str, shape: tuple[int, ...], own: str, wanted: tuple[int, ...], port: str) -> tuple[int, ...] | None:
    """How the axes must be put; None where they stay. By PyTorch's convention where names say kernel and weight."""
    here, there = _words(name)[-1], _words(own)[-1]
    order = TORCH.get(len(shape))
    if order is not None and {here, there} == {"kernel", "weight"}:
        if here == "weight":
            order = tuple(int(place) for place in np.argsort(order))
        if tuple(shape[axis] for axis in order) == wanted:
            return order
    if shape == wanted:
        return None
    fitting = [one for one in itertools.permutations(range(len(shape))) if tuple(shape[axis] for axis in one) == wanted]
    if len(fitting) == 1:
        return fitting[0]
    raise CrossnnError(
        f"port {port!r}: {name!r} {shape} can become {own!r} {wanted} in {len(fitting)} ways; say which with layouts"
    )
