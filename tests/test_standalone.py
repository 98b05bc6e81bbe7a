"""Standalone files: each is executed where only its framework can be imported, and what it prints is judged as `check`
and `run` judge: against arbitrary precision, and against the reference of the training."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from crossnn.catalogue.build import knob_choices, settings
from crossnn.catalogue.load import load_catalogue
from crossnn.catalogue.rows import Experiment, Formulated, Layer, Network, Optimizer, Row, Study
from crossnn.cli import main
from crossnn.experiment.problem import Problem
from crossnn.formula.graph import GRAPH, Graph, Node
from crossnn.formula.shapes import Shape
from crossnn.parity.differences import apply_registry
from crossnn.parity.judge import Reference, judge
from crossnn.parity.optimizers import Steps
from crossnn.parity.subject import Subject, shapes_of
from crossnn.registry import BUILT_IN
from crossnn.runs.cell import Cell, Numbers, Record, Training
from crossnn.standalone.functions import Case, function_case
from crossnn.standalone.networks import layer_case, network_case
from crossnn.standalone.numbers import digits
from crossnn.standalone.optimizers import start, step_gradients
from crossnn.standalone.side_by_side import beside
from crossnn.standalone.write import standalone
from crossnn.training.reference import reference_training
from crossnn.training.train import problem_of
from crossnn.training.verdict import judge_curves

CATALOGUE = load_catalogue()
FRAMEWORKS = ("crossnn", "torch", "tensorflow", "keras", "jax", "jaxlib", "optax", "mpmath", "gmpy2")
OWN = {"numpy": (), "torch": ("torch", "mpmath"), "tensorflow": ("tensorflow", "keras"), "jax": ("jax", "jaxlib")}
"""What a framework brings along: torch imports sympy, and that mpmath."""

RUNNER = """
import contextlib, io, json, runpy, sys, traceback

folder, refused = sys.argv[1], set(json.loads(sys.argv[2]))


class Bare:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in refused else self.finder.find_spec(name, path, target)


sys.meta_path[:] = [Bare(finder) for finder in sys.meta_path]
printed = {}
for name in json.loads(open(f"{folder}/files.json").read()):
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            runpy.run_path(f"{folder}/{name}.py", run_name="__main__")
        printed[name] = output.getvalue()
    except BaseException:
        printed[name] = "FAILED " + traceback.format_exc()
with open(f"{folder}/printed.json", "w") as file:
    json.dump(printed, file)
"""

MAIN = [row.name for row in CATALOGUE.of_kind("experiment", "study") if getattr(row, "main", False)]
FURTHER = [
    "threshold-xor-layers", "perceptron-rule", "logistic-frequencies", "mlp-multiregression", "mlp-classes",
    "joined-regressions", "bowl-one_cycle", "rosenbrock-adam", "matrix-adafactor", "scales-normalised",
]  # fmt: skip
"""Trainings with something of their own: no step, a table, a slot of one number, constraints, a schedule, matrices."""
DEEP = ["digits-lenet", "digits-resnet", "text-lstm", "remember-first", "copy-transformer"]
"""Convolutions, running statistics, steps of a sequence, clipping, attention: not everywhere, as they take long."""
NETWORKS = [
    "softmax_regression", "mlp", "residual_mlp", "logistic_regression", "xor", "linear_regression", "approximator",
    "neuron_and",
]  # fmt: skip
DEEP_NETWORKS = ["lenet", "resnet", "gru_parity", "transformer", "bag_of_embeddings_40"]
LAYERS = ["dense", "prelu", "conv1d", "max_pool1d", "layer_norm", "embedding"]
QUICK = ("numpy", "torch")
"""Backends that compile nothing: every convention of every function is executed by these."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """A file that is wanted: of which row, with which settings."""

    row: Row
    given: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        return "__".join([self.row.name, *(f"{key}_{value}" for key, value in self.given)])


ALL = [
    Wanted(row, tuple(knobs.items()))
    for row in CATALOGUE.of_kind("activation", "loss", "regularizer", "optimizer")
    for knobs in knob_choices(row)
]


def functions(backend: str) -> list[Wanted]:
    """Every function in every convention, or by default."""
    return [one for place, one in enumerate(ALL) if backend in QUICK or place == 0 or ALL[place - 1].row is not one.row]


@cache
def trained_row(name: str) -> Row:
    """The row, its first epochs where its end is not known: what is written is the same, and a reference is seven
    trainings."""
    row = CATALOGUE.find(name)
    if not isinstance(row, Experiment) or row.closed_form:
        return row
    return msgspec.structs.replace(row, epochs=min(row.epochs, 1 if name in DEEP else 3))


def trainings(backend: str) -> list[Wanted]:
    own = {"numpy": DEEP, "torch": DEEP[:2], "tensorflow": DEEP[:1], "jax": DEEP[2:4]}[backend]
    return [Wanted(trained_row(name)) for name in [*MAIN, *FURTHER, *own]]


def networks(backend: str) -> list[Wanted]:
    own = DEEP_NETWORKS if backend in QUICK else []
    return [Wanted(CATALOGUE.find(name)) for name in [*NETWORKS, *own]]


def layers(backend: str) -> list[Wanted]:
    """Every layer where nothing is compiled, a few of each sort elsewhere."""
    return [Wanted(row) for row in CATALOGUE.of_kind("layer") if backend in QUICK or row.name in LAYERS]


BARE = """
import importlib.util
for name in REFUSED:
    assert importlib.util.find_spec(name) is None, name
