"""Families of rows: one table that stands for many; what experiments and studies may not say; how they are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from crossnn.catalogue.family import expand
from crossnn.catalogue.load import load_catalogue, read_text
from crossnn.catalogue.rows import Experiment, Network, Study
from crossnn.errors import SpecError
from crossnn.parity.buildable import refuse_unbuildable
from crossnn.report.document import Figure, Heading, Table, Text
from crossnn.report.families import family_table, printed_table
from crossnn.report.training import training_blocks
from crossnn.runs.cell import About, Training

FAMILY = """
["net-{units}"]
kind = "network"
vary = { units = [2, 3] }
input = [4]
layers = [{ layer = "dense", name = "a{units}", units = "{units}" }]

["learn-{units}-{optimizer}"]
kind = "study"
vary = { units = [0.5, 1], optimizer = [{ use = "sgd", lr = 0.1 }, { use = "adam" }] }
objective = "sum(w**2)*{units}"
start = ["{units}", 1.0]
optimizer = "{optimizer}"
steps = 3
"""


def test_a_table_with_vary_is_many_rows() -> None:
    rows = read_text(FAMILY, "own.toml")
    assert list(rows) == [
        "net-2", "net-3", "learn-0_5-sgd", "learn-0_5-adam", "learn-1-sgd", "learn-1-adam",
    ]  # fmt: skip
    net, study = rows["net-3"], rows["learn-0_5-adam"]
    assert isinstance(net, Network)
    assert net.layers == [{"layer": "dense", "name": "a3", "units": 3}]
    assert isinstance(study, Study)
    assert (study.objective, study.start, study.optimizer) == ("sum(w**2)*0.5", [0.5, 1.0], {"use": "adam"})
    assert (study.family, study.varied) == ("learn-{units}-{optimizer}", {"units": 0.5, "optimizer": "adam"})
    assert len({row.sha for row in rows.values()}) == len(rows)


def test_text_in_braces_that_is_not_varied_stays() -> None:
    (row,) = expand({"a-{n}": {"kind": "network", "vary": {"n": [1]}, "source": "{n} of {m}"}}).values()
    assert row == {"kind": "network", "source": "1 of {m}"}


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("a-{n}", {"kind": "loss", "vary": {"n": [1]}}, "vary is for the kinds experiment, network, study, not 'loss'"),
        ("a-{n}", {"kind": "study", "vary": [1]}, r"vary = \[1\]; write vary = { depth"),
        ("a-{n}", {"kind": "study", "vary": {"n": []}}, "a list of values a name"),
        ("a-{n}", {"kind": "study", "vary": {}}, "a list of values a name"),
        ("a-{n}", {"kind": "study", "vary": {"n": [[1]]}}, r"vary: \[1\] is no text, no number"),
        ("a-{n}", {"kind": "study", "vary": {"n": [{"lr": 1}]}}, "no table with use"),
        ("a-{n}", {"kind": "study", "vary": {"n": list(range(101))}}, "makes 101 rows; at most 100"),
        ("a", {"kind": "study", "vary": {"n": [1, 2]}}, "the name must hold {n}"),
        ("a-{n}", {"kind": "study", "vary": {"n": [1, 1]}}, "lists a value twice"),
        ("a", {"kind": "study", "family": "mine"}, "family cannot be set"),
    ],
)
def test_a_family_that_is_none(name: str, table: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        expand({name: table})


def test_a_member_takes_no_name_that_is_there() -> None:
    table = {"kind": "study", "vary": {"n": [1]}}
    with pytest.raises(SpecError, match="its member a-1 exists already"):
        expand({"a-1": {"kind": "study"}, "a-{n}": table})


STUDY = {
    "objective": '"sum(w**2)"', "start": "[1.0, 2.0]", "optimizer": '{ use = "sgd" }', "steps": "5",
}  # fmt: skip


def study(**changes: str) -> str:
    lines = "\n".join(f"{key} = {value}" for key, value in {**STUDY, **changes}.items())
    return f'[row]\nkind = "study"\n{lines}'


def trained(**changes: str) -> str:
    fields = {
        "data": '"linear4"', "network": '"linear_regression"', "loss": '"mse"', "optimizer": '{ use = "sgd" }',
        "batch_size": '"full"', "epochs": "2",
    }  # fmt: skip
    lines = "\n".join(f"{key} = {value}" for key, value in {**fields, **changes}.items())
    return f'[row]\nkind = "experiment"\n{lines}'


BAD = [
    (study(steps="0"), "steps = 0; a whole number from 1"),
    (study(start="[[1.0], [2.0, 3.0]]"), "start: numbers in a list"),
    (study(start="[]"), "start: numbers in a list"),
    (study(start="[inf]"), "all of them finite"),
    (study(data='{ a = ["x"] }'), "data.a: numbers in a list"),
    (study(data="{ lr = [1.0] }"), "data: lr has a meaning here already"),
    (study(data="{ a = [1.0] }", params="{ a = 1.0 }"), "params: a has a meaning here already"),
    (study(minimum="[1.0]"), r"minimum has shape \(1,\); start has \(2,\)"),
    (study(optimizer="{ lr = 0.1 }"), "optimizer: which?"),
    (study(optimizer='{ use = "sgdd" }'), "unknown optimizer 'sgdd'; did you mean 'sgd'"),
    (study(schedule='{ use = "cosine" }'), "unknown schedule 'cosine'"),
    (study(clip='{ use = "clip" }'), "unknown clipping 'clip'"),
    (study(objective='"w**2"'), r"objective: has shape \(2,\); one number is wanted"),
    (study(objective='"sum(q)"'), "unknown name 'q'"),
    (study(closed_form='"sum(w0)"'), r"closed_form: has shape \(\); w has \(2,\)"),
    (study(closed_form='"w0"', clip='{ use = "clip_by_value" }'), "closed_form is for a learning rate that stays"),
    (trained(batch_size='"half"'), "batch_size"),
    (trained(batch_size="0"), "batch_size = 0; a whole number from 1, or \"full\""),
    (trained(samples="-1"), "samples = -1; a whole number from 0"),
    (trained(input="[0]"), "input = .0.: the shape of one sample"),
    (trained(input="[5]"), r"samples of shape \(4,\); the network takes \(5,\)"),
    (trained(closed_form='"least"'), "closed_form"),
    (trained(closed_form='"least_squares"', loss='"mae"'), 'it wants batch_size = "full", loss = "mse"'),
    (trained(closed_form='"least_squares"', batch_size="8"), 'it wants batch_size = "full"'),
    (trained(closed_form='"frequencies"', loss='"binary_crossentropy_logits"'), "numbers as targets|positive"),
    (trained(constraints='[{ use = "max_norm" }]'), "constraints: on = "),
    (trained(constraints='[{ use = "max_norm", on = "nope" }]'), "constraints: on = 'nope' is no parameter"),
    (trained(constraints='[{ use = "l2", on = "kernel" }]'), "unknown constraint 'l2'"),
    (trained(printed="{ loss = nan }"), "printed: nan is not a finite number"),
    (trained(loss='"categorical_crossentropy_logits"'), "numbers as targets; the loss wants classes"),
    (trained(data='"digits"', network='"approximator"', input="[64]", loss='"sparse_categorical_crossentropy_logits"'),
     "predicts 1 class.es.; labels of 'digits' go up to 9"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), BAD, ids=[words for _, words in BAD])
def test_what_cannot_be_trained_is_refused_with_one_sentence(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(SpecError, match=words) as caught:
        refuse_unbuildable(load_catalogue([str(file)]).of_file(str(file)), load_catalogue([str(file)]))
    assert str(caught.value).startswith(f"{file}: [row]: ")
    assert "\n" not in str(caught.value)


def test_what_is_wanted_is_accepted(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        study(closed_form='"w0*(1 - 2*lr)**t"') + "\n" + trained(closed_form='"least_squares"').replace("row", "two")
    )
    catalogue = load_catalogue([str(file)])
    refuse_unbuildable(catalogue.of_file(str(file)), catalogue)


def test_every_row_that_is_trained_is_accepted() -> None:
    catalogue = load_catalogue()
    refuse_unbuildable(catalogue.of_kind("experiment", "study"), catalogue)


def test_an_experiment_without_its_files_is_no_fault_of_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROSSNN_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    catalogue = load_catalogue()
    refuse_unbuildable([catalogue.find("mnist-softmax")], catalogue)


# Reports --------------------------------------------------------------------------------------------------------------


def training(spec: str, backend: str, last: float, about: About | None = None, **changes: Any) -> Training:
    return Training(
        spec=spec, backend=backend, mode="eager", dtype="float64", device="cpu", seed=0, spec_sha="a", loss=(2.0, last),
        held_out_loss=(2.5, last + 0.5), metrics={"accuracy": (0.5, 0.75)}, first_step_seconds=0.1, step_seconds=0.1,
        seconds=1.0, steps=20, about=about, **changes,
    )  # fmt: skip


def member(depth: int, size: int, last: float) -> list[Training]:
    row = About(family="fit-{size}-{depth}", varied={"size": size, "depth": depth}, source="lecture")
    spec = f"fit-{size}-{depth}"
    return [training(spec, "torch", last, curve_r=1.5 + depth), training(spec, "oracle", last, row)]


def test_a_family_is_one_table_with_its_best() -> None:
    members = [*member(1, 4, 0.5), *member(2, 4, 0.25), *member(1, 8, 0.125), *member(2, 8, 0.75)]
    heading, source, table, _, pivot, figure = training_blocks(members)
    assert (heading, source) == (Heading(3, "fit-*-*"), Text("Source: lecture."))
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["fit-4-1", "fit-4-2", "fit-8-1", "fit-8-2"]
    assert table.rows[1] == ["fit-4-2", "20", "0.25", "0.75", "0.75", "-", "3.5", "1"]
    assert pivot == Table(
        ["size", "depth 1", "depth 2", "best depth"], [["4", "1", "0.75", "2"], ["8", "0.625", "1.25", "1"]]
    )
    assert isinstance(figure, Figure)
    assert figure.svg.count("<path") > 4
    assert figure.file == "family-fit.svg"


def test_studies_are_one_table() -> None:
    row = About(kind="study", ending="closed form")
    both = [training("bowl", "oracle", 0.5, row), training("bowl", "jax", 0.5, curve_r=0.8)]
    heading, table, _ = training_blocks(both)
    assert heading == Heading(3, "studies")
    assert isinstance(table, Table)
    assert table.rows == [["bowl", "20", "0.5", "1", "0.75", "closed form", "0.8", "1"]]


def test_what_was_printed_of_members_is_one_table_too() -> None:
    row = About(family="gate-{name}", varied={"name": "and"}, printed={"accuracy": 1.0})
    blocks = training_blocks([training("gate-and", "oracle", 0.5, row), training("gate-and", "torch", 0.5)])
    assert (
        Table(["", "quantity", "printed", "here", "difference"], [["gate-and", "accuracy", "1", "0.75", "-0.25"]])
        in blocks
    )


def test_a_member_whose_reference_is_missing_is_still_shown() -> None:
    table = family_table({"a": [training("a", "torch", 0.5)], "b": member(1, 2, 0.5)})
    assert [row[:3] for row in table.rows] == [["a", "-", "-"], ["b", "20", "0.5"]]


def test_what_was_printed_stands_beside_what_came_out() -> None:
    row = About(
        parameters=7850, source="lecture",
        printed={"loss@1": 2.5, "held_out_loss": 0.75, "accuracy": 1.0, "parameters": 7850, "loss@9": 0.1, "nope": 1.0},
    )  # fmt: skip
    one = training("mnist", "oracle", 0.5, row)
    table = printed_table([training("mnist", "torch", 0.5), one])
    assert table is not None
    assert [list(line) for line in table.rows] == [
        ["loss after epoch 1", "2.5", "2", "-0.5"],
        ["held out loss", "0.75", "1", "+0.25"],
        ["accuracy", "1", "0.75", "-0.25"],
        ["parameters", "7850", "7850", "+0"],
        ["loss after epoch 9", "0.1", "-", "-"],
        ["nope", "1", "-", "-"],
    ]
    assert printed_table([training("mnist", "torch", 0.5)]) is None
    assert printed_table([msgspec.structs.replace(one, about=About())]) is None
    blocks = training_blocks([one])
    assert Text("As printed (lecture), and here:") in blocks
    assert table in blocks


def test_printed_names_are_quantities_that_exist() -> None:
    for row in load_catalogue().of_kind("experiment"):
        assert isinstance(row, Experiment)
        known = {"loss", "held_out_loss", "parameters", *row.metrics}
        assert {name.split("@")[0] for name in row.printed} <= known, row.name
