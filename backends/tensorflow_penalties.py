"""Keras's own regularizers and constraints, and what clips gradients in Keras and TensorFlow, as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import Row, Table, When, fits

from .tensorflow_rows import PASSED, made

EPSILON = 1e-7
"""keras.config.epsilon(), which no constraint takes as an argument."""


def _half_squares(knobs: Knobs) -> Native | None:
    """tf.nn.l2_loss is sum(w**2)/2."""
    if not fits(knobs, {"halved": True}):
        return None
    return Native("rate*tf.nn.l2_loss", lambda w: knobs["rate"] * tf.nn.l2_loss(w))


def _activity(knobs: Knobs) -> Native | None:
    """A layer that adds the penalty of what passes through to its losses, divided by the number of samples."""
    if not fits(knobs, {"per_sample": True}):
        return None

    def penalty(w: Tensor) -> Tensor:
        layer = keras.layers.ActivityRegularization(l1=knobs["l1"], l2=knobs["l2"])
        layer(w)
        return layer.losses[0]

    return Native("keras.layers.ActivityRegularization", penalty)


REGULARIZERS: Table = {
    "l1": (
        made("keras.regularizers.L1", l1="rate"),
        made("keras.regularizers.L1L2", l1="rate", modes=PASSED, shown="(l1=)"),
    ),
    "l2": (
        made("keras.regularizers.L2", {"halved": False}, l2="rate"),
        made("keras.regularizers.L1L2", {"halved": False}, l2="rate", modes=PASSED, shown="(l2=)"),
        _half_squares,
    ),
    "l1_l2": (made("keras.regularizers.L1L2", l1="l1", l2="l2"),),
    "activity": (
        _activity,
        made("keras.regularizers.L1L2", {"per_sample": False}, l1="l1", l2="l2"),
    ),
}  # fmt: skip
"""Regularizer -> its rows."""


def _constraint(name: str, when: When, **ours: str) -> Row:
    """Keras's axes are those over which the norm is taken: here all but the last."""

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when):
            return None
        kind, given = getattr(keras.constraints, name), {theirs: knobs[mine] for theirs, mine in ours.items()}
        return Native(f"keras.constraints.{name}", lambda w: kind(axis=list(range(len(w.shape) - 1)), **given)(w))

    return bind


def _divided(call: str, divide: Callable[..., Tensor]) -> Row:
    """Divided by the norm, which is not let fall below epsilon."""

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, {"eps_place": "least"}):
            return None
        return Native(call, lambda w: divide(w, list(range(len(w.shape) - 1)), knobs["eps"]))

    return bind


CONSTRAINTS: Table = {
    "non_negative": (made("keras.constraints.NonNeg"),),
    "max_norm": (_constraint("MaxNorm", {"eps": EPSILON, "eps_everywhere": True}, max_value="limit"),),
    "unit_norm": (
        _constraint("UnitNorm", {"eps": EPSILON, "eps_place": "added"}),
        _divided("keras.ops.normalize", lambda w, axes, eps: keras.ops.normalize(w, axes, epsilon=eps)),
        _divided("tf.nn.l2_normalize", lambda w, axes, eps: tf.nn.l2_normalize(w, axes, epsilon=eps**2)),
    ),
    "min_max_norm": (
        _constraint("MinMaxNorm", {"eps": EPSILON}, min_value="least", max_value="limit", rate="rate"),
    ),
}  # fmt: skip
"""Constraint -> its rows."""


def _by_optimizer(argument: str) -> Row:
    """What an optimizer of Keras takes off a parameter that is 0, at a learning rate of 1, is the clipped gradient."""

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, {"guarded": False}):
            return None

        def clipped(gradients: Params) -> Params:
            with tf.init_scope():
                zeros = [keras.Variable(tf.zeros(one.shape, one.dtype)) for one in gradients.values()]
                optimizer = keras.optimizers.SGD(1.0, **{argument: knobs["limit"]})
                optimizer.build(zeros)
            optimizer.apply([*gradients.values()], zeros)
            return {name: -one.value for name, one in zip(gradients, zeros, strict=True)}

        return Native(f"keras.optimizers.SGD({argument}=)", clipped, ("eager",))

    return bind


def _each(call: str, clip: Callable[..., Tensor]) -> Row:
    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, {"guarded": False}):
            return None
        return Native(call, lambda gradients: {name: clip(one, knobs["limit"]) for name, one in gradients.items()})

    return bind


def _globally(knobs: Knobs) -> Native | None:
    if not fits(knobs, {"guarded": False}):
        return None

    def clipped(gradients: Params) -> Mapping[str, Any]:
        found, _ = tf.clip_by_global_norm([*gradients.values()], knobs["limit"])
        return dict(zip(gradients, found, strict=True))

    return Native("tf.clip_by_global_norm", clipped)


CLIPPINGS: Table = {
    "clip_by_value": (
        _by_optimizer("clipvalue"),
        _each("tf.clip_by_value", lambda g, limit: tf.clip_by_value(g, -limit, limit)),
    ),
    "clip_by_norm": (_by_optimizer("clipnorm"), _each("tf.clip_by_norm", tf.clip_by_norm)),
    "clip_by_global_norm": (_by_optimizer("global_clipnorm"), _globally),
}
"""Clipping -> its rows."""
