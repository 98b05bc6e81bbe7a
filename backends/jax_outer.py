"""What JAX and optax have around a training: penalties, projections, metrics, clipping and schedules, as rows.

Optax's projections and clippings are transformations of trees; a parameter is a tree. Its schedules are functions of
one count, an int32 in every state of optax; several counts are mapped over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from crossnn.adapter import Knobs, Tensor
from crossnn.bindings import Row, Table

from .jax_rows import public, row

Gradients = Mapping[str, Tensor]


def _squares(w: Tensor) -> Tensor:
    return jnp.sum(public("optax.losses.squared_error")(w))


def _norm(w: Tensor, power: int) -> Tensor:
    """The sum of sizes, or of squares."""
    return public("optax.tree.norm")(w, ord=1) if power == 1 else public("optax.tree.norm")(w, squared=True)


def _penalty(call: str, sizes: Callable[[Tensor], Tensor], when: Mapping[str, Any] | None = None,
             share: float = 1.0) -> Row:  # fmt: skip
    def make(knobs: Knobs) -> Callable[[Tensor], Tensor]:
        return lambda w: knobs["rate"] * share * sizes(w)

    return row(call, when=when, make=make)


def _elastic(knobs: Knobs) -> Callable[[Tensor], Tensor]:
    return lambda w: knobs["l1"] * _norm(w, 1) + knobs["l2"] * _norm(w, 2)


REGULARIZERS: Table = {
    "l1": (_penalty("rate*optax.tree.norm(w, ord=1)", lambda w: _norm(w, 1)),),
    "l2": (
        _penalty("rate*sum(optax.losses.l2_loss(w))", lambda w: jnp.sum(public("optax.losses.l2_loss")(w)),
                 {"halved": True}),
        _penalty("rate/2*optax.tree.norm(w, squared=True)", lambda w: _norm(w, 2), {"halved": True}, 0.5),
        _penalty("rate*sum(optax.losses.squared_error(w))", _squares, {"halved": False}),
        _penalty("rate*optax.tree.norm(w, squared=True)", lambda w: _norm(w, 2), {"halved": False}),
    ),
    "l1_l2": (row("l1*optax.tree.norm(w, ord=1) + l2*optax.tree.norm(w, squared=True)", make=_elastic),),
}  # fmt: skip


def _kept_nonnegative(w: Tensor) -> Tensor:
    """What a parameter becomes by an update that would leave it where it is."""
    keep, zero = public("optax.keep_params_nonnegative")(), jnp.zeros_like(w)
    updates, _ = keep.update(zero, keep.init(w), w)
    return public("optax.apply_updates")(w, updates)


CONSTRAINTS: Table = {
    "non_negative": (
        row("optax.projections.projection_non_negative"),
        row("optax.projections.projection_box(w, 0, inf)",
            lambda w: public("optax.projections.projection_box")(w, 0.0, jnp.inf)),
        row("optax.keep_params_nonnegative", _kept_nonnegative),
    ),
}  # fmt: skip
"""Optax's projections on a ball or a sphere add no epsilon to the norm: no row is that."""


def _rms(y: Tensor, t: Tensor) -> Tensor:
    return public("optax.safe_root_mean_squares")(y - t, 0.0)


def _overlap(share: float) -> Callable[[Tensor, Tensor], Tensor]:
    """Of everything as one sample, by the loss of optax, which wants logits."""

    def found(y: Tensor, t: Tensor) -> Tensor:
        logits, labels = jax.scipy.special.logit(y).reshape(1, -1, 1), t.reshape(1, -1, 1)
        dice = public("optax.losses.dice_loss")
        return 1 - dice(logits, labels, alpha=share, beta=share, smooth=0.0)[0]

    return found


METRICS: Table = {
    "mean_squared_error": (
        row("optax.losses.squared_error", lambda y, t: jnp.mean(public("optax.losses.squared_error")(y, t))),
    ),
    "root_mean_squared_error": (row("optax.safe_root_mean_squares(y - t, 0)", _rms),),
    "dice_coefficient": (
        row("1 - optax.losses.dice_loss(alpha=0.5, beta=0.5, smooth=0)", _overlap(0.5), {"soft": True}),
    ),
    "jaccard_index": (
        row("1 - optax.losses.dice_loss(alpha=1, beta=1, smooth=0)", _overlap(1.0), {"soft": True}),
    ),
}  # fmt: skip


def _clipped(transformation: Any, gradients: Gradients) -> Gradients:
    found: Gradients = transformation.update(gradients, transformation.init(gradients))[0]
    return found


def _transforming(name: str) -> Callable[[Knobs], Callable[[Gradients], Gradients]]:
    return lambda knobs: lambda g: _clipped(public(name)(knobs["limit"]), g)


def _each(clip: Callable[[Tensor, float], Tensor]) -> Callable[[Knobs], Callable[[Gradients], Gradients]]:
    return lambda knobs: lambda g: {name: clip(one, knobs["limit"]) for name, one in g.items()}


def _ball(tree: Any, limit: float) -> Any:
    return public("optax.projections.projection_l2_ball")(tree, limit)


def _block(g: Tensor, limit: float) -> Tensor:
    """A limit of the root of the mean square is one of the norm, by the number of elements."""
    found: Tensor = _clipped(public("optax.clip_by_block_rms")(limit / math.sqrt(g.size)), {"g": g})["g"]
    return found


def _one_example(knobs: Knobs) -> Callable[[Gradients], Gradients]:
    def clip(g: Gradients) -> Gradients:
        batch = {name: one[None] for name, one in g.items()}
        found: Gradients = public("optax.per_example_global_norm_clip")(batch, knobs["limit"])[0]
        return found

    return clip


_FREE = {"guarded": False}
CLIPPINGS: Table = {
    "clip_by_value": (
        row("optax.clip", make=_transforming("optax.clip")),
        row("optax.tree.clip", make=lambda h: lambda g: public("optax.tree.clip")(g, -h["limit"], h["limit"])),
        row("optax.projections.projection_linf_ball",
            make=lambda h: lambda g: public("optax.projections.projection_linf_ball")(dict(g), h["limit"])),
    ),
    "clip_by_norm": (
        row("optax.projections.projection_l2_ball", None, _FREE, _each(_ball)),
        row("optax.clip_by_block_rms(limit/sqrt(size))", None, _FREE, _each(_block)),
    ),
    "clip_by_global_norm": (
        row("optax.clip_by_global_norm", None, _FREE, _transforming("optax.clip_by_global_norm")),
        row("optax.projections.projection_l2_ball", None, _FREE, lambda h: lambda g: _ball(dict(g), h["limit"])),
        row("optax.per_example_global_norm_clip", None, _FREE, _one_example),
        row("jax.example_libraries.optimizers.clip_grads", None, _FREE,
            lambda h: lambda g: public("jax.example_libraries.optimizers.clip_grads")(g, h["limit"])),
    ),
}  # fmt: skip
