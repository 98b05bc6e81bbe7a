"""PyTorch: eager tensors, `torch.autograd`, and `torch.compile`."""

from __future__ import annotations

import contextlib
import functools
import operator
import os
import sys
import types
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from crossnn.adapter import BaseAdapter, Facts, Function, Knobs, Meaning, Native, OwnLayer, Params, Tensor, Tree
from crossnn.errors import BackendError, choices
from crossnn.formula.graph import map_tree
from crossnn.formula.source import OPERATORS

from .torch_arrays import ARRAYS
from .torch_windows import WINDOWS, conv, max_pool, pool_by_slices

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from crossnn.adapter import Opened, OwnModel
    from crossnn.drawing.view import View
    from crossnn.trace.executed import Executed

DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "tf32": torch.float32}

SPELLING = {
    "abs": "torch.abs",
    "sign": "torch.sign",
    "floor": "torch.floor",
    "exp": "torch.exp",
    "expm1": "torch.expm1",
    "log": "torch.log",
    "log1p": "torch.log1p",
    "sqrt": "torch.sqrt",
    "sin": "torch.sin",
    "cos": "torch.cos",
    "tan": "torch.tan",
    "sinh": "torch.sinh",
    "cosh": "torch.cosh",
    "tanh": "torch.tanh",
    "arctan": "torch.arctan",
    "erf": "torch.erf",
    "erfc": "torch.erfc",
    "sigmoid": "torch.sigmoid",
    "ones_like": "torch.ones_like",
    "stop_gradient": "torch.detach",
    "sum": "torch.sum",
    "max": "torch.amax",  # torch.max(x, dim) gives all of a tie's gradient to one element: pytorch#56734
    "min": "torch.amin",
    "reshape": "torch.reshape",
    "split": "torch.split",
}

IN_PLACE = {
    "add": "{}.add_({})",
    "subtract": "{}.sub_({})",
    "multiply": "{}.mul_({})",
    "divide": "{}.div_({})",
    "negative": "{}.neg_()",
    "sqrt": "{}.sqrt_()",
    "add_scaled": "{}.add_({}, alpha={})",
    "add_product": "{}.addcmul_({}, {}, value={})",
    "subtract_quotient": "{}.addcdiv_({}, {}, value=-1)",
}
EAGER: Meaning = {
    "max_pool": max_pool,
    "rectified": torch.relu,
    "conv_biased": lambda x, k, b, **options: conv(x, k, bias=b, **options),
    "affine": lambda x, k, b: torch.addmm(b, x, k),
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "add_scaled": lambda x, y, c: torch.add(x, y, alpha=c),
    "add_product": lambda x, y, z, c: torch.addcmul(x, y, z, value=c),
    "subtract_quotient": lambda x, y, z: torch.addcdiv(x, y, z, value=-1),
}
"""What a compiler would fuse by itself."""
COMPILED: Meaning = {"max_pool": pool_by_slices, "rectified": torch.relu, "log_softmax": EAGER["log_softmax"]}
"""What torch's compiler makes more of than of its parts."""


