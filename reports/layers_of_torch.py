"""PyTorch's own layers as a user of torch runs them: channels first, a filter's channels before its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

Arrays = Mapping[str, np.ndarray]
Ways = Iterator[tuple[str, str, Callable[[], Any], Callable[[Any], Arrays]]]
IMAGE, KERNEL = (0, 3, 1, 2), (3, 2, 0, 1)


def _dense(p: Any, data: Any) -> Any:
    return functional.linear(p["x"], p["kernel"], p["bias"])


def _conv2d(p: Any, data: Any) -> Any:
    return functional.conv2d(p["x"], p["kernel"], p["bias"], padding=1)


def _batch_norm(p: Any, data: Any) -> Any:
    """torch renews the statistics where they lie."""
    running = data["running_mean"], data["running_variance"]
    return functional.batch_norm(p["x"], *running, p["gamma"], p["beta"], True, 0.01, 1e-3)


def _lstm(p: Any, data: Any) -> Any:
    """What the forward method of torch.nn.LSTM calls."""
    weights = [p["kernel"], p["recurrent_kernel"], p["bias"], data["no_bias"]]
    sequence, last, _ = torch.lstm(p["x"], (data["start"],) * 2, weights, True, 1, 0.0, True, False, True)
    return sequence if data["weights"].dim() == 3 else last[0]


def _turned(arrays: Arrays, axes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    return {name: array.transpose(axes[name]) if name in axes else array for name, array in arrays.items()}


def ways(adapter: Any, layer: str, params: Arrays, data: Arrays) -> Ways:
    """(call, mode, one step of forward and backward, its value and gradients in our layout) for each way to run it."""
    function, call = _dense, "linear"
    axes: dict[str, tuple[int, ...]] = {name: (1, 0) for name in params if "kernel" in name}
    formats = {"": torch.contiguous_format}
    modes = ["eager", "compiled"]
    if layer in ("conv2d", "batch_norm"):
        function, call = {"conv2d": _conv2d, "batch_norm": _batch_norm}[layer], layer
        axes = {"x": IMAGE, "weights": IMAGE, "kernel": KERNEL}
        formats[", channels_last"] = torch.channels_last
    elif layer.startswith("lstm"):
        function, call = _lstm, "LSTM"
        modes = ["eager"]  # torch.compile takes no recurrent module, and no gradient of torch.lstm by torch.func
        units = params["recurrent_kernel"].shape[0]
        data = {**data, "start": np.zeros((1, len(params["x"]), units)), "no_bias": np.zeros(4 * units)}
    back = {name: tuple(np.argsort(order)) for name, order in axes.items()}

    def objective(p: Any, given: Any) -> Any:
        return torch.sum(given["weights"] * function(p, given))

    def read(found: Any) -> Arrays:
        value, gradients = found
        return {"value": adapter.array(value), **_turned({k: adapter.array(v) for k, v in gradients.items()}, back)}

    for shown, memory in formats.items():
        given = []
        for arrays in (params, data):
            tensors = {name: adapter.tensor(array).contiguous() for name, array in _turned(arrays, axes).items()}
            given.append({k: v.contiguous(memory_format=memory) if v.dim() == 4 else v for k, v in tensors.items()})
        for mode in modes:
            step = adapter.compile(adapter.value_and_grad(objective), mode)
            module = "torch.nn" if layer.startswith("lstm") else "torch.nn.functional"
            yield f"{module}.{call}{shown}", mode, (lambda step=step, given=tuple(given): step(*given)), read
