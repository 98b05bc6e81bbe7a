"""Models of Keras users among ports: layers and models as functions of their parameters."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from crossnn.adapter import OwnModel


def model(function: Callable[..., Any]) -> OwnModel | None:
    """A layer or model with other parameters in the place of its own, which runs in the dtype that it was built for."""
    if not isinstance(function, keras.layers.Layer):
        return None
    trainable = list(function.trainable_variables)
    names = [one.path for one in trainable]
    arrays = {name: np.asarray(one) for name, one in zip(names, trainable, strict=True)}

    def call(parameters: Mapping[str, Any], *inputs: Any) -> Any:
        others = [one.value for one in function.non_trainable_variables]
        outputs, _ = function.stateless_call([parameters[name] for name in names], others, *inputs)
        return outputs

    return OwnModel(arrays, call, (str(function.compute_dtype),))


@contextlib.contextmanager
def guest() -> Iterator[None]:
    """Threads, devices and the determinism of operations cannot be changed back; Keras's global dtypes can, in which
    whatever is made next computes."""
    tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(tf32)
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
