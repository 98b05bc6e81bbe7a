"""Questions: protocols where the answer is known, verdicts from numbers, rows, and the way through `crossnn run`."""

from __future__ import annotations

import importlib
import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from crossnn.catalogue.load import load_catalogue, read_text
from crossnn.catalogue.rows import Network, Question
from crossnn.cli import main
from crossnn.cli.options import select
from crossnn.cli.run import _plan
from crossnn.errors import CrossnnError, SpecError
from crossnn.parity.plan import check_cells
from crossnn.questions.ask import Ask, ask, question_cells
from crossnn.questions.bugs import PROGRAMS, named, written
from crossnn.questions.condition import clause
from crossnn.questions.depth import deep, kernel_gradients
from crossnn.questions.descent import curvature_ratio, descend, quadratic
from crossnn.questions.protocols import PROTOCOLS, numbers_of, settings_of
from crossnn.questions.rule import Case, chance, holds_at, judge, points_of, true_in
from crossnn.questions.trainings import approximator, count, experiment
from crossnn.report.document import to_html, to_markdown
from crossnn.report.questions import answers_sentence, answers_table, overall, question_blocks
from crossnn.runs.cell import Answer, Cell, Point
from crossnn.runs.wire import decode

CATALOGUE = load_catalogue()
ROWS = [row for row in CATALOGUE.of_kind("question") if isinstance(row, Question)]
Adapters = Callable[..., Any]


def row_of(text: str) -> Question:
    (row,) = read_text(text, "own.toml").values()
    assert isinstance(row, Question)
    return row


def made(protocol: str, holds: str = "1 < 2", **settings: Any) -> Question:
    return Question(name="own", says="it is so", protocol=protocol, holds=[holds], settings=settings)


def asked(adapter: Adapters, row: Question, seeds: int = 5, backend: str = "numpy", **rest: Any) -> list[Case]:
    module, _, name = PROTOCOLS[row.protocol].path.partition(":")
    one = adapter(backend)
    measure = getattr(importlib.import_module(module), name)
    return list(measure(Ask(settings_of(row), range(seeds), CATALOGUE, one, rest.get("modes", one.modes))))


# Rules: from numbers to verdicts.


def point(at: Mapping[str, float | str], holds: int, of: int = 10, **numbers: float) -> Point:
    return Point(at=dict(at), numbers={name: (value,) * of for name, value in numbers.items()}, holds=holds, of=of)


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (["a < b"], [True, False, False]),
        (["a >= b"], [False, True, False]),
        (["2*a < b", "b < 5"], [True, False, False]),
        (["abs(a - b) < 1.5"], [False, True, False]),
        (["scale > 1"], [False, True, True]),
    ],
)
def test_a_rule_is_true_where_all_comparisons_are(rule: list[str], wanted: list[bool]) -> None:
    columns = {"a": [1.0, 2.0, math.nan], "b": [3.0, 1.0, 1.0], "scale": [1.0, 2.0, 3.0]}
    assert true_in(rule, columns).tolist() == wanted


def test_repetitions_of_a_case_stand_together() -> None:
    cases = [Case({"n": n}, seed, {"a": float(seed), "b": 1.0}) for seed in (1, 0, 2) for n in (4, 8)]
    first, second = points_of(["a < b"], cases)
    assert first == Point(at={"n": 4}, numbers={"a": (0.0, 1.0, 2.0), "b": (1.0, 1.0, 1.0)}, holds=1, of=3)
    assert second.at == {"n": 8}


def test_what_is_never_reached_can_be_stored() -> None:
    (found,) = points_of(["a < b"], [Case({}, 0, {"a": 1.0, "b": math.inf}), Case({}, 1, {"a": math.nan, "b": 0.0})])
    assert found.holds == 1
    assert found.numbers == {"a": (1.0, None), "b": (1e308, 0.0)}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Point) == found


def test_the_sign_test_is_the_tail_of_the_binomial() -> None:
    assert chance(5, 5) == 1 / 32
    assert chance(4, 5) == 6 / 32
    assert chance(0, 7) == 1.0


