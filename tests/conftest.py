"""What all tests share: a quiet, single-threaded process, versions in the header, frameworks that may be missing."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import importlib.metadata
import sys
from collections.abc import Callable, Iterator

import pytest

from crossnn import registry
from crossnn.adapter import Adapter

_SHOWN = ("numpy", "torch", "tensorflow", "keras", "jax", "optax")
_PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu")}
REQUIRED = os.environ.get("CROSSNN_FRAMEWORKS") == "required"


def _version(name: str) -> str:
    for package in _PACKAGES.get(name, (name,)):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def pytest_report_header() -> list[str]:
    return ["frameworks: " + ", ".join(f"{name} {_version(name)}" for name in _SHOWN)]


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """`require("torch")`: a skip that names what is missing; an error where CROSSNN_FRAMEWORKS=required."""

    def check(backend: str) -> None:
        found = registry.find(backend)
        if found.missing and not REQUIRED:
            pytest.skip(f"backend {backend} needs {', '.join(found.missing)}, not installed here: {found.hint}")

    return check


@pytest.fixture(scope="session")
def adapter(require: Callable[[str], None]) -> Callable[..., Adapter]:
    """`adapter("torch", dtype="float64")`: a started adapter, one for each backend and dtype in this process."""
    started: dict[tuple[str, str], Adapter] = {}

    def get(backend: str, dtype: str = "float64", device: str = "cpu") -> Adapter:
        require(backend)
        if (backend, dtype) not in started:
            started[backend, dtype] = registry.load(backend)
        one = started[backend, dtype]
        one.start(device, dtype, 1)
        return one

    return get


@pytest.fixture(autouse=True)
def keras_by_default() -> Iterator[None]:
    """Adapters own their process and choose Keras's global dtypes; no test is to see those of the test before."""
    yield
    if keras := sys.modules.get("keras"):
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
