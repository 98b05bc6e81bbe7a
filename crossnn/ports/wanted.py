"""What gradients are taken of: `wrt` by name, by place, or by the name of an argument.

A name stands for every floating-point tensor under it: "dense" for "dense.kernel" and "dense.bias". A place counts the
inputs, as `jax.grad` counts arguments, but for the parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from crossnn.errors import CrossnnError, unknown
from crossnn.ports.given import array
from crossnn.ports.port import Signature, is_array, named_inputs
from crossnn.ports.tree import flat

Wrt = Sequence[str | int] | str | int | None
ALLOWED = "give names of inputs or parameters, or places of inputs, counted from 0"


def by_default(signature: Signature, values: Mapping[str, Any]) -> list[str]:
    """All parameters; all inputs where there are none."""
    own = flat(signature.params) if signature.params is not None else named_inputs(signature.inputs)
    return [name for name in own if _is_float(values[name])]


def wanted(
    wrt: Any, signature: Signature, values: dict[str, Any], functions: Iterable[Callable[..., Any]]
) -> list[str]:
    """The names of the tensors; a plain number among them becomes a tensor in `values`."""
    if isinstance(wrt, str | int | np.integer):
        wrt = [wrt]
    if not isinstance(wrt, Iterable):
        raise CrossnnError(f"wrt is {wrt!r}; {ALLOWED}")
    found: dict[str, None] = {}
    for one in wrt:
        names = _named(one, signature, values, functions)
        for name in names:
            if isinstance(values[name], float):
                values[name] = array(name, np.asarray(values[name]), short=True)
        kept = [name for name in names if _is_float(values[name])]
        if not kept:
            raise CrossnnError(f"wrt names {one!r}, which holds {_what([values[name] for name in names])}")
        found.update(dict.fromkeys(kept))
    return list(found)


def _what(leaves: Sequence[Any]) -> str:
    if any(is_array(one) and one.dtype.kind == "c" for one in leaves):
        return (
            "complex numbers: frameworks do not agree on what their gradient is (PyTorch's is the conjugate of JAX's); "
            "leave it out, or pass both parts as inputs"
        )
    return "no floating-point numbers: leave it out"


def _is_float(value: Any) -> bool:
    return is_array(value) and value.dtype.kind == "f"


def _named(
    one: Any, signature: Signature, values: Mapping[str, Any], functions: Iterable[Callable[..., Any]]
) -> list[str]:
    inputs = signature.inputs
    tops = list(inputs) if isinstance(inputs, Mapping) else [f"input {place}" for place in range(len(inputs))]
    if isinstance(one, int | np.integer) and not isinstance(one, bool):
        return _under(_at(int(one), tops), values)
    if not isinstance(one, str):
        raise CrossnnError(f"wrt holds {one!r}; {ALLOWED}")
    if found := _under(one, values):
        return found
    if one.removeprefix("-").isdecimal():
        return _under(_at(int(one), tops), values)
    for function in functions:
        names = _arguments(function, signature.params is not None)
        if one in names and names.index(one) < len(tops):
            return _under(tops[names.index(one)], values)
    raise CrossnnError(unknown("tensor in wrt", one, values))


def _at(place: int, tops: Sequence[str]) -> str:
    if not -len(tops) <= place < len(tops):
        several = "1 input" if len(tops) == 1 else f"{len(tops)} inputs"
        raise CrossnnError(f"wrt holds the place {place}, but there {'is' if len(tops) == 1 else 'are'} {several}: "
                           f"{', '.join(tops) or 'name parameters instead'}")  # fmt: skip
    return tops[place]


def _under(name: str, values: Mapping[str, Any]) -> list[str]:
    return [name] if name in values else [one for one in values if one.startswith(f"{name}.")]


def _arguments(function: Callable[..., Any], has_params: bool) -> list[str]:
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []
    return names[1:] if has_params else names