@pytest.mark.parametrize(
    ("holds", "of", "most", "exact", "wanted"),
    [
        (5, 5, 0.9, False, True), (4, 4, 0.9, False, None), (0, 5, 0.9, False, False), (4, 5, 0.8, False, None),
        (18, 20, 0.9, False, True), (17, 20, 0.9, False, None), (2, 20, 0.9, False, False), (10, 20, 0.9, False, None),
        (1, 1, 0.9, True, True), (0, 1, 0.9, True, False),
    ],
)  # fmt: skip
def test_a_case_is_decided_by_its_repetitions(
    holds: int, of: int, most: float, exact: bool, wanted: bool | None
) -> None:
    assert holds_at(point({}, holds, of), most, exact) is wanted


@pytest.mark.parametrize(
    ("counts", "verdict", "when"),
    [
        ([10, 10, 10, 10], "holds", ""),
        ([0, 0, 5, 0], "does not hold here", ""),
        ([0, 0, 10, 10], "holds when", "n >= 100 (not at 10)"),
        ([10, 9, 0, 0], "holds when", "n <= 10 (not at 100)"),
        ([0, 10, 10, 0], "holds when", "10 <= n <= 100 (not at 1, nor at 1000)"),
        ([0, 10, 0, 0], "holds when", "n is 10 (not at 1, nor at 100)"),
        ([10, 0, 10, 0], "holds when", "n is 1 or 100"),
        ([5, 0, 5, 10], "holds when", "n >= 1000 (not at 100)"),
        ([10, 10, 0, 10], "holds when", "n <= 10 or n >= 1000"),
    ],
)
def test_every_verdict_is_reached(counts: list[int], verdict: str, when: str) -> None:
    points = [point({"n": float(10**place)}, holds) for place, holds in enumerate(counts)]
    assert judge(points, ["a < b"], ["n"], 0.9, False) == (verdict, when)


def test_the_condition_may_be_a_measured_number() -> None:
    cases = [Case({"n": n}, seed, {"a": n + 0.01 * seed, "b": 1.0}) for n in (0.5, 0.98, 2.0) for seed in range(5)]
    points = points_of(["a > b"], cases)
    assert judge(points, ["a > b"], ["a"], 0.9, False) == ("holds when", "a >= 1.01 (not at 1)")


@pytest.mark.parametrize(
    ("holding", "when"),
    [
        ({("x", 1), ("x", 2)}, "kind is x"),
        ({("x", 2), ("y", 2)}, "n >= 2 (not at 1)"),
        ({("x", 1), ("x", 2), ("y", 2)}, "n <= 1 and kind is x; or n >= 2"),
    ],
)
def test_a_condition_may_need_two_names(holding: set[tuple[str, int]], when: str) -> None:
    examples = [({"kind": kind, "n": n}, (kind, n) in holding) for kind in "xy" for n in (1, 2)]
    assert clause(examples, ["kind", "n"]) == when


def test_what_no_condition_tells_is_counted() -> None:
    points = [point({"n": 1.0}, 10), point({"n": 1.0}, 0), point({"n": 2.0}, 0)]
    assert judge(points, ["a < b"], [], 0.9, False)[1] == "in 1 of 3 cases: n 1"


# Protocols, where the answer is known.


def test_rmse_is_below_mse_exactly_where_mse_is_above_one(adapter: Adapters) -> None:
    for case in asked(adapter, made("error_measures", scales=[0.01, 0.9, 1.1, 100.0], errors=30)):
        mse, rmse, arctan = (case.numbers[name] for name in ("mse", "rmse", "arctan"))
        assert rmse == pytest.approx(math.sqrt(mse))
        assert (rmse < mse) == (mse > 1)
        assert arctan < min(mse, (math.pi / 2) ** 2)


def test_the_question_finds_the_one() -> None:
    (found,) = ask(Cell(task="question", spec="rmse-below-mse", backend="numpy"))
    assert isinstance(found, Answer)
    assert found.verdict == "holds when"
    values = [float(word.strip(")")) for word in found.when.split() if word.strip(")").replace(".", "").isdigit()]
    above, below = values
    assert found.when.startswith("mse >=")
    assert below <= 1 <= above


