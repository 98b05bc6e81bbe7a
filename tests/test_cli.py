"""The command line: exit codes, one-paragraph messages without a traceback, and quick starts that import no framework.

The cells of `check` and `run` are planned and executed by stand-ins here, so that no framework is needed.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from crossnn import registry
from crossnn.cli import COMMANDS, main
from crossnn.cli.options import _check_modes
from crossnn.cli.session import describe_finding
from crossnn.errors import BackendError
from crossnn.registry import Backend
from crossnn.runs.cell import Cell, Record

HERE = Path(__file__).parent

Cli = Callable[..., Result]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """`cli("check", "tanh")` with stand-ins for the plan and the execution, in an empty directory."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setattr("crossnn.cli.session.EXECUTE", "fake_cells:run_cli")
    monkeypatch.setattr("crossnn.cli.run._findings", lambda chosen: [])
    plan = ModuleType("crossnn.parity.plan")
    vars(plan).update(STAND_INS)
    monkeypatch.setitem(sys.modules, "crossnn.parity.plan", plan)
    monkeypatch.setattr(
        registry, "BUILT_IN", {"numpy": Backend("numpy", "no_such:Thing", ("numpy",), "pip install numpy")}
    )
    monkeypatch.setattr(registry, "backends", lambda: dict(registry.BUILT_IN))
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str) -> Result:
        monkeypatch.setattr(sys, "argv", ["crossnn", *arguments])
        result = CliRunner().invoke(main, arguments)
        assert "Traceback" not in result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return invoke


def fake_check_cells(names: Sequence[str], **options: Any) -> list[Cell]:
    return [
        Cell(task="check", spec=name, backend=backend, mode="eager", dtype=dtype, files=tuple(options["files"]))
        for backend in options["backends"]
        for name in (names if 0 < len(names) < 50 else ["tanh", "adam"])  # instead of the whole catalogue
        for dtype in options["dtypes"]
    ]


def fake_train_cells(names: Sequence[str], **options: Any) -> list[Cell]:
    return [
        Cell(task="train", spec=name, backend=backend, mode="eager", dtype=dtype)
        for backend in options["backends"]
        for name in (names or ["learn-xor"])
        for dtype in options["dtypes"]
    ]


STAND_INS = {
    "ORACLE": "oracle",
    "TRAINED": ("experiment", "study"),
    "check_cells": fake_check_cells,
    "train_cells": fake_train_cells,
    "first_steps": lambda trainings, catalogue: [],
    "trained_rows": lambda catalogue, names, files, everything: [catalogue.find(name) for name in names],
}
"""What stands in for crossnn.parity.plan."""


def missing(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    absent = {name: Backend(name, "no:Thing", (f"no_such_{name}",), f"pip install 'crossnn[{name}]'") for name in names}
    monkeypatch.setattr(registry, "BUILT_IN", {**registry.BUILT_IN, **absent})


def test_a_check_without_differences_ends_with_0(cli: Cli) -> None:
    result = cli("check", "tanh", "adam")
    assert result.exit_code == 0, result.output
    assert "EQUAL 1" in result.stdout
    assert "4 quantities judged: 4 EQUAL." in result.stdout
    assert "numpy: done after" in result.stderr


def test_a_difference_ends_with_1_and_says_where(cli: Cli) -> None:
    result = cli("check", "relu", "tanh", "--dtype", "float64")
    assert result.exit_code == 1
    assert "FORMULA relu: gradient - numpy eager float64 cpu seed 0" in result.stdout
    assert "at [0, 2]: expected 1.0, actual 2.0; 0 digits agree, r = 4e+15" in result.stdout
    assert "torch.relu - the sign" in result.stdout


def test_a_crash_ends_with_1_and_the_others_are_shown(cli: Cli) -> None:
    result = cli("check", "elu", "tanh", "--dtype", "float64")
    assert result.exit_code == 1
    assert "killed by SIGKILL" in result.stdout
    assert "killed by SIGKILL" in result.stderr
    assert "1 EQUAL" in result.stdout


def test_a_missing_framework_is_named_and_does_not_fail(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch, "jax")
    result = cli("check", "tanh")
    assert result.exit_code == 0, result.output
    assert "NOT-RUN jax formula: needs no_such_jax, not installed here: pip install 'crossnn[jax]'" in result.stdout


def test_a_missing_framework_asked_for_by_name_is_an_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch, "jax")
    result = cli("check", "tanh", "--backend", "numpy,jax")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: backend 'jax' needs no_such_jax, not installed here: pip install 'crossnn[jax]'\n"
    )  # fmt: skip


