"""The wheel and the source distribution: what is in them, and that the wheel works alone.

Built from a copy of the tree, so that nothing of this checkout helps, and used from an empty folder in an environment
without any framework. Where packages cannot be fetched the last part is skipped by name; CROSSNN_WHEEL=required
makes that an error.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("crossnn", "backends", "specs", "tests", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md")
FOLDERS = {"crossnn": "crossnn", "backends": "crossnn/backends", "specs": "crossnn/specs"}
REQUIRED = os.environ.get("CROSSNN_WHEEL") == "required"

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("packaging")]


def command(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, words))}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(wheel, sdist); the wheel is built from the sdist, as an installer without a wheel would."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, tree / part)
    command(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree, cwd=out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def expected_files() -> set[str]:
    """Every Python file, every specification, the parts of pages and the type marker, where the installed package has
    them."""
    return {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".toml", ".html", ".css", ".js") or path.name == "py.typed"
    }


def test_the_wheel_has_one_top_level_name_and_every_file(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        names = set(wheel.namelist())
        (info,) = {name.split("/")[0] for name in names if ".dist-info/" in name}
        assert wheel.read(f"{info}/top_level.txt").decode().split() == ["crossnn"]
        metadata = wheel.read(f"{info}/METADATA").decode()
    assert {name for name in names if not name.startswith(f"{info}/")} == expected_files()
    assert f"{info}/licenses/LICENSE" in names
    assert "License-Expression: Apache-2.0" in metadata
    assert {"torch", "tensorflow", "jax", "all", "dev"} <= set(re.findall(r"Provides-Extra: (\S+)", metadata))


def test_the_wheel_needs_no_framework(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[0]) as wheel:
        (name,) = (one for one in wheel.namelist() if one.endswith("/METADATA"))
        needs = [line for line in wheel.read(name).decode().splitlines() if line.startswith("Requires-Dist:")]
    assert not [
        line for line in needs if re.search("torch|tensorflow|keras|jax|optax", line) and "extra ==" not in line
    ]


def test_the_source_distribution_has_what_a_build_needs(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[1]) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    wanted = {"pyproject.toml", "README.md", "LICENSE", *(f"specs/{path.name}" for path in (ROOT / "specs").glob("*"))}
    assert {name for name in wanted if not name.endswith("__pycache__")} <= names
    assert {f"backends/{path.name}" for path in (ROOT / "backends").glob("*.py")} <= names


def test_every_package_is_listed() -> None:
    """setuptools takes packages from a list here: a new folder must be added to it."""
    import tomllib

    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    found = {
        ".".join([target.replace("/", "."), *path.parent.relative_to(ROOT / folder).parts])
        for folder, target in FOLDERS.items()
        for path in (ROOT / folder).rglob("*.py")
    }
    assert found == set(listed)


@pytest.fixture(scope="module")
def clean(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with the wheel and what it requires; no framework."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", built[0]]
    done = subprocess.run(list(map(str, install)), cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        reason = f"pip could not install the wheel and its requirements here: {done.stderr.strip()[-500:]}"
        pytest.fail(reason) if REQUIRED else pytest.skip(reason)
    return python


COMMANDS = [
    (["--version"], "crossnn 0"),
    (["list"], "softplus"),
    (["show", "softplus", "--backend", "numpy"], "np.log1p"),
    (["info"], "torch"),
    (["check", "sigmoid", "--backend", "numpy"], "EQUAL"),
]


@pytest.mark.parametrize(("arguments", "shown"), COMMANDS, ids=[" ".join(row[0]) for row in COMMANDS])
def test_the_wheel_works_from_an_empty_folder(clean: Path, arguments: list[str], shown: str, tmp_path: Path) -> None:
    assert shown in command(clean.parent / "crossnn", *arguments, cwd=tmp_path)


def test_a_missing_framework_is_an_error_with_the_hint(clean: Path, tmp_path: Path) -> None:
    words = [str(clean.parent / "crossnn"), "check", "sigmoid", "--backend", "torch"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "pip install 'crossnn[torch]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_installed_types_are_seen(clean: Path, tmp_path: Path) -> None:
    """mypy on the installed package from elsewhere: `py.typed` is there, and every module is found."""
    mypy: list[str | Path] = [sys.executable, "-m", "mypy", "--python-executable", clean, "--ignore-missing-imports"]
    shown = command(*mypy, "--cache-dir", tmp_path / "cache", "-p", "crossnn", cwd=tmp_path)
    (checked,) = re.findall(r"no issues found in (\d+) source files", shown)
    modules = [name for name in expected_files() if name.endswith(".py")]
    of_data = {Path(name).parent for name in expected_files()} - {Path(name).parent for name in modules}
    assert int(checked) == len(modules) + len(of_data), "mypy counts a folder of data alone as a package"
    (tmp_path / "use.py").write_text("from crossnn.errors import choices\nchoices(5)\n", "utf-8")
    done = subprocess.run(
        [*map(str, mypy), "--cache-dir", str(tmp_path / "cache"), "use.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 'incompatible type "int"' in done.stdout
