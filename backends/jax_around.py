"""What a call of optax or JAX makes of what surrounds a training: schedules, clippings, initializers, to be identified.

A schedule of optax is a function of one count, an int32 in every state of optax; several counts are mapped over.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crossnn.adapter import Adapter, Native, Opened
from crossnn.errors import BackendError
from crossnn.identify.calls import Call, parse_call, resolve
from crossnn.identify.own_source import parameters_of, required
from crossnn.identify.signatures import bound
from crossnn.identify.trying import tried
from crossnn.registry import is_installed

OLD = "jax.example_libraries.optimizers"
"""Where JAX has schedules of its own; those of optimizers there are not optax's transformations."""
OLD_SCHEDULES = ("constant", "exponential_decay", "inverse_time_decay", "polynomial_decay", "piecewise_constant")
PLACES = ("optax", "optax.schedules")
INITIALIZERS = {"jax.nn.initializers": (jax.nn.initializers, tuple(
    name for name in dir(jax.nn.initializers) if name.islower() and not name.startswith("_")
))}  # fmt: skip
CLIPPINGS = ("clip", "clip_by_global_norm", "clip_by_block_rms", "adaptive_grad_clip", "per_example_global_norm_clip")
PROJECTIONS = ("optax.projections",)
NAMED = ("_schedule", "_decay", "_restarts")


def opened(adapter: Adapter, text: str) -> Opened | None:
    """A schedule; None of anything else."""
    call = parse_call(text)
    names = _namespaces()
    place, _, last = call.name.rpartition(".")
    if place == OLD or (place in names and last in names[place][1]):
        return _schedule(call, names)
    if place in INITIALIZERS:
        return _initializer(adapter, call)
    if place in PROJECTIONS or (place in names and last in CLIPPINGS):
        return _outer(call)
    return None


def _initializer(adapter: Adapter, call: Call) -> Opened:
    """What makes a parameter of a key, a shape and a dtype."""
    found = resolve(call.name, INITIALIZERS)
    plain = call.name.rpartition(".")[2] in ("zeros", "ones")
    settings, given = ({}, {}) if plain else bound(found, call)
    if plain and (call.arguments or call.keywords):
        raise BackendError(f"{call.name} takes no settings")
    made = found if plain else tried(call.name, lambda: found(**given))
    dtype = adapter.tensor(np.zeros(1)).dtype

    def initial(shape: tuple[int, ...], seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        key = jax.random.key(seed)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        draws = {
            "u": jax.random.uniform(key, shape, dtype),
            "z": jax.random.normal(key, shape, dtype),
            "c": jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype),
            "m": jax.random.normal(key, tall, dtype),
        }
        return {name: np.asarray(one) for name, one in draws.items()}, np.asarray(made(key, shape, dtype))

    free = {name: value for name, value in settings.items() if name != "dtype"}
    return Opened("initializer", free, Native(str(call), initial))


def _outer(call: Call) -> Opened:
    """A clipping, which is a transformation of all gradients, or a projection of one parameter or a tree of them."""
    import optax

    place, _, last = call.name.rpartition(".")
    if place in PROJECTIONS:
        found = resolve(call.name, {place: (optax.projections, ())})
        if call.arguments:
            raise BackendError(f"{call.name} is a function: give its settings by name, as in {call.name}(scale=1.0)")
        settings, given = bound(found, call, 1)
        return Opened("constraint", settings, Native(str(call), lambda w: found(w, **given)))
    found = getattr(optax, last)
    settings, given = bound(found, call)
    if last == "per_example_global_norm_clip":
        raise BackendError(f"{call.name} clips gradients of each example, not of a step: it is not identified")
    transformation = tried(call.name, lambda: found(**given))

    def clipped(gradients: Mapping[str, Any]) -> Mapping[str, Any]:
        tree: Mapping[str, Any] = transformation.update(gradients, transformation.init(gradients), gradients)[0]
        return tree

    return Opened("clipping", settings, Native(str(call), clipped))


def _namespaces() -> dict[str, tuple[Any, tuple[str, ...]]]:
    found: dict[str, tuple[Any, tuple[str, ...]]] = {OLD: (importlib.import_module(OLD), OLD_SCHEDULES)}
    if is_installed("optax"):
        import optax

        every = tuple(name for name in dir(optax.schedules) if not name.startswith("_"))
        known = tuple(name for name in every if name.endswith(NAMED) or name == "join_schedules")
        found |= {"optax.schedules": (optax.schedules, known),
                  "optax": (optax, tuple(name for name in known if hasattr(optax, name)))}  # fmt: skip
    return found


def own_schedule(text: str, found: Any) -> Callable[..., Any] | None:
    """Of a function without required arguments that makes a function of one count."""
    if isinstance(found, type) or required(found) or not callable(found):
        return None
    made = tried(text, found)
    is_schedule = callable(made) and not isinstance(made, type) and required(made) == 1
    if not is_schedule or hasattr(made, "update") or not parameters_of(made):
        return None
    return lambda t: _mapped(made, t)


def _schedule(call: Call, names: Mapping[str, tuple[Any, tuple[str, ...]]]) -> Opened:
    schedule = _made(call, names)
    if not callable(schedule):
        raise BackendError(f"{call.name} makes {type(schedule).__name__}, no function of the number of steps")
    return Opened("schedule", _settings(call, names), Native(str(call), lambda t: _mapped(schedule, t)))


def _settings(call: Call, names: Mapping[str, tuple[Any, tuple[str, ...]]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in bound(resolve(call.name, names), call)[0].items():
        inner = [one for one in (value if isinstance(value, tuple) else (value,)) if isinstance(one, Call)]
        for place, one in enumerate(inner):
            short = one.name.rpartition(".")[2]
            found |= {f"{short}[{place}].{key}": each for key, each in _settings(one, names).items()}
        if not inner:
            found[name] = value
    return found


def _made(call: Call, names: Mapping[str, tuple[Any, tuple[str, ...]]]) -> Any:
    found = resolve(call.name, names)
    if not call.called:
        bound(found, call)

    def inner(value: Any) -> Any:
        if isinstance(value, Call):
            return _made(value, names)
        if isinstance(value, dict):
            return {key: inner(one) for key, one in value.items()}
        return list(map(inner, value)) if isinstance(value, tuple) else value

    given = {name: inner(value) for name, value in bound(found, call)[1].items()}
    return tried(call.name, lambda: found(**given))


def _mapped(schedule: Callable[[Any], Any], t: np.ndarray) -> np.ndarray:
    counts = jnp.asarray(t, jnp.int32)
    try:
        return np.asarray(jax.vmap(lambda count: jnp.asarray(schedule(count), float))(counts))
    except jax.errors.JAXTypeError:  # it looks at the count itself, which is a number of Python then
        return np.array([float(schedule(int(count))) for count in t])
