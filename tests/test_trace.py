"""`crossnn trace`: what ran is what the graph says, its values and gradients are those that others find."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from crossnn.adapter import Adapter, BaseAdapter
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Row
from crossnn.cli import main
from crossnn.errors import BackendError
from crossnn.formula.derive import gradients
from crossnn.formula.evaluate import evaluate
from crossnn.formula.graph import Graph, Node, leaves
from crossnn.formula.numpy_meaning import NUMPY
from crossnn.formula.oracle import exact
from crossnn.registry import BUILT_IN
from crossnn.trace.executed import INPUT, Executed
from crossnn.trace.running import execute
from crossnn.trace.subject import TRACED, Traced, traced
from crossnn.trace.text import short

CATALOGUE = load_catalogue()
LARGE = 200_000
"""Networks with more numbers than this are traced by nobody who wants to read them."""
ROWS = [row for row in CATALOGUE.rows.values() if row.kind in TRACED]
SMALL = [row for row in ROWS if row.kind != "network"]
ACTIVATIONS = [row for row in ROWS if row.kind == "activation"]
SOME = """
    softplus softmax triplet huber categorical_crossentropy_logits l2 rmsprop adafactor dense layer_norm lstm xor
""".split()
FRAMEWORKS = [name for name in BUILT_IN if name != "numpy"]


def trace_of(row: Row, seed: int = 0, **inputs: Any) -> Traced:
    return traced(row, CATALOGUE, {}, {name: np.asarray(value, float) for name, value in inputs.items()}, seed)


def run(one: Traced, backend: str = "numpy") -> list[Executed]:
    return execute(one, backend, True)[1]


def gradient_of(one: Executed) -> np.ndarray:
    """No gradient is one of zeros: nothing depends on the value."""
    return np.zeros(one.value.shape) if one.gradient is None else one.gradient


def ran(executed: list[Executed]) -> list[Executed]:
    return [one for one in executed if one.operation != INPUT and not one.backward]


def command(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["trace", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.name)
def test_every_primitive_runs_once_and_in_order(row: Row) -> None:
    one = trace_of(row)
    executed = run(one)
    live = [node.operation for node in one.graph.live() if node.operation not in ("input", "constant")]
    assert sorted(each.operation for each in ran(executed)) == sorted(live)
    for each in executed:
        known = {f"%{number}" for number in range(each.number)}
        assert all(key in known for key in each.inputs if key.startswith("%"))
        assert each.bytes == each.value.nbytes
        assert each.seconds >= 0


@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.name)
def test_the_values_are_those_of_direct_evaluation(row: Row) -> None:
    one = trace_of(row)
    results, executed = execute(one, "numpy", True)
    with np.errstate(all="ignore"):
        expected = evaluate(one.graph, NUMPY, one.arguments, lambda node: node.options["value"])
    for found, value in zip(results, leaves(expected), strict=True):
        np.testing.assert_array_equal(found, value)
    returned = [each.value for each in executed if each.returned]
    if all(node.operation == "constant" for node in one.graph.results):
        return  # a schedule that never changes computes nothing
    assert all(any(np.array_equal(value, found, equal_nan=True) for value in returned) for found in results)


DIFFERENTIATED = [row for row in SMALL if trace_of(row).weights is not None]


@pytest.mark.parametrize("row", DIFFERENTIATED, ids=lambda row: row.name)
def test_the_gradients_of_the_arguments_are_those_of_the_oracle(row: Row) -> None:
    one = trace_of(row)
    assert one.weights is not None
    weights = one.weights

    gradients = {each.name: gradient_of(each) for each in run(one) if each.operation == INPUT}
    for name, gradient in oracle_gradients(one.graph, one.arguments, weights).items():
        np.testing.assert_allclose(gradients[name], gradient, rtol=1e-9, atol=1e-12, err_msg=name)
    assert one.graph.results[0].shape == weights.shape


def oracle_gradients(graph: Graph, arguments: Any, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The gradients of sum(weights*result), by arbitrary precision."""
    wrt = [node for node in leaves(graph.arguments) if node.dtype == "float"]
    result = graph.results[0]
    tape = list(graph.nodes)
    seed = Node(tape, "input", shape=result.shape, name="seed")
    found = gradients(result, wrt, seed)
    whole = Graph({**graph.arguments, "seed": seed}, tuple(found), tuple(result.tape))
    exactly = exact(whole, {**arguments, "seed": weights})
    return {node.name: one.hi for node, one in zip(wrt, exactly, strict=True)}


