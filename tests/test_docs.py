"""The documentation cannot rot: what it names exists, what it shows runs, what it lists is complete.

`python tests/test_docs.py` writes README's tables and the page of known differences anew.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import pytest
from tabulate import tabulate

import crossnn
from crossnn.catalogue.load import load_catalogue
from crossnn.cli import COMMANDS
from crossnn.errors import CrossnnError
from crossnn.report.build import read_run
from crossnn.report.compare import CLOSE, compare_runs, spread
from crossnn.report.conventions import convention_blocks
from crossnn.report.document import Table, plain_table
from crossnn.report.timing import contest_table, notes, overhead_table, title
from crossnn.runs.cell import FAILURES, Verdict
from crossnn.timing.results import WIDTH

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
TEXT = README.read_text("utf-8")
FOUND = ROOT / "reports" / "differences.md"
TREE = ("crossnn", "backends", "specs", "tests", "reports", ".ci")
TOP = ("README.md", "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml")


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    assert found, f"README.md has no section {title!r}"
    return found[1]


def blocks(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def rows(text: str) -> list[list[str]]:
    """The cells of the Markdown tables in a text, heads left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = {number for number, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [row for number, row in enumerate(cells) if number not in rules and number + 1 not in rules]


def between(begin: str, end: str) -> str:
    return TEXT.split(begin, 1)[1].split(end, 1)[0]


# What is named exists.


def named_paths(text: str) -> set[str]:
    """Paths of this repository in backticks, in links and in console lines."""
    words = re.findall(r"`([^`\n]+)`|\]\(([^)#\s]+)[^)]*\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    tokens = {token for pair in words for one in pair for token in one.split()}
    scripts = {token for block in blocks("console", text) for token in re.findall(r"\S+\.py", block)}
    own = {token for token in tokens | scripts if token in TOP or (token.split("/")[0] in TREE and "/" in token)}
    return {path for path in own if "my-machine" not in path}


def test_every_path_exists() -> None:
    paths = named_paths(TEXT)
    assert {"specs/differences.toml", "tests/example_adapter.py", "LICENSE"} <= paths, "the search finds nothing"
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_every_path_of_the_reports_page_exists() -> None:
    page = ROOT / "reports" / "README.md"
    text = page.read_text("utf-8")
    links = re.findall(r"\]\(([^)#]+)", text)
    assert not [link for link in links if not (page.parent / link).exists()]
    scripts = named_paths(text)
    assert "reports/benchmark_layers.py" in scripts
    assert not [path for path in scripts if not (ROOT / path).exists()]


def test_every_link_within_the_pages_has_its_heading() -> None:
    heads = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    both = TEXT + (ROOT / "reports" / "README.md").read_text("utf-8")
    assert set(re.findall(r"\]\([^)\s]*#([^)\s]+)\)", both)) <= heads


def test_the_map_is_the_tree() -> None:
    """Every line of the map exists; every folder and top-level package is on it or in the docstring of crossnn."""
    (tree,) = blocks("text", section("The map"))
    parent, listed = "", []
    for line in tree.splitlines():
        name = line.split()[0]
        path = name if line[0] != " " else parent + name
        parent = name if line[0] != " " else parent
        assert (ROOT / path).exists(), path
        assert (ROOT / path).is_dir() == path.endswith("/"), path
        listed.append(path.rstrip("/"))
    assert set(TREE[:-1]) <= set(listed)
    inside = {module.name for module in pkgutil.iter_modules([str(ROOT / "crossnn")])} - {"__main__"}
    assert not [name for name in inside if not re.search(rf"\b{name}\b", crossnn.__doc__ or "")]


def test_every_make_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", TEXT, re.M)) <= targets
    (line,) = [line for line in blocks("text", section("The map"))[0].splitlines() if line.startswith("Makefile")]
    assert set(re.findall(r"[a-z-]+", line.removeprefix("Makefile"))) == targets - {"help"}


# What is listed is complete.


def test_the_command_table_has_every_command_and_no_other() -> None:
    listed = [match[1] for row in rows(section("Commands")) if (match := re.match(r"`crossnn (\w+)", row[0]))]
    assert listed == list(dict.fromkeys(listed))
    assert set(listed) == set(COMMANDS)


def test_every_option_in_the_command_table_exists() -> None:
    for head, does, *_ in rows(section("Commands")):
        if match := re.match(r"`crossnn (\w+)", head):
            module, _, attribute = COMMANDS[match[1]][0].partition(":")
            command = getattr(importlib.import_module(module), attribute)
            known = {option for parameter in command.params for option in parameter.opts}
            assert set(re.findall(r"--[a-z-]+", does)) <= known, match[1]


def test_every_crossnn_command_that_is_named_exists() -> None:
    """In code: `crossnn check ...`, and console lines."""
    code = [*re.findall(r"`crossnn ([a-z]+)", TEXT), *re.findall(r"^\$ .*\bcrossnn ([a-z]+)", TEXT, re.M)]
    assert set(code) <= set(COMMANDS)


def subclasses(kind: type[CrossnnError]) -> list[type[CrossnnError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in subclasses(child))]


def test_the_exit_codes_are_those_of_the_errors() -> None:
    for module in pkgutil.walk_packages([str(ROOT / "crossnn")], "crossnn."):
        if module.name != "crossnn.__main__":
            importlib.import_module(module.name)
    listed = {int(row[0]) for row in rows(section("Commands")) if row[0].isdigit()}
    assert listed == {0, 1, *(error.exit_code for error in subclasses(CrossnnError))}


def test_the_verdict_table_is_complete() -> None:
    fails = {row[0]: row[2] for row in rows(section("How a verdict is reached"))}
    assert set(fails) == set(get_args(Verdict))
    assert {verdict for verdict, answer in fails.items() if answer == "yes"} == FAILURES


TELLING = (
    "torch-softplus-threshold",
    "jax-expm1-slope",
    "tensorflow-elu-exp-minus-one",
    "tensorflow-leaky-relu-float32-alpha",
    "keras-adam-float32-betas",
    "keras-f1-epsilon",
    "torch-gelu-cancellation",
    "torch-muon-bfloat16",
    "torch-adam-compiled-float32-step",
    "torch-cosine-embedding-epsilon",
    "tensorflow-onednn-mish",
    "optax-radam-cancellation",
    "jax-log1p-float64",
)
"""Entries of the registry that README shows."""


def differences_table(shown: Sequence[str] = ()) -> str:
    """The registry as a Markdown table: whole, or these entries."""
    entries = tomllib.loads((ROOT / "specs" / "differences.toml").read_text("utf-8"))["difference"]
    by_id = {entry["id"]: entry for entry in entries}
    lines = ["| id | where | cause | reference |", "|---|---|---|---|"]
    for entry in [by_id[one] for one in shown] or entries:
        implementation = entry.get("implementation", "native").replace("*", "native and formula")
        limits = [entry[key] for key in ("dtype", "mode") if entry.get(key, "*").isalnum()]
        where = ", ".join([f"{entry['backend']} {entry['spec']}", implementation, *limits])
        cells = (f"`{entry['id']}`", where, entry["cause"], entry["reference"])
        lines.append("| " + " | ".join(re.sub(r"([|*])", r"\\\1", cell) for cell in cells) + " |")
    return "\n".join(lines)


def differences_page() -> str:
    """All that is known of where frameworks differ."""
    count = len(tomllib.loads((ROOT / "specs" / "differences.toml").read_text("utf-8"))["difference"])
    head = f"""# Where frameworks differ from the formula

All {count} entries of `specs/differences.toml`, written by `python tests/test_docs.py`. `crossnn check --mode all`
finds each again on the versions of `constraints.txt`, in the size that the registry states; one that no longer shows
fails. *Native* is the framework's own implementation, *formula* ours run by the framework.
"""
    return f"{head}\n{differences_table()}\n"


def catalogue_table() -> str:
    """The names of the catalogue by kind, families by their own name."""
    listed: dict[str, list[str]] = {}
    for row in load_catalogue().rows.values():
        name = getattr(row, "family", "") or row.name
        if name not in listed.setdefault(row.kind, []):
            listed[row.kind].append(name)
    counts = Counter(row.kind for row in load_catalogue().rows.values())
    lines = ["| kind | rows | |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {kind} | {counts[kind]} | {', '.join(names)} |" for kind, names in listed.items())])


