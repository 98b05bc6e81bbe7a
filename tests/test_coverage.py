"""Every item of the lectures is covered: a row cites it, a claim or a question judges it, or nothing can."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest
from click.testing import CliRunner

from crossnn.catalogue.coverage import Item, cited, covering, items
from crossnn.catalogue.load import load_catalogue
from crossnn.cli import main

COUNTS = {"S0": 38, "S1": 79, "S2": 124, "S3": 80, "S4": 38}
"""How many items each lecture has."""

COMPUTED = {
    "activation", "activation derivative", "loss", "regularizer", "initializer", "metric", "layer", "network",
    "network code", "model", "optimizer", "optimizer code", "closed form", "algorithm", "experiment", "dataset",
    "preprocessing",
}  # fmt: skip
"""Kinds that are formulas or computations; a row covers each of them, unless a reason stands here."""

REASONS = {
    "S3-42": "a demonstration in a browser",
    "S3-70": "the figure is lost",
    "S4-02": "the pictures of cats and dogs are in no package and no usual file",
}


def claims() -> list[str]:
    sheet = tomllib.loads(resources.files("crossnn.specs").joinpath("lectures.toml").read_text("utf-8"))
    return [claim["id"] for claim in sheet["claim"]]


def item_of(claim: str) -> str:
    """The item that a claim belongs to: `S2-57b` is of `S2-57`."""
    return re.sub(r"[a-z]$", "", claim)


def test_the_table_has_every_item_once() -> None:
    wanted = [f"{lecture}-{number:02d}" for lecture, count in COUNTS.items() for number in range(1, count + 1)]
    assert list(items()) == wanted


@pytest.mark.parametrize("item", items().values(), ids=list(items()))
def test_an_item_is_covered_as_the_table_says(item: Item) -> None:
    catalogue = load_catalogue()
    rows = covering(catalogue.rows.values())[item.id]
    questions = [name for name in rows if catalogue.rows[name].kind == "question"]
    judged = item.id in map(item_of, claims())
    match item.how:
        case "specification":
            assert set(rows) - set(questions), f"{item.id} ({item.kind}, {item.what}): no row cites it"
        case "claim":
            assert judged or questions, f"{item.id} ({item.what}): neither a claim nor a question judges it"
        case "none":
            assert not judged, f"{item.id} ({item.what}): there is a claim, so it is not nothing"
    if item.kind in COMPUTED and item.id not in REASONS:
        assert item.how == "specification", f"{item.id} is a computation, so a row must cover it"


def test_rows_cite_items_that_exist() -> None:
    unknown = covering(load_catalogue().rows.values()).keys() - items().keys()
    assert not unknown


def test_claims_are_of_items_that_exist_and_have_ids_of_their_own() -> None:
    assert not {item_of(claim) for claim in claims()} - items().keys()
    assert len(set(claims())) == len(claims())


def test_citations_are_read_with_everything_between() -> None:
    assert cited("Kingma 2015; lectures S0-09 to S0-11, S4-21 (inside) and S2-92") == [
        "S0-09", "S0-10", "S0-11", "S4-21", "S2-92",
    ]  # fmt: skip
    assert cited("no lecture") == []


def test_the_table_is_listed() -> None:
    result = CliRunner().invoke(main, ["list", "lectures"])
    assert result.exit_code == 0
    assert "S1-47" in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("S1-47")]
    assert "softplus" in line
