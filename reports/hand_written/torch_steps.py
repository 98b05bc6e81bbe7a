"""Training steps as a careful user of PyTorch writes them: modules, autograd and ``torch.optim``.

What was measured on a CPU, and decides the order of the ways: fused Adam is the fastest of torch's three, images are
best kept channels last, and ReLU costs a quarter after the pooling of what it costs before (both are monotone, so the
values are the same). Compiled, a pooling written as the maximum of slices fuses with its neighbours and
``max_pool2d`` does not; and a small step is best compiled whole, by ``torch.func``, without autograd's bookkeeping.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

Arrays = Mapping[str, np.ndarray]
RATE, BETA1, BETA2, EPS = 1e-3, 0.9, 0.999, 1e-8
SGD_RATE = 0.01
IMAGE = (0, 3, 1, 2)
OUR_AXES = {2: (1, 0), 4: (2, 3, 1, 0)}  # from torch's (out, in) and (out, in, height, width)
TORCH_AXES = {2: (1, 0), 4: (3, 2, 0, 1)}

sgd = partial(torch.optim.SGD, lr=SGD_RATE)
adam = partial(torch.optim.Adam, lr=RATE, betas=(BETA1, BETA2), eps=EPS)
fused_adam = partial(adam, fused=True)


def max_pool(x: Any) -> Any:
    return functional.max_pool2d(x, 2)


def max_pool_by_slices(x: Any) -> Any:
    """The maximum over windows of 2 x 2, which torch.compile fuses."""
    height, width = x.shape[2] // 2 * 2, x.shape[3] // 2 * 2
    pairs = torch.maximum(x[:, :, 0:height:2, :width], x[:, :, 1:height:2, :width])
    return torch.maximum(pairs[:, :, :, 0::2], pairs[:, :, :, 1::2])


def pool_then_relu(x: Any) -> Any:
    return functional.relu(max_pool(x))


def relu_then_pool(x: Any) -> Any:
    return max_pool(functional.relu(x))


def relu_then_slices(x: Any) -> Any:
    return max_pool_by_slices(functional.relu(x))


# Every model's forward returns its loss, for torch.compile gives up on a function that it has compiled eight times.
class Softmax(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Linear(784, 10)

    def forward(self, x: Any, t: Any) -> Any:
        return functional.cross_entropy(self.logits(x), t)


class Mlp(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(784, 512)
        self.hidden2 = nn.Linear(512, 512)
        self.logits = nn.Linear(512, 10)

    def forward(self, x: Any, t: Any) -> Any:
        x = functional.relu(self.hidden1(x))
        x = functional.relu(self.hidden2(x))
        return functional.cross_entropy(self.logits(x), t)


class Cnn(nn.Module):  # type: ignore[misc]
    def __init__(self, activation: Callable[[Any], Any], memory_format: Any) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.hidden = nn.Linear(1600, 128)
        self.logits = nn.Linear(128, 10)
        self.activation = activation
        self.to(memory_format=memory_format)

    def forward(self, x: Any, t: Any) -> Any:
        x = self.activation(self.conv1(x))
        x = self.activation(self.conv2(x))
        x = x.permute(0, 2, 3, 1).flatten(1)  # free of a copy where channels are last
        x = functional.relu(self.hidden(x))
        return functional.cross_entropy(self.logits(x), t)


def _tensors(batches: Sequence[Arrays], memory_format: Any) -> list[tuple[Any, Any]]:
    result = []
    for batch in batches:
        x = torch.tensor(batch["x"])
        if x.dim() == 4:  # cloned, for with one channel either format counts as contiguous
            x = x.permute(IMAGE).clone(memory_format=memory_format)
        result.append((x, torch.tensor(batch["t"])))
    return result


class _Step:
    """The usual way to train a module: backward through autograd, then a step of an optimizer of torch."""

    def __init__(
        self,
        module: nn.Module,
        optimizer: Callable[..., Any],
        params: Arrays,
        batches: Sequence[Arrays],
        memory_format: Any = torch.contiguous_format,
        compiled: bool = False,
        compile_update: bool = False,
    ) -> None:
        self.start = {
            name.replace("kernel", "weight"): torch.tensor(np.transpose(array, TORCH_AXES.get(array.ndim)))
            for name, array in params.items()
        }
        self.module, self.batches = module, _tensors(batches, memory_format)
        self.optimizer = optimizer(module.parameters())
        self.objective: Any = torch.compile(module) if compiled else module
        self.update = torch.compile(self.optimizer.step) if compile_update else self.optimizer.step
        self.reset()

    def reset(self) -> None:
        """Zeroes the optimizer's state where it lies: a compiled update would be compiled again for a new state."""
        self.module.load_state_dict(self.start)
        for state in self.optimizer.state.values():
            for value in state.values():
                if value is not None:
                    value.zero_()

    def step(self, number: int) -> Any:
        self.optimizer.zero_grad()
        loss = self.objective(*self.batches[number])
        loss.backward()
        self.update()
        return loss

    def wait(self, result: Any) -> None:
        """On a CPU, torch returns when it has computed."""

    def read(self, result: Any) -> dict[str, np.ndarray]:
        arrays = {"loss": result.detach().numpy()}
        for name, value in self.module.state_dict().items():
            array = value.numpy()
            arrays[name.replace("weight", "kernel")] = np.transpose(array, OUR_AXES.get(array.ndim)).copy()
        return arrays


