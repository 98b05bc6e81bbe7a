"""PyTorch's own recurrent layers and attention, as rows: a layer, its cell step by step, and attention in three ways.

torch adds two biases where one is learned here, and has the gates of a GRU in another order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from crossnn.adapter import Knobs, Native, Params, Tensor
from crossnn.bindings import Row, Table
from crossnn.errors import BackendError

from .torch_classes import EAGER, META, Weights, lent
from .torch_rows import F

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
ORDER = {"GRU": (1, 0, 2)}
"""Where torch's gates stand in our order, if it is another one."""


def _ordered(name: str, z: Tensor) -> Tensor:
    """(gates*units, ...), the gates in torch's order."""
    rows = z.T if z.dim() == 2 else z
    parts = rows.chunk(GATES[name])
    return torch.cat([parts[one] for one in ORDER[name]]) if name in ORDER else rows


def _weights(name: str, p: Params, suffix: str) -> Weights:
    return {
        f"weight_ih{suffix}": _ordered(name, p["kernel"]),
        f"weight_hh{suffix}": _ordered(name, p["recurrent_kernel"]),
        f"bias_ih{suffix}": _ordered(name, p["bias"]),
        f"bias_hh{suffix}": _ordered(name, p.get("recurrent_bias", torch.zeros_like(p["bias"]))),
    }


def _recurrent(name: str) -> Row:
    """A module, with parameters from outside. Dynamo does not take these apart (torch._dynamo.config.allow_rnn)."""

    def bind(knobs: Knobs) -> Native | None:
        if not knobs.get("reset_after", True):
            return None

        def function(p: Params, x: Tensor) -> Tensor:
            module = getattr(torch.nn, name)(x.shape[-1], int(knobs["units"]), batch_first=True, **META)
            sequence, _ = lent(module, _weights(name, p, "_l0"), x)
            return sequence if knobs["return_sequences"] else sequence[:, -1]

        return Native(f"torch.nn.{name}", function, EAGER)

    return bind


def _cell(name: str) -> Row:
    """The cell, called for every step."""

    def bind(knobs: Knobs) -> Native | None:
        if not knobs.get("reset_after", True):
            return None

        def function(p: Params, x: Tensor) -> Tensor:
            cell = getattr(torch.nn, f"{name}Cell")(x.shape[-1], int(knobs["units"]), **META)
            weights = _weights(name, p, "")
            state: Any = x.new_zeros(x.shape[0], int(knobs["units"]))
            state, seen = ((state, state) if name == "LSTM" else state), []
            for step in x.unbind(1):
                state = torch.func.functional_call(cell, weights, (step, state))
                seen.append(state[0] if name == "LSTM" else state)
            return torch.stack(seen, 1) if knobs["return_sequences"] else seen[-1]

        return Native(f"torch.nn.{name}Cell", function, EAGER)

    return bind


def _dense(p: Params, x: Tensor, name: str) -> Tensor:
    return functional.linear(x, p[f"{name}_kernel"].T, p.get(f"{name}_bias"))


def _attend(knobs: Knobs, p: Params, x: Tensor, value: Tensor | None, mask: Tensor | None) -> Tensor:
    """scaled_dot_product_attention between the four dense layers around it."""
    heads = int(knobs["heads"])

    def split(y: Tensor) -> Tensor:
        return y.unflatten(-1, (heads, -1)).transpose(1, 2)

    other = x if value is None else value
    q, k, v = split(_dense(p, x, "query")), split(_dense(p, other, "key")), split(_dense(p, other, "value"))
    seen, causal = None if mask is None else (mask > 0)[:, None, None, :], bool(knobs["causal"])
    if seen is not None and causal:  # torch takes one or the other
        lower = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=x.device).tril()
        seen, causal = seen & lower, False
    y = functional.scaled_dot_product_attention(q, k, v, seen, is_causal=causal)
    return _dense(p, y.transpose(1, 2).flatten(2), "output")


def _attention(knobs: Knobs) -> Native:
    def attend(p: Params, x: Tensor, value: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        return _attend(knobs, p, x, value, mask)

    return Native(f"{F}scaled_dot_product_attention", attend)


def _by_products(knobs: Knobs) -> Native:
    """Without the fused kernel."""

    def attend(p: Params, x: Tensor, value: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return _attend(knobs, p, x, value, mask)

    return Native(f"{F}scaled_dot_product_attention(SDPBackend.MATH)", attend, EAGER)


def _wider(x: Tensor, width: int) -> Tensor:
    return functional.pad(x, (0, width - x.shape[-1]))


def _multihead(knobs: Knobs, rests: bool = False) -> Native:
    """torch's layer has as many features as all heads together: where there are fewer, zeros are appended, which
    change nothing. After training (`rests`) a kernel of its own computes what is not differentiated."""
    heads, width = int(knobs["heads"]), int(knobs["heads"]) * int(knobs["size"])

    def attend(p: Params, x: Tensor, value: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        features = x.shape[-1]
        if features > width:
            raise BackendError(
                f"torch.nn.MultiheadAttention keeps all {features} features, which are more than {heads} heads of "
                f"size {width // heads}; no fewer than {features} in all are allowed"
            )
        other = _wider(x, width) if value is None else value
        queries, depth = x.shape[1], other.shape[-1]
        biased = "query_bias" in p
        module = torch.nn.MultiheadAttention(
            width, heads, bias=biased, kdim=depth, vdim=depth, batch_first=True, **META
        ).train(not rests)
        kernels = {one: p[f"{one}_kernel"].T for one in ("query", "key", "value")}
        if module.in_proj_weight is not None:
            weights = {"in_proj_weight": torch.cat([_wider(kernel, width) for kernel in kernels.values()])}
        else:
            weights = {f"{one[0]}_proj_weight": kernel for one, kernel in kernels.items()}
            weights["q_proj_weight"] = _wider(weights["q_proj_weight"], width)
        weights["out_proj.weight"] = functional.pad(p["output_kernel"].T, (0, 0, 0, width - features))
        if biased:
            weights["in_proj_bias"] = torch.cat([p[f"{one}_bias"] for one in kernels])
            weights["out_proj.bias"] = _wider(p["output_bias"], width)
        unseen = None
        if knobs["causal"]:
            unseen = torch.ones(queries, other.shape[1], dtype=torch.bool, device=x.device).triu(1)
        padding = None if mask is None else mask <= 0
        y, _ = torch.func.functional_call(
            module, weights, (other if value is None else _wider(x, width), other, other),
            {"attn_mask": unseen, "key_padding_mask": padding, "need_weights": False},
        )  # fmt: skip
        found: Tensor = y[..., :features]
        return found

    return Native("torch.nn.MultiheadAttention" + ("(eval)" if rests else ""), attend, EAGER)


def _resting(knobs: Knobs) -> Native:
    return _multihead(knobs, rests=True)


SEQUENCES: Table = {
    "simple_rnn": (_recurrent("RNN"), _cell("RNN")),
    "lstm": (_recurrent("LSTM"), _cell("LSTM")),
    "gru": (_recurrent("GRU"), _cell("GRU")),
    "self_attention": (_attention, _by_products, _multihead, _resting),
    "cross_attention": (_attention, _by_products, _multihead),
}
