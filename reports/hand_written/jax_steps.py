"""Training steps as a careful user of JAX writes them: pure functions over a dictionary, one ``jax.jit`` around all.

Parameters and the optimizer's state are donated, so that XLA may renew them where they lie. A pooling is the maximum
of slices under jit, and of a reshaped array's axes without: XLA on a CPU is slow at ``lax.reduce_window``'s gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

Arrays = Mapping[str, np.ndarray]
Network = Callable[[Any, Any], Any]
Start = Callable[[Any], Any]
Update = Callable[[Any, Any, Any], tuple[Any, Any]]
RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
SGD_RATE = 0.01


def dense(p: Any, name: str, x: Any) -> Any:
    return x @ p[name + ".kernel"] + p[name + ".bias"]


def convolution(p: Any, name: str, x: Any) -> Any:
    kernel = p[name + ".kernel"]
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y + p[name + ".bias"]


def max_pool(x: Any) -> Any:
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def max_pool_by_slices(x: Any) -> Any:
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    pairs = jnp.maximum(x[:, 0:height:2, :width], x[:, 1:height:2, :width])
    return jnp.maximum(pairs[:, :, 0::2], pairs[:, :, 1::2])


def max_pool_by_reshape(x: Any) -> Any:
    n, height, width, channels = x.shape[0], x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    return jnp.max(x[:, : 2 * height, : 2 * width].reshape(n, height, 2, width, 2, channels), axis=(2, 4))


def softmax(p: Any, x: Any) -> Any:
    return dense(p, "logits", x)


def mlp(p: Any, x: Any) -> Any:
    x = jax.nn.relu(dense(p, "hidden1", x))
    x = jax.nn.relu(dense(p, "hidden2", x))
    return dense(p, "logits", x)


def cnn(p: Any, x: Any, pool: Callable[[Any], Any]) -> Any:
    x = pool(jax.nn.relu(convolution(p, "conv1", x)))
    x = pool(jax.nn.relu(convolution(p, "conv2", x)))
    x = jax.nn.relu(dense(p, "hidden", x.reshape(len(x), -1)))
    return dense(p, "logits", x)


def sgd(p: Any, state: Any, g: Any) -> tuple[Any, Any]:
    return jax.tree.map(lambda w, g: w - SGD_RATE * g, p, g), state


def adam(p: Any, state: Any, g: Any) -> tuple[Any, Any]:
    count, m, v = state
    count = count + 1
    m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, g)
    v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, v, g)
    c1, c2 = 1 - BETA1**count, 1 - BETA2**count
    p = jax.tree.map(lambda w, m, v: w - RATE * (m / c1) / (jnp.sqrt(v / c2) + EPS), p, m, v)
    return p, (count, m, v)


def no_state(p: Any) -> Any:
    return ()


def adam_state(p: Any) -> Any:
    return jnp.zeros((), jnp.float32), jax.tree.map(jnp.zeros_like, p), jax.tree.map(jnp.zeros_like, p)


def of_optax(optimizer: Any) -> tuple[Start, Update]:
    def update(p: Any, state: Any, g: Any) -> tuple[Any, Any]:
        changes, state = optimizer.update(g, state, p)
        return optax.apply_updates(p, changes), state

    return optimizer.init, update


class _Step:
    """Loss, gradient and update as one function of parameters, state and data."""

    def __init__(
        self,
        network: Network,
        optimizer: tuple[Start, Update],
        transform: Callable[[Any], Any],
        params: Arrays,
        batches: Sequence[Arrays],
    ) -> None:
        self.params, self.batches = params, [(jax.device_put(b["x"]), jax.device_put(b["t"])) for b in batches]
        self.start, update = optimizer

        def loss(p: Any, x: Any, t: Any) -> Any:
            return -jnp.mean(jnp.sum(t * jax.nn.log_softmax(network(p, x)), axis=-1))

        def train(p: Any, state: Any, x: Any, t: Any) -> Any:
            value, g = jax.value_and_grad(loss)(p, x, t)
            return value, *update(p, state, g)

        self.train = transform(train)
        self.reset()

    def reset(self) -> None:
        self.p = {name: jnp.array(array) for name, array in self.params.items()}
        self.state = self.start(self.p)

    def step(self, number: int) -> Any:
        loss, self.p, self.state = self.train(self.p, self.state, *self.batches[number])
        return loss, self.p, self.state

    def wait(self, result: Any) -> None:
        jax.block_until_ready(result)

    def read(self, result: Any) -> dict[str, np.ndarray]:
        """Copies: what was donated is gone with the next step."""
        loss, p, _ = result
        return {"loss": np.array(loss), **{name: np.array(value) for name, value in p.items()}}


def ways(case: str, mode: str, params: Arrays, batches: Sequence[Arrays]) -> dict[str, _Step]:
    """Steps by what they are called, a careful user's choice first; modes are "eager" and "jit"."""
    if mode not in ("eager", "jit"):
        return {}
    transform = partial(jax.jit, donate_argnums=(0, 1)) if mode == "jit" else lambda function: function
    if case == "time-softmax":
        name, by_hand, optimizer = "sgd", (no_state, sgd), optax.sgd(SGD_RATE)
    else:
        name, by_hand, optimizer = "adam", (adam_state, adam), optax.adam(RATE, BETA1, BETA2, EPS)
    plain: dict[str, Network] = {"time-softmax": softmax, "time-mlp": mlp, "time-cnn": partial(cnn, pool=max_pool)}
    networks = {"": plain[case]}
    if case == "time-cnn" and mode == "jit":
        networks = {", pooling by slices": partial(cnn, pool=max_pool_by_slices), **networks}
    elif case == "time-cnn":
        networks = {", pooling by reshape": partial(cnn, pool=max_pool_by_reshape), **networks}
    updates = {f"{name} by hand": by_hand, f"optax.{name}": of_optax(optimizer)}
    return {
        update_label + network_label: _Step(network, update, transform, params, batches)
        for network_label, network in networks.items()
        for update_label, update in updates.items()
    }
