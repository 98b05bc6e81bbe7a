"""JAX: `jax.numpy`, `jax.value_and_grad`, and `jax.jit`."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import operator
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import jax
import jax.monitoring
import jax.numpy as jnp
import jax.scipy.special
import numpy as np

from crossnn.adapter import BaseAdapter, Facts, Function, Knobs, Meaning, Native, Opened, OwnLayer, Tensor, Tree
from crossnn.errors import BackendError, choices
from crossnn.formula.source import OPERATORS

from .jax_arrays import ARRAYS
from .jax_windows import WINDOWS, max_pool, max_pool_eager

if TYPE_CHECKING:
    from crossnn.adapter import OwnModel
    from crossnn.drawing.view import View
    from crossnn.trace.executed import Executed

DTYPES = {"float64": "float64", "float32": "float32", "bfloat16": "bfloat16", "tf32": "float32"}
STAGES = {
    "/jax/core/compile/jaxpr_trace_duration": "trace",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lower",
    "/jax/core/compile/backend_compile_duration": "compile",
}
"""JAX's events -> what we call them."""

SPELLING = {
    "equal": "jnp.equal",
    "not_equal": "jnp.not_equal",
    "abs": "jnp.abs",
    "sign": "jnp.sign",
    "floor": "jnp.floor",
    "exp": "jnp.exp",
    "expm1": "jnp.expm1",
    "log": "jnp.log",
    "log1p": "jnp.log1p",
    "sqrt": "jnp.sqrt",
    "sin": "jnp.sin",
    "cos": "jnp.cos",
    "tan": "jnp.tan",
    "sinh": "jnp.sinh",
    "cosh": "jnp.cosh",
    "tanh": "jnp.tanh",
    "arctan": "jnp.arctan",
    "erf": "jax.scipy.special.erf",
    "erfc": "jax.scipy.special.erfc",
    "sigmoid": "jax.nn.sigmoid",
    "maximum": "jnp.maximum",
    "minimum": "jnp.minimum",
    "ones_like": "jnp.ones_like",
    "stop_gradient": "jax.lax.stop_gradient",
    "sum": "jnp.sum",
    "mean": "jnp.mean",
    "max": "jnp.max",
    "min": "jnp.min",
    "reshape": "jnp.reshape",
    "split": "jax.lax.split",
}


