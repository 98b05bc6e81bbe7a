"""What a call of PyTorch makes of what surrounds a training: schedulers, clippings and initializers, to be identified.

A scheduler renews the learning rate of an optimizer; which optimizer does not matter, and its learning rate is read
before every step. `opt` may be any name, or a call that makes one: its learning rate is that of the schedule.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import init
from torch.optim import lr_scheduler

from crossnn.adapter import Adapter, Native, Opened, Tensor
from crossnn.errors import BackendError
from crossnn.identify.calls import Call, parse_call, resolve
from crossnn.identify.own_source import arguments, required
from crossnn.identify.signatures import bound
from crossnn.identify.trying import tried

from .torch_opened import NAMESPACES

PLACE = "torch.optim.lr_scheduler"
SCHEDULERS = {PLACE: (lr_scheduler, tuple(
    name for name in dir(lr_scheduler)
    if isinstance(one := getattr(lr_scheduler, name), type) and issubclass(one, lr_scheduler.LRScheduler)
    and not name.startswith("_")
))}  # fmt: skip
RATE = 0.1
"""The learning rate of an optimizer of which nothing is said."""
CLIPPINGS = {"torch.nn.utils": (torch.nn.utils, ("clip_grad_norm_", "clip_grad_value_"))}
INITIALIZERS = {"torch.nn.init": (init, tuple(
    name for name in dir(init) if name.endswith("_") and not name.startswith("_")
))}  # fmt: skip
PLAIN_DRAWS: Mapping[str, Callable[..., Any]] = {
    "u": lambda x, generator: x.uniform_(0.0, 1.0, generator=generator),
    "z": lambda x, generator: x.normal_(0.0, 1.0, generator=generator),
    "c": lambda x, generator: init.trunc_normal_(x, 0.0, 1.0, -2.0, 2.0, generator=generator),
}
"""What is drawn, by the names that formulas use."""
PLAIN: Mapping[str, tuple[Callable[..., Any], str]] = {
    "torch.clamp": (torch.clamp, "activation"),
    "torch.renorm": (torch.renorm, "constraint"),
}
MOST = 250_000
"""So many steps are taken."""
OPTIMIZERS = ("optimizer", "opt", "optim")


def opened(adapter: Adapter, text: str) -> Opened | None:
    """A scheduler, a clipping or a projection; None of anything else."""
    call = parse_call(text)
    place = call.name.rpartition(".")[0]
    if place == PLACE:
        return _schedule(call)
    if place in INITIALIZERS:
        return _initializer(adapter, call)
    if place in CLIPPINGS:
        return _clipping(call)
    if call.name in PLAIN:
        found, kind = PLAIN[call.name]
        given = _by_name(call, found)
        return Opened(kind, given, Native(str(call), lambda x: found(x, **given)))
    return None


def _by_name(call: Call, found: Callable[..., Any]) -> dict[str, Any]:
    if call.arguments:
        raise BackendError(f"{call.name} is a function: give its settings by name, as in {call.name}(max=1.0)")
    return bound(found, call, 1)[1]


def _initializer(adapter: Adapter, call: Call) -> Opened:
    """torch has the outputs of a parameter before its inputs: it is made so, and turned round."""
    found = resolve(call.name, INITIALIZERS)
    first = call.arguments[:1]
    plain = Call(
        call.name, call.arguments[1:] if first and isinstance(first[0], Call) else call.arguments, call.keywords
    )
    settings, given = bound(found, plain, 1)
    seeded = "generator" in settings

    def filled(fill: Callable[..., Any], shape: tuple[int, ...], seed: int, seeded: bool = True) -> Tensor:
        x = adapter.tensor(np.zeros((*shape[:-3:-1], *shape[:-2])))
        with torch.no_grad():
            fill(x, **({"generator": torch.Generator(x.device).manual_seed(seed)} if seeded else {}))
        return x

    def initial(shape: tuple[int, ...], seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        draws = {name: adapter.array(_last(filled(fill, shape, seed))) for name, fill in PLAIN_DRAWS.items()}
        plain = filled(PLAIN_DRAWS["z"], shape, seed)
        wide = shape[-1] > math.prod(
            shape[:-1]
        )  # torch's rows are outputs: of more of them it makes columns orthogonal
        draws["m"] = adapter.array(plain.flatten(1) if wide else _last(plain).reshape(-1, shape[-1]))
        return draws, adapter.array(_last(filled(functools.partial(found, **given), shape, seed, seeded)))

    free = {name: value for name, value in settings.items() if name != "generator"}
    return Opened("initializer", free, Native(str(call), initial))


def _last(x: Tensor) -> Tensor:
    """Space, inputs, outputs."""
    return x.movedim((1, 0), (-2, -1))


def _clipping(call: Call) -> Opened:
    """torch clips what parameters have as gradients, in place; the parameters may be named first."""
    found = resolve(call.name, CLIPPINGS)
    first = call.arguments[:1]
    plain = Call(
        call.name, call.arguments[1:] if first and isinstance(first[0], Call) else call.arguments, call.keywords
    )
    settings, given = bound(found, plain, 1)
    if "norm_type" in given and not isinstance(given["norm_type"], int | float):
        raise BackendError(f"{call.name}: norm_type={given['norm_type']!r} is no number")

    def clipped(gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        parameters = {name: torch.zeros_like(g) for name, g in gradients.items()}
        for name, parameter in parameters.items():
            parameter.grad = gradients[name].clone()
        tried(call.name, lambda: found([*parameters.values()], **given))
        return {name: parameter.grad for name, parameter in parameters.items()}

    return Opened("clipping", settings, Native(str(call), clipped))


def own_schedule(text: str, found: Any) -> Callable[..., Any] | None:
    """Of a scheduler's class, or a function of an optimizer that makes one: rates of counts."""
    scheduler = isinstance(found, type) and issubclass(found, lr_scheduler.LRScheduler)
    if not scheduler and not (required(found) == 1 and arguments(found)[:1] and arguments(found)[0] in OPTIMIZERS):
        return None
    return lambda t: _rates(text, lambda optimizer: found(optimizer), RATE, t)


