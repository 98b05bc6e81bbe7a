"""PyTorch's own learning-rate schedules and clippings, as rows.

A scheduler renews the learning rate of an optimizer: it is read before every step, as a training loop would. One that
refuses to go on after its last step leaves the rate where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import utils
from torch.optim import lr_scheduler, swa_utils

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import Row, Rows, Table, When, fits

S = "torch.optim.lr_scheduler."
EAGER = ("eager",)
Make = Callable[[torch.optim.Optimizer, Knobs], Any]
Last = Callable[[Knobs], int]
Clip = Callable[[list[Tensor], float], Any]


def _schedule(call: str, make: Make, when: When | None = None, last: Last | None = None) -> Row:
    """`last` is the step after which the scheduler refuses to go on."""

    def bind(knobs: Knobs) -> Native | None:
        return Native(S + call, lambda t: _rates(make, knobs, t, last)) if fits(knobs, when or {}) else None

    return bind


def _rates(make: Make, knobs: Knobs, counts: np.ndarray, last: Last | None) -> np.ndarray:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=float(knobs["lr"]))
    scheduler = make(optimizer, knobs)
    found = [float(optimizer.param_groups[0]["lr"])]
    for step in range(int(np.max(counts))):
        if last is None or step < last(knobs):
            optimizer.step()
            scheduler.step()
        found.append(float(optimizer.param_groups[0]["lr"]))
    rates: np.ndarray = np.asarray(found)[np.asarray(counts, int)]
    return rates


def _whole(knobs: Knobs, name: str) -> int:
    return round(float(knobs[name]))


def _sequence(o: torch.optim.Optimizer, milestones: list[int], *parts: Any) -> Any:
    return lr_scheduler.SequentialLR(o, list(parts), milestones)


def _held(o: torch.optim.Optimizer, knobs: Knobs) -> Any:
    """The last rate, for good."""
    return lr_scheduler.ConstantLR(o, float(knobs["end"]) / float(knobs["lr"]), total_iters=1 << 60)


def _cosine(o: torch.optim.Optimizer, knobs: Knobs, steps: int) -> Any:
    return lr_scheduler.CosineAnnealingLR(o, steps, float(knobs["end"]))


def _warmup(o: torch.optim.Optimizer, knobs: Knobs) -> Any:
    warmup = _whole(knobs, "warmup")
    return lr_scheduler.LinearLR(o, 1 / warmup, 1.0, warmup - 1)


def _one_cycle(o: torch.optim.Optimizer, knobs: Knobs) -> Any:
    """torch counts steps, of which the peak is one, and divides the lowest rate of the beginning."""
    rise, steps = _whole(knobs, "rise"), _whole(knobs, "steps")
    return lr_scheduler.OneCycleLR(
        o, float(knobs["lr"]), total_steps=steps + 1, pct_start=(rise + 1) / (steps + 1),
        anneal_strategy="cos" if knobs["anneal"] == "cosine" else "linear", cycle_momentum=False,
        div_factor=float(knobs["start"]), final_div_factor=float(knobs["end"]) / float(knobs["start"]),
        three_phase=knobs["phases"] == "three",
    )  # fmt: skip


def _joints(knobs: Knobs) -> list[int]:
    period = _whole(knobs, "period")
    return list(range(period, 1000 * period, period))


def _exponential(o: torch.optim.Optimizer, knobs: Knobs) -> Any:
    return lr_scheduler.ExponentialLR(o, float(knobs["gamma"]) ** (1 / _whole(knobs, "period")))


def _polynomial(o: torch.optim.Optimizer, knobs: Knobs) -> Any:
    return lr_scheduler.PolynomialLR(o, _whole(knobs, "steps"), float(knobs["power"]))


def _polynomial_above(knobs: Knobs) -> Native | None:
    """torch's ends at 0: what is above the end is its rate."""
    if knobs["end"] == 0:
        return None
    end, above = float(knobs["end"]), {**knobs, "lr": float(knobs["lr"]) - float(knobs["end"])}
    return Native(f"{S}PolynomialLR(lr - end) + end", lambda t: end + _rates(_polynomial, above, t, None))


def _averaging(knobs: Knobs) -> Native | None:
    """From any rate to that at which weights are averaged."""
    if not fits(knobs, _STAYS):
        return None

    def make(o: torch.optim.Optimizer, k: Knobs) -> Any:
        return swa_utils.SWALR(o, float(k["end"]), _whole(k, "steps"), "cos")

    return Native("torch.optim.swa_utils.SWALR", lambda t: _rates(make, knobs, t, None))


_STAYS, _STAIRCASE = {"beyond": "stays"}, {"staircase": True}

