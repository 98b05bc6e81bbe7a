"""Training steps as a careful user of TensorFlow writes them: variables, a gradient tape and assignments.

A kernel of ``tf.raw_ops`` renews a weight and its state at once, where assignments take a kernel and an array for every
operation; few users know of it. XLA on a CPU is slow at the gradient of ``max_pool2d``, so a pooling under XLA is the
maximum of slices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Arrays = Mapping[str, np.ndarray]
RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
SGD_RATE = 0.01
Network = Callable[[Any, Any], Any]


def dense(w: Any, name: str, x: Any) -> Any:
    return tf.nn.bias_add(tf.matmul(x, w[name + ".kernel"]), w[name + ".bias"])


def convolution(w: Any, name: str, x: Any) -> Any:
    return tf.nn.bias_add(tf.nn.conv2d(x, w[name + ".kernel"], 1, "VALID"), w[name + ".bias"])


def max_pool(x: Any) -> Any:
    return tf.nn.max_pool2d(x, 2, 2, "VALID")


def max_pool_by_slices(x: Any) -> Any:
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    pairs = tf.maximum(x[:, 0:height:2, :width], x[:, 1:height:2, :width])
    return tf.maximum(pairs[:, :, 0::2], pairs[:, :, 1::2])


def softmax(w: Any, x: Any) -> Any:
    return dense(w, "logits", x)


def mlp(w: Any, x: Any) -> Any:
    x = tf.nn.relu(dense(w, "hidden1", x))
    x = tf.nn.relu(dense(w, "hidden2", x))
    return dense(w, "logits", x)


def cnn(w: Any, x: Any, pool: Callable[[Any], Any]) -> Any:
    x = pool(tf.nn.relu(convolution(w, "conv1", x)))
    x = pool(tf.nn.relu(convolution(w, "conv2", x)))
    x = tf.nn.relu(dense(w, "hidden", tf.reshape(x, (-1, 1600))))
    return dense(w, "logits", x)


class Sgd:
    """The update by SGD, by assignments."""

    def __init__(self, w: Sequence[Any]) -> None:
        self.w = w
        self.state: list[Any] = []

    def apply(self, gradients: Sequence[Any]) -> None:
        for w, g in zip(self.w, gradients, strict=True):
            w.assign_sub(SGD_RATE * g)


class Adam:
    """The update by Adam, by assignments."""

    def __init__(self, w: Sequence[Any]) -> None:
        self.w = w
        self.m, self.v = ([tf.Variable(tf.zeros_like(a)) for a in w] for _ in range(2))
        self.count = tf.Variable(0.0)
        self.state = [self.count, *self.m, *self.v]

    def apply(self, gradients: Sequence[Any]) -> None:
        count = self.count.assign_add(1.0)
        c1, c2 = 1 - BETA1**count, 1 - BETA2**count
        for w, g, m, v in zip(self.w, gradients, self.m, self.v, strict=True):
            m.assign(BETA1 * m + (1 - BETA1) * g)
            v.assign(BETA2 * v + (1 - BETA2) * tf.square(g))
            w.assign_sub(RATE * (m / c1) / (tf.sqrt(v / c2) + EPS))


class FusedSgd:
    """TensorFlow's fused update by SGD."""

    def __init__(self, w: Sequence[Any]) -> None:
        self.w = w
        self.state: list[Any] = []

    def apply(self, gradients: Sequence[Any]) -> None:
        for w, g in zip(self.w, gradients, strict=True):
            tf.raw_ops.ResourceApplyGradientDescent(var=w.handle, alpha=SGD_RATE, delta=g)


