"""Optax's optimizers, as rows: the settings for which each is our formula, and its state by our names."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import optax

from .jax_optax_adaptive import adam, by_element
from .jax_optax_parts import MOMENTS, Arguments, Parts, alias, at_rate, betas, chained, decayed
from .jax_optimizers import Own, Settings, averaged
from .jax_rows import public


def _descent() -> Iterator[Own]:
    yield from alias("sgd", "optax.sgd", lambda h: {}, {}, {"decay": "none"})
    yield chained("sgd", "scale_by_learning_rate", lambda lr, h: [at_rate(lr)], {}, {"decay": "none"})
    yield chained("sgd", "scale_by_schedule", lambda lr, h: [optax.scale_by_schedule(lambda count: -lr)], {},
                  {"decay": "none"})  # fmt: skip
    yield chained("sgd", "add_decayed_weights sgd", lambda lr, h: [decayed(h), optax.sgd(lr)], {}, {"decay": "coupled"})
    yield from alias(
        "momentum",
        "optax.sgd(momentum=)",
        lambda h: {"momentum": h["rho"]},
        {"v": "trace"},
        {"form": "outside", "decay": "none"},
    )
    yield from (_momentum(form, decay) for form in _FORMS for decay in ("none", "coupled", "before"))
    yield from alias(
        "nesterov",
        "optax.sgd(momentum=, nesterov=True)",
        lambda h: {"momentum": h["rho"], "nesterov": True},
        {"v": "trace"},
        {"form": "outside"},
        "trace(nesterov=True) scale_by_learning_rate",
        lambda lr, h: [optax.trace(h["rho"], nesterov=True), at_rate(lr)],
    )
    yield chained(
        "nesterov",
        "scale trace(nesterov=True) scale",
        lambda lr, h: [optax.scale(lr), optax.trace(h["rho"], nesterov=True), optax.scale(-1)],
        {"v": "trace"},
        {"form": "inside"},
    )
    yield Own(
        "weight_ema",
        "optax.sgd, optax.incremental_update",
        lambda lr, h: averaged(optax.sgd(lr), h["rho"]),
        {"average": "average"},
        {"start": "initial"},
    )


_FORMS = ("outside", "inside", "ema", "dampened")


def _momentum(form: str, decay: str) -> Own:
    """A chain for each form of momentum, with the decay before it or after it."""
    inside = form == "inside"
    first = {"inside": "scale ", "dampened": "scale "}.get(form, "")
    middle = "ema(debias=False)" if form == "ema" else "trace"
    names = (
        f"{'add_decayed_weights ' if decay == 'coupled' else ''}{first}{middle}"
        f"{' add_decayed_weights' if decay == 'before' else ''} {'scale' if inside else 'scale_by_learning_rate'}"
    )

    def chain(lr: Any, h: Settings) -> list[Any]:
        before = [decayed(h)] if decay == "coupled" else []
        scaled = [optax.scale(lr if inside else 1 - h["dampening"])] if first else []
        kept = optax.ema(h["rho"], debias=False) if form == "ema" else optax.trace(h["rho"])
        share = lr if inside else 1
        after = [optax.add_decayed_weights(h["weight_decay"] * share)] if decay == "before" else []
        return [*before, *scaled, kept, *after, optax.scale(-1) if inside else at_rate(lr)]

    return chained("momentum", names, chain, {"v": "ema" if form == "ema" else "trace"}, {"form": form, "decay": decay})


def _whole() -> Iterator[Own]:
    """Of whole parameters."""
    yield from alias(
        "lamb",
        "optax.lamb",
        betas("weight_decay"),
        MOMENTS,
        {"decay": "in_ratio"},
        "scale_by_adam add_decayed_weights scale_by_trust_ratio scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adam(**betas()(h)), decayed(h), optax.scale_by_trust_ratio(), at_rate(lr)],
    )
    yield from alias(
        "lars", "optax.lars",
        lambda h: {"weight_decay": h["weight_decay"], "trust_coefficient": h["trust"], "momentum": h["rho"]},
        {"v": "trace"}, {"norm": "norm_of_sum"},
        "add_decayed_weights scale_by_trust_ratio scale_by_learning_rate trace",
        lambda lr, h: [decayed(h), optax.scale_by_trust_ratio(trust_coefficient=h["trust"]), at_rate(lr),
                       optax.trace(h["rho"])],
        factors={"v": lambda h: -1.0},
    )  # fmt: skip
    slots, means = {"r": "v_row", "c": "v_col"}, {"moments": "means"}
    relative, absolute = {**means, "relative_step": True}, {**means, "relative_step": False}
    yield from alias("adafactor", "optax.adafactor", _adafactor, slots, {**relative, "eps2": 1e-3}, rate=_falling,
                     static=_SIZES)  # fmt: skip
    yield chained(
        "adafactor",
        "scale_by_factored_rms clip_by_block_rms scale_by_learning_rate scale_by_param_block_rms",
        _adafactor_parts,
        slots,
        relative,
        rate=_falling,
    )
    yield from alias(
        "adafactor",
        "optax.adafactor(multiply_by_parameter_scale=False)",
        lambda h: {**_adafactor(h), "multiply_by_parameter_scale": False},
        slots,
        absolute,
        "scale_by_factored_rms clip_by_block_rms scale_by_learning_rate",
        _adafactor_parts,
        static=_SIZES,
    )
    yield from _muon()


_SIZES = ("min_dim_size_to_factor",)


def _falling(lr: float, h: Settings, step: int) -> float:
    """Optax's learning rate is absolute: the relative one is a schedule that its user writes."""
    return min(lr, 1 / math.sqrt(step))


