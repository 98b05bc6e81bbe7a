"""The native overlay is complete by construction: every public function and class of the frameworks' modules is called
by a native of some row, is another name of one that is, or is left out with a reason."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest

from crossnn import registry
from crossnn.catalogue.load import load_catalogue
from crossnn.parity.backend import started
from crossnn.parity.overlay import calls, public
from crossnn.parity.plan import NATIVE_KINDS

NATIVE = [name for name, backend in registry.BUILT_IN.items() if backend.natives]
SHORT = {"tf": "tensorflow"}
"""How a module is called where it is imported under another name."""


@pytest.fixture(scope="module")
def found(require: Callable[[str], None]) -> Callable[[str], dict[str, set[str]]]:
    """Backend -> call -> rows. In float32: some of Keras exists in no other dtype."""

    @cache
    def get(backend: str) -> dict[str, set[str]]:
        require(backend)
        adapter, _ = started(backend, "cpu", "float32", 1)
        every: dict[str, set[str]] = {}
        for row in load_catalogue().rows.values():
            if row.kind in NATIVE_KINDS:
                for call in calls(adapter, row):
                    every.setdefault(call, set()).add(row.name)
        return every

    return get


def names(backend: str) -> Iterator[tuple[str, Any]]:
    """Every public function and class of a framework's modules that is its own."""
    for path in public()[backend].modules:
        first, _, rest = path.partition(".")
        module = importlib.import_module(SHORT.get(first, first))
        for part in rest.split("."):
            module = getattr(module, part, None) or importlib.import_module(path)
        for name in dir(module):
            one = getattr(module, name)
            if name.startswith("_") or not callable(one) or inspect.ismodule(one):
                continue
            home = (getattr(one, "__module__", "") or "").partition(".")[0]
            if backend == "torch" and home != "torch" and (not inspect.isbuiltin(one) or home == "_bisect"):
                continue
            yield f"{path}.{name}", one


def resolved(name: str) -> Any:
    """What a dotted name stands for; None where a call says it otherwise."""
    first, _, rest = name.partition(".")
    try:
        found: Any = importlib.import_module(SHORT.get(first, first))
        for part in rest.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        return None
    return found


@pytest.mark.parametrize("backend", NATIVE)
def test_everything_public_is_bound_or_left_out_with_a_reason(
    backend: str, found: Callable[[str], dict[str, set[str]]]
) -> None:
    said = {name for call in found(backend) for name in re.findall(r"(?<![\w.])[a-z]\w*(?:\.\w+)+", call)}
    bound = {id(one) for one in map(resolved, said) if one is not None}
    patterns = [pattern for group in public()[backend].left_out for pattern in group.names]
    everything = dict(names(backend))
    open_names = [
        name
        for name, one in everything.items()
        if name not in said and id(one) not in bound and not any(fnmatchcase(name, each) for each in patterns)
    ]
    assert open_names == [], "bind them to a row, or leave them out in specs/natives.toml with a reason"
    both = [
        name
        for name, one in everything.items()
        if (name in said or id(one) in bound) and any(fnmatchcase(name, each) for each in patterns)
    ]
    assert both == [], "these are bound, and left out too"
    stale = [each for each in patterns if not any(fnmatchcase(name, each) for name in everything)]
    assert stale == [], "nothing has such a name any more"


@pytest.mark.parametrize("backend", NATIVE)
def test_the_overlay_is_large_and_says_where_it_ends(backend: str, found: Callable[[str], dict[str, set[str]]]) -> None:
    rows = set().union(*found(backend).values())
    every = {row.name for row in load_catalogue().rows.values() if row.kind in NATIVE_KINDS}
    assert rows < every, "some rows are composed everywhere"
    assert {"relu", "mse", "adam", "sgd", "conv2d" if backend != "jax" else "relu"} <= rows