class FusedAdam:
    """TensorFlow's fused update by Adam.

    It adds epsilon to sqrt(v) before v's correction, so epsilon is corrected likewise: the formula is then ours.
    """

    def __init__(self, w: Sequence[Any]) -> None:
        self.w = w
        self.m, self.v = ([tf.Variable(tf.zeros_like(a)) for a in w] for _ in range(2))
        self.count = tf.Variable(0.0)
        self.state = [self.count, *self.m, *self.v]

    def apply(self, gradients: Sequence[Any]) -> None:
        count = self.count.assign_add(1.0)
        power1, power2 = BETA1**count, BETA2**count
        shared = {"beta1_power": power1, "beta2_power": power2, "lr": RATE, "beta1": BETA1, "beta2": BETA2}
        epsilon = EPS * tf.sqrt(1 - power2)
        for w, g, m, v in zip(self.w, gradients, self.m, self.v, strict=True):
            tf.raw_ops.ResourceApplyAdam(var=w.handle, m=m.handle, v=v.handle, grad=g, epsilon=epsilon, **shared)


class OfKeras:
    """An optimizer of Keras; its Adam leaves epsilon uncorrected, which changes weights of tiny gradients."""

    def __init__(self, optimizer: Callable[[], Any], w: Sequence[Any]) -> None:
        self.w, self.optimizer = w, optimizer()
        self.optimizer.build(w)
        rate = self.optimizer.learning_rate
        self.state = [variable.value for variable in self.optimizer.variables if variable is not rate]

    def apply(self, gradients: Sequence[Any]) -> None:
        self.optimizer.apply(gradients, self.w)


class _Step:
    """Loss, gradient and update as one function of the data, which renews the variables."""

    def __init__(
        self,
        network: Network,
        optimizer: Callable[[Sequence[Any]], Any],
        transform: Callable[[Any], Any],
        params: Arrays,
        batches: Sequence[Arrays],
    ) -> None:
        self.params, self.batches = params, [(tf.constant(b["x"]), tf.constant(b["t"])) for b in batches]
        self.w = {name: tf.Variable(array) for name, array in params.items()}
        variables = list(self.w.values())
        self.optimizer = optimizer(variables)

        def train(x: Any, t: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(t, network(self.w, x)))
            self.optimizer.apply(tape.gradient(loss, variables))
            return loss

        self.train = transform(train)

    def reset(self) -> None:
        for name, variable in self.w.items():
            variable.assign(self.params[name])
        for variable in self.optimizer.state:
            variable.assign(tf.zeros_like(variable))

    def step(self, number: int) -> Any:
        return self.train(*self.batches[number])

    def wait(self, result: Any) -> None:
        """On a CPU, a call returns when the loss is computed and the variables are renewed."""

    def read(self, result: Any) -> dict[str, np.ndarray]:
        return {"loss": result.numpy(), **{name: variable.numpy() for name, variable in self.w.items()}}


def ways(case: str, mode: str, params: Arrays, batches: Sequence[Arrays]) -> dict[str, _Step]:
    """Steps by what they are called, a careful user's choice first; modes are "eager", "graph" and "xla"."""
    transforms = {"eager": lambda function: function, "graph": tf.function, "xla": tf.function(jit_compile=True)}
    if mode not in transforms:
        return {}
    updates: dict[str, Callable[[Sequence[Any]], Any]]
    if case == "time-softmax":
        optimizer = partial(keras.optimizers.SGD, SGD_RATE)
        updates = {
            "SGD by assignments": Sgd,
            "fused SGD": FusedSgd,
            "keras.optimizers.SGD": partial(OfKeras, optimizer),
        }
    else:
        optimizer = partial(keras.optimizers.Adam, RATE, BETA1, BETA2, EPS)
        updates = {
            "Adam by assignments": Adam,
            "fused Adam": FusedAdam,
            "keras.optimizers.Adam": partial(OfKeras, optimizer),
        }
    plain: dict[str, Network] = {"time-softmax": softmax, "time-mlp": mlp, "time-cnn": partial(cnn, pool=max_pool)}
    networks = {"": plain[case]}
    if case == "time-cnn" and mode == "xla":
        networks = {", pooling by slices": partial(cnn, pool=max_pool_by_slices), **networks}
    return {
        update_label + network_label: _Step(network, update, transforms[mode], params, batches)
        for network_label, network in networks.items()
        for update_label, update in updates.items()
    }