@pytest.mark.parametrize(
    ("name", "verdict", "when"),
    [
        ("arctan-is-larger", "does not hold here", ""),  # arctan(r)**2 <= r**2
        ("rmse-is-smallest", "does not hold here", ""),  # where RMSE is below MSE, it is above the arctangents
        ("rate-converges", "holds when", "rate <= 1.99 (not at 2.01)"),  # 0 < a < 2/L
        ("rate-too-large", "holds when", "rate >= 2.01 (not at 1.99)"),
        ("backprop-operations", "holds", ""),
    ],
)
def test_what_mathematics_knows_is_measured(name: str, verdict: str, when: str) -> None:
    (found,) = ask(Cell(task="question", spec=name, backend="numpy"))
    assert isinstance(found, Answer)
    assert (found.verdict, found.when) == (verdict, when)


def test_descent_on_one_axis_is_a_power(adapter: Adapters) -> None:
    """w = (1 - a)**t w0; the objective is below 1e-6 of its start when |1 - a|**t < 1e-3."""
    row = made("learning_rates", rates=[0.1, 0.95, 1.5, 2.5], kappa=1.0, dimensions=1, steps=100)
    for case in asked(adapter, row):
        shrinks = abs(1 - float(case.at["rate"]))
        needed = math.floor(math.log(1e-3) / math.log(shrinks)) + 1 if shrinks < 1 else math.inf
        assert case.numbers["steps"] == needed
        assert case.numbers["fewest_steps"] == math.floor(math.log(1e-3) / math.log(0.05)) + 1
        if shrinks > 1:
            assert case.numbers["change"] > 1


def test_the_condition_number_of_a_matrix() -> None:
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert curvature_ratio(turn @ np.diag([50.0, 0.5]) @ turn.T) == pytest.approx(100)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_many_descents_at_once_are_each_alone(name: str, adapter: Adapters) -> None:
    one = Ask({}, range(1), CATALOGUE, adapter("numpy"), ("eager",))
    objective = quadratic(np.diag([1.0, 0.1]))
    starts = np.array([[1.0, 1.0], [0.3, -2.0]])
    rates = np.array([0.05, 0.2])
    both = descend(one, name, rates[:, None, None], np.stack([starts, starts]), objective, 1e-4, 500)
    for place, rate in enumerate(rates):
        for number, start in enumerate(starts):
            alone = descend(one, name, np.array([[rate]]), start[None], objective, 1e-4, 500)
            assert alone.steps[0] == both.steps[place, number]
            assert alone.length[0] == pytest.approx(both.length[place, number])


def test_uncorrelated_normalised_features_make_a_sphere(adapter: Adapters) -> None:
    row = made("normalisation", ratios=[1.0, 100.0], correlations=[0.0, 0.9], samples=20_000, steps=300)
    for case in asked(adapter, row):
        kappa, detour = case.numbers["kappa_normalised"], case.numbers["detour_normalised"]
        if case.at["correlation"] == 0.0:
            assert kappa < 1.1
            assert 1 <= detour < (kappa + 1) / 2  # each step is the (kappa - 1)/(kappa + 1) of the one before, at most
        else:  # of four features with correlation c, the curvatures are 1 + 3c and 1 - c
            assert kappa == pytest.approx(3.7 / 0.1, rel=0.1)
        if case.at["ratio"] == 100.0:
            assert case.numbers["kappa_raw"] > 1e4 / 10
            assert case.numbers["steps_raw"] > case.numbers["steps_normalised"]


def test_the_best_rate_of_descent_is_found(adapter: Adapters) -> None:
    """At the best rate, 2/(1 + 1/kappa), the distance shrinks by (kappa - 1)/(kappa + 1) a step."""
    row = made("tuned_optimizers", optimizers=["sgd"], surfaces=["aligned", "rotated"], kappas=[9.0], per_decade=40)
    steps = [case.numbers["sgd"] for case in asked(adapter, row)]
    best = math.log(1e-3) / math.log(0.8)
    assert all(0.5 * best < one < 1.3 * best for one in steps)


