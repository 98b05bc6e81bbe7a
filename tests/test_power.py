"""The power of the checks: what mutation operators make, what is killed, what the oracle recognises as no mutant."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from crossnn.catalogue.load import Catalogue, load_catalogue
from crossnn.catalogue.rows import Activation, Formulated, Network, Optimizer, Row, Trained
from crossnn.cli import main
from crossnn.formula.grammar import parse
from crossnn.parity.functions import function_subjects
from crossnn.parity.inputs import single
from crossnn.power.exchanged import exchanged
from crossnn.power.judge import Court, judge_mutants
from crossnn.power.mutants import Mutant, can_be_mutated, mutants, places
from crossnn.power.operators import OPERATORS
from crossnn.power.plan import power_cells
from crossnn.power.reasons import BELOW, UNSHOWN
from crossnn.power.site import Scope, sites
from crossnn.report.document import to_markdown
from crossnn.report.power import power_blocks, power_sentence, score
from crossnn.runs.cell import ORACLE, Cell, Record
from crossnn.runs.findings import Mutants, Survivor

SCOPE = Scope(
    {"alpha": 0.25, "eps": 1e-7}, ("x", "y"), ("t",),
    ("axis=1, start=0, stop=units", "axis=1, start=units, stop=2 * units"), frozenset({"x"}),
)  # fmt: skip


def made(operator: str, text: str) -> list[str]:
    """The formulas that an operator makes of a formula."""
    return [site.changed(new) for site in sites(parse(text), SCOPE) for new in OPERATORS[operator](site)]


@pytest.mark.parametrize(
    ("operator", "text", "expected"),
    [
        ("operator", "x + y*2", ["x-(y*2)", "x + (y/2)"]),
        ("term dropped", "x - 2*y", ["x", "-(2*y)"]),
        ("factor dropped", "exp(x)/y", ["exp(x)", "1/y"]),
        ("factor dropped", "(x + 1)**2", ["(x + 1)"]),
        ("arguments swapped", "x - y", ["y-x"]),
        ("arguments swapped", "where(x > 0, x, y)", ["where((x > 0), y, x)"]),
        ("arguments swapped", "x + y", []),
        ("sign", "-x", ["x"]),
        ("sign", "exp(x)", ["exp(-x)"]),
        ("constant", "x*3", ["x*(3 + 1)", "x*(3 - 1)", "x*(2*3)", "x*(-3)", "x*(3*(1 + 1e-6))"]),
        ("constant", "x > 0", ["x > (1)", "x > (1e-6)"]),
        ("parameter", "alpha*x", ["(0.25)*x", "(alpha*(1 + 1e-6))*x"]),
        ("comparison", "x < y", ["x <= y", "x > y"]),
        ("epsilon", "y/(sqrt(x) + eps)", [
            "y/sqrt(x) + eps", "y/((sqrt(x + eps)))", "y/((sqrt(x) - eps))", "y/((maximum(sqrt(x), eps)))",
        ]),
        ("epsilon", "sqrt(x + eps)", ["sqrt(x) + eps", "sqrt((x - eps))", "sqrt((maximum(x, eps)))"]),
        ("bias correction", "x/(1 - alpha**t)", ["x/((1))", "x/((1 - alpha))"]),
        ("step count", "x*t", ["x*(t - 1)", "x*(t + 1)"]),
        ("reduction", "sum(x, axis=-1)", ["mean(x, axis=-1)"]),
        ("reduction", "mean(x)", ["sum(x)", "sum(x)/(sum(ones_like(x)) - 1)"]),
        ("axis", "sum(x, axis=-1)", ["sum(x, axis=0)", "sum(x, axis=-2)", "sum(x)"]),
        ("transpose", "x @ y", ["transpose(x) @ y", "x @ transpose(y)"]),
        ("transpose", "transpose(x, axes=(0, 2, 1))", ["x", "transpose(x, axes=(0, 1, 2))"]),
        ("gate order", "slice(x, axis=1, start=0, stop=units)", ["slice(x, axis=1, start=units, stop=2 * units)"]),
        ("option", "conv(x, y, strides=2)", ["conv(x, y)"]),
        ("neighbour", "log1p(exp(x))", ["log(exp(x))", "log1p((expm1(x)))"]),
        ("neighbour", "abs(x)", ["x"]),
        ("name", "x + 1", ["(y) + 1"]),
        ("knob", "x if alpha else y", ["x", "y"]),
        ("precision", "0.1*x", [
            "(0.1*x)*(1 + 1e-8)",
            "(0.1*x) + stop_gradient(536870913*(0.1*x) - (536870913*(0.1*x) - (0.1*x)) - (0.1*x)) + 0",
            "(0.10000000149011612)*x",
        ]),
        ("gradient only", "y*x", [
            *("stop_gradient(y*x)", "2*(y*x) - stop_gradient((y*x))", "2*stop_gradient((y*x)) - (y*x)"),
            "(y*x) + (1e-6*(y*x) - stop_gradient(1e-6*(y*x)))",
            *("y*(stop_gradient(x))", "y*(2*x - stop_gradient(x))", "y*(2*stop_gradient(x) - x)"),
            "y*(x + (1e-6*x - stop_gradient(1e-6*x)))",
        ]),
        ("gradient only", "where(x > 0, y, 1)", []),
    ],
)  # fmt: skip
def test_an_operator_makes_these_mutants(operator: str, text: str, expected: list[str]) -> None:
    assert made(operator, text) == expected
    for one in expected:
        parse(one)


def test_every_operator_has_a_case() -> None:
    mark = next(mark for mark in test_an_operator_makes_these_mutants.pytestmark)  # type: ignore[attr-defined]
    assert {case[0] for case in mark.args[1]} == OPERATORS.keys()


def row(name: str) -> Row:
    return load_catalogue().find(name)


@pytest.mark.parametrize(
    ("name", "operator", "mutant"),
    [
        ("adabelief", "line order", "s = beta2*s + (1 - beta2)*(g - m)**2 + eps; m = beta1*m + (1 - beta1)*g"),
        ("momentum", "line dropped", "v = v"),
        ("adam", "stale state", "w = w - (lr*sqrt(c2)/c1*earlier_m/"),
        ("lstm", "stale state", "h = o*tanh(earlier_c)"),
        ("batch_norm", "training mixed up", "(x - c)*scale + shift"),
        ("batch_norm", "line dropped", "running_mean = running_mean"),
        ("mlp", "layer order", "relu1 > hidden1"),
        ("resnet", "layer exchanged", "multiply"),
        ("mlp", "layer dropped", ""),
    ],
)
def test_rows_are_changed_as_a_whole(name: str, operator: str, mutant: str) -> None:
    made = [new for kind, _, _, new, _ in exchanged(row(name)) if kind == operator]
    assert any(one.startswith(mutant) for one in made), made


def test_a_stale_state_is_what_the_slot_was_before() -> None:
    changed = [one for kind, _, _, _, one in exchanged(row("nesterov_lookahead")) if kind == "stale state"]
    assert [one.update[0] for one in changed if isinstance(one, Optimizer)] == [
        "earlier_v = v",
        "earlier_v = v",
        "earlier_x = x",
    ]


def test_only_what_is_judged_is_mutated() -> None:
    selu = row("binary_crossentropy")
    targets = {place.formula.target for place in places(selu)}
    assert {"log_p", "inner_q"} <= targets
    assert not {"ln_p", "slope", "outer"} & targets  # of the definition and of the derivative


def test_mutants_are_the_same_again_and_differ_from_each_other() -> None:
    one, again = mutants(row("adam")), mutants(row("adam"))
    assert [each.row for each in one] == [each.row for each in again]
    assert len({msgspec.json.encode(each.row) for each in one}) == len(one)
    assert all(each.row != row("adam") for each in one)


def test_a_sample_has_every_operator_and_is_part_of_all() -> None:
    every, some = mutants(row("batch_norm")), mutants(row("batch_norm"), 40)
    assert len(some) == 40
    assert {one.operator for one in some} == {one.operator for one in every}
    assert [one for one in every if one in some] == some


def court(name: str, changed: Row | None = None) -> Court:
    catalogue = load_catalogue()
    if changed is not None:
        catalogue = Catalogue({**catalogue.rows, name: changed})
    return Court(catalogue.find(name), catalogue, range(1))


def verdict(name: str, key: str, text: str, rounds: bool = False) -> str:
    """How a row with another text is judged."""
    changed = msgspec.structs.replace(row(name), **{key: text})
    if isinstance(changed, Activation):
        changed = msgspec.structs.replace(changed, definition="", derivative="")
    return court(name).verdict(Mutant("by hand", key, "", text + (" + 0" if rounds else ""), changed))[0]


@pytest.mark.parametrize(
    ("name", "key", "value", "expected"),
    [
        ("softplus", "formula", "log1p(exp(-abs(x))) + (x + abs(x))/2*(1 + 1e-8)", "killed"),
        ("softplus", "formula", "(1 + 1e-8)*log1p(exp(-abs(x))) + (x + abs(x))/2", "killed"),
        ("leaky_relu", "formula", "where(x > 0, x, 0.009999999776482582*x)", "killed"),
        ("sigmoid", "formula", "1/(1 + exp(-x))", "killed"),
        ("tanh", "formula", "tanh(x) + (x - stop_gradient(x))*1e-8", "killed"),
        ("relu", "formula", "where(x >= 0, x, 0)", "equivalent"),
        ("relu", "formula", "maximum(x, 0)", "equivalent"),
        ("leaky_relu", "formula", "where(x > 0, x, x*alpha)", "equivalent"),
        ("softmax", "let", ["powers = exp(x - max(x, axis=-1, keepdims=True))"], "equivalent"),
        ("softmax", "let", ["powers = exp(x)"], "killed"),
        ("mse", "formula", "(t - y)**2", "equivalent"),
        ("sgd", "update", ['g = weight_decay*w + g if decay == "coupled" else g', "w = w - g*lr"], "equivalent"),
        ("sgd", "update", ['g = g + weight_decay*w if decay == "coupled" else g', "w = w - lr*(1 + 1e-8)*g"], "killed"),
        ("dropout", "formula", "x/(1 - rate)", "killed"),
        ("dropout", "inference", "x*mask/(1 - rate)", "killed"),
        ("dense", "formula", "kernel @ x + bias", "stillborn"),
        ("dropout", "formula", "mask*x/(1 - rate)", "equivalent"),
        ("batch_norm", "inference", "(x - m)/sqrt(v + eps)*gamma + beta", "killed"),
    ],
)
def test_a_mutant_is_judged(name: str, key: str, value: object, expected: str) -> None:
    changed = msgspec.structs.replace(row(name), **{key: value})
    if isinstance(changed, Activation):
        changed = msgspec.structs.replace(changed, definition="", derivative="")
    assert court(name).verdict(Mutant("by hand", key, "", str(value), changed))[0] == expected


@pytest.mark.parametrize(
    ("name", "key", "value", "reason"),
    [
        # Flat at its end: what is wrong by d there makes d**2
        ("warmup_cosine", "formula", "where(done < warmup, lr*done/warmup, end + (lr - end)*(1 + cos(pi*(minimum(done, "
         "steps*(1 + 1e-8)) - warmup)/(steps - warmup)))/2)", BELOW),
        # A step that no input is near enough to, and a case that only a smaller alpha has
        ("smooth_l1", "formula", "where(a > beta*(1 + 1e-8), a - beta/2, e**2/(2*beta))", UNSHOWN),
        ("celu", "let", ["n = where(x > 0, 0, x)/alpha",
                         "m = where(x > -0.5, expm1(where(n > -0.5, n, 0)), exp(n) - 1)"], UNSHOWN),
    ],
)  # fmt: skip
def test_it_is_said_why_a_mutant_survives(name: str, key: str, value: object, reason: str) -> None:
    changed = msgspec.structs.replace(row(name), **{key: value})
    if isinstance(changed, Formulated):
        changed = msgspec.structs.replace(changed, definition="", derivative="")
    verdict, why = court(name).verdict(Mutant("by hand", key, "", str(value), changed))
    assert verdict == "survived"
    assert reason in why


def test_a_wrong_parameter_that_no_default_shows_is_not_equivalent() -> None:
    """With undefined = 0 at its default, 0*undefined is undefined: only other values tell."""
    changed = msgspec.structs.replace(row("precision"), formula="where(n > 0, sum(found*t)/maximum(n, 1), 0*undefined)")
    assert court("precision").verdict(Mutant("by hand", "formula", "", "", changed))[0] == "killed"


@pytest.mark.parametrize("name", ["relu", "sigmoid", "max_pool1d", "hinge", "non_negative", "glu"])
def test_a_value_rounded_to_float32_is_found(name: str) -> None:
    """Where the value is an input, or half of one, only inputs of 53 bits show it."""
    found = court(name)
    rounded = [one for one in mutants(found.row) if one.rounds]
    assert rounded
    assert {found.verdict(one)[0] for one in rounded} <= {"killed", "equivalent"}


def test_inputs_have_bits_that_float32_has_not_and_float32_is_given_what_it_can_hold() -> None:
    subject = function_subjects(row("relu"), 0)[0]  # type: ignore[arg-type]
    x = subject.params["x"]
    assert (single(x) != x).mean() > 0.7
    assert {-1.0, 0.0, 1.0} <= set(x)
    short = subject.references("float32")["value"].exact.hi
    assert (single(short) == short).all()


def test_a_specification_that_fails_itself_has_no_score() -> None:
    wrong = Activation(name="wrong", formula="x + 1e-8", definition="x", points=[0.0])
    with pytest.raises(Exception, match="wrong itself fails on numpy"):
        court("wrong", wrong)


@pytest.mark.parametrize("name", ["relu", "huber", "l2", "top_k_accuracy", "he_uniform", "cosine_decay",
                                  "clip_by_norm", "rms_norm", "simple_rnn", "nadam", "neuron_xor_layers"])  # fmt: skip
def test_the_checks_find_nearly_all_of_a_sample(name: str) -> None:
    (found,) = judge_mutants(Cell(task="power", spec=name, backend=ORACLE, mode="20"))
    assert isinstance(found, Mutants)
    assert found.made >= 8
    assert sum(counts[0] for counts in found.operators.values()) == found.made
    assert found.killed + found.equivalent + len(found.survivors) == found.made
    assert len(found.survivors) <= (1 if name == "top_k_accuracy" else 0), found.survivors


@pytest.mark.parametrize("name", ["gelu", "conv1d", "adam"])
def test_no_specification_raises_a_false_alarm(name: str) -> None:
    found, *failed = judge_mutants(Cell(task="power", spec=name, backend="numpy", mode="alarms", seed=3))
    assert isinstance(found, Mutants)
    assert (found.alarms, failed) == (0, [])
    assert found.judged > 10


def test_every_row_with_formulas_or_steps_has_mutants() -> None:
    rows = load_catalogue().rows.values()
    not_formulas = {one.name for one in rows if not can_be_mutated(one) and one.kind != "question"}
    assert not_formulas == {
        "threshold-and",
        "threshold-or",
        "threshold-not",
        "threshold-xor-product",
        "threshold-xor-layers",
    }  # no step is taken
    assert all(places(one) for one in rows if can_be_mutated(one) and not isinstance(one, Network | Trained))
    cells = power_cells((), sample=10, alarm_seeds=2)
    assert len({cell.key for cell in cells}) == len(cells)


FOUND = [
    Mutants(spec="one", kind="loss", spec_sha="", made=5, killed=3, equivalent=1, operators={"sign": (5, 3, 1)},
            survivors=(Survivor(operator="sign", place="formula at 0", original="-x", mutant="x", why="differs"),)),
    Mutants(spec="one", kind="loss", spec_sha="", made=0, killed=0, equivalent=0, judged=1200, alarms=2),
]  # fmt: skip


def test_the_report_says_what_survives_and_what_was_a_false_alarm() -> None:
    assert power_sentence(FOUND) == (
        "5 mutants of 1 specifications: 3 killed, 1 equivalent, 1 survived; score 75.00%. "
        "0 more could not be built or run, and count for nothing. "
        "2 false alarms in 1,200 judged quantities."
    )
    text = to_markdown(power_blocks(FOUND))
    assert all(word in text for word in ("Mistakes that the checks miss", "formula at 0", "75.00%", "1,200"))
    assert power_blocks([]) == []
    assert score((3, 0, 3)) is None


def test_the_command_measures_a_row_and_ends_with_0(tmp_path: Path) -> None:
    file = tmp_path / "out.json"
    arguments = ["power", "relu", "--all", "--out", str(tmp_path / "run"), "--json", str(file), "--jobs", "1"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "score 100.00%" in result.output
    assert "0 false alarms" in result.output
    findings = json.loads(file.read_text())["findings"]
    assert [one["record"] for one in findings] == ["mutants", "mutants"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["threshold-and"], "nothing to be mutated"), (["nosuch"], "nosuch"), (["relu", "--sample", "0"], "--sample")],
)
def test_bad_input_is_a_message(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["power", *arguments])
    assert result.exit_code == 2
    assert words in result.output


def test_records_of_alarms_are_records() -> None:
    assert all(
        isinstance(one, Mutants | Record) for one in judge_mutants(Cell(task="power", spec="relu", backend="numpy"))
    )
