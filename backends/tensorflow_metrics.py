"""Keras's own metrics, as rows. A metric keeps state: here it is emptied, shown one batch, and read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Row, Table, When, fits, keywords

from .tensorflow_rows import PASSED, named


def _metric(
    name: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, shown: str = "",
    given: Callable[[Knobs], Mapping[str, Any] | None] | None = None,
    shaped: Callable[[Tensor], Tensor] = lambda x: x, **ours: Any,
) -> Row:  # fmt: skip
    """A class of keras.metrics. `given`: arguments that are not simply one of our settings, or None where it has no
    such setting; `shaped`: in which form it takes both tensors."""
    kind = getattr(keras.metrics, name)

    def bind(knobs: Knobs) -> Native | None:
        more = given(knobs) if given else {}
        if not fits(knobs, when or {}) or more is None:
            return None
        metric = kind(**keywords(knobs, fixed, ours), **more)

        def value(y: Tensor, t: Tensor) -> Tensor:
            targets, predictions = shaped(t), shaped(y)
            if not metric.variables:  # some make their variables when they see the first batch
                with tf.init_scope():
                    metric.update_state(tf.zeros(targets.shape, targets.dtype), tf.zeros(predictions.shape, y.dtype))
            metric.reset_state()
            metric.update_state(targets, predictions)
            return tf.convert_to_tensor(metric.result())

        return Native(f"keras.metrics.{name}{shown}", value)

    return bind


def _function(call: str, given: Callable[[Knobs], Mapping[str, Any] | None] = lambda knobs: {}) -> Row:
    """A function of keras.metrics that says right or wrong of every sample: the user takes the mean."""
    own = named(call)

    def bind(knobs: Knobs) -> Native | None:
        more = given(knobs)
        return None if more is None else Native(call, lambda y, t: tf.reduce_mean(own(t, y, **more)), PASSED)

    return bind


def _k(knobs: Knobs) -> Mapping[str, Any] | None:
    """Fewer than k better: of a broken k, fewer than the next whole number. Only for float32 (as keras#11965)."""
    return None if keras.config.floatx() == "float64" else {"k": math.ceil(knobs["k"])}


def _in_top_k(knobs: Knobs) -> Native | None:
    more = _k(knobs)
    if more is None:
        return None
    return Native("tf.nn.in_top_k", lambda y, t: _share(tf.nn.in_top_k(tf.argmax(t, -1), y, more["k"]), y), PASSED)


def _share(right: Tensor, like: Tensor) -> Tensor:
    return tf.reduce_mean(tf.cast(right, like.dtype))


def _column(x: Tensor) -> Tensor:
    """As one output: Keras averages over outputs."""
    return tf.reshape(x, [-1, 1])


def _confusion(knobs: Knobs) -> Native:
    def counts(y: Tensor, t: Tensor) -> Tensor:
        classes = y.shape[-1]
        return tf.math.confusion_matrix(tf.argmax(t, -1), tf.argmax(y, -1), num_classes=classes, dtype=y.dtype)

    return Native("tf.math.confusion_matrix", counts)


def _sparse(row: Row, function: Row) -> tuple[Row, Row]:
    """Of labels, where ours are one-hot."""

    def of(one: Row) -> Row:
        def bind(knobs: Knobs) -> Native | None:
            own = one(knobs)
            if own is None:
                return None
            return Native(f"{own.call}(tf.argmax(t), y)", lambda y, t: own.function(y, tf.argmax(t, -1)), PASSED)

        return bind

    return of(row), of(function)


def _of_labels(knobs: Knobs) -> Native:
    """Says nothing of predictions but whether they are the label."""
    metric = keras.metrics.Accuracy()

    def share(y: Tensor, t: Tensor) -> Tensor:
        metric.reset_state()
        metric.update_state(t, tf.argmax(y, -1))
        return tf.convert_to_tensor(metric.result())

    return Native("keras.metrics.Accuracy(t, tf.argmax(y))", share)


_SHARE = {"undefined": 0.0}
_THRESHOLD: When = {"threshold": "threshold"}

METRICS: Table = {
    "categorical_accuracy": (
        _metric("CategoricalAccuracy"), _function("keras.metrics.categorical_accuracy"),
    ),
    "sparse_categorical_accuracy": (
        _metric("SparseCategoricalAccuracy"), _function("keras.metrics.sparse_categorical_accuracy"), _of_labels,
    ),
    "top_k_accuracy": (
        _metric("TopKCategoricalAccuracy", given=_k), _function("keras.metrics.top_k_categorical_accuracy", _k),
        *_sparse(
            _metric("SparseTopKCategoricalAccuracy", given=_k),
            _function("keras.metrics.sparse_top_k_categorical_accuracy", _k),
        ),
        _in_top_k,
    ),
    "binary_accuracy": (
        _metric("BinaryAccuracy"), _function("keras.metrics.binary_accuracy"),
    ),
    "binary_accuracy_logits": (
        _metric("BinaryAccuracy", fixed={"threshold": 0.0}, shown="(threshold=0)"),
    ),
    "precision": (_metric("Precision", _SHARE, thresholds="threshold"),),
    "recall": (_metric("Recall", _SHARE, thresholds="threshold"),),
    "f1": (
        _metric("F1Score", _SHARE, {"average": "micro"}, "(average='micro')", shaped=_column, **_THRESHOLD),
        _metric(
            "FBetaScore", _SHARE, {"average": "micro", "beta": 1.0}, "(average='micro')", shaped=_column, **_THRESHOLD
        ),
    ),
    "macro_f1": (_metric("F1Score", _SHARE, {"average": "macro"}, "(average='macro')"),),
    "confusion_matrix": (_confusion,),
    "mean_absolute_error": (_metric("MeanAbsoluteError"), _function("keras.metrics.mean_absolute_error")),
    "mean_squared_error": (_metric("MeanSquaredError"), _function("keras.metrics.mean_squared_error")),
    "root_mean_squared_error": (_metric("RootMeanSquaredError"),),
    "r2": (_metric("R2Score"),),
}  # fmt: skip
"""Metric -> its rows."""