def test_gradients_of_a_linear_chain(adapter: Adapters) -> None:
    """y = v w3 w2 w1 x with one unit a layer: the gradient of w1 is that of w3 times w3/w1."""
    weights = {"hidden1": 0.5, "hidden2": -2.0, "hidden3": 4.0}
    layers: list[dict[str, Any]] = [{"layer": "dense", "name": name, "units": 1, "use_bias": False} for name in weights]
    network = Network(
        name="chain", input=[1], layers=[*layers, {"layer": "dense", "name": "logits", "units": 10}],
        weights={f"{name}.kernel": [[value]] for name, value in weights.items()},
    )  # fmt: skip
    one = Ask({}, range(1), CATALOGUE, adapter("numpy"), ("eager",))
    x, t = np.array([[0.7], [-0.2]]), np.eye(10)[[3, 5]]
    found = kernel_gradients(one, network, {0: (x, t)})[0]
    assert found["hidden1"] / found["hidden3"] == pytest.approx(4.0 / 0.5)
    assert found["hidden2"] / found["hidden3"] == pytest.approx(4.0 / 2.0)


def test_one_hidden_layer_is_first_and_last(adapter: Adapters) -> None:
    row = made("gradient_flow", networks=["sigmoid", "sigmoid_batch_norm"], depths=[1, 6], width=8)
    for case in asked(adapter, row):
        if case.at["depth"] == 1:
            assert case.numbers == {"sigmoid": 1.0, "sigmoid_batch_norm": 1.0}
        else:
            assert case.numbers["sigmoid"] < 0.25 ** (6 - 1) * 50  # at most a quarter passes a sigmoid


def test_deep_networks_are_what_they_are_called() -> None:
    network = deep("elu_batch_norm", 2, 5, "he_normal")
    assert [layer["layer"] for layer in network.layers] == ["dense", "batch_norm", "elu"] * 2 + ["dense"]


@pytest.mark.parametrize(("arguments", "depth"), [(4, 1), (12, 1), (4, 4), (12, 3)])
def test_networks_of_one_budget(arguments: int, depth: int) -> None:
    network = approximator(arguments, depth, 600)
    widths = [arguments, *(int(str(layer["units"])) for layer in network.layers if "units" in layer)]
    parameters = sum((before + 1) * after for before, after in itertools.pairwise(widths))
    assert len(widths) == depth + 2
    assert parameters == count(arguments, depth, widths[1])
    assert abs(parameters - 600) < 60


def test_backpropagation_costs_a_few_times_the_value(adapter: Adapters) -> None:
    """Of a product X W, the gradient has two; the first layer's input needs none."""
    row = made("gradient_operations", depths=[1, 12], widths=[200], batch=200)
    found = {case.at["depth"]: case.numbers["gradient"] / case.numbers["value"] for case in asked(adapter, row)}
    assert found[1] == pytest.approx(2, rel=0.1)
    assert found[12] == pytest.approx(3 - 1 / 12, rel=0.1)


def test_what_is_wasted_is_not_in_the_compiled_graph(adapter: Adapters) -> None:
    found = {(case.at["mode"], case.at["waste"]): case.numbers for case in asked(adapter, made("found_work"))}
    for waste in ("unused", "repeated"):
        eager, compiled = found["eager", waste], found["compiled", waste]
        assert compiled["left"] == compiled["lean"] < eager["left"]
    assert found["compiled", "unused"]["lean"] == 4  # tanh, exp, tanh, mean
    assert found["eager", "unused"]["left"] == 4 + 1 + 6  # an addition, and twice the work
    assert found["eager", "repeated"]["left"] == 3 * 3 + 3


def test_bugs_in_numpy_are_named_by_both(adapter: Adapters) -> None:
    found = {
        case.at["bug"]: (case.numbers["eager"], case.numbers["symbolic"])
        for case in asked(adapter, made("injected_bugs"))
    }
    assert list(found) == list(PROGRAMS)
    assert found["shape"] == (1.0, 1.0)  # the shapes are known while the graph is recorded
    assert found["nan"] == found["axis"] == (0.0, 0.0)  # nobody says anything
    assert found["dtype"] == (1.0, 1.0)  # whole numbers become real ones, as is meant
    assert found["branch"] == (1.0, 1.0)  # runs, or refuses in that line
    assert found["range"][0] == 1.0


