"""A module of a user's, with a mistake: its bias is added twice. For test_port_names.py."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class TwiceBiased(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, 4)

    def forward(self, x: Any) -> Any:
        return torch.tanh(self.hidden(x) + self.hidden.bias)
