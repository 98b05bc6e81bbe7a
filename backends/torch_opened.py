"""What a call of PyTorch makes: an optimizer, an activation or a loss, to be identified."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from crossnn.adapter import Native, Opened, Tensor
from crossnn.errors import BackendError
from crossnn.identify import own
from crossnn.identify.calls import parse_call, resolve
from crossnn.identify.own_source import arguments, numbers, required
from crossnn.identify.signatures import bound, signature_of
from crossnn.identify.trying import tried

Arrays = Mapping[str, np.ndarray]
Make = Callable[[list[Tensor]], torch.optim.Optimizer]

ELEMENTWISE = (
    "tanh sigmoid relu exp expm1 arctan atan erf softmax log_softmax selu celu heaviside square abs sign".split()
)
NAMESPACES: Mapping[str, tuple[Any, tuple[str, ...]]] = {
    "torch": (torch, tuple(ELEMENTWISE)),
    "torch.special": (torch.special, ("expit", "softmax", "log_softmax", "erf", "expm1")),
    "torch.optim": (torch.optim, ()),
    "torch.nn": (torch.nn, ()),
    "torch.nn.functional": (torch.nn.functional, ()),
}


def opened(tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray], text: str) -> Opened:
    """What the call makes. What is not a loss and no optimizer is taken as an activation."""
    if own.is_own(text):
        return _own(tensor, array, text, own.load(text))
    call = parse_call(text)
    found = resolve(call.name, NAMESPACES)
    if isinstance(found, type) and issubclass(found, torch.optim.Optimizer):
        settings, given = bound(found, call, 1)
        return _optimizer(tensor, array, str(call), lambda params: found(params, **given), settings)
    if isinstance(found, type) and not issubclass(found, torch.nn.Module):
        raise BackendError(f"{call.name} is no optimizer and no module: {found}")
    if isinstance(found, type):
        settings, given = bound(found, call)
        module = tried(call.name, lambda: found(**given).double())
        kind = "loss" if found.__module__ == "torch.nn.modules.loss" else "activation"
        return Opened(kind, settings, Native(str(call), module))
    signature = signature_of(found)
    names = list(signature.parameters) if signature else ["input"]
    loss = "target" in names or "x2" in names or "positive" in names
    count = 3 if "positive" in names else 2 if loss else 1
    if call.arguments:
        raise BackendError(f"{call.name} is a function: give its settings by name, as in {call.name}({names[-1]}=...)")
    settings, given = bound(found, call, count)
    return Opened("loss" if loss else "activation", settings, Native(str(call), lambda *x: found(*x, **given)))


def _own(
    tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray], text: str, found: Any
) -> Opened:
    """A user's optimizer or module, a function that makes one, or a function of tensors."""
    if _makes_optimizer(found, tensor):
        return _optimizer(tensor, array, text, found, numbers(found))
    made = own.made(text, found)
    if isinstance(made, torch.nn.Module):
        own_numbers = {name: value for name, value in vars(made).items() if type(value) in (int, float)}
        return own.opened(text, made.double().forward, "", tensor, array, {**numbers(type(made)), **own_numbers})
    if made is not None:
        raise BackendError(f"{text} makes {type(made).__name__}; torch opens an optimizer, a module or a function")
    return own.opened(text, found, "", tensor, array)


def _makes_optimizer(found: Any, tensor: Callable[[np.ndarray], Tensor]) -> bool:
    """Whether it makes an optimizer of parameters: its class, its argument or a trial tells."""
    if isinstance(found, type):
        return issubclass(found, torch.optim.Optimizer)
    if required(found) != 1:
        return False
    if arguments(found)[0] in ("params", "parameters"):
        return True
    try:
        return isinstance(found([torch.nn.Parameter(tensor(np.ones((2, 3))))]), torch.optim.Optimizer)
    except Exception:  # a function of a tensor does with a list of them what it likes
        return False


def _optimizer(
    tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray], text: str, make: Make,
    settings: Mapping[str, Any],
) -> Opened:  # fmt: skip
    one = tried(text, lambda: make([torch.nn.Parameter(tensor(np.ones((2, 3))))]))
    if not isinstance(one, torch.optim.Optimizer):
        raise BackendError(f"{text} makes {type(one).__name__}: no torch.optim.Optimizer")
    known = {name: value for name, value in one.defaults.items() if name not in settings or own.is_own(text)}
    return Opened(
        "optimizer", {**settings, **known}, Native(text, lambda params, hyper: Optimizer(tensor, array, make, params))
    )


class Optimizer:
    """A torch.optim optimizer that starts afresh; its state by torch's names."""

    def __init__(
        self, tensor: Callable[[np.ndarray], Tensor], array: Callable[[Tensor], np.ndarray], make: Make, params: Arrays
    ) -> None:
        self.tensor, self.array = tensor, array
        self.params = {name: torch.nn.Parameter(tensor(value)) for name, value in params.items()}
        self.optimizer = make(list(self.params.values()))

    def load(self, params: Arrays, state: Mapping[str, Arrays], step: int) -> None:
        """From the first step on: what state a framework keeps is not known here."""
        if step:
            raise BackendError("an opened optimizer starts at its first step")
        with torch.no_grad():
            for name, parameter in self.params.items():
                parameter.copy_(self.tensor(params[name]))

    def step(self, gradients: Arrays, learning_rate: float) -> None:
        for name, parameter in self.params.items():
            parameter.grad = self.tensor(gradients[name])
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()

    def updates(self, gradients: Sequence[Arrays], learning_rate: float) -> Callable[[int], Any]:
        raise BackendError("an opened optimizer is identified, not timed")

    def read(self) -> tuple[dict[str, np.ndarray], dict[str, dict[str, np.ndarray]]]:
        params = {name: self.array(parameter) for name, parameter in self.params.items()}
        state: dict[str, dict[str, np.ndarray]] = {}
        for name, parameter in self.params.items():
            for slot, value in self.optimizer.state[parameter].items():
                if isinstance(value, torch.Tensor) and value.is_floating_point():
                    state.setdefault(str(slot), {})[name] = self.array(value)
        return params, state