CATALOGUE = "<!-- catalogue: begin -->\n", "\n<!-- catalogue: end -->"


def test_the_readme_lists_the_whole_catalogue() -> None:
    assert between(*CATALOGUE) == catalogue_table(), "run python tests/test_docs.py"


DIFFERENCES = "<!-- differences: begin -->\n", "\n<!-- differences: end -->"


def test_what_is_said_of_the_lectures_is_what_their_report_counts() -> None:
    said = re.search(r"(\d+) claims as printed: `crossnn verify lectures` refutes (\d+) and\s+finds (\d+) unsafe", TEXT)
    assert said is not None
    counts = json.loads((ROOT / "reports" / "lectures" / "claims.json").read_text("utf-8"))["counts"]
    assert [sum(counts.values()), counts["REFUTED"], counts["UNSAFE"]] == [int(number) for number in said.groups()]


def test_the_differences_shown_are_those_of_the_registry() -> None:
    assert FOUND.read_text("utf-8") == differences_page(), "run: python tests/test_docs.py"
    assert between(*DIFFERENCES) == differences_table(TELLING), "run: python tests/test_docs.py"


# What is shown runs.


def normalised(text: str) -> list[str]:
    """Lines without what may differ: numbers, the widths of columns, and their order, which is that of finishing."""
    lines = [re.sub(r"-{2,}", "--", line) for line in text.splitlines() if line.strip()]
    return [" ".join(sorted(re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", line).split())) for line in lines]


def pattern(shown: str) -> str:
    """A regular expression for an excerpt; a line `...` stands for any lines."""
    parts = [r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in normalised(shown)]
    return "".join(parts) + r"(?:.*\n)*\Z"


CONSOLE = [
    (line[2:], shown)
    for block in blocks("console")
    for line, shown in re.findall(r"^(\$ [^\n]*)\n(.*?)(?=^\$ |\Z)", block, re.M | re.S)
]


MEASURED = ROOT / "reports" / "cpu-2-cores"
TIMED = "<!-- timing: begin -->\n", "\n<!-- timing: end -->"


def timing_text() -> str:
    """The reference timings as README shows them: training steps, beside code by hand, and how well two runs agree."""
    contests = [one for one in read_run(MEASURED / "time").contests if one.about.phase == "step"]
    shown = []
    for contest in contests:
        table = contest_table(contest)
        lines = plain_table(table.headers, table.rows).splitlines()
        shown.append("\n".join([title(contest.about), *(line.rstrip() for line in lines), *notes(contest, WIDTH)]))
    beside = overhead_table(read_run(MEASURED / "beside").contests)
    assert beside is not None
    by_hand: str = tabulate(beside.rows, beside.headers, tablefmt="github", disable_numparse=True)
    pairs = (
        ("Two runs of `crossnn time --phase step`, one after the other, of an earlier commit", "steps", "steps-again"),
        ("Two runs of `crossnn time`, all phases, of an earlier one", "phases", "phases-again"),
    )
    agree = textwrap.fill(" ".join(agreement(*pair) for pair in pairs), 120)
    return "\n\n".join(["```text\n" + "\n\n".join(shown) + "\n```", by_hand, agree])


def agreement(what: str, first: str, second: str) -> str:
    """How well two runs agree, in a sentence."""
    found = compare_runs(MEASURED / first, MEASURED / second)
    middle, largest = spread(found.times)
    slower, faster = (sum(one.says == word for one in found.times) for word in ("slower", "faster"))
    return (
        f"{what} (`reports/cpu-2-cores/{first}` and `{second}`): of {len(found.times)} times, {slower} slower and "
        f"{faster} faster beyond their intervals; {found.agreement:.1%} of the ratios agree within {CLOSE:.0%} (median "
        f"{middle:.1%}, largest {largest:.1%})."
    )


CONVENTIONS = "<!-- conventions: begin -->\n", "\n<!-- conventions: end -->"
SHOWN = ("adam", "adagrad", "rmsprop", "leaky_relu", "batch-norm", "dense-initial", "gru-gates", "pooling-padding")
"""Concepts of which README shows what was measured."""


def conventions_text() -> str:
    """Some lines of the tables of conventions of the reference run, without what is asked."""
    tables = [block for block in convention_blocks(read_run(MEASURED).findings) if isinstance(block, Table)]
    heads = list(tables[-1].headers)
    found = {row[0]: [row[0], *row[1 - len(heads) :]] for table in tables for row in table.rows}
    shown: str = tabulate([found[name] for name in SHOWN], heads, tablefmt="github", disable_numparse=True)
    return re.sub(r"  +", " ", re.sub(r"-{4,}", "---", shown))


def test_the_conventions_shown_are_those_of_the_reference_run() -> None:
    assert between(*CONVENTIONS) == conventions_text(), "run python tests/test_docs.py"


def test_the_timings_shown_are_those_of_the_reference_run() -> None:
    assert between(*TIMED) == timing_text(), "run python tests/test_docs.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the examples run: the TOML files that README shows, and the tests."""
    for block in blocks("toml"):
        (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block, "utf-8")
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    return tmp_path


@pytest.mark.parametrize(("line", "shown"), CONSOLE, ids=[line for line, _ in CONSOLE])
@pytest.mark.slow
def test_a_console_example_prints_what_is_shown(line: str, shown: str, folder: Path) -> None:
    found = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": found}
    done = subprocess.run(
        line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.match(pattern(shown), "\n".join(normalised(done.stdout)) + "\n"), done.stdout


class Numbers(doctest.OutputChecker):
    """Compares without numbers, which depend on the processor's own arithmetic."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        return normalised(want) == normalised(got)


def test_the_python_examples_print_what_is_shown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    sessions = "\n".join(block for block in blocks("python") if ">>>" in block)
    examples = doctest.DocTestParser().get_doctest(sessions, {}, "README.md", str(README), 0)
    assert len(examples.examples) >= 5
    report: list[str] = []
    result = doctest.DocTestRunner(Numbers(), verbose=False).run(examples, out=report.append)
    assert not result.failed, "".join(report)


@pytest.mark.slow
def test_the_ported_example_fails_as_shown(tmp_path: Path, require: Callable[[str], None]) -> None:
    """The test of somebody's own suite, with the imports that everyone writes."""
    require("torch")
    (source,) = (block for block in blocks("python") if block.startswith("# test_norm.py"))
    (tmp_path / "test_norm.py").write_text("import numpy as np\nimport torch\n" + source, "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_norm.py"], cwd=tmp_path,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    (shown,) = (block for block in blocks("text") if block.startswith("E   port"))
    printed = normalised(done.stdout)
    whole = [line for line in shown.splitlines() if "..." not in line and line.startswith("E")]
    assert len(whole) >= 4
    assert not [line for line in normalised("\n".join(whole)) if line not in printed], done.stdout


# Every file says what it is.

MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for part in ("crossnn", "backends", "specs", "tests", "reports")
    for path in (ROOT / part).rglob("*.py")
)


@pytest.mark.parametrize("file", MODULES)
def test_a_module_says_what_it_is(file: str) -> None:
    said = ast.get_docstring(ast.parse((ROOT / file).read_text("utf-8")))
    assert said, f"{file}: a module begins with a docstring; its first line says what is in it"
    assert len(said.splitlines()[0]) > 15


def test_lines_of_the_pages_are_not_long() -> None:
    """Tables and code apart: prose is wrapped."""
    for page in (README, ROOT / "reports" / "README.md", ROOT / "CHANGELOG.md"):
        prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
        assert not [line for line in prose.splitlines() if len(line) > 128 and not line.startswith("|")], page.name


def renewed(text: str, begin: str, end: str, body: str) -> str:
    head, rest = text.split(begin, 1)
    return head + begin + body + end + rest.split(end, 1)[1]


if __name__ == "__main__":
    FOUND.write_text(differences_page(), "utf-8")
    fresh = renewed(TEXT, *DIFFERENCES, differences_table(TELLING))
    fresh = renewed(fresh, *CATALOGUE, catalogue_table())
    fresh = renewed(fresh, *CONVENTIONS, conventions_text())
    README.write_text(renewed(fresh, *TIMED, timing_text()), "utf-8")
