"""A file of the user's that cannot work is refused before any backend is started: one paragraph, exit code 2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from crossnn.catalogue.load import load_catalogue
from crossnn.cli import main


@pytest.fixture(autouse=True)
def _no_backend_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a bad file reached the backends")

    monkeypatch.setattr("crossnn.runs.runner.run", refuse)


def check(path: Path | str) -> Result:
    return CliRunner().invoke(main, ["check", str(path), "--backend", "numpy"])


def function(more: str = "", formula: str = "a*x") -> str:
    return f'[row]\nkind = "activation"\nformula = "{formula}"\n{more}'


def layer(more: str, formula: str = "x @ k") -> str:
    return f'[row]\nkind = "layer"\nformula = "{formula}"\n{more}'


def optimizer(*update: str, more: str = "params = { lr = 0.1 }") -> str:
    return f'[row]\nkind = "optimizer"\nupdate = {list(update)}\n{more}'


def network(*layers: str, shape: str = "[4]") -> str:
    return f'[row]\nkind = "network"\ninput = {shape}\nlayers = [{", ".join(layers)}]'


def experiment(**changes: str) -> str:
    fields = {
        "data": '"xor"', "network": '"xor"', "loss": '"binary_crossentropy_logits"', "optimizer": '{ use = "sgd" }',
        "batch_size": "16", "epochs": "2",
    }  # fmt: skip
    return '[row]\nkind = "experiment"\n' + "\n".join(
        f"{key} = {value}" for key, value in {**fields, **changes}.items()
    )


DENSE = 'layer = "dense"'
KERNEL = 'input = ["batch", "n"]\noptions = { units = 3 }\n'

BAD: list[tuple[str, str]] = [
    # text and TOML
    ("", "no table in it"),
    ("a = " + "[" * 5000 + "]" * 5000, "maximum recursion depth"),
    (function(f"params = {{ a = {'9' * 5000} }}"), "not valid TOML: Exceeds the limit"),
    ("row = 1979-05-27", "expected a table, or a formula"),
    ('"a\\nb" = "x"', "the name 'a\\nb' cannot be used"),
    ('"<script>" = "x"', "the name '<script>' cannot be used"),
    ('"../../x" = "x"', "the name '../../x' cannot be used"),
    ('"--help" = "x"', "cannot be used"),
    ('"" = "x"', "the name '' cannot be used"),
    # formulas
    ('row = ""', "formula cannot be read"),
    ('row = "x.__class__"', "at 'x.__class__'"),
    ("row = \"__import__('os').system('id')\"", "numbers, names"),
    ('row = "9**9**9"', "larger than 1e300"),
    (f'row = "{"(" * 10_000}x{")" * 10_000}"', "formula too long"),
    (f'row = "{"(" * 900}x{")" * 900}"', "nested parentheses"),
    (f'row = "{"-" * 1500}x"', "formula too large"),
    ('row = "x*y"', "[row]: in formula 'x*y': unknown name 'y'; known names: pi, x"),
    ('row = "f*x"', "unknown name 'f'"),
    ('row = "x if q else 2*x"', "'q' is not a knob here"),
    ('row = "x @ x"', "do not fit"),
    ('row = "sum(x, axis=())"', "axis=() names no axis of shape"),
    (function('let = ["b = exp(c)"]\nparams = { a = 1.0 }'), "let line 1: nothing uses 'b'"),
    (function('knobs = { way = ["p", "q"] }', "x if way == 'r' else 2*x"), "way == 'r' is never or always true"),
    (function('knobs = { way = ["p", "q"] }', "x if way else 2*x"), "way alone is never or always true"),
    (function("knobs = { way = true }", "x if way == 'p' else 2*x"), "this knob is true or false"),
    (function('kinks = ["a/0"]\nparams = { a = 1.0 }'), "kinks: 'a/0' is inf with {'a': 1.0}"),
    (function('kinks = ["log(a)"]\nparams = { a = 0.0 }'), "kinks: 'log(a)' is -inf"),
    ('[row]\nkind = "constraint"\nformula = "sum(w)"', "a constraint keeps that of its parameter"),
    (
        '[row]\nkind = "loss"\nformula = "(y - t)**2"\nends = [1.0]',
        "target = 'real' has none; allowed here: binary, sign",
    ),
    (
        '[row]\nkind = "loss"\nacts_on = "vector"\nformula = "sum((y - t)**2, axis=-1)"\nends = [1.0]',
        "allowed here: label, one_hot, simplex",
    ),
    ('row = "sum(x)"', "an activation keeps the shape"),
    ('row = "reshape(x, shape=(7, 7, 7))"', "cannot become (7, 7, 7)"),
    ('row = "broadcast(x, shape=(100000000,))"', "do not fit"),
    (function('definition = "x*q"', "x"), "unknown name 'q'"),
    (function('derivative = "2*z"', "x"), "unknown name 'z'"),
    (function('let = ["a = b"]'), "unknown name 'b'"),
    ('[row]\nkind = "loss"\nformula = "(y - t)**2 + x"', "unknown name 'x'; known names: pi, t, y"),
    ('[row]\nkind = "regularizer"\nformula = "x"', "known names: pi, w"),
    ('[row]\nkind = "initializer"\nformula = "q"', "known names: fan_in"),
    ('[row]\nkind = "metric"\nformula = "mean(y == t) + q"', "unknown name 'q'"),
    # parameters and knobs
    (function("params = { a = nan }"), "params: nan is not a finite number"),
    (function("params = { a = inf }"), "params: inf is not a finite number"),
    (function('params = { a = "1" }'), "expected `float`, got `str`"),
    (function("points = [nan]", "x"), "points: nan"),
    (function("kinks = [inf]", "x"), "kinks: inf"),
    (function("params = { x = 3.0 }", "x"), "'x' has a meaning here already"),
    (function('params = { "a b" = 3.0 }', "x"), "'a b' is not a name"),
    (function("knobs = { q = [] }", "x"), "knobs.q = []"),
    (function(f"knobs = {{ {', '.join(f'q{i} = true' for i in range(30))} }}", "x"), "at most 64"),
    # optimizers
    (optimizer("v = g"), "no line assigns w"),
    (optimizer("w = w - 0.1*g", more="params = {}"), "needs lr"),
    (optimizer("w = w - lr*q"), "unknown name 'q'"),
    (optimizer("w = w - lr*g", more="params = { lr = 0.1 }\nstate = { v = 0.0 }"), "no line assigns the state v"),
    (optimizer("w = sum(w)"), "w has shape () after a step"),
    (optimizer("w = w - lr*v", more='params = { lr = 0.1 }\nstate = { v = "nope" }'), "state.v = 'nope'"),
    (optimizer("w = w - lr*g", more="params = { lr = 0.1 }\nstate = { w = 0.0 }"), "'w' has a meaning here"),
    # layers
    (layer(KERNEL + 'params = { k = { shape = ["m", "units"], initializer = "zeros" } }'), "'m' is no setting here"),
    (layer(KERNEL + 'params = { k = { shape = ["n", "units"], initializer = "nope" } }'), "unknown initializer 'nope'"),
    (layer(KERNEL + 'params = { k = { shape = ["units", "n"], initializer = "zeros" } }'), "do not fit"),
    (layer(KERNEL + 'params = { k = { shape = ["n"], initializer = "zeros", when = "q" } }'), "is not a knob"),
    (layer("inputs = []", "x"), "inputs is empty"),
    (layer('carry = { h = ["batch"] }\nstep = ["h = x"]\nover = "y"', "h"), "over = 'y': the sequence"),
    (
        layer('input = ["batch", "n"]\ncarry = { h = ["batch"] }\nstep = ["h = tanh(h)"]', "h"),
        "depends on none of the inputs x",
    ),
    (layer('domains = { x = "q" }', "x"), "domains.x = 'q': binary, or an option"),
    (layer('domains = { x = "q" }\noptions = { q = -5 }', "x"), "domains.x = 'q': binary, or an option"),
    (layer('inference = "x*q"', "x"), "unknown name 'q'"),
    (layer('draws = { m = "1 - q" }', "x*m"), "unknown name 'q'"),
    # networks
    (network('{ layer = "nope" }'), "layer = 'nope'; known layers"),
    (
        network(f'{{ {DENSE}, name = "a", inputs = ["b"] }}', f'{{ {DENSE}, name = "b", inputs = ["a"] }}'),
        "do not exist",
    ),
    (network(), "layers is empty"),
    (network(f"{{ {DENSE} }}", shape="[-4]"), "whole numbers from 1"),
    (network(f"{{ {DENSE} }}", shape="[]"), "whole numbers from 1"),
    (network(f"{{ {DENSE} }}", shape="[1000000000, 1000000000]"), "numbers a sample; at most 100,000,000"),
    (network('{ layer = "lstm", units = 2 }', shape="[513, 2]"), "has 513 steps, which are unrolled; at most 512"),
    (network('{ layer = "global_average_pool" }'), "axis=() names no axis"),
    (
        network(f'{{ {DENSE}, name = "a" }}') + '\nweights = { "a.kernel" = [[1.0]] }',
        "weights.a.kernel has shape (1, 1)",
    ),
    (network(f"{{ {DENSE}, units = 1000000 }}", shape="[1000000]"), "1,000,000,000,000 numbers"),
    (network(f"{{ {DENSE}, units = 2.5 }}"), "units = 2.5; a length is a whole number"),
    (network(f"{{ {DENSE}, units = nan }}"), "units = nan; a length is a whole number"),
    (network(f"{{ {DENSE}, units = -2 }}"), "units = -2; a length is a whole number"),
    (network(f"{{ {DENSE}, name = 3 }}"), "name = 3"),
    (network(f'{{ {DENSE}, inputs = "input" }}'), "inputs = 'input'; write inputs ="),
    (network(f'{{ {DENSE}, kernel = "nope" }}'), "initializer 'nope' is unknown"),
    (network('{ layer = "dropout", rate = 1.5 }'), "not in (0, 1]"),
    (network(f'{{ {DENSE}, units = 2, name = "a" }}', '{ layer = "add", inputs = ["a", "input"] }'), "do not fit"),
    # experiments
    (experiment(network='"nope"'), "'nope'"),
    (experiment(loss='"relu"'), "unknown loss 'relu'"),
    (experiment(optimizer="{}"), "optimizer: which?"),
    (experiment(optimizer='{ use = "sgd", q = 3 }'), "unknown setting of sgd 'q'"),
    (experiment(optimizer='{ use = "sgd", lr = nan }'), "optimizer: nan"),
    (experiment(data='"nope"'), "unknown data 'nope'"),
    (experiment(data='"linear4"'), "has samples of shape (4,)"),
    (experiment(batch_size="0"), "batch_size = 0; a whole number from 1"),
    (experiment(batch_size="129"), "at least one batch"),
    (experiment(epochs="-1"), "epochs = -1"),
    (experiment(seed="-5"), "seed = -5"),
    (experiment(held_out="1.5"), "held_out = 1.5"),
    (experiment(held_out="nan"), "held_out = nan"),
    (experiment(metrics='["mse"]'), "'mse' is not a metric"),
    (experiment(regularizers='[{ use = "l2", on = "nope" }]'), "on = 'nope' is no parameter of 'xor'"),
]


@pytest.mark.parametrize(("text", "words"), BAD, ids=[f"{i}: {words[:40]}" for i, (_, words) in enumerate(BAD)])
def test_a_bad_file_is_refused_with_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "my.toml"
    file.write_text(text)
    result = check(file)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert result.stderr.startswith(f"error: {file}: ")
    assert result.stderr.count("\n") == 1, "one paragraph"
    assert len(result.stderr) < 1500
    assert not result.stdout


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    assert "not a regular file" in check("/dev/zero").stderr
    os.mkfifo(tmp_path / "pipe.toml")
    assert "not a regular file" in check(tmp_path / "pipe.toml").stderr
    (tmp_path / "folder.toml").mkdir()
    assert "Is a directory" in check(tmp_path / "folder.toml").stderr
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    assert "at most 1000000" in check(tmp_path / "large.toml").stderr
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in check(tmp_path / "bytes.toml").stderr


def test_an_adapter_that_cannot_be_made_is_an_error_of_one_line() -> None:
    result = CliRunner().invoke(main, ["show", "tanh", "--backend", "os:system"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: backend 'os:system': os:system cannot be made without arguments")
    assert result.stderr.count("\n") == 1


def test_a_damaged_machine_record_is_named(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("")
    for text, words in (("{", "cannot read"), ("[]", "no JSON object"), ('{"cores": 5}', "cores is 5")):
        (tmp_path / "machine.json").write_text(text)
        result = CliRunner().invoke(main, ["report", str(tmp_path)])
        assert result.exit_code == 2, result.output
        assert words in result.stderr


def test_a_composed_row_has_a_new_fingerprint_when_a_part_of_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    shas = []
    for units in (3, 4):
        net = f'[net]\nkind = "network"\ninput = [2]\nlayers = [{{ layer = "dense", units = {units} }}, {{ {DENSE} }}]'
        file.write_text(f"{net}\n{experiment(network=chr(34) + 'net' + chr(34))}\n[other]\n{function(formula='x')[6:]}")
        shas.append({name: row.sha for name, row in load_catalogue([str(file)]).rows.items()})
    assert shas[0]["net"] != shas[1]["net"]
    assert shas[0]["row"] != shas[1]["row"]
    assert shas[0]["other"] == shas[1]["other"]
    assert shas[0]["digits-mlp"] == shas[1]["digits-mlp"]
