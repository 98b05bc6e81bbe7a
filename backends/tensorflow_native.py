"""TensorFlow's own implementations (tf.nn, Keras), as rows: what a user would call, and the knobs for which it is
that formula. Nothing is repaired: where Keras rounds a hyper-parameter to float32 in a float64 model, it does here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import keras

from crossnn.adapter import Knobs, Native
from crossnn.bindings import Table, bound

from . import tensorflow_optimizers
from .tensorflow_calls import CALLS
from .tensorflow_functions import ACTIVATIONS
from .tensorflow_initial import INITIALIZERS, SCHEDULES
from .tensorflow_layers import LAYERS
from .tensorflow_losses import LOSSES
from .tensorflow_metrics import METRICS
from .tensorflow_penalties import CLIPPINGS, CONSTRAINTS, REGULARIZERS
from .tensorflow_sequences import SEQUENCES

TABLES: Mapping[str, Sequence[Table]] = {
    "activation": (ACTIVATIONS,),
    "loss": (LOSSES,),
    "regularizer": (REGULARIZERS,),
    "constraint": (CONSTRAINTS,),
    "initializer": (INITIALIZERS,),
    "metric": (METRICS,),
    "layer": (LAYERS, SEQUENCES, CALLS),
    "schedule": (SCHEDULES,),
    "clipping": (CLIPPINGS,),
}
"""Kind -> what is bound, the first of those that fit, and its variants."""


def native(dtype: str, kind: str, name: str, knobs: Knobs) -> Native | None:
    """The implementation of this specification that a user would call first, where these knobs are what it does."""
    found = _all(dtype, kind, name, knobs)
    return found[0] if found else None


def variants(dtype: str, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
    """Other functions and classes that compute the same."""
    return _all(dtype, kind, name, knobs)[1:]


def _all(dtype: str, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
    """Keras takes its working dtype from globals, floatx and, for layers, a policy, when an object is made."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    if kind == "optimizer":
        return tensorflow_optimizers.natives(dtype, name, knobs)
    return bound(tuple(row for table in TABLES.get(kind, ()) for row in table.get(name, ())), knobs)
