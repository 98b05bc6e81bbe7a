"""What all rows of JAX's own implementations have in common: public names, looked up in the version that is installed.

A call is written as a user writes it, with full names and with the keywords that matter. Where the installed version
knows a name or a keyword of it not yet, or no longer, there is no such implementation.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from crossnn.adapter import Knobs, Native
from crossnn.bindings import Row, fits

_NAME = re.compile(r"(?:jax|optax)(?:\.\w+)+")
_CALL = re.compile(rf"({_NAME.pattern})\(([^()]*)\)")


@functools.cache
def public(name: str) -> Any:
    """What a full name stands for in the installed version; None where it stands for nothing."""
    first, *rest = name.split(".")
    try:
        found: Any = importlib.import_module(first)
        for count, part in enumerate(rest, 1):
            if not hasattr(found, part):
                importlib.import_module(".".join([first, *rest[:count]]))
            found = getattr(found, part)
    except ImportError:
        return None
    return found


@functools.cache
def known(call: str) -> bool:
    """Whether the installed versions know all names of a call, and the keywords that it gives them."""
    if any(public(name) is None for name in _NAME.findall(call)):
        return False
    for name, arguments in _CALL.findall(call):
        keywords = re.findall(r"(\w+)=", arguments)
        parameters = inspect.signature(public(name)).parameters if keywords else {}
        variable = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
        if not variable and not parameters.keys() >= set(keywords):
            return False
    return True


def row(
    call: str,
    function: Callable[..., Any] | None = None,
    when: Mapping[str, Any] | None = None,
    make: Callable[[Knobs], Callable[..., Any]] | None = None,
    **options: Any,
) -> Row:
    """An implementation for the settings `when`: `function`, or what `make` makes of the settings, or else the public
    function that the call begins with, its `options` given."""

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, when or {}) or not known(call):
            return None
        if make is not None:
            return Native(call, make(knobs))
        return Native(call, function or functools.partial(public(call.partition("(")[0]), **options))

    return bind
