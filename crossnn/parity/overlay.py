"""The native overlay: which functions and classes of a framework compute a row of the catalogue, and in which settings.

Where a framework has none for any setting, the formula runs there: 'composed'. What frameworks have and no row binds
stands in `specs/natives.toml` with a reason; a test sees to it that nothing else is left.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

import msgspec

from crossnn.adapter import Adapter
from crossnn.catalogue.rows import Row
from crossnn.errors import SpecError
from crossnn.parity.backend import natives_of
from crossnn.parity.check import subjects_of

COMPOSED = "composed"


class LeftOut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Public names of a framework (shell patterns) that no row binds, and why."""

    names: list[str]
    reason: str


class Public(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The modules of a framework whose functions and classes are all accounted for."""

    modules: list[str]
    left_out: list[LeftOut] = []


def calls(adapter: Adapter, row: Row) -> dict[str, list[str]]:
    """Every call of the framework that computes this row -> the cases in which it does."""
    found: dict[str, list[str]] = {}
    for subject in subjects_of(row.name, (), 0):
        for native in natives_of(adapter, row.kind, row.name, subject.settings):
            cases = found.setdefault(native.call, [])
            if subject.case not in cases:
                cases.append(subject.case)
    return found


@cache
def public() -> Mapping[str, Public]:
    """Backend -> what of its framework is accounted for."""
    text = resources.files("crossnn.specs").joinpath("natives.toml").read_text("utf-8")
    try:
        return msgspec.convert(tomllib.loads(text), dict[str, Public])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SpecError(f"natives.toml: {error}") from None
