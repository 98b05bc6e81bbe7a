"""TensorFlow: eager tensors, `tf.GradientTape`, and `tf.function` with and without XLA."""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # read once, at import
os.environ["KERAS_BACKEND"] = "tensorflow"  # TensorFlow imports Keras, which chooses its backend then

import tensorflow as tf

from crossnn.adapter import BaseAdapter, Facts, Function, Knobs, Meaning, Native, Opened, OwnLayer, Params, Tensor, Tree
from crossnn.errors import BackendError, choices
from crossnn.formula.source import OPERATORS

from .tensorflow_arrays import ARRAYS
from .tensorflow_compiled import Compiled
from .tensorflow_windows import WINDOWS, max_pool, pool_by_slices

if TYPE_CHECKING:
    from crossnn.adapter import OwnModel
    from crossnn.drawing.view import View
    from crossnn.trace.executed import Executed

DTYPES = {"float64": tf.float64, "float32": tf.float32, "bfloat16": tf.bfloat16, "tf32": tf.float32}

SPELLING = {
    "abs": "tf.abs",
    "sign": "tf.sign",
    "floor": "tf.floor",
    "exp": "tf.exp",
    "expm1": "tf.math.expm1",
    "log": "tf.math.log",
    "log1p": "tf.math.log1p",
    "sqrt": "tf.sqrt",
    "sin": "tf.sin",
    "cos": "tf.cos",
    "tan": "tf.tan",
    "sinh": "tf.sinh",
    "cosh": "tf.cosh",
    "tanh": "tf.tanh",
    "arctan": "tf.atan",
    "erf": "tf.math.erf",
    "erfc": "tf.math.erfc",
    "sigmoid": "tf.math.sigmoid",
    "ones_like": "tf.ones_like",
    "stop_gradient": "tf.stop_gradient",
    "sum": "tf.reduce_sum",
    "mean": "tf.reduce_mean",
    "max": "tf.reduce_max",
    "min": "tf.reduce_min",
    "reshape": "tf.reshape",
    "split": "tf.split",
}


EAGER: Meaning = {
    "max_pool": max_pool,
    "rectified": tf.nn.relu,
    "biased": tf.nn.bias_add,
    "log_softmax": tf.nn.log_softmax,
}
"""What XLA fuses by itself."""


