"""Keras's own layers at their defaults: objects of `keras.layers` of which nothing is said but sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

Sizes = Mapping[str, int]
layers = keras.layers


def _padded(sizes: Sizes) -> dict[str, Any]:
    """Stride and padding where a layer is asked for with them."""
    return {"strides": sizes["stride"], "padding": "same"} if sizes.get("same") else {}


LAYERS: Mapping[str, tuple[str, Callable[[Sizes], keras.Layer], tuple[str | int, ...]]] = {
    "dense": ("keras.layers.Dense", lambda s: layers.Dense(s["units"]), ("features",)),
    "conv2d": (
        "keras.layers.Conv2D",
        lambda s: layers.Conv2D(s["filters"], s["size"], **_padded(s)),
        (9, 8, "channels"),
    ),
    "average_pool2d": (
        "keras.layers.AveragePooling2D",
        lambda s: layers.AveragePooling2D(s["size"], **_padded(s)),
        (),
    ),
    "batch_norm": ("keras.layers.BatchNormalization", lambda s: layers.BatchNormalization(), ("features",)),
    "layer_norm": ("keras.layers.LayerNormalization", lambda s: layers.LayerNormalization(), ("features",)),
    "group_norm": ("keras.layers.GroupNormalization", lambda s: layers.GroupNormalization(s["groups"]), ("features",)),
    "rms_norm": ("keras.layers.RMSNormalization", lambda s: layers.RMSNormalization(), ("features",)),
    "dropout": ("keras.layers.Dropout", lambda s: layers.Dropout(0.5), ()),
    "prelu": ("keras.layers.PReLU", lambda s: layers.PReLU(), ("features",)),
    "embedding": ("keras.layers.Embedding", lambda s: layers.Embedding(s["tokens"], s["units"]), (1,)),
    "simple_rnn": ("keras.layers.SimpleRNN", lambda s: layers.SimpleRNN(s["units"]), (4, "features")),
    "lstm": ("keras.layers.LSTM", lambda s: layers.LSTM(s["units"]), (4, "features")),
    "gru": ("keras.layers.GRU", lambda s: layers.GRU(s["units"]), (4, "features")),
}
"""Row -> (call, how it is made, the shape of a sample for which its weights are made; numbers, or names of sizes)."""


class Layer:
    """A layer whose weights are set and read by their paths."""

    def __init__(self, call: str, layer: keras.Layer) -> None:
        self.call, self.layer = call, layer

    def weights(self) -> dict[str, np.ndarray]:
        return {
            weight.path.split("/", 1)[-1]: np.array(weight.numpy())
            for weight in self.layer.weights
            if "seed" not in weight.path
        }

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        for weight in self.layer.weights:
            name = weight.path.split("/", 1)[-1]
            if name in weights:
                weight.assign(weights[name])

    def run(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return np.array(self.layer(x, training=training).numpy())


def own_layer(name: str, sizes: Sizes, dtype: str) -> Layer | None:
    """The layer for this row, with weights that a fixed seed draws."""
    if name not in LAYERS:
        return None
    call, make, sample = LAYERS[name]
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    keras.utils.set_random_seed(0)
    layer = make(sizes)
    if sample:
        layer.build((None, *(length if isinstance(length, int) else sizes[length] for length in sample)))
    return Layer(call, layer)
