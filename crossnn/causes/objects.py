"""Causes that show when an attribute of an object that a port is made of is set to another value, and put back.

Layers and modules that were built elsewhere have no source to edit, but attributes: epsilon, negative_slope, momentum.
What is reachable from the function (closures, globals that it names, attributes, lists) is looked through.
"""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from crossnn.causes.keywords import AXES, EPSILONS, SLOPES
from crossnn.causes.sources import PORT, REFERENCE, constants, source_of
from crossnn.causes.suspect import Suspect, Trial

BOTH = (True, False)
ATTRIBUTES: Mapping[str, tuple[str, Sequence[Any]]] = {
    "eps": ("epsilon", EPSILONS),
    "epsilon": ("epsilon", EPSILONS),
    "negative_slope": ("activation slope", SLOPES),
    "alpha": ("activation slope", SLOPES),
    "slope": ("activation slope", SLOPES),
    "beta": ("activation slope", (1.0, 1.702, 2.0)),
    "approximate": ("approximate gelu", ("none", "tanh", True, False)),
    "momentum": ("batch-norm momentum", (0.1, 0.9, 0.01, 0.99)),
    "training": ("training or inference", BOTH),
    "p": ("training or inference", (0.0,)),
    "rate": ("training or inference", (0.0,)),
    "dim": ("axis", AXES),
    "axis": ("axis", AXES),
    "reduction": ("reduction", ("mean", "sum", "none", "batchmean", "sum_over_batch_size")),
    "label_smoothing": ("label smoothing", (0.0, 0.1)),
    "from_logits": ("from logits", BOTH),
    "go_backwards": ("direction", BOTH),
    "reset_after": ("reset gate", BOTH),
    "ceil_mode": ("padding", BOTH),
    "count_include_pad": ("padding", BOTH),
    "padding": ("padding", ("same", "valid", 0, 1, 2, (0,), (1,), (2,), (0, 0), (1, 1), (2, 2))),
    "padding_mode": ("padding", ("zeros", "reflect", "replicate", "circular")),
    "align_corners": ("setting align_corners", BOTH),
    "norm_first": ("setting norm_first", BOTH),
    "nesterov": ("Nesterov momentum", BOTH),
}
"""Attribute -> what it is called if this was the mistake, and values to try."""
FITTING = ("eps", "epsilon", "negative_slope", "alpha", "slope", "beta", "momentum", "label_smoothing")
"""Those that may also have any number that the other source has."""
BENT = ("lu", "leaky", "act", "swish")
OF = {"alpha": BENT, "beta": BENT, "slope": BENT, "momentum": ("norm",), "p": ("drop",), "rate": ("drop",)}
"""Parts of the names of classes in which an attribute is what its cause says."""
MOST = 3000
"""So many objects are looked through."""


@dataclass(frozen=True)
class Attribute:
    owners: tuple[Any, ...]
    name: str
    value: Any


def attributes(suspect: Suspect) -> Iterator[Trial]:
    """Of the port's objects, then of the reference's."""
    sides: list[tuple[Any, Any, str, Callable[..., bool]]]
    sides = [(suspect.runner, suspect.right, PORT, suspect.mends)]
    if not suspect.only_gradient:
        sides.append((suspect.right, suspect.runner, REFERENCE, suspect.spoils))
    for here, there, begins, holds in sides:
        function = here.port.function
        for one in found(function):
            cause, values = ATTRIBUTES[name := one.name.removeprefix("_")]
            cause = _of_kind(cause, name, type(one.owners[0]).__name__.lower())
            more = [each for each in constants(source_of(there)) if 0 < abs(each) < 1] if name in FITTING else []
            for value in dict.fromkeys([*more, *values]):
                if _fits(value, one.value):
                    several = f" (of {len(one.owners)})" if len(one.owners) > 1 else ""
                    kind = type(one.owners[0]).__name__
                    says = f"{begins} when {one.name} of {kind}{several} is {value!r} instead of {one.value!r}"
                    yield Trial(cause, says, partial(_tried, one, value, holds, function))


