"""Which setting of a call a number of a schedule is: by its name, by its value, or as a product or quotient of two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from crossnn.identify.names import Source, constant, related
from crossnn.identify.schedule_curve import FLAT

ALIASES: Mapping[str, tuple[str, ...]] = {
    "lr": ("lr", "learning_rate", "initial_learning_rate", "init_value", "peak_value", "max_lr", "value",
           "warmup_target", "end_value", "step_size"),
    "end": ("eta_min", "end_learning_rate", "end_value", "final_div_factor"),
    "steps": ("T_max", "decay_steps", "total_steps", "transition_steps", "T_0", "first_decay_steps", "total_iters"),
    "period": ("step_size", "decay_steps", "transition_steps"),
    "gamma": ("gamma", "decay_rate"),
    "rate": ("decay_rate",),
    "warmup": ("warmup_steps", "total_iters", "transition_steps"),
    "start": ("div_factor",),
    "power": ("power",),
    "low": ("minval", "a", "lower"),
    "high": ("maxval", "b", "scale", "upper"),
    "stddev": ("std",),
    "value": ("val",),
    "gain": ("scale",),
}  # fmt: skip
"""Ours -> what frameworks call it."""
PAIRS: Mapping[str, Callable[[float, float], float]] = {
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b if b else math.nan,
    " - ": lambda a, b: a - b,
    " + ": lambda a, b: a + b,
}


@dataclass(frozen=True)
class Pair(Source):
    """What two settings make, or one and a number."""

    second: str = ""
    sign: str = ""

    def value(self, settings: Mapping[str, float]) -> float:
        if self.setting not in settings:
            return math.nan
        other = settings.get(self.second, self.number)
        return PAIRS[self.sign](settings[self.setting], other)


class Names:
    """The likeliest setting, or pair of settings, with a value; the number itself where there is none."""

    def __init__(self, settings: Mapping[str, float]) -> None:
        self.settings = settings
        self.tables: dict[str, tuple[list[Source], np.ndarray]] = {}

    def source(self, hyper: str, value: float, within: float = FLAT) -> Source:
        if hyper not in self.tables:
            listed = list(_choices(hyper, self.settings))
            self.tables[hyper] = listed, np.array([one.value(self.settings) for one in listed])
        choices, values = self.tables[hyper]
        with np.errstate(invalid="ignore"):
            near = np.flatnonzero(np.abs(values - value) <= within * abs(value))
        return choices[near[0]] if len(near) else constant(value)


def _choices(hyper: str, settings: Mapping[str, float]) -> Iterator[Source]:
    last = {name: name.rpartition(".")[2] for name in settings}
    known = (hyper, *ALIASES.get(hyper, ()))
    yield from (related(name) for alias in known for name, short in last.items() if short == alias)
    yield from map(related, settings)
    if len(settings) > 12:
        return
    for sign in ("*", "/", " - ", " + "):
        for a, b in itertools.permutations(settings, 2):
            if sign in "*/" or float(settings[b]).is_integer():
                yield Pair(f"{a}{sign}{b}", a, 0, 0.0, b, sign)
        if sign in (" - ", " + "):
            yield from (Pair(f"{a}{sign}1", a, 0, 1.0, "", sign) for a in settings)
