"""JAX has functions and no layers: what its users write with them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

Arrays = Mapping[str, np.ndarray]
Ways = Iterator[tuple[str, str, Callable[[], Any], Callable[[Any], Arrays]]]


def _dense(p: Any, data: Any) -> Any:
    return p["x"] @ p["kernel"] + p["bias"]


def _conv2d(p: Any, data: Any) -> Any:
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(p["x"], p["kernel"], (1, 1), "SAME", dimension_numbers=axes) + p["bias"]


def _batch_norm(p: Any, data: Any) -> Any:
    axes = (0, 1, 2)
    mean, variance = jnp.mean(p["x"], axes), jnp.var(p["x"], axes)
    y = jax.nn.standardize(p["x"], axes, mean, variance, 1e-3) * p["gamma"] + p["beta"]
    return y, (0.99 * data["running_mean"] + 0.01 * mean, 0.99 * data["running_variance"] + 0.01 * variance)


def _scan(p: Any, data: Any) -> Any:
    """One step at a time by jax.lax.scan, the products with the input taken together beforehand; jax.lax.split, whose
    gradient is one concatenation, where that of jnp.split is a sum of four padded arrays."""
    units = len(p["recurrent_kernel"])

    def cell(carry: Any, z: Any) -> Any:
        h, c = carry
        i, f, g, o = jax.lax.split(z + h @ p["recurrent_kernel"], (units,) * 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros((len(p["x"]), units), p["x"].dtype)
    (last, _), sequence = jax.lax.scan(cell, (zero, zero), jnp.swapaxes(p["x"] @ p["kernel"] + p["bias"], 0, 1))
    return jnp.swapaxes(sequence, 0, 1) if data["weights"].ndim == 3 else last


def _reference(p: Any, data: Any) -> Any:
    batch, length, features = p["x"].shape
    units = len(p["recurrent_kernel"])
    start, lengths = jnp.zeros((1, batch, units), p["x"].dtype), jnp.full(batch, length, jnp.int32)
    biases = {0: p["bias"]}, {0: jnp.zeros_like(p["bias"])}
    kernels = {0: p["kernel"].T}, {0: p["recurrent_kernel"].T}
    sequence, last, _ = rnn.lstm_ref(p["x"], start, start, *kernels, *biases, lengths, features, units, 1, 0.0, False)
    return sequence if data["weights"].ndim == 3 else last[0]


LSTM = (("jax.lax.scan", _scan), ("jax.experimental.rnn.lstm_ref", _reference))
LAYERS: Mapping[str, tuple[tuple[str, Callable[..., Any]], ...]] = {
    "dense": (("jax.numpy.matmul", _dense),),
    "conv2d": (("jax.lax.conv_general_dilated", _conv2d),),
    "batch_norm": (("jax.nn.standardize", _batch_norm),),
    "lstm": LSTM,
    "lstm sequences": LSTM,
}


def ways(adapter: Any, layer: str, params: Arrays, data: Arrays) -> Ways:
    """(call, mode, one step of forward and backward, its value and gradients in our layout) for each way to run it."""
    given = tuple({name: adapter.tensor(array) for name, array in arrays.items()} for arrays in (params, data))
    renews = layer == "batch_norm"

    def read(found: Any) -> Arrays:
        value, gradients = found
        value = value[0] if renews else value
        return {"value": adapter.array(value), **{name: adapter.array(one) for name, one in gradients.items()}}

    for call, function in LAYERS[layer]:

        def objective(p: Any, data: Any, function: Any = function) -> Any:
            found = function(p, data)
            y, running = found if renews else (found, None)
            total = jnp.sum(data["weights"] * y)
            return (total, running) if renews else total

        step = adapter.compile(adapter.value_and_grad(objective, aux=renews), "jit")
        yield call, "jit", (lambda step=step: step(*given)), read
