"""Every row of the catalogue: it is read, it has its source and its LaTeX, its formula equals its definition, its
claimed derivative is the derivative, and NumPy computes it. A row that is added anywhere is tested by being there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crossnn.catalogue.formulas import check_formulas
from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import (
    VARIABLES,
    Activation,
    Experiment,
    Formulated,
    Layer,
    Loss,
    Network,
    Optimizer,
    Row,
)
from crossnn.errors import MissingDataError, SpecError, UnknownNameError
from crossnn.experiment.task import Task
from crossnn.formula.grammar import parse, parse_assignment
from crossnn.formula.graph import Graph
from crossnn.formula.latex import latex
from crossnn.parity.check import check
from crossnn.parity.plan import chosen_rows
from crossnn.runs.cell import Cell, Record

CATALOGUE = load_catalogue()
ROWS = list(CATALOGUE.rows.values())
CHECKED = chosen_rows(CATALOGUE, (), ())
"""The rows that `crossnn check` judges without being asked by name: of those that are trained, the main ones."""
RIGHT = {"EQUAL", "ROUNDING", "KINK", "ILL-CONDITIONED"}

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def formulas(row: Row) -> Iterator[str]:
    yield from (text for _, text in row.texts())
    if isinstance(row, Formulated):
        yield from row.let
    if isinstance(row, Optimizer | Layer):
        yield from row.update
    if isinstance(row, Layer):
        yield from (*row.let, *row.step)


def verdicts(row: Row, backend: str, mode: str, dtype: str = "float64") -> list[Record]:
    found = check(Cell(task="check", spec=row.name, backend=backend, mode=mode, dtype=dtype, files=files_of(row)))
    assert found
    return found


def files_of(row: Row) -> tuple[str, ...]:
    return () if row.file.endswith(".toml") and "/" not in row.file else (row.file,)


@each_row
def test_has_a_source(row: Row) -> None:
    """Who says so: a paper, a lecture. Only a network or an experiment may be our own."""
    assert row.source or isinstance(row, Network | Experiment), f"{row.file}: [{row.name}] names no source"


@each_row
def test_is_identified(row: Row) -> None:
    assert re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", row.name)
    assert re.fullmatch(r"[0-9a-f]{12}", row.sha)
    assert row.summary


@each_row
def test_is_within_the_grammar(row: Row) -> None:
    """The loader leaves this to us, for the rows that come with crossnn."""
    check_formulas(row)


@each_row
def test_can_be_printed(row: Row) -> None:
    for text in formulas(row):
        printed = latex(text) if "=" not in re.sub(r"[=!<>]=|\w+=", "", text) else latex(parse_assignment(text))
        assert printed.count("{") == printed.count("}")
        assert len(re.findall(r"\\left\b", printed)) == len(re.findall(r"\\right\b", printed))
        assert "None" not in printed


@each_row
def test_names_are_known(row: Row) -> None:
    """What a row refers to exists: recording it finds every name, layer, loss, optimizer, metric and data set."""
    if isinstance(row, Experiment):
        task = Task(row, CATALOGUE, 0)
        try:
            assert len(task.data.x)
        except MissingDataError:  # data in files of the user's; tests/test_data.py writes such files
            return
        assert isinstance(task.objective, Graph)
        assert isinstance(task.update, Graph)
        assert len(task.evaluation.results) == 1 + len(row.metrics)
        assert task.batches > 0
    elif isinstance(row, Formulated):
        known = {*VARIABLES[row.kind], "f", "s", "pi", *row.params, *row.knobs}
        lets = {line.target for line in row.lets()}
        for text in formulas(row):
            if text not in row.let:
                assert parse(text).names <= known | lets


@pytest.mark.parametrize("row", [row for row in ROWS if isinstance(row, Activation | Loss)], ids=lambda row: row.name)
def test_formula_is_the_definition_and_the_derivative_is_right(row: Formulated) -> None:
    found = verdicts(row, "oracle", "exact")
    stated = bool(row.definition) + bool(row.derivative)
    assert {record.verdict for record in found} <= ({"EQUAL"} if stated else {"NOT-RUN"})
    quantities = " ".join(record.quantity for record in found)
    assert ("formula = definition" in quantities) == bool(row.definition)
    assert ("claimed derivative" in quantities) == bool(row.derivative)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("mode", ["eager", "compiled"])
@pytest.mark.parametrize("row", CHECKED, ids=lambda row: f"{row.name}-numpy")
def test_numpy_computes_it(row: Row, mode: str, dtype: str) -> None:
    found = verdicts(row, "numpy", mode, dtype)
    wrong = [record for record in found if record.verdict not in RIGHT]
    assert not wrong
    if dtype == "float64":
        assert not [record for record in found if record.verdict == "ILL-CONDITIONED"]


def test_every_gradient_and_layer_is_judged() -> None:
    """What is compared is what there is: no quantity disappears by accident."""
    mlp = {record.quantity for record in verdicts(CATALOGUE.find("mlp"), "numpy", "eager")}
    layers = ("flatten", "hidden1", "relu1", "dropout", "hidden2", "relu2", "logits")
    slots = [f"gradient/{layer}.{slot}" for layer in ("hidden1", "hidden2", "logits") for slot in ("kernel", "bias")]
    assert mlp == {*(f"forward/{one}" for one in layers), *(f"backward/{one}" for one in layers), *slots}
    adam = {record.quantity for record in verdicts(CATALOGUE.find("adam"), "numpy", "eager")}
    assert adam == {f"{run}{one}" for run in ("", "free-running ") for one in ("update", "state.m", "state.v")}


# A row of the user's own, without Python ----------------------------------------------------------------------------

OWN = """
swish = "x/(1 + exp(-x))"

