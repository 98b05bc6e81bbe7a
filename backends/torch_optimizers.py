"""PyTorch's own optimizers, as rows: the settings for which each is our formula, and its state by our names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import fits

Arrays = Mapping[str, np.ndarray]
Settings = Mapping[str, Any]
Make = Callable[[np.ndarray], Tensor]
O = "torch.optim."  # noqa: E741


@dataclass(frozen=True)
class Own:
    """One of torch's optimizers: `arguments` of its class `name`, of which `shown` are worth naming. `knobs`: the
    values for which it is our formula, several in a tuple. `factors`: what our slot is multiplied by to be theirs.
    `transposed`: it wants matrices with their inputs in columns; `sparse`: gradients that say which rows they have."""

    spec: str
    name: str
    arguments: Callable[[Settings], dict[str, Any]]
    slots: Mapping[str, str] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    shown: str = ""
    factors: Mapping[str, Callable[[Settings], float]] = field(default_factory=dict)
    transposed: bool = False
    sparse: bool = False


def _decay(h: Settings) -> float:
    return float(h["weight_decay"]) if h.get("decay", "none") != "none" else 0.0


def _momentum(h: Settings) -> dict[str, Any]:
    dampening = h["dampening"] if h.get("form") == "dampened_later" else 0.0
    return {"lr": h["lr"], "momentum": h["rho"], "dampening": dampening, "weight_decay": _decay(h)}


def _rmsprop(h: Settings) -> dict[str, Any]:
    momentum = h["mu"] if h.get("momentum", "none") != "none" else 0.0
    return {
        "lr": h["lr"], "alpha": h["rho"], "eps": h["eps"], "centered": h.get("centered", False), "momentum": momentum,
    }  # fmt: skip


def _adam(h: Settings) -> dict[str, Any]:
    """What the family shares."""
    return {"lr": h["lr"], "betas": (h["beta1"], h["beta2"]), "eps": h["eps"]}


def _and(**more: Any) -> Callable[[Settings], dict[str, Any]]:
    return lambda h: {**_adam(h), **more}


def _decaying(**more: Any) -> Callable[[Settings], dict[str, Any]]:
    return lambda h: {**_adam(h), "weight_decay": h["weight_decay"], **more}


def _muon(h: Settings) -> dict[str, Any]:
    return {
        "lr": h["lr"], "weight_decay": h["weight_decay"], "momentum": h["mu"], "eps": h["eps"],
        "nesterov": h["momentum"] == "nesterov",
        "adjust_lr_fn": "match_rms_adamw" if h["scale"] == "rms" else "original",
    }  # fmt: skip


_MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}
_LARGEST = {**_MOMENTS, "largest": "max_exp_avg_sq"}
_ADAM = {"eps_place": "outside", "bias_correction": True}
_COUPLED = {"decay": "coupled", "eps_place": "outside"}
_DECOUPLED = {"decay": "before", "eps_place": "outside"}

OPTIMIZERS: tuple[Own, ...] = (
    Own("sgd", "SGD", lambda h: {"lr": h["lr"], "weight_decay": _decay(h)}),
    Own(
        "momentum", "SGD", _momentum, {"v": "momentum_buffer"},
        {"form": ("outside", "dampened_later"), "decay": ("none", "coupled")}, shown="momentum=",
    ),
    Own(
        "nesterov", "SGD", lambda h: {"lr": h["lr"], "momentum": h["rho"], "nesterov": True},
        {"v": "momentum_buffer"}, {"form": "outside"}, shown="momentum=, nesterov=True",
    ),
    Own(
        "asgd", "ASGD", lambda h: {"lr": h["lr"], "lambd": h["lambd"], "alpha": h["alpha"], "t0": h["t0"] - 1},
        {"average": "ax", "eta": "eta"}, {"rate": "previous"},
    ),
    Own(
        "adagrad", "Adagrad",
        lambda h: {"lr": h["lr"], "eps": h["eps"], "initial_accumulator_value": h["initial_accumulator"]},
        {"a": "sum"}, {"eps_place": "outside"},
    ),
    Own(
        "adadelta", "Adadelta", lambda h: {"lr": h["lr"], "rho": h["rho"], "eps": h["eps"]},
        {"a": "square_avg", "b": "acc_delta"},
    ),
    Own(
        "rmsprop", "RMSprop", _rmsprop, {"v": "square_avg", "mean": "grad_avg", "u": "momentum_buffer"},
        {"eps_place": "outside", "momentum": ("none", "outside")},
    ),
    Own(
        "rprop", "Rprop",
        lambda h: {
            "lr": h["lr"], "etas": (h["eta_minus"], h["eta_plus"]), "step_sizes": (h["step_min"], h["step_max"]),
        },
        {"step": "step_size", "previous": "prev"}, {"on_change": "wait"},
    ),
    Own("adam", "Adam", _adam, _MOMENTS, _ADAM),
    Own("adam", "AdamW", _and(weight_decay=0.0), _MOMENTS, _ADAM, shown="weight_decay=0"),
    Own("adam", "SparseAdam", _adam, _MOMENTS, {**_ADAM, "eps_place": "hat"}, sparse=True),
    Own("adamw", "AdamW", _decaying(), _MOMENTS, _DECOUPLED),
    Own(
        "adamw", "Adam", _decaying(decoupled_weight_decay=True), _MOMENTS, _DECOUPLED,
        shown="weight_decay=, decoupled_weight_decay=True",
    ),
    Own("adamw", "Adam", _decaying(), _MOMENTS, _COUPLED, shown="weight_decay="),
    Own("amsgrad", "Adam", _and(amsgrad=True), _LARGEST, {"correction": "after"}, shown="amsgrad=True"),
    Own(
        "amsgrad", "AdamW", _and(amsgrad=True, weight_decay=0.0), _LARGEST, {"correction": "after"},
        shown="amsgrad=True, weight_decay=0",
    ),
    Own("adamax", "Adamax", _adam, {"m": "exp_avg", "u": "exp_inf"}, {"eps_place": "inside"}),
    Own(
        "nadam", "NAdam", lambda h: {**_adam(h), "momentum_decay": h["momentum_decay"]},
        {**_MOMENTS, "product": "mu_product"}, {"schedule": "lookahead"},
    ),
    Own("radam", "RAdam", _adam, _MOMENTS, {"eps_place": "hat", "threshold": 5.0}),
    Own(
        "adafactor", "Adafactor",
        lambda h: {"lr": h["lr"], "beta2_decay": -h["decay"], "eps": (h["eps1"], h["eps2"]), "d": h["clip"]},
        {"r": "row_var", "c": "col_var"}, {"moments": "clamped_means", "relative_step": True},
    ),
    Own(
        "muon", "Muon", _muon, {"v": "momentum_buffer"},
        {"momentum": ("plain", "nesterov"), "scale": ("original", "rms")}, factors={"v": lambda h: 1 - h["mu"]},
        transposed=True,
    ),
)  # fmt: skip

WAYS: Mapping[str, tuple[str, ...]] = {
    "foreach=True": ("SGD", "ASGD", "Adagrad", "Adadelta", "RMSprop", "Rprop", "Adam", "AdamW", "Adamax", "NAdam",
                     "RAdam", "Adafactor"),
    "foreach=False": ("SGD", "ASGD", "Adagrad", "Adadelta", "RMSprop", "Rprop", "Adam", "AdamW", "Adamax", "NAdam",
                      "RAdam", "Adafactor"),
    "fused=True": ("SGD", "Adagrad", "Adam", "AdamW"),
    "differentiable=True": ("SGD", "ASGD", "Adagrad", "Adadelta", "RMSprop", "Rprop", "Adam", "AdamW", "Adamax",
                            "NAdam", "RAdam"),
    "capturable=True": ("ASGD", "Adadelta", "RMSprop", "Rprop", "Adam", "AdamW", "Adamax", "NAdam", "RAdam"),
}  # fmt: skip
"""How an optimizer may be asked to compute -> those that can be. With nothing said a CPU runs the loop (foreach=False),
a GPU all parameters at once; `capturable` is refused on a CPU."""

UNCOMPILED = ("SparseAdam", "Muon")
"""Dynamo takes no sparse gradients; Muon wants a rate that is a number, and would be compiled anew for each."""


class Optimizer:
    """A torch.optim optimizer whose state is set and read through its own `state_dict`."""

    def __init__(
        self, own: Own, tensor: Make, params: Arrays, settings: Settings, way: str = "", mode: str = ""
    ) -> None:
        """`way` is one of WAYS. A step that is differentiated itself may not write over what requires a gradient."""
        self.own, self.tensor, self.settings = own, tensor, settings
        learned = not way.startswith("differentiable")
        if own.sparse:  # as it is by default; but torch warns where nobody says so
            torch.sparse.check_sparse_tensor_invariants.disable()
        self.params: Params = {
            name: torch.nn.Parameter(self._given(array), requires_grad=learned) for name, array in params.items()
        }
        option, _, on = way.partition("=")
        more = {option: on == "True"} if way else {}
        if mode == "compiled":  # a rate that is a number would be compiled in
            settings = {**settings, "lr": tensor(np.asarray(settings["lr"], np.float64))}
        self.optimizer = getattr(torch.optim, own.name)([*self.params.values()], **own.arguments(settings), **more)
        self.take_step: Callable[[], Any] = self.optimizer.step
        if mode == "compiled":
            torch.compiler.reset()  # dynamo counts what it compiled for any optimizer of this class, and gives up
            self.take_step = torch.compile(self.optimizer.step)

    def _given(self, array: np.ndarray) -> Tensor:
        return self.tensor(array.T if self.own.transposed else array)

    def _shown(self, tensor: Tensor, parameter: Tensor) -> np.ndarray:
        """As an array of the parameter's dtype; some slots are float32 whatever the parameter is."""
        value = tensor.detach().cpu().to(torch.float32 if parameter.dtype == torch.bfloat16 else parameter.dtype)
        return np.array(value.numpy().T if self.own.transposed else value.numpy())

    def _gradient(self, array: np.ndarray) -> Tensor:
        """As it is, or as of an embedding of which every row was looked up."""
        found = self._given(array)
        if not self.own.sparse:
            return found
        rows = torch.arange(len(found), device=found.device)[None]
        return torch.sparse_coo_tensor(rows, found, found.shape, is_coalesced=True)

    def _count(self, step: int) -> Any:
        return step if self.own.sparse else torch.tensor(float(step))

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
            entries[position] = {"step": self._count(step), **kept}
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})

    def _set_rate(self, learning_rate: float) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):
                group["lr"].fill_(learning_rate)
            else:
                group["lr"] = learning_rate

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        for name, parameter in self.params.items():
            parameter.grad = self._gradient(gradients[name])
        self._set_rate(learning_rate)
        self.take_step()

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        """As a loop over batches calls it, without the backward pass that would set the gradients."""
        parameters = list(self.params.values())
        found = [[self._gradient(one[name]) for name in self.params] for one in gradients]
        self._set_rate(learning_rate)

        def update(number: int) -> Any:
            for parameter, gradient in zip(parameters, found[number], strict=True):
                parameter.grad = gradient
            self.take_step()
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


def natives(tensor: Make, name: str, knobs: Knobs) -> Sequence[Native]:
    """torch's own optimizers of this specification that implement these knobs: as they are, then in every way in which
    they can be asked to compute."""
    gpu = bool(tensor(np.zeros(1)).is_cuda)
    chosen = [one for one in OPTIMIZERS if one.spec == name and fits(knobs, one.knobs)]
    ways = [(one, "") for one in chosen]
    for way, able in WAYS.items():
        if gpu or not way.startswith("capturable"):
            ways += [(one, way) for one in chosen if one.name in able]
    return [_native(tensor, own, way, knobs, own is chosen[0]) for own, way in ways]


def _native(tensor: Make, own: Own, way: str, knobs: Knobs, first: bool) -> Native:
    """The first one may also be compiled, which takes seconds."""
    shown = ", ".join(filter(None, (own.shown, way)))
    call = f"{O}{own.name}({shown})" if shown else O + own.name
    modes = ("eager", "compiled") if first and not way and own.name not in UNCOMPILED else ()

    def optimizer(params: Arrays, hyper: Settings, mode: str = "") -> Optimizer:
        return Optimizer(own, tensor, params, {**knobs, **hyper}, way, mode)

    return Native(call, optimizer, modes)
