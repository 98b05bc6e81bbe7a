"""A user's own function or optimizer, found as `package.module:function` from where the command is called.

It is the user's code and runs as such. What it raises is a message with its own words, never a traceback.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

import numpy as np

from crossnn.adapter import Native, Opened, Tensor
from crossnn.errors import BackendError, choices
from crossnn.identify.own_optimizer import Optimizer
from crossnn.identify.own_source import numbers, parameters_of, required
from crossnn.identify.trying import tried

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_own(text: str) -> bool:
    """Whether this names a user's own function."""
    return ":" in text.partition("(")[0]


def load(text: str) -> Any:
    """The function or class that `package.module:name` is."""
    if not _PATH.fullmatch(text.strip()):
        raise BackendError(f"{text[:80]!r}: your own function is named as package.module:function, without arguments")
    module, _, name = text.strip().partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise BackendError(
            f"{text!r}: there is no module {error.name!r} here; modules are looked for in the current folder and among "
            "the installed packages"
        ) from error
    except (Exception, SystemExit) as error:
        raise BackendError(f"{text!r}: importing {module} raises {type(error).__name__}: {error}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            public = [one for one in vars(found) if not one.startswith("_") and callable(getattr(found, one))]
            raise BackendError(f"{text!r}: {module} has no {name!r}; it has {choices(public) or 'no functions'}")
        found = getattr(found, part)
    if not callable(found):
        raise BackendError(
            f"{text!r} is an object of {type(found).__name__}, which starts only once: name its class, or a function "
            "that makes it"
        )
    return found


def made(text: str, found: Any) -> Any:
    """What a class, or a function without required arguments, makes; None of a function that needs some."""
    needed = [one.name for one in parameters_of(found) if one.default is Parameter.empty]
    if needed and isinstance(found, type):
        raise BackendError(
            f"{text} needs {choices(needed)}: give the class defaults, or name a function that makes an object of it"
        )
    return None if needed else tried(text, found)


def kind_of(text: str, found: Any, kind: str) -> str:
    """The kind that was said, or that the number of arguments tells: f(x), f(y, t), f(w, g, state, t)."""
    if kind:
        return kind
    kinds = {1: "activation", 2: "loss", 4: "optimizer"}
    count = required(found)
    if count not in kinds:
        raise BackendError(
            f"{text}: of {count} required arguments its kind cannot be told; say --kind activation for f(x), loss for "
            "f(y, t), optimizer for f(w, g, state, t) -> (w, state)"
        )
    return kinds[count]


def opened(
    text: str, found: Any, kind: str, tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray],
    settings: Mapping[str, Any] | None = None,
) -> Opened:  # fmt: skip
    """A user's function of tensors. Its settings are the numbers that it names: defaults of its arguments, constants
    of its module that it uses, and those written in it."""
    found = _callable(text, found, kind)
    kind = kind_of(text, found, kind)
    settings = numbers(found) if settings is None else settings
    if kind == "optimizer":
        return Opened(kind, settings, Native(text, lambda params, hyper: Optimizer(text, found, tensor, array, params)))
    return Opened(kind, settings, Native(text, lambda *given: tried(text, lambda: found(*map(_copy, given)))))


def _copy(value: Any) -> Any:
    """An array of which nothing is lost if the user's function writes into it."""
    return np.array(value) if isinstance(value, np.ndarray) else value


def _callable(text: str, found: Any, kind: str) -> Any:
    """A class becomes an object of it, and a function without arguments what it makes; refuses what cannot be called
    with arguments alone."""
    if isinstance(found, type) or (not required(found) and not parameters_of(found)):
        one = made(text, found)
        if not callable(one):
            raise BackendError(f"{text} makes {type(one).__name__}, which is no function")
        found = one
    wanted = [one.name for one in parameters_of(found)
              if one.kind is Parameter.KEYWORD_ONLY and one.default is Parameter.empty]  # fmt: skip
    if wanted:
        raise BackendError(f"{text} needs {choices(wanted)} by name: give it a default")
    return found