class TensorflowAdapter(BaseAdapter):
    name = "tensorflow"
    modes = ("eager", "graph", "xla")
    spelling = types.MappingProxyType({**SPELLING, "rectified": "tf.nn.relu"})
    namespace = types.MappingProxyType({"tf": tf})
    loops = ("xla",)
    donates = True
    in_mode: Mapping[str, Meaning] = types.MappingProxyType(
        {"eager": EAGER, "graph": EAGER, "xla": {"max_pool": pool_by_slices}}
    )

    def __init__(self) -> None:
        self.tracing = 0.0  # seconds, in all functions that were ever traced
        self.float = tf.float64
        self.primitives = {
            **OPERATORS,
            **{name: operator.attrgetter(call.partition(".")[2])(tf) for name, call in SPELLING.items()},
            **ARRAYS,
            **WINDOWS,
            "power": _power,
            "equal": functools.partial(_of_two, tf.equal),
            "not_equal": functools.partial(_of_two, tf.not_equal),
            "maximum": functools.partial(_of_two, tf.maximum),
            "minimum": functools.partial(_of_two, tf.minimum),
            "where": self._where,
            "broadcast": lambda x, shape: tf.broadcast_to(self._number(x), shape),
            "iota": self._iota,
            "argmax": lambda x, axis=-1: tf.argmax(tf.reshape(x, [-1]) if axis is None else x, axis or 0),
            "transpose": lambda x, axes=None: tf.linalg.matrix_transpose(x) if axes is None else tf.transpose(x, axes),
            "flatten": lambda x: tf.reshape(x, (x.shape[0], -1)),
        }

    def _number(self, x: Any) -> Tensor:
        return tf.constant(x, self.float) if isinstance(x, int | float) else x

    def _where(self, c: Tensor, x: Any, y: Any) -> Tensor:
        """Of two plain numbers tf.where makes int32 or float32; `_of_two` says what else it lacks."""
        return _of_two(functools.partial(tf.where, c), x, self._number(y))

    def _iota(self, x: Tensor, axis: int = -1) -> Tensor:
        shape = [1] * len(x.shape)
        shape[axis] = -1
        return tf.broadcast_to(tf.reshape(tf.cast(tf.range(x.shape[axis]), self.float), shape), x.shape)

    def start(self, device: str, dtype: str, threads: int) -> Facts:
        """Threads and visible devices cannot change after TensorFlow's first operation: Facts says what holds."""
        gpus = tf.config.list_physical_devices("GPU")
        wanted = "gpu" if device == "cuda" else device
        available = ["cpu", *(["gpu"] if gpus else [])]
        if wanted not in available:
            raise BackendError(f"tensorflow has no device {device!r} here; available: {choices(available)}")
        if dtype not in DTYPES:
            raise BackendError(f"tensorflow adapter: dtype {dtype!r} is not one of {choices(DTYPES)}")
        if dtype == "tf32" and wanted != "gpu":
            raise BackendError("tf32 is float32 with the products of an NVIDIA GPU; on cpu: float32")
        self.device, self.dtype, self.float = wanted, DTYPES[dtype].name, DTYPES[dtype]
        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            _before_first_operation(tf.config.threading.set_intra_op_parallelism_threads, threads)
            _before_first_operation(tf.config.threading.set_inter_op_parallelism_threads, 1)
        for gpu in gpus if wanted == "gpu" else []:
            _before_first_operation(tf.config.experimental.set_memory_growth, gpu, True)
        if gpus and wanted == "cpu":
            _before_first_operation(tf.config.set_visible_devices, [], "GPU")
        tf.config.experimental.enable_op_determinism()
        tf.config.experimental.enable_tensor_float_32_execution(dtype == "tf32")
        flags = {
            "op_determinism": True,
            "tensor_float_32": tf.config.experimental.tensor_float_32_execution_enabled(),
            "inter_op_threads": tf.config.threading.get_inter_op_parallelism_threads(),
            "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS"),
            "visible_devices": [one.device_type for one in tf.config.get_visible_devices()],
        }
        threads = tf.config.threading.get_intra_op_parallelism_threads()
        return Facts(self.name, wanted, dtype, threads, _versions(), flags)

    def tensor(self, array: np.ndarray) -> Tensor:
        array = np.asarray(array)
        return tf.constant(array, self.float if np.issubdtype(array.dtype, np.floating) else None)

    def array(self, tensor: Tensor) -> np.ndarray:
        """NumPy has no bfloat16: it is widened to float32, which loses nothing."""
        value: np.ndarray = tf.convert_to_tensor(tensor).numpy()
        return np.array(value, np.float32 if value.dtype == tf.bfloat16.as_numpy_dtype else None)

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        def value_and_grad(params: Params, *data: Tree) -> Tree:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(params)
                result = f(params, *data)
            value = result[0] if aux else result
            found = tape.gradient(value, params, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            # The gradient of a gather is a tf.IndexedSlices: rows and where they belong.
            return result, {name: tf.convert_to_tensor(gradient) for name, gradient in found.items()}

        return value_and_grad

    def compile(self, f: Function, mode: str, donated: int = 0) -> Function:
        return f if mode == "eager" else Compiled(f, mode == "xla", donated, self._traced)

    def _traced(self, seconds: float) -> None:
        self.tracing += seconds

    def wait(self, tree: Tree) -> None:
        """On the CPU a call returns when it is done."""
        if self.device == "gpu":
            tf.test.experimental.sync_devices()

    @contextlib.contextmanager
    def stages(self) -> Iterator[dict[str, float]]:
        """Tracing; the rest of a first call, which Grappler or XLA compiles in, TensorFlow does not tell apart."""
        found: dict[str, float] = {}
        before = self.tracing
        yield found
        if self.tracing > before:
            found["trace"] = self.tracing - before

    def device_memory(self) -> int | None:
        """On the CPU TensorFlow counts nothing, and says 0."""
        if self.device != "gpu":
            return None
        peak = int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
        tf.config.experimental.reset_memory_stats("GPU:0")
        return peak

    def own_layer(self, name: str, sizes: Mapping[str, int]) -> OwnLayer | None:
        from . import tensorflow_modules

        return tensorflow_modules.own_layer(name, sizes, self.dtype)

    def native(self, kind: str, name: str, knobs: Knobs) -> Native | None:
        from . import tensorflow_native

        return tensorflow_native.native(self.dtype, kind, name, knobs)

    def variants(self, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
        from . import tensorflow_native

        return tensorflow_native.variants(self.dtype, kind, name, knobs)

    def opened(self, call: str) -> Opened:
        from . import tensorflow_opened

        return tensorflow_opened.opened(self.dtype, self.tensor, self.array, call)

    def model(self, function: Function) -> OwnModel | None:
        from . import tensorflow_models

        return tensorflow_models.model(function)

    def guest(self) -> AbstractContextManager[None]:
        from . import tensorflow_models

        return tensorflow_models.guest()

    def views(self, f: Function, arguments: Sequence[Tree], mode: str) -> Iterator[View]:
        from . import tensorflow_graphs

        return tensorflow_graphs.views(f, arguments, mode, self.array)

    def watched(
        self, f: Function, arguments: Sequence[Tree], cotangent: np.ndarray | None = None
    ) -> tuple[Tree, list[Executed]]:
        from . import tensorflow_trace

        return tensorflow_trace.watched(f, arguments, self.array, cotangent)


def _of_two(function: Function, x: Any, y: Any) -> Tensor:
    """Graph mode takes the dtype of the first argument: tf.maximum(0, x) fails there, though not in eager mode. Whole
    numbers meet others nowhere: they become what those are."""
    if isinstance(x, int | float):
        x = tf.constant(x, y.dtype)
    elif not isinstance(y, int | float) and x.dtype != y.dtype:
        x, y = (tf.cast(x, y.dtype), y) if y.dtype.is_floating else (x, tf.cast(y, x.dtype))
    return function(x, y)


def _power(x: Any, y: Any) -> Tensor:
    """Eager tf.pow(x, 2) takes 80 times as long as tf.square. Graph mode rewrites these cases by itself
    (Grappler's ConvertPow), and so does XLA."""
    if isinstance(y, int | float) and not isinstance(x, int | float):
        if y == 2:
            return tf.square(x)
        if y == 3:
            return x * tf.square(x)
        if y == 0.5:
            return tf.sqrt(x)
    return x**y


def _before_first_operation(setter: Function, *values: Any) -> None:
    try:
        setter(*values)
    except RuntimeError:  # TensorFlow has started: the getters, and so Facts, say what holds
        return


def _versions() -> dict[str, str]:
    import keras

    return {"tensorflow": tf.__version__, "keras": keras.__version__}