[gelu_tanh]
kind = "activation"
formula = "x/2*(1 + tanh(0.7978845608028654*(x + 0.044715*x**3)))"
derivative = "(1 + tanh(0.7978845608028654*(x + 0.044715*x**3)))/2"

[log_cosh]
kind = "loss"
definition = "log((exp(y - t) + exp(t - y))/2)"
formula = "abs(y - t) + log1p(exp(-2*abs(y - t))) - log(2)"
derivative = "tanh(y - t)"

[sign_descent]
kind = "optimizer"
params = { lr = 0.01 }
update = ["w = w - lr*sign(g)"]
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Catalogue, str]:
    file = tmp_path_factory.mktemp("own") / "own.toml"
    file.write_text(OWN)
    return load_catalogue([str(file)]), str(file)


@pytest.mark.parametrize("name", ["swish", "gelu_tanh", "sign_descent"])
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_an_added_row_is_checked(own: tuple[Catalogue, str], name: str, mode: str) -> None:
    catalogue, file = own
    row = catalogue.find(name)
    assert row.file == file
    assert {record.verdict for record in verdicts(row, "numpy", mode)} <= RIGHT


def test_a_wrong_claim_of_an_added_row_is_refuted(own: tuple[Catalogue, str]) -> None:
    """gelu_tanh claims a derivative that forgets the chain rule; log_cosh is exact but for cancellation near 0."""
    catalogue, _ = own
    (claim,) = verdicts(catalogue.find("gelu_tanh"), "oracle", "exact")
    assert (claim.quantity, claim.verdict) == ("claimed derivative", "FORMULA")
    assert claim.worst is not None
    assert {record.verdict for record in verdicts(catalogue.find("log_cosh"), "oracle", "exact")} == {"EQUAL"}


