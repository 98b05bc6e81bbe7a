"""TensorFlow's own activations and losses (tf.nn, Keras), as rows: what a user would call, and the settings for which
it is our formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Tensor

Row = Callable[[Knobs], Native | None]
When = Mapping[str, Any]
EPSILON = 1e-7
"""keras.config.epsilon(), which no loss takes as an argument."""


def _fits(knobs: Knobs, when: When) -> bool:
    return all(knobs.get(name, value) == value for name, value in when.items())


def _tf(name: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, **options: str) -> Row:
    """tf.nn's function of this name; `options` maps its keywords to our settings."""
    return _bound(f"tf.nn.{name}", getattr(tf.nn, name), when, fixed, options)


def _keras(name: str, when: When | None = None, **options: str) -> Row:
    """keras.activations' function of this name."""
    return _bound(f"keras.activations.{name}", getattr(keras.activations, name), when, {}, options)


def _bound(
    call: str, function: Callable[..., Tensor], when: When | None, fixed: Mapping[str, Any] | None,
    options: Mapping[str, str],
) -> Row:  # fmt: skip
    def bind(knobs: Knobs) -> Native | None:
        if not _fits(knobs, when or {}):
            return None
        bound = {**(fixed or {}), **{theirs: knobs[ours] for theirs, ours in options.items()}}
        return Native(call, lambda x: function(x, **bound))

    return bind


def _plain(call: str, function: Callable[..., Tensor]) -> Row:
    return lambda knobs: Native(call, function)


def _elu(knobs: Knobs) -> Native | None:
    return _tf("elu")(knobs) if knobs["alpha"] == 1 else _keras("elu", alpha="alpha")(knobs)


ACTIVATIONS: Mapping[str, Row] = {
    "identity": _keras("linear"),
    "sigmoid": _tf("sigmoid"),
    "log_sigmoid": _plain("tf.math.log_sigmoid", tf.math.log_sigmoid),
    "tanh": _tf("tanh"),
    "tanh_shrink": _keras("tanh_shrink"),
    "arctan": _plain("tf.math.atan", tf.math.atan),
    "softsign": _tf("softsign"),
    "hard_sigmoid": _keras("hard_sigmoid", {"slope": "sixth"}),
    "hard_tanh": _keras("hard_tanh"),
    "relu": _tf("relu"),
    "leaky_relu": _tf("leaky_relu", alpha="alpha"),
    "relu6": _tf("relu6"),
    "elu": _elu,
    "selu": _tf("selu", {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}),
    "celu": _keras("celu", alpha="alpha"),
    "softplus": _tf("softplus"),
    "squareplus": _keras("squareplus", b="b"),
    "exponential": _keras("exponential"),
    "gelu": lambda knobs: Native("tf.nn.gelu", lambda x: tf.nn.gelu(x, approximate=knobs["approximate"] == "tanh")),
    "silu": _tf("silu"),
    "mish": _keras("mish"),
    "hard_swish": _keras("hard_swish"),
    "softshrink": _keras("soft_shrink", threshold="theta"),
    "hardshrink": _keras("hard_shrink", threshold="theta"),
    "softmax": _tf("softmax", fixed={"axis": -1}),
    "log_softmax": _tf("log_softmax", fixed={"axis": -1}),
    "glu": _keras("glu", {"gate": "sigmoid"}),
}


def _loss(
    call: str, shown: str = "", when: When | None = None, fixed: Mapping[str, Any] | None = None,
    vectors: bool = False, **options: str,
) -> Row:  # fmt: skip
    """A Keras loss object, called with the target first; its dtype is Keras's floatx, so it is made per binding. Keras
    averages over the last axis before it reduces: of elements, its `sum` adds means."""
    names = {"mean": "sum_over_batch_size", "weighted_mean": "mean_with_sample_weight"}
    names.update({"sum": "sum", "none": "none"} if vectors else {"sum_of_means": "sum"})

    def bind(knobs: Knobs) -> Native | None:
        by = knobs.get("reduction", "mean")
        if knobs.get("weights") == "class" or by not in names or not _fits(knobs, when or {}):
            return None
        bound = {**(fixed or {}), **{theirs: knobs[ours] for theirs, ours in options.items()}}
        loss = getattr(keras.losses, call)(reduction=names[by], **bound)
        return Native(
            f"keras.losses.{call}{shown}",
            lambda y, t, weights=None: loss(t, y, sample_weight=weights),
        )

    return bind


def _elements(call: str, function: Callable[..., Tensor], when: When | None = None) -> Row:
    """A function of tf.nn that leaves the mean to the user, called as function(t, y, knobs)."""

    def bind(knobs: Knobs) -> Native | None:
        if knobs.get("reduction", "mean") != "mean" or knobs.get("weights") or not _fits(knobs, when or {}):
            return None
        return Native(call, lambda y, t: tf.reduce_mean(function(t, y, knobs)))

    return bind


CLIPPED = {"clip": "ends", "eps": EPSILON}

LOSSES: Mapping[str, Row] = {
    "mse": _loss("MeanSquaredError"),
    "mae": _loss("MeanAbsoluteError"),
    "huber": _loss("Huber", delta="delta"),
    "log_cosh": _loss("LogCosh"),
    "poisson": _loss("Poisson", when={"eps": EPSILON}),
    "poisson_log": _elements("tf.nn.log_poisson_loss", lambda t, y, knobs: tf.nn.log_poisson_loss(t, y)),
    "binary_crossentropy": _loss("BinaryCrossentropy", when=CLIPPED),
    "binary_crossentropy_logits": _loss("BinaryCrossentropy", "(from_logits=True)", fixed={"from_logits": True}),
    "weighted_binary_crossentropy_logits": _elements(
        "tf.nn.weighted_cross_entropy_with_logits",
        lambda t, y, knobs: tf.nn.weighted_cross_entropy_with_logits(t, y, pos_weight=knobs["beta"]),
    ),
    "focal": _loss(
        "BinaryFocalCrossentropy", when=CLIPPED, fixed={"apply_class_balancing": True}, alpha="alpha", gamma="gamma"
    ),
    "focal_logits": _loss(
        "BinaryFocalCrossentropy", "(from_logits=True)", fixed={"apply_class_balancing": True, "from_logits": True},
        alpha="alpha", gamma="gamma",
    ),
    "hinge": _loss("Hinge"),
    "squared_hinge": _loss("SquaredHinge"),
    "categorical_crossentropy": _loss("CategoricalCrossentropy", when=CLIPPED, vectors=True),
    "categorical_crossentropy_logits": _loss(
        "CategoricalCrossentropy", "(from_logits=True)", fixed={"from_logits": True}, vectors=True
    ),
    "smoothed_crossentropy_logits": _loss(
        "CategoricalCrossentropy", "(from_logits=True, label_smoothing=)", fixed={"from_logits": True}, vectors=True,
        label_smoothing="smoothing",
    ),
    "sparse_categorical_crossentropy": _loss("SparseCategoricalCrossentropy", when=CLIPPED, vectors=True),
    "sparse_categorical_crossentropy_logits": _loss(
        "SparseCategoricalCrossentropy", "(from_logits=True)", fixed={"from_logits": True}, vectors=True
    ),
    "kl_divergence": _loss("KLDivergence", when=CLIPPED, vectors=True),
    "dice": _loss(
        "Dice", when={"eps": EPSILON, "eps_above": False, "squared": False}, fixed={"axis": -1}, vectors=True
    ),
    "cosine_similarity": _loss("CosineSimilarity", when={"form": "negative"}, vectors=True),
}  # fmt: skip
