"""Optax's optimizers, as rows: the settings for which each is our formula, and its state by our names.

Of each there are up to three: the alias that most users call, the same with its hyper-parameters in the state
(`optax.inject_hyperparams`), and the chain of parts that the alias is made of. What has no alias is a chain alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import optax

from .jax_optimizers import Own, Settings, averaged
from .jax_rows import public

Arguments = Callable[[Settings], Mapping[str, Any]]
Parts = Callable[[Any, Settings], list[Any]]
Values = Mapping[str, Any]
_Factor = Callable[[Settings], float]


def _alias(
    spec: str, call: str, arguments: Arguments, slots: Values, knobs: Values, parts: str = "",
    chain: Parts | None = None, *, factors: Mapping[str, _Factor] | None = None, static: tuple[str, ...] = (),
    **more: Any,
) -> Iterator[Own]:  # fmt: skip
    """The alias; injected; and, of the `parts` by name, its chain. `static` arguments must stay numbers of Python."""
    name, shared = call.partition("(")[0], {"factors": factors or {}, **more}
    made = call.removeprefix(name)
    yield Own(spec, call, lambda lr, h: public(name)(lr, **arguments(h)), slots, knobs, **shared)
    yield Own(
        spec, f"optax.inject_hyperparams({name}){made}",
        lambda lr, h: optax.inject_hyperparams(public(name), static)(learning_rate=lr, **arguments(h)),
        slots, knobs, injected=True, **shared,
    )  # fmt: skip
    if chain is not None:
        yield _chain(spec, parts, chain, slots, knobs, factors=factors, **more)


def _chain(
    spec: str, parts: str, chain: Parts, slots: Values, knobs: Values | None = None,
    factors: Mapping[str, _Factor] | None = None, **more: Any,
) -> Own:  # fmt: skip
    names = ", ".join(f"optax.{name}" for name in parts.split())
    return Own(spec, f"optax.chain({names})", lambda lr, h: optax.chain(*chain(lr, h)), slots, knobs or {},
               factors or {}, **more)  # fmt: skip


def _rate(lr: Any) -> Any:
    return optax.scale_by_learning_rate(lr)


def _descent() -> Iterator[Own]:
    yield from _alias("sgd", "optax.sgd", lambda h: {}, {}, {"decay": "none"})
    yield _chain("sgd", "scale_by_learning_rate", lambda lr, h: [_rate(lr)], {}, {"decay": "none"})
    yield _chain("sgd", "scale_by_schedule", lambda lr, h: [optax.scale_by_schedule(lambda count: -lr)], {},
                 {"decay": "none"})  # fmt: skip
    yield _chain("sgd", "add_decayed_weights sgd", lambda lr, h: [_decayed(h), optax.sgd(lr)], {}, {"decay": "coupled"})
    yield from _alias(
        "momentum",
        "optax.sgd(momentum=)",
        lambda h: {"momentum": h["rho"]},
        {"v": "trace"},
        {"form": "outside", "decay": "none"},
    )
    yield from (_momentum(form, decay) for form in _FORMS for decay in ("none", "coupled", "before"))
    yield from _alias(
        "nesterov",
        "optax.sgd(momentum=, nesterov=True)",
        lambda h: {"momentum": h["rho"], "nesterov": True},
        {"v": "trace"},
        {"form": "outside"},
        "trace(nesterov=True) scale_by_learning_rate",
        lambda lr, h: [optax.trace(h["rho"], nesterov=True), _rate(lr)],
    )
    yield _chain(
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


def _decayed(h: Settings) -> Any:
    return optax.add_decayed_weights(h["weight_decay"])


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
        before = [_decayed(h)] if decay == "coupled" else []
        scaled = [optax.scale(lr if inside else 1 - h["dampening"])] if first else []
        kept = optax.ema(h["rho"], debias=False) if form == "ema" else optax.trace(h["rho"])
        share = lr if inside else 1
        after = [optax.add_decayed_weights(h["weight_decay"] * share)] if decay == "before" else []
        return [*before, *scaled, kept, *after, optax.scale(-1) if inside else _rate(lr)]

    return _chain("momentum", names, chain, {"v": "ema" if form == "ema" else "trace"}, {"form": form, "decay": decay})


def _by_element() -> Iterator[Own]:
    yield from _alias(
        "adagrad",
        "optax.adagrad",
        lambda h: {"initial_accumulator_value": h["initial_accumulator"], "eps": h["eps"]},
        {"a": "sum_of_squares"},
        {"eps_place": "inside"},
        "scale_by_rss scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_rss(h["initial_accumulator"], h["eps"]), _rate(lr)],
    )
    yield from _alias(
        "adadelta",
        "optax.adadelta",
        lambda h: {"rho": h["rho"], "eps": h["eps"]},
        {"a": "e_g", "b": "e_x"},
        {},
        "scale_by_adadelta scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adadelta(h["rho"], h["eps"]), _rate(lr)],
    )
    slots, factors = {"v": "nu", "mean": "mu", "u": "trace"}, {"u": lambda h: -1.0}
    yield from _alias(
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
            yield _chain(
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
    yield _chain(
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
        "none": [_rate(lr)],
        "outside": [optax.trace(h["mu"]), _rate(lr)],
        "inside": [_rate(lr), optax.trace(h["mu"])],
    }
    return [own, *kept[h["momentum"]]]


def _betas(*names: str) -> Arguments:
    """The arguments that the family of Adam shares; `names` are more of ours."""
    return lambda h: {"b1": h["beta1"], "b2": h["beta2"], "eps": h["eps"], **{name: h[name] for name in names}}


def _root(h: Settings) -> dict[str, Any]:
    return {"b1": h["beta1"], "b2": h["beta2"], "eps": 0.0, "eps_root": h["eps"]}


_MOMENTS = {"m": "mu", "v": "nu"}
_OUTSIDE = {"eps_place": "outside"}


def _adam() -> Iterator[Own]:
    adam = "scale_by_adam scale_by_learning_rate"
    corrected = {"bias_correction": True}
    yield from _alias(
        "adam",
        "optax.adam",
        _betas(),
        _MOMENTS,
        {**_OUTSIDE, **corrected},
        adam,
        lambda lr, h: [optax.scale_by_adam(**_betas()(h)), _rate(lr)],
    )
    yield from _alias(
        "adam",
        "optax.adam(eps=0, eps_root=)",
        _root,
        _MOMENTS,
        {"eps_place": "inside", **corrected},
        "scale_by_adam(eps=0, eps_root=) scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adam(**_root(h)), _rate(lr)],
    )
    yield from _alias(
        "adamw",
        "optax.adamw",
        _betas("weight_decay"),
        _MOMENTS,
        {"decay": "before", **_OUTSIDE},
        "scale_by_adam add_decayed_weights scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adam(**_betas()(h)), _decayed(h), _rate(lr)],
    )
    yield _chain(
        "adamw",
        "add_decayed_weights adam",
        lambda lr, h: [_decayed(h), optax.adam(lr, **_betas()(h))],
        _MOMENTS,
        {"decay": "coupled", **_OUTSIDE},
    )
    yield _chain(
        "adamw",
        "adam add_decayed_weights",
        lambda lr, h: [optax.adam(lr, **_betas()(h)), optax.add_decayed_weights(-h["weight_decay"])],
        _MOMENTS,
        {"decay": "unscaled", **_OUTSIDE},
    )
    largest = {**_MOMENTS, "largest": "nu_max"}
    yield from _alias(
        "amsgrad",
        "optax.amsgrad",
        _betas(),
        largest,
        {"correction": "before"},
        "scale_by_amsgrad scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_amsgrad(**_betas()(h)), _rate(lr)],
    )
    free = {"bias_correction_mu": False, "bias_correction_nu": False}
    yield from _alias(
        "amsgrad",
        "optax.amsgrad(bias_correction_mu=False, bias_correction_nu=False)",
        lambda h: {**_betas()(h), **free},
        largest,
        {"correction": "none"},
        "scale_by_amsgrad(bias_correction_mu=False, bias_correction_nu=False) scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_amsgrad(**_betas()(h), **free), _rate(lr)],
    )
    yield from _alias(
        "adamax",
        "optax.adamax",
        _betas(),
        {"m": "mu", "u": "nu"},
        {"eps_place": "inside"},
        "scale_by_adamax scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adamax(**_betas()(h)), _rate(lr)],
    )
    yield Own(
        "adamax", "optax.adamaxw(weight_decay=0)",
        lambda lr, h: optax.adamaxw(lr, **_betas()(h), weight_decay=0.0),
        {"m": "mu", "u": "nu"}, {"eps_place": "inside"},
    )  # fmt: skip
    yield from _alias(
        "nadam",
        "optax.nadam",
        _betas(),
        _MOMENTS,
        {"schedule": "never"},
        "scale_by_adam(nesterov=True) scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adam(**_betas()(h), nesterov=True), _rate(lr)],
    )
    yield Own("nadam", "optax.nadamw(weight_decay=0)", lambda lr, h: optax.nadamw(lr, **_betas()(h), weight_decay=0.0),
              _MOMENTS, {"schedule": "never"})  # fmt: skip
    yield Own("nadam", "optax.adam(nesterov=True)", lambda lr, h: optax.adam(lr, **_betas()(h), nesterov=True),
              _MOMENTS, {"schedule": "never"})  # fmt: skip
    yield from _alias(
        "radam",
        "optax.radam",
        _betas("threshold"),
        _MOMENTS,
        _OUTSIDE,
        "scale_by_radam scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_radam(**_betas("threshold")(h)), _rate(lr)],
    )
    yield from _alias(
        "adabelief",
        "optax.adabelief",
        lambda h: {**_betas()(h), "eps_root": h["eps"]},
        {"m": "mu", "s": "nu"},
        {},
        "scale_by_belief scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_belief(**_betas()(h), eps_root=h["eps"]), _rate(lr)],
    )
    yield from _alias(
        "lion",
        "optax.lion",
        lambda h: {"b1": h["beta1"], "b2": h["beta2"], "weight_decay": h["weight_decay"]},
        {"m": "mu"},
        {},
        "scale_by_lion add_decayed_weights scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_lion(h["beta1"], h["beta2"]), _decayed(h), _rate(lr)],
    )


def _whole() -> Iterator[Own]:
    """Of whole parameters."""
    yield from _alias(
        "lamb",
        "optax.lamb",
        _betas("weight_decay"),
        _MOMENTS,
        {"decay": "in_ratio"},
        "scale_by_adam add_decayed_weights scale_by_trust_ratio scale_by_learning_rate",
        lambda lr, h: [optax.scale_by_adam(**_betas()(h)), _decayed(h), optax.scale_by_trust_ratio(), _rate(lr)],
    )
    yield from _alias(
        "lars", "optax.lars",
        lambda h: {"weight_decay": h["weight_decay"], "trust_coefficient": h["trust"], "momentum": h["rho"]},
        {"v": "trace"}, {"norm": "norm_of_sum"},
        "add_decayed_weights scale_by_trust_ratio scale_by_learning_rate trace",
        lambda lr, h: [_decayed(h), optax.scale_by_trust_ratio(trust_coefficient=h["trust"]), _rate(lr),
                       optax.trace(h["rho"])],
        factors={"v": lambda h: -1.0},
    )  # fmt: skip
    slots, means = {"r": "v_row", "c": "v_col"}, {"moments": "means"}
    relative, absolute = {**means, "relative_step": True}, {**means, "relative_step": False}
    yield from _alias("adafactor", "optax.adafactor", _adafactor, slots, {**relative, "eps2": 1e-3}, rate=_falling,
                      static=_SIZES)  # fmt: skip
    yield _chain("adafactor", "scale_by_factored_rms clip_by_block_rms scale_by_learning_rate scale_by_param_block_rms",
                 _adafactor_parts, slots, relative, rate=_falling)  # fmt: skip
    yield from _alias(
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
    factored = optax.scale_by_factored_rms(
        decay_rate=h["decay"], min_dim_size_to_factor=1, epsilon=h["eps1"]
    )  # fmt: skip
    size = [optax.scale_by_param_block_rms(h["eps2"])] if h["relative_step"] else []
    return [factored, optax.clip_by_block_rms(h["clip"]), _rate(lr), *size]


def _muon() -> Iterator[Own]:
    for momentum, nesterov in (("corrected", True), ("mean", False)):
        given = "" if nesterov else "nesterov=False"
        more: dict[str, Any] = {"factors": {"v": lambda h: 1 - h["mu"]}, "looping": True}
        for scale, rms in (("original", None), ("rms", 0.2)):
            call = ", ".join(filter(None, (given, "consistent_rms=" if rms else "")))
            yield from _alias(
                "muon", f"optax.contrib.muon({call})" if call else "optax.contrib.muon", _muon_arguments(nesterov, rms),
                {"v": "mu"}, {"momentum": momentum, "scale": scale}, part="muon", static=_STATIC, **more,
            )  # fmt: skip
        yield _chain(
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
        return [own, _decayed(h), _rate(lr)]

    return parts


OPTIMIZERS: tuple[Own, ...] = (*_descent(), *_by_element(), *_adam(), *_whole())
