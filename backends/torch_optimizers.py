"""PyTorch's own optimizers, as rows: the settings for which each is our formula, and its state by our names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from crossnn.adapter import Knobs, Native, Params, Tensor, fits

Arrays = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]
AdamLike = Callable[..., torch.optim.Optimizer]


@dataclass(frozen=True)
class Own:
    """One of torch's optimizers. `knobs`: the values for which it is our formula, several in a tuple. `factors`: what
    our slot is multiplied by to be theirs. `transposed`: it wants matrices with their inputs in columns."""

    spec: str
    call: str
    make: Callable[[list[Tensor], Settings], torch.optim.Optimizer]
    slots: Mapping[str, str] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    factors: Mapping[str, Callable[[Settings], float]] = field(default_factory=dict)
    transposed: bool = False


def _decay(h: Settings) -> float:
    return float(h["weight_decay"]) if h.get("decay", "none") != "none" else 0.0


def _sgd(p: list[Tensor], h: Settings) -> torch.optim.Optimizer:
    dampening = h["dampening"] if h.get("form") == "dampened" else 0.0
    return torch.optim.SGD(p, lr=h["lr"], momentum=h["rho"], dampening=dampening, weight_decay=_decay(h))


def _rmsprop(p: list[Tensor], h: Settings) -> torch.optim.Optimizer:
    momentum = h["mu"] if h.get("momentum", "none") != "none" else 0.0
    return torch.optim.RMSprop(
        p, lr=h["lr"], alpha=h["rho"], eps=h["eps"], centered=h.get("centered", False), momentum=momentum
    )


def _adam(kind: AdamLike, **options: Any) -> Callable[[list[Tensor], Settings], torch.optim.Optimizer]:
    """One of the family, which share their arguments."""
    return lambda p, h: kind(p, lr=h["lr"], betas=(h["beta1"], h["beta2"]), eps=h["eps"], **options)


def _decaying(kind: AdamLike) -> Callable[[list[Tensor], Settings], torch.optim.Optimizer]:
    return lambda p, h: _adam(kind, weight_decay=h["weight_decay"])(p, h)


def _muon(p: list[Tensor], h: Settings) -> torch.optim.Optimizer:
    adjust = "match_rms_adamw" if h["scale"] == "rms" else "original"
    return torch.optim.Muon(
        p, lr=h["lr"], weight_decay=h["weight_decay"], momentum=h["mu"], nesterov=h["momentum"] == "nesterov",
        eps=h["eps"], adjust_lr_fn=adjust,
    )  # fmt: skip


_MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}

OPTIMIZERS: tuple[Own, ...] = (
    Own(
        "sgd", "torch.optim.SGD", lambda p, h: torch.optim.SGD(p, lr=h["lr"], weight_decay=_decay(h)),
    ),
    Own(
        "momentum", "torch.optim.SGD(momentum=)", _sgd,
        {"v": "momentum_buffer"}, {"form": ("outside", "dampened"), "decay": ("none", "coupled")},
    ),
    Own(
        "nesterov", "torch.optim.SGD(momentum=, nesterov=True)",
        lambda p, h: torch.optim.SGD(p, lr=h["lr"], momentum=h["rho"], nesterov=True),
        {"v": "momentum_buffer"}, {"form": "outside"},
    ),
    Own(
        "asgd", "torch.optim.ASGD",
        lambda p, h: torch.optim.ASGD(p, lr=h["lr"], lambd=h["lambd"], alpha=h["alpha"], t0=h["t0"] - 1),
        {"average": "ax", "eta": "eta"}, {"rate": "previous"},
    ),
    Own(
        "adagrad", "torch.optim.Adagrad",
        lambda p, h: torch.optim.Adagrad(
            p, lr=h["lr"], eps=h["eps"], initial_accumulator_value=h["initial_accumulator"]
        ),
        {"a": "sum"}, {"eps_place": "outside"},
    ),
    Own(
        "adadelta", "torch.optim.Adadelta",
        lambda p, h: torch.optim.Adadelta(p, lr=h["lr"], rho=h["rho"], eps=h["eps"]),
        {"a": "square_avg", "b": "acc_delta"},
    ),
    Own(
        "rmsprop", "torch.optim.RMSprop", _rmsprop,
        {"v": "square_avg", "mean": "grad_avg", "u": "momentum_buffer"},
        {"eps_place": "outside", "momentum": ("none", "outside")},
    ),
    Own(
        "rprop", "torch.optim.Rprop",
        lambda p, h: torch.optim.Rprop(
            p, lr=h["lr"], etas=(h["eta_minus"], h["eta_plus"]), step_sizes=(h["step_min"], h["step_max"])
        ),
        {"step": "step_size", "previous": "prev"}, {"on_change": "wait"},
    ),
    Own("adam", "torch.optim.Adam", _adam(torch.optim.Adam), _MOMENTS,
        {"eps_place": "outside", "bias_correction": True}),
    Own("adamw", "torch.optim.AdamW", _decaying(torch.optim.AdamW), _MOMENTS,
        {"decay": "before", "eps_place": "outside"}),
    Own("adamw", "torch.optim.Adam(weight_decay=)", _decaying(torch.optim.Adam), _MOMENTS,
        {"decay": "coupled", "eps_place": "outside"}),
    Own("amsgrad", "torch.optim.Adam(amsgrad=True)", _adam(torch.optim.Adam, amsgrad=True),
        {**_MOMENTS, "largest": "max_exp_avg_sq"}, {"correction": "after"}),
    Own("adamax", "torch.optim.Adamax", _adam(torch.optim.Adamax), {"m": "exp_avg", "u": "exp_inf"},
        {"eps_place": "inside"}),
    Own("nadam", "torch.optim.NAdam", lambda p, h: _adam(torch.optim.NAdam, momentum_decay=h["momentum_decay"])(p, h),
        {**_MOMENTS, "product": "mu_product"}, {"schedule": "lookahead"}),
    Own("radam", "torch.optim.RAdam", _adam(torch.optim.RAdam), _MOMENTS, {"eps_place": "hat", "threshold": 5.0}),
    Own(
        "adafactor", "torch.optim.Adafactor",
        lambda p, h: torch.optim.Adafactor(
            p, lr=h["lr"], beta2_decay=-h["decay"], eps=(h["eps1"], h["eps2"]), d=h["clip"]
        ),
        {"r": "row_var", "c": "col_var"}, {"moments": "clamped_means", "relative_step": True},
    ),
    Own(
        "muon", "torch.optim.Muon", _muon, {"v": "momentum_buffer"},
        {"momentum": ("plain", "nesterov"), "scale": ("original", "rms")},
        {"v": lambda h: 1 - h["mu"]}, transposed=True,
    ),
)  # fmt: skip


class Optimizer:
    """A torch.optim optimizer whose state is set and read through its own `state_dict`."""

    def __init__(self, own: Own, tensor: Callable[[np.ndarray], Tensor], params: Arrays, settings: Settings) -> None:
        self.own, self.tensor, self.settings = own, tensor, settings
        self.params: Params = {name: torch.nn.Parameter(self._given(array)) for name, array in params.items()}
        self.optimizer = own.make(list(self.params.values()), settings)

    def _given(self, array: np.ndarray) -> Tensor:
        return self.tensor(array.T if self.own.transposed else array)

    def _shown(self, tensor: Tensor, parameter: Tensor) -> np.ndarray:
        """As an array of the parameter's dtype; some slots are float32 whatever the parameter is."""
        value = tensor.detach().cpu().to(torch.float32 if parameter.dtype == torch.bfloat16 else parameter.dtype)
        return np.array(value.numpy().T if self.own.transposed else value.numpy())

    def _factor(self, slot: str) -> float:
        return self.own.factors[slot](self.settings) if slot in self.own.factors else 1.0

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        """Before the first step its state is left to itself: how that begins is part of what it computes."""
        with torch.no_grad():
            for name, parameter in self.params.items():
                parameter.copy_(self._given(params[name]))
        slots = {ours: theirs for ours, theirs in self.own.slots.items() if ours in state and step > 0}
        entries = {}
        for position, name in enumerate(self.params if step > 0 else ()):
            kept = {theirs: self._given(state[ours][name] * self._factor(ours)) for ours, theirs in slots.items()}
            if self.own.spec == "asgd":
                kept["mu"] = torch.tensor(1 / max(1.0, step - self.settings["t0"] + 1))
            entries[position] = {"step": torch.tensor(float(step)), **kept}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        for name, parameter in self.params.items():
            parameter.grad = self._given(gradients[name])
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        """As a loop over batches calls it, without the backward pass that would set the gradients."""
        parameters = list(self.params.values())
        found = [[self._given(one[name]) for name in self.params] for one in gradients]
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate

        def update(number: int) -> Any:
            for parameter, gradient in zip(parameters, found[number], strict=True):
                parameter.grad = gradient
            self.optimizer.step()
            return parameters

        return update

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        params = {name: self._shown(parameter, parameter) for name, parameter in self.params.items()}
        state = {}
        for ours, theirs in self.own.slots.items():
            kept = {name: self.optimizer.state[parameter].get(theirs) for name, parameter in self.params.items()}
            if all(value is not None for value in kept.values()):
                factor = self._factor(ours)
                state[ours] = {name: self._shown(kept[name], w) / factor for name, w in self.params.items()}
        return params, state


def native(tensor: Callable[[np.ndarray], Tensor], name: str, knobs: Knobs) -> Native | None:
    """torch's own optimizer of this specification, where these knobs are what it implements."""
    own = next((one for one in OPTIMIZERS if one.spec == name and fits(knobs, one.knobs)), None)
    if own is None:
        return None
    return Native(own.call, lambda params, hyper: Optimizer(own, tensor, params, {**knobs, **hyper}))