class JaxAdapter(BaseAdapter):
    name = "jax"
    modes = ("eager", "jit")
    spelling = types.MappingProxyType({**SPELLING, "rectified": "jax.nn.relu"})
    namespace = types.MappingProxyType({"jnp": jnp, "jax": jax})
    loops = ("jit",)
    in_mode: Mapping[str, Meaning] = types.MappingProxyType(
        {
            "eager": {"max_pool": max_pool_eager, "rectified": jax.nn.relu, "log_softmax": jax.nn.log_softmax},
            "jit": {"max_pool": max_pool},
        }
    )
    donates = True

    def __init__(self) -> None:
        self.dtype = "float64"
        self.primitives = {
            **OPERATORS,
            **{name: _public(call) for name, call in SPELLING.items()},
            **ARRAYS,
            **WINDOWS,
            "where": self._where,
            "broadcast": lambda x, shape: jnp.broadcast_to(self._number(x), shape),
            "iota": lambda x, axis=-1: jax.lax.broadcasted_iota(self.dtype, x.shape, axis % x.ndim),
            "argmax": lambda x, axis=-1: jnp.argmax(x, axis=axis),
            "transpose": lambda x, axes=None: jnp.matrix_transpose(x) if axes is None else jnp.transpose(x, axes),
            "flatten": lambda x: jnp.reshape(x, (x.shape[0], -1)),
        }

    def _number(self, x: Any) -> Tensor:
        return jnp.asarray(x, self.dtype) if isinstance(x, int | float) else x

    def _where(self, c: Tensor, x: Any, y: Any) -> Tensor:
        """Of two plain numbers jnp.where makes integers, or floats that give way to any other dtype."""
        return jnp.where(c, self._number(x) if isinstance(y, int | float) else x, y)

    def start(self, device: str, dtype: str, threads: int) -> Facts:
        """JAX reads its thread count, PJRT_NPROC, before it is imported: it is recorded here, not set. x64 is on for
        float64 alone, because in float32 it would let optax compute bias corrections in float64, which no user of
        float32 has; int64 arrays are int32 there, as JAX has it."""
        wanted = "gpu" if device == "cuda" else device
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        os.environ.setdefault("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
        try:
            place = jax.devices(wanted)[0]
        except RuntimeError as error:
            available = sorted({one.platform for one in jax.devices()} | {"cpu"})
            raise BackendError(f"jax has no device {device!r} here; available: {choices(available)}") from error
        if dtype not in DTYPES:
            raise BackendError(f"jax adapter: dtype {dtype!r} is not one of {choices(DTYPES)}")
        if dtype == "tf32" and wanted != "gpu":
            raise BackendError("tf32 is float32 with the products of an NVIDIA GPU; on cpu: float32")
        self.device, self.dtype = wanted, DTYPES[dtype]
        precision = "tensorfloat32" if dtype == "tf32" else "highest"
        jax.config.update("jax_default_device", place)
        jax.config.update("jax_enable_x64", dtype == "float64")
        jax.config.update("jax_default_matmul_precision", precision)
        flags = {
            "jax_enable_x64": dtype == "float64",
            "jax_default_matmul_precision": precision,
            "PJRT_NPROC": os.environ.get("PJRT_NPROC"),
            "XLA_FLAGS": os.environ.get("XLA_FLAGS"),
            "device_kind": place.device_kind,
        }
        return Facts(
            self.name,
            wanted,
            dtype,
            int(os.environ.get("PJRT_NPROC", threads)),
            {name: importlib.metadata.version(name) for name in ("jax", "jaxlib")},
            flags,
        )

    def tensor(self, array: np.ndarray) -> Tensor:
        array = np.asarray(array)
        return jnp.asarray(array, self.dtype if np.issubdtype(array.dtype, np.floating) else None)

    def array(self, tensor: Tensor) -> np.ndarray:
        """NumPy has no bfloat16: it is widened to float32, which loses nothing."""
        value = np.array(tensor)
        return value.astype(np.float32) if value.dtype == jnp.bfloat16 else value

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        transformed: Function = jax.value_and_grad(f, has_aux=aux)
        return transformed

    def compile(self, f: Function, mode: str, donated: int = 0) -> Function:
        if mode == "eager":
            return f
        compiled: Function = jax.jit(f, donate_argnums=tuple(range(donated)))
        return compiled

    def wait(self, tree: Tree) -> None:
        jax.block_until_ready(tree)

    @contextlib.contextmanager
    def stages(self) -> Iterator[dict[str, float]]:
        """By JAX's own events: tracing to a jaxpr, lowering it to StableHLO, compiling that."""
        found = _stage_seconds()
        found.clear()
        yield found

    def device_memory(self) -> int | None:
        """JAX's counter cannot be set back: it is the peak since the process began."""
        found = jax.devices(self.device)[0].memory_stats() if self.device != "cpu" else None
        return int(found["peak_bytes_in_use"]) if found and "peak_bytes_in_use" in found else None

    def own_layer(self, name: str, sizes: Mapping[str, int]) -> OwnLayer | None:
        from . import jax_modules

        return jax_modules.own_layer(name, sizes, self.tensor)

    def native(self, kind: str, name: str, knobs: Knobs) -> Native | None:
        from . import jax_native

        return next(iter(jax_native.natives(self.tensor, kind, name, knobs)), None)

    def variants(self, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
        from . import jax_native

        return jax_native.natives(self.tensor, kind, name, knobs)[1:]

    def opened(self, call: str) -> Opened:
        from . import jax_opened

        return jax_opened.opened(self.tensor, self.array, call)

    def model(self, function: Function) -> OwnModel | None:
        from . import jax_models

        return jax_models.model(function)

    def guest(self) -> AbstractContextManager[None]:
        from . import jax_models

        return jax_models.guest()

    def views(self, f: Function, arguments: Sequence[Tree], mode: str) -> Iterator[View]:
        from . import jax_graphs

        return jax_graphs.views(f, arguments, mode, self.array)

    def watched(
        self, f: Function, arguments: Sequence[Tree], cotangent: np.ndarray | None = None
    ) -> tuple[Tree, list[Executed]]:
        from . import jax_trace

        return jax_trace.watched(f, arguments, self.array, cotangent)


@functools.cache
def _stage_seconds() -> dict[str, float]:
    """What JAX has spent on each stage since this was emptied. A listener cannot be taken away: there is one."""
    spent: dict[str, float] = {}

    def listen(event: str, seconds: float, **_: Any) -> None:
        if event in STAGES:
            spent[STAGES[event]] = spent.get(STAGES[event], 0.0) + seconds

    jax.monitoring.register_event_duration_secs_listener(listen)
    return spent


def _public(call: str) -> Function:
    module, _, path = call.partition(".")
    function: Function = operator.attrgetter(path)({"jnp": jnp, "jax": jax}[module])
    return function
