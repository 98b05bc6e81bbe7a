"""PyTorch's own layers at their defaults: `torch.nn` modules of which nothing is said but sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

Sizes = Mapping[str, int]


def _padded(sizes: Sizes, padding: str | int) -> dict[str, Any]:
    """Stride and padding where a layer is asked for with them."""
    return {"stride": sizes["stride"], "padding": padding} if sizes.get("same") else {}


MODULES: Mapping[str, tuple[str, Callable[[Sizes], nn.Module]]] = {
    "dense": ("torch.nn.Linear", lambda s: nn.Linear(s["features"], s["units"])),
    "conv2d": ("torch.nn.Conv2d", lambda s: nn.Conv2d(s["channels"], s["filters"], s["size"], **_padded(s, "same"))),
    "average_pool2d": ("torch.nn.AvgPool2d", lambda s: nn.AvgPool2d(s["size"], **_padded(s, s["size"] // 2))),
    "batch_norm": ("torch.nn.BatchNorm1d", lambda s: nn.BatchNorm1d(s["features"])),
    "layer_norm": ("torch.nn.LayerNorm", lambda s: nn.LayerNorm(s["features"])),
    "group_norm": ("torch.nn.GroupNorm", lambda s: nn.GroupNorm(s["groups"], s["features"])),
    "rms_norm": ("torch.nn.RMSNorm", lambda s: nn.RMSNorm(s["features"])),
    "dropout": ("torch.nn.Dropout", lambda s: nn.Dropout()),
    "prelu": ("torch.nn.PReLU", lambda s: nn.PReLU()),
    "embedding": ("torch.nn.Embedding", lambda s: nn.Embedding(s["tokens"], s["units"])),
    "simple_rnn": ("torch.nn.RNN", lambda s: nn.RNN(s["features"], s["units"])),
    "lstm": ("torch.nn.LSTM", lambda s: nn.LSTM(s["features"], s["units"])),
    "gru": ("torch.nn.GRU", lambda s: nn.GRU(s["features"], s["units"])),
    "self_attention": ("torch.nn.MultiheadAttention", lambda s: nn.MultiheadAttention(s["features"], s["heads"])),
}


class Module:
    """A module whose state is set and read through its `state_dict`."""

    def __init__(self, call: str, module: nn.Module, dtype: torch.dtype, device: str) -> None:
        self.call, self.module, self.dtype, self.device = call, module.to(device, dtype), dtype, device

    def weights(self) -> dict[str, np.ndarray]:
        return {
            name: np.array(value.detach().cpu().numpy())
            for name, value in self.module.state_dict().items()
            if value.is_floating_point()
        }

    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        given = {name: torch.as_tensor(value, dtype=self.dtype) for name, value in weights.items()}
        self.module.load_state_dict({**self.module.state_dict(), **given})

    def run(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.module.train(training)
        tensor = torch.as_tensor(x, dtype=self.dtype if x.dtype.kind == "f" else None, device=self.device)
        arguments = [tensor] * (3 if isinstance(self.module, nn.MultiheadAttention) else 1)
        with torch.no_grad():
            found: Any = self.module(*arguments)
        return np.array((found[0] if isinstance(found, tuple) else found).cpu().numpy())


def own_layer(name: str, sizes: Sizes, dtype: str, device: str) -> Module | None:
    """The module for this row, with weights that a fixed seed draws."""
    if name not in MODULES:
        return None
    call, make = MODULES[name]
    torch.manual_seed(0)
    return Module(call, make(sizes), getattr(torch, dtype), device)
