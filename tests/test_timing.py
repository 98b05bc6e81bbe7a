"""What is timed is right, is what was asked for, and what the numbers say follows from the samples."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner

from crossnn import registry
from crossnn.adapter import Adapter
from crossnn.catalogue.load import load_catalogue
from crossnn.cli import main
from crossnn.errors import BackendError, CrossnnError, SpecError
from crossnn.formula.graph import map_tree
from crossnn.parity.judge import judge
from crossnn.runs.cell import Cell, Timed
from crossnn.runs.journal import Journal
from crossnn.runs.timed import Ceiling, Prepared, Visit
from crossnn.timing import rounds
from crossnn.timing.contender import contender_of
from crossnn.timing.guard import Moment, disturbed, foreign
from crossnn.timing.phases import PHASES, work_of
from crossnn.timing.plan import time_plan
from crossnn.timing.results import Measured, contests, least_seconds, median_interval, overheads, ratio
from crossnn.timing.rounds import Limits
from crossnn.timing.visit import inner_calls, visit
from crossnn.timing.work import TURNS, labelled

HERE = Path(__file__).parent
ROWS = [row for row in load_catalogue().rows.values() if row.kind in PHASES]
SMALL = [row for row in ROWS if row.kind not in ("experiment", "network")]


@pytest.fixture(autouse=True, scope="module")
def _float64_again(adapter: Callable[..., Adapter]) -> Iterator[None]:
    """JAX has one precision for a process; other tests find it as they left it."""
    yield
    for name in ("torch", "tensorflow", "jax"):
        if not registry.find(name).missing:
            adapter(name, "float64")


def timed_cell(spec: str, phase: str, backend: str = "numpy", mode: str = "compiled", **options: Any) -> Cell:
    timed = Timed(phase=phase, batch=options.pop("batch", 2), shape=options.pop("shape", ()))
    return Cell(task="time", spec=spec, backend=backend, mode=mode, dtype="float32", timed=timed, **options)


@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.name)
def test_every_row_is_timed_on_outputs_that_are_right(row: Any, adapter: Callable[..., Adapter]) -> None:
    numpy = adapter("numpy", "float32")
    for phase in PHASES[row.kind]:
        work = work_of(timed_cell(row.name, phase, shape=(6, 4) if row.kind == "optimizer" else ()))
        contender, _ = contender_of(work, numpy, timed_cell(row.name, phase))
        found = contender.read(contender.step(0))
        assert set(found) == set(work.truth)
        for quantity, value in found.items():
            assert judge(value, work.truth[quantity], "float32").verdict in ("EQUAL", "ROUNDING", "NOT-RUN"), quantity
        flops, moved = work.cost("float32")
        assert flops >= 0
        assert moved > 0


@pytest.mark.parametrize(("backend", "mode"), [("torch", "eager"), ("tensorflow", "graph"), ("jax", "jit")])
@pytest.mark.parametrize(("spec", "phase"), [("relu", "forward"), ("huber", "gradient"), ("adam", "update")])
@pytest.mark.parametrize("implementation", ["formula", "native"])
def test_every_way_computes_the_same(
    backend: str, mode: str, spec: str, phase: str, implementation: Any, adapter: Callable[..., Adapter]
) -> None:
    started = adapter(backend, "float32")
    if spec == "adam" and implementation == "native":
        mode = started.modes[0]
    cell = timed_cell(spec, phase, backend, mode, implementation=implementation, shape=(6, 4) if spec == "adam" else ())
    if (backend, spec, implementation) == ("tensorflow", "adam", "native"):
        timed = msgspec.structs.replace(cell.timed or Timed(phase="", batch=1), settings=(("eps_place", "hat"),))
        cell = msgspec.structs.replace(cell, timed=timed)
    work = work_of(cell)
    contender, call = contender_of(work, started, cell)
    assert bool(call) == (implementation == "native")
    result = contender.step(0)
    contender.wait(result)
    for quantity, value in contender.read(result).items():
        if quantity in work.truth:
            assert judge(value, work.truth[quantity], "float32").verdict in ("EQUAL", "ROUNDING"), quantity


def test_a_step_carries_its_state_and_a_reset_begins_again(adapter: Callable[..., Adapter]) -> None:
    cell = timed_cell("digits-mlp", "step", batch=8)
    work = work_of(cell)
    contender, _ = contender_of(work, adapter("numpy", "float32"), cell)
    first = {name: value.copy() for name, value in contender.read(contender.step(0)).items()}
    later = contender.read(contender.step(1))
    assert float(later["loss"]) != float(first["loss"])
    contender.reset()
    again = contender.read(contender.step(0))
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_inputs_take_turns_and_hold_no_zero() -> None:
    work = work_of(timed_cell("time-mlp", "step", batch=4))
    images = [turn[0]["x"] for turn in work.turns]
    assert len(images) == TURNS
    assert all(not np.array_equal(images[0], one) for one in images[1:])
    assert all(np.all(one != 0) for one in images)


@pytest.mark.parametrize(("backend", "mode"), [("tensorflow", "graph"), ("tensorflow", "xla"), ("jax", "jit")])
def test_a_step_is_traced_once(backend: str, mode: str, adapter: Callable[..., Adapter]) -> None:
    started: Any = adapter(backend, "float32")
    cell = timed_cell("time-softmax", "step", backend, mode, batch=4)
    contender: Any = contender_of(work_of(cell), started, cell)[0]
    for number in range(6):
        contender.wait(contender.step(number))
    contender.reset()
    contender.wait(contender.step(0))
    function = contender.function
    traced = len(function.made) if backend == "tensorflow" else function._cache_size()
    assert traced == 1


# What is planned


def test_a_plan_compares_all_modes_with_one_and_that_one_with_itself() -> None:
    cells = time_plan(["time-mlp"], phases=["step"])
    first, *others, last = cells
    assert (first.backend, first.mode) == ("torch", "eager")
    assert last.timed == msgspec.structs.replace(first.timed or Timed(phase="", batch=1), again=True)
    assert {(one.backend, one.mode) for one in others} >= {("jax", "jit"), ("tensorflow", "xla"), ("numpy", "compiled")}


def test_a_plan_without_names_has_the_three_networks() -> None:
    cells = time_plan([])
    assert list(dict.fromkeys(one.spec for one in cells)) == ["time-softmax", "time-mlp", "time-cnn"]
    assert {one.timed.phase for one in cells if one.timed} == {"forward", "gradient", "step"}


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (["glorot_normal"], {}, "which is not timed"),
        (["adam"], {"phases": ["forwards"]}, "forward"),
        (["adam"], {"phases": ["forward"]}, "nothing to time"),
        (["relu"], {"base": "torch egaer"}, "torch eager"),
        (["relux"], {}, "relu"),
    ],
)
def test_what_cannot_be_timed_is_said_before_anything_starts(
    names: list[str], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CrossnnError, match=words):
        time_plan(names, **options)


def test_a_shape_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SpecError, match="does not fit"):
        work_of(timed_cell("conv2d", "forward", shape=(8,)))


# What the samples say


def one(
    backend: str, times: Sequence[float], mode: str = "eager", again: bool = False, first: float = 0.1,
    implementation: Any = "formula",
) -> tuple[Cell, Measured]:  # fmt: skip
    timed = Timed(phase="step", batch=64, again=again)
    cell = Cell(
        task="time", spec="time-mlp", backend=backend, mode=mode, implementation=implementation, dtype="float32",
        timed=timed,
    )  # fmt: skip
    who: dict[str, Any] = {
        "spec": "time-mlp", "kind": "experiment", "phase": "step", "batch": 64, "backend": backend, "mode": mode,
        "implementation": implementation, "dtype": "float32", "device": "cpu", "threads": 1, "again": again,
    }  # fmt: skip
    found = Measured(Prepared(**who, verdict="EQUAL", first_seconds=first, flops=1e6, least_bytes=1e3))
    for number, microseconds in enumerate(times, 1):
        found.visits[number] = Visit(**who, round=number, process=1, samples=(microseconds,) * 3)
    return cell, found


def test_a_ratio_is_taken_within_rounds_so_that_drift_cancels() -> None:
    drift = [100.0, 150.0, 300.0, 80.0, 120.0, 500.0]
    _, base = one("torch", drift)
    _, other = one("jax", [2 * value for value in drift])
    found = ratio(other, base)
    assert found is not None
    assert found == pytest.approx((2.0, 2.0, 2.0))
    middle, low, high = median_interval(drift)
    assert low < middle < high


def test_the_interval_of_a_median_covers_it_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        _, low, high = median_interval(list(generator.normal(10.0, 1.0, 15)))
        covered += low <= 10.0 <= high
    assert 0.88 <= covered / 200 <= 1.0


def test_contenders_that_cannot_be_told_apart_share_a_rank() -> None:
    wobble = [1.0, 1.02, 0.98, 1.01, 0.99, 1.0]
    cells = dict(
        [
            one("torch", [100 * w for w in wobble]),
            one("jax", [100.3 * w for w in reversed(wobble)], "jit"),
            one("numpy", [140 * w for w in wobble]),
        ]
    )
    (contest,) = contests(cells, [], [])
    assert [(s.measured.prepared.backend, s.rank) for s in contest.standings] == [
        ("torch", 1), ("jax", 1), ("numpy", 3),
    ]  # fmt: skip


def test_differences_below_what_a_twin_shows_are_none() -> None:
    base = [100.0] * 6
    cells = dict([one("torch", base), one("jax", [104.0] * 6, "jit"), one("torch", [106.0] * 6, again=True)])
    (contest,) = contests(cells, [], [])
    assert contest.floor == pytest.approx(math.log(1.06))
    assert [s.rank for s in contest.standings] == [1, 1]
    del cells[next(cell for cell in cells if cell.timed and cell.timed.again)]
    assert [s.rank for s in contests(cells, [], [])[0].standings] == [1, 2]


def test_a_compilation_is_repaid_after_so_many_calls() -> None:
    cells = dict([one("jax", [1000.0] * 5, "eager", first=0.1), one("jax", [500.0] * 5, "jit", first=0.6)])
    (contest,) = contests(cells, [], [])
    assert {s.measured.prepared.mode: s.repays for s in contest.standings} == {
        "eager": None, "jit": pytest.approx(1000.0),
    }  # fmt: skip
    slower = dict([one("jax", [500.0] * 5, "eager", first=0.1), one("jax", [600.0] * 5, "jit", first=0.6)])
    assert [s.repays for s in contests(slower, [], [])[0].standings] == [None, math.inf]


def test_the_share_of_the_ceiling_takes_the_harder_of_the_two_limits() -> None:
    assert least_seconds(1e9, 8, 1e9, {"65536": 1e9}) == pytest.approx(1.0)
    assert least_seconds(1, 2e9, 1e9, {"65536": 4e9, "1000000": 1e9}) == pytest.approx(2.0)
    assert least_seconds(1, 1e5, 1e9, {"65536": 4e9, "1000000": 1e9}) == pytest.approx(2.5e-5)
    ceiling = Ceiling(
        backend="torch", mode="eager", dtype="float32", device="cpu", threads=1, flops=1e11, bandwidth={"65536": 1e12}
    )
    (contest,) = contests(dict([one("torch", [100.0] * 5)]), [], [ceiling])
    assert contest.standings[0].share == pytest.approx(0.1)


def test_a_formula_is_set_beside_what_others_wrote() -> None:
    cells = dict([one("torch", [105.0] * 5), one("torch", [100.0] * 5, implementation="hand-written")])
    (found,) = overheads(contests(cells, [], [])[0])
    assert found.ratio == pytest.approx((1.05, 1.05, 1.05))


def test_foreign_load_is_what_neither_we_nor_the_worker_used() -> None:
    assert foreign(Moment(0.0, 10.0, 5.0), Moment(2.0, 13.0, 7.0)) == pytest.approx(0.5)
    assert disturbed(0.5, 1.0)
    assert disturbed(0.0, 1.5)
    assert not disturbed(0.05, 1.05)


# The clock


class Counting:
    """A contender that counts what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def reset(self) -> None:
        self.calls.append("reset")

    def step(self, number: int) -> Any:
        self.calls.append("step")

    def wait(self, result: Any) -> None:
        self.calls.append("wait")

    def read(self, result: Any) -> dict[str, np.ndarray]:
        return {}


