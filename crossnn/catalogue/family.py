"""Families: one table with `vary` stands for many rows, one for each combination of the values that it lists.

    ["depth-{layers}-{width}"]
    vary = { layers = [1, 2], width = [8, 16] }

`{layers}` in any text of the table, and in its name, is replaced; a text that is nothing else becomes the value itself.
A value may be a table that names a row by `use`, such as an optimizer with its settings; it is called by that name.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from crossnn.errors import SpecError, choices

KINDS = ("network", "experiment", "study")
MOST = 100
"""Members of one family."""


def expand(tables: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with each family replaced by its members; SpecError names the table."""
    found: dict[str, Any] = {}
    for name, table in tables.items():
        reserved = {"varied", "family"} & table.keys() if isinstance(table, dict) else ()
        if reserved:
            raise SpecError(f"[{name}]: {choices(reserved)} cannot be set; the loader fills it in for rows with vary")
        members = _members(name, table) if isinstance(table, dict) and "vary" in table else {name: table}
        double = members.keys() & found.keys()
        if double:
            raise SpecError(f"[{name}]: its member {choices(double)} exists already")
        found.update(members)
    return found


def _members(name: str, table: dict[str, Any]) -> dict[str, Any]:
    vary = table["vary"]
    if table.get("kind") not in KINDS:
        raise SpecError(f"[{name}]: vary is for the kinds {choices(KINDS)}, not {table.get('kind')!r}")
    if not (isinstance(vary, dict) and vary and all(isinstance(one, list) and one for one in vary.values())):
        raise SpecError(f"[{name}]: vary = {vary!r}; write vary = {{ depth = [1, 2, 3] }}: a list of values a name")
    odd = [value for values in vary.values() for value in values if not isinstance(_shown(value), str | int | float)]
    if odd:
        raise SpecError(f"[{name}]: vary: {odd[0]!r} is no text, no number, and no table with use")
    count = math.prod(map(len, vary.values()))
    if count > MOST:
        raise SpecError(f"[{name}]: vary makes {count} rows; at most {MOST}")
    missing = [key for key in vary if f"{{{key}}}" not in name]
    if missing:
        raise SpecError(f"[{name}]: the name must hold {{{missing[0]}}}, so that each row has its own")
    rest = {key: value for key, value in table.items() if key != "vary"}
    members: dict[str, Any] = {}
    for combination in itertools.product(*vary.values()):
        chosen = dict(zip(vary, combination, strict=True))
        shown = {key: _shown(value) for key, value in chosen.items()}
        mark = {} if table["kind"] == "network" else {"varied": shown, "family": name}
        members[str(_filled(name, shown)).replace(".", "_")] = {**_filled(rest, chosen), **mark}
    if len(members) < count:
        raise SpecError(f"[{name}]: vary lists a value twice")
    return members


def _shown(value: Any) -> Any:
    """A value as it is called: a table by the row that it uses."""
    return value.get("use") if isinstance(value, dict) else value


def _filled(value: Any, chosen: Mapping[str, Any]) -> Any:
    """A copy of a TOML value with every `{key}` replaced."""
    if isinstance(value, dict):
        return {key: _filled(inner, chosen) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, chosen) for inner in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\{(\w+)\}", value)
    if whole and whole[1] in chosen:
        return chosen[whole[1]]
    return re.sub(r"\{(\w+)\}", lambda found: str(chosen.get(found[1], found[0])), value)