def _adafactor(h: Settings) -> dict[str, Any]:
    return {"min_dim_size_to_factor": 1, "decay_rate": h["decay"], "clipping_threshold": h["clip"], "eps": h["eps1"]}


def _adafactor_parts(lr: Any, h: Settings) -> list[Any]:
    factored = optax.scale_by_factored_rms(decay_rate=h["decay"], min_dim_size_to_factor=1, epsilon=h["eps1"])
    size = [optax.scale_by_param_block_rms(h["eps2"])] if h["relative_step"] else []
    return [factored, optax.clip_by_block_rms(h["clip"]), at_rate(lr), *size]


def _muon() -> Iterator[Own]:
    for momentum, nesterov in (("corrected", True), ("mean", False)):
        given = "" if nesterov else "nesterov=False"
        more: dict[str, Any] = {"factors": {"v": lambda h: 1 - h["mu"]}, "looping": True}
        for scale, rms in (("original", None), ("rms", 0.2)):
            call = ", ".join(filter(None, (given, "consistent_rms=" if rms else "")))
            yield from alias(
                "muon", f"optax.contrib.muon({call})" if call else "optax.contrib.muon", _muon_arguments(nesterov, rms),
                {"v": "mu"}, {"momentum": momentum, "scale": scale}, part="muon", static=_STATIC, **more,
            )  # fmt: skip
        yield chained(
            "muon", f"contrib.scale_by_muon{f'({given})' if given else ''} add_decayed_weights scale_by_learning_rate",
            _muon_parts(nesterov), {"v": "mu"}, {"momentum": momentum, "scale": "none"}, **more,
        )  # fmt: skip


_STATIC = ("ns_steps", "adam_b1", "adam_b2", "adam_eps_root", "adam_weight_decay")


def _muon_arguments(nesterov: bool, rms: float | None) -> Arguments:
    return lambda h: {"beta": h["mu"], "eps": h["eps"], "weight_decay": h["weight_decay"], "nesterov": nesterov,
                      "consistent_rms": rms}  # fmt: skip


def _muon_parts(nesterov: bool) -> Parts:
    """Matrices are said to be matrices: what the default None is documented to mean fails (optax 0.2.8)."""

    def matrices(params: Any) -> Any:
        return jax.tree.map(lambda _: public("optax.contrib.MuonDimensionNumbers")(), params)

    def parts(lr: Any, h: Settings) -> list[Any]:
        muon = public("optax.contrib.scale_by_muon")
        own = muon(beta=h["mu"], eps=h["eps"], nesterov=nesterov, weight_dimension_numbers=matrices)
        return [own, decayed(h), at_rate(lr)]

    return parts


OPTIMIZERS: tuple[Own, ...] = (*_descent(), *by_element(), *adam(), *_whole())