def test_every_call_is_waited_for_on_a_cpu_and_every_queue_on_a_gpu() -> None:
    cpu, gpu = Counting(), Counting()
    assert len(visit(cpu, 0.0, 4, queued=False).microseconds) == 5
    assert cpu.calls[0] == "reset"
    assert cpu.calls.count("step") == cpu.calls.count("wait") == 3 + 5 * 4
    visit(gpu, 0.0, 4, queued=True)
    assert gpu.calls.count("step") == 3 + 5 * 4
    assert gpu.calls.count("wait") == 3 + 5


def test_short_calls_are_counted_together() -> None:
    assert inner_calls(1e-6, 0.25, queued=False) == 1250
    assert inner_calls(0.05, 0.25, queued=False) == 1
    assert inner_calls(1e-3, 0.25, queued=True) == 10


# The command


@pytest.fixture
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is up late, and there are no more rounds than must be: on a busy machine as on a quiet one."""
    monkeypatch.setattr(rounds, "Limits", partial(rounds.Limits, most_rounds=Limits.least_rounds))
    monkeypatch.setattr(rounds, "disturbed", lambda cores, slower: False)


def run_time(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["time", *arguments])


@pytest.mark.usefixtures("few_rounds")
def test_the_command_writes_a_run_that_can_be_reported_resumed_and_compared(tmp_path: Path) -> None:
    folder, document = tmp_path / "run", tmp_path / "found.json"
    arguments = ["relu", "--backend", "numpy", "--phase", "forward", "--limit", "100"]
    done = run_time(*arguments, "--out", str(folder), "--json", str(document))
    assert done.exit_code == 0, done.output
    assert "relu, forward, batch 64, float32, cpu, 1 thread" in done.output
    assert "numpy compiled" in done.output
    found = json.loads(document.read_text())
    assert {one["record"] for one in found["timings"]} == {"prepared", "visit"}
    assert all(one["verdict"] == "EQUAL" for one in found["records"])
    assert found["machine"]["caches"] is not None
    assert "Timing" in (folder / "report.md").read_text()
    again = run_time(*arguments, "--out", str(folder), "--resume")
    assert again.exit_code == 0, again.output
    compared = CliRunner().invoke(main, ["compare", str(folder), str(folder)])
    assert compared.exit_code == 0, compared.output
    assert "0 slower, 0 faster" in compared.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["relu", "--batch", "0"], "'0' is no whole number"),
        (["relu", "--batch", "1,x"], "'x' is no whole number"),
        (["relu", "--threads", "-1"], "no whole number"),
        (["relu", "--limit", "nan"], "--limit is nan"),
        (["relu", "--timeout", "nan"], "--timeout is nan"),
        (["relu", "--phase", "backwards"], "phase"),
        (["relu", "--dtype", "float16"], "float16"),
        (["time-mlp", "--beside", "nowhere.py"], "no such file"),
        (["glorot_normal"], "not timed"),
        (["relu", "--base", "torch"], "base"),
        (["relu", "--knob", "alpha"], "NAME=VALUE"),
        (["relu", "--backend", "nimpy"], "numpy"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = run_time(*arguments, "--out", str(tmp_path / "run"))
    assert done.exit_code == 2, done.output
    assert words in done.output
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_here_is_a_reason_and_exit_code_3(tmp_path: Path) -> None:
    done = run_time("relu", "--backend", "numpy", "--device", "gpu", "--limit", "100", "--out", str(tmp_path / "run"))
    assert done.exit_code == 3, done.output
    assert "numpy runs on cpu only" in done.output


def test_tf32_is_refused_where_nothing_has_it(adapter: Callable[..., Adapter]) -> None:
    for name in ("torch", "tensorflow", "jax"):
        with pytest.raises(BackendError, match="tf32 is float32 with the products of"):
            adapter(name, "float32").start("cpu", "tf32", 1)
        adapter(name, "float32")


@pytest.mark.usefixtures("few_rounds")
def test_what_is_wrong_gets_a_verdict_and_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    done = run_time(
        "tanh", "--backend", "wrong_adapter:WrongTanh,numpy", "--mode", "eager", "--phase", "forward", "--limit", "100",
        "--out", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.exit_code == 1, done.output
    row = next(line for line in done.output.splitlines() if line.startswith("wrong_adapter:WrongTanh eager "))
    assert row.split()[2] == "ACCURACY"
    assert "us" not in row
    assert "no time is taken" in done.output


@pytest.mark.usefixtures("few_rounds")
@pytest.mark.parametrize(("dtype", "tf32"), [("float32", False), ("tf32", True)])
def test_a_simulated_gpu_is_waited_for_and_its_memory_read(
    dtype: str, tf32: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    document = tmp_path / "found.json"
    done = run_time(
        "tanh", "--backend", "simulated_gpu:SimulatedGpu", "--mode", "eager", "--device", "gpu", "--dtype",
        dtype, "--phase", "forward", "--limit", "100", "--out", str(tmp_path / "run"), "--json", str(document),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = json.loads(document.read_text())
    visits = [one for one in found["timings"] if one["record"] == "visit"]
    assert visits
    assert all(sample >= 2000 for one in visits for sample in one["samples"]), "the wait is inside the clock"
    assert all(one["inner"] > 1 for one in visits), "calls are queued"
    prepared = [one for one in found["timings"] if one["record"] == "prepared" and one["verdict"] == "EQUAL"]
    assert prepared
    assert all(one["facts"]["flags"]["tf32"] is tf32 for one in prepared)
    assert all(one["device_bytes"] > 0 for one in prepared)


@pytest.mark.usefixtures("few_rounds")
def test_an_adapter_of_anyones_own_is_timed_in_all_its_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    done = run_time(
        "relu", "--backend", "native_adapter:OwnAdapter", "--phase", "forward",
        "--limit", "100", "--out", str(tmp_path / "run"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = {
        line[:35].strip() for line in done.output.splitlines() if line.startswith("native_adapter") and " us " in line
    }
    assert found == {"native_adapter:OwnAdapter compiled", "native_adapter:OwnAdapter eager"}


ADAPTERS = {
    "example_adapter:TapeAdapter": (["eager"], "unknown mode 'jit'. Known: all; example_adapter:TapeAdapter: eager"),
    "native_adapter:OwnAdapter": (["eager", "compiled"], "native_adapter:OwnAdapter: compiled, eager"),
    "tape": (["eager"], "tape: eager"),
}


@pytest.mark.parametrize("backend", ADAPTERS)
def test_an_adapter_says_its_modes_before_anything_is_timed(
    backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By its path, and by the name of an entry point."""
    package = tmp_path / "tape.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: tape\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[crossnn.backends]\ntape = example_adapter:TapeAdapter\n")
    monkeypatch.chdir(HERE)
    monkeypatch.setenv("PYTHONPATH", f"{HERE}:{tmp_path}")
    monkeypatch.syspath_prepend(str(tmp_path))
    wanted, refusal = ADAPTERS[backend]
    for modes in (None, ["all"]):
        cells = time_plan(["sgd"], backends=[backend], modes=modes, implementations=("formula",))
        assert list(dict.fromkeys(cell.mode for cell in cells)) == wanted
    natives = [cell.mode for cell in time_plan(["sgd"], backends=[backend], implementations=("native",))]
    assert set(natives) == {wanted[0]}, "an optimizer object runs in the first mode"
    with pytest.raises(BackendError, match=re.escape(refusal)):
        time_plan(["sgd"], backends=[backend], modes=["jit"])


