"""JAX's own activations (jax.nn) and optax's losses, as rows: what a user would call, and the settings for which it is
our formula. Where optax is not installed, its rows are None."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from crossnn.adapter import Knobs, Native, Tensor

Row = Callable[[Knobs], Native | None]
When = Mapping[str, Any]

OPTAX = importlib.util.find_spec("optax") is not None
if OPTAX:
    import optax


def _fits(knobs: Knobs, when: When) -> bool:
    return all(knobs.get(name, value) == value for name, value in when.items())


def _of(name: str, when: When | None = None, fixed: Mapping[str, Any] | None = None, **options: str) -> Row:
    """jax.nn's function of this name; `options` maps its keywords to our settings."""
    function = getattr(jax.nn, name)

    def bind(knobs: Knobs) -> Native | None:
        if not _fits(knobs, when or {}):
            return None
        bound = {**(fixed or {}), **{theirs: knobs[ours] for theirs, ours in options.items()}}
        return Native(f"jax.nn.{name}", lambda x: function(x, **bound))

    return bind


def _plain(call: str, function: Callable[..., Tensor]) -> Row:
    return lambda knobs: Native(call, function)


ACTIVATIONS: Mapping[str, Row] = {
    "identity": _of("identity"),
    "heaviside": lambda knobs: Native("jax.numpy.heaviside", lambda x: jnp.heaviside(x, knobs["at_zero"])),
    "sigmoid": _of("sigmoid"),
    "log_sigmoid": _of("log_sigmoid"),
    "tanh": _of("tanh"),
    "arctan": _plain("jax.numpy.arctan", jnp.arctan),
    "softsign": _of("soft_sign"),
    "hard_sigmoid": _of("hard_sigmoid", {"slope": "sixth"}),
    "hard_tanh": _of("hard_tanh"),
    "relu": _of("relu"),
    "leaky_relu": _of("leaky_relu", negative_slope="alpha"),
    "relu6": _of("relu6"),
    "elu": _of("elu", alpha="alpha"),
    "selu": _of("selu", {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}),
    "celu": _of("celu", alpha="alpha"),
    "softplus": _of("softplus"),
    "squareplus": _of("squareplus", b="b"),
    "exponential": _plain("jax.numpy.exp", jnp.exp),
    "gelu": lambda knobs: Native(
        "jax.nn.gelu", lambda x: jax.nn.gelu(x, approximate=knobs["approximate"] == "tanh")
    ),
    "silu": _of("silu"),
    "mish": _of("mish"),
    "hard_swish": _of("hard_swish"),
    "softmax": _of("softmax", fixed={"axis": -1}),
    "log_softmax": _of("log_softmax", fixed={"axis": -1}),
    "glu": _of("glu", {"gate": "sigmoid"}),
}  # fmt: skip


def _is_mean(knobs: Knobs) -> bool:
    return knobs.get("reduction", "mean") == "mean" and not knobs.get("weights")


def _loss(name: str, when: When | None = None, make: Callable[..., Any] | None = None, **options: str) -> Row:
    """An optax loss, which leaves the mean to the user; `make` turns our inputs into its arguments."""

    def bind(knobs: Knobs) -> Native | None:
        if (
            not OPTAX
            or knobs.get("reduction", "mean") != "mean"
            or knobs.get("weights")
            or not _fits(knobs, when or {})
        ):
            return None
        function = getattr(optax.losses, name)
        bound = {theirs: knobs[ours] for theirs, ours in options.items()}

        def call(*inputs: Tensor) -> Tensor:
            return jnp.mean(function(*(make(*inputs) if make else inputs), **bound))

        return Native(f"optax.losses.{name}", call)

    return bind


def _smoothed(knobs: Knobs) -> Native | None:
    row = _loss("softmax_cross_entropy")(knobs)
    if row is None:
        return None
    return Native(
        "optax.losses.smooth_labels, softmax_cross_entropy",
        lambda y, t: row.function(y, optax.losses.smooth_labels(t, knobs["smoothing"])),
    )


LOSSES: Mapping[str, Row] = {
    "mse": _loss("squared_error"),
    "half_squared_error": _loss("l2_loss"),
    "huber": _loss("huber_loss", delta="delta"),
    "log_cosh": _loss("log_cosh"),
    "binary_crossentropy_logits": _loss("sigmoid_binary_cross_entropy"),
    "focal_logits": _loss("sigmoid_focal_loss", alpha="alpha", gamma="gamma"),
    "hinge": _loss("hinge_loss"),
    "perceptron_loss": _loss("perceptron_loss"),
    "categorical_crossentropy_logits": _loss("softmax_cross_entropy"),
    "smoothed_crossentropy_logits": _smoothed,
    "sparse_categorical_crossentropy_logits": _loss("softmax_cross_entropy_with_integer_labels"),
    "kl_divergence": _loss("kl_divergence", {"clip": "none"}, make=lambda y, t: (jnp.log(y), t)),
    "cosine_similarity": _loss("cosine_distance", {"form": "distance"}),
    "triplet": _loss("triplet_margin_loss", {"distance": "rooted"}, margin="margin", eps="eps"),
}
