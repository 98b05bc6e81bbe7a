"""Optax's losses, as rows: what a user would call, and the settings for which it is our formula.

Optax gives a number for each sample and leaves it to its user what becomes of them: so every reduction is here, written
with jax.numpy, and every weight. Where optax is not installed, what is left are the functions of JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Row, Rows, Table, fits, keywords

from .jax_rows import public, row

Arguments = Callable[..., tuple[Tensor, ...]]


def reduced(value: Tensor, by: str, weight: Tensor | None) -> Tensor:
    """The numbers of a batch as one; the weights, which stand before the axes that they lack, are those of samples."""
    if weight is not None and by == "weighted_mean":
        return jnp.average(value, weights=jnp.broadcast_to(weight, value.shape))
    value = value if weight is None else value * weight
    match by:
        case "none":
            return value
        case "sum":
            return jnp.sum(value)
        case "batch_mean":
            return jnp.sum(jnp.mean(value, axis=0))
        case "sum_of_means":
            return jnp.sum(jnp.mean(value, axis=-1))
    return jnp.mean(value)


def _of_samples(weight: Tensor, t: Tensor) -> Tensor:
    """The weight of each sample, from those of the classes."""
    return weight[t] if jnp.issubdtype(t.dtype, jnp.integer) else jnp.sum(weight * t, axis=-1)


def _loss(
    call: str,
    when: Mapping[str, Any] | None = None,
    function: Callable[..., Tensor] | None = None,
    make: Callable[[Knobs], Callable[..., Tensor]] | None = None,
    arguments: Arguments | None = None,
    fixed: Mapping[str, Any] | None = None,
    **options: str,
) -> Row:
    """A loss of each sample: `function`, or what `make` makes of the settings, or the function that the call begins
    with, to which `options` gives our settings by its own keywords; `arguments` turns our inputs into its own."""

    def bind(knobs: Knobs) -> Callable[..., Tensor]:
        own = make(knobs) if make else function or public(call.partition("(")[0])
        named = keywords(knobs, fixed, options)
        by, weights = knobs.get("reduction", "mean"), knobs.get("weights")

        def loss(*inputs: Tensor) -> Tensor:
            *rest, weight = inputs if weights else (*inputs, None)
            if weight is not None and weights == "class":
                weight = _of_samples(weight, rest[-1])
            return reduced(own(*(arguments(*rest) if arguments else rest), **named), by, weight)

        return loss

    return row(call, when=when, make=bind)


def _further(*rows: Row) -> Rows:
    """Variants, as they are and averaged: other reductions and weights are written here, and judged with the first."""

    def of(row: Row) -> Row:
        def bind(knobs: Knobs) -> Native | None:
            fitting = fits(knobs, {"reduction": ("mean", "none"), "weights": ""})
            return row(knobs) if fitting else None

        return bind

    return tuple(map(of, rows))


def _smoothed(knobs: Knobs) -> Callable[..., Tensor]:
    smooth, entropy = public("optax.losses.smooth_labels"), public("optax.losses.softmax_cross_entropy")
    return lambda y, t: entropy(y, smooth(t, knobs["smoothing"]))


def _scaled_huber(knobs: Knobs) -> Callable[..., Tensor]:
    huber = public("optax.losses.huber_loss")
    return lambda y, t: huber(y, t, delta=knobs["beta"]) / knobs["beta"]


def _dice(share: float) -> Callable[[Knobs], Callable[..., Tensor]]:
    """optax.losses.dice_loss wants logits, and an axis of classes; without logits it refuses to be traced."""

    def make(knobs: Knobs) -> Callable[..., Tensor]:
        given = {"alpha": share, "beta": share, "smooth": share * knobs["eps"]}
        dice = public("optax.losses.dice_loss")
        return lambda y, t: dice(jax.scipy.special.logit(y)[..., None], t[..., None], **given)

    return make


def _binary_dice(knobs: Knobs) -> Callable[..., Tensor]:
    dice, smooth = public("optax.losses.binary_dice_loss"), knobs["eps"] / 2
    return lambda y, t: dice(jax.scipy.special.logit(y)[..., None], t[..., None], smooth=smooth)


def _rms(y: Tensor, t: Tensor) -> Tensor:
    return public("optax.safe_root_mean_squares")(y - t, 0.0)


def _one_hot(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return y, jax.nn.one_hot(t, y.shape[-1], dtype=y.dtype)


def _logarithms(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return jnp.log(y), t


def _fenchel_young(knobs: Knobs) -> Callable[..., Tensor]:
    loss: Callable[..., Tensor] = public("optax.losses.make_fenchel_young_loss")(jax.nn.logsumexp)
    return loss


def _label(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    return y, jnp.argmax(t, axis=-1)


_LABELS = "optax.losses.softmax_cross_entropy_with_integer_labels"
_BINARY, _SOFTMAX = "optax.losses.sigmoid_binary_cross_entropy", "optax.losses.softmax_cross_entropy"
_FOCAL, _COSINE = "optax.losses.sigmoid_focal_loss", "optax.losses.cosine_similarity"
_PLAIN = {"clip": "none"}

LOSSES: Table = {
    "mse": (_loss("optax.losses.squared_error"),),
    "half_squared_error": (_loss("optax.losses.l2_loss"),),
    "rmse": (_loss("optax.safe_root_mean_squares(y - t, 0)", function=_rms),),
    "huber": (_loss("optax.losses.huber_loss", delta="delta"),),
    "smooth_l1": (_loss("optax.losses.huber_loss(delta=beta)/beta", make=_scaled_huber),),
    "log_cosh": (_loss("optax.losses.log_cosh"),),
    "binary_crossentropy_logits": (
        _loss(_BINARY),
        *_further(_loss(f"{_FOCAL}(gamma=0)", fixed={"gamma": 0.0})),
    ),
    "balanced_binary_crossentropy_logits": (
        _loss(f"{_FOCAL}(alpha=, gamma=0)", alpha="beta", fixed={"gamma": 0.0}),
    ),
    "focal_logits": (_loss(_FOCAL, alpha="alpha", gamma="gamma"),),
    "hinge": (_loss("optax.losses.hinge_loss"),),
    "perceptron_loss": (_loss("optax.losses.perceptron_loss"),),
    "logistic_margin": (
        _loss(f"{_BINARY}(y, (t + 1)/2)", arguments=lambda y, t: (y, (t + 1) / 2)),
        *_further(
            _loss("jax.nn.softplus(-t*y)", function=lambda y, t: jax.nn.softplus(-t * y)),
            _loss("jax.numpy.logaddexp(0, -t*y)", function=lambda y, t: jnp.logaddexp(0, -t * y)),
        ),
    ),
    "categorical_crossentropy_logits": (
        _loss(_SOFTMAX),
        *_further(
            _loss("optax.losses.safe_softmax_cross_entropy"),
            _loss("optax.losses.poly_loss_cross_entropy(epsilon=0)", fixed={"epsilon": 0.0}),
            _loss("optax.losses.ranking_softmax_loss(reduce_fn=None)", fixed={"reduce_fn": None}),
            _loss("optax.losses.make_fenchel_young_loss(jax.nn.logsumexp)", make=_fenchel_young),
            _loss(f"{_LABELS}(y, jax.numpy.argmax(t))", arguments=_label),
        ),
    ),
    "smoothed_crossentropy_logits": (_loss(f"{_SOFTMAX}(y, optax.losses.smooth_labels(t))", make=_smoothed),),
    "sparse_categorical_crossentropy_logits": (
        _loss(_LABELS),
        *_further(_loss(f"{_SOFTMAX}(y, jax.nn.one_hot(t))", arguments=_one_hot)),
    ),
    "kl_divergence": (
        _loss("optax.losses.kl_divergence", _PLAIN, arguments=_logarithms),
        *_further(
            _loss("optax.losses.kl_divergence_with_log_targets", _PLAIN,
                  arguments=lambda y, t: (jnp.log(y), jnp.log(t))),
            _loss("jax.scipy.special.rel_entr(t, y)", _PLAIN,
                  function=lambda y, t: jnp.sum(jax.scipy.special.rel_entr(t, y), axis=-1)),
        ),
    ),
    "dice": (
        _loss("optax.losses.binary_dice_loss", {"eps_above": True, "squared": False}, make=_binary_dice),
        _loss("optax.losses.dice_loss(alpha=0.5, beta=0.5)", {"eps_above": True, "squared": False}, make=_dice(0.5)),
    ),
    "jaccard": (_loss("optax.losses.dice_loss(alpha=1, beta=1)", {"eps_above": True}, make=_dice(1.0)),),
    "cosine_similarity": (
        _loss("optax.losses.cosine_distance", {"form": "distance"}),
        _loss("-optax.losses.cosine_similarity", {"form": "negative"},
              function=lambda y, t: -public(_COSINE)(y, t)),
        _loss("1 - optax.losses.cosine_similarity", {"form": "distance"},
              function=lambda y, t: 1 - public(_COSINE)(y, t)),
    ),
    "triplet": (_loss("optax.losses.triplet_margin_loss", {"distance": "rooted"}, margin="margin", eps="eps"),),
}  # fmt: skip