def test_nothing_that_could_run_ends_with_3(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "BUILT_IN", {})
    missing(monkeypatch, "jax")
    result = cli("check", "tanh")
    assert result.exit_code == 3
    assert "error: nothing could run: jax: needs no_such_jax" in result.stderr
    monkeypatch.setattr(registry, "BUILT_IN", {})
    assert cli("check", "tanh").exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "tahn"], "unknown specification 'tahn'; did you mean 'tanh'?"),
        (["check", "tanh", "--backend", "pytorch"], "unknown backend 'pytorch'"),
        (["check", "tanh", "--backend", "nowhere.at_all:Adapter"], "nowhere.at_all:Adapter must be importable"),
        (["check", "tanh", "--implementation", "naive"], "unknown implementation 'naive'; did you mean 'native'?"),
        (["check", "tanh", "--backend", "numpy,"], "an empty name"),
        (["check", "tanh", "--seeds", "0"], "0 is not in the range 1<=x<=10000"),
        (["check", "tanh", "--timeout", "0"], "0 is not in the range 0<x<=604800"),
        (["check", "no.toml"], "no.toml: cannot be read (No such file or directory)"),
        (["check", "bad.toml"], "bad.toml: not valid TOML"),
        (["check", "evil.toml"], "evil.toml: [evil]"),
        (["check", "tanh", "--json", "no/such/folder.json"], "--json no/such/folder.json: cannot be written"),
        (["run", "tanh"], "'tanh' is of kind 'activation', not an experiment; try 'crossnn check tanh'"),
        (["run", "--resume"], "nothing to resume: runs/ holds no run"),
        (["run", "--out", "bad.toml"], "cannot write results to bad.toml: File exists; choose another folder"),
        (["run", "--out", "bad.toml/x"], "cannot write results to bad.toml/x: Not a directory"),
        (["report", "nowhere"], "nowhere is not a run folder"),
        (["list", "optimisers"], "unknown kind 'optimisers'; did you mean 'optimizer'?"),
        (["bogus"], "No such command 'bogus'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_a_message_and_ends_with_2(cli: Cli, arguments: list[str], words: str) -> None:
    Path("bad.toml").write_text("[swish\n")
    Path("evil.toml").write_text('[evil]\nkind = "activation"\nformula = "x.__class__"\n')
    result = cli(*arguments)
    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert result.stdout == ""


def test_the_json_document_holds_every_record(cli: Cli) -> None:
    assert cli("check", "relu", "--json", "out.json").exit_code == 1
    document = json.loads(Path("out.json").read_text())
    assert document["exit_code"] == 1
    assert document["counts"] == {"FORMULA": 2}
    assert [record["quantity"] for record in document["records"]] == ["gradient", "gradient"]
    assert document["machine"]["command"] == "crossnn check relu --json out.json"
    assert len(document["cells"]) == 2
    result = cli("check", "tanh", "--json", "-")
    assert json.loads(result.stdout)["counts"] == {"EQUAL": 2}
    assert "2 quantities judged" in result.stderr


def test_threads_reach_the_workers(cli: Cli) -> None:
    assert cli("check", "environment", "--threads", "3").exit_code == 2  # not in the catalogue
    Path("my.toml").write_text('[environment]\nkind = "activation"\nformula = "x"\n')
    cli("check", "my.toml", "environment", "--threads", "3", "--json", "out.json")
    assert json.loads(Path("out.json").read_text())["records"][0]["message"] == "3|3|0"


def test_a_run_writes_its_folder_and_resumes_without_repeating(cli: Cli) -> None:
    result = cli("run", "learn-xor", "--dtype", "float64", "--out", "here")
    assert result.exit_code == 0, result.output
    assert "Report: here/report.md and here/report.html" in result.stdout
    assert "learn-xor" in result.stdout
    assert {path.name for path in Path("here").iterdir()} == {
        ".lock", "results.jsonl", "machine.json", "report.md", "report.html", "loss-learn-xor.svg",
    }  # fmt: skip
    before = Path("here/results.jsonl").read_bytes()
    cells = before.count(b'"record":"cell"')
    again = cli("run", "learn-xor", "--dtype", "float64", "--out", "here")
    assert again.exit_code == 2
    assert f"already holds the results of {cells} cells; continue that run with --resume" in again.stderr
    resumed = cli("run", "learn-xor", "--dtype", "float64", "--out", "here", "--resume")
    assert resumed.exit_code == 0
    assert f"{cells} of {cells} cells are finished already" in resumed.stderr
    assert Path("here/results.jsonl").read_bytes() == before
    Path("here/results.jsonl").write_bytes(before[:-10])
    torn = cli("run", "learn-xor", "--dtype", "float64", "--out", "here", "--resume")
    assert "dropped" in torn.stderr
    assert f"{cells - 1} of {cells} cells are finished already" in torn.stderr


def test_a_run_is_not_resumed_with_other_versions(cli: Cli) -> None:
    assert cli("run", "--quick").exit_code == 0
    (folder,) = Path("runs").iterdir()
    record = json.loads((folder / "machine.json").read_text())
    record["packages"]["numpy"] = "0.1"
    (folder / "machine.json").write_text(json.dumps(record))
    result = cli("run", "--quick", "--resume")
    assert result.exit_code == 2
    assert "was begun with other versions (numpy 0.1 -> " in result.stderr


def test_help_names_every_command_and_every_command_has_help(cli: Cli) -> None:
    listed = cli("--help").stdout
    assert all(f"  {name} " in listed for name in COMMANDS)
    for name in COMMANDS:
        assert cli(name, "--help").exit_code == 0


def test_list_shows_the_catalogue_and_files(cli: Cli) -> None:
    assert "adam" in cli("list", "optimizers").stdout
    assert "tanh" not in cli("list", "loss").stdout
    Path("my.toml").write_text('swish = "x/(1 + exp(-x))"\n')
    assert "swish" in cli("list", "my.toml").stdout
    assert cli("list", "losses").exit_code == cli("list", "activation").exit_code == 0
    assert {row["kind"] for row in json.loads(cli("list", "losses", "--json", "-").stdout)["rows"]} == {"loss"}
    assert json.loads(cli("list", "lectures", "--json", "-").stdout)["lectures"][0].keys() >= {"id", "covered by"}


def test_info_names_what_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    missing(monkeypatch, "jax")
    result = cli("info")
    assert result.exit_code == 0
    assert "no: pip install 'crossnn[jax]'" in result.stdout
    assert "numpy 2" in result.stdout


def fresh(code: str) -> str:
    """What a new Python process prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout


HEAVY = ("torch", "tensorflow", "keras", "jax", "optax", "sklearn", "scipy", "rich", "mpmath")


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["info"], ["check", "--help"], ["run", "--help"]], ids=str)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    heavy = (*HEAVY, "numpy") if arguments[0] in ("--help", "list") else HEAVY
    said = fresh(
        "import sys; from crossnn.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        f"print('LOADED', [m for m in {heavy!r} if m in sys.modules])"
    )
    assert said.rstrip().endswith("LOADED []")


def test_import_and_list_are_quick() -> None:
    def seconds(*command: str) -> float:
        def once() -> float:
            begun = time.perf_counter()
            subprocess.run([sys.executable, *command], capture_output=True, check=True, timeout=60)
            return time.perf_counter() - begun

        return min(once() for _ in range(4))

    assert seconds("-c", "import crossnn") - seconds("-c", "pass") < 0.2
    assert seconds("-m", "crossnn", "list") < 1.0


def test_a_reader_that_leaves_is_no_error() -> None:
    command = f"{sys.executable} -m crossnn list | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stdout == "activation\n"
    assert done.stderr == ""
    assert done.returncode in (0, 141)


STAND_IN = """
import fcntl, signal, sys, termios, types
signal.signal(signal.SIGINT, signal.default_int_handler)  # which what runs in the background ignores
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.path.insert(0, {here!r})
import crossnn.cli.run, crossnn.cli.session, test_cli
from crossnn import registry
from crossnn.cli import main
plan = types.ModuleType("crossnn.parity.plan")
vars(plan).update(test_cli.STAND_INS)
sys.modules["crossnn.parity.plan"] = plan
registry.BUILT_IN = {{"numpy": registry.Backend("numpy", "no_such:Thing", ("numpy",))}}
crossnn.cli.session.EXECUTE = "fake_cells:run_cli"
crossnn.cli.run._findings = lambda chosen: []
main()
"""


def test_ctrl_c_in_a_terminal_ends_with_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    """In a real terminal: the bars are drawn, the interrupt comes from the keyboard, nothing is left running."""
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN.format(here=str(HERE)))
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(script), "run", "learn-xor", "fit-line", "--out", "here"],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(HERE), "TERM": "xterm", "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    journal = tmp_path / "here" / "results.jsonl"
    sizes, until = [0], time.monotonic() + 60
    while (sizes[-1] == 0 or len(set(sizes[-4:])) > 1) and time.monotonic() < until:  # until nothing comes any more
        time.sleep(0.8)
        sizes.append(journal.stat().st_size if journal.exists() else 0)
    os.write(terminal, b"\x03")
    said = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:
            break
        if not chunk:
            break
        said += chunk
    os.close(terminal)
    text = said.decode(errors="replace")  # an interrupt drops what the terminal has not shown, within a letter even
    assert process.wait(10) == 130, text
    finished = re.search(r"interrupted: (\d+) of (\d+) cells are finished", text)
    assert finished is not None
    assert int(finished[1]) == int(finished[2]) - 1, "all but the one that hangs"
    assert "Continue with the same command with --resume --out here" in " ".join(text.split())
    assert "Traceback" not in text


def test_all_modes_are_a_mode() -> None:
    _check_modes(["numpy", "jax"], ["all", "jit"])
    with pytest.raises(BackendError, match="unknown mode 'jit'"):
        _check_modes(["numpy"], ["jit"])


def test_a_finding_is_described_once_with_all_its_places() -> None:
    record = Record(
        spec="adam", kind="optimizer", backend="torch", implementation="native", mode="eager", dtype="float64",
        device="cpu", quantity="state.v", verdict="ERROR", message="no", call="torch.optim.Adam", case="default",
    )  # fmt: skip
    other = msgspec.structs.replace(record, mode="compiled", case="rho=0.9")
    assert describe_finding([record, other]).splitlines() == [
        "ERROR adam (native): state.v - torch eager float64 cpu seed 0",
        "  torch.optim.Adam - no",
        "  also in torch compiled float64 cpu seed 0 rho=0.9",
    ]
