"""What a standalone file says of itself: of which row it is, with which settings, and by what it was written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

import crossnn
from crossnn.catalogue.build import settings
from crossnn.catalogue.rows import Formulated, Layer, Network, Optimizer, Row, Trained

ELSEWHERE = ("name", "file", "sha", "source", "main", "timed", "left_out", "printed", "family", "varied")
"""What is not told of a training, or told in another entry."""


def said_of(row: Row, given: Mapping[str, Any] | None = None) -> list[tuple[str, str]]:
    """The entries of the docstring, as (key, text)."""
    entries: list[tuple[str, str]] = [("source", row.source)]
    match row:
        case Formulated():
            entries += [("definition", row.definition), ("let", "\n".join(row.let)), ("formula", row.formula)]
        case Optimizer():
            entries.append(("update", "\n".join(row.update)))
        case Layer():
            entries += [("let", "\n".join(row.let)), ("step", "\n".join(row.step)), ("formula", row.formula)]
        case Network():
            entries.append(("layers", row.summary))
        case Trained():
            told = {key: value for key, value in msgspec.structs.asdict(row).items() if key not in ELSEWHERE}
            entries += [(key.replace("_", " "), _value(value)) for key, value in told.items() if value]
    if not isinstance(row, Trained):
        hyper, knobs = settings(row, given or {})
        shown = {**hyper, **knobs}
        entries.append(("settings", ", ".join(f"{name} = {_value(value)}" for name, value in shown.items())))
    made = f"crossnn {crossnn.__version__} from {row.file}, specification {row.sha}"
    return [(key, text) for key, text in [*entries, ("made by", made)] if text]


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case dict():
            rest = [f"{key} = {_value(one)}" for key, one in value.items() if key != "use"]
            return ", ".join([str(value["use"]), *rest] if "use" in value else rest)
        case list() if value and isinstance(value[0], dict | str):
            return "; ".join(map(_value, value))
    return str(value)
