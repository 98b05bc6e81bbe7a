"""What a port returns, as real numbers: complex tensors become two, and what holds no numbers is refused.

Everything behind this (truth, noise, verdicts, causes) meets real arrays only, so that no imaginary part can be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from crossnn.adapter import Adapter
from crossnn.errors import BackendError, CrossnnError

REAL, IMAGINARY = " (real part)", " (imaginary part)"


def real_arrays(outputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of real numbers by name, two of them for complex ones."""
    found: dict[str, np.ndarray] = {}
    for name, one in outputs.items():
        array = _array(name, one)
        if array.dtype.kind == "c":
            found[name + REAL], found[name + IMAGINARY] = array.real.copy(), array.imag.copy()
        else:
            found[name] = array
    return found


def _array(name: str, one: Any) -> np.ndarray:
    if np.ma.is_masked(one):
        raise CrossnnError(f"{name!r} has masked elements, which cannot be compared; fill them, as x.filled(0) does")
    array = np.asarray(one).view(np.ndarray)
    if array.dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise CrossnnError(refusal(name, one)) from error
    if array.dtype.kind not in "fiubc":
        raise CrossnnError(refusal(name, one))
    return array


def fetched(adapter: Adapter, name: str, one: Any) -> np.ndarray:
    """A framework's tensor as an array. PyTorch's conjugates are views that NumPy does not know."""
    for resolve in ("resolve_conj", "resolve_neg"):
        one = getattr(one, resolve)() if hasattr(one, resolve) else one
    try:
        return np.asarray(adapter.array(one))
    except Exception as error:
        raise CrossnnError(f"{refusal(name, one)} ({type(error).__name__}: {error})") from error


def refusal(name: str, one: Any) -> str:
    allowed = "return tensors or numbers, or dictionaries, lists and tuples of them"
    return f"{name!r} is of type {type(one).__name__}, which holds no numbers that could be compared; {allowed}"


def stem(name: str) -> str:
    """The name of the complex result that this is a part of; else the name itself."""
    return name.removesuffix(REAL).removesuffix(IMAGINARY)


def part(adapter: Adapter, outputs: Mapping[str, Any], name: str) -> Any:
    """The tensor that `real_arrays` calls so, in the framework's own numbers."""
    if name in outputs:
        return outputs[name]
    return _function(adapter, "real" if name.endswith(REAL) else "imag")(outputs[stem(name)])


def _function(adapter: Adapter, name: str) -> Callable[[Any], Any]:
    """torch.real, jax.numpy.real or tf.math.real: whatever the modules that the adapter names call so."""
    for module in adapter.namespace.values():
        found = getattr(module, name, None) or getattr(getattr(module, "math", None), name, None)
        if found is not None:
            function: Callable[[Any], Any] = found
            return function
    raise BackendError(f"backend {adapter.name!r} names no function {name!r} for gradients of complex results")


def shared(noise: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Complex arithmetic rounds a number as a whole: each part may be off by what the other is."""
    found = dict(noise)
    for name, one in noise.items():
        other = stem(name) + IMAGINARY
        if name.endswith(REAL) and other in noise:
            found[name] = found[other] = np.maximum(one, noise[other])
    return found