def _schedule(call: Call) -> Opened:
    found = resolve(call.name, SCHEDULERS)
    if found is lr_scheduler.LRScheduler:
        raise BackendError(f"{call.name} has no rates of its own: name one of its subclasses, such as {PLACE}.StepLR")
    if found is lr_scheduler.ReduceLROnPlateau:
        raise BackendError(f"{call.name} follows a measured loss, and is no function of the number of steps")
    rate = _rate(call)
    settings = {"lr": rate, **_settings(call)}
    return Opened(
        "schedule", settings, Native(str(call), lambda t: _rates(call.name, lambda o: _made(call, o), rate, t))
    )


def _is_optimizer(value: Any) -> bool:
    """A name that is none of torch's, or a call that makes an optimizer."""
    if not isinstance(value, Call):
        return False
    return (not value.called and "." not in value.name) or (
        value.name.startswith("torch.optim.") and not (value.name.startswith(PLACE))
    )


def _parts(call: Call) -> tuple[list[Any], dict[str, Any]]:
    """Its arguments without the optimizer."""
    keywords = {name: value for name, value in call.keywords.items() if name != "optimizer"}
    place = list(call.arguments[1:] if call.arguments and _is_optimizer(call.arguments[0]) else call.arguments)
    return place, keywords


def _given(call: Call) -> tuple[dict[str, Any], dict[str, Any]]:
    """(every argument, those that the call sets), by name."""
    place, keywords = _parts(call)
    several = call.name.endswith("ChainedScheduler")  # which takes an optimizer only if it is asked to
    plain = Call(call.name, tuple(place), keywords)
    return bound(resolve(call.name, SCHEDULERS), plain, 0 if several else 1)


