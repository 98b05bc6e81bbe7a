"""PyTorch's own activations, as rows: what a user would call, and the settings for which it is that formula.

torch.heaviside is missing: it has no derivative, not even 0.
"""

from __future__ import annotations

import torch

from crossnn.adapter import Tensor
from crossnn.bindings import Table

from .torch_rows import both, functional_of, module_of, plain

SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
LAST = {"dim": -1}


def _channels(x: Tensor) -> Tensor:
    """Softmax2d is over the channels of images: here of images of one pixel."""
    found: Tensor = torch.nn.Softmax2d()(x[..., None, None])
    return found[..., 0, 0]


ACTIVATIONS: Table = {
    "identity": (plain("torch.nn.Identity", torch.nn.Identity()),),
    "sigmoid": (
        plain("torch.sigmoid", torch.sigmoid),
        plain("torch.special.expit", torch.special.expit),
        functional_of("sigmoid"),
        module_of("Sigmoid"),
    ),
    "log_sigmoid": both("logsigmoid", "LogSigmoid"),
    "tanh": (plain("torch.tanh", torch.tanh), functional_of("tanh"), module_of("Tanh")),
    "tanh_shrink": both("tanhshrink", "Tanhshrink"),
    "arctan": (plain("torch.arctan", torch.arctan), plain("torch.atan", torch.atan)),
    "softsign": both("softsign", "Softsign"),
    "hard_sigmoid": both("hardsigmoid", "Hardsigmoid", {"slope": "sixth"}),
    "hard_tanh": (*both("hardtanh", "Hardtanh"), plain("torch.clamp", lambda x: torch.clamp(x, -1, 1))),
    "relu": (
        functional_of("relu"),
        plain("torch.relu", torch.relu),
        module_of("ReLU"),
        plain("torch.clamp_min", lambda x: torch.clamp_min(x, 0)),
        *both("threshold", "Threshold", fixed={"threshold": 0.0, "value": 0.0}),
    ),
    "leaky_relu": both("leaky_relu", "LeakyReLU", negative_slope="alpha"),
    "relu6": (
        *both("relu6", "ReLU6"),
        plain("torch.nn.functional.hardtanh(0, 6)", lambda x: torch.nn.functional.hardtanh(x, 0.0, 6.0)),
    ),
    "elu": both("elu", "ELU", alpha="alpha"),
    "selu": both("selu", "SELU", SELU),
    "celu": both("celu", "CELU", alpha="alpha"),
    "softplus": (
        *both("softplus", "Softplus"),
        plain("torch.logaddexp", lambda x: torch.logaddexp(x, torch.zeros_like(x))),
    ),
    "exponential": (plain("torch.exp", torch.exp),),
    "gelu": both("gelu", "GELU", approximate="approximate"),
    "silu": both("silu", "SiLU"),
    "mish": both("mish", "Mish"),
    "hard_swish": both("hardswish", "Hardswish"),
    "softshrink": both("softshrink", "Softshrink", lambd="theta"),
    "hardshrink": both("hardshrink", "Hardshrink", lambd="theta"),
    "softmax": (
        *both("softmax", "Softmax", fixed=LAST),
        plain("torch.special.softmax", lambda x: torch.special.softmax(x, -1)),
        plain("torch.nn.functional.softmin", lambda x: torch.nn.functional.softmin(-x, -1)),
        plain("torch.nn.Softmin", lambda x: torch.nn.Softmin(-1)(-x)),
        plain("torch.nn.Softmax2d", _channels),
    ),
    "log_softmax": (
        *both("log_softmax", "LogSoftmax", fixed=LAST),
        plain("torch.special.log_softmax", lambda x: torch.special.log_softmax(x, -1)),
    ),
    "glu": both("glu", "GLU", {"gate": "sigmoid"}),
}
