"""Edits of what calls are told: keywords, axes, and constants whose name or place says what they are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from crossnn.causes.source_places import Edit, Parents, calls_around, hint_of, last_name

EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 0.0)
SLOPES = (0.01, 0.2, 0.3, 0.1, 0.25, 0.05, 1.0, 0.5)
AXES = (-1, 0, 1, 2, -2)
ALONG = ("mean", "sum", "max", "min", "var", "std", "norm", "softmax", "cumsum", "concat", "stack", "flip", "roll",
         "split", "argmax", "argmin", "any", "all", "cumprod", "logsumexp", "diff")  # fmt: skip
"""Parts of names of functions that take an axis."""
PAD_MODES = ("constant", "reflect", "edge", "symmetric", "replicate", "circular", "wrap")
KEYWORDS: Sequence[tuple[str, str, Mapping[str, Sequence[Any]]]] = (
    ("gelu", "approximate gelu", {"approximate": (False, "none", True, "tanh")}),
    ("norm", "epsilon", {"eps": EPSILONS, "epsilon": EPSILONS}),
    ("leaky", "activation slope", {"negative_slope": SLOPES, "alpha": SLOPES}),
    ("elu", "activation slope", {"alpha": SLOPES}),
    ("var", "biased variance", {"unbiased": (False, True), "ddof": (0, 1), "correction": (0, 1)}),
    ("std", "biased variance", {"unbiased": (False, True), "ddof": (0, 1), "correction": (0, 1)}),
    ("softmax", "softmax axis", {"axis": AXES, "dim": AXES}),
    ("loss", "reduction", {"reduction": ("mean", "sum", "none")}),
    ("entropy", "reduction", {"reduction": ("mean", "sum", "none")}),
    ("kl_div", "reduction", {"reduction": ("batchmean", "mean", "sum")}),
    ("entropy", "label smoothing", {"label_smoothing": (0.0, 0.1)}),
    ("entropy", "from logits", {"from_logits": (True, False)}),
    ("norm", "training or inference", {"training": (False, True), "train": (False, True)}),
    ("drop", "training or inference", {"training": (False,), "p": (0.0,), "rate": (0.0,), "deterministic": (True,)}),
    ("attention", "training or inference", {"dropout_p": (0.0,)}),
    ("conv", "padding", {"padding": ("same", "valid", "SAME", "VALID", 0, 1, 2)}),
    ("pool", "padding", {"padding": ("same", "valid", "SAME", "VALID", 0, 1, 2), "count_include_pad": (False, True)}),
    ("pool", "padding", {"ceil_mode": (True, False)}),
    ("conv", "stride", {"stride": (1, 2, 3), "strides": (1, 2, 3), "window_strides": ((1, 1), (2, 2), (1,), (2,))}),
    ("pool", "stride", {"stride": (1, 2, 3), "strides": (1, 2, 3)}),
    ("conv", "dilation", {"dilation": (1, 2, 3), "dilations": (1, 2, 3), "rhs_dilation": ((1, 1), (2, 2), (1,), (2,))}),
    ("conv", "groups", {"groups": (1, 2, 3, 4), "feature_group_count": (1, 2, 3, 4)}),
    ("scan", "direction", {"reverse": (False, True)}),
    ("attention", "mask", {"is_causal": (True, False)}),
    ("pad", "padding", {"mode": PAD_MODES}),
    ("interpolate", "setting mode", {"mode": ("nearest", "bilinear", "bicubic", "linear", "trilinear", "area")}),
    ("interpolate", "setting align_corners", {"align_corners": (True, False)}),
    ("resize", "setting method", {"method": ("nearest", "bilinear", "linear", "bicubic", "cubic", "area")}),
    ("resize", "setting antialias", {"antialias": (True, False)}),
    ("sgd", "Nesterov momentum", {"nesterov": (True, False)}),
)
"""A part of a function's name, what it is called if this was the mistake, and the keywords to try."""


def keywords(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    if not isinstance(node, ast.Call):
        return
    called = last_name(node.func).lower()
    for part, cause, options in KEYWORDS:
        if part not in called:
            continue
        for keyword, values in options.items():
            more = [one for one in known if 0 < one < 1] if values in (EPSILONS, SLOPES) else []
            for value in dict.fromkeys([*more, *values]):

                def new(call: ast.Call, keyword: str = keyword, value: Any = value) -> ast.AST:
                    kept = [one for one in call.keywords if one.arg != keyword]
                    return ast.Call(
                        call.func, call.args, [*kept, ast.keyword(keyword, ast.parse(repr(value), mode="eval").body)]
                    )

                yield Edit(cause, number, new)


def named_constants(number: int, node: ast.AST, parents: Parents, known: Sequence[float]) -> Iterator[Edit]:
    """Constants whose name or place says what they are."""
    if not isinstance(node, ast.Constant) or isinstance(node.value, bool):
        return
    value, hint = node.value, hint_of(node, parents)
    if isinstance(value, str):
        for words, cause in ((("SAME", "VALID"), "padding"), (("same", "valid"), "padding"),
                             (("mean", "sum", "none", "batchmean"), "reduction"),
                             (PAD_MODES, "padding"), (("tanh", "none"), "approximate gelu")):  # fmt: skip
            if value in words:
                yield from (Edit(cause, number, constant(one)) for one in words if one != value)
        return
    if not isinstance(value, int | float):
        return
    calls = " ".join(calls_around(node, parents))
    softmax = "softmax" in calls and _own_argument(node, parents)
    if isinstance(value, int) and ("axis" in hint or "dim" in hint or softmax):
        cause = "softmax axis" if "softmax" in calls else "axis"
        yield from (Edit(cause, number, constant(one)) for one in AXES if one != value)
    elif "eps" in hint or (0 < value <= 1e-2 and ("norm" in calls or isinstance(parents.get(id(node)), ast.BinOp))):
        small = [one for one in known if 0 < one <= 1e-2]
        yield from (Edit("epsilon", number, constant(one)) for one in (*small, *EPSILONS) if one != value)
    elif "momentum" in hint or "decay" in hint:
        near = [one for one in known if 0 < one < 1]
        yield from (Edit("batch-norm momentum", number, constant(one)) for one in (*near, 1 - value) if one != value)
    if (
        any(word in f"{calls} {hint}" for word in ("relu", "elu", "where", "maximum", "slope", "alpha", "beta"))
        and value > 0
        and not (_added(node, parents))
    ):
        near = [one for one in known if 0 < one <= 2]
        slopes = [one for one in (*near, *SLOPES) if one != value and abs(one - value) > 1e-3 * value]
        yield from (Edit("activation slope", number, constant(one)) for one in slopes)


def _own_argument(node: ast.AST, parents: Parents) -> bool:
    """Whether a number, or minus it, is an argument itself, not a part of one."""
    up = parents.get(id(node))
    while isinstance(up, ast.UnaryOp | ast.keyword):
        up = parents.get(id(up))
    return isinstance(up, ast.Call)


def _added(node: ast.AST, parents: Parents) -> bool:
    """Whether a constant is a summand, such as a margin."""
    around = parents.get(id(node))
    return isinstance(around, ast.BinOp) and isinstance(around.op, ast.Add | ast.Sub)


def constant(value: Any) -> Callable[[Any], ast.AST]:
    return lambda _: ast.Constant(value)
