"""Whose hyper-parameter is whose: names that frameworks use, and simple relations between theirs and ours.

Names propose, measurement decides: where they do not, every number that is set is tried, through every relation.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crossnn.catalogue.rows import Row

ALIASES: Mapping[str, tuple[str, ...]] = {
    "lr": ("lr", "learning_rate", "step_size"),
    "beta1": ("betas[0]", "beta_1", "b1", "beta1", "rho1"),
    "beta2": ("betas[1]", "beta_2", "b2", "beta2", "rho2"),
    "eps": ("eps", "epsilon", "eps_root"),
    "eps1": ("eps[0]", "epsilon_1", "eps"),
    "eps2": ("eps[1]", "epsilon_2"),
    "rho": ("rho", "momentum", "alpha", "decay", "ema_momentum", "beta"),
    "mu": ("momentum", "beta", "mu"),
    "dampening": ("dampening",),
    "weight_decay": ("weight_decay", "wd", "weight_decay_rate"),
    "lambd": ("lambd",),
    "alpha": ("alpha", "negative_slope"),
    "t0": ("t0",),
    "initial_accumulator": ("initial_accumulator_value", "initial_accumulator"),
    "eta_minus": ("etas[0]", "eta_minus"),
    "eta_plus": ("etas[1]", "eta_plus"),
    "step_min": ("step_sizes[0]", "min_step_size"),
    "step_max": ("step_sizes[1]", "max_step_size"),
    "momentum_decay": ("momentum_decay",),
    "threshold": ("threshold", "thresholds"),
    "limit": ("max_value", "max_norm", "clip_norm", "clip_value", "clip_value_max", "maxnorm", "max_delta", "scale"),
    "least": ("min_value",),
    "beta": ("beta", "pos_weight"),
    "l1": ("l1", "l1_regularization_strength"),
    "l2": ("l2", "l2_regularization_strength"),
    "trust": ("trust_coefficient", "trust"),
    "clip": ("d", "clip_threshold", "clipping_threshold"),
    "decay": ("beta2_decay", "beta_2_decay", "decay_rate"),
    "theta": ("lambd", "lower", "threshold"),
    "delta": ("delta",),
    "gamma": ("gamma",),
    "margin": ("margin",),
    "smoothing": ("label_smoothing", "smoothing"),
    "scale": ("scale",),
    "b": ("b",),
    "rate": ("l2", "l1", "rate"),
    "at_zero": ("values",),
}
"""Ours -> theirs, the likeliest first."""
SWITCHED_OFF = ("momentum", "weight_decay", "weight_decay_rate", "l1", "l2")
KNOWN = frozenset(alias for ours, aliases in ALIASES.items() for alias in (ours, *aliases))

RELATIONS: tuple[tuple[str, Callable[[float], float]], ...] = (
    ("{}", lambda x: x),
    ("-{}", lambda x: -x),
    ("1 - {}", lambda x: 1 - x),
    ("2*{}", lambda x: 2 * x),
    ("{}/2", lambda x: x / 2),
    ("{} + 1", lambda x: x + 1),
    ("{}**2", lambda x: x * x),
    ("sqrt({})", lambda x: math.sqrt(x) if x >= 0 else math.nan),
    ("1/{}", lambda x: 1 / x if x else math.inf),
)
"""How ours follows from theirs."""


@dataclass(frozen=True)
class Source:
    """Where the value of a hyper-parameter comes from: a setting of theirs through a relation, or a number of ours."""

    text: str
    setting: str = ""
    relation: int = 0
    number: float = 0.0

    def value(self, settings: Mapping[str, float]) -> float:
        """The value at these settings; NaN where they do not have it, and where a relation makes it negative, which no
        hyper-parameter is but by a user's own will."""
        if not self.setting:
            return self.number
        if self.setting not in settings:
            return math.nan
        found = RELATIONS[self.relation][1](settings[self.setting])
        return math.nan if self.relation and found < 0 else found


def numeric(settings: Mapping[str, Any]) -> dict[str, float]:
    """The settings that are numbers; None stands for 0 where it switches something off."""
    return {
        name: float(value or 0.0)
        for name, value in settings.items()
        if (value is None and name in SWITCHED_OFF) or (isinstance(value, int | float) and not isinstance(value, bool))
    }


def related(setting: str, relation: int = 0) -> Source:
    """A setting of theirs through a relation."""
    shown = setting if re.fullmatch(r"[\w.\[\]]+", setting) else f"({setting})"
    return Source(setting if not relation else RELATIONS[relation][0].format(shown), setting, relation)


def constant(value: float) -> Source:
    return Source(f"{value:g}", number=value)


def by_name(hyper: str, settings: Mapping[str, float]) -> list[Source]:
    """Settings whose name says that they are this hyper-parameter; those inside nested calls too."""
    last = {name: name.rpartition(".")[2] for name in settings}
    known = (hyper, *ALIASES.get(hyper, ()))
    return [related(name) for alias in dict.fromkeys(known) for name, short in last.items() if short == alias]


def usual(row: Row, hyper: str) -> list[Source]:
    """The numbers that the specification itself has for it."""
    cases: list[Mapping[str, Any]] = getattr(row, "cases", [])
    params: Mapping[str, float] = getattr(row, "params", {})
    found = [params[hyper], *(one[hyper] for one in cases if hyper in one)]
    if hyper == "eps1":  # torch.finfo(torch.float64).eps, which its Adafactor takes where nothing is said
        found.append(2.0**-52)
    return [constant(value) for value in dict.fromkeys(found)]


def first_choices(row: Row, hyper: str, settings: Mapping[str, float]) -> list[Source]:
    """What a name says, else what the specification has."""
    return by_name(hyper, settings) or usual(row, hyper)


def named_choices(hyper: str, settings: Mapping[str, float]) -> Iterator[Source]:
    """Settings of that name, through every relation."""
    for one in by_name(hyper, settings):
        yield from (related(one.setting, place) for place in range(len(RELATIONS)))


def all_choices(row: Row, hyper: str, settings: Mapping[str, float]) -> Iterator[Source]:
    """Everything that is tried where the first choices do not fit."""
    yield from named_choices(hyper, settings)
    yield from usual(row, hyper)
    yield from (constant(value) for value in (0.0, 1.0))
    named = {one.setting for one in by_name(hyper, settings)}
    yield from (related(name, place) for name in settings if name not in named for place in range(3))
