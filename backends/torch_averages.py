"""PyTorch's own moving average of parameters, beside an optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.optim import swa_utils

from crossnn.adapter import Knobs, Native, Tensor

from .torch_optimizers import Arrays, Make, O, Optimizer, Own, Settings


class Averaged(Optimizer):
    """Gradient descent, and torch's moving average of the parameters beside it: what it is shown first it copies. That
    is the initial parameters where it is shown them (`early`), else those after the first step."""

    def __init__(self, tensor: Make, params: Arrays, settings: Settings, every: bool, early: bool) -> None:
        """`every`: the average of all parameters at once."""
        super().__init__(Own("weight_ema", "SGD", lambda h: {"lr": h["lr"]}), tensor, params, settings)
        made = swa_utils.get_ema_multi_avg_fn if every else swa_utils.get_ema_avg_fn
        name = "multi_avg_fn" if every else "avg_fn"
        self.early, self.model = early, torch.nn.ParameterList(self.params.values())
        self.averaged = swa_utils.AveragedModel(self.model, **{name: made(settings["rho"])})
        if early:
            self.averaged.update_parameters(self.model)

    @property
    def averages(self) -> dict[str, Tensor]:
        return dict(zip(self.params, self.averaged.module.parameters(), strict=True))

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        super().load(params, {}, step)
        with torch.no_grad():
            self.averaged.n_averaged.fill_(step + self.early)
            for name, average in self.averages.items():
                average.copy_(self._given(state["average"][name]))

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        super().step(gradients, learning_rate)
        self.averaged.update_parameters(self.model)

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        update = super().updates(gradients, learning_rate)

        def both(number: int) -> Any:
            found = update(number)
            self.averaged.update_parameters(self.model)
            return [*found, *self.averages.values()]

        return both

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        params, _ = super().read()
        return params, {"average": {name: self._shown(one, one) for name, one in self.averages.items()}}


def natives(tensor: Make, knobs: Knobs) -> Sequence[Native]:
    """torch's average in the conventions that it has: both, of which one is asked for by an update more."""
    early = knobs.get("start", "initial") == "initial"
    when = ", updated before the first step" if early else ""

    def native(every: bool, given: str) -> Native:
        return Native(
            f"{O}swa_utils.AveragedModel({O}swa_utils.{given}){when}",
            lambda params, hyper: Averaged(tensor, params, {**knobs, **hyper}, every, early),
        )

    return [native(True, "get_ema_multi_avg_fn"), native(False, "get_ema_avg_fn")]
