"""The verifier of claim sheets: every kind of claim, right and wrong, with the counterexample to expect."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from crossnn.claims.judge import Finding, judge
from crossnn.claims.sheet import Claim, read_sheet, sheet_of, split_chain
from crossnn.cli import main
from crossnn.errors import SpecError


def claim(**table: Any) -> Claim:
    import msgspec

    return msgspec.convert({"id": "one", **table}, Claim)


def found(**table: Any) -> Finding:
    return judge(claim(**table))


NETWORK = {
    "formula": "sum((y - tanh(X @ W1) @ W2)**2)/2",
    "shapes": {"X": ["n", "k"], "W1": ["k", "h"], "W2": ["h", "o"], "y": ["n", "o"]},
}
FORM = {"formula": "transpose(w) @ A @ w", "shapes": {"A": ["n", "n"], "w": ["n"]}}

RIGHT: dict[str, dict[str, Any]] = {
    "softsign": {"formula": "x/(1 + abs(x))", "derivative": "1/(1 + abs(x))**2"},
    "of its own value": {"formula": "1/(1 + exp(-alpha*x))", "derivative": "alpha*f*(1 - f)"},
    "of another variable": {"formula": "w*exp(-w)", "derivative": "(1 - w)*exp(-w)"},
    "at a kink nothing is claimed": {"formula": "where(x < 0, 0, x)", "derivative": "where(x < 0, 0, 1)"},
    "at a jump neither": {"formula": "where(x < 0, 0, 1)", "derivative": "0*x"},
    "through a name": {"let": ["out = sigmoid(x)"], "formula": "-(y - out)**2/2",
                       "derivative": "(y - out)*out*(1 - out)"},
    "of a loss": {"formula": "-(t*log(y) + (1 - t)*log(1 - y))", "derivative": "(y - t)/(y*(1 - y))",
                  "where": "0 < y < 1"},
    "only where it is defined": {"formula": "log(x)", "derivative": "1/x"},
    "layer of a network": {**NETWORK, "gradient": {"W2": "-transpose(tanh(X @ W1)) @ (y - tanh(X @ W1) @ W2)"}},
    "hidden layer": {**NETWORK, "gradient": {
        "W1": "-transpose(X) @ (((y - tanh(X @ W1) @ W2) @ transpose(W2))*(1 - tanh(X @ W1)**2))"}},
    "quadratic form": {**FORM, "gradient": {"w": "(A + transpose(A)) @ w"}},
    "bilinear form, outer product": {"formula": "transpose(x) @ A @ y", "gradient": {"A": "x @ transpose(y)"},
                                     "shapes": {"A": ["n", "m"], "x": ["n"], "y": ["m"]}},
    "identity of powers": {"equal": ["(x + y)**2", "x**2 + 2*x*y + y**2"]},
    "only for positive numbers": {"equal": ["log(x*y)", "log(x) + log(y)"], "where": ["x > 0", "y > 0"]},
    "where both are defined": {"equal": ["x/x", "x**0"]},
    "Boolean": {"equal": ["x1 + x2 - 2*x1*x2", "where(x1 + x2 - 2*x1*x2 - 1/2 > 0, 1, 0)"],
                "where": ["x1*(1 - x1) == 0", "x2*(1 - x2) == 0"]},
    "fixed by the domain": {"equal": ["p*log(p) + q*log(q)", "p*log(p) + (1 - p)*log(1 - p)"],
                            "where": ["q == 1 - p", "0 < p < 1"]},
    "let": {"let": ["h = tanh(X @ W1)"], **NETWORK, "gradient": {"W2": "-transpose(h) @ (y - h @ W2)"}},
    "a length in a formula": {"equal": ["mean(e**2)", "sum(e**2)/n"], "shapes": {"e": ["n"]}},
    "ordering": {"order": ["mean(arctan(e)**2)", "mean(e**2)"], "shapes": {"e": ["n"]}},
    "ordering of three": {"order": ["0*x", "x**2", "x**2 + 1"]},
    "rows that sum to one": {"order": ["0*sum(p)", "-sum(p*log(p))"], "where": ["sum(p) == 1", "p > 0"],
                             "shapes": {"p": ["n"]}},
    "constant with printed digits": {"equal": ["0.39894228*exp(-x**2/2)", "exp(-x**2/2)/sqrt(2*pi)"]},
    "number": {"expression": "1/(1 + exp(-1))", "printed": "0.7311"},
    "number with trailing zero": {"expression": "1/2", "printed": "0.50"},
    "number with a comma": {"expression": "784*10 + 10", "printed": "7,850"},
    "momentum": {"update": ["v = rho*v + g", "w = w - lr*v"], "same_as": "momentum"},
    "momentum inside": {"update": ["h = alpha*h + eta*g", "w = w - h"], "same_as": "momentum",
                        "knobs": {"form": "inside"}},
    "Nesterov elsewhere": {"update": ["v = rho*v - lr*grad(w + rho*v)", "w = w + v"], "same_as": "nesterov"},
    "Nesterov uphill": {"same_as": "nesterov_lookahead",
                        "update": ["h = alpha*h + eta*grad(w - alpha*h)", "w = w - h"]},
    "descent": {"update": ["x = x - lr*g"], "converges": "x**2/2", "where": "0 < lr < 2"},
    "descent with what is customary": {"update": ["w = w - lr*g"], "converges": "(x - 3)**2"},
}  # fmt: skip

WRONG: dict[str, dict[str, Any]] = {
    "sign": {"formula": "exp(-x)", "derivative": "exp(-x)"},
    "factor": {"formula": "x**2", "derivative": "x"},
    "domain of a derivative": {"formula": "x/(1 + abs(x))", "derivative": "1/(1 + x)**2"},
    "transposed product": {**NETWORK, "gradient": {"W2": "-(y - tanh(X @ W1) @ W2) @ tanh(X @ W1)"}},
    "half of a quadratic form": {**FORM, "gradient": {"w": "2*A @ w"}},
    "missing transpose of a square": {"formula": "sum((A @ B)*C)", "gradient": {"A": "C @ B"},
                                      "shapes": {"A": ["n", "n"], "B": ["n", "n"], "C": ["n", "n"]}},
    "domain of an equality": {"equal": ["log(x**2)", "2*log(x)"]},
    "sign of a root": {"equal": ["sqrt(x**2)", "x"]},
    "off by one": {"equal": ["(1 - a)**(i + 1)*x0", "(1 - a)**i*x0"], "where": ["0 < a < 1", "i >= 0"]},
    "mean for sum": {"equal": ["mean(e**2)", "sum(e**2)"], "shapes": {"e": ["n"]}},
    "ordering": {"order": ["sqrt(mean(e**2))", "mean(e**2)"], "shapes": {"e": ["n"]}},
    "second of three": {"equal": ["x + x", "2*x", "x*x"]},
    "wrong digit": {"expression": "1/(1 + exp(-1))", "printed": "0.7310"},
    "wrong digit of a constant": {"equal": ["0.39894238*exp(-x**2/2)", "exp(-x**2/2)/sqrt(2*pi)"]},
    "one number of a list": {"expression": "concatenate(reshape(1, shape=(1,)), reshape(2, shape=(1,)))",
                             "printed": [1, 3]},
    "ascent": {"update": ["w = w + lr*g"], "converges": "x**2/2"},
    "beyond its range": {"update": ["w = w - lr*g"], "converges": "x**2/2", "where": "0 < lr < 3"},
    "Nesterov with a sign wrong": {"update": ["v = rho*v - lr*grad(w - rho*v)", "w = w + v"], "same_as": "nesterov"},
    "Nesterov that lags": {"update": ["v = rho*v - lr*grad(w + rho*v)", "w = w + rho*v"], "same_as": "nesterov"},
    "average for momentum": {"update": ["v = rho*v + (1 - rho)*g", "w = w - lr*v"], "same_as": "momentum"},
    "epsilon in the root": {"update": ["m = beta1*m + (1 - beta1)*g", "v = beta2*v + (1 - beta2)*g**2",
                                       "w = w - lr*(m/(1 - beta1**t))/sqrt(v/(1 - beta2**t) + eps)"],
                            "same_as": "adam"},
}  # fmt: skip

UNSAFE: dict[str, tuple[dict[str, Any], float, float]] = {
    "softplus": ({"formula": "log(1 + exp(x))", "derivative": "1/(1 + exp(-x))"}, 600, 800),
    "tanh by exponentials": ({"equal": ["(exp(2*x) - 1)/(exp(2*x) + 1)", "tanh(x)"]}, 300, 400),
    "softmax": ({"equal": ["exp(x)/sum(exp(x))", "exp(x - max(x))/sum(exp(x - max(x)))"],
                 "shapes": {"x": ["n"]}}, 700, 1000),
    "cancellation": ({"equal": ["(1 - cos(x))/x**2", "2*(sin(x/2)/x)**2"]}, 1e-12, 1e-7),
    "difference of roots": ({"equal": ["sqrt(x + 1) - sqrt(x)", "1/(sqrt(x + 1) + sqrt(x))"], "where": "x > 0"},
                            1e5, 1e7),
}  # fmt: skip
"""Claim, and between which inputs the first text begins to fail, by the limits of its dtype."""


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_claim_is_verified(name: str) -> None:
    one = found(**RIGHT[name])
    assert (one.verdict, one.counterexample) == ("VERIFIED", None), one


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_claim_is_refuted(name: str) -> None:
    one = found(**WRONG[name])
    assert one.verdict == "REFUTED", one
    assert one.counterexample is not None or "shapes do not fit" in one.reason


@pytest.mark.parametrize("name", UNSAFE)
def test_a_right_claim_may_be_unsafe(name: str) -> None:
    table, low, high = UNSAFE[name]
    one = found(**table)
    assert one.verdict == "UNSAFE", one
    start = abs(float(one.unsafe[0].split(" = ")[-1].split(" on:")[0]))
    assert low <= start <= high


@pytest.mark.parametrize(
    ("table", "inputs"),
    [
        (WRONG["sign"], {"x": 0.0}),
        (WRONG["sign of a root"], {"x": -1.0}),
        (WRONG["domain of an equality"], {"x": -1.0}),
        (WRONG["factor"], {"x": 1.0}),
        (WRONG["beyond its range"], None),
    ],
)
def test_counterexamples_are_simple(table: dict[str, Any], inputs: dict[str, float] | None) -> None:
    one = found(**table).counterexample
    assert one is not None
    if inputs is None:
        assert 2 <= one.inputs["lr"] < 3
    else:
        assert {name: abs(value) for name, value in one.inputs.items()} in (
            {k: abs(v) for k, v in inputs.items()},
            {"x": 1.0},
        )


@pytest.mark.parametrize(
    ("table", "holds"),
    [
        (WRONG["domain of a derivative"], "x >= 0"),
        (WRONG["sign of a root"], "x >= 0"),
        (WRONG["domain of an equality"], "x >= 0"),
        ({"order": ["abs(x)", "x**2"]}, "x >= 1"),
        (WRONG["mean for sum"], "n = 1"),
    ],
)
def test_where_a_refuted_claim_holds(table: dict[str, Any], holds: str) -> None:
    one = found(**table)
    assert one.verdict == "REFUTED"
    assert any(holds in part for part in one.holds_when), one.holds_when


def test_shapes_that_do_not_fit_are_reported_as_such() -> None:
    one = found(**WRONG["transposed product"])
    assert "shapes do not fit" in one.reason
    assert one.counterexample is None


def test_a_refutation_by_derivative_is_confirmed_by_central_differences() -> None:
    one = found(**WRONG["factor"]).counterexample
    assert one is not None
    slope = float(one.confirmed.rsplit(" ", 1)[1])
    assert math.isclose(slope, 2 * one.inputs["x"])


def test_another_convention_is_named() -> None:
    assert "form = ema" in found(**WRONG["average for momentum"]).reason
    assert "eps_place = inside" in found(**WRONG["epsilon in the root"]).reason


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"equal": ["log(-1 - x**2)", "log(-2 - x**2)"]}, "neither side is defined"),
        ({"equal": ["x", "x"], "where": "x**2 < -1"}, "no point was found"),
        ({"update": ["w = w - lr*g*foo"], "same_as": "sgd"}, "foo"),
        ({"update": ["w = w - lr*g"], "same_as": "sdg"}, "did you mean 'sgd'"),
        ({"expression": "x + 1", "printed": "2"}, "has no value"),
        ({"expression": "1", "printed": "one"}, "no number"),
        ({"expression": "1/3", "printed": "0." + 40 * "3"}, "at most 30"),
    ],
)
def test_what_cannot_be_judged_is_undecided_with_the_reason(table: dict[str, Any], reason: str) -> None:
    one = found(**table)
    assert one.verdict == "UNDECIDED"
    assert reason in one.reason


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0 < x < 1", ["0 < x", "x < 1"]),
        ("x > 0 and y > 0", ["x > 0", "y > 0"]),
        ("x > 0, y > 0", ["x > 0", "y > 0"]),
        ("sum(p) == 1", ["sum(p) == 1"]),
        ("maximum(x, y) > 0", ["maximum(x, y) > 0"]),
    ],
)
def test_conditions_are_taken_apart(text: str, parts: list[str]) -> None:
    assert split_chain(text) == parts


BAD = {
    "no claims": ("", "[[claim]] tables"),
    "no table": ("claim = 3", "[[claim]] tables"),
    "something else": ('[[claim]]\nid = "a"\nequal = ["x", "x"]\n[other]\nb = 1', "other"),
    "no TOML": ("[[claim", "not valid TOML"),
    "unknown key": ('[[claim]]\nid = "a"\nequals = ["x", "x"]', "equals"),
    "nothing claimed": ('[[claim]]\nid = "a"\nformula = "x"', "exactly one of"),
    "two things": ('[[claim]]\nid = "a"\nequal = ["x", "x"]\norder = ["x", "x"]', "at once"),
    "hostile": ('[[claim]]\nid = "a"\nequal = ["__import__(\'os\')", "x"]', "unknown primitive"),
    "same id": ('[[claim]]\nid = "a"\nequal = ["x", "x"]\n[[claim]]\nid = "a"\nequal = ["x", "x"]', "more than once"),
    "no id": ('[[claim]]\nid = " "\nequal = ["x", "x"]', "id is empty"),
    "one side": ('[[claim]]\nid = "a"\nequal = ["x"]', "at least 2"),
    "too large": ('[[claim]]\nid = "a"\nequal = ["x", "x"]\nshapes = { x = [64, 64, 64] }', "at most 4096"),
    "odd length": ('[[claim]]\nid = "a"\nequal = ["x", "x"]\nshapes = { x = ["n+1"] }', "length"),
    "no optimizer": ('[[claim]]\nid = "a"\nupdate = ["w = w - lr*g"]\nsame_as = "sdg"', "did you mean 'sgd'"),
    "another kind": ('[[claim]]\nid = "a"\nupdate = ["w = w - lr*g"]\nsame_as = "relu"', "the activation of this name"),
    "no knob": (
        '[[claim]]\nid = "a"\nupdate = ["w = w - lr*g"]\nsame_as = "adam"\nknobs = { eps = "up" }',
        "eps must be a number",
    ),
    "no hyper-parameter": (
        '[[claim]]\nid = "a"\nupdate = ["w = w - lr*g*foo"]\nsame_as = "sgd"',
        "'foo' is no hyper-parameter of sgd",
    ),
    "no number": ('[[claim]]\nid = "a"\nexpression = "2"\nprinted = "two"', "(a): printed: 'two' is no number"),
    "free variable": ('[[claim]]\nid = "a"\nexpression = "x"\nprinted = "1"', "x has no value in 'x'"),
    "too many numbers": ('[[claim]]\nid = "a"\nexpression = "2"\nprinted = [1, 2]', "2 numbers, but"),
    "too many digits": (f'[[claim]]\nid = "a"\nexpression = "1/3"\nprinted = "0.{40 * "3"}"', "at most 30"),
    "two variables": ('[[claim]]\nid = "a"\nupdate = ["w = w - lr*g"]\nconverges = "x*y"', "has 2 variables (x, y)"),
    "no condition": ('[[claim]]\nid = "a"\nequal = ["x", "x"]\nwhere = "x"', "'x' is no condition"),
    "infinite": (
        '[[claim]]\nid = "a"\nupdate = ["w = w - lr*g"]\nsame_as = "sgd"\nparams = { lr = nan }',
        "lr = nan; give a finite",
    ),
    "two lines wrong": ('[[claim]]\nid = "a"\nequal = ["x(", "x"]\n[[claim]]\nid = "b"\nequal = ["y y", "x"]', "(b)"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_sheet_is_one_message(name: str, tmp_path: Path) -> None:
    text, part = BAD[name]
    with pytest.raises(SpecError, match=r".*"):
        sheet_of(text, "sheet.toml")
    file = tmp_path / "sheet.toml"
    file.write_text(text, "utf-8")
    result = CliRunner().invoke(main, ["verify", str(file)])
    assert result.exit_code == 2
    assert part in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.toml"], "none.toml: no such file. Give the TOML file of a sheet, or 'lectures'"),
        (["lecture"], "no such file; did you mean 'lectures'?"),
        (["a.toml", "b.toml"], "the id 'c0' stands in a.toml and in b.toml"),
        (["a.toml", "--json", "no/a"], "--json no/a: cannot be written (No such file or directory)"),
        (["a.toml", "--html", "."], "--html .: cannot be written (Is a directory)"),
        (["a.toml", "--html", "a.html", "--json", "a.html"], "both write a.html: give two files"),
    ],
)
def test_wrong_usage_says_what_to_do(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.toml", "b.toml"):
        Path(sheet(tmp_path, {"equal": ["x", "x"]})).rename(name)
    result = CliRunner().invoke(main, ["verify", *arguments])
    assert (result.exit_code, message in result.output) == (2, True), result.output


def test_a_page_goes_to_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["verify", sheet(tmp_path, {"equal": ["x", "x"]}), "--html", "-"])
    assert result.stdout.lstrip().lower().startswith("<!doctype html>")
    assert not Path("-").exists()


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def sheet(tmp_path: Path, *tables: dict[str, Any]) -> str:
    lines = []
    for number, table in enumerate(tables):
        lines += ["[[claim]]", f'id = "c{number}"', *(f"{key} = {toml(value)}" for key, value in table.items())]
    file = tmp_path / "sheet.toml"
    file.write_text("\n".join(lines), "utf-8")
    return str(file)


def test_the_command_shows_writes_and_exits(tmp_path: Path) -> None:
    file = sheet(tmp_path, {"equal": ["2*x", "x + x"]}, {"equal": ["sqrt(x**2)", "x"], "says": "<b>root</b>"})
    page, data = tmp_path / "page.html", tmp_path / "data.json"
    result = CliRunner().invoke(main, ["verify", file, "--html", str(page), "--json", str(data)])
    assert result.exit_code == 1
    assert "2 claims: 1 VERIFIED, 1 REFUTED" in result.output
    written = json.loads(data.read_text("utf-8"))
    assert written["counts"] == {"VERIFIED": 1, "REFUTED": 1, "UNSAFE": 0, "UNDECIDED": 0}
    assert written["claims"][1]["counterexample"]["inputs"] == {"x": -1.0}
    assert "<b>root" not in page.read_text("utf-8")
    assert CliRunner().invoke(main, ["verify", file, "--id", "c0"]).exit_code == 0


def test_a_verdict_is_explained(tmp_path: Path) -> None:
    file = sheet(tmp_path, {"formula": "x**2*exp(x)", "derivative": "2*x*exp(x)"})
    result = CliRunner().invoke(main, ["verify", file, "--explain", "c0"])
    assert "central differences" in result.output
    assert "v1 = " in result.output
    assert CliRunner().invoke(main, ["verify", file, "--explain", "c9"]).exit_code == 2


def test_files_are_read(tmp_path: Path) -> None:
    assert len(read_sheet(sheet(tmp_path, RIGHT["softsign"], RIGHT["ordering"]))) == 2
    with pytest.raises(SpecError, match="folder"):
        read_sheet(str(tmp_path))
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "none.toml")]).exit_code == 2


SLIDE_NOTATION = {
    "X.T @ X": "transpose(X) @ X",
    "max(x, 0)": "maximum(x, 0)",
    "max(0, x, y)": "maximum(maximum(0, x), y)",
    "max(x)": "max(x)",
    "ln(1 + exp(x))": "log(1 + exp(x))",
    "dot(x, y) - norm(x)": "sum(x * y) - sqrt(sum(x ** 2))",
    "0.50*x": "0.50*x",
    "v = rho*v + relu(g)": "v = rho * v + maximum(g, 0)",
}


@pytest.mark.parametrize("text", SLIDE_NOTATION)
def test_what_slides_write_is_written_out(text: str) -> None:
    from crossnn.claims.notation import plain

    assert plain(text) == SLIDE_NOTATION[text]
