"""TensorFlow's own losses (keras.losses, tf.nn, keras.ops), as rows. Keras calls them with the target first, and
averages over the last axis before it reduces: of elements, its `sum` adds means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Row, Table, When, fits, keywords

from .tensorflow_rows import PASSED, named

EPSILON = 1e-7
"""keras.config.epsilon(), which no loss takes as an argument."""

REDUCERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mean": tf.reduce_mean,
    "sum": tf.reduce_sum,
    "none": tf.identity,
    "batch_mean": lambda value: tf.reduce_sum(tf.reduce_mean(value, axis=0)),
    "sum_of_means": lambda value: tf.reduce_sum(tf.reduce_mean(value, axis=-1)),
}
"""What a user writes around a function that leaves the reduction to him."""


def _class(
    name: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, vectors: bool = False,
    shown: str = "", **ours: Any,
) -> Row:  # fmt: skip
    """A Keras loss object; its dtype is Keras's floatx, so it is made per binding. Weights of classes are given as
    weights of samples, as Model.fit(class_weight=) does."""
    names = {"mean": "sum_over_batch_size", "weighted_mean": "mean_with_sample_weight"}
    names.update({"sum": "sum", "none": "none"} if vectors else {"sum_of_means": "sum"})

    def bind(knobs: Knobs) -> Native | None:
        by, weights_of = knobs.get("reduction", "mean"), knobs.get("weights")
        if by not in names or not fits(knobs, when or {}):
            return None
        loss = getattr(keras.losses, name)(reduction=names[by], **keywords(knobs, fixed, ours))

        def call(y: Tensor, t: Tensor, weights: Tensor | None = None) -> Tensor:
            if weights_of == "class":
                weights = tf.gather(weights, tf.argmax(t, axis=-1) if len(t.shape) == len(y.shape) else t)
            return loss(t, y, sample_weight=weights)

        return Native(f"keras.losses.{name}{shown}", call)

    return bind


def _plain(
    call: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, modes: tuple[str, ...] = (),
    reducers: tuple[str, ...] = tuple(REDUCERS), shown: str = "", **ours: Any,
) -> Row:  # fmt: skip
    """A function of target and prediction, in this order, that leaves the last reduction to the user."""
    own = named(call)

    def bind(knobs: Knobs) -> Native | None:
        by = knobs.get("reduction", "mean")
        if by not in reducers or knobs.get("weights") or not fits(knobs, when or {}):
            return None
        bound, reduce = keywords(knobs, fixed, ours), REDUCERS[by]
        return Native(call + shown, lambda y, t: reduce(own(t, y, **bound)), modes)

    return bind


def _keras(
    names: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, vectors: bool = False,
    shown: str = "", **ours: Any,
) -> tuple[Row, Row]:  # fmt: skip
    """A class and a function of keras.losses that take the same arguments. The function averages over the last axis."""
    kind, name = names.split()
    reducers = ("mean", "sum", "none") if vectors else ("mean",)
    return (
        _class(kind, when, fixed, vectors, shown, **ours),
        _plain(f"keras.losses.{name}", when, fixed, PASSED, reducers, shown, **ours),
    )


def _softmax_of(call: str, **fixed: Any) -> Row:
    """Cross-entropy of tf.nn with labels and logits, averaged by tf.nn.compute_average_loss, which knows weights."""
    own = named(call)

    def bind(knobs: Knobs) -> Native | None:
        if knobs.get("reduction", "mean") != "mean" or knobs.get("weights") not in (None, "sample"):
            return None

        def average(y: Tensor, t: Tensor, weights: Tensor | None = None) -> Tensor:
            return tf.nn.compute_average_loss(own(t, y, **fixed), weights)

        return Native(f"tf.nn.compute_average_loss({call}(...))", average)

    return bind


LOGITS = {"from_logits": True}
CLIPPED = {"clip": "ends", "eps": EPSILON}
BALANCED = {"apply_class_balancing": True}
_VECTORS = ("mean", "sum", "none")
_FOCAL: When = {"alpha": "alpha", "gamma": "gamma"}
_OVERLAP = {"eps": EPSILON, "eps_above": False}

LOSSES: Table = {
    "mse": (*_keras("MeanSquaredError mean_squared_error"), _plain("tf.math.squared_difference")),
    "mae": _keras("MeanAbsoluteError mean_absolute_error"),
    "huber": _keras("Huber huber", delta="delta"),
    "smooth_l1": (_class("Huber", {"beta": 1.0}, {"delta": 1.0}, shown="(delta=1)"),),
    "log_cosh": _keras("LogCosh log_cosh"),
    "poisson": _keras("Poisson poisson", {"eps": EPSILON}),
    "poisson_log": (_plain("tf.nn.log_poisson_loss"),),
    "binary_crossentropy": (
        *_keras("BinaryCrossentropy binary_crossentropy", CLIPPED), _plain("keras.ops.binary_crossentropy", CLIPPED),
    ),
    "binary_crossentropy_logits": (
        *_keras("BinaryCrossentropy binary_crossentropy", fixed=LOGITS, shown="(from_logits=True)"),
        _plain("tf.nn.sigmoid_cross_entropy_with_logits"),
        *_keras(
            "BinaryFocalCrossentropy binary_focal_crossentropy", fixed={**LOGITS, "gamma": 0.0},
            shown="(from_logits=True, gamma=0)",
        ),
        _plain("keras.ops.binary_crossentropy", fixed=LOGITS, shown="(from_logits=True)", modes=PASSED),
    ),
    "weighted_binary_crossentropy_logits": (
        _plain("tf.nn.weighted_cross_entropy_with_logits", pos_weight="beta"),
    ),
    "focal": _keras("BinaryFocalCrossentropy binary_focal_crossentropy", CLIPPED, BALANCED, **_FOCAL),
    "focal_logits": _keras(
        "BinaryFocalCrossentropy binary_focal_crossentropy", fixed={**BALANCED, **LOGITS}, shown="(from_logits=True)",
        **_FOCAL,
    ),
    "hinge": _keras("Hinge hinge"),
    "squared_hinge": _keras("SquaredHinge squared_hinge"),
    "categorical_crossentropy": (
        *_keras("CategoricalCrossentropy categorical_crossentropy", CLIPPED, vectors=True),
        *_keras(
            "CategoricalFocalCrossentropy categorical_focal_crossentropy", CLIPPED, {"alpha": 1.0, "gamma": 0.0}, True,
            "(alpha=1, gamma=0)",
        ),
        _plain("keras.ops.categorical_crossentropy", CLIPPED, modes=PASSED, reducers=_VECTORS),
    ),
    "categorical_crossentropy_logits": (
        *_keras(
            "CategoricalCrossentropy categorical_crossentropy", fixed=LOGITS, vectors=True, shown="(from_logits=True)"
        ),
        _plain("tf.nn.softmax_cross_entropy_with_logits", reducers=_VECTORS),
        _softmax_of("tf.nn.softmax_cross_entropy_with_logits"),
        _plain(
            "keras.ops.categorical_crossentropy", fixed=LOGITS, modes=PASSED, reducers=_VECTORS,
            shown="(from_logits=True)",
        ),
    ),
    "smoothed_crossentropy_logits": _keras(
        "CategoricalCrossentropy categorical_crossentropy", fixed=LOGITS, vectors=True,
        shown="(from_logits=True, label_smoothing=)", label_smoothing="smoothing",
    ),
    "sparse_categorical_crossentropy": (
        *_keras("SparseCategoricalCrossentropy sparse_categorical_crossentropy", CLIPPED, vectors=True),
        _plain("keras.ops.sparse_categorical_crossentropy", CLIPPED, modes=PASSED, reducers=_VECTORS),
    ),
    "sparse_categorical_crossentropy_logits": (
        *_keras(
            "SparseCategoricalCrossentropy sparse_categorical_crossentropy", fixed=LOGITS, vectors=True,
            shown="(from_logits=True)",
        ),
        _plain("tf.nn.sparse_softmax_cross_entropy_with_logits", reducers=_VECTORS),
        _softmax_of("tf.nn.sparse_softmax_cross_entropy_with_logits"),
        _plain(
            "keras.ops.sparse_categorical_crossentropy", fixed=LOGITS, modes=PASSED, reducers=_VECTORS,
            shown="(from_logits=True)",
        ),
    ),
    "kl_divergence": _keras("KLDivergence kl_divergence", CLIPPED, vectors=True),
    "dice": _keras("Dice dice", {**_OVERLAP, "squared": False}, {"axis": -1}, vectors=True),
    "jaccard": _keras(
        "Tversky tversky", _OVERLAP, {"alpha": 1.0, "beta": 1.0, "axis": -1}, vectors=True, shown="(alpha=1, beta=1)"
    ),
    "cosine_similarity": _keras("CosineSimilarity cosine_similarity", {"form": "negative"}, vectors=True),
}  # fmt: skip
"""Loss -> its rows."""
