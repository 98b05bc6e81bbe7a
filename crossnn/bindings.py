"""How implementations of a framework's own are bound to specifications: as rows, each for the settings that it has.

The tables of backends/*_native.py are made of such rows; an adapter of third parties may do the same. A row gets the
settings (hyper-parameters and conventions) and answers with the implementation, or with None where it has another
formula. Of the rows of a specification the first that fits is what users call, the others are its variants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crossnn.adapter import Knobs, Native

Row = Callable[[Knobs], Native | None]
Rows = tuple[Row, ...]
Table = Mapping[str, Rows]
"""Specification -> its rows, what users call first."""
When = Mapping[str, Any]
"""Settings that an implementation has: each a value, or several in a tuple."""


def fits(knobs: Knobs, wanted: When) -> bool:
    """Whether settings are those that an implementation has. What is not given is at its default, which fits."""
    allowed = {name: some if isinstance(some, tuple) else (some,) for name, some in wanted.items()}
    return all(knobs.get(name, some[0]) in some for name, some in allowed.items())


def keywords(knobs: Knobs, fixed: When | None, ours: Mapping[str, str]) -> dict[str, Any]:
    """Of a call: `fixed` ones, and those that stand for one of our settings (`ours`: theirs -> ours)."""
    return {**(fixed or {}), **{theirs: knobs[name] for theirs, name in ours.items()}}


def bound(rows: Rows, knobs: Knobs) -> list[Native]:
    """What these settings allow, in order."""
    return [native for row in rows if (native := row(knobs)) is not None]