class TorchAdapter(BaseAdapter):
    name = "torch"
    modes = ("eager", "compiled")
    spelling = types.MappingProxyType({**SPELLING, "rectified": "torch.relu"})
    namespace = types.MappingProxyType({"torch": torch})
    in_mode: Mapping[str, Meaning] = types.MappingProxyType({"eager": EAGER, "compiled": COMPILED})
    in_place: Mapping[str, Mapping[str, str]] = types.MappingProxyType({"eager": IN_PLACE, "compiled": IN_PLACE})

    def __init__(self) -> None:
        self.float, self.place = torch.float64, torch.device("cpu")
        self.primitives = {
            **OPERATORS,
            **{name: operator.attrgetter(call.partition(".")[2])(torch) for name, call in SPELLING.items()},
            **ARRAYS,
            **WINDOWS,
            "equal": operator.eq,
            "not_equal": operator.ne,
            "maximum": functools.partial(self._of_two, torch.maximum),
            "minimum": functools.partial(self._of_two, torch.minimum),
            "mean": _mean,
            "where": self._where,
            "broadcast": self._broadcast,
            "iota": self._iota,
            "argmax": lambda x, axis=-1: torch.argmax(x, dim=axis),
            "transpose": lambda x, axes=None: x.mT if axes is None else x.permute(axes),
            "flatten": lambda x: x.reshape(x.shape[0], -1),
        }

    def _number(self, x: Any) -> Tensor:
        return torch.full((), x, dtype=self.float, device=self.place) if isinstance(x, int | float) else x

    def _of_two(self, function: Function, x: Any, y: Any) -> Tensor:
        """torch.maximum takes no numbers; torch.clamp, which does, has another slope at the bound."""
        return function(self._number(x), self._number(y))

    def _where(self, c: Tensor, x: Any, y: Any) -> Tensor:
        """Of two plain numbers torch.where makes integers, or torch's default floats."""
        return torch.where(c, x if isinstance(y, torch.Tensor) else self._number(x), y)

    def _broadcast(self, x: Any, shape: tuple[int, ...]) -> Tensor:
        return torch.broadcast_to(self._number(x), shape)

    def _iota(self, x: Tensor, axis: int = -1) -> Tensor:
        shape = [1] * x.dim()
        shape[axis] = -1
        return torch.arange(x.shape[axis], dtype=self.float, device=self.place).reshape(shape).expand(x.shape)

    def start(self, device: str, dtype: str, threads: int) -> Facts:
        available = ["cpu", *(["gpu"] if torch.cuda.is_available() else [])]
        wanted = "gpu" if device == "cuda" else device
        if wanted not in available:
            raise BackendError(f"torch has no device {device!r} here; available: {choices(available)}")
        if dtype not in DTYPES:
            raise BackendError(f"torch adapter: dtype {dtype!r} is not one of {choices(DTYPES)}")
        if dtype == "tf32" and wanted != "gpu":
            raise BackendError("tf32 is float32 with the products of an NVIDIA GPU; on cpu: float32")
        self.device, self.dtype, self.float = wanted, dtype, DTYPES[dtype]
        self.place = torch.device("cuda" if wanted == "gpu" else "cpu")
        torch.set_num_threads(threads)
        with contextlib.suppress(RuntimeError):  # refused after the first parallel work: the flags say what holds
            torch.set_num_interop_threads(1)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS refuses determinism without it
        torch.use_deterministic_algorithms(True)
        # On by default with determinism: every torch.empty would cost a pass over memory.
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.set_float32_matmul_precision("high" if dtype == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = dtype == "tf32"
        torch.backends.cudnn.benchmark = False
        flags = {
            "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
            "float32_matmul_precision": torch.get_float32_matmul_precision(),
            "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
            "mkldnn": torch.backends.mkldnn.is_available(),
            "interop_threads": torch.get_num_interop_threads(),
            "gpu": torch.cuda.get_device_name(0) if wanted == "gpu" else None,
        }
        return Facts(self.name, wanted, dtype, torch.get_num_threads(), {"torch": str(torch.__version__)}, flags)

    def tensor(self, array: np.ndarray) -> Tensor:
        array = np.asarray(array)
        dtype = self.float if np.issubdtype(array.dtype, np.floating) else None
        return torch.tensor(array, dtype=dtype, device=self.place)

    def kernel(self, array: np.ndarray) -> Tensor:
        """Column by column, as torch.nn.Linear keeps its weight, and as the gradient of a product then comes: with MKL,
        64 x 784 by 784 x 10 takes 20 us instead of 50 us."""
        tensor = self.tensor(array)
        return tensor.t().contiguous().t() if tensor.dim() == 2 else tensor

    def array(self, tensor: Tensor) -> np.ndarray:
        """NumPy has no bfloat16: it is widened to float32, which loses nothing."""
        value = torch.as_tensor(tensor).detach().cpu()
        array: np.ndarray = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
        return array.copy()

    def value_and_grad(self, f: Function, aux: bool = False) -> Function:
        """Two spellings of one thing: eager, `torch.autograd.grad` takes a third of the time of `torch.func`; inside
        `torch.compile` only `torch.func` is traced without a graph break (dynamo: gb9186)."""
        transformed = torch.func.grad_and_value(f, has_aux=aux)

        def value_and_grad(params: Params, *data: Tree) -> Tree:
            if torch.compiler.is_compiling():
                gradients, result = transformed(params, *data)
                return result, gradients
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in params.items()}
            result = f(leaves, *data)
            value = result[0] if aux else result
            if not value.requires_grad:
                found = tuple(torch.zeros_like(tensor) for tensor in params.values())
            else:
                found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True, materialize_grads=True)
            return map_tree(torch.detach, result), dict(zip(leaves, found, strict=True))

        return value_and_grad

    def compile(self, f: Function, mode: str, donated: int = 0) -> Function:
        """Compiled whole or not at all. Dynamo counts recompilations for each code object and gives up after 8, so
        functions made by one `def` must not share theirs."""
        if mode == "eager":
            return f
        _import_inductor()
        if isinstance(f, types.FunctionType):
            own = f.__code__.replace()
            f = types.FunctionType(own, f.__globals__, f.__name__, f.__defaults__, f.__closure__)
        compiled: Function = torch.compile(f, fullgraph=True, dynamic=False)
        return compiled

    def wait(self, tree: Tree) -> None:
        if self.device == "gpu":
            torch.cuda.synchronize()

    @contextlib.contextmanager
    def stages(self) -> Iterator[dict[str, float]]:
        """By dynamo's own counters: tracing Python, and what the compiler behind it takes."""
        found: dict[str, float] = {}
        before = _compile_seconds()
        yield found
        after = _compile_seconds()
        found.update({stage: after[stage] - before[stage] for stage in after if after[stage] > before[stage]})

    def device_memory(self) -> int | None:
        if self.device != "gpu":
            return None
        peak = int(torch.cuda.max_memory_allocated())
        torch.cuda.reset_peak_memory_stats()
        return peak

    def own_layer(self, name: str, sizes: Mapping[str, int]) -> OwnLayer | None:
        from . import torch_modules

        return torch_modules.own_layer(name, sizes, self.dtype, self.device)

    def native(self, kind: str, name: str, knobs: Knobs) -> Native | None:
        from . import torch_native

        return torch_native.native(self.tensor, kind, name, knobs)

    def variants(self, kind: str, name: str, knobs: Knobs) -> Sequence[Native]:
        from . import torch_native

        return torch_native.variants(self.tensor, kind, name, knobs)

    def opened(self, call: str) -> Opened:
        from . import torch_opened

        return torch_opened.opened(self.tensor, self.array, call)

    def model(self, function: Function) -> OwnModel | None:
        from . import torch_models

        return torch_models.model(function)

    def guest(self) -> AbstractContextManager[None]:
        from . import torch_models

        return torch_models.guest()

    def views(self, f: Function, arguments: Sequence[Tree], mode: str) -> Iterator[View]:
        from . import torch_graphs

        return torch_graphs.views(f, arguments, mode, self.array, lambda one: self.compile(one, "compiled"))

    def watched(
        self, f: Function, arguments: Sequence[Tree], cotangent: np.ndarray | None = None
    ) -> tuple[Tree, list[Executed]]:
        from . import torch_trace

        return torch_trace.watched(f, arguments, self.array, cotangent)


def _mean(x: Tensor, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Tensor:
    """Inductor moves torch.mean's division of a few sums, and that of their gradients, to all elements that meet them
    again; a product costs nothing there."""
    if x.numel() == 0 or not torch.compiler.is_compiling():
        return torch.mean(x, axis, keepdims)
    total = torch.sum(x, axis, keepdims)
    return total * (total.numel() / x.numel())


def _compile_seconds() -> dict[str, float]:
    if "torch._dynamo.utils" not in sys.modules:  # nothing has been compiled
        return {"trace": 0.0, "compile": 0.0}
    spent = sys.modules["torch._dynamo.utils"].compilation_time_metrics
    names = {"trace": "bytecode_tracing", "compile": "OutputGraph.call_user_compiler"}
    return {stage: float(sum(spent.get(name, ()))) for stage, name in names.items()}


@functools.cache
def _import_inductor() -> None:
    """torch.utils.mkldnn, which inductor imports, uses torch.jit.script_method, which torch has deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)
        import torch._inductor.compile_fx  # noqa: F401
