"""`crossnn show` and the examples it shows: every row of the catalogue, and code that is the code that runs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner

from crossnn import registry
from crossnn.catalogue.build import formula_graph, knob_choices
from crossnn.catalogue.example import SHOWABLE, Example, example
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Formulated, Row
from crossnn.cli import main
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Graph, Node, leaves
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.oracle import oracle_meaning
from crossnn.formula.source import compile_graph
from crossnn.registry import BUILT_IN

ROWS = [row for row in load_catalogue().rows.values() if row.kind in SHOWABLE]


def show(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_can_be_shown_in_every_convention(row: Row) -> None:
    for knobs in knob_choices(row):
        chosen = [f"--knob={name}={value}" for name, value in knobs.items()]
        text = show(row.name, *chosen)
        assert row.source in text
        assert f"def {row.name}" in text
        lines = show(row.name, "--latex", *chosen).splitlines()
        assert all(line.count("{") == line.count("}") for line in lines)
        assert "as recorded" in show(row.name, "--graph", *chosen)


DIFFERENTIATED = [row for row in ROWS if row.kind in ("activation", "loss", "regularizer", "layer")]


@pytest.mark.parametrize("row", DIFFERENTIATED, ids=lambda row: row.name)
def test_the_derivative_shown_is_the_derivative(row: Row) -> None:
    """Against central differences in 50 digits, away from kinks."""
    mp = mpmath.MPContext()
    mp.dps = 50
    for knobs in knob_choices(row):
        one = example(row, dict(knobs))
        derivative = one.derivative()
        assert derivative is not None
        generator = np.random.default_rng(3)
        inputs = {
            name: 1 - np.arange(np.prod(node.shape, dtype=int)).reshape(node.shape) % 2
            if node.dtype == "index"
            else _lift(mp, generator.uniform(0.2, 0.8, node.shape))
            for name, node in one.graph.arguments.items()
        }
        g = _lift(mp, generator.uniform(-1, 1, one.graph.result.shape)) if "g" in derivative.arguments else mp.one
        found = _run(mp, derivative, {**inputs, "g": g})
        for name, gradient in zip(one.wrt, leaves(found), strict=True):
            whole = np.broadcast_to(gradient, np.shape(inputs[name]))
            for index, slope in _slopes(mp, one, inputs, name, g):
                assert abs(whole[index] - slope) < 1e-14, f"{row.name} {knobs}: d/d{name}{list(index)}"


def _lift(mp: Any, values: Any) -> Any:
    return np.asarray(np.frompyfunc(mp.mpf, 1, 1)(np.asarray(values).astype(object)), dtype=object)


def _run(mp: Any, graph: Graph, arguments: Mapping[str, Any]) -> Any:
    def number(node: Node) -> Any:
        text = node.options["text"]
        return +mp.pi if text == "pi" else mp.mpf(text or node.options["value"])

    return evaluate(graph, oracle_meaning(mp), arguments, number)


MOST = 20
"""So many elements of an argument are moved; all of small ones."""


def _slopes(
    mp: Any, one: Example, inputs: Mapping[str, Any], name: str, g: Any
) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Central differences, element by element."""
    step = mp.mpf(10) ** -18
    places = list(np.ndindex(np.shape(inputs[name])))
    for index in places[:: -(-len(places) // MOST)]:
        ends = []
        for side in (1, -1):
            moved = inputs[name].copy()
            moved[index] = moved[index] + side * step
            ends.append(np.sum(g * _run(mp, one.graph, {**inputs, name: moved})))
        yield index, (ends[0] - ends[1]) / (2 * step)


def test_the_code_shown_is_the_code_that_is_compiled() -> None:
    text = show("softplus", "--backend", "numpy", "--gradient")
    assert "np.log1p(np.exp(np.where(above, -x, x)))" in text
    assert "def softplus_gradient(x):" in text
    assert "code for numpy, compiled" in text
    assert "out=slot" in text


@pytest.mark.slow
@pytest.mark.parametrize("backend", BUILT_IN)
def test_every_row_has_code_for_every_backend(backend: str, require: Callable[[str], None]) -> None:
    """In a process of its own: a framework takes its settings once."""
    require(backend)
    words = [sys.executable, "-m", "crossnn", "show", *(row.name for row in ROWS), "--backend", backend]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count(f"\ncode for {backend}\n") == len(ROWS)


def test_generic_code_computes_the_formula() -> None:
    row = load_catalogue().find("softplus")
    assert isinstance(row, Formulated)
    function = compile_graph(formula_graph(row, {"x": ()}), row.name, NUMPY)
    assert str(function.__doc__).strip().splitlines()[-1].strip().startswith("return log1p(exp(where(x > 0")
    assert function(np.float64(1.0)) == pytest.approx(np.log1p(np.e), rel=1e-15)


def test_settings_reach_code_and_latex() -> None:
    assert "alpha = 0.3\n" in show("leaky_relu", "--knob", "alpha=0.3").replace("  alpha", "alpha")
    assert r"\sqrt{\frac{v}{c_{2}} + \varepsilon}" in show("adam", "--latex", "--knob", "eps_place=inside")
    assert "LaTeX, with eps_place = outside, bias_correction = true" in show("adam")


@pytest.mark.parametrize(
    ("name", "setting", "expected"),
    [
        ("softshrink", "theta=-1", "theta = -1"),
        ("adam", "beta1=0.5", "lr = 0.001, beta1 = 0.5, beta2 = 0.999, eps = 1e-08"),
        ("dense", "units=5", "units = 5"),
        ("conv1d", "kernel_size=2", "filters = 4, kernel_size = 2, strides = 1, dilation = 1, groups = 1"),
        ("conv1d", "padding=same", "filters = 4, kernel_size = 3, strides = 1, dilation = 1, groups = 1"),
    ],
)
def test_the_parameters_shown_are_those_chosen(name: str, setting: str, expected: str) -> None:
    assert f"  parameters  {expected}\n" in show(name, "--knob", setting)


def test_everything_that_is_asked_for_is_shown() -> None:
    text = show("softplus", "--latex", "--gradient", "--graph", "--backend", "numpy")
    places = [text.index(f"{line}\n") for line in ("LaTeX of softplus", "graph", "code for numpy")]
    assert places == sorted(places)
    assert r"f(x) = " in text[: places[1]]
    assert "as recorded" in text[places[1] : places[2]]
    assert "def softplus_gradient(x):" in text[places[2] :]
    assert "def softplus_gradient(x):" in show("softplus", "--latex", "--gradient")
    assert "code for numpy" in show("softplus", "--latex", "--derivation", "--backend", "numpy")


def test_a_framework_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", {
        "numpy": BUILT_IN["numpy"],
        "torch": replace(BUILT_IN["torch"], needs=("no_such_torch",)),
    })  # fmt: skip
    left_out = "not shown: torch, which needs no_such_torch, not installed here: pip install 'crossnn[torch]'"
    assert show("relu", "--side-by-side").splitlines()[-1] == left_out
    assert show("relu", "--standalone", str(tmp_path / "files")).splitlines()[-1] == left_out
    assert "torch" not in show("relu", "--side-by-side", "--backend", "numpy")