print("bare 1.0")
"""
"""Executed like the others, it says that they cannot have imported anything else."""

PLANTED = {
    "softplus": ("log1p(", "log("),
    "mse": ("(y - t)**2", "(y - t)**2*1.0000001"),
    "adam": ("beta2 = 0.999", "beta2 = 0.9990001"),
    "fit-line": ("lr*g", "lr*g*1.0000001"),
    "xor": ("tanh", "sin"),
}
"""Mistakes, by the row in whose file they are made: what stands there, and what is put in its place."""


@pytest.fixture(scope="module")
def printed(require: Callable[[str], None], tmp_path_factory: Any) -> Callable[[str], Mapping[str, str]]:
    """`printed("torch")`: what each file printed, one child process for all files of a framework."""
    known: dict[str, Mapping[str, str]] = {}

    def get(backend: str) -> Mapping[str, str]:
        require(backend)
        if backend not in known:
            known[backend] = executed(backend, tmp_path_factory.mktemp(backend))
        return known[backend]

    return get


def executed(backend: str, folder: Path) -> Mapping[str, str]:
    wanted = [*functions(backend), *trainings(backend), *networks(backend), *layers(backend)]
    texts = {one.name: standalone(one.row, CATALOGUE, backend, dict(one.given)) for one in wanted}
    for name, (right, wrong) in PLANTED.items():
        original = next(text for key, text in texts.items() if key.split("__")[0] == name)
        body = original.split('"""', 2)
        assert right in body[2], f"{name} for {backend} has no {right!r}"
        texts[f"planted {name}"] = '"""'.join([*body[:2], body[2].replace(right, wrong)])
    refused = sorted(set(FRAMEWORKS) - set(OWN[backend]))
    texts["bare"] = BARE.replace("REFUSED", repr(refused))
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text, "utf-8")
    (folder / "files.json").write_text(json.dumps(list(texts)), "utf-8")
    words = [sys.executable, "-I", "-c", RUNNER, str(folder), json.dumps(refused)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, str] = json.loads((folder / "printed.json").read_text("utf-8"))
    assert numbers(found["bare"]) == {"bare": [1.0]}
    return found


def numbers(text: str) -> dict[str, list[float]]:
    """Lines of a name and numbers."""
    assert not text.startswith("FAILED"), text[-1500:]
    found: dict[str, list[float]] = {}
    for line in text.splitlines():
        name, *values = line.split(" ")
        assert name not in found, f"{name} is printed twice"
        found[name] = [float(value) for value in values]
    return found


def array(values: Sequence[float], like: np.ndarray) -> np.ndarray:
    return np.array(values, np.float64).reshape(like.shape)


# Values and gradients


def subject_of(case: Case) -> Subject:
    """The same function at the same numbers, as `check` judges it: the definition is the truth."""
    params = {name: case.inputs[name] for name in case.wrt}
    data = {**{name: case.inputs[name] for name in case.inputs if name not in case.wrt}, "weights": case.weights}

    def value(text: str, params: Any, data: Any) -> Node:
        both = {**params, **data}
        return case.record(text, {name: both[name] for name in case.inputs})

    def forward(text: str) -> Graph:
        return Graph.trace(lambda params, data: {"value": value(text, params, data)}, shapes_of(params, data))

    def scalar(text: str) -> Graph:
        def function(params: Any, data: Any) -> Node:
            found = data["weights"] * value(text, params, data)
            return GRAPH["sum"](found) if found.shape else found

        return Graph.trace(function, shapes_of(params, data))

    row = case.row
    return Subject(
        "default", {}, forward(row.formula), params, data, scalar(row.formula),
        forward(row.definition) if row.definition else None, scalar(row.definition) if row.definition else None,
        elementwise=True, gradient_names={name: f"gradient/{name}" for name in params},
    )  # fmt: skip


