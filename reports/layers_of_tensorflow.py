"""Keras's own layers as a user runs them on TensorFlow: variables inside the layer, a tape, tf.function around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Arrays = Mapping[str, np.ndarray]
Ways = Iterator[tuple[str, str, Callable[[], Any], Callable[[Any], Arrays]]]

LAYERS: Mapping[str, Callable[[Arrays], Any]] = {
    "dense": lambda p: keras.layers.Dense(p["kernel"].shape[1]),
    "conv2d": lambda p: keras.layers.Conv2D(p["kernel"].shape[3], p["kernel"].shape[:2], padding="same"),
    "batch_norm": lambda p: keras.layers.BatchNormalization(),
    "lstm": lambda p: keras.layers.LSTM(len(p["recurrent_kernel"])),
    "lstm sequences": lambda p: keras.layers.LSTM(len(p["recurrent_kernel"]), return_sequences=True),
}


def ways(adapter: Any, layer: str, params: Arrays, data: Arrays) -> Ways:
    """(call, mode, one step of forward and backward, its value and gradients in our layout) for each way to run it."""
    keras.config.set_floatx(adapter.dtype)
    names = [name for name in params if name != "x"]
    x, weights = adapter.tensor(params["x"]), adapter.tensor(data["weights"])
    options = {"training": True} if layer == "batch_norm" else {}

    def read(found: Any) -> Arrays:
        value, gradients = found
        return {"value": adapter.array(value), **dict(zip(["x", *names], map(adapter.array, gradients), strict=True))}

    for mode in adapter.modes:
        own = LAYERS[layer](params)
        own.build(x.shape)
        for name, variable in zip(names, own.trainable_variables, strict=True):
            variable.assign(params[name])

        def step(x: Any, weights: Any, own: Any = own) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = tf.reduce_sum(weights * own(x, **options))
            return value, tape.gradient(value, [x, *(one.value for one in own.trainable_variables)])

        compiled = adapter.compile(step, mode)
        yield f"keras.layers.{type(own).__name__}", mode, (lambda run=compiled: run(x, weights)), read
