"""Optax's optimizers that adapt the step of every element, from Adagrad to Lion, as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import optax

from .jax_optax_parts import MOMENTS, alias, at_rate, betas, chained, decayed
from .jax_optimizers import Own, Settings


def by_element() -> Iterator[Own]:
    yield from alias(
        "adagrad",
        "optax.adagrad",
        lambda h: {"initial_accumulator_value": h["initial_accumulator"], "eps": h["eps"]},
        {"a": "sum_of_squares"},
        {"eps_place": "inside"},
        "scale_by_rss scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_rss(h["initial_accumulator"], h["eps"]), at_rate(lr)],
    )
    yield from alias(
        "adadelta",
        "optax.adadelta",
        lambda h: {"rho": h["rho"], "eps": h["eps"]},
        {"a": "e_g", "b": "e_x"},
        {},
        "scale_by_adadelta scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adadelta(h["rho"], h["eps"]), at_rate(lr)],
    )
    slots, factors = {"v": "nu", "mean": "mu", "u": "trace"}, {"u": lambda h: -1.0}
    yield from alias(
        "rmsprop",
        "optax.rmsprop",
        _rmsprop,
        slots,
        {"momentum": ("none", "inside")},
        factors=factors,
    )
    for centered in (False, True):
        scale = "scale_by_stddev" if centered else "scale_by_rms"
        for momentum in ("none", "outside", "inside"):
            between = {"none": "scale_by_learning_rate", "outside": "trace scale_by_learning_rate",
                       "inside": "scale_by_learning_rate trace"}[momentum]  # fmt: skip
            yield chained(
                "rmsprop",
                f"{scale} {between}",
                _rmsprop_parts,
                slots,
                {"centered": centered, "momentum": momentum},
                factors if momentum == "inside" else {},
            )
    yield Own(
        "rprop",
        "optax.rprop",
        lambda lr, h: optax.rprop(h["lr"], **_steps(h)),
        _RPROP,
        {"on_change": "wait"},
        {"change": lambda h: -1.0},
    )
    yield chained(
        "rprop",
        "scale_by_rprop scale",
        lambda lr, h: [optax.scale_by_rprop(h["lr"], **_steps(h)), optax.scale(-1)],
        _RPROP,
        {"on_change": "wait"},
        {"change": lambda h: -1.0},
    )


_RPROP = {"step": "step_sizes", "change": "prev_updates"}


def _steps(h: Settings) -> dict[str, float]:
    return {"eta_minus": h["eta_minus"], "eta_plus": h["eta_plus"], "min_step_size": h["step_min"],
            "max_step_size": h["step_max"]}  # fmt: skip


def _rmsprop(h: Settings) -> dict[str, Any]:
    momentum = h["mu"] if h.get("momentum", "none") != "none" else None
    inside, centered = h.get("eps_place", "outside") == "inside", h.get("centered", False)
    return {"decay": h["rho"], "eps": h["eps"], "eps_in_sqrt": inside, "centered": centered, "momentum": momentum}


def _rmsprop_parts(lr: Any, h: Settings) -> list[Any]:
    scale = optax.scale_by_stddev if h["centered"] else optax.scale_by_rms
    own = scale(h["rho"], h["eps"], eps_in_sqrt=h["eps_place"] == "inside")
    kept = {
        "none": [at_rate(lr)],
        "outside": [optax.trace(h["mu"]), at_rate(lr)],
        "inside": [at_rate(lr), optax.trace(h["mu"])],
    }
    return [own, *kept[h["momentum"]]]


def _root(h: Settings) -> dict[str, Any]:
    return {"b1": h["beta1"], "b2": h["beta2"], "eps": 0.0, "eps_root": h["eps"]}


_OUTSIDE = {"eps_place": "outside"}


def adam() -> Iterator[Own]:
    adam = "scale_by_adam scale_by_learning_rate"
    corrected = {"bias_correction": True}
    yield from alias(
        "adam",
        "optax.adam",
        betas(),
        MOMENTS,
        {**_OUTSIDE, **corrected},
        adam,
        lambda lr, h: [optax.scale_by_adam(**betas()(h)), at_rate(lr)],
    )
    yield from alias(
        "adam",
        "optax.adam(eps=0, eps_root=)",
        _root,
        MOMENTS,
        {"eps_place": "inside", **corrected},
        "scale_by_adam(eps=0, eps_root=) scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adam(**_root(h)), at_rate(lr)],
    )
    yield from alias(
        "adamw",
        "optax.adamw",
        betas("weight_decay"),
        MOMENTS,
        {"decay": "before", **_OUTSIDE},
        "scale_by_adam add_decayed_weights scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adam(**betas()(h)), decayed(h), at_rate(lr)],
    )
    yield chained(
        "adamw",
        "add_decayed_weights adam",
        lambda lr, h: [decayed(h), optax.adam(lr, **betas()(h))],
        MOMENTS,
        {"decay": "coupled", **_OUTSIDE},
    )
    yield chained(
        "adamw",
        "adam add_decayed_weights",
        lambda lr, h: [optax.adam(lr, **betas()(h)), optax.add_decayed_weights(-h["weight_decay"])],
        MOMENTS,
        {"decay": "unscaled", **_OUTSIDE},
    )
    largest = {**MOMENTS, "largest": "nu_max"}
    yield from alias(
        "amsgrad",
        "optax.amsgrad",
        betas(),
        largest,
        {"correction": "before"},
        "scale_by_amsgrad scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_amsgrad(**betas()(h)), at_rate(lr)],
    )
    free = {"bias_correction_mu": False, "bias_correction_nu": False}
    yield from alias(
        "amsgrad",
        "optax.amsgrad(bias_correction_mu=False, bias_correction_nu=False)",
        lambda h: {**betas()(h), **free},
        largest,
        {"correction": "none"},
        "scale_by_amsgrad(bias_correction_mu=False, bias_correction_nu=False) scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_amsgrad(**betas()(h), **free), at_rate(lr)],
    )
    yield from alias(
        "adamax",
        "optax.adamax",
        betas(),
        {"m": "mu", "u": "nu"},
        {"eps_place": "inside"},
        "scale_by_adamax scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adamax(**betas()(h)), at_rate(lr)],
    )
    yield Own(
        "adamax", "optax.adamaxw(weight_decay=0)",
        lambda lr, h: optax.adamaxw(lr, **betas()(h), weight_decay=0.0),
        {"m": "mu", "u": "nu"}, {"eps_place": "inside"},
    )  # fmt: skip
    yield from alias(
        "nadam",
        "optax.nadam",
        betas(),
        MOMENTS,
        {"schedule": "never"},
        "scale_by_adam(nesterov=True) scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adam(**betas()(h), nesterov=True), at_rate(lr)],
    )
    yield Own("nadam", "optax.nadamw(weight_decay=0)", lambda lr, h: optax.nadamw(lr, **betas()(h), weight_decay=0.0),
              MOMENTS, {"schedule": "never"})  # fmt: skip
    yield Own("nadam", "optax.adam(nesterov=True)", lambda lr, h: optax.adam(lr, **betas()(h), nesterov=True),
              MOMENTS, {"schedule": "never"})  # fmt: skip
    yield from alias(
        "radam",
        "optax.radam",
        betas("threshold"),
        MOMENTS,
        _OUTSIDE,
        "scale_by_radam scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_radam(**betas("threshold")(h)), at_rate(lr)],
    )
    yield from alias(
        "adabelief",
        "optax.adabelief",
        lambda h: {**betas()(h), "eps_root": h["eps"]},
        {"m": "mu", "s": "nu"},
        {},
        "scale_by_belief scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_belief(**betas()(h), eps_root=h["eps"]), at_rate(lr)],
    )
    yield from alias(
        "lion",
        "optax.lion",
        lambda h: {"b1": h["beta1"], "b2": h["beta2"], "weight_decay": h["weight_decay"]},
        {"m": "mu"},
        {},
        "scale_by_lion add_decayed_weights scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_lion(h["beta1"], h["beta2"]), decayed(h), at_rate(lr)],
    )