def test_an_error_is_found_by_file_and_line(tmp_path: Path) -> None:
    bug = written("shape", tmp_path)
    assert bug.text.splitlines()[bug.line - 1].endswith("# the bug")
    assert named(ValueError(f'File "{bug.file}", line {bug.line}, in program'), bug)
    assert named(ValueError(f"{bug.file}:{bug.line}: shapes differ"), bug)
    assert not named(ValueError(f'File "{bug.file}", line {bug.line + 1}, in program'), bug)
    assert not named(ValueError("shapes differ"), bug)


SMALL: Mapping[str, dict[str, Any]] = {
    "error_measures": {"scales": [1.0]},
    "learning_rates": {"rates": [0.5], "steps": 20},
    "normalisation": {"ratios": [2.0], "correlations": [0.1], "steps": 20},
    "tuned_optimizers": {"surfaces": ["rosenbrock"], "optimizers": ["sgd", "adam"], "steps": 20, "per_decade": 1},
    "gradient_flow": {"networks": ["relu"], "depths": [2]},
    "compared_trainings": {"first": "digits-softmax", "second": "digits-softmax", "rates": [0.1], "epochs": 1},
    "batch_sizes": {"samples": [60], "rates": [0.1], "steps": 20, "epochs": 1},
    "dropout_gap": {"samples": [40], "rates": [0.2], "epochs": 1},
    "depth_budget": {"arguments": [4], "kinds": ["linear"], "depths": [1, 2], "parameters": 40, "epochs": 1},
    "printed_run": {"experiment": "digits-as-printed", "epochs": [1]},
    "python_lists": {"sizes": [2]},
    "gradient_cost": {"depths": [1], "widths": [2], "batch": 1},
    "gradient_operations": {"depths": [1], "widths": [2], "batch": 1},
    "symbolic_cost": {"elements": [2], "operations": [3]},
    "working_memory": {"elements": [1000], "operations": [3]},
    "wasted_work": {"elements": [2]},
    "found_work": {},
    "trained_modes": {},
    "injected_bugs": {},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_protocol_measures_what_it_declares(protocol: str, adapter: Adapters) -> None:
    row = made(protocol, **SMALL[protocol])
    cases = asked(adapter, row)
    assert {tuple(case.at) for case in cases} == {PROTOCOLS[protocol].varies}
    assert {tuple(sorted(case.numbers)) for case in cases} == {tuple(sorted(numbers_of(row)))}
    assert all(isinstance(value, float | int) for case in cases for value in case.numbers.values())
    repeated = {seed: sum(case.seed == seed for case in cases) for seed in {case.seed for case in cases}}
    assert len(set(repeated.values())) == 1
    assert set(repeated) == set(range(1 if PROTOCOLS[protocol].exact else 5))


@pytest.mark.parametrize(
    "protocol", ["error_measures", "learning_rates", "gradient_flow", "compared_trainings", "printed_run"]
)
def test_what_is_not_timed_is_the_same_again(protocol: str, adapter: Adapters) -> None:
    row = made(protocol, **SMALL[protocol])
    assert asked(adapter, row) == asked(adapter, row)


def test_dropout_and_its_absence_start_alike(adapter: Adapters) -> None:
    """Of so small a rate that no mask drops anything, dropout changes nothing but the scale by 1 - rate."""
    row = made("dropout_gap", samples=[40], rates=[0.01], epochs=1)
    for case in asked(adapter, row):
        assert case.numbers["dropout_held_out"] == pytest.approx(case.numbers["plain_held_out"], rel=0.2)


# Rows.

PLAIN = """
[own]
kind = "question"
says = "it is so"
protocol = "error_measures"
holds = ["rmse < mse"]
"""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('protocol = "error_measure"', "did you mean 'error_measures'?"),
        ("settings = { scale = [1.0] }", "unknown setting of protocol error_measures 'scale'; did you mean 'scales'?"),
        ("settings = { scales = 1.0 }", "settings.scales = 1.0; a list of"),
        ("settings = { scales = [] }", "settings.scales = []; a list of"),
        ("settings = { scales = [1.0, 1.0] }", "lists a value twice"),
        ('settings = { scales = ["a"] }', "settings.scales: 'a' is no number"),
        ("settings = { scales = [-1.0] }", "settings.scales: -1.0 is not from 1e-12 to 1e+06"),
        ("settings = { errors = 1.5 }", "settings.errors: 1.5 is no whole number"),
        ("settings = { errors = true }", "settings.errors: True is no whole number"),
        ('holds = ["rmse + mse"]', "is no comparison"),
        ('holds = ["rmse < huber"]', "names huber; protocol error_measures has arctan, mse, rmse, scale"),
        ('holds = ["rmse < "]', "formula cannot be read"),
        ("holds = []", "holds is empty"),
        ('by = ["size"]', "by: unknown name 'size'"),
        ("seeds = 4", "seeds = 4; from 5 to 1000"),
        ("most = 0.5", "most = 0.5; the share"),
        ("backends = []", "backends is empty"),
        ('verdict = "holds"', "Keys of a row of kind 'question'"),
    ],
)
def test_a_row_is_refused_with_what_is_allowed(line: str, said: str) -> None:
    key = line.split(" =")[0]
    kept = [one for one in PLAIN.splitlines() if not one.startswith(f"{key} =")]
    with pytest.raises(SpecError) as caught:
        read_text("\n".join([*kept, line]), "own.toml")
    assert said in str(caught.value)
    assert "own.toml" in str(caught.value)


