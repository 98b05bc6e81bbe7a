"""PyTorch's own losses, as rows: what a user would call, and the settings for which it is that formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Row, Rows, Table, When, fits, keywords

from .torch_rows import F

REDUCTIONS = {"mean": "mean", "sum": "sum", "none": "none"}
"""Our reductions by torch's names."""
Made = Callable[..., tuple[Any, ...]]
Distance = Callable[[Tensor, Tensor], Tensor]


def _loss(
    name: str,
    when: When | None = None,
    fixed: When | None = None,
    weighted: tuple[str, str] | None = None,
    make: Made | None = None,
    reductions: Mapping[str, str] = REDUCTIONS,
    shown: str = "",
    **options: str,
) -> Row:
    """The function of this name, or the class of torch.nn where it begins with a capital letter. `weighted` is (whose
    weights, our reduction) that its keyword `weight` stands for; `make` turns our inputs into its arguments."""
    is_class = name[0].isupper()

    def bind(knobs: Knobs) -> Native | None:
        by, weights = knobs.get("reduction", "mean"), knobs.get("weights")
        if (
            not fits(knobs, when or {})
            or (weights and (weights, by) != weighted)
            or (not weights and by not in reductions)
        ):
            return None
        given = keywords(knobs, fixed, options)
        given["reduction"] = "mean" if weights else reductions[by]
        ready = getattr(torch.nn, name)(**given) if is_class and not weights else None

        def call(*inputs: Tensor) -> Tensor:
            arguments, extra = (inputs[:-1], {"weight": inputs[-1]}) if weights else (inputs, {})
            arguments = make(*arguments) if make else arguments
            if not is_class:
                return getattr(functional, name)(*arguments, **given, **extra)
            return (ready or getattr(torch.nn, name)(**given, **extra))(*arguments)

        return Native((f"torch.nn.{name}" if is_class else F + name) + shown, call)

    return bind


def _both(function: str, module: str, *arguments: Any, **options: Any) -> Rows:
    return _loss(function, *arguments, **options), _loss(module, *arguments, **options)


def _mse(knobs: Knobs) -> Native | None:
    """torch expects weights of the shape of the prediction."""
    row = _loss("mse_loss", weighted=("sample", "weighted_mean"))(knobs)
    if row is None or not knobs.get("weights"):
        return row
    return Native(row.call, lambda y, t, weight: row.function(y, t, weight.expand_as(y)))


def _cosine(call: str, similarity: Callable[[Tensor, Tensor], Tensor]) -> Row:
    """Of each sample; the mean is taken outside."""

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, {"reduction": "mean", "weights": ""}):
            return None
        if knobs.get("form", "negative") == "negative":
            return Native(call, lambda y, t: -similarity(y, t).mean())
        return Native(call, lambda y, t: 1 - similarity(y, t).mean())

    return bind


def _positive_weight(module: bool) -> Row:
    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, {"reduction": "mean", "weights": ""}):
            return None

        def call(y: Tensor, t: Tensor) -> Tensor:
            beta = y.new_tensor(knobs["beta"])
            if module:
                found: Tensor = torch.nn.BCEWithLogitsLoss(pos_weight=beta)(y, t)
                return found
            return functional.binary_cross_entropy_with_logits(y, t, pos_weight=beta)

        name = "torch.nn.BCEWithLogitsLoss" if module else f"{F}binary_cross_entropy_with_logits"
        return Native(f"{name}(pos_weight=)", call)

    return bind


def _squared_distance(a: Tensor, b: Tensor) -> Tensor:
    return torch.sum((a - b) ** 2, -1)


def _triplet(module: bool, distance: str, shown: str, of: Callable[[Knobs], Distance]) -> Row:
    """The triplet loss of any distance."""
    name = "torch.nn.TripletMarginWithDistanceLoss" if module else f"{F}triplet_margin_with_distance_loss"

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, {"distance": distance, "reduction": "mean", "weights": ""}):
            return None
        given = {"distance_function": of(knobs), "margin": knobs["margin"]}
        ready = torch.nn.TripletMarginWithDistanceLoss(**given) if module else None
        return Native(
            f"{name}({shown})", ready or (lambda *x: functional.triplet_margin_with_distance_loss(*x, **given))
        )

    return bind


def _pairwise(knobs: Knobs) -> Distance:
    return lambda a, b: functional.pairwise_distance(a, b, eps=float(knobs["eps"]))


def _rooted(knobs: Knobs) -> Distance:
    return lambda a, b: torch.sqrt(_squared_distance(a, b) + knobs["eps"])