NOISY = """
import os, sys
from crossnn.cli.quiet import quiet
from crossnn.errors import CrossnnError
try:
    with quiet():
        os.write(2, b"a log line")
        {body}
except Exception:
    pass
os.write(2, b"after")
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [("pass", "after"), ("raise CrossnnError('known')", "after"), ("raise ValueError", "a log lineafter")],
)
def test_what_frameworks_log_is_kept_unless_something_fails(body: str, said: str) -> None:
    done = subprocess.run([sys.executable, "-c", NOISY.format(body=body)], capture_output=True, text=True, check=True)
    assert done.stderr == said


def test_rows_of_a_file_are_shown(tmp_path: Any) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[swish]\nkind = "activation"\nformula = "x/(1 + exp(-x))"\n', "utf-8")
    assert "x/(1 + exp(-x))" in show(str(file))
    assert r"f(x) = \frac{x}{1 + \mathrm{e}^{-x}}" in show("swish", str(file), "--latex")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sigmoit"], "did you mean 'sigmoid'?"),
        (["sigmoid", "--backend", "torh"], "did you mean 'torch'?"),
        (["sigmoid", "--backend", "nowhere:Adapter"], "nowhere"),
        (["sigmoid", "--knob", "alpha"], "write NAME=VALUE"),
        (["sigmoid", "--knob", "alpha=1"], "unknown setting of sigmoid 'alpha'. Known: none."),
        (["adam", "--knob", "eps_place=upside"], "allowed: hat, inside, outside"),
        (["adam", "--knob", "lr=fast"], "lr must be a number"),
        (["adam", "--gradient"], "is never differentiated"),
        (["mlp", "--graph"], "kinds that have"),
        (["mlp", "--latex"], "kinds that have"),
        (["mlp", "--knob", "lr=0.1"], "unknown setting of mlp 'lr'. Known: none."),
        (["sgd", "--knob", "lr=nan"], "sgd with lr = nan: params: nan is not a finite number"),
        (["sgd", "--latex", "--knob", "lr=-inf"], "sgd with lr = -inf: params: -inf is not a finite number"),
        (["max_pool2d", "--knob", "pool_size=nan"], "max_pool2d with pool_size = nan: options: nan is not a finite"),
        (["dense", "--knob", "units=1.5"], "dense with units = 1.5: units = 1.5; a length is a whole number from 1"),
        (["dense", "--knob", "units=-1"], "dense with units = -1: units = -1; a length is a whole number from 1"),
        (["dense", "--latex", "--knob", "units=0"], "dense with units = 0: units = 0; a length is a whole number"),
        (["conv2d", "--knob", "filters=2.5"], "conv2d with filters = 2.5: filters = 2.5; a length is a whole number"),
        (["dropout", "--knob", "rate=2"], "dropout with rate = 2: rate = 2: keeps with probability 1 - rate = -1"),
        (["no/such/file.toml"], "cannot be read"),
        (["relu", "--at", "x=1", "--at", "x=2"], "--at gives x 2 values; give one"),
        (["adam", "--knob", "lr=1", "--knob", "lr=2"], "--knob gives lr 2 values; give one"),
        (["relu", "--picture", "relu.png"], "an SVG is written; name a file that ends in .svg"),
        (["relu", "--picture", "relu.svg", "--backend", "numpy"], "leave --backend out"),
    ],
)
def test_refusals_say_what_to_do(arguments: list[str], message: str) -> None:
    found = refused(*arguments)
    assert message in found
    assert len(found.strip().splitlines()) == 1 or found.startswith("Usage:")


def test_networks_and_experiments_are_shown_by_what_they_are_made_of() -> None:
    assert "dense  name = hidden1, units = 64" in show("mlp")
    found = show("digits-resnet")
    for line in (
        "data         digits, its first 800, 0.2 of it held out", "training     4 epochs, batches of 32, seed 7",
        "optimizer    momentum  lr = 0.1", "schedule     warmup_cosine  warmup = 10, steps = 80",
    ):  # fmt: skip
        assert line in found


def test_a_study_is_shown_by_its_objective_and_its_end() -> None:
    found = show("rotated-10-sgd")
    for line in (
        "objective    (sum(p*w)**2 + sum(m*w)**2/kappa)/4", "arrays       p = [1.0, 1.0], m = [1.0, -1.0]",
        "constants    kappa = 10", "closed form  p*(1 - lr)**t", "left out     torch compiled: ",
    ):  # fmt: skip
        assert line in found