def test_a_name_is_measured_for_each_value_of_a_setting() -> None:
    assert numbers_of(made("depth_budget", depths=[1, 5]))[:2] == ["depth_1", "depth_5"]
    assert numbers_of(made("tuned_optimizers", optimizers=["adam"])) == ["adam"]


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_built_in_question_can_be_asked(row: Question) -> None:
    module, _, name = PROTOCOLS[row.protocol].path.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    assert row.source.startswith(("lecture", "exercise"))
    for key in ("experiment", "first", "second"):
        if key in row.settings:
            assert experiment(CATALOGUE, row.settings[key]).name == row.settings[key]


def test_every_protocol_is_used() -> None:
    assert {row.protocol for row in ROWS} == set(PROTOCOLS)


def test_no_row_says_its_verdict() -> None:
    for row in ROWS:
        assert not {"verdict", "when", "answer"} & set(row.__struct_fields__)


def test_a_question_is_as_old_as_what_it_trains() -> None:
    from crossnn.catalogue.load import digest

    row = CATALOGUE.find("dropout-is-better")
    assert row.sha != digest(row.name, msgspec.to_builtins(row))
    assert "digits-mlp" in CATALOGUE.with_parts([row.name])


def test_questions_are_not_checked() -> None:
    assert not {row.name for row in ROWS} & {cell.spec for cell in check_cells((), backends=["numpy"])}
    with pytest.raises(CrossnnError, match="crossnn run rate-converges"):
        check_cells(["rate-converges"], backends=["numpy"])


def test_a_file_of_questions_is_not_checked(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN, "utf-8")
    result = CliRunner().invoke(main, ["check", str(tmp_path / "own.toml")])
    assert result.exit_code == 2
    assert "try 'crossnn run'" in result.output


@pytest.mark.parametrize(
    ("name", "backends", "modes", "wanted"),
    [
        ("rate-converges", ["numpy", "torch"], None, [("numpy", "")]),
        ("symbolic-is-faster", ["numpy", "torch"], None, [("numpy", ""), ("torch", "")]),
        ("symbolic-is-faster", ["torch", "jax"], ["eager"], [("torch", "eager"), ("jax", "eager")]),
        ("symbolic-is-faster", ["tensorflow"], ["eager", "graph"], [("tensorflow", "eager,graph")]),
        ("eager-and-graph-are-one", ["numpy"], None, []),
    ],
)
def test_a_question_is_asked_of_its_backends(
    name: str, backends: list[str], modes: list[str] | None, wanted: list[tuple[str, str]]
) -> None:
    row = CATALOGUE.find(name)
    assert isinstance(row, Question)
    cells = question_cells([row], files=(), backends=backends, modes=modes, devices=["cpu"], seeds=[0])
    assert [(cell.backend, cell.mode) for cell in cells] == wanted