@cache
def function_references(wanted: Wanted) -> Mapping[str, Reference]:
    row = wanted.row
    assert isinstance(row, Formulated)
    return subject_of(function_case(row, dict(wanted.given))).references("float64")


class Shown(Steps):
    """The steps of an optimizer's file."""

    @property
    def shape(self) -> Shape:
        return self.w.shape


@cache
def optimizer_references(wanted: Wanted) -> Mapping[str, Reference]:
    row = wanted.row
    assert isinstance(row, Optimizer)
    hyper, knobs = settings(row, dict(wanted.given))
    gradients = step_gradients(row)
    steps = Shown(row, "default", hyper, knobs, start(row), gradients, np.full(len(gradients), hyper["lr"]))
    found = steps.references("float64")
    prefix = "free-running "
    return {name.removeprefix(prefix): one for name, one in found.items() if name.startswith(prefix)}


def judged_function(wanted: Wanted, backend: str, text: str) -> list[Record]:
    found = numbers(text)
    case = function_case(wanted.row, dict(wanted.given))  # type: ignore[arg-type]
    for name, value in case.inputs.items():
        assert found[name] == np.ravel(value).tolist()
    references = function_references(wanted)
    assert set(found) == {*case.inputs, *references}
    return judged(wanted.row, backend, {name: found[name] for name in references}, references)


def judged_optimizer(wanted: Wanted, backend: str, text: str) -> list[Record]:
    found, references = numbers(text), optimizer_references(wanted)
    values = {}
    for quantity in references:
        slot = "w" if quantity == "update" else quantity.removeprefix("state.")
        values[quantity] = [number for step in range(1, 9) for number in found.pop(f"{slot}@{step}")]
    assert not found
    return judged(wanted.row, backend, values, references)


def judged(
    row: Row, backend: str, values: Mapping[str, Sequence[float]], references: Mapping[str, Reference]
) -> list[Record]:
    """The verdicts of `check`, with what is registered as known."""
    mode = BUILT_IN[backend].modes[0]
    cell = Cell(task="check", spec=row.name, backend=backend, mode=mode)
    records = []
    for quantity, reference in references.items():
        judgement = judge(array(values[quantity], reference.exact.hi), reference, "float64")
        records.append(Record(
            spec=row.name, kind=row.kind, backend=backend, implementation="formula", mode=mode, dtype="float64",
            device="cpu", quantity=quantity.partition("/")[0], verdict=judgement.verdict, r=judgement.r,
            worst=judgement.worst, message=judgement.message,
        ))  # fmt: skip
    return apply_registry(cell, records)[: len(records)]


def wrong(records: Sequence[Record]) -> list[str]:
    return [
        f"{one.spec} {one.quantity}: {one.verdict}, r = {one.r}, {one.worst}" for one in records
        if one.verdict not in ("EQUAL", "ROUNDING", "KNOWN")
    ]  # fmt: skip


