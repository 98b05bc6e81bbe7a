"""Reading hyper-parameters off a curve of learning rates: for each schedule of the catalogue, which rate says what.

The lengths (period, steps, warm-up) are tried; all other numbers follow from the rates at them. What a curve does not
tell is what the specification has. Where the numbers that were read make the formula miss the curve, it is another one.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from crossnn.identify.schedule_curve import FLAT, Curve

Knobs = Mapping[str, Any]
Numbers = dict[str, float]
Reader = Callable[[Curve, Knobs, Mapping[str, int]], Numbers]
FEW_DIGITS = 10


def _constant(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    return {"lr": c.first}


def _far(c: Curve, period: int) -> tuple[int, float]:
    """How many periods lie before the last joint that says something, and the rate there."""
    places = [int(t) // period for t in c.t if t and t % period == 0 and abs(c.at(t)) > 1e-3 * abs(c.first)]
    many = max(places, default=1)
    return many, c.at(many * period)


def _power(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    """gamma**(t/period), in stairs or not."""
    many, rate = _far(c, n["period"])
    return {"lr": c.first, "gamma": _root(rate / c.first, many) if c.first else math.nan}


def _first_power(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    """The same from the first joint alone: what ends its stairs is near."""
    return {"lr": c.first, "gamma": c.at(n["period"]) / c.first if c.first else math.nan}


def _root(value: float, degree: int) -> float:
    return float(value ** (1 / degree)) if value > 0 else math.nan


def _inverse(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    many, rate = _far(c, n["period"])
    return {"lr": c.first, "rate": (c.first / rate - 1) / many if rate else math.nan}


def _polynomial(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    lr, end, steps = c.first, c.at(n["steps"]), n["steps"]
    inside = (c.t > 0) & (c.t < steps)
    with np.errstate(all="ignore"):
        shares = (c.rates[inside] - end) / (lr - end)
        powers = np.log(shares) / np.log1p(-c.t[inside] / steps)
    powers = powers[np.isfinite(powers)]
    power = float(np.median(powers)) if powers.size else 1.0
    return {"lr": lr, "end": end, "power": round(power, 6) if abs(power - round(power, 6)) < 1e-4 else power}


def _cosine(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    if k["beyond"] != "restarts":
        return {"lr": c.first, "end": c.at(n["steps"])}
    share = (1 + math.cos(math.pi * (n["steps"] - 1) / n["steps"])) / 2
    return {"lr": c.first, "end": (c.at(n["steps"] - 1) - c.first * share) / (1 - share) if share != 1 else math.nan}


def _warmup(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    return {"lr": c.last}


def _warm_cosine(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    back = 0 if k["first"] == "zero" else 1
    return {"lr": c.at(n["warmup"] - back), "end": c.at(n["steps"] - back)}


def _one_cycle(c: Curve, k: Knobs, n: Mapping[str, int]) -> Numbers:
    lr, end = c.at(n["rise"]), c.at(n["steps"])
    return {"lr": lr, "start": lr / c.first if c.first else math.nan, "end": lr / end if end else math.nan}


READERS: Mapping[str, tuple[tuple[str, ...], tuple[Reader, ...]]] = {
    "constant": ((), (_constant,)),
    "step_decay": (("period",), (_power, _first_power)),
    "exponential_decay": (("period",), (_power, _first_power)),
    "inverse_time_decay": (("period",), (_inverse,)),
    "polynomial_decay": (("steps",), (_polynomial,)),
    "cosine_decay": (("steps",), (_cosine,)),
    "linear_warmup": (("warmup",), (_warmup,)),
    "warmup_cosine": (("warmup", "steps"), (_warm_cosine,)),
    "one_cycle": (("rise", "steps"), (_one_cycle,)),
}
"""Schedule -> its lengths, and what reads the rest."""
SENSIBLE: Mapping[str, Callable[[Numbers, Knobs], bool]] = {
    "one_cycle": lambda n, k: n["start"] > 1 and n["end"] > 1 and n["rise"] * (2 if k["phases"] == "three" else 1)
    < n["steps"],
    "warmup_cosine": lambda n, k: n["warmup"] < n["steps"],
}  # fmt: skip
"""Of a schedule with several phases, whether it has them: without, another formula says it shorter."""


def proposals(row: Any, knobs: Knobs, curve: Curve) -> Iterator[Numbers]:
    """Hyper-parameters for which the formula may be this curve."""
    if row.name not in READERS:
        yield dict(row.params)
        return
    lengths, readers = READERS[row.name]
    tried = [*curve.counts[:60], 1] if len(lengths) < 2 else curve.counts[:24]
    for each in itertools.product(dict.fromkeys(tried), repeat=len(lengths)):
        if not each:
            yield {**row.params, **readers[0](curve, knobs, {})}
            return
        chosen = {name: float(value) for name, value in zip(lengths, each, strict=True)}
        for reader in readers:
            if (len(each) == 2 and each[0] >= each[1]) or (each[-1] >= curve.t[-1] and not curve.ended):
                continue  # what comes behind its last joint was not seen
            found = reader(curve, knobs, {name: int(value) for name, value in chosen.items()})
            if abs(found.get("end", 1.0)) < 1e-12 * abs(curve.first):
                found["end"] = 0.0
            whole = {**row.params, **chosen, **found}
            if all(map(math.isfinite, found.values())) and SENSIBLE.get(row.name, _any)(whole, knobs):
                yield whole


def _any(numbers: Numbers, knobs: Knobs) -> bool:
    return True


def short(value: float) -> float:
    """A number that is one of few digits but for rounding, as that; one of float32 too."""
    if not math.isfinite(value) or value == 0:
        return value
    for digits, within in ((FEW_DIGITS, 1e-13), (6, FLAT)):
        near = float(f"{value:.{digits}g}")
        if abs(near - value) <= within * abs(value):
            return near
    return value
