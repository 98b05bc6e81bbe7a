"""What surrounds a training, opened: schedules, metrics, constraints, clippings and initializers of a framework.

A backend `torch_adapter` opens them in `torch_around` beside it. One without it, such as anyone's own adapter, opens
what its adapter does; a user's own functions need nothing of it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, cast

from crossnn.adapter import Adapter, Native, Opened
from crossnn.errors import BackendError, choices
from crossnn.identify import own, own_around
from crossnn.identify.own_source import required

KINDS = ("schedule", "metric", "constraint", "clipping", "initializer")
READ_AS = {"metric": ("loss",), "constraint": ("activation",), "clipping": ("activation", "constraint")}
"""Kind -> kinds of a framework's calls that can be read as it: a loss whose mean is a metric."""


class Around(Protocol):
    """The members of a module `*_around`."""

    def opened(self, adapter: Adapter, call: str) -> Opened | None:
        """What this call makes, if it is of one of these kinds; None where it is for the adapter."""

    def own_schedule(self, text: str, found: Any) -> Callable[..., Any] | None:
        """From a user's function or class that makes a schedule of the framework, that schedule: rates of counts."""


def beside(adapter: Adapter) -> Around | None:
    """The module that belongs to an adapter."""
    module = type(adapter).__module__
    if not module.endswith("_adapter"):
        return None
    name = module.removesuffix("_adapter") + "_around"
    return cast(Around, importlib.import_module(name)) if importlib.util.find_spec(name) is not None else None


def opened(adapter: Adapter, text: str, kind: str = "") -> Opened:
    """What a call makes, of any kind; `kind` is what the user says that it is."""
    around = beside(adapter)
    if own.is_own(text):
        found = own.load(text)
        maker = around.own_schedule if around is not None else None
        other = own_around.opened(adapter, text, found, kind, maker)
        if other is not None:
            return other
        if kind and required(found) >= (4 if kind == "optimizer" else 1):
            return own.opened(text, found, kind, adapter.tensor, adapter.array)
        return adapter.opened(text)
    found = around.opened(adapter, text) if around is not None else None
    return _read_as(found or adapter.opened(text), kind)


def _read_as(one: Opened, kind: str) -> Opened:
    """A framework's call says what it is; some can be read as something else."""
    if not kind or kind == one.kind:
        return one
    if one.kind not in READ_AS.get(kind, ()):
        able = [name for name, kinds in READ_AS.items() if one.kind in kinds]
        more = f"; it can be read as {choices(able)}" if able else ""
        raise BackendError(f"{one.native.call} is of kind {one.kind!r} and cannot be read as {kind!r}: leave --kind out"
                           f"{more}")  # fmt: skip
    function = one.native.function
    if kind == "clipping":
        function = own_around.clipping(one.native.call, function)
    return replace(one, kind=kind, native=Native(one.native.call, function))