BACKENDS = [pytest.param(name, marks=pytest.mark.xdist_group("standalone")) for name in BUILT_IN]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["activation", "loss", "regularizer", "optimizer"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_functions_reproduce(backend: str, kind: str, printed: Callable[[str], Mapping[str, str]]) -> None:
    found, problems = printed(backend), []
    for wanted in functions(backend):
        if wanted.row.kind == kind:
            judge_one = judged_optimizer if kind == "optimizer" else judged_function
            problems += wrong(judge_one(wanted, backend, found[wanted.name]))
    assert not problems, "\n".join(problems)


# Trainings


@cache
def problem(name: str) -> Problem:
    return problem_of(trained_row(name), CATALOGUE, 0)


@cache
def reference(name: str) -> Training:
    return reference_training(Cell(task="train", spec=name, backend="oracle", mode="exact"), problem(name))


def curve(found: Mapping[str, list[float]], name: str, many: int) -> Numbers:
    return tuple(number for place in range(1, many + 1) for number in found.get(f"{name}@{place}", []))


def trained(name: str, backend: str, text: str) -> Training:
    """What a file printed, as a training of that backend."""
    found, row, truth = numbers(text), CATALOGUE.find(name), reference(name)
    epochs = max(problem(name).epochs, 1)
    if problem(name).epochs == 0:
        found = {key.replace("@0", "@1"): value for key, value in found.items()}
    path = curve(found, "w", epochs)
    metrics: dict[str, Numbers] = {one: curve(found, one, epochs) for one in getattr(row, "metrics", [])}
    assert all(len(values) == epochs for values in metrics.values())
    return Training(
        spec=name, backend=backend, mode="", dtype="float64", device="cpu", seed=0, spec_sha=row.sha,
        loss=curve(found, "loss", epochs), held_out_loss=curve(found, "held_out_loss", epochs), metrics=metrics,
        ending=path[-len(truth.ending) :] if isinstance(row, Study) else tuple(found.get("answer", ())),
        first_step_seconds=0, step_seconds=0, seconds=0, steps=0,
    )  # fmt: skip


def judged_training(name: str, backend: str, text: str) -> list[Record]:
    _, records = judge_curves([reference(name), trained(name, backend, text)])
    assert records
    return records


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_trainings_reproduce(backend: str, printed: Callable[[str], Mapping[str, str]]) -> None:
    found = printed(backend)
    problems = [
        problem
        for one in trainings(backend)
        for problem in wrong(judged_training(one.row.name, backend, found[one.name]))
    ]
    assert not problems, "\n".join(problems)


@cache
def weighted_references(name: str) -> Mapping[str, Reference]:
    row = CATALOGUE.find(name)
    assert isinstance(row, Network | Layer)
    case = network_case(row, CATALOGUE) if isinstance(row, Network) else layer_case(row, {})
    scalar = Graph(case.graph.arguments, case.graph.result[0], case.graph.nodes)
    forward = Graph(case.graph.arguments, {"output": case.graph.result[1]["output"]}, case.graph.nodes)
    return Subject("default", {}, forward, case.params, case.data, scalar).references("float64")


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_networks_and_layers_reproduce(backend: str, printed: Callable[[str], Mapping[str, str]]) -> None:
    problems = []
    for one in [*networks(backend), *layers(backend)]:
        found, references = numbers(printed(backend)[one.name]), weighted_references(one.row.name)
        assert set(found) == {*references, "sum"}
        problems += wrong(judged(one.row, backend, found, references))
    assert not problems, "\n".join(problems)


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_planted_mistake_is_found(backend: str, planted: str, printed: Callable[[str], Mapping[str, str]]) -> None:
    text, row = printed(backend)[f"planted {planted}"], CATALOGUE.find(planted)
    match row:
        case Experiment():
            records = judged_training(planted, backend, text)
        case Network():
            references = weighted_references(planted)
            records = judged(row, backend, numbers(text), references)
        case Optimizer():
            records = judged_optimizer(next(one for one in ALL if one.row is row), backend, text)
        case _:
            records = judged_function(next(one for one in ALL if one.row is row), backend, text)
    assert "FORMULA" in {one.verdict for one in records}


# The command


def show(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["show", *arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def test_a_file_is_written_and_runs_alone(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    said = show("leaky_relu", "--backend", "numpy", "--knob", "alpha=0.25", "--standalone", str(file))
    assert said.startswith(f"{file}: leaky_relu for numpy, ")
    assert "settings  alpha = 0.25" in file.read_text("utf-8")
    words = [sys.executable, "-I", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=True)
    found = numbers(done.stdout)
    assert {-1.0, 1.0, -0.0625, 4.5} < set(found["x"])
    assert 0.0 not in found["x"]
    assert found["value"] == [x if x > 0 else x / 4 for x in found["x"]]
    assert found["gradient/x"] == [1.0 if x > 0 else 0.25 for x in found["x"]]


def test_kinks_are_left_out_and_said() -> None:
    text = show("softshrink", "--backend", "numpy", "--knob", "theta=0.75", "--standalone", "-")
    assert "Left out, since the slope there is a convention: -0.75, 0.75." in " ".join(text.split())
    points = text.split("X = [")[1].split("]")[0]
    assert " 0.0," in points
    assert "0.75" not in points.replace("2.75", "")


def test_several_files_go_into_a_folder(tmp_path: Path) -> None:
    said = show("mse", "fit-line", "--backend", "numpy", "--standalone", str(tmp_path / "code"))
    files = sorted(path.name for path in (tmp_path / "code").iterdir())
    assert files == ["fit_line_numpy.py", "mse_numpy.py"]
    assert len(said.splitlines()) == 2


def test_the_text_is_read_from_above() -> None:
    """What it is, what goes in, what crossnn generated, what that calls, what runs."""
    text = show("adam", "--backend", "numpy", "--standalone", "-", "--knob", "eps_place=inside")
    row = CATALOGUE.find("adam")
    order = [
        "adam (optimizer) in NumPy", row.source[:30], "eps_place = inside", f"specification {row.sha}", "import numpy",
        "W = [", "\nbeta1 = 0.9", "def adam(w, g, lr, t, m, v):", "np.sqrt(v_2/c2 + eps)", "def show(", "def main():",
        'if __name__ == "__main__":',
    ]  # fmt: skip
    places = [text.index(one) for one in order]
    assert places == sorted(places)


def test_only_what_is_used_is_written() -> None:
    text = show("softplus", "--backend", "numpy", "--standalone", "-")
    assert "def conv" not in text
    assert "import math" not in text
    assert "erf = np.vectorize(math.erf" in show("gelu", "--backend", "numpy", "--standalone", "-").replace(
        "erfc", "erf"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mse", "mae", "--backend", "numpy", "--standalone", "-"], "2 name(s) for 1 backend(s) are several files"),
        (["mse", "--backend", "torh", "--standalone", "-"], "did you mean 'torch'?"),
        (["mse", "--backend", "nowhere:Adapter", "--standalone", "-"], "no standalone code"),
        (["recall", "--backend", "numpy", "--standalone", "-"], "recall (metric) has no standalone code; kinds that"),
        (["mlp", "--backend", "numpy", "--standalone", "-", "--knob", "lr=1"], "has no settings of its own"),
        (["adam", "--backend", "numpy", "--standalone", "-", "--knob", "lr=fast"], "lr must be a number"),
        (["adam", "--backend", "numpy", "--standalone", "-", "--knob", "lr=nan"], "nan is not a finite number"),
        (["mnist-mlp", "--backend", "numpy", "--standalone", "-"], "standalone code cannot have the data 'mnist'"),
        (["time-mlp", "--backend", "numpy", "--standalone", "-"], "cannot have the data 'random_images'"),
        (["mse", "--backend", "numpy", "--standalone", "no/such/folder/file.py"], "cannot be written"),
    ],
)
def test_refusals_say_what_to_do(arguments: list[str], message: str) -> None:
    found = show(*arguments, code=2)
    assert message in found
    assert len(found.strip().splitlines()) == 1


def test_code_stands_beside_where_it_fits() -> None:
    blocks = [["# A", "", "def a(x):"], ["# B", "", "def b(x):", "    return x"], ["# C" * 20]]
    wide, narrow = beside(blocks, 80), beside(blocks, 20)
    assert wide.splitlines()[0] == "# A          # B"
    assert wide.splitlines()[2:4] == ["def a(x):    def b(x):", "                 return x"]
    assert wide.splitlines()[-1] == "# C" * 20
    assert narrow.splitlines()[0] == "# A"
    assert "def softplus(x):" in show("softplus", "--backend", "numpy", "--side-by-side")


def test_names_that_mean_something_else_in_a_file_stay_apart(tmp_path: Path) -> None:
    """A function called like one that runs, a parameter called like one that prints, quotes in a source."""
    rows = tmp_path / "odd.toml"
    rows.write_text(
        '[main]\nkind = "activation"\nformula = "x*tensor + show"\nparams = { tensor = 2.0, show = 0.5 }\n'
        'source = \'three """ quotes and a \\ slash\'\n',
        "utf-8",
    )
    text = show("main", str(rows), "--backend", "numpy", "--standalone", "-")
    words = [sys.executable, "-I", "-c", text]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    found = numbers(done.stdout)
    assert found["value"] == [2 * x + 0.5 for x in found["x"]]
    assert set(found["gradient/x"]) == {2.0}


def test_what_nobody_would_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crossnn.standalone.dialect.MOST_LINES", 100)
    found = show("text-lstm", "--backend", "numpy", "--standalone", "-", code=2)
    assert "standalone code is written up to 100" in found


def test_digits_that_are_not_there_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(SystemExit, match="pip install scikit-learn"):
        digits()  # type: ignore[no-untyped-call]
