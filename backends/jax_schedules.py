"""Optax's schedules, as rows. A schedule is a function of one count, which is an int32 in every state of optax; what it
returns is cast to the dtype of the gradients that it scales."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from crossnn.adapter import Knobs
from crossnn.bindings import Row, Table

from .jax_rows import public, row

Rates = Callable[[np.ndarray], np.ndarray]


def _schedule(call: str, make: Callable[[Knobs, Any], Any], when: Mapping[str, Any] | None = None) -> Row:
    """`make` makes a schedule of the settings, with the function that the call begins with."""
    return row(call, when=when, make=lambda h: _mapped(make(h, public(call.partition("(")[0]))))


def _mapped(schedule: Callable[[Any], Any]) -> Rates:
    def rates(t: np.ndarray) -> np.ndarray:
        counts = jnp.asarray(t, jnp.int32)
        return np.asarray(jax.vmap(lambda count: jnp.asarray(schedule(count), float))(counts))

    return rates


def _whole(h: Knobs, *names: str) -> list[int]:
    return [round(h[name]) for name in names]


def _joints(call: str, steps: Callable[[Knobs, int], Any], when: Mapping[str, Any] | None = None) -> Row:
    """A schedule whose joints must be named, as far as anybody counts."""

    def make(h: Knobs) -> Rates:
        name = call.partition("(")[0]
        return lambda t: _mapped(public(name)(*steps(h, math.ceil(float(np.max(t))) + 1)))(t)

    return row(call, when=when, make=make)


def _periods(h: Knobs, last: int) -> tuple[float, dict[int, float]]:
    period = round(h["period"])
    return h["lr"], dict.fromkeys(range(period, last + period, period), float(h["gamma"]))


def _cycles(h: Knobs, last: int) -> tuple[list[dict[str, float]]]:
    one = {"init_value": h["lr"], "peak_value": h["lr"], "warmup_steps": 0, "decay_steps": round(h["steps"]),
           "end_value": h["end"]}  # fmt: skip
    return ([one] * math.ceil(last / round(h["steps"])),)


def _warm(h: Knobs) -> tuple[float, int]:
    """The first rate, and after how many steps it has become the highest: where the first step is not for nothing,
    one step earlier."""
    warmup = round(h["warmup"])
    return (0.0, warmup) if h["first"] == "zero" else (h["lr"] / warmup, warmup - 1)


def _warmup(h: Knobs, make: Any) -> Any:
    start, warmup = _warm(h)
    return make(start, h["lr"], warmup)


def _warmup_cosine(h: Knobs, make: Any) -> Any:
    start, warmup = _warm(h)
    last = round(h["steps"]) - (0 if h["first"] == "zero" else 1)
    return make(start, h["lr"], warmup, last, h["end"])


def _joined_cosine(h: Knobs, join: Any) -> Any:
    start, warmup = _warm(h)
    rise = public("optax.schedules.linear_schedule")(start, h["lr"], warmup)
    left = round(h["steps"] - h["warmup"])
    fall = public("optax.schedules.cosine_decay_schedule")(h["lr"], left, h["end"] / h["lr"])
    return join([rise, fall], [warmup])


def _one_cycle(h: Knobs, make: Any) -> Any:
    """Joints are given as shares of the steps, of which the whole part is taken."""
    rise, steps = _whole(h, "rise", "steps")
    shares = {"pct_start": (rise + 0.5) / steps}
    if h["phases"] == "three":
        shares["pct_final"] = (2 * rise + 0.5) / steps
    return make(steps, h["lr"], **shares, div_factor=h["start"], final_div_factor=h["end"] / h["start"])


def _interpolated(h: Knobs, make: Any) -> Any:
    rise, steps = _whole(h, "rise", "steps")
    down = {2 * rise: 1 / h["start"], steps: h["start"] / h["end"]} if h["phases"] == "three" else {steps: 1 / h["end"]}
    return make(h["anneal"], h["lr"] / h["start"], {rise: h["start"], **down})


def _decay(h: Knobs, make: Any) -> Any:
    return make(h["lr"], round(h["period"]), h["gamma"], staircase=h.get("staircase", True))


def _warm_decay(h: Knobs, make: Any) -> Any:
    return make(h["lr"], h["lr"], 0, round(h["period"]), h["gamma"], staircase=h.get("staircase", True))


_STAYS = {"beyond": "stays"}
SCHEDULES: Table = {
    "constant": (_schedule("optax.schedules.constant_schedule", lambda h, make: make(h["lr"])),),
    "step_decay": (
        _schedule("optax.schedules.exponential_decay(staircase=True)", _decay),
        _joints("optax.schedules.piecewise_constant_schedule", _periods),
    ),
    "exponential_decay": (
        _schedule("optax.schedules.exponential_decay", _decay),
        _schedule("optax.schedules.warmup_exponential_decay_schedule(warmup_steps=0)", _warm_decay),
    ),
    "inverse_time_decay": (
        _schedule("jax.example_libraries.optimizers.inverse_time_decay",
                  lambda h, make: make(h["lr"], round(h["period"]), h["rate"], h["staircase"])),
    ),
    "polynomial_decay": (
        _schedule("optax.schedules.polynomial_schedule",
                  lambda h, make: make(h["lr"], h["end"], h["power"], round(h["steps"]))),
    ),
    "cosine_decay": (
        _schedule("optax.schedules.cosine_decay_schedule",
                  lambda h, make: make(h["lr"], round(h["steps"]), h["end"] / h["lr"]), _STAYS),
        _schedule("optax.schedules.warmup_cosine_decay_schedule(warmup_steps=0)",
                  lambda h, make: make(h["lr"], h["lr"], 0, round(h["steps"]), h["end"]), _STAYS),
        _joints("optax.schedules.sgdr_schedule", _cycles, {"beyond": "restarts"}),
    ),
    "linear_warmup": (
        _schedule("optax.schedules.warmup_constant_schedule", _warmup),
        _schedule("optax.schedules.linear_schedule", _warmup),
    ),
    "warmup_cosine": (
        _schedule("optax.schedules.warmup_cosine_decay_schedule", _warmup_cosine),
        _schedule("optax.schedules.join_schedules(optax.schedules.linear_schedule, "
                  "optax.schedules.cosine_decay_schedule)", _joined_cosine),
    ),
    "one_cycle": (
        _schedule("optax.schedules.linear_onecycle_schedule", _one_cycle, {"phases": "three", "anneal": "linear"}),
        _schedule("optax.schedules.cosine_onecycle_schedule", _one_cycle, {"phases": "two", "anneal": "cosine"}),
        _schedule("optax.schedules.piecewise_interpolate_schedule", _interpolated),
    ),
}  # fmt: skip
