"""PyTorch's own functions for regularizers, constraints and metrics, as rows.

Weight decay, torch's usual form of `l2`, is an argument of its optimizers. A metric is a loss that nobody
differentiates: torch itself has no other (torcheval and torchmetrics are packages of their own).
"""

from __future__ import annotations

import torch
from torch.nn import functional

from crossnn.adapter import Knobs, Native, Tensor
from crossnn.bindings import Row, Table, fits

from .torch_rows import F, plain

EAGER = ("eager",)
RENORM_EPS = 1e-7
"""What torch.renorm adds to the norm, whatever the dtype."""


def _l1(knobs: Knobs) -> Native:
    return Native("torch.linalg.vector_norm(ord=1)", lambda w: knobs["rate"] * torch.linalg.vector_norm(w, 1))


def _l1_by_loss(knobs: Knobs) -> Native:
    return Native(
        f"{F}l1_loss(reduction='sum')",
        lambda w: knobs["rate"] * functional.l1_loss(w, torch.zeros_like(w), reduction="sum"),
    )


def _rate(knobs: Knobs) -> float:
    return float(knobs["rate"]) / (2 if knobs["halved"] else 1)


def _l2(knobs: Knobs) -> Native:
    return Native("torch.linalg.vector_norm", lambda w: _rate(knobs) * torch.linalg.vector_norm(w) ** 2)


def _l2_by_loss(knobs: Knobs) -> Native:
    return Native(
        f"{F}mse_loss(reduction='sum')",
        lambda w: _rate(knobs) * functional.mse_loss(w, torch.zeros_like(w), reduction="sum"),
    )


REGULARIZERS: Table = {"l1": (_l1, _l1_by_loss), "l2": (_l2, _l2_by_loss)}


def _renorm(table: bool) -> Row:
    """Of what belongs to one output; `table`: by looking up all rows of an embedding."""

    def bind(knobs: Knobs) -> Native | None:
        if not fits(knobs, {"eps_everywhere": False, "eps": RENORM_EPS}):
            return None
        limit = float(knobs["limit"])
        if not table:
            return Native("torch.renorm", lambda w: torch.renorm(w, 2, w.dim() - 1, limit))

        def looked_up(w: Tensor) -> Tensor:
            rows = w.reshape(-1, w.shape[-1]).T.contiguous()
            every = torch.arange(len(rows), device=w.device)
            return functional.embedding(every, rows, max_norm=limit).T.reshape(w.shape)

        return Native(f"{F}embedding(max_norm=)", looked_up, EAGER)

    return bind


def _normalize(knobs: Knobs) -> Native | None:
    if not fits(knobs, {"eps_place": "least"}):
        return None

    def normalized(w: Tensor) -> Tensor:
        rows = w.reshape(-1, w.shape[-1])
        return functional.normalize(rows, dim=0, eps=float(knobs["eps"])).reshape(w.shape)

    return Native(f"{F}normalize", normalized)


CONSTRAINTS: Table = {
    "non_negative": (
        plain("torch.clamp(min=0)", lambda w: torch.clamp(w, min=0)),
        plain(f"{F}relu", functional.relu),
    ),
    "max_norm": (_renorm(table=False), _renorm(table=True)),
    "unit_norm": (_normalize,),
}

METRICS: Table = {
    "mean_absolute_error": (
        plain(f"{F}l1_loss", functional.l1_loss),
        plain("torch.nn.L1Loss", torch.nn.L1Loss()),
    ),
    "mean_squared_error": (
        plain(f"{F}mse_loss", functional.mse_loss),
        plain("torch.nn.MSELoss", torch.nn.MSELoss()),
    ),
}