class _OneGraph(_Step):
    """Gradient and update compiled into one graph, which autograd does not enter."""

    def __init__(self, module: nn.Module, params: Arrays, batches: Sequence[Arrays], train: Callable[..., Any]) -> None:
        self.w = {name: parameter.detach() for name, parameter in module.named_parameters()}
        self.m, self.v = ({name: torch.zeros_like(w) for name, w in self.w.items()} for _ in range(2))
        self.count = torch.zeros(())
        self.train = torch.compile(partial(train, module), fullgraph=True)
        super().__init__(module, sgd, params, batches)

    def reset(self) -> None:
        self.module.load_state_dict(self.start)
        for value in (self.count, *self.m.values(), *self.v.values()):
            value.zero_()

    def step(self, number: int) -> Any:
        return self.train(self.w, self.m, self.v, self.count, *self.batches[number])


def _gradients(module: nn.Module, w: Any, x: Any, t: Any) -> Any:
    return torch.func.grad_and_value(lambda w: torch.func.functional_call(module, w, (x, t)))(w)


def train_by_sgd(module: nn.Module, w: Any, m: Any, v: Any, count: Any, x: Any, t: Any) -> Any:
    gradients, loss = _gradients(module, w, x, t)
    for name, g in gradients.items():
        w[name].sub_(g, alpha=SGD_RATE)
    return loss


def train_by_adam(module: nn.Module, w: Any, m: Any, v: Any, count: Any, x: Any, t: Any) -> Any:
    gradients, loss = _gradients(module, w, x, t)
    count.add_(1)
    c1, c2 = 1 - BETA1**count, 1 - BETA2**count
    for name, g in gradients.items():
        m[name].lerp_(g, 1 - BETA1)
        v[name].mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        w[name].sub_(RATE * (m[name] / c1) / ((v[name] / c2).sqrt() + EPS))
    return loss


def ways(case: str, mode: str, params: Arrays, batches: Sequence[Arrays]) -> dict[str, _Step]:
    """Steps by what they are called, a careful user's choice first; modes are "eager" and "compiled"."""
    if mode not in ("eager", "compiled"):
        return {}
    make = partial(_Step, params=params, batches=batches)
    if case == "time-cnn":
        last, first = ({"memory_format": layout} for layout in (torch.channels_last, torch.contiguous_format))
        if mode == "eager":
            return {
                "torch.optim.Adam, channels_last": make(Cnn(relu_then_pool, **last), adam, **last),
                "fused Adam, channels_last": make(Cnn(relu_then_pool, **last), fused_adam, **last),
                "fused Adam, channels_last, ReLU after pooling": make(Cnn(pool_then_relu, **last), fused_adam, **last),
                "torch.optim.Adam, contiguous": make(Cnn(relu_then_pool, **first), adam, **first),
            }
        last, first = ({**layout, "compiled": True} for layout in (last, first))
        whole = {**last, "compile_update": True}
        layout = torch.channels_last
        return {
            "fused Adam, channels_last, pooling by slices": make(Cnn(relu_then_slices, layout), fused_adam, **last),
            "compiled Adam, channels_last, pooling by slices": make(Cnn(relu_then_slices, layout), adam, **whole),
            "torch.optim.Adam": make(Cnn(relu_then_pool, torch.contiguous_format), adam, **first),
        }
    model, name, optimizer, train = {
        "time-softmax": (Softmax, "SGD", sgd, train_by_sgd),
        "time-mlp": (Mlp, "Adam", adam, train_by_adam),
    }[case]
    usual = {f"torch.optim.{name}": partial(make, optimizer=optimizer)}
    fused = {"fused Adam": partial(make, optimizer=fused_adam)} if name == "Adam" else {}
    if mode == "eager":
        return {label: way(model()) for label, way in {**usual, **fused}.items()}
    return {
        "one graph by torch.func": _OneGraph(model(), params, batches, train),
        **{label: way(model(), compiled=True) for label, way in {**fused, **usual}.items()},
        f"compiled {name}": make(model(), optimizer, compiled=True, compile_update=True),
    }