@pytest.mark.parametrize("backend", FRAMEWORKS)
@pytest.mark.parametrize("name", SOME)
def test_frameworks_find_the_same_values_and_gradients(
    name: str, backend: str, adapter: Callable[..., Adapter]
) -> None:
    adapter(backend)
    one = trace_of(CATALOGUE.find(name))
    ours = {each.name: each for each in run(one) if each.operation == INPUT}
    results, executed = execute(one, backend, True)
    for found, expected in zip(results, execute(one, "numpy", True)[0], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    theirs = {each.name: each for each in executed if each.operation == INPUT}
    assert theirs.keys() == ours.keys()
    for key, each in ours.items():
        np.testing.assert_allclose(gradient_of(theirs[key]), gradient_of(each), rtol=1e-9, atol=1e-12)
    assert sum(each.returned for each in executed) >= 1
    assert all(each.bytes >= 0 and each.seconds >= 0 for each in executed)


@pytest.mark.slow
@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_every_activation_traces(backend: str, adapter: Callable[..., Adapter]) -> None:
    adapter(backend)
    for row in ACTIVATIONS:
        one = trace_of(row, x=[0.5, -1.25, 2.0, 0.3]) if row.name != "glu" else trace_of(row)
        executed = run(one, backend)
        expected = execute(one, "numpy", True)
        (result,) = expected[0]
        found = [each.value for each in executed if each.returned]
        assert any(np.allclose(value, result, rtol=1e-9, atol=1e-12) for value in found), row.name
        (x,) = (each for each in executed if each.name == "x")
        (ours,) = (each for each in expected[1] if each.name == "x")
        np.testing.assert_allclose(gradient_of(x), gradient_of(ours), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_gradients_of_what_is_between(backend: str, adapter: Callable[..., Adapter]) -> None:
    """log(1 + exp(x)) has the slope sigmoid(x); with respect to exp(x) it is 1/(1 + exp(x))."""
    one = adapter(backend)

    def f(x: Any) -> Any:
        return one.primitives["log"](1.0 + one.primitives["exp"](x))

    x = np.array([0.5, -1.0])
    _, executed = one.watched(f, [one.tensor(x)], np.ones(2))
    (power,) = (each for each in executed if each.operation.lower() == "exp" and not each.backward)
    np.testing.assert_allclose(power.value, np.exp(x), rtol=1e-15)
    np.testing.assert_allclose(gradient_of(power), 1 / (1 + np.exp(x)), rtol=1e-15)
    np.testing.assert_allclose(gradient_of(executed[0]), 1 / (1 + np.exp(-x)), rtol=1e-15)


@pytest.mark.parametrize("backend", BUILT_IN)
def test_what_is_not_needed_runs_too(backend: str, adapter: Callable[..., Adapter]) -> None:
    one = adapter(backend)

    def f(x: Any) -> Any:
        one.primitives["exp"](x)
        return x * x

    result, executed = one.watched(f, [one.tensor(np.array([3.0]))])
    assert [each.operation.lower() for each in executed if each.operation != INPUT] in (
        ["exp", "mul"], ["exp", "multiply"],
    )  # fmt: skip
    assert float(one.array(result)[0]) == 9.0


def test_small_networks_are_traced() -> None:
    for row in ROWS:
        if row.kind == "network":
            one = trace_of(row)
            if sum(array.size for array in leaves(one.arguments)) <= LARGE:
                executed = run(one)
                assert [each for each in executed if each.returned], row.name


def test_the_table_says_what_happens() -> None:
    lines = command("softplus", "--input", "x=0.5").splitlines()
    assert lines[0] == "softplus  (activation), numpy"
    (x,) = (line for line in lines if " input x " in line)
    assert " 0.622459 " in x
    (last,) = (line for line in lines if "  result" in line)
    assert " 0.974077" in last
    assert "gradient: of the result" in lines[-1]
    assert "gradient" not in command("softplus", "--no-gradient")
    assert "optimizers are never differentiated" in command("adam")


def test_json_is_complete_and_well_formed(tmp_path: Path) -> None:
    file = tmp_path / "trace.json"
    command("softmax", "--input", "x=[1,2,1000]", "--json", str(file))
    found = json.loads(file.read_text("utf-8"))
    assert (found["name"], found["kind"], found["backend"], found["seed"]) == ("softmax", "activation", "numpy", 0)
    assert [one["number"] for one in found["executed"]] == list(range(len(found["executed"])))
    assert found["executed"][0]["value"] == {"dtype": "float64", "shape": [3], "numbers": [1.0, 2.0, 1000.0]}
    (result,) = (one for one in found["executed"] if one["result"])
    assert sum(result["value"]["numbers"]) == 1.0
    assert json.loads(command("exponential", "--input", "x=1000", "--json", "-"))["executed"][1]["value"] == {
        "dtype": "float64", "shape": [], "numbers": "inf",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "inputs", "shapes"),
    [
        ("huber", {"t": [1, 2, 3, 4]}, {"y": (4,), "t": (4,)}),
        ("huber", {"y": 0.5}, {"y": (), "t": ()}),
        ("sparse_categorical_crossentropy_logits", {"t": [0, 2, 1]}, {"y": (3, 3), "t": (3,)}),
        ("sparse_categorical_crossentropy_logits", {"y": [[1, 2, 3, 4]]}, {"y": (1, 4), "t": (1,)}),
        ("dense", {"kernel": 0.5}, {"x": (2, 3, 5), "kernel": (5, 6), "bias": (6,)}),
        ("adam", {"g": 1}, {"w": (3,), "g": (3,), "lr": (), "t": (), "m": (3,), "v": (3,)}),
    ],
)
def test_what_is_not_given_fits(name: str, inputs: dict[str, Any], shapes: dict[str, Any]) -> None:
    executed = run(trace_of(CATALOGUE.find(name), **inputs))
    found = {one.name: one.value for one in executed if one.operation == INPUT}
    assert {key: value.shape for key, value in found.items()} == shapes
    for key, value in inputs.items():
        np.testing.assert_array_equal(found[key], np.broadcast_to(value, shapes[key]))


def test_the_seed_decides_what_is_drawn() -> None:
    first, again, other = (command("tanh", "--seed", seed, "--json", "-") for seed in "001")
    values = [json.loads(text)["executed"][0]["value"] for text in (first, again, other)]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), "0.5"),
        (np.array([1.0, 2.5]), "[1, 2.5]"),
        (np.array([[1.0, 2.0], [3.0, 4.0]]), "[[1, 2], [3, 4]]"),
        (np.arange(6.0).reshape(2, 3), "2x3: 0 to 5, mean 2.5"),
        (np.array([True, False]), "[True, False]"),
        (np.arange(10) < 3, "10: 3 true"),
        (np.array(np.inf), "inf"),
    ],
)
def test_large_values_are_summarised(value: Any, expected: str) -> None:
    assert short(value) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sigmoit"], "did you mean 'sigmoid'?"),
        (["sigmoid", "relu"], "one specification at a time, not 2"),
        (["digits-mlp"], "kinds that are"),
        (["../../etc/no/such/file"], "cannot be read"),
        ([""], "unknown specification ''"),
        (["sigmoid; import os"], "unknown specification"),
        (["sigmoid", "--backend", "torh"], "did you mean 'torch'?"),
        (["sigmoid", "--backend", "os:system"], "os:system"),
        (["sigmoid", "--input", "x"], "write NAME=VALUE"),
        (["sigmoid", "--input", "x=a"], "is no number"),
        (["sigmoid", "--input", "x=[1,[2,3]]"], "is no number"),
        (["sigmoid", "--input", "x=[]"], "0 numbers"),
        (["sigmoid", "--input", "x=" + "[" * 100_000], "is no number"),
        (["sigmoid", "--input", "z=1"], "unknown input of sigmoid 'z'"),
        (["dense", "--input", "x=[1,2]"], "one number fills it"),
        (["embedding", "--input", "x=0.5"], "whole numbers"),
        (["embedding", "--input", "x=1000000"], "cannot be computed"),
        (["embedding", "--input", "x=1e30"], "whole numbers from 0 to"),
        (["sparse_categorical_crossentropy", "--input", "t=[7,1]"], "whole numbers from 0 to 2"),
        (["softmax", "--input", "x=0.5"], "softmax of inputs of these shapes (x: ())"),
        (["sgd", "--knob", "lr=nan"], "nan is not a finite number"),
        (["leaky_relu", "--knob", "alpha=inf"], "inf is not a finite number"),
        (["dense", "--knob", "units=1.5"], "a length is a whole number"),
        (["dense", "--knob", "units=1e6"], "traces show at most 1,000,000"),
        (["sparse_categorical_crossentropy", "--input", "y=0.5", "--input", "t=1"], "whole numbers from 0 to 0"),
        (["sparse_categorical_crossentropy", "--input", "y=0.5"], "of inputs of these shapes (y: (), t: ())"),
        (["mlp", "--knob", "units=3"], "unknown setting of mlp"),
        (["mse", "--input", "y=[1,2]", "--input", "t=[1,2,3]"], "do not fit"),
        (["sigmoid", "--knob", "alpha=1"], "unknown setting of sigmoid"),
        (["sigmoid", "--json", "/no/such/folder/file"], "No such file"),
    ],
)
def test_refusals_say_what_to_do(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(main, ["trace", *arguments])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert "Traceback" not in result.output


def test_an_adapter_without_hooks_runs_its_primitives() -> None:
    """In a process of its own, in the folder of the example, as its author would."""
    words = [sys.executable, "-m", "crossnn", "trace", "huber", "--backend", "example_adapter:TapeAdapter"]
    done = subprocess.run(
        [*words, "--input", "y=[0.5,3]", "--input", "t=0"], cwd=Path(__file__).parent, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the adapter does not tell" in done.stdout
    (last,) = (line for line in done.stdout.splitlines() if "  result" in line)
    assert "where" in last
    assert "[0.125, 2.5]" in last


def test_an_adapter_that_tells_nothing_says_so() -> None:
    with pytest.raises(BackendError, match="no method 'watched'"):
        BaseAdapter().watched(lambda x: x, [1.0])


def test_no_framework_is_imported_unless_it_is_named() -> None:
    text = "import sys; from crossnn.cli import main; main(['trace', 'gelu'], standalone_mode=False); " \
        "print(sorted({'torch', 'tensorflow', 'jax'} & sys.modules.keys()))"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
