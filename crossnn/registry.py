"""Which backends exist and how to reach them: plain data, nothing imported until a backend is asked for.

Three ways lead to an adapter, with equal rights: the built-in table, an entry point of the group `crossnn.backends`
(`mine = "package.module:Adapter"`), and the dotted path itself given to `--backend`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from crossnn.errors import BackendError, CrossnnError, choices, unknown

if TYPE_CHECKING:
    from crossnn.adapter import Adapter
    from crossnn.exchange.layout import Layout

ENTRY_POINTS = "crossnn.backends"
MEMBERS = (
    "modes", "start", "tensor", "array", "value_and_grad", "compile", "wait", "stages", "device_memory", "native",
)  # fmt: skip
"""What an adapter has, started or not."""


@dataclass(frozen=True)
class Backend:
    """Where an adapter lives, what it needs, how that is installed, and in which modes it runs. Modes are repeated here
    so that planning imports no framework (a test compares them with the adapter's own); those of a third party are
    unknown until it is loaded, so it is planned in its first mode. `slow_modes` compile for seconds per formula and are
    checked only where asked for. `natives`: whether the framework has layers, losses or optimizers of its own;
    `natives_need`: packages without which some of these are missing.
    `layout`: where it says how it lays out parameters, which needs nothing of the framework."""

    name: str
    path: str
    needs: tuple[str, ...] = ()
    hint: str = ""
    modes: tuple[str, ...] = ()
    slow_modes: tuple[str, ...] = ()
    natives: bool = True
    natives_need: tuple[str, ...] = ()
    layout: str = ""

    @property
    def missing(self) -> list[str]:
        """The packages it needs that are not installed here; looks, but imports nothing."""
        return [package for package in self.needs if not is_installed(package)]

    @property
    def natives_missing(self) -> list[str]:
        """The packages for want of which some of its natives are missing."""
        return [package for package in self.natives_need if not is_installed(package)]


def is_installed(package: str) -> bool:
    """Whether a package could be imported, which is not tried."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # whoever forbids an import, and a module without a specification
        return False


BUILT_IN: Mapping[str, Backend] = {
    "numpy": Backend(
        "numpy",
        "crossnn.backends.numpy_adapter:NumpyAdapter",
        ("numpy",),
        "pip install numpy",
        ("eager", "compiled"),
        natives=False,
    ),
    "torch": Backend(
        "torch",
        "crossnn.backends.torch_adapter:TorchAdapter",
        ("torch",),
        "pip install 'crossnn[torch]'",
        ("eager", "compiled"),
        ("compiled",),
        layout="crossnn.backends.torch_exchange:LAYOUT",
    ),
    "tensorflow": Backend(
        "tensorflow",
        "crossnn.backends.tensorflow_adapter:TensorflowAdapter",
        ("tensorflow", "keras"),
        "pip install 'crossnn[tensorflow]'",
        ("eager", "graph", "xla"),
        ("xla",),
        layout="crossnn.backends.tensorflow_exchange:LAYOUT",
    ),
    "jax": Backend(
        "jax",
        "crossnn.backends.jax_adapter:JaxAdapter",
        ("jax",),
        "pip install 'crossnn[jax]'",
        ("eager", "jit"),
        natives_need=("optax",),
        layout="crossnn.backends.jax_exchange:LAYOUT",
    ),
}


def backends() -> dict[str, Backend]:
    """Every registered backend: the built-in ones first, then those of installed packages."""
    found = dict(BUILT_IN)
    for backend in _offered(tuple(sys.path)):
        found.setdefault(backend.name, backend)
    return found


@lru_cache(maxsize=1)
def _offered(path: tuple[str, ...]) -> tuple[Backend, ...]:
    """What the packages on the path offer, each of which is looked at once."""
    return tuple(
        Backend(
            point.name,
            point.value,
            (point.module.split(".")[0],),
            f"see the package that offers the backend {point.name!r}",
        )
        for point in importlib.metadata.entry_points(group=ENTRY_POINTS)
    )


def find(name: str) -> Backend:
    """The backend of this name, or of this `package.module:Class` path."""
    known = backends()
    if name in known:
        return known[name]
    if ":" in name:
        return Backend(name, name, (name.split(":")[0].split(".")[0],), f"{name} must be importable from here")
    raise BackendError(unknown("backend", name, known, "Your own adapter is named as package.module:Class."))


def load(name: str) -> Adapter:
    """Import and create the adapter; a missing framework is an error that says what to install."""
    backend = find(name)
    if backend.missing:
        raise BackendError(f"backend {name!r} needs {', '.join(backend.missing)}, not installed here: {backend.hint}")
    module, _, attribute = backend.path.partition(":")
    try:
        adapter: Adapter = getattr(importlib.import_module(module), attribute)()
    except ModuleNotFoundError as error:
        hint = "run 'pip install -e .' first" if error.name == "crossnn.backends" else backend.hint
        raise BackendError(f"backend {name!r} failed to import {error.name!r}: {hint}") from error
    except AttributeError as error:
        raise BackendError(f"backend {name!r}: {module} has no class {attribute!r}") from error
    except TypeError as error:
        raise BackendError(f"backend {name!r}: {backend.path} cannot be made without arguments: {error}") from error
    lacking = [member for member in MEMBERS if not hasattr(adapter, member)]
    if lacking or not adapter.modes:
        raise BackendError(
            f"backend {name!r}: {backend.path} makes no adapter; it lacks {choices(lacking or ['a mode'])}. "
            "Subclass crossnn.adapter.BaseAdapter, as tests/example_adapter.py does."
        )
    return adapter


def layout_of(name: str) -> Layout:
    """How a backend's framework lays out parameters; the framework need not be installed."""
    known = [one.name for one in backends().values() if one.layout]
    if name not in known:
        raise BackendError(unknown("layout", name, ["crossnn", *known]))
    module, _, attribute = find(name).layout.partition(":")
    layout: Layout = getattr(importlib.import_module(module), attribute)
    return layout


def started(name: str) -> Adapter:
    """The adapter, started in float64 on one thread of the CPU."""
    try:
        adapter = load(name)
        adapter.start("cpu", "float64", 1)
    except CrossnnError:
        raise
    except Exception as error:  # anyone's adapter may raise anything
        raise BackendError(f"backend {name!r} does not start: {type(error).__name__}: {error}") from error
    return adapter
