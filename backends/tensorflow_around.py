"""What a call of Keras or TensorFlow makes of what surrounds a training: schedules, metrics, constraints, clippings and
initializers, to be identified. A schedule is asked for one step at a time, as an optimizer asks it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from crossnn.adapter import Adapter, Native, Opened, Tensor
from crossnn.errors import BackendError
from crossnn.identify.calls import Call, parse_call, resolve
from crossnn.identify.own_source import required
from crossnn.identify.signatures import bound
from crossnn.identify.trying import tried

SCHEDULES = keras.optimizers.schedules
ROOTS = ("keras", "tf.keras", "tensorflow.keras")


def _classes(module: Any, base: type) -> tuple[str, ...]:
    """Those of a module that are of a kind, but the base itself."""
    every = ((name, getattr(module, name)) for name in dir(module) if not name.startswith("_"))
    return tuple(name for name, one in every if isinstance(one, type) and issubclass(one, base) and one is not base)


BASES = {
    "optimizers.schedules": (SCHEDULES, SCHEDULES.LearningRateSchedule),
    "metrics": (keras.metrics, keras.metrics.Metric),
    "initializers": (keras.initializers, keras.initializers.Initializer),
    "constraints": (keras.constraints, keras.constraints.Constraint),
}
NAMESPACES = {
    f"{root}.{path}": (module, _classes(module, base)) for root in ROOTS for path, (module, base) in BASES.items()
}
CLIPPINGS = ("clip_by_value", "clip_by_norm", "clip_by_global_norm")
FUNCTIONS = tuple(
    name for name in dir(keras.metrics) if name.islower() and name not in ("deserialize", "get", "serialize")
    and callable(getattr(keras.metrics, name))
)  # fmt: skip
"""Those of keras.metrics: something of each sample."""
NAMESPACES |= {f"{root}.metrics": (keras.metrics, (*NAMESPACES[f"{root}.metrics"][1], *FUNCTIONS)) for root in ROOTS}


def opened(adapter: Adapter, text: str) -> Opened | None:
    """None of what is for the adapter."""
    call = parse_call(text)
    if call.name.removeprefix("tensorflow.").removeprefix("tf.") in CLIPPINGS and call.name.startswith(("tf.", "tens")):
        return _clipping(call)
    if call.name.rpartition(".")[0] not in NAMESPACES:
        return None
    keras.config.set_floatx("float64")
    if call.name.rpartition(".")[2] in FUNCTIONS:
        return _metric_function(call)
    make, settings = _maker(call)
    made = make()
    if isinstance(made, SCHEDULES.LearningRateSchedule):
        return Opened("schedule", settings, Native(str(call), lambda t: _rates(str(call), made, t)))
    if isinstance(made, keras.metrics.Metric):
        return Opened("metric", settings, Native(str(call), _metric(call, made, make)))
    if isinstance(made, keras.initializers.Initializer):
        return _initializer(call, settings)
    if isinstance(made, keras.constraints.Constraint):
        return Opened("constraint", settings, Native(str(call), made))
    raise BackendError(f"{call.name} makes {type(made).__name__}, which is not identified")


def _clipping(call: Call) -> Opened:
    """Of each gradient, or of a list of all."""
    name = call.name.rpartition(".")[2]
    found = getattr(tf, name)
    if call.arguments:
        raise BackendError(f"{call.name} is a function: give its settings by name, as in {call.name}(clip_norm=1.0)")
    settings, given = bound(found, call, 1)

    def clipped(gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if name == "clip_by_global_norm":
            return dict(zip(gradients, found([*gradients.values()], **given)[0], strict=True))
        return {key: found(one, **given) for key, one in gradients.items()}

    settings.pop("name", None)
    return Opened("clipping", settings, Native(str(call), clipped))


def _initializer(call: Call, settings: Mapping[str, Any]) -> Opened:
    """With a seed of ours: an initializer of the same seed draws the same."""
    given = bound(resolve(call.name, NAMESPACES), call)[1]
    seeded = "seed" in settings

    def initial(shape: tuple[int, ...], seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        initializers = keras.initializers
        draws = {
            "u": initializers.RandomUniform(0.0, 1.0, seed=seed)(shape, dtype="float64"),
            "z": initializers.RandomNormal(0.0, 1.0, seed=seed)(shape, dtype="float64"),
            "c": initializers.TruncatedNormal(0.0, 1.0, seed=seed)(shape, dtype="float64"),
            "m": initializers.RandomNormal(0.0, 1.0, seed=seed)(tall, dtype="float64"),
        }
        own = resolve(call.name, NAMESPACES)(**{**given, **({"seed": seed} if seeded else {})})
        return {name: np.array(one) for name, one in draws.items()}, np.array(own(shape, dtype="float64"))

    free = {name: value for name, value in settings.items() if name != "seed"}
    return Opened("initializer", free, Native(str(call), initial))


def _metric_function(call: Call) -> Opened:
    """A function of the target and the prediction, in this order."""
    found = resolve(call.name, NAMESPACES)
    if call.arguments:
        raise BackendError(f"{call.name} is a function: give its settings by name")
    settings, given = bound(found, call, 2)
    return Opened("metric", settings, Native(str(call), lambda y, t: found(t, y, **given)))


def _metric(call: Call, metric: Any, make: Callable[[], Any]) -> Callable[[Tensor, Tensor], Tensor]:
    """A metric keeps state, some for the shape that they saw first: a new one for each batch."""
    if "y_true" not in inspect.signature(metric.update_state).parameters:
        raise BackendError(f"{call.name} takes values, not predictions and targets: it averages what others say")

    def value(y: Tensor, t: Tensor) -> Tensor:
        fresh = make()
        fresh.update_state(t, y)
        return tf.convert_to_tensor(fresh.result())

    return value


def own_schedule(text: str, found: Any) -> Callable[..., Any] | None:
    """Of a schedule's class, or a function that makes one: rates of counts."""
    if required(found) or (isinstance(found, type) and not issubclass(found, SCHEDULES.LearningRateSchedule)):
        return None
    made = tried(text, found)
    return (lambda t: _rates(text, made, t)) if isinstance(made, SCHEDULES.LearningRateSchedule) else None


def _maker(call: Call) -> tuple[Callable[[], Any], dict[str, Any]]:
    """What makes the object, and every argument of it."""
    found = resolve(call.name, NAMESPACES)
    settings, given = bound(found, call)
    lists = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}
    free = {name: value for name, value in settings.items() if name not in ("name", "dtype", "kwargs")}
    return lambda: tried(call.name, lambda: found(**lists)), free


def _rates(text: str, schedule: Any, t: np.ndarray) -> np.ndarray:
    return np.array([float(tried(text, lambda one=one: schedule(int(one)))) for one in t])  # type: ignore[misc]