SCHEDULES: Table = {
    "constant": (
        _schedule("ConstantLR(factor=1)", lambda o, k: lr_scheduler.ConstantLR(o, 1.0)),
        _schedule("LambdaLR", lambda o, k: lr_scheduler.LambdaLR(o, lambda step: 1.0)),
        _schedule("MultiplicativeLR", lambda o, k: lr_scheduler.MultiplicativeLR(o, lambda step: 1.0)),
    ),
    "step_decay": (
        _schedule("StepLR", lambda o, k: lr_scheduler.StepLR(o, _whole(k, "period"), k["gamma"])),
        _schedule("MultiStepLR", lambda o, k: lr_scheduler.MultiStepLR(o, _joints(k), k["gamma"])),
    ),
    "exponential_decay": (
        _schedule("ExponentialLR", _exponential, {"staircase": False}),
        _schedule("StepLR", lambda o, k: lr_scheduler.StepLR(o, _whole(k, "period"), k["gamma"]), _STAIRCASE),
    ),
    "polynomial_decay": (_schedule("PolynomialLR", _polynomial, {"end": 0.0}), _polynomial_above),
    "cosine_decay": (
        _schedule("CosineAnnealingLR", lambda o, k: _cosine(o, k, _whole(k, "steps")), {"beyond": "rises"}),
        _schedule(
            "CosineAnnealingWarmRestarts",
            lambda o, k: lr_scheduler.CosineAnnealingWarmRestarts(o, _whole(k, "steps"), eta_min=k["end"]),
            {"beyond": "restarts"},
        ),
        _schedule(
            "SequentialLR(CosineAnnealingLR, ConstantLR)",
            lambda o, k: _sequence(o, [_whole(k, "steps")], _cosine(o, k, _whole(k, "steps")), _held(o, k)), _STAYS,
        ),
        _schedule(
            "CosineAnnealingLR, no step after the last",
            lambda o, k: _cosine(o, k, _whole(k, "steps")), _STAYS, lambda k: _whole(k, "steps"),
        ),
        _averaging,
    ),
    "linear_warmup": (_schedule("LinearLR", _warmup, {"first": "one"}),),
    "warmup_cosine": (
        _schedule(
            "SequentialLR(LinearLR, CosineAnnealingLR, ConstantLR)",
            lambda o, k: _sequence(
                o, [_whole(k, "warmup") - 1, _whole(k, "steps") - 1],
                _warmup(o, k), _cosine(o, k, _whole(k, "steps") - _whole(k, "warmup")), _held(o, k),
            ),
            {"first": "one"},
        ),
    ),
    "one_cycle": (_schedule("OneCycleLR", _one_cycle, last=lambda k: _whole(k, "steps")),),
}  # fmt: skip


def _clipped(call: str, clip: Clip, when: When | None = None, alone: bool = False) -> Row:
    """torch clips what parameters have as gradients, in place; `alone`: it is called for each."""

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when or {}):
            return None

        def clipped(gradients: Params) -> Params:
            parameters = {name: torch.zeros_like(g) for name, g in gradients.items()}
            for name, parameter in parameters.items():
                parameter.grad = gradients[name].clone()
            every = list(parameters.values())
            for some in ([one] for one in every) if alone else (every,):
                clip(some, float(knobs["limit"]))
            return {name: parameter.grad for name, parameter in parameters.items()}

        return Native(f"torch.nn.utils.{call}", clipped, EAGER)

    return bind


def _in_two_steps(parameters: list[Tensor], limit: float) -> None:
    norm = utils.get_total_norm([one.grad for one in parameters])
    utils.clip_grads_with_norm_(parameters, limit, norm)


def _foreach(on: bool) -> Callable[[list[Tensor], float], Any]:
    return lambda p, limit: utils.clip_grad_norm_(p, limit, foreach=on)


def _by_norm(alone: bool) -> Rows:
    every = (
        ("clip_grad_norm_", utils.clip_grad_norm_),
        ("clip_grad_norm_(foreach=True)", _foreach(True)),
        ("clip_grad_norm_(foreach=False)", _foreach(False)),
        ("get_total_norm, torch.nn.utils.clip_grads_with_norm_", _in_two_steps),
    )
    return tuple(_clipped(call, clip, {"guarded": True}, alone) for call, clip in every)


CLIPPINGS: Table = {
    "clip_by_value": (
        _clipped("clip_grad_value_", utils.clip_grad_value_),
        _clipped("clip_grad_value_(foreach=True)", lambda p, limit: utils.clip_grad_value_(p, limit, foreach=True)),
        _clipped("clip_grad_value_(foreach=False)", lambda p, limit: utils.clip_grad_value_(p, limit, foreach=False)),
    ),
    "clip_by_norm": _by_norm(alone=True),
    "clip_by_global_norm": _by_norm(alone=False),
}