def _rate(call: Call) -> float:
    """The learning rate of the optimizer that the call names, or one inside it."""
    first = [*call.arguments[:1], *([call.keywords["optimizer"]] if "optimizer" in call.keywords else [])]
    for one in first:
        if _is_optimizer(one) and one.called:
            kind = resolve(one.name, NAMESPACES)
            settings, _ = bound(kind, Call(one.name, _without_params(one), one.keywords), 1)
            lr = settings.get("lr")
            if not isinstance(lr, int | float):
                raise BackendError(f"{one}: the learning rate of the optimizer is {lr!r}, not a number")
            return float(lr)
        if not _is_optimizer(one) and "optimizer" in call.keywords and one is call.keywords["optimizer"]:
            raise BackendError(f"{call.name}: optimizer is {one!r}; name one, such as torch.optim.SGD(lr=0.1)")
    return RATE


def _without_params(call: Call) -> tuple[Any, ...]:
    """torch.optim.SGD(params, lr=0.1), or without the parameters."""
    first = call.arguments[0] if call.arguments else None
    return call.arguments[1:] if isinstance(first, Call) or first == () else call.arguments


def _settings(call: Call) -> dict[str, Any]:
    every = {name: value for name, value in _given(call)[0].items() if name not in ("last_epoch", "optimizer")}
    found: dict[str, Any] = {}
    for name, value in every.items():
        parts = value if isinstance(value, tuple) else (value,)
        inner = [one for one in parts if isinstance(one, Call)]
        for one in inner:
            _scheduler(call, one)
            found |= {f"{one.name.rpartition('.')[2]}.{key}": each for key, each in _settings(one).items()}
        if not inner:
            found[name] = value
    return found


def _scheduler(outer: Call, inner: Call) -> Call:
    if inner.called and inner.name.startswith(PLACE):
        return inner
    raise BackendError(
        f"{inner} in {outer.name}: only schedulers can stand inside one; what needs a function of your own is named as "
        "package.module:function, a function of `optimizer` that makes the scheduler"
    )


def _made(call: Call, optimizer: Any) -> Any:
    """The call carried out, and those inside it, for the same optimizer."""

    def inner(value: Any) -> Any:
        if isinstance(value, Call):
            return _made(_scheduler(call, value), optimizer)
        return list(map(inner, value)) if isinstance(value, tuple) else value

    given = {name: inner(value) for name, value in _given(call)[1].items()}
    found = resolve(call.name, SCHEDULERS)
    return tried(call.name, lambda: found(**given) if call.name.endswith("ChainedScheduler")
                 else found(optimizer, **given))  # fmt: skip


def _rates(text: str, make: Callable[[Any], Any], rate: float, counts: np.ndarray) -> np.ndarray:
    """NaN where the scheduler is at its end: OneCycleLR has so many rates as steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, momentum=0.9)
    scheduler = tried(text, lambda: make(optimizer))
    if not isinstance(scheduler, lr_scheduler.LRScheduler):
        raise BackendError(f"{text} makes {type(scheduler).__name__}, no scheduler of torch.optim.lr_scheduler")
    wanted = set(map(int, counts))
    if max(wanted) > MOST:
        raise BackendError(
            f"{text} is asked for its rate after {max(wanted):,} steps, and torch goes there step by step; up to "
            f"{MOST:,} are taken: divide its lengths by 10 or 100, the formula stays the same"
        )
    end = scheduler.total_steps if isinstance(scheduler, lr_scheduler.OneCycleLR) else max(wanted) + 1
    found = dict.fromkeys(wanted, math.nan)
    optimizer.step()  # once is enough for torch not to warn
    for step in range(min(end, max(wanted) + 1)):
        if step:
            tried(f"{text}, step {step}", scheduler.step)
        if step in found:
            found[step] = float(optimizer.param_groups[0]["lr"])
    return np.array([found[int(one)] for one in counts])
