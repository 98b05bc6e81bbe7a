"""PyTorch's own implementations, as rows: what a user would call, and the knobs for which it is that formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from crossnn.adapter import Knobs, Native, Params, Tensor

Arrays = Mapping[str, np.ndarray]
Row = Callable[[Knobs], Native | None]


def _plain(call: str, function: Callable[..., Tensor]) -> Row:
    return lambda knobs: Native(call, function)


def _mean(call: str, function: Callable[..., Tensor], **options: str) -> Row:
    """A loss that averages by itself; `options` maps its keywords to our hyper-parameters."""

    def bind(knobs: Knobs) -> Native | None:
        if knobs.get("reduction", "mean") != "mean":
            return None
        bound = {theirs: knobs[ours] for theirs, ours in options.items()}
        return Native(call, lambda y, t: function(y, t, **bound))

    return bind


def _dense(knobs: Knobs) -> Native:
    return Native(
        "torch.nn.functional.linear",
        lambda params, x: functional.linear(x, params["kernel"].T, params.get("bias")),
    )


def _cross_entropy(y: Tensor, t: Tensor) -> Tensor:
    """Its classes are axis 1, ours the last."""
    return functional.cross_entropy(y.movedim(-1, 1), t.movedim(-1, 1))


TABLE: Mapping[tuple[str, str], Row] = {
    ("activation", "identity"): _plain("torch.nn.Identity", torch.nn.Identity()),
    ("activation", "sigmoid"): _plain("torch.sigmoid", torch.sigmoid),
    ("activation", "tanh"): _plain("torch.tanh", torch.tanh),
    ("activation", "relu"): _plain("torch.nn.functional.relu", functional.relu),
    ("activation", "leaky_relu"): lambda knobs: Native(
        "torch.nn.functional.leaky_relu", lambda x: functional.leaky_relu(x, negative_slope=knobs["alpha"])
    ),
    ("activation", "elu"): lambda knobs: Native(
        "torch.nn.functional.elu", lambda x: functional.elu(x, alpha=knobs["alpha"])
    ),
    ("activation", "softplus"): _plain("torch.nn.functional.softplus", functional.softplus),
    ("activation", "softmax"): _plain("torch.nn.functional.softmax", lambda x: functional.softmax(x, dim=-1)),
    ("loss", "mse"): _mean("torch.nn.functional.mse_loss", functional.mse_loss),
    ("loss", "mae"): _mean("torch.nn.functional.l1_loss", functional.l1_loss),
    ("loss", "huber"): _mean("torch.nn.functional.huber_loss", functional.huber_loss, delta="delta"),
    ("loss", "binary_crossentropy"): _mean("torch.nn.functional.binary_cross_entropy", functional.binary_cross_entropy),
    ("loss", "binary_crossentropy_logits"): _mean(
        "torch.nn.functional.binary_cross_entropy_with_logits", functional.binary_cross_entropy_with_logits
    ),
    ("loss", "categorical_crossentropy_logits"): _mean("torch.nn.functional.cross_entropy", _cross_entropy),
    ("layer", "dense"): _dense,
}


@dataclass(frozen=True)
class Own:
    """One of torch's optimizers: its slots by our names, and the knob values for which it is our formula."""

    call: str
    make: Callable[[list[Tensor], Mapping[str, Any]], torch.optim.Optimizer]
    slots: Mapping[str, str]
    knobs: Mapping[str, Any]


OPTIMIZERS: Mapping[str, Own] = {
    "sgd": Own("torch.optim.SGD", lambda p, h: torch.optim.SGD(p, lr=h["lr"]), {}, {}),
    "momentum": Own(
        "torch.optim.SGD(momentum=)",
        lambda p, h: torch.optim.SGD(p, lr=h["lr"], momentum=h["rho"]),
        {"v": "momentum_buffer"},
        {"lr_inside": False},
    ),
    "nesterov": Own(
        "torch.optim.SGD(momentum=, nesterov=True)",
        lambda p, h: torch.optim.SGD(p, lr=h["lr"], momentum=h["rho"], nesterov=True),
        {"v": "momentum_buffer"},
        {"lr_inside": False},
    ),
    "adagrad": Own(
        "torch.optim.Adagrad",
        lambda p, h: torch.optim.Adagrad(
            p, lr=h["lr"], eps=h["eps"], initial_accumulator_value=h["initial_accumulator"]
        ),
        {"a": "sum"},
        {"eps_inside_sqrt": False},
    ),
    "rmsprop": Own(
        "torch.optim.RMSprop",
        lambda p, h: torch.optim.RMSprop(
            p, lr=h["lr"], alpha=h["rho"], eps=h["eps"], centered=h.get("centered", False)
        ),
        {"v": "square_avg", "mean": "grad_avg"},
        {"eps_inside_sqrt": False},
    ),
    "adam": Own(
        "torch.optim.Adam",
        lambda p, h: torch.optim.Adam(p, lr=h["lr"], betas=(h["beta1"], h["beta2"]), eps=h["eps"]),
        {"m": "exp_avg", "v": "exp_avg_sq"},
        {"eps_place": "outside", "bias_correction": True},
    ),
}


class Optimizer:
    """A torch.optim optimizer whose state is set and read through its own `state_dict`."""

    def __init__(self, own: Own, tensor: Callable[[np.ndarray], Tensor], params: Arrays, hyper: Knobs) -> None:
        self.own, self.tensor = own, tensor
        self.params: Params = {name: torch.nn.Parameter(tensor(array)) for name, array in params.items()}
        self.optimizer = own.make(list(self.params.values()), hyper)

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        with torch.no_grad():
            for name, parameter in self.params.items():
                parameter.copy_(self.tensor(params[name]))
        slots = {theirs: state[ours] for ours, theirs in self.own.slots.items() if ours in state}
        entries = {
            position: {"step": torch.tensor(float(step)), **{key: self.tensor(slots[key][name]) for key in slots}}
            for position, name in enumerate(self.params)
        }
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        for name, parameter in self.params.items():
            parameter.grad = self.tensor(gradients[name])
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        params = {name: _array(parameter) for name, parameter in self.params.items()}
        state = {}
        for ours, theirs in self.own.slots.items():
            kept = {name: self.optimizer.state[parameter].get(theirs) for name, parameter in self.params.items()}
            if all(value is not None for value in kept.values()):
                state[ours] = {name: _array(value) for name, value in kept.items()}
        return params, state


def _array(tensor: Tensor) -> np.ndarray:
    value = tensor.detach().cpu()
    array: np.ndarray = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return array.copy()


def native(tensor: Callable[[np.ndarray], Tensor], kind: str, name: str, knobs: Knobs) -> Native | None:
    """The row for this specification, where these knobs are what it implements."""
    if kind != "optimizer":
        row = TABLE.get((kind, name))
        return row(knobs) if row else None
    own = OPTIMIZERS.get(name)
    if own is None or any(knobs.get(knob, value) != value for knob, value in own.knobs.items()):
        return None
    return Native(own.call, lambda params, hyper: Optimizer(own, tensor, params, {**knobs, **hyper}))