def _against_zero(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The margin by which a prediction ranks above 0."""
    return y, torch.zeros_like(y), t


def _same_direction(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each pair is said to belong together."""
    return y, t, torch.ones_like(y[:, 0])


def _log_first(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return torch.log(y), t


def _log_softmax_first(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return torch.log_softmax(y, -1), t


def _of_variance_one(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return y, t, torch.ones_like(y)


def _one_hot(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return y, functional.one_hot(t, y.shape[-1]).to(y.dtype)


def _identity(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The logits as a linear layer gives them that changes nothing."""
    return y, torch.eye(y.shape[-1], dtype=y.dtype, device=y.device), t


def _linear_module(knobs: Knobs) -> Native | None:
    """The class keeps the weights of the linear layer; it is lent the identity."""
    if not fits(knobs, {"reduction": ("mean", "sum"), "weights": ""}):
        return None
    by = knobs.get("reduction", "mean")

    def call(y: Tensor, t: Tensor) -> Tensor:
        _, weight, _ = _identity(y, t)
        module = torch.nn.LinearCrossEntropyLoss(*weight.shape, reduction=by, device="meta")
        found: Tensor = torch.func.functional_call(module, {"linear.weight": weight}, (y, t))
        return found

    return Native("torch.nn.LinearCrossEntropyLoss(weight=torch.eye)", call, ("eager",))


# Classes are averaged before samples: `sum` adds means.
_LABELS: dict[str, Any] = {"reductions": {"mean": "mean", "sum_of_means": "sum"}}
_GAUSSIAN: dict[str, Any] = {"make": _of_variance_one, "shown": "(var=1)"}
_RANKING: dict[str, Any] = {"make": _against_zero}
_POISSON: dict[str, Any] = {"fixed": {"log_input": False}, "eps": "eps"}
# With targets that are probabilities the mean is not divided by the weights of their classes, with labels it is.
_OVER_CLASSES: dict[str, Any] = {"weighted": ("class", "weighted_mean")}
_BATCH_MEAN: dict[str, Any] = {"reductions": {"mean": "batchmean", "sum": "sum"}}
_COSINE: dict[str, Any] = {"make": _same_direction}

LOSSES: Table = {
    "mse": (_mse, _loss("MSELoss")),
    "half_squared_error": _both("gaussian_nll_loss", "GaussianNLLLoss", **_GAUSSIAN),
    "mae": _both("l1_loss", "L1Loss"),
    "huber": _both("huber_loss", "HuberLoss", delta="delta"),
    "smooth_l1": _both("smooth_l1_loss", "SmoothL1Loss", beta="beta"),
    "poisson": _both("poisson_nll_loss", "PoissonNLLLoss", **_POISSON),
    "poisson_log": _both("poisson_nll_loss", "PoissonNLLLoss"),
    "binary_crossentropy": _both(
        "binary_cross_entropy", "BCELoss", {"clip": "log"}, weighted=("sample", "mean")
    ),
    "binary_crossentropy_logits": (
        *_both("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", weighted=("sample", "mean")),
        *_both("multilabel_soft_margin_loss", "MultiLabelSoftMarginLoss", **_LABELS),
    ),
    "weighted_binary_crossentropy_logits": (_positive_weight(False), _positive_weight(True)),
    "hinge": _both("margin_ranking_loss", "MarginRankingLoss", fixed={"margin": 1.0}, shown="(margin=1)", **_RANKING),
    "perceptron_loss": _both("margin_ranking_loss", "MarginRankingLoss", **_RANKING),
    "logistic_margin": _both("soft_margin_loss", "SoftMarginLoss"),
    "categorical_crossentropy_logits": _both("cross_entropy", "CrossEntropyLoss", weighted=("class", "mean")),
    "smoothed_crossentropy_logits": _both("cross_entropy", "CrossEntropyLoss", label_smoothing="smoothing"),
    "sparse_categorical_crossentropy": _both("nll_loss", "NLLLoss", {"clip": "none"}, make=_log_first),
    "sparse_categorical_crossentropy_logits": (
        *_both("cross_entropy", "CrossEntropyLoss", **_OVER_CLASSES),
        *_both("nll_loss", "NLLLoss", make=_log_softmax_first, **_OVER_CLASSES),
        _loss("cross_entropy", make=_one_hot, shown=f"(y, {F}one_hot(t))"),
        _loss("linear_cross_entropy", make=_identity, shown="(y, torch.eye, t)", **_OVER_CLASSES),
        _linear_module,
    ),
    "kl_divergence": (
        *_both("kl_div", "KLDivLoss", {"clip": "none"}, make=_log_first, **_BATCH_MEAN),
    ),
    "cosine_similarity": (
        *_both("cosine_embedding_loss", "CosineEmbeddingLoss", {"form": "distance"}, **_COSINE),
        _cosine(f"{F}cosine_similarity", lambda y, t: functional.cosine_similarity(y, t, -1)),
        _cosine("torch.nn.CosineSimilarity", torch.nn.CosineSimilarity(-1)),
    ),
    "triplet": (
        *_both(
            "triplet_margin_loss", "TripletMarginLoss", {"distance": "shifted"}, margin="margin", eps="eps"
        ),
        *(
            _triplet(module, *distance)
            for distance in (
                ("shifted", "torch.nn.PairwiseDistance", lambda knobs: torch.nn.PairwiseDistance(eps=knobs["eps"])),
                ("shifted", f"{F}pairwise_distance", _pairwise),
                ("rooted", "distance_function=", _rooted),
                ("squared", "distance_function=", lambda knobs: _squared_distance),
            )
            for module in (False, True)
        ),
    ),
}  # fmt: skip
