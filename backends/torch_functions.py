"""PyTorch's own activations and losses, as rows: what a user would call, and the settings for which it is that
formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from crossnn.adapter import Knobs, Native, Tensor

Row = Callable[[Knobs], Native | None]
When = Mapping[str, Any]
REDUCTIONS = {"mean": "mean", "sum": "sum", "none": "none"}
"""Our reductions by torch's names."""


def _fits(knobs: Knobs, when: When) -> bool:
    return all(knobs.get(name, value) == value for name, value in when.items())


def _plain(call: str, function: Callable[..., Tensor]) -> Row:
    return lambda knobs: Native(call, function)


def _of(name: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, **options: str) -> Row:
    """torch.nn.functional's function of this name; `options` maps its keywords to our settings."""
    function = getattr(functional, name)

    def bind(knobs: Knobs) -> Native | None:
        if not _fits(knobs, when or {}):
            return None
        bound = {**(fixed or {}), **{theirs: knobs[ours] for theirs, ours in options.items()}}
        return Native(f"torch.nn.functional.{name}", lambda x: function(x, **bound))

    return bind


ACTIVATIONS: Mapping[str, Row] = {
    "identity": _plain("torch.nn.Identity", torch.nn.Identity()),
    "sigmoid": _plain("torch.sigmoid", torch.sigmoid),
    "log_sigmoid": _of("logsigmoid"),
    "tanh": _plain("torch.tanh", torch.tanh),
    "tanh_shrink": _of("tanhshrink"),
    "arctan": _plain("torch.arctan", torch.arctan),
    "softsign": _of("softsign"),
    "hard_sigmoid": _of("hardsigmoid", {"slope": "sixth"}),
    "hard_tanh": _of("hardtanh"),
    "relu": _of("relu"),
    "leaky_relu": _of("leaky_relu", negative_slope="alpha"),
    "relu6": _of("relu6"),
    "elu": _of("elu", alpha="alpha"),
    "selu": _of("selu", {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}),
    "celu": _of("celu", alpha="alpha"),
    "softplus": _of("softplus"),
    "exponential": _plain("torch.exp", torch.exp),
    "gelu": _of("gelu", approximate="approximate"),
    "silu": _of("silu"),
    "mish": _of("mish"),
    "hard_swish": _of("hardswish"),
    "softshrink": _of("softshrink", lambd="theta"),
    "hardshrink": _of("hardshrink", lambd="theta"),
    "softmax": _of("softmax", fixed={"dim": -1}),
    "log_softmax": _of("log_softmax", fixed={"dim": -1}),
    "glu": _of("glu", {"gate": "sigmoid"}),
}


def _loss(
    name: str,
    when: When | None = None,
    fixed: Mapping[str, Any] | None = None,
    weighted: tuple[str, str] | None = None,
    make: Callable[..., Any] | None = None,
    reductions: Mapping[str, str] = REDUCTIONS,
    **options: str,
) -> Row:
    """The loss of this name. `weighted` is (whose weights, our reduction) that its keyword `weight` stands for; `make`
    turns our inputs into its arguments."""
    function = getattr(functional, name)

    def bind(knobs: Knobs) -> Native | None:
        by, weights = knobs.get("reduction", "mean"), knobs.get("weights")
        if (
            not _fits(knobs, when or {})
            or (weights and (weights, by) != weighted)
            or (not weights and by not in reductions)
        ):
            return None
        bound = {**(fixed or {}), **{theirs: knobs[ours] for theirs, ours in options.items()}}
        bound["reduction"] = "mean" if weights else reductions[by]

        def call(*inputs: Tensor) -> Tensor:
            given, extra = (inputs[:-1], {"weight": inputs[-1]}) if weights else (inputs, {})
            arguments = make(*given) if make else given
            return function(*arguments, **bound, **extra)

        return Native(f"torch.nn.functional.{name}", call)

    return bind


def _mse(knobs: Knobs) -> Native | None:
    """torch expects weights of the shape of the prediction."""
    row = _loss("mse_loss", weighted=("sample", "weighted_mean"))(knobs)
    if row is None or not knobs.get("weights"):
        return row
    return Native(row.call, lambda y, t, weight: row.function(y, t, weight.expand_as(y)))


def _positive_weight(knobs: Knobs) -> Native | None:
    if knobs.get("reduction", "mean") != "mean" or knobs.get("weights"):
        return None
    return Native(
        "torch.nn.functional.binary_cross_entropy_with_logits(pos_weight=)",
        lambda y, t: functional.binary_cross_entropy_with_logits(y, t, pos_weight=y.new_tensor(knobs["beta"])),
    )


def _same_direction(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each pair is said to belong together."""
    return y, t, torch.ones_like(y[:, 0])


LOSSES: Mapping[str, Row] = {
    "mse": _mse,
    "mae": _loss("l1_loss"),
    "huber": _loss("huber_loss", delta="delta"),
    "smooth_l1": _loss("smooth_l1_loss", beta="beta"),
    "poisson": _loss("poisson_nll_loss", fixed={"log_input": False}, eps="eps"),
    "poisson_log": _loss("poisson_nll_loss"),
    "binary_crossentropy": _loss("binary_cross_entropy", {"clip": "log"}, weighted=("sample", "mean")),
    "binary_crossentropy_logits": _loss("binary_cross_entropy_with_logits"),
    "weighted_binary_crossentropy_logits": _positive_weight,
    "logistic_margin": _loss("soft_margin_loss"),
    "categorical_crossentropy_logits": _loss("cross_entropy"),
    "smoothed_crossentropy_logits": _loss("cross_entropy", label_smoothing="smoothing"),
    "sparse_categorical_crossentropy_logits": _loss("cross_entropy", weighted=("class", "weighted_mean")),
    "kl_divergence": _loss(
        "kl_div", {"clip": "none"}, make=lambda y, t: (torch.log(y), t),
        reductions={"mean": "batchmean", "sum": "sum"},
    ),
    "cosine_similarity": _loss("cosine_embedding_loss", {"form": "distance"}, make=_same_direction),
    "triplet": _loss("triplet_margin_loss", {"distance": "shifted"}, margin="margin", eps="eps"),
}  # fmt: skip