def test_without_its_files_a_question_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSNN_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    (found,) = ask(Cell(task="question", spec="mnist-as-printed", backend="numpy"))
    assert not isinstance(found, Answer)
    assert (found.verdict, found.kind) == ("NOT-RUN", "question")
    assert "needs files of yours" in found.message


def test_without_a_mode_that_compiles_there_is_nothing_to_compare() -> None:
    (found,) = ask(Cell(task="question", spec="symbolic-is-faster", backend="numpy", mode="eager"))
    assert not isinstance(found, Answer)
    assert found.verdict == "NOT-RUN"


# Through the command line, into the report.

OWN = """
[sizes]
kind = "question"
says = "RMSE is <smaller> than MSE"
protocol = "error_measures"
settings = { scales = [0.01, 100.0], errors = 20 }
holds = ["rmse < mse"]
by = ["scale"]
source = "lecture S1-18"
"""


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["run", *arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one question."""
    home = tmp_path_factory.mktemp("questions")
    (home / "own.toml").write_text(OWN, "utf-8")
    result = run(str(home / "own.toml"), "sizes", "--out", str(home / "run"))
    assert result.exit_code == 0, result.output
    assert "1 claim measured: 1 hold in some cases." in result.output
    assert "scale >= 100 (not at 0.01)" in result.output
    return home


def test_a_question_runs_by_name_and_leaves_a_record(folder: Path) -> None:
    lines = (folder / "run" / "results.jsonl").read_bytes().splitlines()
    found = [one for one in map(decode, lines) if isinstance(one, Answer)]
    (answer,) = found
    assert (answer.spec, answer.backend, answer.verdict) == ("sizes", "numpy", "holds when")
    assert answer.when == "scale >= 100 (not at 0.01)"
    assert [(one.at["scale"], one.holds, one.of) for one in answer.points] == [(0.01, 0, 10), (100.0, 10, 10)]
    assert all(len(values) == 10 for one in answer.points for values in one.numbers.values())
    assert answer.seconds > 0


def test_a_finished_question_is_not_asked_again(folder: Path) -> None:
    before = (folder / "run" / "results.jsonl").read_bytes()
    result = run(str(folder / "own.toml"), "sizes", "--out", str(folder / "run"), "--resume")
    assert result.exit_code == 0, result.output
    assert "1 of 1 cells are finished already" in result.output
    assert "1 claim measured" in result.output
    assert (folder / "run" / "results.jsonl").read_bytes() == before


def test_a_torn_answer_is_asked_again(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "run" / "results.jsonl").read_bytes()
    (tmp_path / "results.jsonl").write_bytes(whole[: len(whole) // 2])
    result = run(str(folder / "own.toml"), "sizes", "--out", str(tmp_path), "--resume")
    assert result.exit_code == 0, result.output
    assert sum(b'"record":"answer"' in line for line in (tmp_path / "results.jsonl").read_bytes().splitlines()) == 1


def test_the_report_has_a_section(folder: Path) -> None:
    text = (folder / "run" / "report.md").read_text("utf-8")
    assert "## Questions" in text
    assert "1 claim measured: 1 hold in some cases.\n\nAsked of numpy." in text
    assert "Nothing ran" not in text
    assert "holds when scale &gt;= 100 (not at 0.01)" in text
    page = (folder / "run" / "report.html").read_text("utf-8")
    assert "&lt;smaller&gt;" in page
    assert "<smaller>" not in page


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OWN.replace("error_measures", "errors"), "unknown protocol 'errors'"),
        (OWN.replace("scales =", "sizes ="), "unknown setting of protocol error_measures 'sizes'"),
    ],
)
def test_a_bad_row_is_wrong_usage(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(text, "utf-8")
    result = run(str(tmp_path / "own.toml"), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_question_for_other_backends_only_runs_nothing(tmp_path: Path) -> None:
    result = run("eager-and-graph-are-one", "--backend", "numpy", "--out", str(tmp_path / "run"))
    assert result.exit_code == 3
    assert "not for the backends or modes asked for" in result.output


def test_a_question_without_its_data_alone_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSNN_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    result = run("mnist-as-printed", "--out", str(tmp_path / "run"))
    assert result.exit_code == 3
    assert "needs files of yours" in result.output


@pytest.mark.parametrize(
    ("everything", "wanted"), [(False, {row.name for row in ROWS if row.main}), (True, {row.name for row in ROWS})]
)
def test_without_a_name_the_main_questions_are_asked(everything: bool, wanted: set[str]) -> None:
    options: dict[str, Any] = {
        "backend": ("numpy",), "mode": (), "dtype": (), "device": (), "implementation": (), "seeds": 1, "jobs": 1,
        "threads": 1, "timeout": 600.0, "json_file": None,
    }  # fmt: skip
    cells, rows = _plan([], [], select(options), True, everything)
    kinds = {row.name: row.kind for row in rows}
    asked = {cell.spec for cell in cells if cell.task == "question"}
    assert asked == {row.name for row in ROWS if row.name in wanted and {"numpy", "all"} & set(row.backends)}
    assert not {cell.spec for cell in cells if cell.task != "question" and kinds[cell.spec] == "question"}


def test_the_main_questions_are_few() -> None:
    assert 5 < sum(row.main for row in ROWS) < len(ROWS) / 2


def test_a_question_is_shown() -> None:
    result = CliRunner().invoke(main, ["show", "rate-converges"])
    assert result.exit_code == 0
    assert "change < 0.1" in result.output
    assert "learning_rates" in result.output


def answer(backend: str, counts: list[int], **rest: Any) -> Answer:
    points = tuple(
        Point(at={"mode": f"m{place}"}, numbers={"a": (1.0, 1e308, None), "b": (2.0, 2.0, 2.0)}, holds=holds, of=10)
        for place, holds in enumerate(counts)
    )
    verdict, when = judge(points, ["a < b"], ["mode"], 0.9, False)
    return Answer(
        spec="own", spec_sha="", backend=backend, says="a | b", source="", rule=("a < b",), by=("mode",), most=0.9,
        exact=False, verdict=verdict, when=when, points=points, seconds=1.5, **rest,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "verdict", "when"),
    [
        ({"numpy": [10, 10], "jax": [10, 10]}, "holds", ""),
        ({"numpy": [10, 10], "jax": [0, 0]}, "holds when", "backend is numpy"),
        ({"numpy": [0, 10], "jax": [0, 10]}, "holds when", "mode is m1"),
        ({"numpy": [0, 5], "jax": [0, 0]}, "does not hold here", ""),
    ],
)
def test_several_backends_make_one_verdict(counts: dict[str, list[int]], verdict: str, when: str) -> None:
    group = [answer(backend, one) for backend, one in counts.items()]
    assert overall(group) == (verdict, when)
    table = answers_table(group)
    assert table.rows == [["own", verdict, when, "numpy, jax", "3.0"]]
    text = to_markdown(question_blocks(group))
    assert "never" in text
    assert r"a \| b" in text
    assert "<table" in to_html(question_blocks(group), "page")


def test_a_count_of_cases_reads_as_one() -> None:
    one = msgspec.structs.replace(answer("numpy", [10, 0]), when="in 1 of 2 cases: mode m0")
    text = to_markdown(question_blocks([one]))
    assert "Verdict: holds in 1 of 2 cases: mode m0." in text
    assert answers_table([one], 12).rows[0][2] == "in 1 of ..."


def test_more_seeds_are_more_repetitions() -> None:
    """Four of four say nothing; eight of eight do."""
    (one,) = (answer("numpy", [4]),)
    few = msgspec.structs.replace(one, points=(msgspec.structs.replace(one.points[0], of=4),))
    assert overall([few, few]) == ("holds", "")
    assert judge(few.points, few.rule, few.by, few.most, few.exact)[0] == "does not hold here"


def test_the_sentence_counts_claims() -> None:
    group = [answer("numpy", [10, 10]), msgspec.structs.replace(answer("numpy", [0, 0]), spec="other")]
    assert answers_sentence(group) == "2 claims measured: 1 hold, 1 do not hold here."
