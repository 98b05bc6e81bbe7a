"""What is not imported: frameworks outside their adapter, adapters from each other."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FRAMEWORKS = {"torch", "tensorflow", "jax", "jaxlib", "keras", "optax"}
HEAVY = {"numpy", "scipy", "sklearn", "mpmath"}  # half a second or more together
LIGHT = {"import crossnn", "crossnn --help", "crossnn list", "crossnn list optimizer"}
CORE = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "crossnn").rglob("*.py"))
ADAPTERS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "backends").glob("*.py"))

PROBE = """
import sys
try:
    {statement}
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *sorted({{name.split(".")[0] for name in sys.modules}}), file=sys.stderr)
"""
MAIN = "from crossnn.cli import main; main({arguments!r}, standalone_mode=True)"

STATEMENTS = {
    "import crossnn": "import crossnn",
    "crossnn --help": MAIN.format(arguments=["--help"]),
    "crossnn list": MAIN.format(arguments=["list"]),
    "crossnn list optimizer": MAIN.format(arguments=["list", "optimizer"]),
    "crossnn show softplus": MAIN.format(arguments=["show", "softplus", "--graph", "--gradient"]),
    "crossnn check --help": MAIN.format(arguments=["check", "--help"]),
    "crossnn run --help": MAIN.format(arguments=["run", "--help"]),
}


@pytest.mark.parametrize("what", STATEMENTS)
def test_no_framework_is_imported(what: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement=STATEMENTS[what])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stderr.rsplit("imported:", 1)[1].split())
    assert "crossnn" in imported
    assert not imported & FRAMEWORKS
    assert what not in LIGHT or not imported & HEAVY


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import statement, those inside functions and for type checking included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = "." * node.level + (f"{node.module}." if node.module else "")
            yield from ((node.lineno, parent + alias.name) for alias in node.names)


@pytest.mark.parametrize("file", CORE)
def test_the_core_never_imports_a_framework_or_an_adapter(file: str) -> None:
    for line, module in imports(ROOT / file):
        assert module.split(".")[0] not in FRAMEWORKS, f"{file}:{line} imports {module}"
        assert not module.startswith(("crossnn.backends", "backends")), (
            f"{file}:{line}: reach adapters by registry.load"
        )


@pytest.mark.parametrize("file", ADAPTERS)
def test_an_adapter_imports_its_own_framework_and_files_only(file: str) -> None:
    stem = Path(file).stem.split("_")[0]
    own = {"tensorflow": {"tensorflow", "keras"}, "jax": {"jax", "jaxlib", "optax"}}.get(stem, {stem})
    for line, module in imports(ROOT / file):
        top = module.split(".")[0]
        assert top not in FRAMEWORKS - own, f"{file}:{line} imports {module}"
        if module.startswith(("crossnn.backends", ".")):
            sibling = module.removeprefix("crossnn.backends").lstrip(".")
            assert sibling.startswith(stem), f"{file}:{line} imports {module}, of another backend"


@pytest.mark.parametrize("folder", ["backends", "specs"])
def test_folders_that_are_installed_elsewhere_refuse_their_bare_name(folder: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {folder}"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert f"this folder is installed as crossnn.{folder}" in done.stderr
