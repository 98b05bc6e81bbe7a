"""The concepts whose conventions are measured: `specs/conventions.toml`, which asks and never answers, and one for each
activation, loss and optimizer that frameworks have under a name of their own."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

import msgspec

from crossnn.catalogue.load import load_catalogue
from crossnn.errors import SpecError

IDENTIFIED = ("activation", "loss", "optimizer")
"""Kinds of which the default call of each framework is identified, where the row has settings at all."""


class Concept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked of every framework; `probe` is module:function of this package."""

    spec: str
    asks: str
    probe: str
    scenario: str = ""


@cache
def concepts() -> dict[str, Concept]:
    """Every concept by its id: those of the file, then those that are identified."""
    text = resources.files("crossnn.specs").joinpath("conventions.toml").read_text("utf-8")
    try:
        found = msgspec.convert(tomllib.loads(text), dict[str, Concept])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SpecError(f"conventions.toml: {error}") from None
    for row in load_catalogue().rows.values():
        if row.kind in IDENTIFIED:
            found[row.name] = Concept(
                spec=row.name, asks="What does the call compute if nothing else is said?", probe="defaults:identified",
                scenario=SCENARIOS[row.kind],
            )  # fmt: skip
    return found


SCENARIOS = {
    "activation": "1,000 normal inputs; relative difference to the specification's defaults",
    "loss": "32 samples; relative difference to the specification's defaults",
    "optimizer": "100 steps from the same start with the same learning rate on a bowl of condition 100; relative "
    "difference of the way gone, to the specification's defaults",
}