BROKEN = {
    "example_adapter:Nothing": "has no class 'Nothing'",
    "nowhere_at_all:Adapter": "needs nowhere_at_all",
    "fake_cells:run": "cannot be made without arguments",
}


@pytest.mark.parametrize("backend", BROKEN)
def test_an_adapter_that_does_not_load_is_one_sentence(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(HERE)
    done = run_time("relu", "--backend", backend)
    assert (done.exit_code, len(done.output.strip().splitlines())) == (2, 1), done.output
    assert BROKEN[backend] in done.output


def test_what_was_cut_is_named(tmp_path: Path) -> None:
    done = run_time("relu", "tanh", "--backend", "numpy", "--phase", "forward", "--limit", "1", "--out", str(tmp_path))
    assert "numpy compiled" in next(line for line in done.output.splitlines() if line.startswith("Time was up"))


# Two runs


def journal_of(folder: Path, cells: dict[Cell, Measured]) -> Path:
    from crossnn.runs.cell import Done

    with Journal(folder) as book:
        for cell, found in cells.items():
            assert cell.timed is not None
            book.write(Done(cell=cell, status="ok"), [found.prepared])
            for number, taken in found.visits.items():
                at = msgspec.structs.replace(cell, timed=msgspec.structs.replace(cell.timed, round=number))
                book.write(Done(cell=at, status="ok"), [taken])
    return folder


def test_compare_tells_slower_from_noise(tmp_path: Path) -> None:
    wobble = [1.0, 1.01, 0.99, 1.005, 0.995, 1.0]
    before = dict(
        [one("torch", [100 * w for w in wobble]), one("jax", [50 * w for w in wobble]), one("numpy", [80.0] * 6)]
    )
    after = dict(
        [one("torch", [100.2 * w for w in wobble]), one("jax", [70 * w for w in wobble]), one("numpy", [60.0] * 6)]
    )
    old, new = journal_of(tmp_path / "old", before), journal_of(tmp_path / "new", after)
    done = CliRunner().invoke(main, ["compare", str(old), str(new)])
    assert done.exit_code == 1, done.output
    assert "1 slower, 1 faster" in done.output
    assert next(line for line in done.output.splitlines() if line.startswith("slower")).split()[2] == "jax"
    assert CliRunner().invoke(main, ["compare", str(old), str(old)]).exit_code == 0
    assert CliRunner().invoke(main, ["compare", str(old), str(tmp_path / "nothing")]).exit_code == 2


def test_labels_follow_the_tree() -> None:
    found = labelled(("loss", "update", ("a", "b")), (1, {"k": 2, "s": {"m": 3}}, (4, 5), 6))
    assert found == {"loss": 1, "update/k": 2, "update/s/m": 3, "a": 4, "b": 5}
    assert labelled("", {"value": 1}) == {"value": 1}
    assert map_tree(lambda x: x, {}) == {}