def test_a_row_of_the_same_name_replaces(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('relu = "maximum(x, 0.0)"\n')
    changed = load_catalogue([str(file)])
    assert changed.find("relu").file == str(file)
    assert isinstance(CATALOGUE.find("relu"), Activation)
    assert CATALOGUE.find("relu").file == "activations.toml"


BAD = {
    "no kind": ("[a]\nformula = 'x'", ["[a]", "kind is None", "activation, clipping"]),
    "unknown kind": ("[a]\nkind = 'neuron'", ["[a]", "kind is 'neuron'", "loss"]),
    "unknown key": ("[a]\nkind = 'activation'\nformula = 'x'\nformla = 'x'", ["[a]", "formla", "Keys", "points"]),
    "missing key": ("[a]\nkind = 'activation'", ["[a]", "formula", "Keys of a row"]),
    "wrong type": ("[a]\nkind = 'activation'\nformula = 7", ["[a]", "key formula", "value 7", "str"]),
    "wrong choice": ("[a]\nkind='loss'\nformula='y'\ntarget='real life'", ["[a]", "target", "'real life'", "one_hot"]),
    "bad formula": ("[a]\nkind = 'activation'\nformula = 'x.real'", ["[a]", "formula: ", "x.real"]),
    "bad derivative": ("[a]\nkind='activation'\nformula='x'\nderivative='lambda: 1'", ["[a]", "derivative", "lambda"]),
    "bad update": ("[a]\nkind='optimizer'\nparams={lr=1.0}\nupdate=['w = w', 'w - g']", ["[a]", "line 2", "w - g"]),
    "bad let": ("[a]\nkind='activation'\nformula='q'\nlet=['q == x']", ["[a]", "let line 1", "q == x"]),
    "no learning rate": ("[o]\nkind='optimizer'\nparams={}\nupdate=['w = w - g']", ["[o]", "params", "needs lr"]),
    "no such start": (
        "[o]\nkind='optimizer'\nparams={lr=1.0}\nstate={v='mu'}\nupdate=['w = w - g']",
        ["[o]", "state.v = 'mu'", "a number, w, or one of lr"],
    ),
    "no such slot": (
        "[o]\nkind='optimizer'\nparams={lr=1.0}\nreduced={v='all'}\nupdate=['w = w - g']",
        ["[o]", "reduced.v", "slots: none"],
    ),
    "no matrix": (
        "[o]\nkind='optimizer'\nparams={lr=1.0}\nstate={v=0.0}\nreduced={v=-1}\nupdate=['w = w - g']",
        ["[o]", "reduced.v = -1", "matrix"],
    ),
    "a name of the matrix": (
        "[o]\nkind='optimizer'\nacts_on='matrix'\nparams={lr=1.0, rows=2.0}\nupdate=['w = w - g']",
        ["[o]", "params", "'rows' has a meaning"],
    ),
    "nothing learned": ("[o]\nkind='optimizer'\nparams={lr=1.0}\nupdate=['v = g']", ["[o]", "no line assigns w"]),
    "reserved key": ("[a]\nkind = 'activation'\nformula = 'x'\nsha = 'f'", ["[a]", "sha cannot be set"]),
    "not a table": ("a = 3", ["[a]", "got 3"]),
    "not TOML": ("[a\nkind", ["not valid TOML", "line 1"]),
    "empty": ("", ["no table in it"]),
}


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=list(BAD))
def test_a_bad_row_is_one_clear_sentence(text: str, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        load_catalogue([str(file)])
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    for word in words:
        assert word in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda file: None, "cannot be read"),
        (lambda file: file.mkdir(), "cannot be read"),
        (lambda file: file.write_bytes(b"a = '\xff'"), "not UTF-8 text"),
        (lambda file: file.write_bytes(b"#" * 1_000_001), "1000001 bytes"),
    ],
)
def test_a_bad_file_is_one_clear_sentence(prepare: Any, words: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    prepare(file)
    with pytest.raises(SpecError, match=words):
        load_catalogue([str(file)])


USES = {
    "unknown name": ('a = "x + q"', "a", "unknown name 'q'"),
    "unknown layer": ("[n]\nkind='network'\ninput=[2]\nlayers=[{layer='danse'}]", "n", "layer 1: layer = 'danse'"),
    "taken name": ("[n]\nkind='network'\ninput=[2]\nlayers=[{layer='tanh'},{layer='tanh'}]", "n", "'tanh' is taken"),
    "unknown input": (
        "[n]\nkind='network'\ninput=[2]\nlayers=[{layer='add', inputs=['input', 'b']}]",
        "n",
        "inputs b do not exist",
    ),
    "unknown option": ("[n]\nkind='network'\ninput=[2]\nlayers=[{layer='dense', unit=3}]", "n", "did you mean 'units'"),
    "unknown initializer": (
        "[n]\nkind='network'\ninput=[2]\nlayers=[{layer='dense', units=3, kernel='hee'}]",
        "n",
        "initializer 'hee' is unknown",
    ),
    "one line into images": ("[n]\nkind='network'\ninput=[2]\nlayers=[{layer='conv2d'}]", "n", "does not fit"),
}


@pytest.mark.parametrize(("text", "name", "words"), USES.values(), ids=list(USES))
def test_what_shows_only_in_use_is_an_error_of_the_cell(text: str, name: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(text)
    load_catalogue([str(file)])
    (found,) = check(Cell(task="check", spec=name, backend="numpy", mode="eager", files=(str(file),)))
    assert found.verdict == "ERROR"
    assert words in found.message


def test_unknown_names_have_a_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'softmax'"):
        CATALOGUE.find("sofmax")
    assert [row.kind for row in CATALOGUE.of_kind("layer")] == ["layer"] * len(CATALOGUE.of_kind("layer"))
    assert all(isinstance(row, Layer) for row in CATALOGUE.of_file("layers.toml"))