def _of_kind(cause: str, name: str, kind: str) -> str:
    """Some attributes mean this in some classes only: the alpha of an ELU, not that of any object."""
    if name in ("axis", "dim") and "softmax" in kind:
        return "softmax axis"
    return cause if any(part in kind for part in OF.get(name, ("",))) else f"setting {name}"


def _fits(value: Any, old: Any) -> bool:
    """Another value of the same type; numbers of both types are numbers."""
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (value, old))
    alike = type(value) is type(old) and (not isinstance(old, tuple) or len(value) == len(old))
    return value != old and (numbers or alike)


def _tried(one: Attribute, value: Any, holds: Callable[..., bool], function: Callable[..., Any]) -> bool:
    try:
        for owner in one.owners:
            _set(owner, one.name, value)
        return holds({}, function)
    finally:
        for owner in one.owners:
            _set(owner, one.name, one.value)


def _set(owner: Any, name: str, value: Any) -> None:
    try:
        setattr(owner, name, value)
    except AttributeError:  # frozen dataclasses
        object.__setattr__(owner, name, value)


def found(function: Any) -> Iterator[Attribute]:
    """Attributes that may be mistakes; those that are alike in several objects together first, then each."""
    groups: dict[tuple[type, str, str], list[Any]] = {}
    for owner in objects_behind(function):
        for name, value in _own(owner).items():
            if name.removeprefix("_") in ATTRIBUTES and isinstance(value, bool | int | float | str | tuple):
                groups.setdefault((type(owner), name, repr(value)), []).append(owner)
    for (_, name, _), owners in groups.items():
        value = _own(owners[0])[name]
        if len(owners) > 1:
            yield Attribute(tuple(owners), name, value)
        yield from (Attribute((one,), name, value) for one in owners[:8])


def _own(owner: Any) -> dict[str, Any]:
    own = getattr(owner, "__dict__", None)
    return dict(own) if isinstance(own, dict) else {}


def objects_behind(function: Any) -> Iterator[Any]:
    """Instances that hold attributes, nearest first."""
    seen: set[int] = set()
    home = str(getattr(function, "__module__", "")).partition(".")[0]
    pending: deque[Any] = deque([function])
    while pending and len(seen) < MOST:
        one = pending.popleft()
        if id(one) in seen or isinstance(one, type | types.ModuleType | str | int | float | complex | bytes | None):
            continue
        if hasattr(one, "shape"):  # tensors and variables
            continue
        seen.add(id(one))
        if isinstance(one, Mapping):
            pending.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            pending.extend(one)
        elif isinstance(one, functools.partial):
            pending.extend((one.func, *one.args, *one.keywords.values()))
        elif isinstance(one, types.MethodType):
            pending.extend((one.__self__, one.__func__))
        elif isinstance(one, types.FunctionType):
            pending.extend(_seen_by(one, str(one.__module__).partition(".")[0] == home != "crossnn"))
        else:
            yield one
            pending.extend(_own(one).values())


def _seen_by(function: types.FunctionType, own: bool) -> Iterator[Any]:
    """What a function has closed over; if it is the user's own, the globals that it names too."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue
    if hasattr(function, "__wrapped__"):
        yield function.__wrapped__
    for name in function.__code__.co_names if own else ():
        if name in function.__globals__:
            yield function.__globals__[name]


def names_behind(function: Any) -> set[str]:
    """What a function without a readable source names, and the types of the objects behind it, in small letters."""
    found: set[str] = set()
    pending = [function.__code__] if isinstance(function, types.FunctionType) else []
    while pending:
        code = pending.pop()
        found.update(code.co_names)
        pending += [one for one in code.co_consts if isinstance(one, types.CodeType)]
    found.update(type(one).__name__ for one in objects_behind(function))
    return {one.lower() for one in found}
