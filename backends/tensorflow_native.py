"""TensorFlow's own implementations (tf.nn, Keras), as rows: what a user would call, and the knobs for which it is
that formula. Nothing is repaired: where Keras rounds a hyper-parameter to float32 in a float64 model, it does here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras

from crossnn.adapter import Knobs, Native

from . import tensorflow_optimizers
from .tensorflow_functions import ACTIVATIONS, LOSSES
from .tensorflow_layers import LAYERS

Row = Callable[[Knobs], Native | None]

TABLE: Mapping[tuple[str, str], Row] = {
    **{("activation", name): row for name, row in ACTIVATIONS.items()},
    **{("loss", name): row for name, row in LOSSES.items()},
    **{("layer", name): row for name, row in LAYERS.items()},
}


def native(dtype: str, kind: str, name: str, knobs: Knobs) -> Native | None:
    """The row for this specification, where these knobs are what it implements. Keras takes its working dtype from
    globals, floatx and, for layers, a policy, when an object is made."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if kind == "optimizer":
        return tensorflow_optimizers.native(dtype, name, knobs)
    row = TABLE.get((kind, name))
    return row(knobs) if row else None
