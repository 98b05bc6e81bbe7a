"""Keras's own initializers and learning-rate schedules, as rows.

An initializer is judged on its own random numbers: those that the plain one of the same seed draws are what the formula
is given. A schedule is asked for one step at a time, as an optimizer asks it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from crossnn.adapter import Knobs, Native
from crossnn.bindings import Row, Table, When, fits, keywords

_PLAIN: Mapping[str, Callable[[int], keras.initializers.Initializer]] = {
    "u": lambda seed: keras.initializers.RandomUniform(0.0, 1.0, seed=seed),
    "z": lambda seed: keras.initializers.RandomNormal(0.0, 1.0, seed=seed),
    "c": lambda seed: keras.initializers.TruncatedNormal(0.0, 1.0, seed=seed),
}
"""Draw -> what draws it."""


def _initializer(
    name: str, draw: str = "u", when: When | None = None, fixed: Mapping[str, Any] | None = None, shown: str = "",
    **ours: Any,
) -> Row:  # fmt: skip
    """A class of keras.initializers that uses this draw."""
    kind = getattr(keras.initializers, name)

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when or {}):
            return None
        given = keywords(knobs, fixed, ours)
        seeded = name not in ("Zeros", "Ones", "Constant")

        def initial(shape: tuple[int, ...], seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
            dtype = keras.config.floatx()
            drawn = _PLAIN["z" if draw == "m" else draw](seed)(_tall(shape) if draw == "m" else shape, dtype=dtype)
            made = kind(**given, **({"seed": seed} if seeded else {}))
            return {draw: np.array(drawn)}, np.array(made(shape, dtype=dtype))

        return Native(f"keras.initializers.{name}{shown}", initial, ("eager",))

    return bind


def _tall(shape: tuple[int, ...]) -> tuple[int, int]:
    """The matrix that Keras makes orthogonal, with at least as many rows as columns."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    return max(rows, columns), min(rows, columns)


def _scaled(scale: float, mode: str, distribution: str, draw: str, when: When | None = None) -> Row:
    """VarianceScaling, of which the named ones are special cases."""
    fixed = {"scale": scale, "mode": mode, "distribution": distribution}
    shown = f"({scale:g}, {mode!r}, {distribution!r})"
    return _initializer("VarianceScaling", draw, when, fixed, shown)


def _normal(name: str, scale: float, mode: str) -> tuple[Row, Row, Row]:
    return (
        _initializer(name, "c", {"truncated": True}),
        _scaled(scale, mode, "truncated_normal", "c", {"truncated": True}),
        _scaled(scale, mode, "untruncated_normal", "z", {"truncated": False}),
    )


INITIALIZERS: Table = {
    "zeros": (_initializer("Zeros"),),
    "ones": (_initializer("Ones"),),
    "constant_fill": (_initializer("Constant", value="value"),),
    "uniform": (_initializer("RandomUniform", minval="low", maxval="high"),),
    "normal": (_initializer("RandomNormal", "z", mean="mean", stddev="stddev"),),
    "truncated_normal": (_initializer("TruncatedNormal", "c", mean="mean", stddev="stddev"),),
    "glorot_uniform": (_initializer("GlorotUniform"), _scaled(1.0, "fan_avg", "uniform", "u")),
    "glorot_normal": _normal("GlorotNormal", 1.0, "fan_avg"),
    "he_uniform": (_initializer("HeUniform"), _scaled(2.0, "fan_in", "uniform", "u")),
    "he_normal": _normal("HeNormal", 2.0, "fan_in"),
    "lecun_uniform": (_initializer("LecunUniform"), _scaled(1.0, "fan_in", "uniform", "u")),
    "lecun_normal": _normal("LecunNormal", 1.0, "fan_in"),
    "orthogonal": (_initializer("Orthogonal", "m", gain="gain"),),
    "quarter": (_initializer("Constant", fixed={"value": 0.25}, shown="(0.25)"),),
}
"""Initializer -> its rows."""


def _schedule(name: str, given: Callable[[Knobs], Mapping[str, Any]], when: When | None = None, shown: str = "") -> Row:
    kind = getattr(keras.optimizers.schedules, name)

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when or {}):
            return None
        schedule = kind(**given(knobs))

        def rates(t: np.ndarray) -> np.ndarray:
            """In the dtype of the variables, to which an optimizer casts it."""
            return np.array([schedule(int(one)) for one in t], keras.config.floatx())

        return Native(f"keras.optimizers.schedules.{name}{shown}", rates, ("eager",))

    return bind


def _decay(rate: str, **fixed: Any) -> Callable[[Knobs], Mapping[str, Any]]:
    def given(k: Knobs) -> Mapping[str, Any]:
        return {
            "initial_learning_rate": k["lr"], "decay_steps": k["period"], "decay_rate": k[rate],
            "staircase": k.get("staircase", False), **fixed,
        }  # fmt: skip

    return given


def _cosine(k: Knobs) -> Mapping[str, Any]:
    """Its end is a share of the rate from which it falls."""
    return {"initial_learning_rate": k["lr"], "decay_steps": k["steps"], "alpha": k["end"] / k["lr"]}


def _warm_cosine(k: Knobs) -> Mapping[str, Any]:
    return {
        "initial_learning_rate": 0.0, "decay_steps": k["steps"] - k["warmup"], "alpha": k["end"] / k["lr"],
        "warmup_target": k["lr"], "warmup_steps": k["warmup"],
    }  # fmt: skip


STAIRS = 40
"""So many steps of a staircase are listed."""


def _listed(k: Knobs) -> Mapping[str, Any]:
    """A boundary belongs to the rate before it."""
    return {
        "boundaries": [(one + 1) * int(k["period"]) - 1 for one in range(STAIRS)],
        "values": [k["lr"] * k["gamma"] ** one for one in range(STAIRS + 1)],
    }


SCHEDULES: Table = {
    "step_decay": (
        _schedule("ExponentialDecay", _decay("gamma", staircase=True), shown="(staircase=True)"),
        _schedule("PiecewiseConstantDecay", _listed),
    ),
    "exponential_decay": (_schedule("ExponentialDecay", _decay("gamma")),),
    "inverse_time_decay": (_schedule("InverseTimeDecay", _decay("rate")),),
    "polynomial_decay": (
        _schedule(
            "PolynomialDecay",
            lambda k: {
                "initial_learning_rate": k["lr"], "decay_steps": k["steps"], "end_learning_rate": k["end"],
                "power": k["power"],
            },
        ),
    ),
    "cosine_decay": (
        _schedule("CosineDecay", _cosine, {"beyond": "stays"}),
        _schedule(
            "CosineDecayRestarts",
            lambda k: {
                "initial_learning_rate": k["lr"], "first_decay_steps": k["steps"], "t_mul": 1.0,
                "alpha": k["end"] / k["lr"],
            },
            {"beyond": "restarts"}, "(t_mul=1)",
        ),
    ),
    "linear_warmup": (
        _schedule(
            "PolynomialDecay",
            lambda k: {"initial_learning_rate": 0.0, "decay_steps": k["warmup"], "end_learning_rate": k["lr"]},
            {"first": "zero"}, "(0, warmup, lr)",
        ),
    ),
    "warmup_cosine": (_schedule("CosineDecay", _warm_cosine, {"first": "zero"}, "(warmup_steps=)"),),
}  # fmt: skip
"""Schedule -> its rows."""
