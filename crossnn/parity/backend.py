"""Backends that are started, and what they have compiled: a function of the same graph is compiled once.

The same row at another seed is the same function of other numbers. What a framework traced and compiled for the first
seed serves all; a few functions are kept, since the seeds of a row follow each other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from crossnn import registry
from crossnn.adapter import Adapter, Facts, Native
from crossnn.errors import BackendError, UnavailableError

KEPT = 128
"""So many functions are kept for each backend; a row of many cases has some dozens."""


@dataclass
class Started:
    """An adapter, as what it was started last, and what it made since it was loaded."""

    adapter: Adapter
    wanted: tuple[str, str, int] | None = None
    facts: Facts | None = None
    made: OrderedDict[Any, Any] = field(default_factory=OrderedDict)

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """`make()`, or what it gave for this key when the adapter was started in the same way."""
        full = (self.wanted, key)
        if full not in self.made:
            self.made[full] = make()
            if len(self.made) > KEPT:
                self.made.popitem(last=False)
        self.made.move_to_end(full)
        return self.made[full]


_by_adapter: dict[int, Started] = {}


@cache
def _loaded(name: str) -> Started:
    found = Started(registry.load(name))
    _by_adapter[id(found.adapter)] = found
    return found


def first_mode(name: str) -> str:
    """The mode in which a backend runs every primitive as it is called."""
    return _loaded(name).adapter.modes[0]


def started(name: str, device: str, dtype: str, threads: int) -> tuple[Adapter, Facts]:
    """The backend, started for this device and dtype, with a canary: one number that a shorter dtype cannot hold."""
    found = _loaded(name)
    adapter, wanted = found.adapter, (device, dtype, threads)
    if found.wanted != wanted or found.facts is None or _lost(adapter, dtype):
        found.wanted = None
        try:
            found.facts = adapter.start(device, dtype, threads)
        except BackendError as error:
            raise UnavailableError(str(error)) from error
        if short := _lost(adapter, dtype):
            raise BackendError(f"backend {name!r} was started for float64, but 1 + 2**-40 comes back as {short}")
        found.wanted = wanted
    return adapter, found.facts


def _lost(adapter: Adapter, dtype: str) -> str:
    """What becomes of a float64 number that does not stay as it is; empty where it does, or none is wanted.
    Frameworks have settings of the whole process, which others may change."""
    if dtype != "float64":
        return ""
    canary = np.array([1.0 + 2.0**-40])
    try:
        back = adapter.array(adapter.primitives["add"](adapter.tensor(canary), adapter.tensor(np.zeros(1))))
    except Warning:  # JAX says so where warnings are errors
        return "float32"
    kept = back.dtype == np.float64 and back[0] == canary[0]
    return "" if kept else f"{float(back[0])!r} of {back.dtype}"


def once(adapter: Adapter, key: Any, make: Callable[[], Any]) -> Any:
    """`make()`; but once for each key where the adapter was started by `started`."""
    found = _by_adapter.get(id(adapter))
    return make() if found is None or found.wanted is None else found.once(key, make)


def native_of(adapter: Adapter, kind: str, name: str, settings: Mapping[str, Any]) -> Native | None:
    """`adapter.native(kind, name, settings)`, the same one for the same settings."""
    key = ("native", kind, name, repr(sorted(settings.items())))
    return once(adapter, key, lambda: adapter.native(kind, name, settings))  # type: ignore[no-any-return]


def natives_of(adapter: Adapter, kind: str, name: str, settings: Mapping[str, Any]) -> list[Native]:
    """Every way in which the framework itself computes this specification with these settings: the usual one first,
    then its variants."""
    usual = native_of(adapter, kind, name, settings)
    key = ("variants", kind, name, repr(sorted(settings.items())))
    others = once(adapter, key, lambda: tuple(adapter.variants(kind, name, settings)))
    return [*([usual] if usual is not None else []), *others]
