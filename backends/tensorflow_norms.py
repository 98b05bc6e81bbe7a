"""Functions of TensorFlow and Keras that normalise (tf.nn, keras.ops), as rows: variants of Keras's layers.

They know nothing of running statistics: those are given, or computed by another function; renewed they are not."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Params, Tensor
from crossnn.bindings import Table

from .tensorflow_rows import PASSED, called


def _moments(k: Knobs, p: Params, x: Tensor, of: Callable[..., tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    return of(x, list(range(len(x.shape) - 1))) if k["training"] else (p["running_mean"], p["running_variance"])


def _normalized(k: Knobs, p: Params, x: Tensor) -> Tensor:
    return tf.nn.batch_normalization(x, *_moments(k, p, x, tf.nn.moments), p["beta"], p["gamma"], k["eps"])


def _older(k: Knobs, p: Params, x: Tensor) -> Tensor:
    """It wants images: of every sample one of a single column."""
    space = tf.reshape(x, (x.shape[0], -1, 1, x.shape[-1]))
    own = tf.nn.batch_norm_with_global_normalization
    given = _moments(k, p, space, tf.nn.moments)
    return tf.reshape(own(space, *given, p["beta"], p["gamma"], k["eps"], True), x.shape)


def _weighted(k: Knobs, p: Params, x: Tensor) -> Tensor:
    given = _moments(k, p, x, lambda x, axes: tf.nn.weighted_moments(x, axes, tf.ones_like(x)))
    return tf.nn.batch_normalization(x, *given, p["beta"], p["gamma"], k["eps"])


def _by_sums(k: Knobs, p: Params, x: Tensor) -> Tensor:
    given = _moments(k, p, x, lambda x, axes: tf.nn.normalize_moments(*tf.nn.sufficient_statistics(x, axes)))
    return tf.nn.batch_normalization(x, *given, p["beta"], p["gamma"], k["eps"])


def _normalized_ops(k: Knobs, p: Params, x: Tensor) -> Tensor:
    given = _moments(k, p, x, keras.ops.moments)
    return keras.ops.batch_normalization(x, *given, -1, p["beta"], p["gamma"], k["eps"])


NORMS: Table = {
    "batch_norm": (
        called("tf.nn.batch_normalization(*tf.nn.moments)", _normalized, {"training": True}),
        called("tf.nn.batch_normalization", _normalized, {"training": False}),
        called("tf.nn.batch_normalization(*tf.nn.weighted_moments)", _weighted, {"training": True}),
        called(
            "tf.nn.batch_normalization(*tf.nn.normalize_moments(*tf.nn.sufficient_statistics))", _by_sums,
            {"training": True},
        ),
        called("tf.nn.batch_norm_with_global_normalization", _older, {"training": False}, PASSED),
        called("keras.ops.batch_normalization(*keras.ops.moments)", _normalized_ops, {"training": True}, PASSED),
        called("keras.ops.batch_normalization", _normalized_ops, {"training": False}, PASSED),
    ),
    "layer_norm": (
        called(
            "keras.ops.layer_normalization",
            lambda k, p, x: keras.ops.layer_normalization(x, p["gamma"], p["beta"], epsilon=k["eps"]),
        ),
    ),
    "rms_norm": (
        called(
            "keras.ops.rms_normalization", lambda k, p, x: keras.ops.rms_normalization(x, p["gamma"], epsilon=k["eps"])
        ),
    ),
}  # fmt: skip
"""Layer -> rows of functions."""
