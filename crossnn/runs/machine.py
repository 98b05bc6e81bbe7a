"""What a result depends on besides the formulas: machine, versions, threads, commit. No host or user names.

Versions are read from the installed packages' metadata, so that nothing is imported.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crossnn.errors import CrossnnError
from crossnn.runs.child import environment
from crossnn.runs.whole import write_whole

NAME = "machine.json"

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "numpy": ("numpy",),
    "torch": ("torch",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly"),
    "keras": ("keras",),
    "jax": ("jax",),
    "jaxlib": ("jaxlib",),
    "optax": ("optax",),
    "mpmath": ("mpmath",),
    "gmpy2": ("gmpy2",),
}
"""What is imported -> the names under which it may have been installed."""


KINDS_OF_CACHE = {"Data": "d", "Instruction": "i"}


def version(package: str) -> str | None:
    """The installed version of an importable package, without importing it."""
    for distribution in PACKAGES.get(package, (package,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def describe(arguments: Sequence[str] = (), threads: int = 1) -> dict[str, Any]:
    """The machine record of a run."""
    return {
        "crossnn": version("crossnn"),
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["crossnn", *(_without_place(argument) for argument in arguments)]),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "features": _features(),
        "caches": _caches(),
        "frequency": _frequency(),
        "cores": _cores(),
        "memory_gib": _memory(),
        "gpus": _gpus(),
        "blas": _blas(),
        "c_library": " ".join(platform.libc_ver()),
        "packages": {package: found for package in PACKAGES if (found := version(package))},
        "environment": environment("cuda", threads, {}),
    }


def write(folder: Path, machine: Mapping[str, Any]) -> None:
    try:
        write_whole(folder / NAME, json.dumps(machine, indent=2) + "\n")
    except OSError as error:
        raise CrossnnError(f"cannot write {folder / NAME}: {error.strerror}; choose another folder") from error


def read(folder: Path) -> dict[str, Any]:
    """The machine record of a run folder; empty where there is none."""
    try:
        found = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CrossnnError(f"cannot read {folder / NAME}: {error}") from error
    if not isinstance(found, dict):
        raise CrossnnError(f"{folder / NAME} is not a machine record: it holds no JSON object")
    for key in ("packages", "cores"):
        if not isinstance(found.get(key) or {}, dict):
            raise CrossnnError(f"{folder / NAME} is not a machine record: {key} is {found[key]!r}, not an object")
    return found


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Packages whose version is no longer the one that a run began with: `torch 2.12.0 -> 2.13.0`."""
    then, present = before.get("packages") or {}, now.get("packages") or {}
    return [f"{name} {old} -> {present.get(name, 'none')}" for name, old in then.items() if present.get(name) != old]


def _processor() -> str:
    return _first_line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine()


def _features() -> list[str]:
    """What of the processor's instructions matters to a matrix product."""
    found = _first_line("/proc/cpuinfo", "flags").split()
    return [flag for flag in found if flag.startswith(("avx", "amx", "fma", "sse4", "sve", "asimd"))]


def _caches() -> dict[str, str]:
    """`L1d 48K, L2 1024K ...` of the first core."""
    found = {}
    for place in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_text(place / name) for name in ("level", "type", "size"))
        if level and size:
            found[f"L{level}{KINDS_OF_CACHE.get(kind, '')}"] = size
    return found


def _frequency() -> dict[str, str]:
    """Who decides how fast the cores run, where the system says so; a virtual machine's does not."""
    base = Path("/sys/devices/system/cpu")
    named = {
        "governor": base / "cpu0/cpufreq/scaling_governor", "driver": base / "cpu0/cpufreq/scaling_driver",
        "highest_khz": base / "cpu0/cpufreq/cpuinfo_max_freq", "boost": base / "cpufreq/boost",
        "no_turbo": base / "intel_pstate/no_turbo",
    }  # fmt: skip
    return {name: text for name, path in named.items() if (text := _text(path))}


def _blas() -> list[str]:
    """NumPy's matrix library, and for which processors it takes this one."""
    try:
        import numpy as np  # noqa: F401 - it loads the library
        import threadpoolctl
    except ModuleNotFoundError:
        return []
    return sorted(
        {
            " ".join(str(one.get(key) or "") for key in ("internal_api", "version", "architecture")).strip()
            for one in threadpoolctl.threadpool_info()
            if one["user_api"] == "blas"
        }
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _first_line(path: str, key: str) -> str:
    lines = (line.split(":", 1) for line in _text(Path(path)).splitlines() if line.startswith(key) and ":" in line)
    return next((value.strip() for _, value in lines), "")


def _cores() -> dict[str, int | None]:
    import psutil

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"physical": psutil.cpu_count(logical=False), "logical": psutil.cpu_count(), "usable": usable}


def _memory() -> float:
    import psutil

    return float(round(psutil.virtual_memory().total / 2**30, 1))


def _gpus() -> list[str]:
    if shutil.which("nvidia-smi") is None:
        return []
    listed = _output(["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"])
    return [line.strip() for line in (listed or "").splitlines() if line.strip()]


def _commit() -> str | None:
    """The commit of crossnn itself, `+changes` where files differ from it; None where it was installed."""
    here = Path(__file__).resolve().parents[1]
    if _output(["git", "-C", str(here), "ls-files", "--error-unmatch", "__init__.py"]) is None:
        return None
    commit = _output(["git", "-C", str(here), "rev-parse", "HEAD"])
    if not commit:
        return None
    dirty = _output(["git", "-C", str(here), "status", "--porcelain", "--untracked-files=no"])
    return commit.strip() + ("+changes" if dirty else "")


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _without_place(argument: str) -> str:
    """Where folders lie on this machine is nobody's business: the home folder is ~, and of another absolute path the
    last part is kept."""
    home = os.path.expanduser("~")
    if len(home) > 1 and argument.startswith(home):
        return argument.replace(home, "~", 1)
    return os.path.basename(argument.rstrip(os.sep)) if os.path.isabs(argument) else argument
